"""Cycle-to-cycle factors by table: one random word in, one quantile of any law out, in single precision.

A word w stands for u = (w + 1/2) / 2**32. The table has two halves, one for each half of the distribution, and each
takes p = min(u, 1 - u) as a float32: exponent and leading bits of the mantissa number its cells, 32 for each power of
two, the other bits interpolate. The cells shrink with p, so that tails are as well resolved as the middle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels import rng
from eventsim.kernels._intrinsic import bits, fma
from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import cut, load_pair

_OCTAVES, _CELL_BITS = 32, 5
_SHIFT = 23 - _CELL_BITS
_HALF = (_OCTAVES << _CELL_BITS) + 1  # the last knot is p = 1/2
_FIRST = int(np.float32(0.5).view(np.int32))  # of 2**32 p, which is 1/2 for the word 0
_PART = (1 << _SHIFT) - 1


def knots() -> NDArray[np.float64]:
    """The p at which a table holds exact quantiles, ascending from 2**-33 to 1/2."""
    whole = np.arange(_HALF, dtype=np.int32) << np.int32(_SHIFT)
    return (whole + np.int32(_FIRST)).view(np.float32).astype(np.float64) / 2.0**32


def table(low: NDArray[np.float64], high: NDArray[np.float64], least: float, largest: float) -> NDArray[np.float32]:
    """Make a table of quantiles.

    Parameters
    ----------
    low, high : float64 array
        Quantiles of :func:`knots` p and of 1 - p.
    least, largest : float
        No entry, and no value between two entries, leaves this interval.

    Returns
    -------
    array of float32, shape (2050, 2)
        Value at each knot, and what it changes by per unit of the bits that interpolate; lower half, upper half.
    """
    with np.errstate(over="ignore"):
        ends = np.array([least, largest], np.float32)
        exact = np.array([low, high]).astype(np.float32)
    outside = np.array([float(ends[0]) < least, float(ends[1]) > largest])
    inwards = np.nextafter(ends, np.array([np.inf, -np.inf], np.float32))
    value = np.clip(exact, *np.where(outside, inwards, ends))
    slope = np.diff(value.astype(np.float64), append=value[:, -1:]) / 2.0**_SHIFT
    return np.ascontiguousarray(np.array([value.ravel(), slope.ravel()], np.float32).T)


@inline
def _cell(word):
    """Cell of a uint32 ``word``, and its place in the cell: what the slope is multiplied with."""
    signed = np.int32(word)
    upper = np.int32(signed >> np.int32(31))  # -1 in the upper half, whose words count down
    key = np.int32(bits(np.float32(np.int32(signed ^ upper)) + np.float32(0.5)) - np.int32(_FIRST))
    return np.uint32((key >> np.int32(_SHIFT)) + (upper & np.int32(_HALF))), np.float32(np.int32(key & np.int32(_PART)))


@inline
def factor(word, table):
    """The quantile of a uint32 ``word`` in a table."""
    cell, place = _cell(word)
    value, slope = load_pair(table, np.int64(cell))
    return fma(place, slope, value)


@inline
def least(table):
    """The smallest quantile of a table."""
    return table[0, 0]


GROUP = 64
"""Neighbouring devices that share 16 Philox blocks: device d has word d // 16 % 4 of block d // 64 * 16 + d % 16."""

_LANES, _ROUNDS = 16, 7
"""Seven rounds are the fewest of Philox4x32 that Salmon et al. found to pass all of BigCrush."""


@inline
def _block(seed, stream, number, counter):
    """Four random words of a block."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    return rng.philox(counter & low, counter >> half, number, stream, seed & low, seed >> half, _ROUNDS)


@jit
def some(table, seed, stream, devices, counter, words, out):
    """:func:`fill` for devices (int32, from 0 on) that are not neighbours; ``words`` has room for n."""
    for i in range(out.size):  # vectorises
        device = np.uint64(devices[i])
        place = ((device >> np.uint64(6)) << np.uint64(4)) + (device & np.uint64(15))
        a, b, c, d = _block(seed, stream, place, counter)
        low, high = device & np.uint64(16), device & np.uint64(32)
        words[i] = (d if low else c) if high else (b if low else a)
    for i in range(out.size):
        out[i] = factor(words[i], table)


@jit
def fill(table, seed, stream, first, counter, words, out):
    """Draw relative values of a parameter for a row of devices in one tick.

    Parameters
    ----------
    table : float32 array, shape (2050, 2)
        :func:`table` of its law.
    seed, stream, first, counter : uint64
        The key; ``first`` is the first device.
    words : uint32 array, shape (at least n + 128,)
        Scratch.
    out : float32 array, shape (n,)
        Written.
    """
    before, number = np.int64(first & np.uint64(GROUP - 1)), (first >> np.uint64(6)) << np.uint64(4)
    for group in range((before + out.size + GROUP - 1) // GROUP):
        for lane in range(_LANES):
            i = GROUP * group + lane
            words[i], words[i + 16], words[i + 32], words[i + 48] = _block(
                seed, stream, number + np.uint64(_LANES * group + lane), counter
            )
    row = cut(words, before, before + out.size)
    for j in range(out.size):  # vectorises, which reading the table does not
        row[j], out[j] = _cell(row[j])
    for j in range(out.size):
        value, slope = load_pair(table, np.int64(row[j]))
        out[j] = fma(out[j], slope, value)
