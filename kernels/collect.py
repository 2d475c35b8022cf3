"""Spikes of a stretch of frames, from the lists of its blocks to columns."""

from __future__ import annotations

from eventsim.kernels._jit import jit


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
