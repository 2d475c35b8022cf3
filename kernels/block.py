"""One tick of a block of neurons: all of them, or those that something reached.

Which of the two follows from counts of spikes alone: see :func:`choose`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels import cycle
from eventsim.kernels._handle import handle
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut, line
from eventsim.kernels.delivery import arrivals, deliver_all, deliver_some, reached_by_spikes, wipe
from eventsim.kernels.frozen import GAIN, RELAY, RESET, THRESHOLD, model_of, row_of
from eventsim.kernels.lazy import add_due, catch_up, idle, look_ahead, settle
from eventsim.kernels.neuron import (
    DeviceArrays,
    below,
    flow,
    left_by,
    list_spikes,
    readout_tick,
    tick,
)

_MEMORY = 16
"""Ticks over which arrivals are averaged."""

_BUSY, _QUIET = 160, 320
"""A block is swept once a spike arrives at one in 160 neurons in a tick, until it is less than one in 320: to bring one
neuron up to date means to wait for a dozen arrays, which takes as long as a step of 160 in a row."""


class Scratch(NamedTuple):
    """What a thread works with, as long as its longest block."""

    total: NDArray[np.floating]
    """Sums of one way; zero between uses."""
    drive: NDArray[np.floating]
    reached: NDArray[np.floating]
    """Positions before reset."""
    marks: NDArray[np.bool_]
    """Neurons that are listed; none between blocks."""
    touched: NDArray[np.int64]
    """The list."""
    gain: NDArray[np.floating]
    threshold: NDArray[np.floating]
    reset: NDArray[np.floating]
    """Of the tick, under cycle-to-cycle variation; empty like the following where there is none."""
    factor: NDArray[np.float32]
    words: NDArray[np.uint32]
    """Random, up to a multiple of the group that shares them."""
    blocks: NDArray[np.uint32]
    """(4, a quarter of that)"""
    flags: NDArray[np.uint8]
    """Who fired."""


@jit
def choose(net, state, pop, here, now):
    """Whether a block that may wait is swept in tick ``now``; made ready for it where that has changed."""
    block, activity = net.blocks[here], state.activity[here]
    activity.load += arrivals(net, state, pop, now) - (activity.load + _MEMORY - 1) // _MEMORY
    was = activity.swept != 0
    sweep = activity.load * (_QUIET if was else _BUSY) > _MEMORY * (block.last - block.first)
    if sweep != was:
        if was:
            settle(model_of(pop), handle(row_of(net, state, here)), now - 1)
        else:
            catch_up(model_of(pop), handle(row_of(net, state, here)), now - 1)
        activity.swept = sweep
    return sweep


@jit
def _devices_now(net, pop, first, devices, counter, room):
    """The devices as cycle-to-cycle variation makes them in one tick.

    The reset is drawn for all of them only where refractory neurons are held by it; see :func:`_reset`.
    """
    size, number = devices.gain.size, np.uint64(first - pop.start)
    gain, threshold, reset = devices.gain, devices.threshold, devices.reset
    factor = cut(room.factor, 0, size)
    for i in range(pop.first_cycle, pop.last_cycle):
        which = net.cycle_of[i]
        if which == RESET and pop.hold == 0:
            continue
        cycle.fill(
            net.cycle[i], pop.cycle_seed, net.cycle_stream[i], number, counter, size, room.blocks, room.words, factor
        )
        if which == GAIN:
            gain = cut(room.gain, 0, size)
            for j in range(size):
                gain[j] = devices.gain[j] * factor[j]
        elif which == THRESHOLD:
            threshold = cut(room.threshold, 0, size)
            for j in range(size):
                threshold[j] = devices.threshold[j] * factor[j]
        else:
            reset, spread = cut(room.reset, 0, size), cut(net.spread, first, first + size)
            for j in range(size):
                reset[j] = devices.reset[j] + spread[j] * (factor[j] - np.float32(1.0))
    return DeviceArrays(devices.a, devices.b, gain, threshold, reset)


@jit
def _reset_now(net, pop, index, reset, counter):
    """The reset of one neuron in one tick."""
    for i in range(pop.first_cycle, pop.last_cycle):
        if net.cycle_of[i] == RESET and pop.hold == 0:
            number = np.uint64(index - pop.start)
            factor = cycle.one(net.cycle[i], pop.cycle_seed, net.cycle_stream[i], number, counter)
            return reset + net.spread[index] * (factor - np.float32(1.0))
    return reset


@jit
def _reset(net, pop, first, x, devices, counter, reached, spikes):
    """Take over the positions that were reached, reset where a neuron fired."""
    model, start = model_of(pop), first - pop.start
    for j in range(x.size):
        x[j] = reached[j]
    for i in range(spikes.size):
        j = spikes[i] - start
        reset = _reset_now(net, pop, first + j, devices.reset[j], counter)
        x[j] = left_by(model, reached[j], devices.threshold[j], reset)


@jit
def _watch(model, row, here, first, now, swept, room, probes, frame):
    """Write down membrane and drive of the watched neurons of a block, before their reset."""
    for w in range(probes.watched[here], probes.watched[here + 1]):
        j = probes.neuron[w] - first
        if swept or room.marks[j]:
            drive, reached = room.drive[j], room.reached[j]
        else:
            drive = row.bias[j]
            reached, _ = idle(model, row, j, row.x[j], row.wait[j], now - row.waiting[j].last)
        probes.drive[frame, w], probes.membrane[frame, w] = drive, reached


@jit
def _step_all(net, pop, here, row, devices, key, now, room, probes, frame, out):
    """Step all neurons of a block under the drive in ``room``; returns how many fired, listed in ``out``."""
    model, first, size = model_of(pop), net.blocks[here].first, row.x.size
    reached = cut(room.reached, 0, size)
    tick(model, row.x, row.wait, cut(room.drive, 0, size), devices, key, reached)
    fired = list_spikes(reached, devices.threshold, first - pop.start, room.flags, out)
    _watch(model, row, here, first, now, True, room, probes, frame)
    _reset(net, pop, first, row.x, devices, key.counter, reached, cut(out, 0, fired))
    return fired


@jit
def _step_some(model, row, base, now, room, count, out):
    """Step the neurons ``room.touched[:count]`` of a block that is not swept; returns how many fired."""
    n, devices = 0, row.devices
    for i in range(count):
        j = room.touched[i]
        x, wait = idle(model, row, j, row.x[j], row.wait[j], now - 1 - row.waiting[j].last)
        row.waiting[j].last = now
        if wait > 0:
            reached, wait = below(x, devices.threshold[j], devices.reset[j]), wait - np.int32(1)
        else:
            reached = flow(model.kind, x, room.drive[j], devices.a[j], devices.b[j], devices.gain[j], devices.reset[j])
            if reached >= devices.threshold[j]:
                out[n] = base + j
                n += 1
                wait = np.int32(model.hold)
        room.reached[j] = reached
        row.x[j] = left_by(model, reached, devices.threshold[j], devices.reset[j])
        row.wait[j] = wait
        look_ahead(model, row, j, now)
    _sort(out, n, base, room.flags)
    return n


@jit
def _sort(out, n, base, flags):
    """Put n different numbers from ``base`` up in order: few by insertion, many by flags."""
    if n > 32:
        last = 0
        for i in range(n):
            last = max(last, out[i] - base)
        for j in range(last + 1):
            flags[j] = 0
        for i in range(n):
            flags[out[i] - base] = 1
        m, j = 0, 0
        while m < n:
            if flags[j]:
                out[m] = base + j
                m += 1
            j += 1
        return
    for i in range(1, n):
        k, spike = i, out[i]
        while k > 0 and out[k - 1] > spike:
            out[k] = out[k - 1]
            k -= 1
        out[k] = spike


@jit
def _square(drive):
    """Sum of squares in float64, in four interleaved sums: one would wait for itself."""
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    whole = drive.size & ~3
    for j in range(0, whole, 4):
        s0 += np.float64(drive[j]) * np.float64(drive[j])
        s1 += np.float64(drive[j + 1]) * np.float64(drive[j + 1])
        s2 += np.float64(drive[j + 2]) * np.float64(drive[j + 2])
        s3 += np.float64(drive[j + 3]) * np.float64(drive[j + 3])
    for j in range(whole, drive.size):
        s0 += np.float64(drive[j]) * np.float64(drive[j])
    return (s0 + s1) + (s2 + s3)


@jit
def _square_some(bias, drive, touched):
    """:func:`_square` where only the ``touched`` have another drive than their bias."""
    total = _square(bias)
    for j in touched:
        total += np.float64(drive[j]) * np.float64(drive[j]) - np.float64(bias[j]) * np.float64(bias[j])
    return total


@jit
def columns(net, state, pop, block, now, room, out, probes, b):
    """One tick of a block of a readout, which integrates, or of a relay; returns how many fired."""
    here = net.blocks[pop.first_block + block]
    size = here.last - here.first
    total, drive = cut(room.total, 0, size), cut(room.drive, 0, size)
    if probes.column_reads.shape[1]:
        count = reached_by_spikes(net, state, pop, block, now, total, room.marks, room.touched)
        wipe(cut(room.marks, 0, size))
        probes.column_reads[b, pop.first_block + block] += count
    deliver_all(net, state, pop, block, now, total, drive, line(probes.synops, b))
    if pop.kind == RELAY:
        return list_spikes(drive, cut(net.rest, here.first, here.last), here.first - pop.start, room.flags, out)
    x = cut(state.x, here.first, here.last)
    for j in range(size):
        x[j] = readout_tick(x[j], drive[j])
    return 0


@jit
def neurons(net, state, pop, block, now, key, room, out, probes, b, frame):
    """One tick of a block of neurons; returns how many fired, listed in ``out``."""
    here, first = pop.first_block + block, net.blocks[pop.first_block + block].first
    size, base = net.blocks[here].last - first, first - pop.start
    total, drive = cut(room.total, 0, size), cut(room.drive, 0, size)
    swept, energy = True, probes.column_reads.shape[1] > 0
    if net.blocks[here].waits:
        swept = choose(net, state, pop, here, now)
    model, row, synops = model_of(pop), handle(row_of(net, state, here)), line(probes.synops, b)
    count = 0
    if energy or not swept:
        count = reached_by_spikes(net, state, pop, block, now, total, room.marks, room.touched)
    if energy:
        probes.column_reads[b, here] += count
    if swept:
        if energy:
            wipe(cut(room.marks, 0, size))
        deliver_all(net, state, pop, block, now, total, drive, synops)
        devices = row.devices
        if pop.first_cycle < pop.last_cycle:
            devices = _devices_now(net, pop, first, devices, key.counter, room)
        fired = _step_all(net, pop, here, row, devices, key, now, room, probes, frame, out)
    else:
        count = add_due(row, now, room.marks, room.touched, count)
        deliver_some(net, state, pop, block, now, total, cut(room.touched, 0, count), drive, synops)
        fired = _step_some(model, row, base, now, room, count, out)
        _watch(model, row, here, first, now, False, room, probes, frame)
        for i in range(count):
            room.marks[room.touched[i]] = False
    if energy:
        squared = _square(drive) if swept else _square_some(row.bias, drive, cut(room.touched, 0, count))
        probes.drive_squared[b, here] += squared
    return fired
