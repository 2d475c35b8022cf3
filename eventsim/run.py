"""A simulation in the making: stretches of frames, given to threads one after the other."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim import state as states
from eventsim.columns import key
from eventsim.events import Events
from eventsim.inputs import Inputs
from eventsim.interrupt import Interrupts
from eventsim.kernels import engine, frozen
from eventsim.kernels.collect import collect
from eventsim.network import Network
from eventsim.population import Generator, Population, Readout, Source
from eventsim.recording import Record, Recording, Trace
from eventsim.state import NetworkState

if TYPE_CHECKING:
    from eventsim.recorder import Recorder

_ROOM = 2**22
"""Most entries of a tick by tick record between two stops."""

_LONGEST = 2**20
"""Most frames between two stops."""

_STOP = 0.25
"""Seconds between two stops, at which a run can be interrupted, in the mean."""

_FIRST = 2**22
"""Neuron-ticks before the first stop."""

_SHORT = 2**26
"""Neuron-ticks of a sample that is run in one piece where samples are written in order."""

_ROWS = ("spikes", "synops", "column_reads", "drive_squared", "counts")
"""Probes of a sample that is not finished."""


class _Part(NamedTuple):
    """What was recorded of some frames."""

    first: int
    events: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]
    traces: dict[str, tuple[NDArray[np.floating], NDArray[np.floating]]]


class Run:
    """One simulation. Where it is stopped between frames, and by how many threads it is run, changes nothing.

    Samples are independent: where there are enough of them each thread has its own, otherwise a team of threads shares
    one. A run that is written to a file as it goes has threads of their own for samples only if these are
    so short that several of them fit between two checkpoints.
    """

    def __init__(
        self,
        network: Network,
        net: frozen.Frozen,
        inputs: Inputs,
        record: Record,
        state: NetworkState | None,
        seed: np.uint64,
        threads: int,
        recorder: Recorder | None = None,
    ) -> None:
        self.network, self.net, self.inputs, self.record, self.seed = network, net, inputs, record, seed
        self.samples, self.ticks = inputs.shape
        self.origin = 0 if state is None else state.tick
        self.given = None if state is None else state.arrays
        self.final = states.many(net, self.samples) if record.state else None
        self.names = [population.name for population in network.populations]
        self.watched = record.watched(network)
        self.probes = self._probes()
        self.recorder = recorder
        blocks, neurons = int(net.populations["blocks"].max()), len(net.rest)
        width = max(self.log_width, self.probes.neuron.size, 1)
        short = self.ticks * width * threads <= _ROOM and self.ticks * neurons <= _SHORT
        apart = (self.samples >= threads or blocks == 1) and (short or recorder is None)
        self.team = 1 if apart or blocks == 1 else threads
        self.workers = [states.blank(net) for _ in range(min(threads, self.samples) if apart else 1)]
        self.rooms = [states.scratch(net) for _ in range(max(self.team, len(self.workers)))]
        self.frame = self.done = 0
        self.lanes: list[tuple[int, int]] = []
        self.pending: list[_Part] = []
        self.found: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = defaultdict(list)
        self.traces: dict[str, list[tuple[NDArray[np.floating], NDArray[np.floating]]]] = defaultdict(list)
        self.before: dict[str, NDArray[Any]] = {}
        self.written = 0

    def _columns(self, names: Any) -> tuple[NDArray[np.int64], int]:
        """First column of each population among those named, or -1, and how many columns there are."""
        column, width = np.full(len(self.names), -1, np.int64), 0
        for name in dict.fromkeys(names):
            column[self.network.index(name)] = width
            width += self.network[name].size
        return column, width

    def _probes(self) -> frozen.Probes:
        net, samples, blocks = self.net, self.samples, len(self.net.blocks)
        populations = net.populations
        tallies = int(((populations["last_way"] - populations["first_way"]) * populations["blocks"]).sum())
        readouts = sum(readout.size for readout in self.network.of_kind(Readout))
        counted, width = self._columns(self.record.counts)
        self.logged, self.log_width = self._columns(self.record.spikes)
        neuron = [rows + populations["start"][self.network.index(name)] for name, rows in self.watched.items()]
        neurons = np.concatenate([*neuron, np.empty(0, np.int64)])
        energy = blocks if self.record.energy else 0
        empty = np.empty((0, 0), net.rest.dtype)
        return frozen.Probes(
            spikes=np.zeros((samples, blocks), np.int64),
            synops=np.zeros((samples, tallies), np.int64),
            column_reads=np.zeros((samples, energy), np.int64),
            drive_squared=np.zeros((samples, energy), np.float64),
            readout=np.zeros((samples, readouts), net.rest.dtype),
            columns=frozen.record(frozen.COLUMNS, len(self.names), counted=counted, logged=self.logged),
            counts=np.zeros((samples, width), np.int32),
            log=np.empty((0, 0), np.int32),
            log_counts=np.empty((0, 0), np.int32),
            watched=np.searchsorted(neurons, np.append(net.blocks["first"], len(net.rest))).astype(np.int64),
            neuron=neurons,
            membrane=empty,
            drive=empty,
        )

    def go(self, show: Callable[[int], None] | None = None) -> None:
        """Run to the end; ``show`` is told how many frames are done."""
        width = max(self.log_width, self.probes.neuron.size, 1) * len(self.workers)
        most = max(min(_ROOM // width, _LONGEST), 1)
        step = max(min(most, _FIRST // len(self.net.rest)), 1)
        with ThreadPoolExecutor(max(self.team, len(self.workers))) as pool, Interrupts() as interrupts:
            while self.frame < self.samples * self.ticks:
                begin = time.perf_counter()
                self._advance(pool, step)
                spent = time.perf_counter() - begin
                step = max(min(most, 2 * step if spent < _STOP / 2 else step if spent < _STOP else step // 2), 1)
                if self.recorder is not None and not self.pending and (self.recorder.due or interrupts.noted):
                    self._commit(self.recorder)
                if show is not None:
                    show(self.done)
                interrupts.let()
            if self.recorder is not None:
                self._commit(self.recorder, last=True)

    def _deal(self, step: int) -> list[tuple[int, int]]:
        """First and last frame of each worker: whole samples where there are several of them."""
        first, total, n = self.frame, self.samples * self.ticks, len(self.workers)
        if n == 1:
            return [(first, total)]
        if first % self.ticks:  # a sample that was begun by a single worker
            return [(first, first - first % self.ticks + self.ticks)] + [(first, first)] * (n - 1)
        a, b = first // self.ticks, self.samples
        if self.recorder is not None:
            b = min(b, a + n * max(step // self.ticks, 1))
        ends = [(a + (b - a) * i // n) * self.ticks for i in range(n + 1)]
        return list(pairwise(ends))

    def _advance(self, pool: ThreadPoolExecutor, step: int) -> None:
        """Run about ``step`` frames of each worker."""
        if not self.lanes:
            self.lanes = self._deal(step)
        spans = [(at, self.inputs.until(at, min(at + step, end))) for at, end in self.lanes]
        starts = np.cumsum([0, *(end - begin for begin, end in spans)]).tolist()
        frames, blocks = starts[-1], len(self.net.blocks)
        logging = frames if self.log_width else 0
        log = np.empty((logging, self.log_width), np.int32)
        counts = np.zeros((logging, blocks), np.int32)
        membrane, drive = (np.empty((frames, self.probes.neuron.size), self.net.rest.dtype) for _ in range(2))

        def share(worker: int) -> None:
            state, shift = self.workers[worker], starts[worker] - spans[worker][0]
            for begin, end in self._pieces(*spans[worker]):
                cut = slice(begin + shift, end + shift)
                probes = self.probes._replace(
                    log=log[cut], log_counts=counts[cut], membrane=membrane[cut], drive=drive[cut]
                )
                offsets, addresses = self.inputs.merged(self.network, begin, end)
                span = frozen.Span(self.ticks, begin, end, self.origin, self.given is None)
                self._enter(state, begin)

                given: Any = offsets, addresses, span, self.seed

                def part(rank: int, given: Any = given, to: Any = probes) -> None:
                    at, who, span, seed = given
                    room = self.rooms[max(worker, rank)]
                    engine.run(self.net, state, room, at, who, span, seed, rank, self.team, to)

                _each(pool, part, self.team)
                self._leave(state, end)

        _each(pool, share, len(self.lanes))
        for (begin, _), start, end in zip(spans, starts[:-1], starts[1:], strict=True):
            cut = slice(start, end)
            if start < end:
                self.pending.append(self._collect(begin, log[cut], counts[cut], membrane[cut], drive[cut]))
        self.lanes = [(at, end) for (_, at), (_, end) in zip(spans, self.lanes, strict=True)]
        self.done += frames
        if len(self.lanes) == 1 or all(at == end for at, end in self.lanes):
            self.frame = max(at for at, _ in self.lanes)
            if all(at == end for at, end in self.lanes):
                self.lanes = []
            for one in sorted(self.pending, key=lambda one: one.first):
                self._keep(one)
            self.pending = []

    def _pieces(self, first: int, last: int) -> list[tuple[int, int]]:
        """Stretches that need no other state within: of one sample each where states are given or kept."""
        if self.given is None and self.final is None:
            return [(first, last)] if first < last else []
        ends = [first, *range((first // self.ticks + 1) * self.ticks, last, self.ticks), last]
        return [(a, b) for a, b in pairwise(ends) if a < b]

    def _enter(self, state: frozen.State, frame: int) -> None:
        if self.given is not None and frame % self.ticks == 0:
            states.load(state, self.given, frame // self.ticks)
            engine.resume(self.net, state)
        elif self.final is not None and frame % self.ticks == 0:
            state.fired[...] = 0  # what is kept does not depend on the sample before

    def _leave(self, state: frozen.State, frame: int) -> None:
        if self.final is not None and frame % self.ticks == 0:
            states.save(state, self.final, frame // self.ticks - 1)

    def _collect(self, first: int, log: Any, counts: Any, membrane: Any, drive: Any) -> _Part:
        """What a stretch recorded."""
        net, events, traces, column = self.net, {}, {}, 0
        for name in dict.fromkeys(self.record.spikes):
            i = self.network.index(name)
            a = net.populations["first_block"][i]
            b = a + net.populations["blocks"][i]
            frame, address = np.empty((2, int(counts[:, a:b].sum())), np.int64)
            collect(log, counts, self.logged[i], net.blocks, a, b, frame, address)
            events[name] = (frame + first, address)
        for name, rows in self.watched.items():
            population = self.network[name]
            assert isinstance(population, Population)
            unit, part = population.devices.unit[rows].astype(membrane.dtype), slice(column, column + rows.size)
            traces[name] = (membrane[:, part] * unit, drive[:, part])
            column += rows.size
        return _Part(first, events, traces)

    def _keep(self, part: _Part) -> None:
        """Keep what comes next, in memory or in the file."""
        for name, (frame, address) in part.events.items():
            if self.recorder is None:
                self.found[name].append((frame, address))
            else:
                sample, tick = np.divmod(frame, self.ticks)
                self.recorder.append(f"events/{key(name)}", sample=sample, tick=tick, address=address)
        for name, (membrane, drive) in part.traces.items():
            if self.recorder is None:
                self.traces[name].append((membrane, drive))
            else:
                self.recorder.append(f"traces/{key(name)}", membrane=membrane, drive=drive)

    def totals(self, rows: slice = slice(None)) -> dict[str, dict[str, NDArray[Any]]]:
        """Totals of some samples."""
        net, probes, index = self.net, self.probes, {name: i for i, name in enumerate(self.names)}
        neurons = [p.name for p in self.network.of_kind(Population)]
        targets = [p.name for p in self.network.populations if not isinstance(p, Source | Generator)]

        def by_population(blocks: NDArray[Any], names: list[str]) -> dict[str, NDArray[Any]]:
            some = {n: net.populations[index[n]] for n in names}
            return {n: blocks[rows, p["first_block"] :][:, : p["blocks"]].sum(axis=1) for n, p in some.items()}

        def columns(table: NDArray[Any], first: NDArray[np.int64], names: list[str]) -> dict[str, NDArray[Any]]:
            return {n: table[rows, first[index[n]] :][:, : self.network[n].size] for n in names}

        mean = probes.readout / net.rest.dtype.type(self.origin + self.ticks)
        readouts = [p.name for p in self.network.of_kind(Readout)]
        out = {
            "spikes": by_population(probes.spikes, self.names),
            "synops": self._synops(rows),
            "readout": columns(mean, net.populations["readout"], readouts),
            "counts": columns(probes.counts, probes.columns["counted"], list(dict.fromkeys(self.record.counts))),
        }
        if self.record.energy:
            out["column_reads"] = by_population(probes.column_reads, targets)
            out["drive_squared"] = by_population(probes.drive_squared, neurons)
        return out

    def recording(self) -> Recording:
        """What the run recorded."""
        totals: dict[str, Any] = self.totals()
        for kind, tables in totals.items():
            for name, table in tables.items():
                before = self.before.get(f"{kind}/{key(name)}")
                if before is not None:
                    table[: len(before)] = before
        file = None if self.recorder is None else self.recorder.path
        return Recording(
            ticks=self.ticks,
            events={name: self._events(name) for name in self.found},
            traces=self._traces(),
            state=None if self.final is None else NetworkState(self.origin + self.ticks, self.final),
            file=file,
            **totals,
        )

    def _synops(self, rows: slice) -> dict[str, NDArray[np.int64]]:
        """Operations of each projection, over its ways and blocks."""
        ends = np.append(self.net.ways["tally"], self.probes.synops.shape[1])
        tallies = self.probes.synops[rows]
        sums = {p.name: np.zeros(len(tallies), np.int64) for p in self.network.incoming}
        for k, (name, _, _) in enumerate(self.network.plan.ways):
            sums[name] += tallies[:, ends[k] : ends[k + 1]].sum(axis=1)
        return sums

    def _events(self, name: str) -> Events:
        frame, address = (np.concatenate(column) for column in zip(*self.found[name], strict=True))
        shape = (self.samples, self.ticks, self.network[name].size)
        return Events(frame // self.ticks, frame % self.ticks, address, shape)

    def _traces(self) -> dict[str, Trace]:
        """Traces of each population that was watched."""
        out = {}
        for name, parts in self.traces.items():
            membrane, drive = (np.concatenate(rows) for rows in zip(*parts, strict=True))
            shape = (self.samples, self.ticks, membrane.shape[1])
            out[name] = Trace(self.watched[name], membrane.reshape(shape), drive.reshape(shape))
        return out

    def _flat(self, rows: slice) -> dict[str, NDArray[Any]]:
        """Totals of some samples under the names that they have in a file."""
        out = {f"{kind}/{key(n)}": table for kind, tables in self.totals(rows).items() for n, table in tables.items()}
        final = {} if self.final is None else self.final
        return out | {f"state/{name}": array[rows] for name, array in final.items()}

    def _standing(self, sample: int) -> dict[str, NDArray[Any]]:
        """Where a sample stands that is not finished: its state, its probes and its totals."""
        now = slice(sample, sample + 1)
        state = {f"state/{name}": array for name, array in states.kept(self.workers[0]).items()}
        probes = {f"row/{name}": getattr(self.probes, name)[now] for name in _ROWS}
        totals = {name: table for name, table in self._flat(now).items() if not name.startswith("state/")}
        return state | probes | {f"now/{name}": table for name, table in totals.items()}

    def _commit(self, recorder: Recorder, *, last: bool = False) -> None:
        sample = self.frame // self.ticks
        run = self._standing(sample) if self.frame % self.ticks else {}
        recorder.commit(self.frame, sample, run, self._flat(slice(self.written, sample)), last=last)
        self.written = sample

    def open(self, *, resume: bool) -> None:
        """Lay out the file of the recorder, or read from it how far the run has come."""
        recorder = self.recorder
        assert recorder is not None
        if resume:
            self.frame, run, before = recorder.resume()
            self.done, self.written = self.frame, self.frame // self.ticks
            for name, array in (self.final or {}).items():
                array[: self.written] = before[f"state/{name}"][: self.written]
            self.before = {name: table[: self.written] for name, table in before.items()}
            if run:
                states.fill(self.workers[0], {name: run[f"state/{name}"] for name in states.KEPT})
                engine.resume(self.net, self.workers[0])
                for name in _ROWS:
                    getattr(self.probes, name)[self.written] = run[f"row/{name}"][0]
        else:
            shapes = {name: (self.samples, self.ticks, self.network[name].size) for name in self.record.spikes}
            traces = {name: (rows, self.net.rest.dtype) for name, rows in self.watched.items()}
            recorder.create(shapes, traces, self._flat(slice(None)), self._standing(0))


def _each(pool: ThreadPoolExecutor, work: Callable[[int], None], size: int) -> None:
    """Call ``work(0) ... work(size - 1)``, each on a thread of its own; one of them on this thread if it is alone."""
    if size == 1:
        work(0)
    else:
        list(pool.map(work, range(size)))
