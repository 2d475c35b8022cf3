"""The tick loop: sparse spikes through frozen networks.

In tick t each population, in an order in which zero delays run forward, (1) receives the spikes due at t, (2) is
stepped exactly under the drive they make, (3) fires and is reset. Spikes stand in a ring of lists, one list for each
block of neurons and each tick that a delay can still ask for. A team of threads shares the blocks and meets wherever
spikes are needed that others list; what a block computes does not depend on who computes it.
"""

from __future__ import annotations

import numpy as np

from eventsim.kernels._handle import handle
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut, lend
from eventsim.kernels.block import columns, neurons
from eventsim.kernels.frozen import GENERATOR, READOUT, SOURCE, row_of
from eventsim.kernels.lazy import leave, relink, settle, show
from eventsim.kernels.neuron import Key
from eventsim.kernels.sources import emit, generate
from eventsim.kernels.team import meet, share


@jit
def _begin(net, state, pop, here):
    """Put a block to rest: at the end of a tick -1 in which nothing happened."""
    block = net.blocks[here]
    x, wait = cut(state.x, block.first, block.last), cut(state.wait, block.first, block.last)
    rest = cut(net.rest, block.first, block.last)
    for j in range(x.size):
        x[j] = rest[j]
    for j in range(wait.size):
        wait[j] = 0
    for slot in range(state.n_fired.shape[0]):
        state.n_fired[slot, here] = 0
    state.activity[here].load = 0
    state.activity[here].swept = 1 - block.waits
    if block.waits:
        settle(pop, handle(row_of(net, state, here)), np.int64(-1))


@jit
def _block(net, state, pop, number, block, now, b, seed, events, room, probes, frame):
    """One tick of a block of a population: its spikes go into the ring and are counted."""
    here = pop.first_block + block
    first, last, slot = net.blocks[here].first, net.blocks[here].last, now % pop.slots
    at = pop.ring + slot * pop.size + first - pop.start
    out = cut(state.fired, at, at + last - first)
    counter = (np.uint64(b) << np.uint64(32)) + np.uint64(now)
    if pop.kind == SOURCE:
        fired = emit(events, pop.start, first, last, out)
    elif pop.kind == GENERATOR:
        fired = generate(seed, pop.stream, counter, pop.probability, first - pop.start, last - pop.start, out)
    elif pop.kind < 0:
        fired = columns(net, state, pop, block, now, room, out, probes, b)
    else:
        key = Key(seed, pop.stream, counter, np.uint64(first - pop.start))
        fired = neurons(net, state, pop, block, now, key, room, out, probes, b, frame)
    state.n_fired[slot, here] = fired
    probes.spikes[b, here] += fired
    logged, counted = probes.columns[number].logged, probes.columns[number].counted
    if logged >= 0:
        probes.log_counts[frame, here] = fired
        for i in range(fired):
            probes.log[frame, logged + first - pop.start + i] = out[i]
    if counted >= 0:
        for i in range(fired):
            probes.counts[b, counted + out[i]] += 1


@jit
def _hand_out(net, state, pop, here, out):
    """What a block of a readout holds, by the thread that will put it to rest: for another it may be too late."""
    block = net.blocks[here]
    for n in range(block.first, block.last):
        out[pop.readout + n - pop.start] = state.x[n]


@jit
def run(net, state, room, offsets, addresses, span, seed, rank, team, probes):
    """Run some ticks of some samples, one after the other.

    Parameters
    ----------
    net : Frozen
    state : State
        Of the last sample that is touched; the same arrays for all members of a team.
    room : Scratch
        Of this thread.
    offsets : int64 array, shape (frames + 1,)
        Events of the i-th frame are ``addresses[offsets[i]:offsets[i + 1]]``.
    addresses : int32 array
        Neuron of each event, ascending within a frame.
    span : Span
    seed : uint64
        Of stochastic neurons and generators.
    rank, team : int
        Which thread this is, and of how many; each calls this function once.
    probes : Probes
        Counts are added to, records written; those of ticks begin with the first frame.
    """
    net, state, room, probes = handle(lend(net)), handle(lend(state)), handle(lend(room)), handle(lend(probes))
    offsets, addresses = lend(offsets), lend(addresses)
    for f in range(span.first, span.last):
        b, t, frame = f // span.ticks, f % span.ticks, f - span.first
        events = cut(addresses, offsets[frame], offsets[frame + 1])
        if t == 0 and span.fresh:
            for pop in net.populations:
                low, high = share(pop.blocks, rank, team)
                for here in range(pop.first_block + low, pop.first_block + high):
                    _begin(net, state, pop, here)
            meet(state.sync, team)
        for s in range(net.stage.size - 1):
            for i in range(net.stage[s], net.stage[s + 1]):
                number = net.order[i]
                pop = net.populations[number]
                low, high = share(pop.blocks, rank, team)
                for block in range(low, high):
                    _block(net, state, pop, number, block, span.origin + t, b, seed, events, room, probes, frame)
            meet(state.sync, team)
        if t == span.ticks - 1:
            for pop in net.populations:
                if pop.kind == READOUT:
                    low, high = share(pop.blocks, rank, team)
                    for here in range(pop.first_block + low, pop.first_block + high):
                        _hand_out(net, state, pop, here, probes.readout[b])
    for pop in net.populations:
        low, high = share(pop.blocks, rank, team)
        for here in range(pop.first_block + low, pop.first_block + high):
            if net.blocks[here].waits and not state.activity[here].swept:
                show(handle(row_of(net, state, here)))


@jit
def resume(net, state):
    """Make the parts of a state that are not kept from those that are."""
    net, state = handle(lend(net)), handle(lend(state))
    for pop in net.populations:
        for here in range(pop.first_block, pop.first_block + pop.blocks):
            if net.blocks[here].waits:
                row = handle(row_of(net, state, here))
                leave(row)
                relink(row)
