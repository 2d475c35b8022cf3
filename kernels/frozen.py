"""A network, its state and what is recorded of it, as the arrays that the engine runs on.

Neurons are numbered through all populations. A population is cut into *blocks* of neighbouring neurons, the unit of
work: a block is delivered to, stepped and listed by one thread. A *way* is a projection, or the part of one that has
one delay; ways stand by target population. What there is one of for each population, block or way is a record.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut, line
from eventsim.kernels.neuron import DeviceArrays, Model, device_row

SOURCE, READOUT, GENERATOR, RELAY = -1, -2, -3, -4
"""Kinds of population besides the models of :mod:`eventsim.kernels.neuron`."""

ROWS16, ROWS, TWINS, LEVELS, REALS, KERNELS16, KERNELS = range(7)
"""Forms of a way: dense rows of int16 or float32, one to one, sparse with levels or weights, convolution kernels."""

GAIN, THRESHOLD, RESET = range(3)
"""Parameters that may vary from cycle to cycle."""

POPULATION = np.dtype(
    [
        ("kind", np.int64),  # SOURCE ... RELAY, or the model of its neurons
        ("soft", np.int64),  # soft reset
        ("hold", np.int64),  # refractory ticks
        ("biased", np.int64),  # whether any neuron has a constant drive
        ("restless", np.int64),  # whether any neuron may fire without input
        ("stream", np.uint64),  # of its random numbers
        ("probability", np.float64),  # of a spike in a tick, of generators
        ("start", np.int64),  # first neuron
        ("size", np.int64),
        ("first_block", np.int64),
        ("blocks", np.int64),
        ("first_way", np.int64),  # incoming
        ("last_way", np.int64),  # excluded
        ("slots", np.int64),  # ticks for which spikes are kept, the longest delay and one more
        ("ring", np.int64),  # where its spikes begin in ``State.fired``
        ("readout", np.int64),  # column at which a readout begins in ``Probes.readout``
        ("cycle_seed", np.uint64),  # of cycle-to-cycle variation
        ("first_cycle", np.int64),  # its tables in ``Frozen.cycle``
        ("last_cycle", np.int64),  # excluded
    ]
)

BLOCK = np.dtype(
    [
        ("first", np.int64),  # neuron
        ("last", np.int64),  # excluded
        ("waits", np.int64),  # whether its neurons may be left alone until something reaches them
    ]
)

GEOMETRY = (
    "channels", "source_height", "source_width", "height", "width", "out_channels", "out_height", "out_width",
    "kernel_height", "kernel_width", "stride_y", "stride_x", "pad_y", "pad_x", "groups", "pool",
)  # fmt: skip
"""Shape of a convolution; sources are (channels, source_height, source_width), pooled to (channels, height, width)."""

WAY = np.dtype(
    [
        ("source", np.int64),  # population
        ("delay", np.int64),  # ticks
        ("form", np.int64),  # ROWS16 ... KERNELS
        ("address", np.int64),  # of its weights or synapses; the caller keeps the array alive
        ("length", np.int64),  # entries of an array of weights
        ("rows", np.int64),  # address of the segments of a sparse way
        ("segments", np.int64),  # of each source
        ("segment", np.int64),  # the one that reaches the first block
        ("fan_out", np.float64),  # mean number of synapses of a source
        ("column", np.int64),  # where the scales of the targets begin in ``Frozen.scale``
        ("tally", np.int64),  # where its counts, one for each target block, begin in ``Probes.synops``
        ("ones", np.int64),  # address of an int16 kernel of ones, of convolutions
        *((name, np.int64) for name in GEOMETRY),
    ]
)

WAITING = np.dtype(
    [
        ("due", np.int64),  # tick in which it may fire by itself, or NEVER
        ("after", np.int64),  # neighbours on the list of that tick
        ("ahead", np.int64),
    ]
)

ACTIVITY = np.dtype(
    [
        ("load", np.int64),  # running sum of the synapses that spikes arrive through: 16 times what arrives in a tick
        ("swept", np.int64),  # whether the block is swept in every tick
    ]
)

COLUMNS = np.dtype(
    [
        ("counted", np.int64),  # column at which a population begins in ``Probes.counts``, or -1
        ("logged", np.int64),  # in ``Probes.log``, or -1
    ]
)


def lone_type(dtype: DTypeLike) -> np.dtype[np.void]:
    """A neuron that is left alone, in one line of memory: tick to whose end it was brought, position and device."""
    names = ("x", "a", "b", "gain", "threshold", "reset")
    return np.dtype([("last", np.int64), *((name, dtype) for name in names), *_padding(dtype)])


def _padding(dtype: DTypeLike) -> list[tuple[str, DTypeLike]]:
    return [] if np.dtype(dtype) == np.float32 else [("unused", np.int64)]


class Frozen(NamedTuple):
    """A network."""

    populations: NDArray[np.void]
    """(populations,) of POPULATION"""
    blocks: NDArray[np.void]
    """(blocks,) of BLOCK"""
    ways: NDArray[np.void]
    """(ways,) of WAY"""
    order: NDArray[np.int64]
    """(populations,) the order of the tick."""
    stage: NDArray[np.int64]
    """(stages + 1,) first entry of ``order`` that needs spikes which the entries before emit in the same tick."""
    table: NDArray[np.floating]
    """(ways, 256) weight of each level of a sparse way."""
    scale: NDArray[np.floating]
    """What a weight of 1 adds to the drive, for each target of each projection that needs it."""
    bias: NDArray[np.floating]
    """(neurons,) constant drive."""
    rest: NDArray[np.floating]
    """(neurons,) positions at rest, in kernel units."""
    restless: NDArray[np.bool_]
    """(neurons,) neurons that may fire without input."""
    devices: DeviceArrays
    """(neurons,) devices; entries of populations without neurons are not read."""
    cycle: NDArray[np.float32]
    """(tables, cells, 2) tables of :mod:`eventsim.kernels.cycle`."""
    cycle_of: NDArray[np.int64]
    """(tables,) what each one varies: GAIN, THRESHOLD or RESET."""
    cycle_stream: NDArray[np.uint64]
    """(tables,) of its random numbers."""
    spread: NDArray[np.floating]
    """(neurons,) what the variation of the reset is relative to: the nominal threshold, in kernel units."""


class State(NamedTuple):
    """Where a network stands after a tick; written."""

    x: NDArray[np.floating]
    """(neurons,) position after reset, integrated drive of a readout."""
    wait: NDArray[np.int32]
    """(neurons,) refractory ticks that are left."""
    lone: NDArray[np.void]
    """(neurons,) of :func:`lone_type`, not read in blocks that are swept; empty if no block may wait. Who is left alone
    stands here, and in ``x`` only between runs."""
    waiting: NDArray[np.void]
    """(neurons,) of WAITING, where ``lone`` is."""
    activity: NDArray[np.void]
    """(blocks,) of ACTIVITY"""
    fired: NDArray[np.int32]
    """Spikes by population, slot of the ring and block; numbers count within the population."""
    n_fired: NDArray[np.int64]
    """(slots, blocks) how many they are."""
    wheel: NDArray[np.int64]
    """(blocks, WHEEL) heads of the lists of who is due; (1, WHEEL) where no block may wait."""
    sync: NDArray[np.int64]
    """Barrier of the team."""


class Probes(NamedTuple):
    """What a run writes; the first axis is the sample or, of tick by tick records, the frame: a tick of a sample.

    A probe that nobody asked for has no columns.
    """

    spikes: NDArray[np.int64]
    """(samples, blocks) spikes."""
    synops: NDArray[np.int64]
    """(samples, tallies) synaptic operations."""
    column_reads: NDArray[np.int64]
    """(samples, blocks or 0) neuron-ticks in which a spike arrived."""
    drive_squared: NDArray[np.float64]
    """(samples, blocks or 0) sum of the squared drive of neurons."""
    readout: NDArray[np.floating]
    """(samples, readout neurons) integrated drive."""
    columns: NDArray[np.void]
    """(populations,) of COLUMNS"""
    counts: NDArray[np.int32]
    """(samples, counted neurons) spikes of each neuron."""
    log: NDArray[np.int32]
    """(frames, logged neurons) spikes of each block, from its first column on."""
    log_counts: NDArray[np.int32]
    """(frames, blocks) how many they are."""
    watched: NDArray[np.int64]
    """(blocks + 1,) first watched neuron of each block."""
    neuron: NDArray[np.int64]
    """(watched,) neurons whose membrane and drive are kept, ascending."""
    membrane: NDArray[np.floating]
    """(frames, watched) position before reset, in kernel units."""
    drive: NDArray[np.floating]
    """(frames, watched) drive."""


class Scratch(NamedTuple):
    """What a thread works with; as long as the longest block, or as a strip of one."""

    total: NDArray[np.floating]
    """Sums of one way that has a scale; like the drive, zero between uses."""
    drive: NDArray[np.floating]
    """Without bias."""
    marks: NDArray[np.uint8]
    """1 for neurons that something reached, 0 between blocks; up to a multiple of 64."""
    touched: NDArray[np.int32]
    """The list of them, ascending; three more than a block."""
    reached: NDArray[np.floating]
    """Positions before reset, of a strip or in the order of that list."""
    x: NDArray[np.floating]
    wait: NDArray[np.int32]
    ticks: NDArray[np.floating]
    """Of neurons that something reached, gathered into a strip: what a strip of :mod:`eventsim.kernels.touched` has."""
    push: NDArray[np.floating]
    """Their drive, with bias, in the order of ``touched``."""
    devices: DeviceArrays
    """Of them too; or of a strip, or of those who may have fired, as cycle-to-cycle variation makes them in a tick."""
    factor: NDArray[np.float32]
    words: NDArray[np.uint32]
    """Random, with room for the rest of the groups that share them."""


class Span(NamedTuple):
    """Frames to run; frame f is tick f % ticks of sample f // ticks."""

    ticks: int
    """Of each sample."""
    first: int
    last: int
    origin: int
    """Ticks that all samples have behind them: what a state that is gone on from has."""
    fresh: bool
    """Samples begin at rest rather than with the state that is given."""


class Row(NamedTuple):
    """What belongs to the neurons of one block."""

    x: NDArray[np.floating]
    wait: NDArray[np.int32]
    bias: NDArray[np.floating]
    devices: DeviceArrays
    restless: NDArray[np.bool_]
    lone: NDArray[np.void]
    waiting: NDArray[np.void]
    wheel: NDArray[np.int64]


@jit
def row_of(net, state, here):
    """Block ``here``, as views."""
    block = net.blocks[here]
    first, last = block.first, block.last
    begin, end = (first, last) if block.waits else (0, 0)
    return Row(
        cut(state.x, first, last),
        cut(state.wait, first, last),
        cut(net.bias, first, last),
        device_row(net.devices, first, last),
        cut(net.restless, first, last),
        cut(state.lone, begin, end),
        cut(state.waiting, begin, end),
        line(state.wheel, here if block.waits else 0),
    )


@jit
def model_of(pop):
    """What the neurons of a population share."""
    return Model(pop.kind, pop.soft != 0, pop.hold)


def record(dtype: np.dtype[np.void], number: int, /, **columns: Any) -> NDArray[np.void]:
    """An array of so many records from its columns; those that are left out are 0."""
    out = np.zeros(number, dtype)
    for name, column in columns.items():
        out[name] = column
    return out
