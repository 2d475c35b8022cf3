"""Many ticks at once without drive: exact to rounding, side by side or one by one, for any number of ticks."""

import csv
import math
from pathlib import Path

import mpmath
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.kernels.decay import decay
from eventsim.kernels.lazy import advance, rest_sweep
from eventsim.kernels.neuron import LEAKY, SKYRMION, DeviceArrays, flow
from eventsim.kernels.riccati import riccati_step

GOLDEN = list(csv.DictReader((Path(__file__).parent / "data" / "riccati_golden.csv").read_text().splitlines()))
KINDS = [np.float32, np.float64]
FAR = {np.float32: 87.0, np.float64: 708.0}
ticks = st.one_of(st.integers(0, 200), st.integers(0, 2**31))


@numba.njit(error_model="numpy")
def both(y, left, gone):
    for j in range(y.size):
        left[j], gone[j] = decay(y[j])


@numba.njit(error_model="numpy")
def by_scaling(x, n, h):
    return riccati_step(n * x, n * n * type(x)(0.0), n * h) / n


def at_rest(x, h, n):
    """Solution of dx/dt = x (x - 2 h) after a time n: a logistic equation."""
    with mpmath.workdps(60):
        return 2 * h * x * mpmath.exp(-2 * h * n) / (2 * h + x * mpmath.expm1(-2 * h * n))


def rest(model, x, n, a, b=0.0, kind=np.float64):
    """:func:`rest_sweep` of rows; one device may serve all."""
    x = np.array(x, kind, ndmin=1)
    row = [np.broadcast_to(np.asarray(v, kind), x.shape).copy() for v in (a, b, 1.0, 1.0, 0.0)]
    rest_sweep(model, x, np.broadcast_to(np.asarray(n, kind), x.shape).copy(), DeviceArrays(*row))
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_exponential_is_exact_to_a_unit_in_the_last_place(kind):
    rng = np.random.default_rng(0)
    spread = [rng.uniform(0, FAR[kind], 2000), 10 ** rng.uniform(-12, 0, 2000)]
    y = np.concatenate([*spread, np.arange(1, 120) * math.log(2) / 2]).astype(kind)
    y = y[y < FAR[kind]]
    left, gone = np.empty_like(y), np.empty_like(y)
    both(y, left, gone)
    unit = float(np.finfo(kind).eps)
    with mpmath.workdps(40):
        for at, some, others in zip(y, left, gone, strict=True):
            exact = mpmath.exp(-mpmath.mpf(float(at)))
            assert abs(float(some) / exact - 1) <= unit
            assert abs(float(others) / -mpmath.expm1(-mpmath.mpf(float(at))) - 1) <= unit


@pytest.mark.parametrize("kind", KINDS)
def test_exponential_at_its_ends(kind):
    y = np.array([0.0, FAR[kind], 1e30, np.inf], kind)
    left, gone = np.empty_like(y), np.empty_like(y)
    both(y, left, gone)
    assert left.tolist() == [1, 0, 0, 0]
    assert gone.tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("kind", KINDS)
@given(st.floats(-300, 27), st.floats(14, 25), st.floats(1e-4, 0.03), ticks)
def test_many_ticks_agree_with_high_precision(kind, x, h, s, n):
    """Rounding of the exponent counts as often as it is long, that of the denominator more where it is small."""
    x, h, n = kind(x * s), kind(h * s), kind(n)
    wanted, unit = float(at_rest(*(mpmath.mpf(float(v)) for v in (x, h, n)))), float(np.finfo(kind).eps)
    length, far = 2 * float(h) * float(n), 2 * math.exp(-FAR[kind]) * abs(float(x))
    den = min(1, 1 - float(x) / (2 * float(h)) * -math.expm1(-length))
    bound = 4 * unit * (1 + min(length, FAR[kind])) * abs(wanted) + far + float(np.finfo(kind).smallest_subnormal)
    assert abs(float(rest(SKYRMION, x, n, h, kind=kind)[0]) - wanted) <= bound / den


@given(st.floats(-300, 60), st.floats(5, 25), st.floats(1e-4, 0.03), st.integers(1, 10_000))
def test_rest_is_the_step_under_no_drive(x, h, s, n):
    found, wanted = rest(SKYRMION, x * s, n, h * s)[0], by_scaling(x * s, float(n), h * s)
    den = 1 - x / (2 * h) * -math.expm1(-2 * h * s * n)
    if abs(den) > 1e-6:  # else it ran away within rounding of the end
        assert found == wanted or abs(found - wanted) <= 1e-11 / min(abs(den), 1) * abs(wanted) + 1e-290


@given(st.floats(-300, 60), st.floats(5, 25), st.floats(1e-4, 0.03), ticks, st.floats(0, 2), st.sampled_from(KINDS))
def test_one_by_one_and_side_by_side_are_the_same_bits(x, h, s, n, b, kind):
    """It decides nothing who is advanced with whom."""
    for model in (SKYRMION, LEAKY):
        row = rest(model, np.full(37, x * s), n, h * s, b, kind)
        one = advance(model, kind(x * s), n, kind(0.0), kind(h * s), kind(b), kind(1.0))
        assert row.tobytes() == np.full(37, one, kind).tobytes()


@given(st.floats(-300, 60), st.floats(5, 25), st.floats(1e-4, 0.03), st.floats(0, 2))
def test_no_tick_changes_nothing_and_one_tick_is_the_step(x, h, s, b):
    x, h = x * s, h * s
    for model, a in ((SKYRMION, h), (LEAKY, math.exp(-b))):
        assert rest(model, x, 0, a, b)[0] == x
        assert rest(model, x, 1, a, b)[0] == pytest.approx(flow(model, x, 0.0, a, b, 1.0, 0.0), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_after_long_all_are_at_rest(kind):
    x = np.array([-3.0, -0.01, 0.0, 0.01, 0.0942], kind)
    assert not rest(SKYRMION, x, 2**31, 0.065, kind=kind).any()
    assert not rest(LEAKY, x, 2**31, 0.0, 0.13, kind).any()
    assert np.array_equal(rest(LEAKY, x, 2**31, 1.0, 0.0, kind), x)
    assert rest(SKYRMION, kind(0.14), 2**31, 0.065, kind=kind)[0] == np.inf


@pytest.mark.parametrize("row", [row for row in GOLDEN if float(row["q"]) == 0], ids=lambda row: row["id"])
@pytest.mark.parametrize(("kind", "tolerance"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_golden_values(row, kind, tolerance):
    k1, k2, x0, t, wanted = (float(row[name]) for name in ("k1", "k2", "x0", "t", "x_t"))
    found = float(rest(SKYRMION, x0 * t / k1, 1, -k2 / 2 * t / k1, kind=kind)[0]) * k1 / t
    assert found == pytest.approx(math.inf if math.isnan(wanted) else wanted, rel=tolerance, abs=tolerance * 1e-6)
