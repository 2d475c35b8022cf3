"""The exact step against golden values, a high-precision oracle, and the laws of the flow."""

import csv
import math
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from eventsim.kernels.neuron import DeviceArrays, after_reset, skyrmion_sweep
from eventsim.kernels.riccati import riccati_passage, riccati_slopes, riccati_step
from tests import oracle

GOLDEN = list(csv.DictReader((Path(__file__).parent / "data" / "riccati_golden.csv").read_text().splitlines()))
PRECISIONS = [(np.float64, 1e-12), (np.float32, 2e-5)]


@numba.njit(error_model="numpy")
def scaled_step(x, q, h):
    return riccati_step(x, q, h)


@numba.njit(error_model="numpy")
def scaled_slopes(x, q, h):
    return riccati_slopes(x, q, h)


@numba.njit(error_model="numpy")
def passage(x, q, h, threshold):
    return riccati_passage(x, q, h, threshold)


@numba.njit(error_model="numpy")
def left(reached, threshold, reset, soft):
    return after_reset(reached, threshold, reset, soft, True)


def step(x, q, h, s, kind=np.float64):
    """Step over s = t/k1 in physical units: constants are worked out in double precision, then rounded once."""
    return scaled_step(*(kind(v) for v in (x * s, q * s * s, h * s))) / s


def slopes(x, q, h, s, kind=np.float64):
    by_start, by_q = scaled_slopes(*(kind(v) for v in (x * s, q * s * s, h * s)))
    return by_start, by_q * s


def close(value, wanted, tolerance):
    return abs(value - wanted) <= tolerance * max(abs(wanted), 1e-6)


positions = st.floats(-300, 60)
halves = st.floats(5, 25)
lengths = st.floats(1e-4, 0.03)
drives = st.floats(-60 * 4240, 60 * 4240)
"""q of I = -60 to 60 at the default device."""


@pytest.mark.parametrize("row", GOLDEN, ids=[f"{row['id']}-{row['regime']}" for row in GOLDEN])
@pytest.mark.parametrize(("kind", "tolerance"), PRECISIONS)
def test_golden_values(row, kind, tolerance):
    k1, k2, q, x0, t = (float(row[name]) for name in ("k1", "k2", "q", "x0", "t"))
    if kind is np.float64 and row["regime"].startswith("near_double"):
        tolerance = 1e-10
    arguments = x0, q, -k2 / 2, t / k1, kind
    wanted = [float(row[name]) for name in ("x_t", "dx_dx0", "dx_dq")]
    if math.isnan(wanted[0]):
        assert step(*arguments) == math.inf
        assert slopes(*arguments) == (0, 0)
    else:
        for value, want in zip((step(*arguments), *slopes(*arguments)), wanted, strict=True):
            assert close(value, want, tolerance)


@pytest.mark.parametrize("row", GOLDEN, ids=[f"{row['id']}-{row['regime']}" for row in GOLDEN])
@pytest.mark.parametrize(("kind", "tolerance"), PRECISIONS)
def test_golden_passages(row, kind, tolerance):
    k1, k2, q, x0, threshold = (float(row[name]) for name in ("k1", "k2", "q", "x0", "theta"))
    undecidable = kind is np.float32 and row["regime"].startswith("near_double")  # there d rounds to 0
    for name, to in (("t_first_passage", threshold), ("t_blowup", math.inf)):
        if not (undecidable and to == math.inf):
            found = k1 * float(passage(*(kind(v) for v in (x0, q, -k2 / 2, to))))
            assert found == float(row[name]) or close(found, float(row[name]), tolerance)


def test_result_has_the_type_of_the_argument():
    for kind in (np.float32, np.float64):
        scaled_step(*(kind(v) for v in (0.1, 0.02, 0.07)))
        wanted = numba.from_dtype(np.dtype(kind))
        signatures = [s for s in scaled_step.signatures if s[0] == wanted]
        assert [scaled_step.overloads[s].signature.return_type for s in signatures] == [wanted]


@given(positions, drives, halves, lengths)
@example(0.0, 60 * 4240.0, 13.8, 1 / 212)
@example(0.0, -60 * 4240.0, 13.8, 1 / 212)
@example(-300.0, 15 * 4240.0, 13.8, 1 / 212)
@example(13.8, 190.44, 13.8, 1 / 212)
@example(27.6, 0.0, 13.8, 1 / 212)
def test_step_agrees_with_high_precision(x, q, h, s):
    wanted = oracle.flow(x, q, h, s)
    value = step(x, q, h, s)
    if wanted is None or abs(wanted) > 1e6:
        # a run-away within rounding of the end of the step is undecidable
        assert value == math.inf or abs(value) > 1e5
    else:
        # backward stable: as exact as inputs rounded once allow
        sensitivity = abs(float(oracle.slopes(x, q, h, s)[0])) * abs(x) + abs(oracle.slopes(x, q, h, s)[1] * q)
        assert abs(value - float(wanted)) <= 1e-13 * (abs(float(wanted)) + 10 * sensitivity + h)


@given(positions, drives, halves, lengths)
def test_slopes_agree_with_high_precision(x, q, h, s):
    wanted = oracle.flow(x, q, h, s)
    assume(wanted is not None and abs(wanted) < 1000)
    for value, want in zip(slopes(x, q, h, s), oracle.slopes(x, q, h, s), strict=True):
        assert value == pytest.approx(want, rel=1e-9, abs=1e-12)


@given(positions, st.floats(-3000, 6000), halves, lengths, lengths)
def test_semigroup(x, q, h, s1, s2):
    middle = step(x, q, h, s1)
    assume(middle < 200)
    whole = step(x, q, h, s1 + s2)
    assume(whole < 200)
    assert step(middle, q, h, s2) == pytest.approx(whole, rel=1e-9, abs=1e-9)


@given(positions, st.floats(0.01, 20), drives, halves, lengths)
def test_monotone_in_start(x, more, q, h, s):
    assert step(x + more, q, h, s) >= step(x, q, h, s) * (1 - 1e-12) - 1e-9


@given(positions, drives, st.floats(1, 1000), halves, lengths)
def test_monotone_in_drive(x, q, more, h, s):
    assert step(x, q + more, h, s) >= step(x, q, h, s)


@given(halves, lengths, st.floats(0.01, 0.99))
def test_fixed_points_stay(h, s, part):
    q = part * h * h
    root = math.sqrt(h * h - q)
    assert step(h - root, q, h, s) == pytest.approx(h - root, rel=1e-11)
    assert step(h + root, q, h, s) == pytest.approx(h + root, rel=1e-10)


@given(st.floats(-300, 5), halves, st.integers(1, 300), lengths)
def test_free_decay_over_many_ticks_is_one(x, h, ticks, s):
    """And agrees with as many single steps without drive."""
    many = x * s
    for _ in range(ticks):
        many = scaled_step(many, 0.0, h * s)
    assume(many < 1)
    assert step(x, 0.0, h, ticks * s) * s == pytest.approx(many, rel=1e-12, abs=1e-300)


@given(positions, st.floats(-3000, 6000), halves, st.floats(0.1, 60))
def test_a_first_passage_steps_onto_the_threshold(x, q, h, ahead):
    threshold = x + ahead
    time = passage(x, q, h, threshold)
    if time < math.inf:
        # the step over the passage lands on it, up to what the rounding of a time near a run-away does
        reached = step(x, q, h, time)
        slope = threshold * threshold + abs(2 * h * threshold) + abs(q)
        assert reached == pytest.approx(threshold, abs=1e-12 * (slope * time + abs(x) + threshold + 1))
    elif q < h * h:
        for longer in (1.0, 100.0, 1e4):  # in units of 1/nm; the stable point is reached long before
            assert step(x, q, h, longer) <= threshold * (1 + 1e-9) + 1e-9


@given(
    st.integers(-10_000, 2500),
    st.integers(-2000, 400),
    st.floats(100, 400),
    st.floats(10, 40),
    st.floats(0.2, 10),
)
def test_agrees_with_an_integrator(x0, drive, k1, distance, t):
    """DOP853 at tight tolerance on the equation itself."""
    x0, q = x0 / 100, drive * 2.0
    wanted = oracle.flow(x0, q, distance / 2, t / k1)
    assume(wanted is not None and abs(wanted) < 200)
    found = solve_ivp(lambda _, x: (x * x - distance * x + q) / k1, (0, t), [x0], "DOP853", rtol=1e-12, atol=1e-10)
    assert step(x0, q, distance / 2, t / k1) == pytest.approx(found.y[0, -1], rel=1e-8, abs=1e-8)


@given(positions, st.floats(-30, 30), halves, lengths)
def test_single_precision_follows_double(x, drive, h, s):
    arguments = x, 4240 * drive, h, s
    double = oracle.flow(*arguments)
    assume(double is not None and abs(double) < 100)
    by_x, by_q = oracle.slopes(*arguments)
    sensitivity = abs(by_x * x) + abs(by_q * drive * 4240) + h + abs(float(double))
    assert abs(step(*arguments, np.float32) - float(double)) <= 4e-6 * sensitivity


@given(st.lists(st.tuples(st.floats(-300, 40), st.floats(-60, 60)), min_size=1, max_size=40), st.booleans())
def test_a_sweep_is_the_step_of_each_device(rows, single):
    kind = np.float32 if single else np.float64
    x, drive = (np.array(column, kind) for column in zip(*rows, strict=True))
    n = len(rows)
    devices = DeviceArrays(*(np.full(n, v, kind) for v in (13.8 / 212, 0, 4240 / 212**2, 20 / 212, 1 / 212)))
    starts, reached = x / kind(212), np.empty(n, kind)
    skyrmion_sweep(starts, drive, devices, reached)
    each = [scaled_step(starts[i], devices.gain[i] * drive[i], devices.a[i]) for i in range(n)]
    assert reached.tobytes() == np.array(each, kind).tobytes()


def test_fires_at_the_threshold_and_resets():
    below = np.nextafter(20.0, 0)
    assert [left(x, 20.0, -1.0, False) for x in (20.0, math.inf, below)] == [-1, -1, below]
    assert [left(x, 20.0, -1.0, True) for x in (20.0, 25.0, math.inf, below)] == [-1, 4, 20 - 21 / 1024, below]


@pytest.mark.parametrize("magnitude", [1e-300, 1e-30, 1.0, 1e10, 1e100])
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_drives_give_no_nan(magnitude, sign):
    for x in (-1e6, -300.0, 0.0, 13.8, 27.6, 1e6):
        assert not math.isnan(step(x, sign * magnitude, 13.8, 1 / 212))
        assert not any(math.isnan(value) for value in slopes(x, sign * magnitude, 13.8, 1 / 212))
