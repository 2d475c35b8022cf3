"""Delivery of spikes through dense and one-to-one synapses, and the drive that their sums make.

A weight is ``scale[target] * n``. Where n is an integer, sums are exact in any order, so an event-driven sum over
spikes and a matrix product over frames give the same number; the scale of a column is applied once, here.
"""

from __future__ import annotations

from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import cut


@inline
def add_drive(drive, scale, total):
    """Drive of a column after ``total``, its sum of weights before scaling, arrived through one projection."""
    return drive + scale * type(drive)(total)


@jit
def add_rows(weight, columns, spikes, first, last, total):
    """Add the weights of spiking sources to the sums of targets ``first .. last - 1``.

    Parameters
    ----------
    weight : int16 or float32 array, flat
        Weights [source, target].
    columns : int
        Targets of the projection.
    spikes : int32 array
        Sources.
    total : float array, shape (last - first,)
        Added to.

    Returns
    -------
    int
        Synapses.
    """
    f, whole = type(total[0]), spikes.size & ~3
    for m in range(0, whole, 4):  # four rows for one pass over the sums
        a, b = _row(weight, columns, spikes[m], first, last), _row(weight, columns, spikes[m + 1], first, last)
        c, d = _row(weight, columns, spikes[m + 2], first, last), _row(weight, columns, spikes[m + 3], first, last)
        for j in range(a.size):
            total[j] = total[j] + f(a[j]) + f(b[j]) + f(c[j]) + f(d[j])
    for m in range(whole, spikes.size):
        a = _row(weight, columns, spikes[m], first, last)
        for j in range(a.size):
            total[j] = total[j] + f(a[j])
    return spikes.size * (last - first)


@inline
def _row(weight, columns, source, first, last):
    """Weights of a source to targets ``first .. last - 1``."""
    return cut(weight, source * columns + first, source * columns + last)


@jit
def add_twins(weight, spikes, first, last, total, marks):
    """:func:`add_rows` for one synapse for each source, to the target of the same number; sources ascend.

    Marks, unless there are none, are set where a spike arrives.
    """
    low, high = lower_bound(spikes, first), lower_bound(spikes, last)
    for m in range(low, high):
        total[spikes[m] - first] += weight[spikes[m]]
    if marks.size:
        for m in range(low, high):
            marks[spikes[m] - first] = 1
    return high - low


@jit
def lower_bound(ascending, value):
    """How many entries of an ascending array are below ``value``."""
    low, high = 0, ascending.size
    while low < high:
        middle = (low + high) >> 1
        if ascending[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def add_totals(scale, total, drive):
    """Turn the sums of one projection into drive, and make them zero."""
    for j in range(total.size):
        drive[j] = add_drive(drive[j], scale[j], total[j])
    wipe(total)


@jit
def wipe(row):
    """Set a row to zero."""
    for j in range(row.size):
        row[j] = 0
