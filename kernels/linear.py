"""Layers with weights: sums of inputs over windows, and the gradient by the weights, for real inputs and for spikes.

A convolution, in one or two dimensions, and a dense layer (one window as large as the input) are the same sums::

    out[p, j] = sum_r sum_k canvas[base[p] + offset[r] + k] * weight[r * length + k, j]

The canvas is an image, channels last, with its padding around it; a run r is a row of the window, or a part of one,
whose inputs lie side by side. Real inputs are multiplied tile by tile. Of spikes, and of counts of spikes, the rows of
weights are added, once for each input that is not 0. Both form each sum in the same order, which gives the same bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels._intrinsic import lowest
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import nonzero_of_64
from eventsim.kernels._vector import PANEL, STRIPE, TILE, gather, gather_counts, multiply, outer

ROWS = TILE.rows
STRIP = 64
"""Windows whose gradients are packed at a time."""
LONGEST = 192
"""Longest run: a panel or stripe of its weights stays in the first-level cache."""
STRIP_PIXELS = 128
"""Pixels whose gradients are added together."""
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
        for k in range(inputs):
            for c in range(columns):
                out[n, k, c] = weight[k, column + c] if c < wide else 0


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
def find(canvas, grain, spikes, counts, starts):
    """List the spikes of a flat canvas of bytes: ``spikes[starts[u] : starts[u + 1]]`` are those of grain u.

    ``counts`` holds their numbers, unless it is empty. The canvas has room for 64 bytes behind its last grain.
    """
    number = 0
    keep = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(WORD - grain)
    for u in range(starts.size - 1):
        starts[u] = number
        found = nonzero_of_64(canvas, u * grain) & keep
        while found:
            at = u * grain + lowest(found)
            spikes[number] = at
            if counts.size:
                counts[number] = canvas[at]
            number += 1
            found &= found - np.uint64(1)
    starts[starts.size - 1] = number


@jit
def additions(images, first, last, plan, panels, counted, out):
    """:func:`products` for images of bytes, with panels as wide as a stripe, ``counted`` if not 0 or 1."""
    size = plan.images * _size(plan)
    canvas = np.zeros(size + WORD, np.uint8)
    spikes, starts = np.empty(size, np.int32), np.empty(size // plan.grain + 1, np.int32)
    counts = np.empty(size if counted else 0, panels.dtype)
    row = first * plan.images * plan.windows
    for block in range(first, last):
        windows = paint_block(images, block, plan, canvas)
        find(canvas, plan.grain, spikes, counts, starts)
        _gather_block(spikes, counts, starts, plan, panels, out[row : row + windows])
        row += windows


@jit
def _gather_block(spikes, counts, starts, plan, panels, out):
    """:func:`_multiply_block` for listed spikes."""
    zero = type(panels[0, 0, 0])(0)
    item, columns, length, grain = panels.itemsize, panels.shape[2], plan.length, plan.grain
    own, each = out.shape[1] // plan.groups, panels.shape[0] // plan.groups
    edge = np.empty((1, columns), panels.dtype)
    listed, weights, rows, scratch = spikes.ctypes.data, panels.ctypes.data, out.ctypes.data, edge.ctypes.data
    numbers, counted, base = counts.ctypes.data, counts.size > 0, plan.base
    for n in range(panels.shape[0]):
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        for first in range(0, out.shape[0], STRIP):
            for r in range(plan.offset.size):
                panel = weights + item * columns * (n * panels.shape[1] + r * length)
                shift = plan.offset[r] + group * plan.depth
                for p in range(first, min(first + STRIP, out.shape[0])):
                    begin = base[p] + shift
                    low, high = starts[begin // grain], starts[(begin + length) // grain]
                    to = rows + item * (p * out.shape[1] + column)
                    if wide < columns:
                        _copy(out[p:, column:], 1, wide, edge)
                        to = scratch
                    where = (high - low, begin, panel, to, r == 0)
                    if counted:
                        gather_counts(zero, listed + 4 * low, numbers + item * low, *where)
                    else:
                        gather(zero, listed + 4 * low, *where)
                    if wide < columns:
                        _copy(edge, 1, wide, out[p:, column:])


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
def by_weight(canvases, slopes, plan, first, last, columns, out):
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
    out : float array, shape (inputs of a window, targets)
        Added to; images and their windows in order.
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
        rows = out[r * plan.length :, group * own :]
        low, high = half * parts // 2, (half + 1) * parts // 2
        for j in range(low * ROWS, min(high * ROWS, own)):
            for k in range(plan.length):
                sums[j, k] = rows[k, j]
        for block in range(canvases.shape[0]):
            inputs = x + item * (block * canvases.shape[1] + plan.offset[r] + group * plan.depth)
            for p in range(0, min(together, windows - block * together), STRIP):
                number = min(STRIP, min(together, windows - block * together) - p)
                for k in range(0, across, columns):
                    for n in range(low, high):
                        own_slopes = slope + item * ROWS * ((group * parts + n) * windows + block * together + p)
                        where = total + item * (n * ROWS * across + k)
                        outer(zero, inputs + item * k, bases + 8 * p, number, own_slopes, where, across)
        for j in range(low * ROWS, min(high * ROWS, own)):
            for k in range(plan.length):
                rows[k, j] = sums[j, k]


@jit
def strips(plan):
    """Strips of pixels of a block's canvases: the gradients of one stay in the first-level cache."""
    return -(-plan.images * plan.canvas[0] * plan.canvas[1] // STRIP_PIXELS)


@jit
def list_channels(images, first, last, plan, spikes, counts, starts):
    """List the spikes of blocks ``first .. last - 1`` channel by channel.

    Parameters
    ----------
    images : uint8 array, shape (images, height, width, channels)
    plan : Plan
    spikes : int32 array, shape (blocks, images of a block * canvas)
        Written: canvas pixels with a spike, by strip and channel.
    counts : float array, likewise, or shape (blocks, 0)
        Written: numbers of spikes.
    starts : int32 array, shape (blocks, strips * channels + 1)
        Written: where the list of each strip and channel begins.
    """
    size, channels, grain = plan.images * _size(plan), plan.canvas[2], plan.grain
    canvas = np.zeros(size + WORD, np.uint8)
    keep = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(WORD - grain)
    per_pixel = channels // grain
    for block in range(first, last):
        canvas[:] = 0
        paint_block(images, block, plan, canvas)
        start = starts[block]
        start[:] = 0
        for u in range(size // grain):
            pixel, low = u // per_pixel, (u % per_pixel) * grain
            found = nonzero_of_64(canvas, u * grain) & keep
            place = pixel // STRIP_PIXELS * channels + low + 1
            while found:
                start[place + lowest(found)] += 1
                found &= found - np.uint64(1)
        for k in range(1, start.size):
            start[k] += start[k - 1]
        for u in range(size // grain):  # each start moves up to the next one while its list is filled
            pixel, low = u // per_pixel, (u % per_pixel) * grain
            found = nonzero_of_64(canvas, u * grain) & keep
            place = pixel // STRIP_PIXELS * channels + low
            while found:
                channel = lowest(found)
                at = start[place + channel]
                spikes[block, at] = pixel
                if counts.shape[1]:
                    counts[block, at] = canvas[u * grain + channel]
                start[place + channel] = at + 1
                found &= found - np.uint64(1)
        for k in range(start.size - 1, 0, -1):
            start[k] = start[k - 1]
        start[0] = 0


@jit
def by_weight_of_spikes(spikes, counts, starts, grad, plan, first, last, columns, out):
    """:func:`by_weight` for listed spikes, for tasks of a stripe of targets and a row of the window each.

    The gradient is put onto canvases too, so that a pixel finds that of its window at a fixed distance.
    """
    zero = type(grad[0, 0])(0)
    item, pixels, together = grad.itemsize, plan.canvas[0] * plan.canvas[1], plan.images * plan.windows
    rows, across = plan.size
    own = grad.shape[1] // plan.groups
    each = -(-own // columns)
    margin = (rows - 1) * plan.canvas[1] + across - 1
    slopes = np.empty((margin + plan.images * pixels, columns), grad.dtype)
    tile = np.empty((across * plan.depth, columns), grad.dtype)
    slope, sums = slopes.ctypes.data + item * columns * margin, tile.ctypes.data
    listed, numbers, counted = spikes.ctypes.data, counts.ctypes.data, counts.shape[1] > 0
    for task in range(first, last):
        n, r = task // rows, task % rows
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        inputs = across * plan.depth
        slopes[:] = zero
        tile[:] = zero
        _copy(out[r * inputs :, column:], inputs, wide, tile)
        for block in range(spikes.shape[0]):
            _paint_slopes(grad[block * together : (block + 1) * together], plan, column, wide, slopes[margin:])
            line, count, start = block * spikes.shape[1], block * counts.shape[1], starts[block]
            for strip in range(strips(plan)):
                for x in range(across):
                    shift = r * plan.canvas[1] + x
                    for c in range(plan.depth):
                        k = strip * plan.canvas[2] + group * plan.depth + c
                        low, high = start[k], start[k + 1]
                        where = (high - low, shift, slope, sums + item * columns * (x * plan.depth + c), False)
                        if counted:
                            gather_counts(zero, listed + 4 * (line + low), numbers + item * (count + low), *where)
                        else:
                            gather(zero, listed + 4 * (line + low), *where)
        _copy(tile, inputs, wide, out[r * inputs :, column:])


@jit
def _paint_slopes(grad, plan, column, wide, slopes):
    """Put a stripe of the gradient of a block's windows onto canvases, where the first pixel of each window is."""
    pixels = plan.canvas[0] * plan.canvas[1]
    for i in range(grad.shape[0] // plan.windows):
        for y in range(plan.out[0]):
            for x in range(plan.out[1]):
                to = slopes[i * pixels + y * plan.stride[0] * plan.canvas[1] + x * plan.stride[1]]
                own = grad[(i * plan.out[0] + y) * plan.out[1] + x]
                for c in range(wide):
                    to[c] = own[column + c]


def panel_columns(dtype: np.dtype[np.floating]) -> int:
    """Columns of a panel of weights that real inputs are multiplied with."""
    return PANEL // dtype.itemsize


def stripe_columns(dtype: np.dtype[np.floating]) -> int:
    """Columns of a panel of weights that spikes add."""
    return STRIPE // dtype.itemsize
