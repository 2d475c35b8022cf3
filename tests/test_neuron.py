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

from eventsim.kernels.neuron import DeviceArrays, mtj_fire, mtj_slopes, mtj_step, mtj_sweep
from tests import oracle

GOLDEN = list(csv.DictReader((Path(__file__).parent / "data" / "riccati_golden.csv").read_text().splitlines()))
PRECISIONS = [(np.float64, 1e-12), (np.float32, 2e-5)]


@numba.njit(error_model="numpy")
def step(x, q, h, s):
    return mtj_step(x, q, h, s)


@numba.njit(error_model="numpy")
def slopes(x, q, h, s):
    return mtj_slopes(x, q, h, s)


@numba.njit(error_model="numpy")
def sweep(x, drive, devices, reached):
    mtj_sweep(x, drive, devices, reached)


@numba.njit(error_model="numpy")
def fire(reached, devices, i):
    return mtj_fire(reached, devices, i)


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
    arguments = kind(x0), kind(q), kind(-k2 / 2), kind(t) / kind(k1)
    wanted = [float(row[name]) for name in ("x_t", "dx_dx0", "dx_dq")]
    if math.isnan(wanted[0]):
        assert step(*arguments) == math.inf
        assert slopes(*arguments) == (0, 0)
    else:
        for value, want in zip((step(*arguments), *slopes(*arguments)), wanted, strict=True):
            assert close(value, want, tolerance)


def test_result_has_the_type_of_the_argument():
    for kind in (np.float32, np.float64):
        step(*(kind(v) for v in (3, 100, 13.8, 0.005)))
        signatures = [s for s in step.signatures if s[0] == numba.from_dtype(np.dtype(kind))]
        assert [step.overloads[s].signature.return_type for s in signatures] == [numba.from_dtype(np.dtype(kind))]


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


@given(positions, halves, drives)
def test_no_time_no_motion(x, h, q):
    assert step(x, q, h, 0.0) == x


@given(st.floats(-100, 25), st.floats(-20, 4), st.floats(100, 400), st.floats(10, 40), st.floats(0.2, 10))
def test_agrees_with_an_integrator(x0, drive, k1, distance, t):
    """DOP853 at tight tolerance on the equation itself."""
    q = drive * 200
    wanted = oracle.flow(x0, q, distance / 2, t / k1)
    assume(wanted is not None and abs(wanted) < 200)
    found = solve_ivp(lambda _, x: (x * x - distance * x + q) / k1, (0, t), [x0], "DOP853", rtol=1e-12, atol=1e-10)
    assert step(x0, q, distance / 2, t / k1) == pytest.approx(found.y[0, -1], rel=1e-8, abs=1e-8)


@given(positions, st.floats(-30, 30), halves, lengths)
def test_single_precision_follows_double(x, drive, h, s):
    arguments = [np.float32(v) for v in (x, 4240 * drive, h, s)]
    double = oracle.flow(*arguments)
    assume(double is not None and abs(double) < 100)
    by_x, by_q = oracle.slopes(*arguments)
    sensitivity = abs(by_x * x) + abs(by_q * drive * 4240) + h + abs(float(double))
    assert abs(step(*arguments) - float(double)) <= 4e-6 * sensitivity


@given(st.lists(st.tuples(st.floats(-300, 40), st.floats(-60, 60)), min_size=1, max_size=40), st.booleans())
def test_a_sweep_is_the_step_of_each_device(rows, single):
    kind = np.float32 if single else np.float64
    x, drive = (np.array(column, kind) for column in zip(*rows, strict=True))
    n = len(rows)
    devices = DeviceArrays(*(np.full(n, v, kind) for v in (13.8, 1 / 212, 4240, 20, 0)))
    reached = np.empty(n, kind)
    sweep(x, drive, devices, reached)
    each = [step(x[i], devices.gain[i] * drive[i], devices.half[i], devices.time[i]) for i in range(n)]
    assert reached.tobytes() == np.array(each, kind).tobytes()


def test_fires_at_the_threshold_and_resets():
    devices = DeviceArrays(*(np.full(1, v) for v in (13.8, 1 / 212, 4240, 20, -1)))
    assert fire(20.0, devices, 0) == (True, -1)
    assert fire(math.inf, devices, 0) == (True, -1)
    assert fire(np.nextafter(20.0, 0), devices, 0) == (False, np.nextafter(20.0, 0))


@pytest.mark.parametrize("magnitude", [1e-300, 1e-30, 1.0, 1e10, 1e100])
@pytest.mark.parametrize("sign", [1, -1])
def test_extreme_drives_give_no_nan(magnitude, sign):
    for x in (-1e6, -300.0, 0.0, 13.8, 27.6, 1e6):
        assert not math.isnan(step(x, sign * magnitude, 13.8, 1 / 212))
        assert not any(math.isnan(value) for value in slopes(x, sign * magnitude, 13.8, 1 / 212))
