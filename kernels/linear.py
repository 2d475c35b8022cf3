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
from eventsim.kernels._memory import cut, line
from eventsim.kernels._vector import PANEL, REGISTER, TILE, move, multiply, multiply_narrow, outer, outer_narrow

ROWS = TILE.rows
STRIP = 64
"""Rows that are packed, and windows whose gradients are multiplied, at a time."""
LONGEST = 192
"""Longest run: a panel or stripe of its weights stays in the first-level cache."""
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
    place: tuple[int, int]
    """Row and column of an image's first pixel on its canvas."""
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
    rows = image.reshape(height, width * channels)
    top, left = plan.place
    for y in range(height):
        begin = ((top + y) * plan.canvas[1] + left) * channels
        source, to = line(rows, y), cut(canvas, begin, begin + width * channels)
        for j in range(to.size):
            to[j] = source[j]


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
def copy(source, rows, columns, to):
    """Copy a corner of a table."""
    for i in range(rows):
        for c in range(columns):
            to[i, c] = source[i, c]


@jit
def pack(rows, groups, first, last, out):
    """Cut rows ``first .. last - 1`` of weights, or of a gradient by sums, into panels, group by group.

    Parameters
    ----------
    rows : float array, shape (inputs of a window or windows, targets)
    groups : int
    first, last : int
    out : float array, shape (groups * panels, rows, columns)
        Written; columns beyond the last target of a group are zero.
    """
    zero, item, columns = type(out[0, 0, 0])(0), out.itemsize, out.shape[2]
    own, panels = rows.shape[1] // groups, out.shape[0] // groups
    source, to = rows.ctypes.data, out.ctypes.data
    for low in range(first, last, STRIP):  # their lines stay in the cache from panel to panel
        number = min(STRIP, last - low)
        for n in range(out.shape[0]):
            column, wide = n // panels * own + n % panels * columns, min(columns, own - n % panels * columns)
            if wide == columns:
                begin, place = low * rows.shape[1] + column, (n * out.shape[1] + low) * columns
                move(zero, source + item * begin, rows.shape[1], number, columns * item // REGISTER, to + item * place)
            else:
                out[n, low : low + number] = zero
                copy(rows[low:, column:], number, wide, out[n, low:])


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
def _multiply(full, zero, x, bases, offsets, runs, length, panel, out, stride, fresh):
    """The product of a tile with a panel, as wide as a panel can be or half."""
    if full:
        multiply(zero, x, bases, offsets, runs, length, panel, out, stride, fresh)
    else:
        multiply_narrow(zero, x, bases, offsets, runs, length, panel, out, stride, fresh)


@jit
def _outer(full, zero, x, bases, windows, panel, out, stride, fresh):
    """Likewise, of the gradient by the weights."""
    if full:
        outer(zero, x, bases, windows, panel, out, stride, fresh)
    else:
        outer_narrow(zero, x, bases, windows, panel, out, stride, fresh)


@jit
def multiply_block(canvas, plan, panels, out):
    """All windows of a block of canvases, from panels as for :func:`products`; ``out`` has a row for each window."""
    zero = type(panels[0, 0, 0])(0)
    item, columns, length = panels.itemsize, panels.shape[2], plan.length
    own, each = out.shape[1] // plan.groups, panels.shape[0] // plan.groups
    together, full = max(1, LONGEST // length), columns * item == PANEL
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
                    _multiply(full, zero, *where, rows + item * (p * out.shape[1] + column), out.shape[1], r == 0)
                else:
                    copy(out[p:, column:], high, wide, edge)
                    _multiply(full, zero, *where, scratch, columns, r == 0)
                    copy(edge, high, wide, out[p:, column:])


@jit
def paint_blocks(images, first, last, plan, canvases):
    """:func:`paint_block` for blocks ``first .. last - 1``, a row of ``canvases`` (zero at first) each."""
    for block in range(first, last):
        paint_block(images, block, plan, canvases[block])


@jit
def by_weight(canvases, slopes, plan, first, last, fresh, out):
    """Gradient by the weights from real inputs, of the targets of panels ``first .. last - 1``.

    Parameters
    ----------
    canvases : float array, shape (blocks, images of a block * canvas + ROWS)
        Painted.
    slopes : float array, shape (groups * panels, images * windows, columns)
        Gradient by the sums, from :func:`pack`.
    plan : Plan
    fresh : bool
        Sums begin with these images; they go on from ``out`` otherwise.
    out : float array, shape (inputs of a window, targets)
        Written: sums over images and their windows in order.
    """
    zero = type(out[0, 0])(0)
    item, together, length, columns = out.itemsize, plan.images * plan.windows, plan.length, slopes.shape[2]
    own, each, windows = out.shape[1] // plan.groups, slopes.shape[0] // plan.groups, slopes.shape[1]
    full = columns * item == PANEL
    edge = np.empty((ROWS, columns), out.dtype)
    x, bases, slope, total = canvases.ctypes.data, plan.base.ctypes.data, slopes.ctypes.data, out.ctypes.data
    scratch = edge.ctypes.data
    for n in range(first, last):
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        for block in range(canvases.shape[0]):
            before = block * together
            for p in range(0, min(together, windows - before), STRIP):
                number = min(STRIP, min(together, windows - before) - p)
                panel, begins = slope + item * columns * (n * windows + before + p), fresh and block == 0 and p == 0
                for r in range(plan.offset.size):
                    inputs = x + item * (block * canvases.shape[1] + plan.offset[r] + group * plan.depth)
                    for k in range(0, length, ROWS):
                        high, row = min(ROWS, length - k), r * length + k
                        where = (inputs + item * k, bases + 8 * p, number, panel)
                        if high == ROWS and wide == columns:
                            place = total + item * (row * out.shape[1] + column)
                            _outer(full, zero, *where, place, out.shape[1], begins)
                        else:
                            copy(out[row:, column:], high, wide, edge)
                            _outer(full, zero, *where, scratch, columns, begins)
                            copy(edge, high, wide, out[row:, column:])


def panel_columns(dtype: np.dtype[np.floating], targets: int) -> int:
    """Columns of a panel of weights that real inputs are multiplied with, for so many targets of a group."""
    columns = PANEL // dtype.itemsize
    return columns if targets > columns // 2 else columns // 2
