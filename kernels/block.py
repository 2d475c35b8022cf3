"""One tick of a block of neurons: all of them, or those that something reached.

Which of the two follows from counts of spikes alone: see :func:`choose`.
"""

from __future__ import annotations

import numpy as np

from eventsim.kernels._handle import handle
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut, line
from eventsim.kernels.collect import list_marked, list_spikes
from eventsim.kernels.delivery import arrivals, deliver
from eventsim.kernels.frozen import RELAY, model_of, row_of
from eventsim.kernels.lazy import catch_up, mark_due, settle
from eventsim.kernels.neuron import readout_tick
from eventsim.kernels.sweep import square, sweep
from eventsim.kernels.synapse import wipe
from eventsim.kernels.touched import step_touched, watch_touched

_MEMORY = 16
"""Ticks over which arrivals are averaged."""

_BUSY, _QUIET = 14, 20
"""A block is swept once a spike arrives at one in 14 neurons in a tick, until it is less than one in 20: to bring one
neuron up to date takes as long as a step of that many in a row."""


@jit
def choose(net, state, pop, here, now):
    """Whether a block that may wait is swept in tick ``now``; made ready for it where that has changed."""
    block, activity = net.blocks[here], state.activity[here]
    activity.load += arrivals(net, state, pop, now) - (activity.load + _MEMORY - 1) // _MEMORY
    was = activity.swept != 0
    sweep = activity.load * (_QUIET if was else _BUSY) > _MEMORY * (block.last - block.first)
    if sweep != was:
        if was:
            settle(pop, handle(row_of(net, state, here)), now - 1)
        else:
            catch_up(model_of(pop), handle(row_of(net, state, here)), now - 1)
        activity.swept = sweep
    return sweep


@jit
def columns(net, state, pop, block, now, room, out, probes, b):
    """One tick of a block of a readout, which integrates, or of a relay; returns how many fired."""
    here, energy = pop.first_block + block, probes.column_reads.shape[1] > 0
    first, size, fired = net.blocks[here].first, net.blocks[here].last - net.blocks[here].first, 0
    total, drive, marks = cut(room.total, 0, size), cut(room.drive, 0, size), cut(room.marks, 0, size if energy else 0)
    deliver(net, state, pop, block, now, total, drive, marks, line(probes.synops, b))
    if energy:
        probes.column_reads[b, here] += list_marked(marks, size, 0, room.touched, 0)
        wipe(marks)
    if pop.kind == RELAY:
        fired = list_spikes(drive, cut(net.rest, first, first + size), first - pop.start, out, np.int64(0))
    else:
        for j in range(size):
            state.x[first + j] = readout_tick(state.x[first + j], drive[j] + net.bias[first + j])
    wipe(drive)
    return fired


@jit
def _squares(biased, bias, push, touched):
    """Sum of the squared drive where only the ``touched`` have another one, ``push``, than their bias, if any has."""
    total = square(bias) if biased else 0.0
    for i in range(touched.size):
        now, alone = np.float64(push[i]), np.float64(bias[touched[i]])
        total += now * now - alone * alone
    return total


@jit
def _some(net, pop, here, row, now, room, marks, probes, b, frame, out):
    """Step the marked neurons of a block, and those that are due; returns how many fired."""
    count = list_marked(marks, marks.size, 0, room.touched, 0)
    if probes.column_reads.shape[1]:
        probes.column_reads[b, here] += count
    if pop.restless and mark_due(row, now, marks):
        count = list_marked(marks, marks.size, 0, room.touched, 0)
    touched, first = cut(room.touched, 0, count), net.blocks[here].first
    fired = step_touched(pop, row, first - pop.start, now, touched, room, out)
    watch, end = probes.watched[here], probes.watched[here + 1]
    watch_touched(model_of(pop), row, first, now, touched, room.push, room.reached, probes, watch, end, frame)
    if probes.drive_squared.shape[1]:
        probes.drive_squared[b, here] += _squares(pop.biased != 0, row.bias, room.push, touched)
    wipe(marks)
    return fired


@jit
def neurons(net, state, pop, block, now, key, room, out, probes, b, frame):
    """One tick of a block of neurons; returns how many fired, listed in ``out``."""
    here, energy, swept = pop.first_block + block, probes.column_reads.shape[1] > 0, True
    size = net.blocks[here].last - net.blocks[here].first
    if net.blocks[here].waits:
        swept = choose(net, state, pop, here, now)
    total, drive = cut(room.total, 0, size), cut(room.drive, 0, size)
    marks = cut(room.marks, 0, size if energy or not swept else 0)
    deliver(net, state, pop, block, now, total, drive, marks, line(probes.synops, b))
    row = handle(row_of(net, state, here))
    if not swept:
        return _some(net, pop, here, row, now, room, marks, probes, b, frame, out)
    if energy:
        probes.column_reads[b, here] += list_marked(marks, size, 0, room.touched, 0)
        wipe(marks)
    return sweep(net, pop, here, row, key, room, probes, b, frame, out)
