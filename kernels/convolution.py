"""Event-driven convolution: a spike adds the part of the kernel that lies under it, and nothing is expanded.

Sums of a block of whole output channels are kept with the channel last, ``total[(y * width + x) * channels + c]``, and
the kernel as ``weight[in, ky, kx, c]``, c counting the outputs of the group, so that a spike adds rows of channels.
"""

from __future__ import annotations

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut
from eventsim.kernels.synapse import add_drive


@jit
def add_kernels(shape, weight, spikes, first, last, total):
    """Add the kernels of spiking sources to the sums of output channels ``first .. last - 1``.

    Parameters
    ----------
    shape : record with the fields of GEOMETRY in :mod:`eventsim.kernels.frozen`
    weight : float or int array, flat
        Kernel [in, ky, kx, out within its group].
    spikes : int32 array
        Sources, numbered (channel, y, x).
    first, last : int
        Output channels.
    total : float array, shape (out_height * out_width * (last - first),)
        Added to.

    Returns
    -------
    int
        Synapses.
    """
    per_group = shape.out_channels // shape.groups
    wide = last - first
    events = 0
    for spike in spikes:
        plane = shape.source_height * shape.source_width
        c, at = spike // plane, spike % plane
        y, x = at // shape.source_width // shape.pool, at % shape.source_width // shape.pool
        if y >= shape.height or x >= shape.width:
            continue
        group = c // (shape.channels // shape.groups) * per_group
        low, high = max(first, group), min(last, group + per_group)
        if low >= high:
            continue
        for ky in range(shape.kernel_height):
            down = y + shape.pad_y - ky
            if down < 0 or down % shape.stride_y or down >= shape.out_height * shape.stride_y:
                continue
            for kx in range(shape.kernel_width):
                right = x + shape.pad_x - kx
                if right < 0 or right % shape.stride_x or right >= shape.out_width * shape.stride_x:
                    continue
                row = ((c * shape.kernel_height + ky) * shape.kernel_width + kx) * per_group - group
                sums = (down // shape.stride_y * shape.out_width + right // shape.stride_x) * wide - first
                into, kernel = cut(total, sums + low, sums + high), cut(weight, row + low, row + high)
                for o in range(into.size):
                    into[o] += kernel[o]
                events += high - low
    return events


@jit
def drive_channels(area, channels, scale, total, drive):
    """Add sums with the channel last to the drive of neurons with the channel first, and make them zero."""
    for c in range(channels):
        for p in range(area):
            j = c * area + p
            drive[j] = add_drive(drive[j], scale[j], total[p * channels + c])
            total[p * channels + c] = 0


@jit
def mark_channels(area, channels, total, marks):
    """Mark the neurons with the channel first whose sums with the channel last are above 0, and make these zero."""
    for c in range(channels):
        for p in range(area):
            i = p * channels + c
            marks[c * area + p] |= np.uint8(total[i] > 0)
            total[i] = 0
