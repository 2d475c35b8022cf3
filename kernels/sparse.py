"""Sparse connections: rows of synapses by source, cut into the segments that reach one block of targets each.

A synapse is 3 bytes, its target within the block (2) and the number of a conductance level in a table (1), or 6 bytes
with a weight of its own in float32 (4) in the level's place. One unaligned read fetches a whole synapse of 3 bytes, and
the bytes of a segment lie side by side, so that its cache lines can be asked for ahead of time: a spike's row is
somewhere in memory, and waiting for it would cost more than all additions.

Segments stand by source, then by group, a group being a delay and a block of targets; ``rows[source * groups + g]`` is
the first synapse of a segment and the next entry its end.
"""

from __future__ import annotations

import math

import numpy as np

from eventsim.kernels._intrinsic import bits
from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import load_half, load_index, load_single, load_word, prefetch
from eventsim.kernels.rng import block, unit

LEVEL, REAL = 3, 6
"""Bytes of a synapse with a conductance level, and of one with a weight of its own."""

BLOCK = 2**16
"""Most targets in a block."""

PADDING = 64
"""Bytes to add behind the last synapse: a read of 3 bytes reads 4."""

_LINE = 64
_FAR, _NEAR = 16, 4

_HALF, _LOW_HALF, _BYTE = np.uint32(16), np.uint32(0xFFFF), np.uint32(0xFF)

FAN_OUT, PROBABILITY = range(2)
"""Rules that draw row by row."""


@inline
def _fetch(data, rows, groups, group, width, source):
    """Ask for the synapses of a source."""
    row = rows + 8 * (source * groups + group)
    for at in range(data + width * load_index(row), data + width * load_index(row + 8), _LINE):
        prefetch(at)


@inline
def _ahead(data, rows, groups, group, width, spikes, m):
    """Ask for the segment of the spike that is next but few, and for the place of one that is further off."""
    if m == 0:
        for near in range(1, min(_NEAR, spikes.size)):
            _fetch(data, rows, groups, group, width, spikes[near])
    if m + _FAR < spikes.size:
        prefetch(rows + 8 * (spikes[m + _FAR] * groups + group))
    if m + _NEAR < spikes.size:
        _fetch(data, rows, groups, group, width, spikes[m + _NEAR])


@jit
def add_levels(data, rows, groups, group, table, spikes, total, marks):
    """Add the synapses of spiking sources to the sums of their targets.

    Parameters
    ----------
    data, rows : int
        Addresses of the synapses and of the int64 array of segments.
    groups, group : int
        How many segments a source has, and which one is meant.
    table : float array, shape (256,)
        Weight of each level.
    spikes : int32 array
        Sources.
    total : float array
        Sums of the targets in the block; added to.
    marks : uint8 array
        Set to 1 where a spike arrives; unless it is empty.

    Returns
    -------
    int
        Synapses.
    """
    events = 0
    for m in range(spikes.size):
        _ahead(data, rows, groups, group, LEVEL, spikes, m)
        row = rows + 8 * (spikes[m] * groups + group)
        first, last = load_index(row), load_index(row + 8)
        for e in range(first, last):
            word = load_word(data + LEVEL * e)
            total[word & _LOW_HALF] += table[(word >> _HALF) & _BYTE]
        if marks.size:
            _mark(data, LEVEL, first, last, marks)
        events += last - first
    return events


@jit
def add_reals(data, rows, groups, group, spikes, total, marks):
    """:func:`add_levels` for synapses with weights of their own."""
    events = 0
    for m in range(spikes.size):
        _ahead(data, rows, groups, group, REAL, spikes, m)
        row = rows + 8 * (spikes[m] * groups + group)
        first, last = load_index(row), load_index(row + 8)
        for e in range(first, last):
            total[load_half(data + REAL * e)] += load_single(data + REAL * e + 2)
        if marks.size:
            _mark(data, REAL, first, last, marks)
        events += last - first
    return events


@jit
def _mark(data, width, first, last, marks):
    """Mark the targets of some synapses."""
    for e in range(first, last):
        marks[load_half(data + width * e)] = 1


@jit
def _scaled(word, size):
    """A whole number from 0 to size - 1 out of a random word of 32 bits."""
    return np.int64((word * np.uint64(size)) >> np.uint64(32))


@jit
def _fan_out(seed, stream, source, fan_out, targets, row):
    for k in range(0, fan_out, 4):
        words = block(seed, stream, np.uint64(source), np.uint64(k >> 2))
        for i in range(min(4, fan_out - k)):
            row[k + i] = _scaled(words[i], targets)
    return fan_out


@jit
def _bernoulli(seed, stream, source, probability, targets, row):
    """Each target with the same probability: the gaps between those that are hit are geometric."""
    if probability >= 1.0:
        for j in range(targets):
            row[j] = j
        return targets
    rate = math.log1p(-probability)
    count, j, k = 0, -1, 0
    while True:
        a, b, _, _ = block(seed, stream, np.uint64(source), np.uint64(k))
        gap = math.floor(math.log(unit(a, b)) / rate)
        if gap >= targets - 1 - j:
            return count
        j += 1 + int(gap)
        row[count] = j
        count += 1
        k += 1


@jit
def _row(rule, seed, stream, source, number, targets, row):
    """Draw the targets of a source; returns how many there are."""
    if rule == FAN_OUT:
        return _fan_out(seed, stream, source, int(number), targets, row)
    return _bernoulli(seed, stream, source, number, targets, row)


@jit
def _draw16(seed, stream, source, k):
    """Sixteen random bits for synapse k of a source."""
    words = block(seed, stream, np.uint64(source), np.uint64(k >> 3))
    word = words[(k >> 1) & 3]
    return np.int64((word >> np.uint64(16 * (k & 1))) & np.uint64(0xFFFF))


@jit
def _put(data, width, e, target, level, weight):
    """Write synapse e."""
    at = width * e
    data[at], data[at + 1] = np.uint8(target & 255), np.uint8(target >> 8)
    if width == LEVEL:
        data[at + 2] = level
    else:
        word = bits(weight)
        for i in range(4):
            data[at + 2 + i] = np.uint8((word >> np.int32(8 * i)) & np.int32(255))


@jit
def count_rows(rule, seed, stream, first, last, number, targets, size, blocks, delays, rows):
    """Count the synapses of each segment of sources ``first .. last - 1`` that a rule draws.

    Parameters
    ----------
    rule : int
        FAN_OUT with ``number`` targets for each source, or PROBABILITY with ``number`` for each pair.
    seed, stream : uint64
    size, blocks : int
        Targets in a block, and how many blocks.
    delays : int
        How many different delays, each as likely as the other.
    rows : int64 array, shape (sources * groups + 1,)
        Written: entry s * groups + g + 1 is the length of segment g of source s.
    """
    row = np.empty(max(targets, int(number) if rule == FAN_OUT else 0), np.int64)
    groups = blocks * delays
    for source in range(first, last):
        n = _row(rule, seed, stream, source, number, targets, row)
        for k in range(n):
            late = (_draw16(seed, stream + np.uint64(2), source, k) * delays) >> 16 if delays > 1 else 0
            rows[source * groups + late * blocks + row[k] // size + 1] += 1


@jit
def fill_rows(rule, seed, stream, first, last, number, targets, size, blocks, delays, rows, levels, weights, data):
    """Write the synapses that :func:`count_rows` counted, after its counts were added up.

    Parameters
    ----------
    rows : int64 array, shape (sources * groups + 1,)
        First synapse of each segment.
    levels : uint8 array, shape (65536,)
        Level for each value of 16 random bits.
    weights : float32 array
        Weight of each synapse of a fixed fan-out, source by source; empty for synapses with levels.
    data : uint8 array
        Written.
    """
    row = np.empty(max(targets, int(number) if rule == FAN_OUT else 0), np.int64)
    groups = blocks * delays
    width = REAL if weights.size else LEVEL
    at = np.empty(groups, np.int64)
    for source in range(first, last):
        n = _row(rule, seed, stream, source, number, targets, row)
        for g in range(groups):
            at[g] = rows[source * groups + g]
        for k in range(n):
            late = (_draw16(seed, stream + np.uint64(2), source, k) * delays) >> 16 if delays > 1 else 0
            q = row[k] // size
            g = late * blocks + q
            level = levels[_draw16(seed, stream + np.uint64(1), source, k)]
            weight = weights[source * n + k] if weights.size else np.float32(0.0)
            _put(data, width, at[g], row[k] - q * size, level, weight)
            at[g] += 1


@jit
def count_pairs(source, target, late, size, blocks, delays, rows):
    """:func:`count_rows` for given pairs; ``late`` is the number of the delay of each, or empty."""
    groups = blocks * delays
    for e in range(source.size):
        g = (late[e] if late.size else 0) * blocks + target[e] // size
        rows[source[e] * groups + g + 1] += 1


@jit
def fill_pairs(source, target, late, size, blocks, delays, at, levels, weights, data):
    """:func:`fill_rows` for given pairs, in their order; ``at``, the first synapse of each segment, is used up."""
    groups = blocks * delays
    width = REAL if weights.size else LEVEL
    for e in range(source.size):
        q = target[e] // size
        g = source[e] * groups + (late[e] if late.size else 0) * blocks + q
        level = levels[e] if levels.size else np.uint8(0)
        weight = weights[e] if weights.size else np.float32(0.0)
        _put(data, width, at[g], target[e] - q * size, level, weight)
        at[g] += 1


@jit
def draw_fan_in(seed, stream, first, last, fan_in, sources, out):
    """Sources of targets ``first .. last - 1``: ``out[(t - first) * fan_in + k]`` is drawn for target t."""
    for target in range(first, last):
        base = (target - first) * fan_in
        for k in range(0, fan_in, 4):
            words = block(seed, stream, np.uint64(target), np.uint64(k >> 2))
            for i in range(min(4, fan_in - k)):
                out[base + k + i] = _scaled(words[i], sources)


@jit
def sums_of_targets(data, rows, segments, groups, first_group, blocks, width, size, table, sums):
    """Add the magnitudes of all weights into each target: ``sums[block * size + target]``, shape (blocks * size,)."""
    for s in range(segments // groups):
        for q in range(blocks):
            row = rows + 8 * (s * groups + first_group + q)
            for e in range(load_index(row), load_index(row + 8)):
                at = data + width * e
                if width == LEVEL:
                    word = load_word(at)
                    sums[q * size + (word & _LOW_HALF)] += abs(table[(word >> _HALF) & _BYTE])
                else:
                    sums[q * size + load_half(at)] += abs(load_single(at + 2))
