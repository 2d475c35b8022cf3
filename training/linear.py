"""Layers with weights: dense and convolutional, with real weights or with conductance levels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eventsim import keys
from eventsim.checks import flag, is_whole
from eventsim.errors import NetworkError
from eventsim.synapse import largest_level, to_levels
from eventsim.training.layer import Back, Mode, Params, Shape, Step, whole
from eventsim.training.signal import Array, Signal
from eventsim.training.sums import by_input_of, by_weight_of, sums_of
from eventsim.training.window import Window


@dataclass(frozen=True)
class Grid:
    """Weights rounded to conductance levels in the forward pass; the gradient passes straight through the rounding.

    Sums of levels are whole numbers below 2**24: any order of additions gives the same bits, so that the engine's sum
    over events is the layer's sum.

    Parameters
    ----------
    levels : int, optional
        Conductance levels per device of a pair; a fine grid of 14 bits if left out.
    """

    levels: int | None = None


class _Kept(NamedTuple):
    x: Signal
    weight: Array
    """Shape (inputs of a window, targets): weights or levels, as the forward pass saw them."""
    scale: Array | None


class _Weighted(ABC):
    """What dense layers and convolutions share; they differ in the window that a sum runs over."""

    bias: bool
    grid: Grid | None

    @property
    @abstractmethod
    def fan_in(self) -> int:
        """Inputs of a sum."""

    @property
    @abstractmethod
    def weight_shape(self) -> Shape:
        """Shape of the weights."""

    @abstractmethod
    def window(self) -> Window:
        """Window of a sum."""

    def _check(self) -> None:
        flag("bias", self.bias, kind=NetworkError)
        if self.grid is not None:
            if not isinstance(self.grid, Grid):
                raise NetworkError(
                    "The grid of a layer is not usable.",
                    given=repr(self.grid),
                    expected="a Grid, or None",
                    repair="Grid(levels=16)",
                )
            largest_level(self.fan_in, self.grid.levels)

    def initial(self, seed: int, name: str) -> Params:
        """He-uniform weights, and biases of 0."""
        shape = self.weight_shape
        bound = np.sqrt(6 / self.fan_in)
        u = keys.uniform(seed, f"{name}/weight", math.prod(shape))
        weight = (bound * (2 * u - 1)).reshape(shape).astype(np.float32)
        bias = {"bias": np.zeros(shape[-1], np.float32)} if self.bias else {}
        return {"weight": weight, **bias}

    def deployed(self, params: Params, most: int = 1) -> tuple[Array, Array | None]:
        """Weights as the forward pass sees them, shape (inputs, targets): levels and their scale, or real weights.

        ``most`` is the largest whole number that an input can be.
        """
        weight = params["weight"].reshape(-1, params["weight"].shape[-1])
        if self.grid is None:
            return weight, None
        levels, scale = to_levels(weight, largest_level(len(weight) * max(most, 1), self.grid.levels))
        return levels.astype(weight.dtype), scale.astype(weight.dtype)

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        """Sums, with their scale and bias beside them."""
        weight, scale = self.deployed(params, x.most)
        unit = x.unit
        if unit is None:
            x, unit = Signal(x.plain(weight.dtype)), 1.0
        values = x.values if x.whole else x.values.astype(weight.dtype, copy=False)
        sums = sums_of(Signal(values, most=x.most), weight, self.window(), mode.workers)
        line: Array | None = None if scale is None and unit == 1.0 else np.full((1, 1), unit, weight.dtype)
        if scale is not None:
            line = (scale * weight.dtype.type(unit))[None]
        bias = params["bias"][None] if "bias" in params else None
        kept = _Kept(mode.keep(x), weight, scale) if mode.training else None
        return Step(Signal(sums, line, bias), kept)

    def backward(self, params: Params, kept: _Kept, grad: Array, mode: Mode, inner: bool) -> Back:
        """Gradient by weights, bias and, if there is an inner layer, input."""
        x, weight, scale = kept
        grads: Params = {}
        if "bias" in params:
            grads["bias"] = grad.reshape(-1, grad.shape[-1]).sum(axis=0)
        by_sum = grad.sum(axis=1, keepdims=True) if x.ticks < grad.shape[1] else grad
        by_weight = by_weight_of(x, by_sum, weight, self.window(), mode.workers)
        grads["weight"] = by_weight.reshape(params["weight"].shape)
        if not inner:
            return Back(None, grads)
        by_sum = grad if scale is None else grad * scale
        shape = (*grad.shape[:2], *x.values.shape[2:])
        return Back(by_input_of(by_sum, weight, self.window(), shape, mode.workers), grads)


@dataclass(frozen=True)
class Dense(_Weighted):
    """``y = x W + b``: every input reaches every target.

    Parameters
    ----------
    sources, targets : int
    bias : bool
    grid : Grid, optional
        Round the weights to conductance levels, as the devices of a student hold them; real weights if left out.
    """

    sources: int
    targets: int
    bias: bool = True
    grid: Grid | None = None

    def __post_init__(self) -> None:
        whole(self, "sources", "targets")
        self._check()

    @property
    def fan_in(self) -> int:
        return self.sources

    @property
    def weight_shape(self) -> Shape:
        """Shape of the weights."""
        return (self.sources, self.targets)

    def window(self) -> Window:
        return Window((1, 1))

    def shape(self, shape: Shape) -> Shape:
        if shape != (self.sources,):
            raise _misfit(
                self,
                shape,
                f"({self.sources},)",
                "Flatten() before it" if len(shape) > 1 else f"Dense({shape[-1]}, ...)",
            )
        return (self.targets,)


@dataclass(frozen=True)
class Conv(_Weighted):
    """Convolution (correlation) in one or two dimensions, channels last.

    Parameters
    ----------
    sources, targets : int
        Channels.
    size : tuple of int
        Of the kernel: (height, width), or (length,) for signals of shape (length, channels).
    stride, padding : int
        In every direction.
    groups : int
        ``sources`` for a depthwise convolution.
    bias : bool
    grid : Grid, optional
        As for :class:`Dense`.
    """

    sources: int
    targets: int
    size: tuple[int, ...] = (3, 3)
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = False
    grid: Grid | None = None

    def __post_init__(self) -> None:
        whole(self, "sources", "targets", "stride", "groups")
        size = tuple(self.size) if isinstance(self.size, Sequence) else ()
        if len(size) not in (1, 2) or not all(is_whole(k) and k >= 1 for k in size):
            raise NetworkError(
                "The kernel of a convolution is not usable.",
                given=repr(self.size),
                expected="(height, width) or (length,), each at least 1",
                repair="size=(3, 3)",
            )
        if not (is_whole(self.padding) and 0 <= self.padding < min(size)):
            raise NetworkError(
                "The padding of a convolution is not usable.",
                given=repr(self.padding),
                expected=f"a whole number from 0 to {min(size) - 1}, less than the kernel",
                repair=f"padding={(min(size) - 1) // 2}",
            )
        if self.sources % self.groups or self.targets % self.groups:
            raise NetworkError(
                "The groups of a convolution do not fit.",
                given=f"{self.groups} groups for {self.sources} and {self.targets} channels",
                expected="a divisor of both",
                repair="groups=1",
            )
        object.__setattr__(self, "size", tuple(int(k) for k in size))
        object.__setattr__(self, "padding", int(self.padding))
        self._check()

    @property
    def fan_in(self) -> int:
        return math.prod(self.size) * self.sources // self.groups

    @property
    def weight_shape(self) -> Shape:
        """Shape of the weights: kernel, channels of a group, targets."""
        return (*self.size, self.sources // self.groups, self.targets)

    def window(self) -> Window:
        flat = len(self.size) == 1
        size = (1, self.size[0]) if flat else (self.size[0], self.size[1])
        stride = (1 if flat else self.stride, self.stride)
        return Window(size, stride, (0 if flat else self.padding, self.padding), self.groups)

    def shape(self, shape: Shape) -> Shape:
        if len(shape) != len(self.size) + 1 or shape[-1] != self.sources:
            form = "height, width" if len(self.size) == 2 else "length"
            raise _misfit(self, shape, f"({form}, {self.sources})", f"Conv({shape[-1]}, {self.targets}, ...)")
        out = tuple((n + 2 * self.padding - k) // self.stride + 1 for n, k in zip(shape, self.size, strict=False))
        if min(out) < 1:
            raise _misfit(self, shape, f"at least {self.size} with its padding", "a smaller kernel, or more padding")
        return (*out, self.targets)


def _misfit(layer: object, shape: Shape, expected: str, repair: str) -> NetworkError:
    return NetworkError(
        f"{layer} does not fit its input.", given=f"samples of shape {shape}", expected=expected, repair=repair
    )
