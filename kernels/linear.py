"""Layers with weights: sums of inputs over windows, and the gradient by the weights, for real inputs.

A convolution, in one or two dimensions, and a dense layer (one window as large as the input) are the same sums::

    out[p, j] = sum_r sum_k canvas[base[p] + offset[r] + k] * weight[r * length + k, j]

The canvas is an image, channels last, with its padding around it; a run r is a row of the window, or a part of one,
whose inputs lie side by side. Real inputs are multiplied tile by tile; ``additions.py`` does so for spikes, forming
each sum in the same order, which gives the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels._jit import jit
from eventsim.kernels._vector import PANEL, TILE, multiply, outer

ROWS = TILE.rows
STRIP = 64
"""Windows whose gradients are packed at a time."""
LONGEST = 192
"""Longest run: a panel or stripe of its weights stays in the first-level cache."""
_LINE = 16
WORD = 64
"""Longest grain: the inputs that are searched for spikes at once."""


class Plan(NamedTuple):
    """Where the inputs of every window lie."""

    base: NDArray[np.int64]
    """First input of each window in a block of canvases; filled up to a multiple of ROWS."""
    windows: int
    """Windows of one image."""
    images: int
    """Images of a block."""
    offset: NDArray[np.int64]
    """Of each run in a window."""
    length: int
    """Of a run."""
    grain: int
    """Inputs that are searched for spikes together; divides ``length`` and every offset."""
    canvas: tuple[int, int, int]
    """Height, width, channels."""
    place: tuple[int, int, int, int]
    """Row and column of an image's first pixel on its canvas, and the distances (y, x) between its pixels there."""
    groups: int
    depth: int
    """Input channels of a group."""
    size: tuple[int, int]
    """Rows and columns of a window."""
    stride: tuple[int, int]
    out: tuple[int, int]
    """Windows of an image from top to bottom and from left to right."""


@jit
def paint(image, plan, canvas):
    """Put an image, shape (height, width, channels), onto a flat canvas whose other entries stay as they are."""
    height, width, channels = image.shape
    across = plan.canvas[1]
    top, left, down, right = plan.place
    for y in range(height):
        for x in range(width):
            at = ((top + y * down) * across + left + x * right) * channels
            for c in range(channels):
                canvas[at + c] = image[y, x, c]


@jit
def canvas_size(plan):
    """Entries of a canvas."""
    return plan.canvas[0] * plan.canvas[1] * plan.canvas[2]


@jit
def paint_block(images, block, plan, canvas):
    """:func:`paint` the images of a block side by side; returns how many of its windows there are."""
    start, size = block * plan.images, canvas_size(plan)
    number = min(plan.images, images.shape[0] - start)
    for i in range(number):
        paint(images[start + i], plan, canvas[i * size : (i + 1) * size])
    return number * plan.windows


@jit
def blocks(images, plan):
    """Blocks that so many images make."""
    return -(-images // plan.images)


@jit
def pack(weight, groups, columns, first, last, out):
    """Cut weights, shape (inputs of a window, targets), into panels of ``columns`` targets, group by group.

    ``out`` is of shape (groups * panels, inputs, columns), of which panels ``first .. last - 1`` are written; columns
    beyond the last target of a group are zero.
    """
    inputs = weight.shape[0]
    own = weight.shape[1] // groups
    panels = out.shape[0] // groups
    for n in range(first, last):
        column, wide = n // panels * own + n % panels * columns, min(columns, own - n % panels * columns)
        if wide < columns:
            out[n] = 0
        for k in range(inputs):
            row, to = weight[k], out[n, k]
            for c in range(wide):
                to[c] = row[column + c]


@jit
def copy(source, rows, columns, to):
    """Copy a corner of a table."""
    for i in range(rows):
        for c in range(columns):
            to[i, c] = source[i, c]


@jit
def products(images, first, last, plan, panels, out):
    """Sums of real inputs for blocks ``first .. last - 1``.

    Parameters
    ----------
    images : array, shape (images, height, width, channels)
        Real or whole numbers.
    plan : Plan
    panels : float array, shape (groups * panels, inputs of a window, columns)
        Weights from :func:`pack`.
    out : float array, shape (images * windows, targets)
        Written.
    """
    canvas = np.zeros(plan.images * canvas_size(plan) + ROWS, panels.dtype)
    row = first * plan.images * plan.windows
    for block in range(first, last):
        windows = paint_block(images, block, plan, canvas)
        multiply_block(canvas, plan, panels, out[row : row + windows])
        row += windows


@jit
def multiply_block(canvas, plan, panels, out):
    """All windows of a block of canvases, from panels as for :func:`products`; ``out`` has a row for each window."""
    zero = type(panels[0, 0, 0])(0)
    item, columns, length = panels.itemsize, panels.shape[2], plan.length
    own, each = out.shape[1] // plan.groups, panels.shape[0] // plan.groups
    together = max(1, LONGEST // length)
    edge = np.empty((ROWS, columns), panels.dtype)
    x, bases, offsets = canvas.ctypes.data, plan.base.ctypes.data, plan.offset.ctypes.data
    weights, rows, scratch = panels.ctypes.data, out.ctypes.data, edge.ctypes.data
    for n in range(panels.shape[0]):
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        inputs = x + item * group * plan.depth
        for r in range(0, plan.offset.size, together):
            runs = min(together, plan.offset.size - r)
            panel = weights + item * columns * (n * panels.shape[1] + r * length)
            for p in range(0, out.shape[0], ROWS):
                high = min(ROWS, out.shape[0] - p)
                where = (inputs, bases + 8 * p, offsets + 8 * r, runs, length, panel)
                if high == ROWS and wide == columns:
                    multiply(zero, *where, rows + item * (p * out.shape[1] + column), out.shape[1], r == 0)
                else:
                    copy(out[p:, column:], high, wide, edge)
                    multiply(zero, *where, scratch, columns, r == 0)
                    copy(edge, high, wide, out[p:, column:])


@jit
def paint_blocks(images, first, last, plan, canvases):
    """:func:`paint_block` for blocks ``first .. last - 1``, a row of ``canvases`` (zero at first) each."""
    for block in range(first, last):
        paint_block(images, block, plan, canvases[block])


@jit
def pack_slopes(grad, groups, first, last, out):
    """Lay the gradient of windows ``first .. last - 1`` out by ROWS targets, shape (groups * parts, windows, ROWS)."""
    own, parts = grad.shape[1] // groups, out.shape[0] // groups
    for n in range(out.shape[0]):
        column, wide = n // parts * own + n % parts * ROWS, min(ROWS, own - n % parts * ROWS)
        for p in range(first, last):
            for i in range(ROWS):
                out[n, p, i] = grad[p, column + i] if i < wide else 0


@jit
def by_weight(canvases, slopes, plan, first, last, columns, fresh, out):
    """Gradient by the weights from real inputs, for tasks ``first .. last - 1``: a run, half of a group's targets.

    Parameters
    ----------
    canvases : float array, shape (blocks, images of a block * canvas + columns)
        Painted.
    slopes : float array, shape (groups * parts, images * windows, ROWS)
        Gradient by the sums, from :func:`pack_slopes`.
    plan : Plan
    columns : int
        Inputs that lie side by side in a tile.
    fresh : bool
        Sums begin with these images; they go on from ``out`` otherwise.
    out : float array, shape (inputs of a window, targets)
        Written: sums over images and their windows in order.
    """
    zero = type(out[0, 0])(0)
    item, together, runs = out.itemsize, plan.images * plan.windows, plan.offset.size
    own, parts = out.shape[1] // plan.groups, slopes.shape[0] // plan.groups
    across = -(-plan.length // columns) * columns
    sums = np.empty((parts * ROWS, across), out.dtype)
    x, bases, slope, total = canvases.ctypes.data, plan.base.ctypes.data, slopes.ctypes.data, sums.ctypes.data
    windows = slopes.shape[1]
    for task in range(first, last):
        group, r, half = task // (2 * runs), task // 2 % runs, task % 2
        low, high = half * parts // 2, (half + 1) * parts // 2
        if fresh:
            sums[low * ROWS : high * ROWS] = zero
        else:
            begun = out[r * plan.length : (r + 1) * plan.length, group * own : (group + 1) * own]
            sums[: begun.shape[1], : plan.length] = begun.T
        for block in range(canvases.shape[0]):
            inputs = x + item * (block * canvases.shape[1] + plan.offset[r] + group * plan.depth)
            for p in range(0, min(together, windows - block * together), STRIP):
                number = min(STRIP, min(together, windows - block * together) - p)
                for k in range(0, across, columns):
                    for n in range(low, high):
                        own_slopes = slope + item * ROWS * ((group * parts + n) * windows + block * together + p)
                        where = total + item * (n * ROWS * across + k)
                        outer(zero, inputs + item * k, bases + 8 * p, number, own_slopes, where, across)
        _turn(sums, plan.length, low * ROWS, min(high * ROWS, own), out, r * plan.length, group * own)


@jit
def _turn(sums, length, low, high, out, row, column):
    """Copy the columns of ``sums`` to rows of the weights' gradient, a few cache lines at a time."""
    for start in range(0, length, _LINE):
        end = min(start + _LINE, length)
        for j in range(low, high):
            for k in range(start, end):
                out[row + k, column + j] = sums[j, k]


def panel_columns(dtype: np.dtype[np.floating]) -> int:
    """Columns of a panel of weights that real inputs are multiplied with."""
    return PANEL // dtype.itemsize
