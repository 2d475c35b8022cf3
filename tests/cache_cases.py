"""Teachers and caches that tests share."""

import numpy as np

from eventsim import LIF, MTJ
from eventsim.training import Dataset, Direct, FunctionTeacher, GaussianThreshold, Model, ModelTeacher, load, relu_mlp
from eventsim.training.linear import Dense
from eventsim.training.spiking import Spiking

SOME = "0" * 64


def few(samples=300, classes=10):
    """The first digits, split in three."""
    digits, order = load("digits"), np.random.default_rng(0).permutation(samples)
    train, validation, test = np.split(order, [samples // 2, samples // 2 + samples // 4])
    return Dataset("few", digits.x[:samples], digits.labels[:samples] % classes, train, validation, test, (8, 8))


def relu_teacher(seed=0, **more):
    model = relu_mlp((64, 12, 10))
    return ModelTeacher(model, model.initial(seed), Direct(), name="relu", **more)


def spiking_teacher(seed=0, neuron=None, **more):
    """Two layers of neurons, the second one its output."""
    layers = [Dense(64, 12), Spiking(MTJ()), Dense(12, 10), Spiking(neuron or LIF())]
    model = Model(layers, (64,))
    params = {name: 3 * value for name, value in model.initial(seed).items()}
    return ModelTeacher(model, params, GaussianThreshold(5, seed=1), spikes=True, name="spiking", **more)


def saying(logits):
    """A teacher that says the same whatever it is asked, or what a function of the samples gives."""
    return FunctionTeacher(logits if callable(logits) else lambda x: logits, "saying", SOME)


def same(one, two):
    """Whether two answers are the same, bit for bit."""
    assert one.logits.dtype == two.logits.dtype == np.float32
    assert np.array_equal(one.logits, two.logits)
    assert one.features.keys() == two.features.keys()
    assert all(np.array_equal(one.features[name], two.features[name]) for name in one.features)
    assert (one.spikes is None) == (two.spikes is None)
    assert one.spikes is None or np.array_equal(one.spikes, two.spikes)


ONE = relu_teacher()
