"""From spikes to the drive of a block of neurons: way by way, source block by source block, spike by spike.

The order in which weights are added to a target is that of ways, sources and synapses, whoever does it.
"""

from __future__ import annotations

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from eventsim.kernels import sparse
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut, line, pointer
from eventsim.kernels.convolution import add_kernels, drive_channels
from eventsim.kernels.frozen import KERNELS16, LEVELS, REALS, ROWS, ROWS16, TWINS
from eventsim.kernels.synapse import add_drive, add_rows, add_totals, add_twins, lower_bound


@jit
def wipe(row):
    """Set a row to zero."""
    for j in range(row.size):
        row[j] = 0


@jit
def _add(way, table, block, spikes, first, last, columns, total):
    """Add what ``spikes`` send to targets ``first .. last - 1`` of ``columns``, a block; returns how many synapses.

    Sums of convolutions have the channel last.
    """
    form, address = way.form, way.address
    if form == LEVELS:
        return sparse.add_levels(address, way.rows, way.segments, way.segment + block, table, spikes, total)
    if form == REALS:
        return sparse.add_reals(address, way.rows, way.segments, way.segment + block, spikes, total)
    if form == ROWS16:
        return add_rows(carray(pointer(address), way.length, np.int16), columns, spikes, first, last, total)
    weight = carray(pointer(address), way.length, np.float32)
    if form == ROWS:
        return add_rows(weight, columns, spikes, first, last, total)
    if form == TWINS:
        return add_twins(weight, spikes, first, last, total)
    area = way.out_height * way.out_width
    if form == KERNELS16:
        levels = carray(pointer(address), way.length, np.int16)
        return add_kernels(way, levels, spikes, first // area, last // area, total)
    return add_kernels(way, weight, spikes, first // area, last // area, total)


@jit
def _list(j, marks, touched, count):
    """List neuron j unless it is marked, and mark it."""
    if not marks[j]:
        marks[j] = True
        touched[count] = j
        count += 1
    return count


@jit
def _reach(way, block, spikes, first, last, total, marks, touched, count):
    """List the targets in a block that ``spikes`` reach and that are not marked yet; returns how many are listed."""
    if way.form == LEVELS or way.form == REALS:
        width, segment = sparse.LEVEL if way.form == LEVELS else sparse.REAL, way.segment + block
        return sparse.touch(way.address, way.rows, way.segments, segment, width, spikes, marks, touched, count)
    if way.form == TWINS:
        for m in range(lower_bound(spikes, first), lower_bound(spikes, last)):
            count = _list(spikes[m] - first, marks, touched, count)
        return count
    area = way.out_height * way.out_width
    channels = (last - first) // area
    ones = carray(pointer(way.ones), way.length, np.int16)
    add_kernels(way, ones, spikes, first // area, last // area, total)
    for i in range(total.size):
        if total[i] > 0:
            count = _list(i % channels * area + i // channels, marks, touched, count)
        total[i] = 0
    return count


@jit
def _spikes_at(net, state, source, here, tick):
    """The spikes of a block in an earlier tick, as numbers within its population ``source``."""
    slot = tick % source.slots
    at = source.ring + slot * source.size + net.blocks[here].first - source.start
    return cut(state.fired, at, at + state.n_fired[slot, here])


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
def _sum(net, state, pop, w, block, first, last, tick, total):
    """Add to ``total`` what arrives at a block through a way; returns how many synapses, -1 if there is no spike."""
    way = net.ways[w]
    source, then, events = net.populations[way.source], tick - way.delay, np.int64(-1)
    for b in range(source.first_block, source.first_block + source.blocks):
        if then >= 0 and state.n_fired[then % source.slots, b]:
            spikes = _spikes_at(net, state, source, b, then)
            low, high = first - pop.start, last - pop.start
            events = max(events, 0) + _add(way, line(net.table, w), block, spikes, low, high, pop.size, total)
    return events


@jit
def deliver_all(net, state, pop, block, tick, total, drive, synops):
    """Drive of every neuron of a block in a tick.

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
        Written.
    synops : int64 array, shape (tallies,)
        Added to.
    """
    here = net.blocks[pop.first_block + block]
    bias = cut(net.bias, here.first, here.last)
    for j in range(drive.size):
        drive[j] = bias[j]
    for w in range(pop.first_way, pop.last_way):
        way = net.ways[w]
        to = drive if way.form == TWINS else total  # one weight for each target needs no sum, and has no scale
        events = _sum(net, state, pop, w, block, here.first, here.last, tick, to)
        if events < 0:
            continue
        synops[way.tally + block] += events
        if way.form == TWINS:
            continue
        column = way.column + here.first - pop.start
        scale = cut(net.scale, column, column + total.size)
        if way.form < KERNELS16:
            add_totals(scale, total, drive)
        else:
            area = way.out_height * way.out_width
            drive_channels(area, total.size // area, scale, total, drive)


@jit
def deliver_some(net, state, pop, block, tick, total, touched, drive, synops):
    """Drive of the ``touched`` neurons, among them all that spikes reach; otherwise as :func:`deliver_all`."""
    here = net.blocks[pop.first_block + block]
    for j in touched:
        drive[j] = net.bias[here.first + j]
    for w in range(pop.first_way, pop.last_way):
        events = _sum(net, state, pop, w, block, here.first, here.last, tick, total)
        if events < 0:
            continue
        column = net.ways[w].column + here.first - pop.start
        for j in touched:
            drive[j] = add_drive(drive[j], net.scale[column + j], total[j])
            total[j] = 0
        synops[net.ways[w].tally + block] += events


@jit
def reached_by_spikes(net, state, pop, block, tick, total, marks, touched):
    """List and mark the neurons of a block that spikes reach in a tick; returns how many.

    A dense way reaches all of them, which are then neither listed nor marked.
    """
    here, count = net.blocks[pop.first_block + block], 0
    for w in range(pop.first_way, pop.last_way):
        way = net.ways[w]
        source, then = net.populations[way.source], tick - way.delay
        for b in range(source.first_block, source.first_block + source.blocks):
            if then >= 0 and state.n_fired[then % source.slots, b]:
                if way.form == ROWS or way.form == ROWS16:
                    for i in range(count):
                        marks[touched[i]] = False
                    return here.last - here.first
                spikes = _spikes_at(net, state, source, b, then)
                low, high = here.first - pop.start, here.last - pop.start
                count = _reach(way, block, spikes, low, high, total, marks, touched, count)
    return count
