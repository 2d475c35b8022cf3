"""What does not fit is refused before anything is computed, with what was given, what was expected and the repair."""

import numpy as np
import pytest

from eventsim import LIF, MTJ
from eventsim.errors import ConfigError, DataError, InputError, NetworkError
from eventsim.training import CrossEntropy, Model, gradient, mtj_mlp
from eventsim.training.convnets import two_conv
from eventsim.training.layer import Parameterless
from eventsim.training.linear import Conv, Dense
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import Dropout, Flatten, ReLU
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking
from tests.nets import NETS, batch, moving

SAMPLES, TICKS, INPUTS = 4, 3, 6


class Untouched(Parameterless):
    """A layer that nothing may reach."""

    def forward(self, params, x, mode):
        pytest.fail("a batch that does not fit was computed with")


def refused(kind, x=None, labels=None, **settings):
    """The error of a gradient, which must know a way out."""
    model = Model([Untouched(), Dense(INPUTS, 3)], (INPUTS,))
    x = np.zeros((SAMPLES, TICKS, INPUTS), np.uint8) if x is None else x
    labels = np.zeros(SAMPLES, int) if labels is None else labels
    with pytest.raises(kind) as caught:
        gradient(model, model.initial(0), x, labels, CrossEntropy(), **settings)
    return complete(caught.value)


def complete(error):
    assert isinstance(error, InputError)
    assert str(error.given)
    assert str(error.expected)
    assert error.repair
    return str(error)


@pytest.mark.parametrize(
    ("layers", "inputs", "named"),
    [
        (
            [Dense(4, 3), Dense(5, 2)],
            (4,),
            ["Dense(sources=4, targets=3", "Dense(sources=5, targets=2", "Dense(3, ...)"],
        ),
        ([Dense(4, 3)], (5,), ["Dense(sources=4", "(5,)", "first in its chain"]),
        ([Conv(1, 4), Spiking(LIF()), Dense(4, 2)], (6, 6, 1), ["Dense(sources=4", "Spiking(neurons=LIF", "Flatten()"]),
        ([Conv(1, 4), ReLU(), Conv(3, 2)], (9, 9, 1), ["Conv(sources=3", "after ReLU()", "Conv(4, 2, ...)"]),
        ([Conv(1, 4), Conv(4, 2, (9, 9))], (6, 6, 1), ["size=(9, 9)", "Conv(sources=1", "smaller kernel"]),
        ([Conv(1, 4, (3,))], (6, 6, 1), ["(length, 1)", "(6, 6, 1)"]),
        ([Conv(1, 4), BatchNorm(3)], (6, 6, 1), ["BatchNorm(channels=3", "Conv(sources=1", "BatchNorm(4)"]),
        ([Dense(4, 3), AvgPool(2)], (4,), ["AvgPool(size=2", "Dense(sources=4"]),
        ([Conv(1, 4), MaxPool(7)], (6, 6, 1), ["MaxPool(size=7", "Conv(sources=1"]),
        ([Flatten(), GlobalPool()], (6, 6, 1), ["GlobalPool", "after Flatten()"]),
        ([Dense(4, 3), Spiking(MTJ().identical(5))], (4,), ["5 devices", "Dense(sources=4", "neuron.draw(3"]),
        ([Conv(1, 4)], (6, 6, 1), ["no logits", "Conv(sources=1", "Flatten()"]),
    ],
)
def test_layers_that_do_not_fit_are_both_named(layers, inputs, named):
    with pytest.raises(NetworkError) as caught:
        Model(layers, inputs)
    text = complete(caught.value)
    assert all(part in text for part in named), text


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(0, 3),
        lambda: Dense(3, True),
        lambda: Conv(2, 4, (3, 3), stride=0),
        lambda: Conv(2, 4, (3, 3), padding=3),
        lambda: Conv(2, 4, (3, 3, 3)),
        lambda: Conv(2, 4, 3),
        lambda: Dense(3.0, 2),
        lambda: Dense("3", 2),
        lambda: Conv(2, 4, (3, True)),
        lambda: Conv(2, 4, (3, 3), padding=1.0),
        lambda: Conv(2, 4, (3, 3), padding=True),
        lambda: Conv(2, 4, groups=None),
        lambda: Conv(2, 4, groups=3),
        lambda: BatchNorm(0),
        lambda: BatchNorm(4, "both"),
        lambda: BatchNorm(4, momentum=0),
        lambda: BatchNorm(4.0),
        lambda: BatchNorm(True),
        lambda: BatchNorm(4, momentum="0.1"),
        lambda: BatchNorm(4, momentum=True),
        lambda: BatchNorm(4, eps=None),
        lambda: AvgPool(0),
        lambda: MaxPool(2, stride=-1),
        lambda: MaxPool("2"),
        lambda: AvgPool(2, 1.5),
        lambda: MaxPool(2, router="best"),
        lambda: MaxPool(16),
        lambda: Dropout(1.0),
        lambda: Dropout("0.5"),
        lambda: Dropout(None),
        lambda: Dropout(False),
        lambda: Dropout([0.5]),
        lambda: Spiking("MTJ"),
        lambda: Spiking(MTJ(), "step"),
        lambda: Spiking(MTJ(), ["sigmoid"]),
        lambda: Spiking(MTJ(), sharpness=0),
        lambda: Spiking(MTJ(), sharpness="4"),
        lambda: Spiking(MTJ(), sharpness=True),
        lambda: Spiking(MTJ(), detach_reset="no"),
        lambda: Dense(4, 3, bias="no"),
        lambda: Residual(None),
        lambda: Residual("ab"),
        lambda: Model([Dense(1, 2)], (True,)),
        lambda: Model([Dense(4, 2)], (4,), heads=[]),
        lambda: mtj_mlp((4,)),
        lambda: mtj_mlp((4, 3.0, 2)),
        lambda: mtj_mlp(4),
        lambda: mtj_mlp((4, 3, 2), sharpness="4"),
        lambda: mtj_mlp((4, 3, 2), levels=16.5),
        lambda: mtj_mlp((4, 3, 2), neuron=MTJ(), devices=[MTJ().identical(3)]),
        lambda: mtj_mlp((4, 3, 2), devices=[MTJ().identical(4)]),
        lambda: mtj_mlp((4, 3, 2), devices=[MTJ()]),
    ],
)
def test_layers_that_cannot_be_are_refused(make):
    with pytest.raises(NetworkError) as caught:
        make()
    complete(caught.value)


def test_layers_that_do_not_fit_are_both_named_wherever_they_lie():
    """In a branch, which says where it lies itself; and on their way through a builder."""
    inner = Residual([Conv(2, 3), Conv(4, 2)], [Conv(2, 2)])
    with pytest.raises(NetworkError) as caught:
        Model([ReLU(), inner, Flatten(), Dense(18, 2)], (5, 5, 2))
    assert all(part in complete(caught.value) for part in ("Conv(sources=4", "after Conv(sources=2", "after ReLU()"))
    with pytest.raises(NetworkError) as caught:
        two_conv(ReLU(), inputs=(3, 3, 1))
    assert all(part in complete(caught.value) for part in ("AvgPool(size=2", "after ReLU()"))


def test_whole_numbers_of_any_type_are_taken():
    """Sizes that come out of arrays: small integer types would overflow in the arithmetic of shapes."""
    n = np.uint8
    layers = [Conv(n(2), n(4), (n(3), n(3)), n(1), n(1), n(2)), BatchNorm(n(4)), AvgPool(n(2)), Dense(n(9), n(3))]
    assert layers == [Conv(2, 4, (3, 3), 1, 1, 2), BatchNorm(4), AvgPool(2), Dense(9, 3)]
    numbers = [value for layer in layers for value in vars(layer).values() if value is not None]
    assert not any(isinstance(value, np.generic) for value in numbers)


@pytest.mark.parametrize(
    "labels",
    [
        np.full(SAMPLES, 3),
        np.array([0, 1, 2, -1]),
        np.array([0, 1, 2, 2**40]),
        np.zeros(SAMPLES),
        np.full(SAMPLES, np.nan),
        np.zeros(SAMPLES, bool),
        np.zeros(SAMPLES - 1, int),
        np.zeros((SAMPLES, 1), int),
        np.eye(3, dtype=int)[[0, 1, 2, 0]],
        np.zeros(0, int),
        np.array(list("0120")),
        [[0, 1], [2], [0], [1]],
    ],
    ids=str,
)
def test_labels_that_do_not_fit_are_refused(labels):
    text = refused(DataError, labels=labels)
    assert "0 to 2" in text


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((SAMPLES, INPUTS)),
        np.zeros((SAMPLES, TICKS, INPUTS + 1)),
        np.zeros((SAMPLES, TICKS, 2, 3)),
        np.zeros((0, TICKS, INPUTS)),
        np.zeros((SAMPLES, 0, INPUTS)),
        np.zeros((SAMPLES, TICKS, INPUTS), complex),
        np.full((SAMPLES, TICKS, INPUTS), "0"),
        np.full((SAMPLES, TICKS, INPUTS), None),
        np.full((SAMPLES, TICKS, INPUTS), 2, np.uint8),
        np.full((SAMPLES, TICKS, INPUTS), -1),
        np.full((SAMPLES, TICKS, INPUTS), np.nan),
        np.full((SAMPLES, TICKS, INPUTS), np.inf, np.float32),
        np.ma.masked_all((SAMPLES, TICKS, INPUTS)),
        [[[0.0] * INPUTS], [[0.0] * INPUTS, [0.0] * INPUTS]],
        Signal(np.zeros((SAMPLES, TICKS, INPUTS - 1))),
        Signal(np.full((SAMPLES, TICKS, INPUTS), np.nan)),
    ],
)
def test_batches_that_do_not_fit_are_refused(x):
    labels = np.zeros(len(getattr(x, "values", x)), int)
    refused(DataError, x=x, labels=labels)


def test_static_samples_without_an_axis_of_ticks_are_told_how():
    assert "x[:, None]" in refused(DataError, x=np.zeros((SAMPLES, INPUTS)))


@pytest.mark.parametrize("ticks", [0, -1, 2.0, True, 2, 4, "3"])
def test_ticks_that_are_none_or_others_are_refused(ticks):
    refused(ConfigError, ticks=ticks)
    model = Model([Dense(INPUTS, 3)], (INPUTS,))
    for call in (model.logits, model.spikes):
        with pytest.raises(ConfigError, match="number of ticks"):
            call(model.initial(0), np.zeros((SAMPLES, TICKS, INPUTS)), ticks)


@pytest.mark.parametrize("settings", [{"method": "rtrl"}, {"method": None}, {"scale": "half"}])
def test_gradients_that_are_not_known_are_refused(settings):
    assert '"bptt"' in refused(ConfigError, **settings)


@pytest.mark.parametrize("settings", [{"workers": 2}, {"step": -1}, {"step": 1.0}, {"done": np.nan}, {"done": 1.5}])
def test_settings_of_a_gradient_that_are_not_usable_are_refused(settings):
    refused(ConfigError, **settings)


@pytest.mark.parametrize("change", [None, [], {"0/weight": [[0.0]]}, {"2/weight": [0.0]}], ids=str)
def test_parameters_that_are_not_those_of_the_model_are_refused(change):
    model = Model([Dense(INPUTS, 3)], (INPUTS,))
    params = {**model.initial(0), **change} if isinstance(change, dict) else change
    with pytest.raises(InputError) as caught:
        gradient(model, params, np.zeros((SAMPLES, TICKS, INPUTS)), np.zeros(SAMPLES, int), CrossEntropy())
    complete(caught.value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", [BatchNorm(2), AvgPool(2), Flatten()])
def test_a_model_computes_in_the_type_of_its_parameters(layer, dtype):
    """Whatever the type of its input, and whichever layer sees it first."""
    model = Model([layer, Flatten(), Dense(8 if isinstance(layer, AvgPool) else 32, 3)], (4, 4, 2))
    params = {name: value.astype(dtype) for name, value in model.initial(0).items()}
    for other in (np.float32, np.float64):
        x = np.ones((SAMPLES, 1, 4, 4, 2), other)
        found = gradient(model, params, x, np.zeros(SAMPLES, int), CrossEntropy())
        assert {found.logits.dtype, *(value.dtype for value in found.params.values())} == {np.dtype(dtype)}


def test_spikes_may_come_as_bytes_booleans_or_numbers_and_folded_or_not():
    model = NETS["convolution"]
    params, (x, labels) = moving(model, 0), batch(model, 0, 2, spikes=True)
    wanted = gradient(model, params, x, labels, CrossEntropy())
    for other in (x.astype(bool), x.astype(np.int64), x.astype(float), x.reshape(*x.shape[:2], -1)):
        found = gradient(model, params, other, labels.astype(np.uint8), CrossEntropy())
        assert np.array_equal(found.logits, wanted.logits)
        for name, value in wanted.params.items():
            assert found.params[name] == pytest.approx(value, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", ["bptt", "ratebp"])
def test_parameters_and_batch_are_left_alone(name, method):
    """And a gradient that is computed twice is the same twice."""
    model = NETS[name]
    params, (x, labels) = moving(model, 0), batch(model, 0, 2)
    before = [value.copy() for value in (x, labels, *params.values())]
    one, two = (gradient(model, params, x, labels, CrossEntropy(), method=method, seed=1) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(before, (x, labels, *params.values()), strict=True))
    assert all(np.array_equal(one.params[key], two.params[key]) for key in two.params)
