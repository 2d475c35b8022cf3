"""Differentiation on spike representation: rates as lines, clipped to 0 and 1."""

import numpy as np
import pytest

from eventsim import IF, LIF
from eventsim.errors import ConfigError
from eventsim.training import CrossEntropy, gradient
from eventsim.training.layer import Mode
from eventsim.training.linear import Dense
from eventsim.training.model import Model
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking
from tests.nets import NETS, batch, moving

TICKS = 32


def test_a_rate_has_slope_one_between_none_and_all():
    layer, mode = Spiking(LIF()), Mode(TICKS, "dsr")
    drive = np.linspace(-1, 4, 60, dtype=np.float32).reshape(3, 1, 20)
    step = layer.forward({}, Signal(drive), mode)
    count = step.signal.values.sum(axis=1, dtype=int)
    assert {0, TICKS} < set(count.ravel())
    grad = np.random.default_rng(0).normal(size=(3, 1, 20)).astype(np.float32)
    found = layer.backward({}, step.kept, grad, mode, True).grad
    assert np.array_equal(found[:, 0], grad[:, 0] * ((count > 0) & (count < TICKS)))


def test_integrate_and_fire_neurons_learn_as_clipped_units():
    """Rates are drives, clipped, to a spike; gradients are those of a network of such units."""
    rng = np.random.default_rng(1)
    model = Model([Dense(4, 30), Spiking(IF(reset_mode="soft")), Dense(30, 3)], (4,))
    params = {name: value.astype(np.float64) for name, value in model.initial(0).items()}
    x = rng.normal(size=(8, 1, 4))
    drive = x[:, 0] @ params["0/weight"]
    labels = np.arange(8) % 3
    found = gradient(model, params, x, labels, CrossEntropy(), ticks=200, method="dsr")
    rates = model.spikes(params, x, ticks=200)[0].mean(axis=1)
    assert rates == pytest.approx(np.clip(drive, 0, 1), abs=1 / 200 + 1e-9)
    logits = rates @ params["2/weight"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    slope = (p - np.eye(3)[labels]) / 8
    by_drive = (slope @ params["2/weight"].T) * ((rates > 0) & (rates < 1))
    assert found.params["2/weight"] == pytest.approx(rates.T @ slope)
    assert found.params["0/weight"] == pytest.approx(x[:, 0].T @ by_drive)


@pytest.mark.parametrize("name", ["batch norm by ticks", "largest", "average pooling", "added spikes", "dropout"])
def test_every_layer_goes_the_same_one_step_as_in_ratebp(name):
    """The forward pass is the same, too, with its batch statistics."""
    model = NETS[name]
    params, (x, labels) = moving(model, 0), batch(model, 0, 4)
    one = gradient(model, params, x, labels, CrossEntropy(), method="dsr")
    two = gradient(model, params, x, labels, CrossEntropy(), method="ratebp")
    assert one.value == two.value
    assert all(np.array_equal(one.moved[key], two.moved[key]) for key in two.moved)
    assert {key: value.shape for key, value in one.params.items()} == {k: v.shape for k, v in two.params.items()}
    assert all(np.isfinite(value).all() and value.any() for value in one.params.values())


def test_the_authors_gradient_is_divided_by_the_ticks():
    model = NETS["dense"]
    params, (x, labels) = moving(model, 0), batch(model, 0, 4)
    exact, author = (
        gradient(model, params, x, labels, CrossEntropy(), method="dsr", scale=scale).params
        for scale in ("exact", "author")
    )
    for name, value in exact.items():
        assert author[name] == pytest.approx(value / 4, rel=1e-12, abs=1e-15)


def test_one_tick_is_refused():
    model = Model([Dense(4, 3), Spiking(IF()), Dense(3, 2)], (4,))
    with pytest.raises(ConfigError, match="of several ticks"):
        gradient(model, model.initial(0), np.zeros((1, 1, 4)), np.zeros(1, int), CrossEntropy(), method="dsr")
