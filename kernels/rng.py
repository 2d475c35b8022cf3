"""Counter-based random numbers: Philox4x32 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").

A draw is a pure function of ``(seed, stream, device, counter)``. There is no generator to advance, so the order,
the number of threads and whatever else is drawn cannot change it.
"""

from __future__ import annotations

import numpy as np

from eventsim.kernels._jit import inline, jit

_MUL_0 = np.uint64(0xD2511F53)
_MUL_1 = np.uint64(0xCD9E8D57)
_KEY_0 = np.uint64(0x9E3779B9)
_KEY_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_WORD = np.uint64(32)
_TO_UNIT = 2.0**-53
_HALF = 2.0**-54


@inline
def philox(c0, c1, c2, c3, k0, k1, rounds):
    """Philox4x32. The first six arguments and all four results are 32-bit words held in uint64.

    Upper halves are masked where a word is multiplied, not where it is made: that product is one vector instruction.
    """
    for _ in range(rounds):
        p0 = _MUL_0 * (c0 & _LOW)
        p1 = _MUL_1 * (c2 & _LOW)
        c0, c1 = (p1 >> _WORD) ^ c1 ^ k0, p1
        c2, c3 = (p0 >> _WORD) ^ c3 ^ k1, p0
        k0 = (k0 + _KEY_0) & _LOW
        k1 = (k1 + _KEY_1) & _LOW
    return c0 & _LOW, c1 & _LOW, c2 & _LOW, c3 & _LOW


@inline
def block(seed, stream, device, counter):
    """Four random words of one key: uint64 ``seed`` and ``counter``, uint32 ``stream`` and ``device`` (as uint64)."""
    return philox(counter & _LOW, counter >> _WORD, device, stream, seed & _LOW, seed >> _WORD, 10)


@inline
def unit(high, low):
    """Join two random words into a float64 from 2**-54 on, below 1 but for one in 2**53 that is 1."""
    return np.float64(((high << _WORD) | low) >> np.uint64(11)) * _TO_UNIT + _HALF


@jit
def uniforms(seed, stream, first, counter, out):
    """Fill ``out[i]`` with the uniform number of device ``first + i``.

    Parameters
    ----------
    seed, stream, first, counter : uint64
        The key; ``stream`` and ``first + len(out)`` fit in 32 bits.
    out : float64 array, shape (n,)
    """
    for i in range(out.size):
        r0, r1, _, _ = block(seed, stream, first + np.uint64(i), counter)
        out[i] = unit(r0, r1)


@jit
def threshold_spikes(seed, stream, counters, probability, out):
    """Draw spikes: ``out[b, t, i] = 1`` with probability ``probability[b, i]``, anew for each tick ``t``.

    The draw is keyed by (seed, stream, ``counters[b]``, tick, input); four neighbouring inputs share one Philox block.
    The probability is compared with a 32-bit word, i.e. cut to a multiple of 2**-32; 0 and 1 are exact.

    Parameters
    ----------
    counters : uint64 array, shape (batch,)
        One for each sample, below 2**48: the sample, and the epoch that it is drawn for.
    probability : float array, shape (batch, inputs)
    out : uint8 array, shape (batch, ticks, inputs)
        At most 65,536 ticks.
    """
    samples, ticks, inputs = out.shape
    for b in range(samples):
        for t in range(ticks):
            counter = (counters[b] << np.uint64(16)) | np.uint64(t)
            for i in range(0, inputs, 4):
                words = block(seed, stream, np.uint64(i >> 2), counter)
                for k in range(min(4, inputs - i)):
                    spike = words[k] < np.uint64(np.float64(probability[b, i + k]) * 4294967296.0)
                    out[b, t, i + k] = spike


@jit
def stratified_spikes(seed, stream, count_stream, counters, probability, out):
    """Draw spikes as :func:`threshold_spikes` does, but for their number, which strays by less than one.

    Input ``i`` of sample ``b`` spikes ``floor(ticks p + v)`` times, ``p = probability[b, i]``, ``v`` uniform below 1,
    in ticks that are chosen at random (Knuth's selection sampling, Algorithm S): each tick has a spike with probability
    ``p``, as if its random threshold had been drawn from one of ``ticks`` equally likely strata, each in its turn.

    Parameters
    ----------
    stream, count_stream : uint64
        Streams of the choice of ticks and of the numbers of spikes.
    seed, counters, probability, out
        As for :func:`threshold_spikes`.
    """
    samples, ticks, inputs = out.shape
    left = np.empty(inputs, np.uint64)
    for b in range(samples):
        for i in range(0, inputs, 4):
            words = block(seed, count_stream, np.uint64(i >> 2), counters[b])
            for k in range(min(4, inputs - i)):
                mean = np.uint64(np.float64(probability[b, i + k]) * ticks * 4294967296.0)
                left[i + k] = (mean + words[k]) >> _WORD
        for t in range(ticks):
            counter = (counters[b] << np.uint64(16)) | np.uint64(t)
            for i in range(0, inputs, 4):
                words = block(seed, stream, np.uint64(i >> 2), counter)
                for k in range(min(4, inputs - i)):
                    spike = words[k] * np.uint64(ticks - t) < left[i + k] << _WORD
                    left[i + k] -= np.uint64(spike)
                    out[b, t, i + k] = spike
