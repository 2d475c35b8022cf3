"""Where the windows of a layer lie in its inputs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from eventsim.kernels.linear import LONGEST, ROWS, WORD, Plan

_GRAIN = 16
"""Inputs that are searched for spikes at once, at least, where there are many of them."""
_BLOCK = 64
"""Windows of a block, at least, where there are several images: a panel of weights then serves many."""


class Window(NamedTuple):
    """Kernel size, stride and padding in (y, x), and groups."""

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    def reach(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the output."""
        return tuple(  # type: ignore[return-value]
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip((height, width), self.size, self.stride, self.padding, strict=True)
        )


def _divisor(number: int, most: int, of: int = 1) -> int:
    """Largest divisor of ``number`` up to ``most`` that is a multiple of ``of``."""
    return max(d for d in range(of, max(of, min(number, most)) + 1, of) if number % d == 0)


@lru_cache(maxsize=256)
def filling(depth: int) -> int:
    """Channels of zeros to be put behind so many, where they have no divisor that makes good grains and runs."""
    return 0 if depth <= WORD or _divisor(depth, WORD) >= _GRAIN else -depth % _GRAIN


def _plan(
    canvas: tuple[int, int, int],
    place: tuple[int, int],
    out: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    groups: int,
) -> Plan:
    height, width, channels = canvas
    depth = channels // groups
    images = max(1, -(-_BLOCK // (out[0] * out[1])))
    grain = _divisor(depth, WORD)
    row = window[1] * channels if groups == 1 else depth
    length = _divisor(row, max(LONGEST, grain), grain)
    y, x, k = np.arange(window[0]), np.arange(window[1] if groups > 1 else 1), np.arange(0, row, length)
    offset = ((y[:, None, None] * width + x[:, None]) * channels + k).ravel()
    i, y, x = np.arange(images), np.arange(out[0]) * stride[0], np.arange(out[1]) * stride[1]
    base = (((i[:, None, None] * height + y[:, None]) * width + x) * channels).ravel()
    base = np.concatenate([base, np.repeat(base[-1:], -len(base) % ROWS)])
    return Plan(base, out[0] * out[1], images, offset, length, grain, canvas, place, groups, depth, window, stride, out)


@lru_cache(maxsize=256)
def forward_plan(window: Window, height: int, width: int, channels: int) -> Plan:
    """Windows of images of this size."""
    py, px = window.padding
    canvas = (height + 2 * py, width + 2 * px, channels)
    return _plan(canvas, window.padding, window.reach(height, width), window.size, window.stride, window.groups)


class Phase(NamedTuple):
    """Inputs that the same taps of a kernel reach: every stride-th row and column, from one on.

    A gradient by inputs is that of each phase by itself, a sum of stride 1 over the gradient by the outputs (polyphase
    decomposition): no product with the zeros between strides is formed.
    """

    inputs: tuple[slice, slice]
    taps: tuple[slice, slice]
    """Of the kernel turned by half a turn."""
    outputs: tuple[slice, slice]
    """Whose gradients the plan takes as its images."""
    plan: Plan


class _Axis(NamedTuple):
    """A phase along one axis."""

    inputs: slice
    taps: slice
    outputs: slice
    number: int
    """Of its inputs."""
    size: int
    """Of its kernel."""
    place: int
    """Of its first output on the canvas."""


def _along(size: int, stride: int, padding: int, inputs: int, outputs: int) -> Iterator[_Axis]:
    """Phases that a gradient reaches."""
    for residue in range(stride):
        first = (residue - padding) % stride
        number, taps = len(range(first, inputs, stride)), len(range(residue, size, stride))
        before = taps - 1 - (first + padding - residue) // stride
        low, high = max(0, -before), min(outputs, number + taps - 1 - before)
        if number and taps and low < high:
            own = slice(first, None, stride), slice((size - 1 - residue) % stride, None, stride), slice(low, high)
            yield _Axis(*own, number, taps, max(0, before))


@lru_cache(maxsize=256)
def phases(window: Window, height: int, width: int, targets: int) -> tuple[Phase, ...]:
    """Phases of images of this size, from so many channels of outputs; the gradient by other inputs is 0."""
    where = zip(window.size, window.stride, window.padding, (height, width), window.reach(height, width), strict=True)
    found = []
    for y, x in product(*(list(_along(*axis)) for axis in where)):
        canvas = (y.number + y.size - 1, x.number + x.size - 1, targets)
        own = (y.place, x.place), (y.number, x.number), (y.size, x.size), (1, 1), window.groups
        found.append(Phase((y.inputs, x.inputs), (y.taps, x.taps), (y.outputs, x.outputs), _plan(canvas, *own)))
    return tuple(found)
