"""Fully connected models by name, and what the builders of all models share.

Every builder makes students and teachers alike: ``unit`` is ``Spiking(neuron)`` for the one and ``ReLU()`` for the
other, ``grid`` rounds weights to conductance levels, ``width`` is a factor for all hidden channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from eventsim.checks import is_real, is_whole
from eventsim.device import Devices, Neuron
from eventsim.errors import NetworkError
from eventsim.models import MTJ
from eventsim.training.layer import Layer, Params, Shape
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.model import Chain, Model
from eventsim.training.pooling import AvgPool, MaxPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import ReLU
from eventsim.training.spiking import Spiking

Pool = Literal["avg", "max"]
_FORMS = {1: "(inputs,)", 2: "(length, channels)", 3: "(height, width, channels)"}

_STATISTICS = ("mean", "variance")


def weights(params: Params) -> int:
    """Number of learned parameters: weights, biases, and lines of normalisations, but not their running statistics."""
    return sum(value.size for name, value in params.items() if name.rsplit("/", 1)[-1] not in _STATISTICS)


def multiplications(model: Model) -> int:
    """Products of one forward pass of one sample over one tick, all layers dense."""
    return products(model.layers, model.inputs)


def products(layers: Sequence[Layer], shape: Shape) -> int:
    """Products of layers, likewise, of which the first sees samples of that shape."""
    total = 0
    for layer in layers:
        before, shape = shape, layer.shape(shape)
        match layer:
            case Conv() | Dense():
                total += math.prod(shape) * layer.fan_in
            case Residual():
                total += products(layer.main, before) + products(layer.shortcut, before)
            case Chain():
                total += products(layer.layers, before)
    return total


class Stack:
    """Layers on top of each other, and the shape that has come out so far.

    Parameters
    ----------
    inputs : tuple of int
        Shape of a sample.
    unit : Layer
        What stands behind layers with weights.
    width : float
        Factor for the numbers of channels.
    axes : int
        Of the samples that such models are for.

    Raises
    ------
    NetworkError
        Samples of other axes, a unit that is no layer, or a width that is not positive.
    """

    def __init__(self, inputs: Shape, unit: Layer, width: float = 1.0, *, axes: int) -> None:
        shape = tuple(inputs) if isinstance(inputs, Sequence) else ()
        if len(shape) != axes or not all(is_whole(n) and n >= 1 for n in shape):
            raise NetworkError(
                "The inputs of a model are not usable.",
                given=repr(inputs),
                expected=f"{_FORMS[axes]}, whole numbers from 1",
                repair=f"inputs={(*shape, 1)}" if len(shape) == axes - 1 else f"inputs={(28, 28, 1)[-axes:]}",
            )
        if isinstance(unit, type) or not hasattr(unit, "forward"):
            neuron = isinstance(unit, Neuron | Devices)
            raise NetworkError(
                "The unit of a model is no layer.",
                given=repr(unit),
                expected="a layer: Spiking(neuron) for a student, ReLU() for a teacher",
                repair="unit=Spiking(...) around it" if neuron else "unit=Spiking(MTJ()) or unit=ReLU()",
            )
        if not (is_real(width) and 0 < width < math.inf):
            raise NetworkError(
                "The width of a model is not usable.", given=repr(width), expected="a positive factor", repair="width=1"
            )
        self.inputs, self.unit, self.width = shape, unit, width
        self.layers: list[Layer] = []
        self.shape = shape

    @property
    def channels(self) -> int:
        """Channels that have come out so far."""
        return self.shape[-1]

    def wide(self, channels: int) -> int:
        """A number of channels times the width, at least one."""
        return max(1, round(channels * self.width))

    def add(self, *layers: Layer) -> None:
        """Put layers on top."""
        self.layers += layers
        self.shape = Chain(self.layers).shape(self.inputs)

    def dense(self, targets: int, grid: Grid | None, *, bias: bool = False) -> None:
        """A dense layer on top of everything, without its unit."""
        self.add(Dense(self.channels, targets, bias=bias, grid=grid))

    def model(self) -> Model:
        """All of it."""
        return Model(self.layers, self.inputs)


def pooling(pool: Pool, size: int = 2) -> Layer:
    """Pooling by its name.

    Raises
    ------
    NetworkError
        There is no pooling of that name.
    """
    if pool not in ("avg", "max"):
        raise NetworkError(
            "The pooling of a model is not known.", given=repr(pool), expected='"avg" or "max"', repair='pool="avg"'
        )
    return AvgPool(size) if pool == "avg" else MaxPool(size)


def mlp(sizes: Sequence[int], unit: Layer | Sequence[Layer], *, grid: Grid | None = None, width: float = 1.0) -> Model:
    """Fully connected network with biases.

    Parameters
    ----------
    sizes : sequence of int
        From inputs to classes.
    unit : Layer or sequence of Layer
        Behind every layer but the last, or one for each of them.
    grid : Grid, optional
        Conductance levels; real weights if left out.
    width : float
        Factor for the hidden sizes.

    Raises
    ------
    NetworkError
        Sizes, units or a width that make no network.
    """
    sizes = _checked(sizes)
    units = list(unit) if isinstance(unit, Sequence) else [unit] * (len(sizes) - 2)
    if len(units) != len(sizes) - 2:
        raise NetworkError(
            "The units do not fit the sizes.",
            given=f"sizes {sizes}, {len(units)} units",
            expected="a unit for each hidden layer, or one for all of them",
            repair="mlp((784, 100, 10), ReLU())",
        )
    stack = Stack(sizes[:1], units[0] if units else ReLU(), width, axes=1)
    for own, targets in zip(units, sizes[1:-1], strict=True):
        stack.dense(stack.wide(targets), grid, bias=True)
        stack.add(own)
    stack.dense(sizes[-1], grid, bias=True)
    return stack.model()


def relu_mlp(sizes: Sequence[int]) -> Model:
    """Fully connected network of ReLU units, ``sizes`` from inputs to classes."""
    return mlp(sizes, ReLU())


def mtj_mlp(
    sizes: Sequence[int],
    *,
    neuron: Neuron | None = None,
    devices: Sequence[Devices] | None = None,
    levels: int | None = None,
    sharpness: float = 4.0,
) -> Model:
    """Fully connected network of MTJ neurons with a readout of column currents.

    Parameters
    ----------
    sizes : sequence of int
        From inputs to classes.
    neuron : Neuron, optional
        The device, where ``devices`` are left out.
    devices : sequence of Devices, optional
        Devices of each hidden layer; all like ``neuron`` if left out.
    levels : int, optional
        Conductance levels per device; the fine grid if left out.
    sharpness : float
        Of the sigmoid surrogate, in units of 1/threshold.

    Raises
    ------
    NetworkError
        Sizes, levels or sharpness that are not usable, devices that do not fit, or a neuron beside them.
    """
    sizes = _checked(sizes)
    rows = None if devices is None else [len(row) if isinstance(row, Devices) else row for row in devices]
    if rows is not None and (neuron is not None or rows != [*sizes[1:-1]]):
        beside = "" if neuron is None else f", beside the neuron {neuron}"
        raise NetworkError(
            "The devices do not fit the network.",
            given=f"rows of {rows} for sizes {sizes}{beside}",
            expected="a row of devices for each hidden layer, one for each neuron; or a neuron for all of them",
            repair="devices=[neuron.draw(100, ...)] alone, or neuron=MTJ() alone",
        )
    every = [neuron or MTJ()] * (len(sizes) - 2) if devices is None else devices
    return mlp(sizes, [Spiking(neurons, "sigmoid", sharpness) for neurons in every], grid=Grid(levels))


def _checked(sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes from inputs to classes, if they are some."""
    given = tuple(sizes) if isinstance(sizes, Sequence) else ()
    if len(given) < 2 or not all(is_whole(n) and n >= 1 for n in given):
        raise NetworkError(
            "The sizes do not make a network.",
            given=repr(sizes),
            expected="inputs, hidden sizes and classes, whole numbers from 1",
            repair="(784, 100, 10)",
        )
    return given
