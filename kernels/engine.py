"""The tick loop: sparse spikes through frozen networks, one sample after the other.

In tick t each population, in an order in which zero delays run forward, (1) receives the spikes due at t, (2) is
stepped exactly under the drive they make, (3) fires; the reset is applied where the next tick reads the position.
Spikes stand in a ring of lists, one list for each population and each tick that a delay can still ask for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels._jit import inline, jit
from eventsim.kernels.neuron import DeviceArrays, Key, Model, device_row, readout_tick, tick
from eventsim.kernels.synapse import add_drive, add_row

SOURCE, READOUT = -1, -2
"""Kinds of population besides the models of :mod:`eventsim.kernels.neuron`."""


class Frozen(NamedTuple):
    """A network as flat arrays. Neurons are numbered through all populations; projections stand by target."""

    kind: NDArray[np.int64]
    """(populations,) SOURCE, READOUT, or the model of its neurons."""
    soft: NDArray[np.bool_]
    """(populations,) soft reset."""
    hold: NDArray[np.int64]
    """(populations,) refractory ticks."""
    stream: NDArray[np.uint64]
    """(populations,) stream of its random numbers."""
    start: NDArray[np.int64]
    """(populations + 1,) first neuron of each population."""
    order: NDArray[np.int64]
    """(populations,) the order of the tick."""
    incoming: NDArray[np.int64]
    """(populations + 1,) first projection into each population."""
    source: NDArray[np.int64]
    """(projections,) source population."""
    delay: NDArray[np.int64]
    """(projections,) ticks."""
    row: NDArray[np.int64]
    """(projections,) where the level matrix (source, target) begins in ``weight``."""
    column: NDArray[np.int64]
    """(projections,) where the scales of the targets begin in ``scale``."""
    weight: NDArray[np.int16]
    """Levels of all projections."""
    scale: NDArray[np.float32]
    """Drive per level, for each target of each projection."""
    bias: NDArray[np.float32]
    """(neurons,) constant drive."""
    readout: NDArray[np.int64]
    """(populations,) column at which a readout population begins in ``Probes.readout``; not read for others."""
    rest: NDArray[np.float32]
    """(neurons,) positions at rest, in kernel units."""
    devices: DeviceArrays
    """(neurons,) devices; entries of sources and readouts are not read."""


class Probes(NamedTuple):
    """What a run writes; the first axis is the sample. A probe that nobody asked for has no columns."""

    spikes: NDArray[np.int64]
    """(samples, populations) spikes."""
    synops: NDArray[np.int64]
    """(samples, projections) synaptic operations."""
    column_reads: NDArray[np.int64]
    """(samples, populations) neuron-ticks in which a spike arrived."""
    drive_squared: NDArray[np.float64]
    """(samples, populations) sum of the squared drive over the neurons and ticks of populations of neurons."""
    readout: NDArray[np.float32]
    """(samples, readout neurons) integrated drive."""
    raster: NDArray[np.uint8]
    """(samples, ticks, recorded) spikes of the recorded neurons."""
    membrane: NDArray[np.float32]
    """(samples, ticks, recorded) position before reset, in kernel units."""
    drive: NDArray[np.float32]
    """(samples, ticks, recorded) drive."""


@inline
def _deliver(net, pop, t, fired, n_fired, levels, drive, probes, b):
    """Sum what reaches population ``pop`` in tick ``t`` into ``drive``, projection by projection."""
    first, last = net.start[pop], net.start[pop + 1]
    size = last - first
    drive[:size] = net.bias[first:last]
    reached = False
    for k in range(net.incoming[pop], net.incoming[pop + 1]):
        if t < net.delay[k]:
            continue
        slot = (t - net.delay[k]) % fired.shape[0]
        base = net.start[net.source[k]]
        count = n_fired[slot, net.source[k]]
        if count == 0:
            continue
        reached = True
        total = levels[:size]
        total[:] = 0
        for m in range(count):
            row = net.row[k] + fired[slot, base + m] * size
            add_row(total, net.weight[row : row + size])
        scale = net.scale[net.column[k] : net.column[k] + size]
        for j in range(size):
            drive[j] = add_drive(drive[j], scale[j], total[j])
        probes.synops[b, k] += count * size
    if reached:
        probes.column_reads[b, pop] += size


@inline
def _integrate(net, pop, before, drive, reached):
    """One tick of readout population ``pop``."""
    first = net.start[pop]
    for j in range(net.start[pop + 1] - first):
        reached[first + j] = readout_tick(before[first + j], drive[j])


@inline
def _step(net, pop, slot, fired, n_fired, before, wait, drive, key, reached):
    """One tick of a population of neurons: positions before reset go to ``reached``, who fired into the ring."""
    first, last = net.start[pop], net.start[pop + 1]
    size = last - first
    devices, end = device_row(net.devices, first, last), reached[first:last]
    model = Model(net.kind[pop], net.soft[pop], net.hold[pop])
    tick(model, before[first:last], devices.threshold, wait[first:last], drive[:size], devices, key, end)
    count = 0
    for j in range(size):
        if end[j] >= devices.threshold[j]:
            fired[slot, first + count] = j
            count += 1
    n_fired[slot, pop] = count


@inline
def _probe(net, pop, slot, fired, n_fired, drive, reached, column, probes, b, t):
    """Count the tick of population ``pop`` and, where ``column`` is not negative, write down its traces."""
    size = net.start[pop + 1] - net.start[pop]
    squared = 0.0
    for j in range(size):
        squared += np.float64(drive[j]) * np.float64(drive[j])
    probes.drive_squared[b, pop] += squared
    probes.spikes[b, pop] += n_fired[slot, pop]
    if column >= 0:
        probes.drive[b, t, column : column + size] = drive[:size]
        probes.membrane[b, t, column : column + size] = reached[net.start[pop] : net.start[pop + 1]]
        for m in range(n_fired[slot, pop]):
            probes.raster[b, t, column + fired[slot, net.start[pop] + m]] = 1


@inline
def _emit(net, pop, slot, offsets, addresses, frame, fired, n_fired, probes, b):
    """List the external events of source ``pop`` in ``frame``; addresses run through all neurons, ascending."""
    first, last = net.start[pop], net.start[pop + 1]
    count = 0
    for e in range(offsets[frame], offsets[frame + 1]):
        if first <= addresses[e] < last:
            fired[slot, first + count] = addresses[e] - first
            count += 1
    n_fired[slot, pop] = count
    probes.spikes[b, pop] += count


@jit
def run(net, offsets, addresses, ticks, recorded, seed, first_sample, last_sample, probes):
    """Run samples ``first_sample .. last_sample - 1`` from rest, each by itself.

    Parameters
    ----------
    net : Frozen
    offsets : int64 array, shape (samples * ticks + 1,)
        Events of sample b in tick t are ``addresses[offsets[b * ticks + t]:offsets[b * ticks + t + 1]]``.
    addresses : int32 array
        Neuron of each event, ascending within a tick.
    ticks : int
    recorded : int64 array, shape (populations,)
        Column of the probes at which a population begins, or -1.
    seed : uint64
        Of stochastic neurons.
    first_sample, last_sample : int
    probes : Probes
        Added to; zero before the run.
    """
    n_pops, n_neurons = net.kind.size, net.start[-1]
    n_slots = 1
    for k in range(net.delay.size):
        n_slots = max(n_slots, net.delay[k] + 1)
    fired = np.empty((n_slots, n_neurons), np.int32)
    n_fired = np.zeros((n_slots, n_pops), np.int64)
    levels = np.empty(n_neurons, np.int32)
    before = np.empty(n_neurons, np.float32)  # positions before reset, of the last tick and of this one
    reached = np.empty(n_neurons, np.float32)
    wait = np.empty(n_neurons, np.int32)
    drive = np.empty(n_neurons, np.float32)
    for b in range(first_sample, last_sample):
        before[:] = net.rest
        wait[:] = 0
        for t in range(ticks):
            slot, counter = t % n_slots, (np.uint64(b) << np.uint64(32)) + np.uint64(t)
            for pop in net.order:
                if net.kind[pop] == SOURCE:
                    _emit(net, pop, slot, offsets, addresses, b * ticks + t, fired, n_fired, probes, b)
                    continue
                _deliver(net, pop, t, fired, n_fired, levels, drive, probes, b)
                if net.kind[pop] == READOUT:
                    _integrate(net, pop, before, drive, reached)
                else:
                    key = Key(seed, net.stream[pop], counter)
                    _step(net, pop, slot, fired, n_fired, before, wait, drive, key, reached)
                    _probe(net, pop, slot, fired, n_fired, drive, reached, recorded[pop], probes, b, t)
            before, reached = reached, before
        for pop in range(n_pops):
            if net.kind[pop] == READOUT:
                for j in range(net.start[pop + 1] - net.start[pop]):
                    probes.readout[b, net.readout[pop] + j] = before[net.start[pop] + j]
