"""Pooling of signals over windows, in one or two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import NetworkError
from eventsim.kernels import pool
from eventsim.training.layer import Back, Mode, Parameterless, Shape, Step, whole
from eventsim.training.signal import Array, Signal, as_images, counts_type


def _pair(number: int, flat: bool) -> tuple[int, int]:
    return (1 if flat else number, number)


@dataclass(frozen=True)
class _Pool(Parameterless):
    size: int
    stride: int | None = None

    def __post_init__(self) -> None:
        whole(self, "size", *([] if self.stride is None else ["stride"]))

    @property
    def step(self) -> int:
        """Distance between windows."""
        return self.size if self.stride is None else self.stride

    def shape(self, shape: Shape) -> Shape:
        out = tuple((n - self.size) // self.step + 1 for n in shape[:-1])
        if len(shape) not in (2, 3) or min(out) < 1:
            raise NetworkError(
                f"{self} does not fit its input.",
                given=f"samples of shape {shape}",
                expected=f"(height, width, channels) or (length, channels) of at least {self.size}",
                repair="a smaller window",
            )
        return (*out, shape[-1])

    def _windows(self, values: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, int], tuple[int, int], Shape]:
        """Images, size and stride of the windows, and the shape of the output."""
        flat = values.ndim == 4
        out = (*values.shape[:2], *self.shape(values.shape[2:]))
        return as_images(values), _pair(self.size, flat), _pair(self.step, flat), out


class AvgPool(_Pool):
    """Mean over windows; spikes are counted, and the count divided beside the values.

    Parameters
    ----------
    size : int
    stride : int, optional
        The windows do not overlap if it is left out; rows and columns that fill no window are left out.
    """

    def forward(self, params: object, x: Signal, mode: Mode) -> Step:
        images, size, step, shape = self._windows(x.values)
        share = size[0] * size[1]
        most = x.most * share
        out = np.empty(shape, counts_type(most) if x.whole else x.values.dtype)
        made = as_images(out)
        mode.workers(lambda a, z: pool.sums(images, a, z, size, step, made), len(images), images.size)
        scale = x.line(np.float64 if x.whole else out.dtype)[0] / share
        return Step(Signal(out, scale[:, :1] if x.scale is None else scale, x.bias, most), x.values.shape[2:])

    def backward(self, params: object, kept: Shape, grad: Array, mode: Mode, inner: bool) -> Back:
        return Back(_spread(self, kept, grad, mode) if inner else None)


def _spread(layer: _Pool, shape: Shape, grad: Array, mode: Mode) -> Array:
    out = np.empty((*grad.shape[:2], *shape), grad.dtype)
    _, size, step, _ = layer._windows(out)
    own, made = as_images(grad), as_images(out)
    factor = grad.dtype.type(1 / (size[0] * size[1]))
    mode.workers(lambda a, z: pool.spread(own, a, z, size, step, factor, made), len(own), out.size)
    return out


class GlobalPool(Parameterless):
    """Mean over all places: samples of shape (..., channels) become (channels,)."""

    def shape(self, shape: Shape) -> Shape:
        if len(shape) < 2:
            raise NetworkError(
                "GlobalPool does not fit its input.",
                given=f"samples of shape {shape}",
                expected="(height, width, channels) or (length, channels)",
                repair="leave it out",
            )
        return shape[-1:]

    def forward(self, params: object, x: Signal, mode: Mode) -> Step:
        rows = x.values.reshape(*x.values.shape[:2], -1, x.values.shape[-1])
        most, places = x.most * rows.shape[2], rows.shape[2]
        out = rows.sum(axis=2, dtype=counts_type(most) if x.whole else rows.dtype)
        scale = x.line(np.float64 if x.whole else out.dtype)[0] / places
        return Step(Signal(out, scale, x.bias, most), x.values.shape[2:])

    def backward(self, params: object, kept: Shape, grad: Array, mode: Mode, inner: bool) -> Back:
        if not inner:
            return Back(None)
        places = int(np.prod(kept[:-1]))
        each = (grad / grad.dtype.type(places)).reshape(*grad.shape[:2], *(1,) * (len(kept) - 1), -1)
        out = np.empty((*grad.shape[:2], *kept), grad.dtype)
        out[...] = each
        return Back(out)


class _Routes(NamedTuple):
    shape: Shape
    winner: NDArray[np.uint8] | None
    """Place of the largest input in its window."""
    share: Array | None
    """Share of the ticks in which each place of a window won, shape (batch, places, ..., channels)."""


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Largest value of each window.

    The largest of means is not the mean of the largest: RateBP has to choose who the gradient goes to.

    Parameters
    ----------
    size : int
    stride : int, optional
    router : "rate" or "time"
        For RateBP: to the input with the largest rate, as the authors do, or to every input in proportion to the ticks
        in which it was the largest.
    """

    router: Literal["rate", "time"] = "rate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.router not in ("rate", "time") or self.size > 15:
            raise NetworkError(
                "The pooling is not usable.",
                given=f"router {self.router!r}, size {self.size}",
                expected='router "rate" or "time", windows up to 15',
                repair='MaxPool(2, router="rate")',
            )

    def forward(self, params: object, x: Signal, mode: Mode) -> Step:
        if x.unit is None or x.unit < 0:
            x = Signal(x.plain(mode.kind))
        out, winner = self._largest(x.values, mode)
        kept = None
        if mode.method == "bptt" or x.ticks == 1:
            kept = _Routes(x.values.shape[2:], winner, None)
        elif mode.rates and self.router == "rate":
            kept = _Routes(x.values.shape[2:], self._largest(mode.keep(x).values, mode)[1], None)
        elif mode.rates:
            places = self.size ** (x.values.ndim - 3)
            share = np.stack([(winner == k).mean(axis=1, dtype=np.float32) for k in range(places)], axis=1)
            kept = _Routes(x.values.shape[2:], None, share)
        return Step(x._replace(values=out), kept)

    def _largest(self, values: NDArray[Any], mode: Mode) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        images, size, step, shape = self._windows(values)
        out, winner = np.empty(shape, values.dtype), np.empty(shape, np.uint8)
        made, who = as_images(out), as_images(winner)
        mode.workers(lambda a, z: pool.largest(images, a, z, size, step, made, who), len(images), images.size)
        return out, winner

    def backward(self, params: object, kept: _Routes, grad: Array, mode: Mode, inner: bool) -> Back:
        if not inner:
            return Back(None)
        out = np.empty((*grad.shape[:2], *kept.shape), grad.dtype)
        _, size, step, _ = self._windows(out)
        own, made = as_images(grad), as_images(out)
        if kept.winner is not None:
            who = as_images(kept.winner)
            mode.workers(lambda a, z: pool.route(own, a, z, size, step, who, made), len(own), out.size)
        else:
            assert kept.share is not None
            share = kept.share.astype(grad.dtype).reshape(len(own), -1, *own.shape[1:])
            mode.workers(lambda a, z: pool.route_shares(own, a, z, size, step, share, made), len(own), out.size)
        return Back(out)
