"""How the neurons of two populations are connected: dense, one to one, and convolutions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import LIMIT, as_array, is_whole, numbers
from eventsim.errors import NetworkError
from eventsim.kernels.frozen import KERNELS, KERNELS16, ROWS, ROWS16, TWINS
from eventsim.synapse import EXACT_LIMIT

Delay = int | tuple[int, int] | ArrayLike
"""Ticks: one number, a range of which each synapse draws one, or a number for each synapse."""

LONGEST_DELAY = 65535


@dataclass(frozen=True, eq=False)
class Way:
    """What the engine needs to know of a connection, or of the part of one that has one delay."""

    form: int
    delay: int
    data: NDArray[Any]
    fan_out: float
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    groups: int = 0
    group: int = 0
    table: NDArray[np.float32] = field(default_factory=lambda: np.zeros(256, np.float32))
    shape: Sequence[int] = (0,) * 16
    ones: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))


@dataclass(frozen=True)
class Ends:
    """What a connection is built for: its name, the two sizes, and how the targets are cut into blocks."""

    name: str
    sources: int
    targets: int
    block: int
    """Targets in a block; the last one may have fewer."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.targets // self.block)


def refuse(ends: Ends, what: str, given: object, expected: object, repair: str) -> NetworkError:
    """Name a connection that does not fit."""
    return NetworkError(f"Projection {ends.name}: the {what}.", given=given, expected=expected, repair=repair)


class Connection(ABC):
    """Synapses between two populations; weight times scale of the target is the drive of a spike."""

    @property
    def grain(self) -> int:
        """Blocks of targets must be multiples of this."""
        return 1

    def mean_fan_out(self, sources: int, targets: int, delay: Delay) -> float:
        """Mean number of synapses of a source that have one delay; ``inf`` where blocks need not be long for it."""
        return math.inf

    @abstractmethod
    def build(self, ends: Ends, delay: Delay) -> tuple[list[Way], NDArray[np.float32]]:
        """Ways, and scales of the targets unless they are 1; raises :class:`NetworkError` if something does not fit."""


def one_delay(ends: Ends, delay: object) -> int:
    """A delay that all synapses have."""
    if not (is_whole(delay) and 0 <= delay <= LONGEST_DELAY):
        raise refuse(
            ends, "delay is not usable", delay, f"a whole number of ticks from 0 to {LONGEST_DELAY}", "delay=1"
        )
    return int(delay)


def scales(ends: Ends, scale: ArrayLike | None, sums: ArrayLike) -> NDArray[np.float32]:
    """The scale of each target, where no drive can pass the limit; ``sums`` are of the magnitudes of its weights.

    Weights that are drive as they stand have no scale, and get an empty row.
    """
    repair = f"np.ones({ends.targets})"
    given = 1.0 if scale is None else scale
    row = numbers(f"scale of projection {ends.name}", given, -math.inf, math.inf, repair=repair, kind=NetworkError)
    row = np.broadcast_to(row, (ends.targets,)) if row.ndim == 0 else row
    if row.shape != (ends.targets,) or not (np.abs(row) * np.maximum(sums, 1) <= LIMIT).all():
        raise NetworkError(
            f"The drive of projection {ends.name} is not limited.",
            given=f"a scale of shape {row.shape}, values from {row.min(initial=np.inf)} to {row.max(initial=-np.inf)}, "
            f"and weights whose magnitudes add up to {np.max(sums):g} in a target",
            expected=f"a scale of {ends.targets} finite numbers, one per neuron, that keep every drive below {LIMIT:g}",
            repair=f"smaller weights, or {repair} if the scale has another length",
        )
    return np.empty(0, np.float32) if scale is None else row.astype(np.float32)


def _levels(ends: Ends, levels: ArrayLike) -> NDArray[np.int16]:
    array = as_array(levels)
    if array.dtype.kind not in "iufb":
        given, repair = f"an array of {array.dtype}", "np.asarray(levels, dtype=np.int16)"
        raise refuse(ends, "levels are not numbers", given, "whole numbers", repair)
    whole = np.where(np.isfinite(array), array, 0.5).astype(np.float64)
    if not ((whole == np.rint(whole)) & (np.abs(whole) < 2**15)).all():
        given = f"values from {np.min(array)} to {np.max(array)}"
        repair = "to_levels(weight, largest_level(sources, None)), or no scale for real weights"
        raise refuse(ends, "levels are not levels", given, "whole numbers below 2**15", repair)
    return array.astype(np.int16)


def _reals(ends: Ends, weight: ArrayLike) -> NDArray[np.float32]:
    what = f"weight of projection {ends.name}"
    return numbers(what, weight, repair="np.nan_to_num(weight)", kind=NetworkError).astype(np.float32)


def _exact(ends: Ends, sums: NDArray[np.float64]) -> None:
    if sums.max(initial=0) >= EXACT_LIMIT:
        given, expected = f"levels that add up to {sums.max():.0f}", f"below {EXACT_LIMIT} for each target"
        raise refuse(ends, "sums are not exact", given, expected, "to_levels with largest_level keeps below it")


@dataclass(frozen=True, eq=False)
class Dense(Connection):
    """A crossbar: every source reaches every target.

    Parameters
    ----------
    weight : array_like, shape (sources, targets)
        Whole numbers of conductance levels if a scale is given, from :func:`eventsim.to_levels`: sums of them are
        exact, in any order. Real weights (float32) otherwise.
    scale : array_like, shape (targets,), optional
        Drive per level.
    """

    weight: ArrayLike
    scale: ArrayLike | None = None

    def build(self, ends: Ends, delay: Delay) -> tuple[list[Way], NDArray[np.float32]]:
        weight: NDArray[Any] = _reals(ends, self.weight) if self.scale is None else _levels(ends, self.weight)
        if weight.shape != (ends.sources, ends.targets):
            turned = weight.shape == (ends.targets, ends.sources)
            expected = f"({ends.sources}, {ends.targets}), sources by targets"
            repair = "weight.T" if turned else "a weight of that shape"
            raise refuse(ends, "weight has the wrong shape", weight.shape, expected, repair)
        sums = np.abs(weight.astype(np.float64)).sum(axis=0)
        if self.scale is not None:
            _exact(ends, sums)
        form = ROWS if self.scale is None else ROWS16
        way = Way(form, one_delay(ends, delay), np.ascontiguousarray(weight).ravel(), float(ends.targets))
        return [way], scales(ends, self.scale, sums)


@dataclass(frozen=True, eq=False)
class OneToOne(Connection):
    """Neuron i of the source reaches neuron i of the target.

    Parameters
    ----------
    weight : array_like, shape () or (n,)
    """

    weight: ArrayLike = 1.0

    def build(self, ends: Ends, delay: Delay) -> tuple[list[Way], NDArray[np.float32]]:
        if ends.sources != ends.targets:
            given = f"{ends.sources} sources and {ends.targets} targets"
            raise refuse(ends, "populations differ in size", given, "as many of both", "Dense or a sparse connection")
        weight = _reals(ends, self.weight)
        if weight.shape not in ((), (ends.targets,)):
            expected = f"() or ({ends.targets},)"
            raise refuse(ends, "weight has the wrong shape", weight.shape, expected, f"np.ones({ends.targets})")
        row = np.ascontiguousarray(np.broadcast_to(weight, (ends.targets,)))
        way = Way(TWINS, one_delay(ends, delay), row, 1.0)
        return [way], scales(ends, None, np.abs(row.astype(np.float64)))


def _pair(value: int | Sequence[int], dimensions: int) -> tuple[int, int]:
    """A number for each direction (y, x); one-dimensional shapes have height 1."""
    values = tuple(value) if isinstance(value, Sequence | np.ndarray) else (value,) * dimensions
    if len(values) != dimensions or not all(is_whole(v) for v in values):
        raise NetworkError(
            "The shape of a convolution is not usable.",
            given=value,
            expected=f"a whole number, or {dimensions} of them",
            repair="stride=1, padding=0, pool=1",
        )
    return (int(values[0]), int(values[1])) if dimensions == 2 else (-1, int(values[0]))


def _covered(size: int, out: int, kernel: int, stride: int, padding: int) -> int:
    """Pairs of a position and a place in the kernel that fall on an output, in one direction."""
    at = np.arange(size)[:, None] + padding - np.arange(kernel)
    return int(((at >= 0) & (at % stride == 0) & (at < out * stride)).sum())


@dataclass(frozen=True, eq=False)
class Convolution(Connection):
    """A convolution (correlation, as neural networks use the word) that is never expanded.

    Parameters
    ----------
    kernel : array_like, shape (out, in / groups, height, width) or (out, in / groups, length)
        Whole numbers of conductance levels if a scale is given, real weights otherwise.
    shape : tuple of int
        Sources as (channels, height, width) or (channels, length).
    scale : array_like, shape () or (out,), optional
        Drive per level of each output channel.
    stride, padding : int or tuple of int
    groups : int
        ``in`` for a depthwise convolution.
    pool : int
        Sum over windows of this size before the convolution; divide the scale by ``pool**2`` (``pool`` in one
        dimension) for their average. Rows and columns that fill no window are left out.

    Raises
    ------
    NetworkError
        The shapes do not fit together.
    """

    kernel: ArrayLike
    shape: tuple[int, ...]
    scale: ArrayLike | None = None
    stride: int | Sequence[int] = 1
    padding: int | Sequence[int] = 0
    groups: int = 1
    pool: int = 1

    def __post_init__(self) -> None:
        _ = self.geometry

    @property
    def geometry(self) -> tuple[int, ...]:
        """The numbers of :data:`eventsim.kernels.frozen.GEOMETRY`."""
        kernel = as_array(self.kernel).shape
        shape = tuple(self.shape) if isinstance(self.shape, Sequence) else (self.shape,)
        flat = len(shape) == 2
        dimensions = 1 if flat else 2
        stride, padding = _pair(self.stride, dimensions), _pair(self.padding, dimensions)
        if flat:
            stride, padding = (1, stride[1]), (0, padding[1])
        counts = (*shape, *kernel, self.groups, self.pool, *stride)
        fits = len(shape) in (2, 3) and len(kernel) == len(shape) + 1
        fits = fits and all(is_whole(n) and n >= 1 for n in counts) and min(padding) >= 0
        fits = fits and kernel[0] % self.groups == 0 and shape[0] == kernel[1] * self.groups
        if fits:
            sy, sx = (1, shape[1]) if flat else shape[1:]
            ky, kx = (1, kernel[2]) if flat else kernel[2:]
            height, width = 1 if flat else sy // self.pool, sx // self.pool
            out_y = (height + 2 * padding[0] - ky) // stride[0] + 1
            out_x = (width + 2 * padding[1] - kx) // stride[1] + 1
            fits = height >= 1 and width >= 1 and out_y >= 1 and out_x >= 1
        if not fits:
            raise NetworkError(
                "The shapes of a convolution do not fit.",
                given=f"kernel {kernel}, shape {shape}, stride {self.stride}, padding {self.padding}, "
                f"groups {self.groups}, pool {self.pool}",
                expected="kernel (out, channels / groups, height, width) and shape (channels, height, width), or both "
                "without height, with an output of at least 1",
                repair="Convolution(np.ones((8, 3, 5, 5)), (3, 32, 32), padding=2)",
            )
        ends = (sy, sx, height, width, kernel[0], out_y, out_x)
        return (shape[0], *ends, ky, kx, *stride, *padding, self.groups, self.pool)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Targets as (channels, height, width) or (channels, length)."""
        g = self.geometry
        return (g[5], g[7]) if len(self.shape) == 2 else (g[5], g[6], g[7])

    @property
    def grain(self) -> int:
        return self.geometry[6] * self.geometry[7]

    def build(self, ends: Ends, delay: Delay) -> tuple[list[Way], NDArray[np.float32]]:
        g, wanted = self.geometry, (math.prod(self.shape), math.prod(self.out_shape))
        if (ends.sources, ends.targets) != wanted:
            given = f"{ends.sources} sources and {ends.targets} targets"
            expected = f"{wanted[0]} for {tuple(self.shape)} and {wanted[1]} for {self.out_shape}"
            raise refuse(ends, "populations do not fit its shape", given, expected, "populations of those sizes")
        kernel: NDArray[Any] = _reals(ends, self.kernel) if self.scale is None else _levels(ends, self.kernel)
        out, per_group = g[5], g[5] // self.groups
        kernel = kernel.reshape(out, -1, g[8], g[9])
        sums = np.abs(kernel.astype(np.float64)).sum(axis=(1, 2, 3)) * self.pool ** (len(self.shape) - 1)
        if self.scale is not None:
            _exact(ends, sums)
        grouped = kernel.reshape(self.groups, per_group, -1, g[8], g[9]).transpose(0, 2, 3, 4, 1)
        data = np.ascontiguousarray(grouped).ravel()
        scale = np.asarray(1.0 if self.scale is None else self.scale)
        each = np.repeat(scale, self.grain) if scale.shape == (out,) else scale
        down = _covered(g[3], g[6], g[8], g[10], g[12]) * (1 if len(self.shape) == 2 else self.pool)
        right = _covered(g[4], g[7], g[9], g[11], g[13]) * self.pool
        fan_out = down * right * per_group / (g[1] * g[2])
        way = Way(
            KERNELS if self.scale is None else KERNELS16,
            one_delay(ends, delay),
            data,
            fan_out,
            shape=g,
            ones=np.ones(data.size, np.int16),
        )
        return [way], scales(ends, each, np.repeat(sums, self.grain))


def pooling(shape: tuple[int, ...], size: int, stride: int | None = None, scale: float | None = None) -> Convolution:
    """Windows that are summed channel by channel, as a convolution.

    Parameters
    ----------
    shape : tuple of int
        Sources as (channels, height, width) or (channels, length).
    size, stride : int
        Of the windows; they do not overlap if the stride is left out.
    scale : float, optional
        Drive of a spike; that of the average over the window if left out. ``scale=1`` into a
        :class:`eventsim.Relay` is max pooling: a spike for every window in which there was one.
    """
    dimensions = len(shape) - 1
    if not is_whole(size) or size < 1:
        raise NetworkError(
            "The window of a pooling is not usable.", given=size, expected="a whole number from 1", repair="size=2"
        )
    kernel = np.ones((shape[0], 1) + (size,) * dimensions)
    each = 1 / size**dimensions if scale is None else scale
    return Convolution(kernel, shape, each, stride=size if stride is None else stride, groups=shape[0])
