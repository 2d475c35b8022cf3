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
from eventsim.kernels._memory import cut

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
    array of float32, shape (2, 2050)
        Values at the knots, and what they change by per unit of the bits that interpolate; lower half, upper half.
    """
    with np.errstate(over="ignore"):
        ends = np.array([least, largest], np.float32)
        exact = np.array([low, high]).astype(np.float32)
    outside = np.array([float(ends[0]) < least, float(ends[1]) > largest])
    inwards = np.nextafter(ends, np.array([np.inf, -np.inf], np.float32))
    value = np.clip(exact, *np.where(outside, inwards, ends))
    slope = np.diff(value.astype(np.float64), append=value[:, -1:]) / 2.0**_SHIFT
    return np.array([value.ravel(), slope.ravel()], np.float32)


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
    return fma(place, table[1, cell], table[0, cell])


@inline
def _factors(words, table, out):
    """:func:`factor` of a row of words, which is overwritten: two loops, of which the first vectorises."""
    value, slope = table[0], table[1]
    for j in range(out.size):
        words[j], out[j] = _cell(words[j])
    for j in range(out.size):
        cell = words[j]
        out[j] = fma(out[j], slope[cell], value[cell])


GROUP = 64
"""Neighbouring devices that share 16 Philox blocks: device d has word d // 16 % 4 of block d // 64 * 16 + d % 16."""


@jit
def one(table, seed, stream, device, counter):
    """The factor of one device (uint64), as :func:`fill` draws it."""
    lane, word = device & np.uint64(15), (device >> np.uint64(4)) & np.uint64(3)
    words = rng.block(seed, stream, ((device >> np.uint64(6)) << np.uint64(4)) + lane, counter)
    return factor(np.uint32(words[word]), table)


@jit
def fill(table, seed, stream, first, counter, size, blocks, words, out):
    """Draw relative values of a parameter for a row of devices in one tick.

    Parameters
    ----------
    table : float32 array, shape (2, 2050)
        :func:`table` of its law.
    seed, stream, first, counter : uint64
        The key.
    size : int
        Devices, from ``first`` on.
    blocks : uint32 array, shape (4, at least size / 4 + 32)
        Scratch; C-contiguous like the others, or else the loops do not vectorise.
    words : uint32 array, shape (at least size + 128,)
        Scratch.
    out : float32 array, shape (size,)
        Written.
    """
    before = np.int64(first & np.uint64(GROUP - 1))
    groups = (before + size + GROUP - 1) // GROUP
    rng.words(seed, stream, (first >> np.uint64(6)) << np.uint64(4), counter, 16 * groups, blocks)
    for group in range(groups):
        for word in range(4):
            for lane in range(16):
                words[64 * group + 16 * word + lane] = blocks[word, 16 * group + lane]
    _factors(cut(words, before, before + size), table, out)
