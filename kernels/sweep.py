"""One tick of all neurons of a block, strip by strip: what is made of a strip stays in the nearest cache."""

from __future__ import annotations

import numpy as np

from eventsim.kernels import cycle
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut, fetch
from eventsim.kernels.collect import list_spikes
from eventsim.kernels.frozen import GAIN, RESET, THRESHOLD, model_of
from eventsim.kernels.neuron import OSCILLATOR, DeviceArrays, Key, device_row, left_by, tick
from eventsim.kernels.synapse import wipe

STRIP = 2048
"""Neurons that are stepped in one go."""

_AHEAD = 8
"""Neurons that are asked for before they are reset."""


@jit
def _devices_now(net, pop, first, devices, counter, room):
    """The devices of a strip from neuron ``first`` on, as cycle-to-cycle variation makes them in one tick.

    Threshold and reset are drawn for all of them only where refractory neurons are held by them, and the reset of
    oscillators, whose power does not fall below it; see :func:`_decide`.
    """
    size, number = devices.gain.size, np.uint64(first - pop.start)
    gain, threshold, reset = devices.gain, devices.threshold, devices.reset
    factor = cut(room.factor, 0, size)
    for i in range(pop.first_cycle, pop.last_cycle):
        which = net.cycle_of[i]
        if pop.hold == 0 and which != GAIN and not (which == RESET and pop.kind == OSCILLATOR):
            continue
        cycle.fill(net.cycle[i], pop.cycle_seed, net.cycle_stream[i], number, counter, room.words, factor)
        if which == GAIN:
            gain = cut(room.devices.gain, 0, size)
            for j in range(size):
                gain[j] = devices.gain[j] * factor[j]
        elif which == THRESHOLD:
            threshold = cut(room.devices.threshold, 0, size)
            for j in range(size):
                threshold[j] = devices.threshold[j] * factor[j]
        else:
            reset, spread = cut(room.devices.reset, 0, size), cut(net.spread, first, first + size)
            for j in range(size):
                reset[j] = devices.reset[j] + spread[j] * (factor[j] - np.float32(1.0))
    return DeviceArrays(devices.a, devices.b, gain, threshold, reset)


@jit
def _list(net, pop, devices, reached, first, room, out, count):
    """List the neurons of a strip that fired or, while the threshold of the tick is not drawn, that may have."""
    threshold = devices.threshold
    for i in range(pop.first_cycle, pop.last_cycle):
        if net.cycle_of[i] == THRESHOLD and pop.hold == 0:
            least, threshold = cycle.least(net.cycle[i]), cut(room.devices.threshold, 0, reached.size)
            for j in range(reached.size):
                threshold[j] = devices.threshold[j] * least
    return list_spikes(reached, threshold, first, out, count)


@jit
def _decide(net, pop, here, row, counter, room, out, count):
    """Reset the neurons ``out[:count]`` of a block that reached their threshold, which others are taken off the list.

    Returns how many they are.
    """
    model, x, first, n = model_of(pop), row.x, net.blocks[here].first - pop.start, 0
    for begin in range(0, count, STRIP):
        some = cut(out, begin, min(begin + STRIP, count))
        threshold, reset = cut(room.devices.threshold, 0, some.size), cut(room.devices.reset, 0, some.size)
        _limits(row.devices, x, first, some, threshold, reset)
        if pop.first_cycle < pop.last_cycle:
            _limits_now(net, pop, some, counter, room, threshold, reset)
        for i in range(some.size):
            j = some[i] - first
            if x[j] >= threshold[i]:
                x[j] = left_by(model, x[j], threshold[i], reset[i])
                out[n] = some[i]
                n += 1
    return n


@jit
def _limits(devices, x, first, some, threshold, reset):
    """Threshold and reset of some neurons of a block whose first one has number ``first``.

    They lie far from each other, and resets were not needed for long: all is asked for before it is read.
    """
    for i in range(min(_AHEAD, some.size)):
        fetch(devices.reset, some[i] - first)
    for i in range(some.size):
        if i + _AHEAD < some.size:
            j = some[i + _AHEAD] - first
            fetch(devices.threshold, j)
            fetch(devices.reset, j)
            fetch(x, j)
        j = some[i] - first
        threshold[i], reset[i] = devices.threshold[j], devices.reset[j]


@jit
def _limits_now(net, pop, some, counter, room, threshold, reset):
    """Make of threshold and reset of some neurons what they are in one tick."""
    factor, spread, start = cut(room.factor, 0, some.size), net.spread, pop.start
    for c in range(pop.first_cycle, pop.last_cycle):
        if net.cycle_of[c] == GAIN:
            continue
        if net.cycle_of[c] == RESET:
            for i in range(some.size):
                fetch(spread, start + some[i])
        cycle.some(net.cycle[c], pop.cycle_seed, net.cycle_stream[c], some, counter, room.words, factor)
        if net.cycle_of[c] == THRESHOLD:
            for i in range(some.size):
                threshold[i] *= factor[i]
        else:
            for i in range(some.size):
                reset[i] += spread[start + some[i]] * (factor[i] - np.float32(1.0))


@jit
def _watch(probes, watch, end, first, last, drive, reached, frame):
    """Write down drive and membrane of the watched neurons ``first .. last - 1``; returns the next to be watched."""
    while watch < end and probes.neuron[watch] < last:
        j = probes.neuron[watch] - first
        probes.drive[frame, watch], probes.membrane[frame, watch] = drive[j], reached[j]
        watch += 1
    return watch


@jit
def square(drive):
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
def sweep(net, pop, here, row, key, room, probes, b, frame, out):
    """Step all neurons of a block under the drive in ``room``, which is zero again afterwards.

    Parameters
    ----------
    net : Frozen
    pop : record of POPULATION
    here : int
        Block.
    row : Row
        Of the block.
    key : Key
        Of the tick.
    room : Scratch
    probes : Probes
    b, frame : int
        Sample, and tick of it, where ``probes`` are written.
    out : int32 array
        Written: who fired, ascending.

    Returns
    -------
    int
        How many fired.
    """
    block, count = net.blocks[here], np.int64(0)
    watch, end = probes.watched[here], probes.watched[here + 1]
    for first in range(block.first, block.last, STRIP):
        last = min(first + STRIP, block.last)
        low, high, number = first - block.first, last - block.first, first - pop.start
        x, drive, reached = cut(row.x, low, high), cut(room.drive, low, high), cut(room.reached, 0, last - first)
        if pop.biased:
            for j in range(x.size):
                drive[j] += row.bias[low + j]
        devices = device_row(row.devices, low, high)
        if pop.first_cycle < pop.last_cycle:
            devices = _devices_now(net, pop, first, devices, key.counter, room)
        now = Key(key.seed, key.stream, key.counter, np.uint64(number))
        tick(model_of(pop), x, cut(row.wait, low, high), drive, devices, now, reached)
        watch = _watch(probes, watch, end, first, last, drive, reached, frame)
        if probes.drive_squared.shape[1]:
            probes.drive_squared[b, here] += square(drive)
        wipe(drive)
        for j in range(x.size):
            x[j] = reached[j]
        count = _list(net, pop, devices, reached, number, room, out, count)
    return _decide(net, pop, here, row, key.counter, room, out, count)
