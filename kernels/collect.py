"""Lists of spikes: from rows of neurons, and from the lists of blocks to the columns of a recording."""

from __future__ import annotations

import numpy as np

from eventsim.kernels._intrinsic import lowest, population
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import nonzero_of_64, reached_of_16


@jit
def list_spikes(reached, threshold, first, out, count):
    """Write the numbers, from ``first`` up, of the neurons that reached their threshold behind ``out[:count]``.

    Few of them do in a tick: 16 are looked at at once. Returns how many numbers there are in ``out`` then.
    """
    whole = reached.size & ~15
    for base in range(0, whole, 16):
        found = reached_of_16(reached, threshold, base)
        while found:
            out[np.uint64(count)] = first + base + lowest(found)
            count += 1
            found &= found - np.uint64(1)
    for j in range(whole, reached.size):
        if reached[j] >= threshold[j]:
            out[count] = first + j
            count += 1
    return count


@jit
def list_marked(marks, n, first, out, count):
    """:func:`list_spikes` of the first n ``marks`` that are not 0: uint8, with room for a multiple of 64.

    Four numbers are written at once, whether there are so many or not, into ``out``, which has room for three more:
    processors guess wrongly how often a loop over single ones turns.
    """
    for base in range(0, n, 64):
        found = nonzero_of_64(marks, base)
        if n - base < 64:
            found &= (np.uint64(1) << np.uint64(n - base)) - np.uint64(1)
        at = np.uint64(count)
        count += population(found)
        while found:
            for k in range(4):
                out[at + np.uint64(k)] = first + base + lowest(found)
                found &= found - np.uint64(1)
            at += np.uint64(4)
    return count


@jit
def collect(log, counts, column, blocks, first_block, last_block, frame, address):
    """Write frame and address of the logged spikes of one population, in order.

    Parameters
    ----------
    log : int32 array, shape (frames, columns)
    counts : int32 array, shape (frames, blocks)
    column : int
        First column of the population.
    blocks : records of BLOCK
    first_block, last_block : int
        Of the population.
    frame, address : int64 arrays, shape (spikes,)
        Written.
    """
    n = 0
    for f in range(log.shape[0]):
        for here in range(first_block, last_block):
            at = column + blocks[here].first - blocks[first_block].first
            for i in range(counts[f, here]):
                frame[n], address[n] = f, log[f, at + i]
                n += 1
