"""Rectification of what stands on a line, in one pass."""

from __future__ import annotations

from eventsim.kernels._jit import jit


@jit
def rectify(values, first, last, scale, bias, out, positive):
    """``out = max(bias + scale values, 0)`` by tick and channel, for samples ``first .. last - 1``.

    Parameters
    ----------
    values : float array, shape (batch, 1 or ticks, places, channels)
    scale, bias : float array, shape (1 or ticks, channels)
    out : float array, shape (batch, ticks, places, channels)
        Written.
    positive : uint8 array, shape as ``out``
        Written: whether it is above 0. What is no number is not, and becomes 0.
    """
    _, ticks, places, channels = out.shape
    zero = out.dtype.type(0)
    for b in range(first, last):
        for t in range(ticks):
            a, k = scale[t % scale.shape[0]], bias[t % bias.shape[0]]
            own = values[b, t % values.shape[1]]
            for p in range(places):
                row, to, above = own[p], out[b, t, p], positive[b, t, p]
                for c in range(channels):
                    y = k[c] + a[c] * row[c]
                    to[c] = y if y > zero else zero
                    above[c] = y > zero
