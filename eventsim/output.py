"""Where a run leaves what it recorded: in memory, or in a file from which it can be gone on with."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsim import state as states
from eventsim.columns import key
from eventsim.events import Events
from eventsim.job import Job, Standing
from eventsim.kernels import engine
from eventsim.probes import Part
from eventsim.recorder import Recorder
from eventsim.recording import Recording, Trace
from eventsim.state import NetworkState
from eventsim.totals import ALL, totals

_ROWS = ("spikes", "synops", "column_reads", "drive_squared", "counts")
"""Probes of a sample that is not finished."""

Arrays = dict[str, NDArray[Any]]


class Output(Protocol):
    """What takes the parts of a run, in the order of frames."""

    in_order: bool
    """Whether parts are wanted as the run goes, rather than at its end."""

    def begin(self, at: Standing) -> None:
        """Make ready, or enter into ``at`` how far the run has come before."""

    def keep(self, part: Part) -> None:
        """Take what comes next."""

    def stop(self, at: Standing, *, interrupted: bool) -> None:
        """The run stands there, and may end at once."""

    def end(self, at: Standing) -> None:
        """The run is through."""

    def recording(self, at: Standing) -> Recording:
        """What was recorded."""


class InMemory:
    """Keeps all parts, and puts them together at the end."""

    in_order = False

    def __init__(self, job: Job) -> None:
        self.job = job
        self.parts: list[Part] = []

    def begin(self, at: Standing) -> None:
        """Nothing is to be made ready."""

    def keep(self, part: Part) -> None:
        self.parts.append(part)

    def stop(self, at: Standing, *, interrupted: bool) -> None:
        """A run that ends here leaves nothing."""

    def end(self, at: Standing) -> None:
        """All is kept already."""

    def recording(self, at: Standing) -> Recording:
        job = self.job
        return Recording(
            ticks=job.ticks,
            events={name: self._events(name) for name in dict.fromkeys(job.record.spikes)},
            traces={name: self._trace(name) for name in job.watched},
            state=_final(job, at),
            **totals(job, at.probes),  # type: ignore[arg-type]
        )

    def _events(self, name: str) -> Events:
        frame, address = _joined([part.events[name] for part in self.parts])
        shape = (self.job.samples, self.job.ticks, self.job.network[name].size)
        return Events(frame // self.job.ticks, frame % self.job.ticks, address, shape)

    def _trace(self, name: str) -> Trace:
        neurons = self.job.watched[name]
        membrane, drive = _joined([part.traces[name] for part in self.parts])
        shape = (self.job.samples, self.job.ticks, neurons.size)
        return Trace(neurons, membrane.reshape(shape), drive.reshape(shape))


def _joined(parts: list[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    one, other = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    return one, other


def _final(job: Job, at: Standing) -> NetworkState | None:
    return NetworkState(job.origin + job.ticks, at.final) if job.record.state else None


class InFile:
    """Hands parts to a recorder, and tells it at stops where the run stands.

    Parameters
    ----------
    job : Job
    recorder : Recorder
    resume : bool
        Its file is there, and is gone on with.
    """

    in_order = True

    def __init__(self, job: Job, recorder: Recorder, *, resume: bool) -> None:
        self.job, self.recorder, self.resume = job, recorder, resume
        self.before: Arrays = {}
        self.written = 0

    def begin(self, at: Standing) -> None:
        if self.resume:
            self._go_on(at)
        else:
            self._lay_out(at)

    def _lay_out(self, at: Standing) -> None:
        job = self.job
        shapes = {name: (job.samples, job.ticks, job.network[name].size) for name in job.record.spikes}
        traces = {name: (rows, job.net.rest.dtype) for name, rows in job.watched.items()}
        self.recorder.create(shapes, traces, self._finished(at, ALL), self._unfinished(at, 0))

    def _go_on(self, at: Standing) -> None:
        at.frame, run, before = self.recorder.resume()
        self.written = at.frame // self.job.ticks
        self.before = {name: table[: self.written] for name, table in before.items()}
        for name, array in at.final.items():
            array[: self.written] = self.before[f"state/{name}"]
        if run:
            states.fill(at.state, {name: run[f"state/{name}"] for name in states.KEPT})
            engine.resume(self.job.net, at.state)
            for name in _ROWS:
                getattr(at.probes, name)[self.written] = run[f"row/{name}"][0]

    def keep(self, part: Part) -> None:
        for name, (frame, address) in part.events.items():
            sample, tick = np.divmod(frame, self.job.ticks)
            self.recorder.append(f"events/{key(name)}", sample=sample, tick=tick, address=address)
        for name, (membrane, drive) in part.traces.items():
            self.recorder.append(f"traces/{key(name)}", membrane=membrane, drive=drive)

    def stop(self, at: Standing, *, interrupted: bool) -> None:
        if interrupted or self.recorder.due:
            self._commit(at)

    def end(self, at: Standing) -> None:
        self._commit(at, last=True)

    def _commit(self, at: Standing, *, last: bool = False) -> None:
        sample, tick = divmod(at.frame, self.job.ticks)
        run = self._unfinished(at, sample) if tick else {}
        self.recorder.commit(at.frame, sample, run, self._finished(at, slice(self.written, sample)), last=last)
        self.written = sample

    def _totals(self, at: Standing, rows: slice) -> Arrays:
        """Totals of some samples under their names in the file."""
        kinds = totals(self.job, at.probes, rows)
        return {f"{kind}/{key(name)}": table for kind, tables in kinds.items() for name, table in tables.items()}

    def _finished(self, at: Standing, rows: slice) -> Arrays:
        """What is left of samples that are finished: totals, and states if they are kept."""
        return self._totals(at, rows) | {f"state/{name}": array[rows] for name, array in at.final.items()}

    def _unfinished(self, at: Standing, sample: int) -> Arrays:
        """What a sample that is begun needs to go on: state and probes; and its totals, for those who read the file."""
        now = slice(sample, sample + 1)
        state = {f"state/{name}": array for name, array in states.kept(at.state).items()}
        probes = {f"row/{name}": getattr(at.probes, name)[now] for name in _ROWS}
        return state | probes | {f"now/{name}": table for name, table in self._totals(at, now).items()}

    def recording(self, at: Standing) -> Recording:
        kinds: dict[str, Any] = totals(self.job, at.probes)
        for kind, tables in kinds.items():
            for name, table in tables.items():
                before = self.before.get(f"{kind}/{key(name)}", table[:0])
                table[: len(before)] = before
        return Recording(ticks=self.job.ticks, state=_final(self.job, at), file=self.recorder.path, **kinds)
