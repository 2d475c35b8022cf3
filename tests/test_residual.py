import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import LIF, MTJ
from eventsim.errors import NetworkError
from eventsim.parallel import Workers
from eventsim.training.gradient import gradient
from eventsim.training.label_objective import CrossEntropy
from eventsim.training.layer import Mode
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.model import Model
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool
from eventsim.training.residual import Residual
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking
from tests.strategies import seeds


def block(unit, add="current", grid=None):
    """A block with a projected shortcut, one with an identical one, and a head."""
    end = [unit] if add == "spike" else []
    after = [] if add == "spike" else [unit]
    first = [Conv(2, 3, padding=1, stride=2, grid=grid), BatchNorm(3), unit, Conv(3, 3, padding=1, grid=grid)]
    short = [Conv(2, 3, (1, 1), stride=2, grid=grid), BatchNorm(3), *end]
    return [
        Residual([*first, BatchNorm(3), *end], short, add),
        *after,
        Residual([Conv(3, 3, padding=1, grid=grid), BatchNorm(3), *end], (), add),
        *after,
        GlobalPool(),
        Dense(3, 2, grid=grid),
    ]


def drawn(model, seed, dtype=np.float64):
    """Random parameters, statistics included."""
    rng = np.random.default_rng(seed % 2**32)
    params = {}
    for name, value in model.initial(seed).items():
        spread = rng.normal(0, 0.3, value.shape)
        params[name] = (
            np.abs(value + spread).astype(dtype) if name.endswith("variance") else (2 * value + spread).astype(dtype)
        )
    return params


@pytest.mark.parametrize("add", ["current", "spike"])
@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize("neuron", [LIF(), MTJ()])
def test_gradient_through_both_branches_is_the_finite_difference(add, static, neuron):
    model = Model(block(Spiking(neuron, detach_reset=False), add), (5, 4, 2))
    params, rng = drawn(model, 3), np.random.default_rng(1)
    x = rng.random((3, 1 if static else 3, 5, 4, 2))
    labels = np.array([0, 1, 1])

    def value(at):
        return gradient(model, at, x, labels, CrossEntropy(), ticks=3, method="bptt", smooth=True)

    found = value(params)
    learned = [name for name in params if not name.endswith(("mean", "variance"))]
    assert set(found.params) == set(learned)
    for name in learned:
        direction = rng.normal(size=params[name].shape)
        up, down = (value({**params, name: params[name] + h * direction}).value for h in (1e-6, -1e-6))
        assert (found.params[name] * direction).sum() == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-7), name


@given(seeds(), st.sampled_from(["current", "spike"]))
def test_one_tick_of_ratebp_is_bptt(seed, add):
    model = Model(block(Spiking(LIF()), add), (5, 4, 2))
    params = drawn(model, seed)
    x = np.random.default_rng(seed % 2**32).random((3, 1, 5, 4, 2))
    one, two = (
        gradient(model, params, x, np.array([0, 1, 0]), CrossEntropy(), method=method) for method in ("bptt", "ratebp")
    )
    for name in one.params:
        assert one.params[name] == pytest.approx(two.params[name], rel=1e-6, abs=1e-9)


def test_a_static_branch_is_added_in_every_tick():
    layer = Residual([Conv(1, 2), Spiking(LIF()), Conv(2, 2, (1, 1))], [Conv(1, 2)])
    params = layer.initial(0, "a")
    x = np.random.default_rng(0).random((2, 1, 6, 6, 1)).astype(np.float32)
    mode = Mode(4, "bptt")
    step = layer.forward(params, Signal(x), mode)
    assert step.signal.values.shape == (2, 4, 4, 4, 2)
    lasting = layer.forward(params, Signal(np.repeat(x, 4, axis=1)), mode)
    assert np.array_equal(step.signal.plain(), lasting.signal.plain())
    grad = np.random.default_rng(1).normal(size=step.signal.values.shape).astype(np.float32)
    static, moving = (layer.backward(params, s.kept, grad, mode, True) for s in (step, lasting))
    for name, value in static.params.items():
        assert value == pytest.approx(moving.params[name], rel=1e-4, abs=1e-5)
    assert static.grad == pytest.approx(moving.grad.sum(axis=1, keepdims=True), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("pool", [1, 2])
def test_spikes_of_one_unit_stay_whole_numbers(pool):
    layer = Residual([AvgPool(pool)] if pool > 1 else [Spiking(LIF(threshold=0.5))], [AvgPool(pool)], "spike")
    x = (np.random.default_rng(0).random((2, 3, 4, 4, 2)) < 0.5).astype(np.uint8)
    signal = layer.forward({}, Signal(x, most=1), Mode(3)).signal
    assert signal.values.dtype == np.uint8
    assert signal.most == 2 * pool**2
    assert signal.unit == 1 / pool**2


def test_spikes_of_other_units_are_added_for_what_they_stand_for():
    layer = Residual([Conv(2, 2, (2, 2), stride=2), Spiking(LIF(threshold=0.1))], [AvgPool(2)], "spike")
    params = {"main/0/weight": np.ones((2, 2, 2, 2), np.float32)}
    x = np.ones((1, 1, 4, 4, 2), np.uint8)
    signal = layer.forward(params, Signal(x, most=1), Mode(1)).signal
    assert not signal.whole
    assert np.array_equal(signal.plain(), np.full((1, 1, 2, 2, 2), 2.0, np.float32))


@given(seeds())
def test_no_bit_depends_on_threads(seed):
    model = Model(block(Spiking(LIF()), grid=Grid(8)), (5, 4, 2))
    params = drawn(model, seed, np.float32)
    x = (np.random.default_rng(seed % 2**32).random((5, 3, 5, 4, 2)) < 0.5).astype(np.uint8)
    labels = np.arange(5) % 2
    with pytest.MonkeyPatch.context() as patch, Workers(2) as workers:
        patch.setattr("eventsim.parallel._WORTH", 0)
        one, two = (gradient(model, params, x, labels, CrossEntropy(), workers=w) for w in (Workers(1), workers))
    assert np.array_equal(one.logits, two.logits)
    for name in one.params:
        assert np.array_equal(one.params[name], two.params[name])


def test_rates_and_spikes_are_named_by_place():
    model = Model(block(Spiking(LIF()), "spike"), (5, 4, 2))
    x = model.signal(np.zeros((1, 2, 5, 4, 2), np.uint8))
    forward = model.forward(model.initial(0), x, Mode(2, watch=True))
    assert list(forward.rates) == ["0/main/2", "0/main/5", "0/shortcut/2", "1/main/2"]
    assert list(forward.spikes) == list(forward.rates)


def test_branches_that_do_not_fit_are_named():
    with pytest.raises(NetworkError, match=r"(?s)\(3, 2, 3\).*Conv.*\(5, 4, 2\).*empty"):
        Model([Residual([Conv(2, 3, padding=1, stride=2)]), GlobalPool()], (5, 4, 2))


@pytest.mark.parametrize("arguments", [([], []), ([Conv(2, 2)], (), "both")])
def test_unusable_connections_are_refused(arguments):
    with pytest.raises(NetworkError, match="residual connection"):
        Residual(*arguments)
