"""From spikes to the drive of a block of neurons: way by way, source block by source block, spike by spike.

The order in which weights are added to a target is that of ways, sources and synapses, whoever does it.
"""

from __future__ import annotations

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from eventsim.kernels import sparse
from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import cut, line, pointer
from eventsim.kernels.convolution import add_kernels, drive_channels, mark_channels
from eventsim.kernels.frozen import KERNELS16, LEVELS, REALS, ROWS, ROWS16, TWINS
from eventsim.kernels.synapse import add_rows, add_totals, add_twins


@jit
def _add(way, table, block, spikes, first, last, columns, total, marks):
    """Add what ``spikes`` send to targets ``first .. last - 1`` of ``columns``, a block; returns how many synapses.

    Sums of convolutions have the channel last.
    """
    form, address = way.form, way.address
    if form == LEVELS:
        return sparse.add_levels(address, way.rows, way.segments, way.segment + block, table, spikes, total, marks)
    if form == REALS:
        return sparse.add_reals(address, way.rows, way.segments, way.segment + block, spikes, total, marks)
    if form == ROWS16:
        return add_rows(carray(pointer(address), way.length, np.int16), columns, spikes, first, last, total)
    weight = carray(pointer(address), way.length, np.float32)
    if form == ROWS:
        return add_rows(weight, columns, spikes, first, last, total)
    if form == TWINS:
        return add_twins(weight, spikes, first, last, total, marks)
    area = way.out_height * way.out_width
    if form == KERNELS16:
        levels = carray(pointer(address), way.length, np.int16)
        return add_kernels(way, levels, spikes, first // area, last // area, total)
    return add_kernels(way, weight, spikes, first // area, last // area, total)


@inline
def _direct(form):
    """Whether weights are drive as they stand, and need neither sums of their own nor a scale."""
    return form != ROWS16 and form < KERNELS16


@jit
def _spikes_at(net, state, source, here, slot):
    """The spikes of a block in a slot of the ring, as numbers within its population ``source``."""
    at = source.ring + slot * source.size + net.blocks[here].first - source.start
    return cut(state.fired, at, at + state.n_fired[slot, here])


@jit
def _mark(net, state, way, source, slot, first, last, total, marks):
    """Mark the targets ``first .. last - 1`` that spikes reach, of forms that do not do so while they add."""
    if way.form < KERNELS16 and way.form != ROWS and way.form != ROWS16:
        return
    area = way.out_height * way.out_width
    for b in range(source.first_block, source.first_block + source.blocks):
        if state.n_fired[slot, b] == 0:
            continue
        if way.form < KERNELS16:
            for j in range(marks.size):
                marks[j] = 1
        else:
            ones, spikes = carray(pointer(way.ones), way.length, np.int16), _spikes_at(net, state, source, b, slot)
            add_kernels(way, ones, spikes, first // area, last // area, total)
    if way.form >= KERNELS16:
        mark_channels(area, (last - first) // area, total, marks)


@jit
def arrivals(net, state, pop, tick):
    """How many synapses of each target block spikes arrive through in a tick, in the mean."""
    events = 0.0
    for w in range(pop.first_way, pop.last_way):
        way = net.ways[w]
        if tick >= way.delay:
            source = net.populations[way.source]
            slot, count = (tick - way.delay) % source.slots, 0
            for b in range(source.first_block, source.first_block + source.blocks):
                count += state.n_fired[slot, b]
            events += count * way.fan_out
    return int(events / pop.blocks)


@jit
def deliver(net, state, pop, block, tick, total, drive, marks, synops):
    """Add what arrives at a block of neurons in a tick to their drive.

    Parameters
    ----------
    net : Frozen
    state : State
    pop : record of POPULATION
    block : int
        Counts within the population.
    tick : int
    total : float array, shape (neurons of the block,)
        Zero before and after.
    drive : float array, shape (neurons of the block,)
        Added to.
    marks : uint8 array, shape (neurons of the block,) or (0,)
        Set to 1 where a spike arrives, unless there are none.
    synops : int64 array, shape (tallies,)
        Added to.
    """
    here = net.blocks[pop.first_block + block]
    first, last = here.first - pop.start, here.last - pop.start
    for w in range(pop.first_way, pop.last_way):
        way = net.ways[w]
        if tick < way.delay:
            continue
        source = net.populations[way.source]
        slot = (tick - way.delay) % source.slots
        if marks.size:
            _mark(net, state, way, source, slot, first, last, total, marks)
        events, to = np.int64(-1), drive if _direct(way.form) else total
        for b in range(source.first_block, source.first_block + source.blocks):
            if state.n_fired[slot, b]:
                spikes = _spikes_at(net, state, source, b, slot)
                added = _add(way, line(net.table, w), block, spikes, first, last, pop.size, to, marks)
                events = max(events, 0) + added
        if events < 0:
            continue
        synops[way.tally + block] += events
        if _direct(way.form):
            continue
        scale = cut(net.scale, way.column + first, way.column + last)
        if way.form == ROWS16:
            add_totals(scale, total, drive)
        else:
            area = way.out_height * way.out_width
            drive_channels(area, total.size // area, scale, total, drive)
