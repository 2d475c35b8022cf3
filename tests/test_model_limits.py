"""Single precision, extreme parameters and refusals, for all models whose state moves."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import eventsim
from eventsim import MTJ, Oscillator
from eventsim.checks import LIMIT
from eventsim.errors import DeviceError
from eventsim.kernels import neuron as kernel
from tests.model_cases import assert_close, far, few, models, motions
from tests.model_oracle import WALLS, lowest


def rows_of(model, neuron, x, drive, kind):
    """What the kernels take for rows of starts and drives, in one float type."""
    devices = neuron.identical(len(x))
    c = devices.arrays(kind)
    return [(x / devices.unit).astype(kind), drive.astype(kind), c.a, c.b, c.gain, c.reset]


def run(function, model, rows, *more):
    out = np.empty((2, len(rows[0])) if function is kernel.slopes_of else len(rows[0]), rows[0].dtype)
    function(model.KIND, *rows, *more, out)
    return out


def rounding(function, model, rows, *more):
    """Change of the result, in double precision, if each argument moves by one rounding of single precision."""
    exact = [row.astype(np.float64) for row in (*rows, *more)]
    base = run(function, model, exact[:6], *exact[6:])
    total = 2.0**-24 * np.abs(base)
    for k in range(len(exact)):
        moved = [row * (1 + 2.0**-24) if k == j else row for j, row in enumerate(exact)]
        total = total + np.abs(run(function, model, moved[:6], *moved[6:]) - base)
    return base, total


@models
@few
@given(data=st.data())
def test_single_precision_is_as_good_as_rounded_arguments_allow(model, data):
    neuron, x, drive, _, _ = data.draw(motions(model))
    rows = rows_of(model, neuron, x, drive, np.float32)
    with np.errstate(invalid="ignore"):
        wanted, bound = rounding(kernel.flow_of, model, rows)
        end = run(kernel.flow_of, model, rows)
    assert end.dtype == np.float32
    unit = neuron.identical(1).unit[0]
    near = ~far(neuron, wanted * unit) & np.isfinite(bound)
    # rounding on the scale of the way that is covered, not of where it happens to end
    way = 2.0**-24 * (np.abs(rows[0]) + np.abs(wanted) + (np.abs(rows[2]) if model is MTJ else 0.0))
    assert_close(end[near].astype(np.float64), wanted[near], (16 * bound + 8 * way)[near])


@models
@few
@given(data=st.data())
def test_single_precision_passages_are_as_good_as_rounded_arguments_allow(model, data):
    neuron, x, drive, _, u = data.draw(motions(model))
    threshold = (neuron.threshold * (0.05 + u) / neuron.identical(1).unit).astype(np.float32)
    rows = rows_of(model, neuron, x, drive, np.float32)
    with np.errstate(invalid="ignore"):
        wanted, bound = rounding(kernel.passage_of, model, rows, threshold)
    time = run(kernel.passage_of, model, rows, threshold)
    assert time.dtype == np.float32
    decided = (wanted < 1e4) & (bound < 0.01 * wanted + 1e-300)
    assert_close(time[decided].astype(np.float64), wanted[decided], 64 * bound[decided] + 1e-30)


@models
@few
@given(data=st.data())
def test_single_precision_slopes_follow_double(model, data):
    neuron, x, drive, _, _ = data.draw(motions(model))
    rows = rows_of(model, neuron, x, drive, np.float32)
    end = run(kernel.flow_of, model, [row.astype(np.float64) for row in rows])
    with np.errstate(invalid="ignore"):
        wanted, bound = rounding(kernel.slopes_of, model, rows)
    found = run(kernel.slopes_of, model, rows)
    assert found.dtype == np.float32
    unit = neuron.identical(1).unit[0]
    near = (np.abs(end) * unit < 3 * neuron.threshold + 3 * np.abs(x)) & (bound < 0.01 * np.abs(wanted)).all(axis=0)
    near &= end * unit > lowest(neuron) + 1e-4 * neuron.threshold
    scale = 2.0**-24 * np.maximum(np.abs(wanted), [[1.0], [np.abs(rows[4]).max()]])
    assert_close(found[:, near].astype(np.float64), wanted[:, near], (32 * bound + 64 * scale)[:, near])


def magnitudes(low=-6.0, high=6.0):
    return st.floats(low, high).map(lambda power: min(max(10.0**power, 10.0**low), 10.0**high))


@st.composite
def extreme_neurons(draw, model):
    """Neurons with every parameter anywhere in its range."""
    values = {}
    for name, about in model.parameters().items():
        if name == "reset":
            continue
        low = -6.0 if about["least"] <= 0 else math.log10(about["least"])
        value = draw(magnitudes(low, math.log10(about["most"])))
        values[name] = value if about["default"] >= 0 else -value
    if model is MTJ:
        values["allow_self_firing"] = True
    if model is Oscillator:
        values["reset"] = max(1e-12, values["threshold"] * 10 ** draw(st.floats(-6, -0.1)))
        assume(values["reset"] < values["threshold"])
    return model(**values)


signed = st.builds(lambda size, sign: sign * size, magnitudes(), st.sampled_from([-1, 0, 1]))


@models
@few
@given(data=st.data())
def test_extremes_give_no_nan(model, data):
    """Nor a warning: those are errors here."""
    neuron = data.draw(extreme_neurons(model))
    x, drive, time = (np.array(data.draw(st.lists(signed, min_size=6, max_size=6))) for _ in range(3))
    x = np.abs(x) if model in WALLS else np.minimum(np.abs(x), 1.0) if model is Oscillator else x
    for values in (neuron.step(x, drive, np.abs(time)), *neuron.slopes(x, drive, np.abs(time)), neuron.rate(drive)):
        assert not np.isnan(values).any()
    for threshold in (neuron.threshold, np.abs(time), math.inf):
        passages = neuron.first_passage(x, drive, threshold)
        assert (passages >= 0).all()
    for rows in (rows_of(model, neuron, x, drive, np.float64),):
        assert not np.isnan(run(kernel.flow_of, model, rows)).any()


@pytest.mark.parametrize("drive", [1.0, 1e2, 1e4, 1e6, -1e2, -1e4, -1e6])
@models
def test_strong_drives_of_default_neurons_give_no_nan(model, drive):
    neuron = model()
    x = np.array([neuron.rest, 0.0, neuron.reset, 0.5 * neuron.threshold, neuron.threshold])
    values = [neuron.step(x, drive), *neuron.slopes(x, drive), neuron.first_passage(x, drive), neuron.rate(drive)]
    for kind in (np.float32, np.float64):
        rows = rows_of(model, neuron, x, np.full(5, drive), kind)
        values += [run(kernel.flow_of, model, rows), run(kernel.slopes_of, model, rows)]
    for value in values:
        assert not np.isnan(value).any()


@models
def test_a_stronger_push_never_ends_lower(model):
    neuron, drive = model(), np.minimum(10.0 ** np.arange(-2, 6.25, 0.25), LIMIT)
    for x in (neuron.reset, 0.5 * neuron.threshold):
        assert (np.diff(np.minimum(neuron.step(x, drive), LIMIT * LIMIT)) >= 0).all()
        assert (np.diff(neuron.step(x, -drive)) <= 0).all()
        assert (np.diff(neuron.first_passage(x, drive[neuron.first_passage(x, drive) < math.inf])) <= 0).all()


@pytest.mark.parametrize("drive", [1e2, 1e3, 1e4, 1e5, 1e6])
def test_a_strongly_driven_oscillator_saturates(drive):
    """At (I - 1)/(I + nonlinearity), the power at which gain and loss balance."""
    neuron = Oscillator()
    assert neuron.step(0.01, drive, 1e3) == pytest.approx((drive - 1) / (drive + 1), rel=1e-12)
    assert neuron.slopes(0.01, drive, 1e3)[0] == pytest.approx(0.0, abs=1e-30)


def refused(action, *words):
    with pytest.raises(DeviceError) as caught:
        action()
    error = caught.value
    assert error.repair
    for part in ("given:", "expected:", "repair:", *words):
        assert part in str(error)
    return error


@models
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2e6, "20", None, True, 1j])
def test_parameters_that_are_not_finite_numbers_are_refused(model, value):
    for name in model.parameters():
        error = refused(lambda name=name: model(**{name: value}), name)
        assert isinstance(eval(error.repair, dict(vars(eventsim))), model)


@models
def test_parameters_of_the_wrong_sign_are_refused(model):
    for name, about in model.parameters().items():
        if about["least"] < 0:
            continue
        for value in (-about["default"], 0.0 if about["least"] else -1.0):
            error = refused(lambda name=name, value=value: model(**{name: value}), name, f"{value}")
            assert isinstance(eval(error.repair, dict(vars(eventsim))), model)


@models
def test_positions_and_modes_that_are_impossible_are_refused(model):
    neuron = model()
    for reset in (neuron.threshold, neuron.threshold * 1.01):
        refused(lambda reset=reset: model(reset=min(reset, 1.0) if model is Oscillator else reset), "reset", "below")
    for mode in ("Hard", "", None, "both", 0):
        error = refused(lambda mode=mode: model(reset_mode=mode), "reset_mode", "hard")
        assert isinstance(eval(error.repair, dict(vars(eventsim))), model)
    for ticks in (-1, 1.0, 0.5, True, "1", 2**31, None):
        refused(lambda ticks=ticks: model(refractory=ticks), "refractory")


@pytest.mark.parametrize("model", [*WALLS, Oscillator])
def test_resets_off_the_track_are_refused(model):
    refused(lambda: model(reset=-1.0), "reset")


def test_thresholds_beyond_the_unstable_point_have_to_be_allowed():
    error = refused(lambda: MTJ(threshold=28.0), "unstable", "27.6", "allow_self_firing")
    assert "without input" in error.expected
    assert MTJ(threshold=28.0, allow_self_firing=True).threshold == 28
    assert MTJ(threshold=27.6).threshold == 27.6


@given(st.floats(-1e5, -1e-5))
def test_a_threshold_at_the_unstable_point_follows_k2(k2):
    neuron = MTJ(threshold="unstable", k2=k2, reset=k2)
    assert neuron.threshold == -k2
    assert neuron.first_passage(0.0, 0.0) == math.inf
    refused(lambda: MTJ(threshold="Unstable", k2=k2), "threshold")


@models
@pytest.mark.parametrize("method", ["step", "slopes", "first_passage"])
def test_arguments_that_are_impossible_are_refused(model, method):
    call = getattr(model(), method)
    third = "threshold" if method == "first_passage" else "time"
    for value in (math.nan, math.inf, -math.inf, 1.1e6, [0.0, math.nan]):
        refused(lambda value=value: call(value, 0.1), " x ")
        refused(lambda value=value: call(0.1, value), " drive ")
    refused(lambda: call(0.1, 0.1, math.nan), third)
    refused(lambda: call([0.1, 0.2], [0.1, 0.2, 0.3]), "(2,)", "(3,)", "broadcast")
    if third == "time":
        refused(lambda: call(0.1, 0.1, -1.0), "time", "at least 0")
        refused(lambda: call(0.1, 0.1, math.inf), "time")


@models
def test_arguments_broadcast(model):
    neuron = model()
    x, drive, time = np.full((3, 1, 1), 0.1), np.linspace(0, 1, 4)[:, None], np.array([0.5, 1.0])
    table = neuron.step(x, drive, time)
    assert table.shape == (3, 4, 2)
    assert table[2, 3, 1] == neuron.step(0.1, drive[3, 0], 1.0)
    assert neuron.first_passage(x, drive, time).shape == (3, 4, 2)
    assert [by.shape for by in neuron.slopes(x, drive, time)] == [(3, 4, 2)] * 2
    assert neuron.step([], 0.1).shape == (0,)
