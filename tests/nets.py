"""Small networks of every kind of layer, with parameters in double precision, and their finite differences."""

import math
from dataclasses import dataclass

import numpy as np

from eventsim import IF, LIF, MTJ, Oscillator
from eventsim.training import CrossEntropy, Model, gradient
from eventsim.training.layer import Layer
from eventsim.training.linear import Conv, Dense
from eventsim.training.model import Chain
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import Dropout, Flatten, ReLU
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking

CLASSES = 3
RUNNING = ("mean", "variance")
"""Running statistics, which are no parameters."""


def spiking(neuron=None, surrogate="sigmoid", **settings):
    """Neurons whose reset is part of the derivative."""
    return Spiking(LIF() if neuron is None else neuron, surrogate, detach_reset=False, **settings)


def net(inputs, *layers):
    """A model of these layers, with a readout unless they end in as many values as there are classes."""
    shape = Chain(layers).shape(inputs)
    readout = [] if shape == (CLASSES,) else [Flatten(), Dense(math.prod(shape), CLASSES)]
    return Model([*layers, *readout], inputs)


def image(*layers):
    """A network for images of 6 times 5 pixels; its first layer makes inner ones of all others."""
    return net((6, 5, 2), Conv(2, 4, (2, 2), bias=True), *layers)


def series(*layers):
    """A network for series of 9 values in two channels."""
    return net((9, 2), Conv(2, 4, (3,), padding=1), *layers)


def rows(*layers):
    """A network for rows of 5 values."""
    return net((5,), Dense(5, 6), *layers)


NETS = {
    "dense": rows(spiking()),
    "dense after dense": rows(Dense(6, 6, bias=False), spiking()),
    "two spiking layers": rows(spiking(), Dense(6, 6), spiking()),
    "convolution": image(spiking(), Conv(4, 3, (3, 2), padding=1), spiking()),
    "stride": image(Conv(4, 3, (3, 3), stride=2, padding=2), spiking()),
    "groups": image(Conv(4, 6, (2, 2), groups=2, bias=True), spiking()),
    "depthwise": image(Conv(4, 4, (3, 3), groups=4, padding=1), spiking()),
    "pointwise": image(Conv(4, 3, (1, 1)), spiking()),
    "series": series(spiking(), Conv(4, 6, (4,), stride=2, padding=1, groups=2), spiking()),
    "batch norm": image(BatchNorm(4), spiking(), Conv(4, 3, (2, 2)), BatchNorm(3), spiking(), GlobalPool()),
    "batch norm by ticks": image(BatchNorm(4, "tick"), spiking(), Conv(4, 3), BatchNorm(3, "tick"), GlobalPool()),
    "batch norm of rows": rows(BatchNorm(6), spiking(), BatchNorm(6)),
    "batch norm of batch norm by ticks": rows(spiking(), Dense(6, 6), BatchNorm(6, "tick"), BatchNorm(6), spiking()),
    "batch norm by ticks of batch norm": rows(spiking(), BatchNorm(6), BatchNorm(6, "tick"), spiking()),
    "batch norm by ticks twice": rows(spiking(), Dense(6, 6), BatchNorm(6, "tick"), BatchNorm(6, "tick"), spiking()),
    "average pooling": image(spiking(), AvgPool(2), Conv(4, 3, (2, 2)), spiking(), GlobalPool()),
    "overlapping pooling": image(BatchNorm(4), AvgPool(3, 1), spiking()),
    "pooling of series": series(AvgPool(2), spiking(), AvgPool(3, 1)),
    "largest": image(spiking(), MaxPool(2), Conv(4, 3, (1, 1)), spiking(), GlobalPool()),
    "largest of sums": image(BatchNorm(4), MaxPool(3, 1), spiking()),
    "largest of series": series(spiking(), MaxPool(2), MaxPool(3, 1)),
    "added currents": image(Residual([Conv(4, 4, padding=1), BatchNorm(4)]), spiking(), Conv(4, 3, (1, 1))),
    "added to a shortcut": image(
        spiking(),
        Residual([Conv(4, 6, (2, 2)), BatchNorm(6), spiking(), Conv(6, 6, padding=1)], [Conv(4, 6, (2, 2), bias=True)]),
        BatchNorm(6, "tick"),
        spiking(),
    ),
    "added spikes": image(spiking(), Residual([Conv(4, 4, padding=1), spiking()], add="spike"), Conv(4, 3)),
    "added spikes and currents": rows(Residual([spiking(), BatchNorm(6, "tick")]), BatchNorm(6), spiking()),
    "dropout": rows(Dropout(0.3), spiking(), Dropout(0.5)),
    "rectified": rows(ReLU(), Dense(6, 6), spiking(), Dense(6, 6), ReLU()),
    "MTJ": rows(spiking(MTJ())),
    "MTJ, soft": rows(spiking(MTJ(reset_mode="soft")), Dense(6, 6), spiking(MTJ(reset_mode="soft"))),
    "LIF, soft": rows(spiking(LIF(reset_mode="soft"))),
    "IF": rows(spiking(IF())),
    "IF, soft": rows(spiking(IF(reset_mode="soft"))),
    "refractory": rows(spiking(LIF(refractory=1))),
    "oscillator": rows(spiking(Oscillator(damping=0.05))),
    "rectangle": rows(spiking(surrogate="rectangle", sharpness=0.3)),
    "triangle": rows(spiking(surrogate="triangle", sharpness=0.5)),
    "arctan": rows(spiking(surrogate="arctan")),
    "sharp": rows(spiking(MTJ(), sharpness=8.0)),
}


@dataclass(frozen=True)
class Plain:
    """A layer that gets real numbers, whatever comes in: no byte, no count and no line beside the values."""

    layer: Layer

    def __getattr__(self, name):
        return getattr(self.layer, name)

    def forward(self, params, x, mode):
        return self.layer.forward(params, Signal(x.plain(np.float64)), mode)


def plain(model):
    return Model([Plain(layer) for layer in model.layers], model.inputs)


def moving(model, seed):
    """Parameters in double precision, of such a size that neurons are near their threshold."""
    rng = np.random.default_rng(seed)
    params = {name: value.astype(np.float64) for name, value in model.initial(seed).items()}
    middle = {"bias": 0.4, "beta": 0.4, "gamma": 1.0}
    for name, value in params.items():
        kind = name.split("/")[-1]
        params[name] = rng.normal(middle[kind], 0.3, value.shape) if kind in middle else value
    return params


def batch(model, seed, ticks, samples=4, *, spikes=False):
    """Samples of so many ticks, with labels."""
    rng = np.random.default_rng([seed, ticks])
    x = rng.normal(0.3, 1, (samples, ticks, *model.inputs))
    return (x > 0.5).astype(np.uint8) if spikes else x, rng.integers(0, CLASSES, samples)


def differences(value, params, seed, e=1e-5):
    """Slope of a function of parameters along a random direction of each, by two differences."""
    rng, found = np.random.default_rng(seed), {}
    for name, start in params.items():
        if name.split("/")[-1] in RUNNING:
            continue
        way = rng.normal(size=start.shape)
        ends = [value({**params, name: start + k * e * way}) for k in (-2, -1, 1, 2)]
        wide, near = (ends[3] - ends[0]) / (4 * e), (ends[2] - ends[1]) / (2 * e)
        found[name] = way, near + (near - wide) / 3, wide
    return found


def smooth_loss(model, x, labels, ticks, seed=3):
    """Loss with smooth spikes, of which the gradient is the plain derivative."""

    def value(params):
        return smooth_gradient(model, params, x, labels, ticks, seed).value

    return value


def smooth_gradient(model, params, x, labels, ticks, seed=3):
    return gradient(model, params, x, labels, CrossEntropy(), ticks=ticks, method="bptt", smooth=True, seed=seed)
