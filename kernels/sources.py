"""Populations that spike without neurons: external events, and Poisson generators."""

from __future__ import annotations

import math

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels.rng import block, unit
from eventsim.kernels.synapse import lower_bound

CHUNK = 4096
"""Neurons of a generator that share a sequence of random numbers; blocks of generators begin at multiples of it."""


@jit
def emit(addresses, start, first, last, out):
    """List the events at neurons ``first .. last - 1`` of one tick, as numbers from ``start``; returns how many."""
    low, high = lower_bound(addresses, first), lower_bound(addresses, last)
    for e in range(low, high):
        out[e - low] = addresses[e] - start
    return high - low


@jit
def generate(seed, stream, counter, probability, first, last, out):
    """List neurons ``first .. last - 1`` of a generator that spike in a tick, each with the same probability.

    The gaps between spikes are geometric, so the work follows the spikes. Returns how many there are.
    """
    rate = math.log1p(-probability) if probability < 1.0 else -math.inf
    if rate == 0.0:
        return 0
    count = 0
    for begin in range(first, last, CHUNK):
        end = min(begin + CHUNK, last)
        chunk = np.uint64(begin // CHUNK)
        j, k = begin - 1, 0
        while True:
            a, b, c, d = block(seed, stream, chunk | (np.uint64(k) << np.uint64(20)), counter)
            j += 1 + int(min(float(CHUNK), math.log(unit(a, b)) / rate))
            if j >= end:
                break
            out[count] = j
            count += 1
            j += 1 + int(min(float(CHUNK), math.log(unit(c, d)) / rate))
            if j >= end:
                break
            out[count] = j
            count += 1
            k += 1
    return count
