"""Layers with weights: dense and convolutional, with real weights or with conductance levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim import keys
from eventsim.errors import NetworkError
from eventsim.kernels import linear
from eventsim.kernels.linear import Plan
from eventsim.parallel import Workers
from eventsim.synapse import largest_level, to_levels
from eventsim.training.layer import Back, Mode, Params, Shape, Step
from eventsim.training.signal import Array, Signal
from eventsim.training.window import Window, backward_plan, forward_plan

_SPARSE = 0.4
"""Share of inputs that spike, above which sums are multiplied; both ways give the same bits."""
_AT_ONCE = 2**26
"""Bytes of canvases that the gradient by the weights works on at a time."""


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


def _images(values: NDArray[Any]) -> NDArray[Any]:
    """Samples and ticks as images, shape (images, height, width, channels)."""
    return np.ascontiguousarray(values).reshape(-1, *(1,) * (5 - values.ndim), *values.shape[2:])


@dataclass(frozen=True)
class _Weighted:
    """What dense layers and convolutions share; they differ in the window that a sum runs over."""

    def _check(self) -> None:
        grid: Grid | None = self.grid  # type: ignore[attr-defined]
        if grid is not None:
            largest_level(self.fan_in, grid.levels)

    @property
    def fan_in(self) -> int:
        """Inputs of a sum."""
        raise NotImplementedError

    def initial(self, seed: int, name: str) -> Params:
        """He-uniform weights, and biases of 0."""
        shape = self.weight_shape  # type: ignore[attr-defined]
        bound = np.sqrt(6 / self.fan_in)
        u = keys.uniform(seed, f"{name}/weight", math.prod(shape))
        weight = (bound * (2 * u - 1)).reshape(shape).astype(np.float32)
        return {"weight": weight, "bias": np.zeros(shape[-1], np.float32)} if self.bias else {"weight": weight}  # type: ignore[attr-defined]

    def deployed(self, params: Params, most: int = 1) -> tuple[Array, Array | None]:
        """Weights as the forward pass sees them, shape (inputs, targets): levels and their scale, or real weights.

        ``most`` is the largest whole number that an input can be.
        """
        weight = params["weight"].reshape(-1, params["weight"].shape[-1])
        grid: Grid | None = self.grid  # type: ignore[attr-defined]
        if grid is None:
            return weight, None
        levels, scale = to_levels(weight, largest_level(len(weight) * max(most, 1), grid.levels))
        return levels.astype(weight.dtype), scale.astype(weight.dtype)

    def window(self) -> Window:
        """Window of a sum."""
        raise NotImplementedError

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        """Sums, with their scale and bias beside them."""
        weight, scale = self.deployed(params, x.most)
        unit = x.unit
        if unit is None:
            x, unit = Signal(x.plain(weight.dtype)), 1.0
        values = x.values if x.whole else x.values.astype(weight.dtype, copy=False)
        sums = _sums(values, weight, self.window(), mode.workers, binary=x.most == 1)
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
        by_weight = _by_weight(x, by_sum, weight, self.window(), mode.workers)
        grads["weight"] = by_weight.reshape(params["weight"].shape)
        if not inner:
            return Back(None, grads)
        height_width = _images(x.values).shape[1:3]
        by_sum = grad if scale is None else grad * scale
        by_input = _by_input(by_sum, weight, self.window(), height_width, mode.workers)
        return Back(by_input.reshape(*grad.shape[:2], *x.values.shape[2:]), grads)


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
        _whole("Dense", sources=self.sources, targets=self.targets)
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
        _whole("Conv", sources=self.sources, targets=self.targets, stride=self.stride, groups=self.groups)
        size = tuple(self.size) if isinstance(self.size, Sequence) else ()
        if len(size) not in (1, 2) or not all(isinstance(k, int) and k >= 1 for k in size):
            raise NetworkError(
                "The kernel of a convolution is not usable.",
                given=self.size,
                expected="(height, width) or (length,), each at least 1",
                repair="size=(3, 3)",
            )
        if not (isinstance(self.padding, int) and 0 <= self.padding < min(size)):
            raise NetworkError(
                "The padding of a convolution is not usable.",
                given=self.padding,
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
        object.__setattr__(self, "size", size)
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


def _whole(name: str, **values: object) -> None:
    for what, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise NetworkError(
                f"The {what} of {name} are not usable.", given=repr(value), expected="at least 1", repair=f"{what}=1"
            )


def _misfit(layer: object, shape: Shape, expected: str, repair: str) -> NetworkError:
    return NetworkError(
        f"{layer} does not fit its input.", given=f"samples of shape {shape}", expected=expected, repair=repair
    )


def _packed(weight: Array, groups: int, columns: int) -> Array:
    own = weight.shape[1] // groups
    panels = np.empty((groups * -(-own // columns), len(weight), columns), weight.dtype)
    linear.pack(np.ascontiguousarray(weight), groups, columns, panels)
    return panels


def _sums(values: NDArray[Any], weight: Array, window: Window, workers: Workers, *, binary: bool) -> Array:
    """Sums of all samples and ticks, shape (batch, ticks, ..., targets)."""
    images = _images(values)
    plan = forward_plan(window, *images.shape[1:])
    rows, columns = window.reach(*images.shape[1:3])
    out = np.empty((len(images) * rows * columns, weight.shape[1]), weight.dtype)
    sparse = binary and np.count_nonzero(images) < _SPARSE * images.size
    kernel, width = (linear.additions, linear.stripe_columns) if sparse else (linear.products, linear.panel_columns)
    panels = _packed(weight, window.groups, width(weight.dtype))
    workers(lambda first, last: kernel(images, first, last, plan, panels, out), linear.blocks(len(images), plan))
    space = (rows, columns)[5 - values.ndim :]
    return out.reshape(*values.shape[:2], *space, weight.shape[1])


def _by_input(grad: Array, weight: Array, window: Window, size: tuple[int, int], workers: Workers) -> Array:
    """Gradient by the inputs, from that by the sums: sums over the windows that an input is in."""
    images = _images(grad)
    (ky, kx), groups = window.size, window.groups
    own = weight.shape[1] // groups
    turned = weight.reshape(ky, kx, -1, groups, own)[::-1, ::-1].transpose(0, 1, 4, 3, 2)
    turned = turned.reshape(ky * kx * own, -1)
    plan = backward_plan(window, *size, images.shape[3])
    out = np.empty((len(images) * size[0] * size[1], turned.shape[1]), weight.dtype)
    panels = _packed(turned, groups, linear.panel_columns(weight.dtype))
    workers(
        lambda first, last: linear.products(images, first, last, plan, panels, out), linear.blocks(len(images), plan)
    )
    return out


def _by_weight(x: Signal, grad: Array, weight: Array, window: Window, workers: Workers) -> Array:
    """Gradient by the weights, shape (inputs of a window, targets)."""
    images = _images(x.values)
    rows = np.ascontiguousarray(grad).reshape(-1, grad.shape[-1])
    plan = forward_plan(window, *images.shape[1:])
    out = np.zeros(weight.shape, weight.dtype)
    size = plan.images * math.prod(plan.canvas)
    sparse = x.most == 1 and bool(np.count_nonzero(images) < _SPARSE * images.size)
    columns = (linear.stripe_columns if sparse else linear.panel_columns)(weight.dtype)
    together = max(1, _AT_ONCE // (4 * size)) * plan.images
    for start in range(0, len(images), together):
        some = images[start : start + together]
        own = rows[start * plan.windows : (start + len(some)) * plan.windows]
        _add_by_weight(some, own, plan, columns, out, workers, sparse=sparse)
    unit = x.unit
    return out if unit == 1.0 else out * weight.dtype.type(unit)


def _add_by_weight(
    images: NDArray[Any], rows: Array, plan: Plan, columns: int, out: Array, workers: Workers, *, sparse: bool
) -> None:
    """Add the gradient by the weights of some images."""
    count, size = linear.blocks(len(images), plan), plan.images * math.prod(plan.canvas)
    tasks = plan.groups * -(-(out.shape[1] // plan.groups) // columns) * len(plan.offset)
    if sparse:
        spikes, starts = np.empty((count, size), np.int32), np.empty((count, size // plan.grain + 1), np.int32)
        workers(lambda a, z: linear.list_spikes(images, a, z, plan, spikes, starts), count)
        workers(lambda a, z: linear.by_weight_of_spikes(spikes, starts, rows, plan, a, z, columns, out), tasks)
    else:
        canvases = np.zeros((count, size + linear.ROWS), out.dtype)
        workers(lambda a, z: linear.paint_blocks(images, a, z, plan, canvases), count)
        workers(lambda a, z: linear.by_weight(canvases, rows, plan, a, z, columns, out), tasks)
