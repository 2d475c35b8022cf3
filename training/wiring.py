"""How the neurons of a deployed layer are numbered, and the synapses between numbered neurons that a layer becomes.

Samples of a model have their channels last; the engine numbers the neurons of a convolution (channel, y, x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim import connection
from eventsim.connection import Connection
from eventsim.device import Devices
from eventsim.sparse import Pairs
from eventsim.training.layer import Shape
from eventsim.training.linear import Conv, Dense
from eventsim.training.signal import Array, Signal, size_of


def channels_first(values: NDArray[Any]) -> NDArray[Any]:
    """Values of a batch, shape (batch, ticks, ..., channels), as rows in the order of the engine's neurons."""
    return np.moveaxis(values, -1, 2).reshape(*values.shape[:2], -1)


def _order(shape: Shape) -> NDArray[np.int64]:
    """Number within the flattened sample of each neuron of the engine."""
    return np.moveaxis(np.arange(size_of(shape)).reshape(shape), -1, 0).ravel()


def to_engine(devices: Devices, shape: Shape) -> Devices:
    """Devices of a layer of this shape in the order of the engine's neurons."""
    return devices if len(shape) == 1 else _taken(devices, _order(shape))


def to_training(devices: Devices, shape: Shape) -> Devices:
    """Devices of a population in the order of the flattened sample."""
    return devices if len(shape) == 1 else _taken(devices, np.argsort(_order(shape)))


def _taken(devices: Devices, order: NDArray[np.int64]) -> Devices:
    return replace(devices, values={name: row[order] for name, row in devices.values.items()})


def each_neuron(row: Array, shape: Shape) -> Array:
    """A number of every channel, or one of all, for every neuron."""
    return np.repeat(np.broadcast_to(row, shape[-1:]), math.prod(shape[:-1]))


@dataclass(frozen=True)
class Wire:
    """The neurons that a signal of spikes or counts comes from, and what the layers between do to their numbers."""

    population: str
    shape: Shape
    """Of their sample: (length, channels), (height, width, channels) or (neurons,)."""
    parts: int = 1
    """Neurons whose spikes add up to one entry; they count as channels side by side."""
    pool: int = 1
    """Size of the windows that are summed."""
    flat: Literal["no", "flatten", "global"] = "no"
    """Whether places and channels have become rows, or places been summed."""

    @property
    def plain(self) -> bool:
        """Whether entries are neurons."""
        return self.parts == 1 and self.pool == 1 and self.flat == "no"

    @property
    def space(self) -> Shape:
        """Places behind the windows."""
        return tuple(n // self.pool for n in self.shape[:-1])

    @property
    def engine_shape(self) -> Shape:
        """Neurons as (channels, length) or (channels, height, width)."""
        return (self.shape[-1] * self.parts, *(self.shape[:-1] or (1,)))


class Incoming(NamedTuple):
    """What arrives at neurons from one wire."""

    wire: Wire
    signal: Signal
    """Its scale is what a level, or a spike, is worth."""
    layer: Dense | Conv | None = None
    """None for entries that arrive as they are."""
    levels: Array | None = None
    """Shape (inputs, targets)."""

    def synapses(self, shape: Shape) -> Connection:
        """Synapses to neurons of a shape."""
        scale = np.broadcast_to(self.signal.line(np.float32)[0][0], shape[-1:])
        if isinstance(self.layer, Conv):
            assert self.levels is not None
            return self._convolution(self.layer, self.levels, scale)
        if isinstance(self.layer, Dense):
            assert self.levels is not None
            return self._dense(self.levels, scale)
        return self._one_to_one(scale, shape)

    def _convolution(self, layer: Conv, levels: Array, scale: Array) -> Connection:
        kernel = np.moveaxis(levels.reshape(layer.weight_shape), (-1, -2), (0, 1))
        return connection.Convolution(
            np.repeat(kernel, self.wire.parts, axis=1),
            self.wire.engine_shape,
            scale,
            stride=layer.stride,
            padding=layer.padding,
            groups=layer.groups,
            pool=self.wire.pool,
        )

    def _dense(self, levels: Array, scale: Array) -> Connection:
        wire, targets = self.wire, levels.shape[1]
        if wire.flat == "global":
            levels = np.broadcast_to(levels, (math.prod(wire.space), *levels.shape))
        kernel = np.moveaxis(levels.reshape(*wire.space, wire.shape[-1], targets), (-1, -2), (0, 1))
        kernel = np.repeat(kernel, wire.parts, axis=1)
        if wire.pool == 1:
            return connection.Dense(kernel.reshape(targets, -1).T, scale)
        return connection.Convolution(kernel, wire.engine_shape, scale, pool=wire.pool)

    def _one_to_one(self, scale: Array, shape: Shape) -> Connection:
        wire = self.wire
        if wire.plain:
            return connection.OneToOne(each_neuron(scale, shape))
        if replace(wire, flat="no").plain and wire.flat == "flatten":
            entry = _order(wire.shape)
            return Pairs(np.arange(entry.size), entry, scale[entry])
        if wire.flat != "no":
            return self._dense(np.eye(shape[0]), scale)
        channels, space = wire.shape[-1], wire.engine_shape[1:]
        kernel = np.ones((channels, wire.parts, *(1 for _ in space)))
        return connection.Convolution(kernel, wire.engine_shape, scale, groups=channels, pool=wire.pool)


def into_sum(wire: Wire, first: int, parts: int) -> Pairs:
    """Synapses that copy the spikes of a wire to parts ``first`` and following of a sum of that many ``parts``."""
    channels, places = wire.shape[-1], math.prod(wire.shape[:-1])
    number = np.arange(channels * parts * places).reshape(channels, parts, places)
    return Pairs(np.arange(channels * wire.parts * places), number[:, first : first + wire.parts].ravel())
