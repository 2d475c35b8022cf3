"""Sums of spikes over windows, and the gradient by their weights: only what is not 0 is touched.

Of spikes, and of counts of spikes, the rows of weights are added, once for each input that is not 0. For the gradient
by the weights they are listed channel by channel: a weight's gradient is the sum of the gradients at the pixels listed.
The bits are those of ``linear.py``.
"""

from __future__ import annotations

import numpy as np

from eventsim.kernels._intrinsic import lowest
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import nonzero_of_64
from eventsim.kernels._vector import STRIPE, gather, gather_counts
from eventsim.kernels.linear import WORD, canvas_size, copy, paint_block

STRIP = 64
"""Windows whose sums stay in the first-level cache while the weights change."""
STRIP_PIXELS = 128
"""Pixels whose gradients are added together."""


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
    size = plan.images * canvas_size(plan)
    canvas = np.zeros(size + WORD, np.uint8)
    spikes, starts = np.empty(size, np.int32), np.empty(size // plan.grain + 1, np.int32)
    counts = np.empty(size if counted else 0, panels.dtype)
    grains = plan.base // plan.grain  # once: a division takes as long as the weights of several spikes
    row = first * plan.images * plan.windows
    for block in range(first, last):
        windows = paint_block(images, block, plan, canvas)
        find(canvas, plan.grain, spikes, counts, starts)
        _gather_block(spikes, counts, starts, plan, grains, panels, out[row : row + windows])
        row += windows


@jit
def _gather_block(spikes, counts, starts, plan, grains, panels, out):
    """:func:`multiply_block` for listed spikes; ``grains`` is the first grain of each window."""
    zero = type(panels[0, 0, 0])(0)
    item, columns, length, run = panels.itemsize, panels.shape[2], plan.length, plan.length // plan.grain
    own, each = out.shape[1] // plan.groups, panels.shape[0] // plan.groups
    edge = np.empty((STRIP, columns), panels.dtype)
    listed, weights, rows, scratch = spikes.ctypes.data, panels.ctypes.data, out.ctypes.data, edge.ctypes.data
    numbers, counted, base = counts.ctypes.data, counts.size > 0, plan.base
    for n in range(panels.shape[0]):
        group, within = n // each, (n % each) * columns
        column, wide = group * own + within, min(columns, own - within)
        for first in range(0, out.shape[0], STRIP):
            number = min(STRIP, out.shape[0] - first)
            to, apart = rows + item * (first * out.shape[1] + column), out.shape[1]
            if wide < columns:
                to, apart = scratch, columns
            for r in range(plan.offset.size):
                panel = weights + item * columns * (n * panels.shape[1] + r * length)
                shift = plan.offset[r] + group * plan.depth
                skipped = shift // plan.grain
                for p in range(number):
                    grain = grains[first + p] + skipped
                    low, high = starts[grain], starts[grain + run]
                    where = (high - low, base[first + p] + shift, panel, to + item * p * apart, r == 0)
                    if counted:
                        gather_counts(zero, listed + 4 * low, numbers + item * low, *where)
                    else:
                        gather(zero, listed + 4 * low, *where)
            if wide < columns:
                copy(edge, number, wide, out[first:, column:])


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
    size, channels, grain = plan.images * canvas_size(plan), plan.canvas[2], plan.grain
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
        copy(out[r * inputs :, column:], inputs, wide, tile)
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
        copy(tile, inputs, wide, out[r * inputs :, column:])


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


def stripe_columns(dtype: np.dtype[np.floating]) -> int:
    """Columns of a panel of weights that spikes add."""
    return STRIPE // dtype.itemsize
