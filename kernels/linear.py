"""Layers with weights: sums of inputs over windows, and the gradient by the weights, for real inputs and for spikes.

A convolution, in one or two dimensions, and a dense layer (one window as large as the input) are the same sums::

    out[p, j] = sum_r sum_k canvas[base[p] + offset[r] + k] * weight[r * length + k, j]

The canvas is an image, channels last, with its padding around it; a run r is a row of the window, or a part of one, whose
inputs lie side by side. Real inputs are multiplied tile by tile. Of binary inputs the spikes are listed, and the rows of
weights of a window's spikes are added. Both form each sum in the same order, which gives the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels._intrinsic import lowest
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import nonzero_of_64
from eventsim.kernels._vector import PANEL, STRIPE, TILE, gather, multiply, outer, scatter

ROWS = TILE.rows
STRIP = 64
"""Windows whose gradients are packed at a time."""
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
    place: tuple[int, int, int, int]
    """Row and column of an image's first pixel on its canvas, and the distances (y, x) between its pixels there."""
    groups: int
    depth: int
    """Input channels of a group."""


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
def _size(plan):
    """Entries of a canvas."""
    return plan.canvas[0] * plan.canvas[1] * plan.canvas[2]


@jit
def paint_block(images, block, plan, canvas):
    """:func:`paint` the images of a block side by side; returns how many of its windows there are."""
    start, size = block * plan.images, _size(plan)
    number = min(plan.images, images.shape[0] - start)
    for i in range(number):
        paint(images[start + i], plan, canvas[i * size : (i + 1) * size])
    return number * plan.windows


@jit
def blocks(images, plan):
    """Blocks that so many images make."""
    return -(-images // plan.images)


@jit
def pack(weight, groups, columns, out):
    """Cut weights, shape (inputs of a window, targets), into panels of ``columns`` targets, group by group.

    ``out`` is of shape (groups * panels, inputs, columns); columns beyond the last target are zero.
    """
    inputs = weight.shape[0]
    own = weight.shape[1] // groups
    panels = out.shape[0] // groups
    for g in range(groups):
        for j in range(panels):
            for k in range(inputs):
                for c in range(columns):
                    inside = j * columns + c < own
                    out[g * panels + j, k, c] = weight[k, g * own + j * columns + c] if inside else 0


@jit
def _copy(source, rows, columns, to):
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
    canvas = np.zeros(plan.images * _size(plan) + ROWS, panels.dtype)
    row = first * plan.images * plan.windows
    for block in range(first, last):
        windows = paint_block(images, block, plan, canvas)
        _multiply_block(canvas, plan, panels, out[row : row + windows])
        row += windows


@jit
def _multiply_block(canvas, plan, panels, out):
    """All windows of a block of canvases; ``out`` has a row for each window."""
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
                    _copy(out[p:, column:], high, wide, edge)
                    multiply(zero, *where, scratch, columns, r == 0)
                    _copy(edge, high, wide, out[p:, column:])


@jit
def find(canvas, grain, spikes, starts):
    """List the spikes of a flat canvas of bytes: ``spikes[starts[u] : starts[u + 1]]`` are those of grain u.

    The canvas has room for 64 bytes behind its last grain.
    """
    count = 0
    keep = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(WORD - grain)
    for u in range(starts.size - 1):
        starts[u] = count
        found = nonzero_of_64(canvas, u * grain) & keep
        while found:
            spikes[count] = u * grain + lowest(found)
            count += 1
            found &= found - np.uint64(1)
    starts[starts.size - 1] = count


@jit
def additions(images, first, last, plan, panels, out):
    """:func:`products` for images of bytes that are 0 or 1, with panels as wide as a stripe."""
    size = plan.images * _size(plan)
    canvas = np.zeros(size + WORD, np.uint8)
    spikes, starts = np.empty(size, np.int32), np.empty(size // plan.grain + 1, np.int32)
    row = first * plan.images * plan.windows
    for block in range(first, last):
        windows = paint_block(images, block, plan, canvas)
        find(canvas, plan.grain, spikes, starts)
        _gather_block(spikes, starts, plan, panels, out[row : row + windows])
        row += windows


@jit
def _gather_block(spikes, starts, plan, panels, out):
    """:func:`_multiply_block` for listed spikes."""
    zero = type(panels[0, 0, 0])(0)
    item, columns, length, grain = panels.itemsize, panels.shape[2], plan.length, plan.grain
    own, each = out.shape[1] // plan.groups, panels.shape[0] // plan.groups
    edge = np.empty((1, columns), panels.dtype)
    listed, weights, rows, scratch = spikes.ctypes.data, panels.ctypes.data, out.ctypes.data, edge.ctypes.data
    base = plan.base
    for n in range(panels.shape[0]):
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        for r in range(plan.offset.size):
            panel = weights + item * columns * (n * panels.shape[1] + r * length)
            shift = plan.offset[r] + group * plan.depth
            for p in range(out.shape[0]):
                begin = base[p] + shift
                low, high = starts[begin // grain], starts[(begin + length) // grain]
                where = (listed + 4 * low, high - low, begin, panel)
                if wide == columns:
                    gather(zero, *where, rows + item * (p * out.shape[1] + column), r == 0)
                else:
                    _copy(out[p:, column:], 1, wide, edge)
                    gather(zero, *where, scratch, r == 0)
                    _copy(edge, 1, wide, out[p:, column:])


@jit
def paint_blocks(images, first, last, plan, canvases):
    """:func:`paint_block` for blocks ``first .. last - 1``, a row of ``canvases`` (zero at first) each."""
    for block in range(first, last):
        paint_block(images, block, plan, canvases[block])


@jit
def by_weight(canvases, grad, plan, first, last, columns, out):
    """Gradient by the weights from real inputs, for tasks ``first .. last - 1``: a panel of targets and a run each.

    Parameters
    ----------
    canvases : float array, shape (blocks, images of a block * canvas + ROWS)
        Painted.
    grad : float array, shape (images * windows, targets)
        Gradient by the sums.
    plan : Plan
    columns : int
        Targets of a panel.
    out : float array, shape (inputs of a window, targets)
        Added to; images and their windows in order.
    """
    zero = type(grad[0, 0])(0)
    item, length, together = grad.itemsize, plan.length, plan.images * plan.windows
    own = grad.shape[1] // plan.groups
    each = -(-own // columns)
    tile = np.empty((-(-length // ROWS) * ROWS, columns), grad.dtype)
    strip = np.zeros((STRIP, columns), grad.dtype)
    x, bases, packed, sums = canvases.ctypes.data, plan.base.ctypes.data, strip.ctypes.data, tile.ctypes.data
    for task in range(first, last):
        n, r = task // plan.offset.size, task % plan.offset.size
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        tile[:] = zero
        strip[:] = zero
        _copy(out[r * length :, column:], length, wide, tile)
        for i in range(canvases.shape[0]):
            inputs = x + item * (i * canvases.shape[1] + plan.offset[r] + group * plan.depth)
            rows = grad[i * together : (i + 1) * together]
            for p in range(0, rows.shape[0], STRIP):
                number = min(STRIP, rows.shape[0] - p)
                _copy(rows[p:, column:], number, wide, strip)
                for k in range(0, length, ROWS):
                    outer(zero, inputs + item * k, bases + 8 * p, number, packed, sums + item * columns * k, columns)
        _copy(tile, length, wide, out[r * length :, column:])


@jit
def list_spikes(images, first, last, plan, spikes, starts):
    """:func:`find` the spikes of blocks ``first .. last - 1``, a row of ``spikes`` and ``starts`` (int32) each."""
    canvas = np.zeros(plan.images * _size(plan) + WORD, np.uint8)
    for block in range(first, last):
        paint_block(images, block, plan, canvas)
        find(canvas, plan.grain, spikes[block], starts[block])


@jit
def by_weight_of_spikes(spikes, starts, grad, plan, first, last, columns, out):
    """:func:`by_weight` for listed spikes; ``columns`` are those of a stripe."""
    zero = type(grad[0, 0])(0)
    item, length, grain, together = grad.itemsize, plan.length, plan.grain, plan.images * plan.windows
    own = grad.shape[1] // plan.groups
    each = -(-own // columns)
    tile, strip = np.empty((length, columns), grad.dtype), np.zeros((STRIP, columns), grad.dtype)
    listed, packed, sums = spikes.ctypes.data, strip.ctypes.data, tile.ctypes.data
    base = plan.base
    for task in range(first, last):
        n, r = task // plan.offset.size, task % plan.offset.size
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        shift = plan.offset[r] + group * plan.depth
        tile[:] = zero
        _copy(out[r * length :, column:], length, wide, tile)
        for i in range(spikes.shape[0]):
            line, mark = listed + 4 * i * spikes.shape[1], starts[i]
            rows = grad[i * together : (i + 1) * together]
            for p in range(0, rows.shape[0], STRIP):
                number = min(STRIP, rows.shape[0] - p)
                _copy(rows[p:, column:], number, wide, strip)
                for q in range(number):
                    begin = base[p + q] + shift
                    low, high = mark[begin // grain], mark[(begin + length) // grain]
                    scatter(zero, line + 4 * low, high - low, begin, sums, packed + item * columns * q)
        _copy(tile, length, wide, out[r * length :, column:])


def panel_columns(dtype: np.dtype[np.floating]) -> int:
    """Columns of a panel of weights that real inputs are multiplied with."""
    return PANEL // dtype.itemsize


def stripe_columns(dtype: np.dtype[np.floating]) -> int:
    """Columns of a panel of weights that spikes add."""
    return STRIPE // dtype.itemsize
