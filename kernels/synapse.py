"""Delivery of spikes through synapses whose weight is ``scale[c] * n``, ``n`` an integer.

Integers add exactly in any order, so an event-driven sum over spikes and a matrix product over frames give the
same number; the scale of a column is applied once, here.
"""

from __future__ import annotations

from eventsim.kernels._jit import inline, jit


@inline
def add_drive(drive, scale, levels):
    """Drive of a column after ``levels``, its integer sum of conductance levels, arrived through one projection."""
    return drive + scale * type(scale)(levels)


@inline
def add_row(total, row):
    """Add the levels of one spiking source, ``row``, to the sums of its targets."""
    for j in range(total.size):
        total[j] += row[j]


@jit
def drive_from_sums(levels, scale, bias, drive):
    """Turn integer sums of a batch into drive: ``drive[b, j] = bias[j] + scale[j] * levels[b, j]``.

    Parameters
    ----------
    levels : float array, shape (batch, targets)
        Sums of inputs times levels, as a matrix product forms them: for spikes, whole numbers below 2**24.
    scale, bias : float array, shape (targets,)
    drive : float array, shape (batch, targets)
        Written.
    """
    for b in range(levels.shape[0]):
        for j in range(levels.shape[1]):
            drive[b, j] = add_drive(bias[j], scale[j], levels[b, j])
