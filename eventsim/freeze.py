"""How a network is cut into blocks, put in order, and turned into the arrays of the engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from eventsim.checks import LIMIT, numbers
from eventsim.connection import Connection, Delay, Ends, Way
from eventsim.device import Devices
from eventsim.errors import NetworkError
from eventsim.kernels import frozen, sparse
from eventsim.kernels.cycle import GROUP
from eventsim.kernels.lazy import can_wait
from eventsim.kernels.neuron import DeviceArrays, Model
from eventsim.kernels.sources import CHUNK
from eventsim.moving import MovingNeuron
from eventsim.population import AnyPopulation, Generator, Population, Readout, Relay, Source
from eventsim.variation import Law, cycle_stream

_MOST_BLOCKS = 16
_SMALLEST_BLOCK = 2048
_LAZY_FROM = 4096
_SHORTEST_SEGMENT = 120
"""A population is cut into at most 16 blocks of at least 2,048 neurons, for the threads that share it; and rows of
sparse synapses into segments of at least 120, or two. More blocks are made only where a block would be too long."""

_SPARSE = (frozen.TWINS, frozen.LEVELS, frozen.REALS)


class AnyProjection(Protocol):
    """A projection, as far as it matters here."""

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def synapses(self) -> Connection: ...
    @property
    def delay(self) -> Delay: ...


def _starts(sizes: ArrayLike) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def block_size(population: AnyPopulation, incoming: Sequence[AnyProjection], sources: Sequence[int]) -> int:
    """Neurons in a block of a population: a function of the network alone."""
    size, grain = population.size, math.lcm(*(p.synapses.grain for p in incoming))
    fan_outs = (p.synapses.mean_fan_out(n, size, p.delay) for p, n in zip(incoming, sources, strict=True))
    segment = min(fan_outs, default=math.inf)
    most = max(2, int(min(segment / _SHORTEST_SEGMENT, _MOST_BLOCKS)))
    wanted = max(min(most, size // _SMALLEST_BLOCK), -(-size // sparse.BLOCK), 1)
    if isinstance(population, Generator):
        grain = CHUNK
    elif grain == 1:
        grain = GROUP if size > _SMALLEST_BLOCK else 1
    block = -(-size // (wanted * grain)) * grain
    while block > sparse.BLOCK and block > grain:
        block -= grain
    if block > sparse.BLOCK and math.isfinite(segment):
        raise NetworkError(
            f"The neurons of population {population.name!r} cannot be cut into blocks.",
            given=f"a convolution with {grain} neurons per channel, and a sparse projection",
            expected=f"at most {sparse.BLOCK} neurons per channel where there is a sparse projection too",
            repair="a population of its own behind the sparse projection",
        )
    return block


def _stages(populations: Sequence[AnyPopulation], ways: list[tuple[int, int, Way]]) -> tuple[list[int], list[int]]:
    """Populations in an order in which ways without delay run forward, and where spikes of the same tick are needed."""
    graph: dict[int, set[int]] = {i: set() for i in range(len(populations))}
    for source, target, way in ways:
        if way.delay == 0:
            graph[target].add(source)
    try:
        sorted_ = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = " -> ".join(populations[i].name for i in error.args[1])
        raise NetworkError(
            "Projections without delay form a cycle.",
            given=cycle,
            expected="a delay of at least one tick somewhere in it",
            repair="Projection(..., delay=1) for one of them",
        ) from None
    depth: dict[int, int] = {}
    for i in sorted_:
        depth[i] = max((depth[j] + 1 for j in graph[i]), default=0)
    order = sorted(sorted_, key=lambda i: (depth[i], i))
    return order, [sum(d < stage for d in depth.values()) for stage in range(max(depth.values()) + 2)]


def _bias(population: AnyPopulation) -> NDArray[np.float32]:
    given = population.bias if isinstance(population, Population | Readout) else None
    if given is None:
        return np.zeros(population.size, np.float32)
    what, repair = f"bias of {population.name}", f"np.zeros({population.size}) for none"
    row = numbers(what, given, -math.inf, math.inf, repair=repair, kind=NetworkError)
    if row.shape != (population.size,) or not (np.abs(row) <= LIMIT).all():
        raise NetworkError(
            f"The {what} is not usable.",
            given=f"shape {row.shape}, values from {row.min(initial=np.inf)} to {row.max(initial=-np.inf)}",
            expected=f"{population.size} finite numbers, one per neuron, that keep every drive below {LIMIT:g}",
            repair=repair,
        )
    return row.astype(np.float32)


def _restless(population: Population) -> NDArray[np.bool_]:
    """Neurons that may fire without input."""
    alone: NDArray[np.bool_] = population.devices.nominal.self_firing(population.devices.values)
    return np.asarray(alone | (_bias(population) != 0))


def _model(population: AnyPopulation) -> Model:
    if isinstance(population, Population):
        return population.devices.nominal.model
    kinds = {Source: frozen.SOURCE, Readout: frozen.READOUT, Generator: frozen.GENERATOR, Relay: frozen.RELAY}
    return Model(kinds[type(population)], False, 0)


def _devices(populations: Sequence[AnyPopulation], dtype: DTypeLike) -> dict[str, Any]:
    """Devices of all neurons in a row, and what follows from them."""
    rows, rest, restless, spread = [], [], [], []
    for p in populations:
        blank = np.zeros(p.size, dtype)
        if isinstance(p, Population):
            unit = p.devices.unit
            rows.append(p.devices.arrays(dtype))
            rest.append((p.devices.rest / unit).astype(dtype))
            restless.append(_restless(p))
            spread.append((_spread_of_reset(p.devices) / unit).astype(dtype))
        else:
            rows.append(DeviceArrays(*[blank] * len(DeviceArrays._fields)))
            rest.append(blank + 1 if isinstance(p, Relay) else blank)
            restless.append(np.zeros(p.size, bool))
            spread.append(blank)
    tables = [law.table() for p in populations for _, law in _cycle(p)]
    return {
        "devices": DeviceArrays(*(np.concatenate(columns) for columns in zip(*rows, strict=True))),
        "rest": np.concatenate(rest),
        "restless": np.concatenate(restless),
        "spread": np.concatenate(spread),
        "cycle": np.array(tables, np.float32).reshape(len(tables), -1 if tables else 1, 2),
        "cycle_of": np.array([number for p in populations for number, _ in _cycle(p)], np.int64),
        "cycle_stream": np.array([_cycle_stream(p, n) for p in populations for n, _ in _cycle(p)], np.uint64),
    }


def _spread_of_reset(devices: Devices) -> NDArray[np.float64]:
    """What a relative change of the reset is relative to, for each device: see :meth:`Neuron.spread`."""
    about = devices.nominal.parameters().get("reset")
    if about is None:
        return np.zeros(len(devices))
    base = about["relative_to"]
    return np.full(len(devices), getattr(devices.nominal, base)) if base else devices.values["reset"]


def _cycle(p: AnyPopulation) -> list[tuple[int, Law]]:
    """What varies from cycle to cycle in a population: the number of each parameter and its law."""
    if not (isinstance(p, Population) and p.devices.varies):
        return []
    assert p.devices.origin is not None
    able = ("gain", "threshold", "reset")
    unable = [name for name in p.devices.origin.cycle if name not in able]
    if unable or not isinstance(p.devices.nominal, MovingNeuron):
        raise NetworkError(
            f"The devices of population {p.name!r} vary from cycle to cycle.",
            given=f"c2c of {', '.join(p.devices.origin.cycle)} in {type(p.devices.nominal).__name__} devices",
            expected="c2c of gain, threshold or reset of neurons that move: what networks draw anew in every tick",
            repair="Variation(..., c2c={'reset': 0.02}), or respond(devices, drive), which draws all parameters",
        )
    order = list(p.devices.nominal.laws())
    return sorted((order.index(name), law) for name, law in p.devices.origin.cycle.items())


def _cycle_stream(p: AnyPopulation, number: int) -> int:
    assert isinstance(p, Population)
    assert p.devices.origin is not None
    return cycle_stream(f"{p.devices.origin.name}/{p.devices.origin.chip}", number)


def _drawn(populations: Sequence[AnyPopulation], records: NDArray[np.void]) -> NDArray[np.void]:
    """Records of populations with the streams of their random numbers."""
    out, first = records.copy(), 0
    for row, p in zip(out, populations, strict=True):
        row["stream"] = p.stream if isinstance(p, Population | Generator) else 0
        row["first_cycle"] = first
        first = row["last_cycle"] = first + len(_cycle(p))
        if isinstance(p, Population) and p.devices.origin is not None:
            row["cycle_seed"] = p.devices.origin.seed
        if isinstance(p, Population):
            row["restless"] = p.devices.nominal.model.soft or _restless(p).any()
    return out


@dataclass(frozen=True)
class Plan:
    """Arrays of the engine, and what they were made of."""

    arrays: frozen.Frozen
    ways: list[tuple[str, int, Way]]
    """Name of the projection, target and way, in the order of the engine: keeps alive what is read by address."""
    sizes: dict[str, int]
    """Sources of each projection."""

    def on(self, populations: Sequence[AnyPopulation]) -> Plan:
        """The same connections between other devices."""
        records = _drawn(populations, self.arrays.populations)
        blocks = self.arrays.blocks.copy()
        waits = _who_waits(populations, [(target, way) for _, target, way in self.ways])
        blocks["waits"] = np.repeat(waits, records["blocks"])
        arrays = self.arrays._replace(populations=records, blocks=blocks)
        return replace(self, arrays=arrays._replace(**_devices(populations, np.float32)))

    def as_type(self, populations: Sequence[AnyPopulation], dtype: DTypeLike) -> frozen.Frozen:
        """The arrays in another precision."""
        table, scale, bias = (array.astype(dtype) for array in (self.arrays.table, self.arrays.scale, self.arrays.bias))
        return self.arrays._replace(table=table, scale=scale, bias=bias, **_devices(populations, dtype))

    @cached_property
    def synapse_bytes(self) -> int:
        """Memory of synapses, segments and tables."""
        held = {id(a): a.nbytes for _, _, way in self.ways for a in (way.data, way.rows, way.ones)}
        return sum(held.values()) + self.arrays.table.nbytes

    @cached_property
    def synapses(self) -> dict[str, int]:
        """Number of synapses of each projection."""
        counts: dict[str, float] = {}
        for name, _, way in self.ways:
            counts[name] = counts.get(name, 0) + way.fan_out * self.sizes[name]
        return {name: round(count) for name, count in counts.items()}


def plan(populations: Sequence[AnyPopulation], projections: Sequence[AnyProjection]) -> Plan:
    """Freeze a network; ``projections`` stand by target.

    Raises
    ------
    NetworkError
        Something does not fit, see :class:`eventsim.Network`.
    """
    index = {p.name: i for i, p in enumerate(populations)}
    sizes = [p.size for p in populations]
    into = {p.name: [way for way in projections if way.target == p.name] for p in populations}
    blocks = [block_size(p, into[p.name], [sizes[index[w.source]] for w in into[p.name]]) for p in populations]
    ways: list[tuple[int, int, Way]] = []
    names: list[str] = []
    scale: list[NDArray[np.float32]] = []
    columns: list[int] = []
    for p in projections:
        target = index[p.target]
        ends = Ends(p.name, sizes[index[p.source]], sizes[target], blocks[target])
        built, row = p.synapses.build(ends, p.delay)
        columns += [sum(row.size for row in scale)] * len(built)
        scale.append(row)
        names += [p.name] * len(built)
        ways += [(index[p.source], target, way) for way in built]
    order, stage = _stages(populations, ways)
    cuts = [-(-size // block) for size, block in zip(sizes, blocks, strict=True)]
    records = _by_population(populations, ways, sizes, cuts)
    waits = _who_waits(populations, [(target, way) for _, target, way in ways])
    arrays = frozen.Frozen(
        populations=_drawn(populations, records),
        blocks=_by_block(records, blocks, waits),
        ways=_by_way(ways, cuts, columns),
        order=np.array(order, np.int64),
        stage=np.array(stage, np.int64),
        table=np.array([way.table for _, _, way in ways], np.float32).reshape(-1, 256),
        scale=np.concatenate([*scale, np.empty(0, np.float32)]),
        bias=np.concatenate([_bias(p) for p in populations]),
        **_devices(populations, np.float32),
    )
    held = [(name, target, way) for name, (_, target, way) in zip(names, ways, strict=True)]
    return Plan(arrays, held, {p.name: sizes[index[p.source]] for p in projections})


def _who_waits(populations: Sequence[AnyPopulation], ways: list[tuple[int, Way]]) -> list[bool]:
    """Populations whose neurons may be left alone; raises :class:`NetworkError` where that is asked for in vain."""
    waiting = []
    for i, p in enumerate(populations):
        able = isinstance(p, Population) and can_wait(p.devices.nominal.model.kind) and not p.devices.varies
        able = able and all(way.form in _SPARSE for target, way in ways if target == i)
        update = p.update if isinstance(p, Population) else "sweep"
        if update == "lazy" and not able:
            raise NetworkError(
                f"The neurons of population {p.name!r} cannot be left alone.",
                given="update='lazy'",
                expected="MTJ, LIF or IF neurons without cycle-to-cycle variation, behind sparse projections",
                repair="update='auto'",
            )
        waiting.append(able and (update == "lazy" or (update == "auto" and p.size >= _LAZY_FROM)))
    return waiting


def _by_population(
    populations: Sequence[AnyPopulation], ways: list[tuple[int, int, Way]], sizes: list[int], cuts: list[int]
) -> NDArray[np.void]:
    models = [_model(p) for p in populations]
    slots = [max((w.delay for s, _, w in ways if s == i), default=0) + 1 for i in range(len(sizes))]
    incoming = np.searchsorted([target for _, target, _ in ways], np.arange(len(sizes) + 1))
    return frozen.record(
        frozen.POPULATION,
        len(sizes),
        kind=[model.kind for model in models],
        soft=[model.soft for model in models],
        hold=[model.hold for model in models],
        biased=[bool(_bias(p).any()) for p in populations],
        probability=[p.probability if isinstance(p, Generator) else 0.0 for p in populations],
        start=_starts(sizes)[:-1],
        size=sizes,
        first_block=_starts(cuts)[:-1],
        blocks=cuts,
        first_way=incoming[:-1],
        last_way=incoming[1:],
        slots=slots,
        ring=_starts(np.multiply(slots, sizes))[:-1],
        readout=_starts([p.size if isinstance(p, Readout) else 0 for p in populations])[:-1],
    )


def _by_block(records: NDArray[np.void], sizes: list[int], waits: list[bool]) -> NDArray[np.void]:
    first = np.concatenate([p["start"] + size * np.arange(p["blocks"]) for p, size in zip(records, sizes, strict=True)])
    last = np.append(first[1:], records[-1]["start"] + records[-1]["size"])
    return frozen.record(frozen.BLOCK, len(first), first=first, last=last, waits=np.repeat(waits, records["blocks"]))


def _by_way(ways: list[tuple[int, int, Way]], cuts: list[int], columns: list[int]) -> NDArray[np.void]:
    only = [way for _, _, way in ways]
    geometry = np.array([way.shape for way in only], np.int64).reshape(-1, len(frozen.GEOMETRY)).T
    return frozen.record(
        frozen.WAY,
        len(ways),
        source=[source for source, _, _ in ways],
        delay=[way.delay for way in only],
        form=[way.form for way in only],
        address=[way.data.ctypes.data for way in only],
        length=[way.data.size for way in only],
        rows=[way.rows.ctypes.data for way in only],
        segments=[way.groups for way in only],
        segment=[way.group for way in only],
        fan_out=[way.fan_out for way in only],
        column=columns,
        tally=_starts([cuts[target] for _, target, _ in ways])[:-1],
        ones=[way.ones.ctypes.data for way in only],
        **dict(zip(frozen.GEOMETRY, geometry, strict=True)),
    )
