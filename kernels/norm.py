"""Sums over a batch that normalisation needs, channel by channel, and the gradient through it.

Every sample is summed by itself, in float64; who adds the samples up in their order gets the same bits however they
were shared out.
"""

from __future__ import annotations

import numpy as np

from eventsim.kernels._jit import jit

_SOON = 64
"""Entries of a channel that are added in the type of the values, before they join the sum in float64."""


@jit
def moments(values, first, last, origin, sums):
    """Sums of values and of their squares, both less an origin, for samples ``first .. last - 1``.

    Parameters
    ----------
    values : float array, shape (batch, ticks, places, channels)
    origin : float array, shape (channels,)
        Somewhere among the values, so that no digits are lost.
    sums : float64 array, shape (batch, ticks, 2, channels)
        Written.
    """
    _, ticks, places, channels = values.shape
    one, two = np.empty(channels, values.dtype), np.empty(channels, values.dtype)
    for b in range(first, last):
        for t in range(ticks):
            total = sums[b, t]
            total[:] = 0
            for start in range(0, places, _SOON):
                one[:] = 0
                two[:] = 0
                for p in range(start, min(start + _SOON, places)):
                    row = values[b, t, p]
                    for c in range(channels):
                        apart = row[c] - origin[c]
                        one[c] += apart
                        two[c] += apart * apart
                for c in range(channels):
                    total[0, c] += one[c]
                    total[1, c] += two[c]


@jit
def gradient_moments(values, grad, first, last, origin, sums):
    """:func:`moments` of the gradient, and of the gradient times the values less their origin."""
    _, ticks, places, channels = values.shape
    one, two = np.empty(channels, values.dtype), np.empty(channels, values.dtype)
    for b in range(first, last):
        for t in range(ticks):
            total = sums[b, t]
            total[:] = 0
            for start in range(0, places, _SOON):
                one[:] = 0
                two[:] = 0
                for p in range(start, min(start + _SOON, places)):
                    row, slope = values[b, t, p], grad[b, t, p]
                    for c in range(channels):
                        one[c] += slope[c]
                        two[c] += slope[c] * (row[c] - origin[c])
                for c in range(channels):
                    total[0, c] += one[c]
                    total[1, c] += two[c]


@jit
def combine(values, grad, first, last, factors, out):
    """``out = factors[0] grad + factors[1] values + factors[2]`` by channel, for samples ``first .. last - 1``.

    Parameters
    ----------
    values, grad, out : float array, shape (batch, ticks, places, channels)
        ``out`` may be ``grad``.
    factors : float array, shape (1 or ticks, 3, channels)
    """
    _, ticks, places, channels = values.shape
    for b in range(first, last):
        for t in range(ticks):
            own = factors[t % factors.shape[0]]
            a, e, k = own[0], own[1], own[2]
            for p in range(places):
                row, slope, to = values[b, t, p], grad[b, t, p], out[b, t, p]
                for c in range(channels):
                    to[c] = a[c] * slope[c] + e[c] * row[c] + k[c]


@jit
def over_ticks(values, first, last, factor, out):
    """``out[b] = factor * sum over t of values[b, t]`` for samples ``first .. last - 1``, each in the order of ticks.

    Parameters
    ----------
    values : array, shape (batch, ticks, n)
    factor : number of the type of ``out``; whole numbers are only added up.
    out : array, shape (batch, n)
        Written.
    """
    _, ticks, n = values.shape
    for b in range(first, last):
        to = out[b]
        for j in range(n):
            to[j] = values[b, 0, j]
        for t in range(1, ticks):
            row = values[b, t]
            for j in range(n):
                to[j] += row[j]
        if factor != 1:
            for j in range(n):
                to[j] *= factor
