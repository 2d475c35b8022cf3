"""Threads that run stretches of frames, and what belongs to each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

from eventsim import state as states
from eventsim.job import Job, Standing
from eventsim.kernels import engine, frozen
from eventsim.probes import Part, collected, cut, with_frames
from eventsim.schedule import Schedule, Stretch

Result = TypeVar("Result")


class Crew:
    """Each worker has a state of its own, and runs one sample after the other, by itself or as a team of threads.

    Parameters
    ----------
    job : Job
    at : Standing
        Its state is that of the first worker; all of them add to its totals.
    schedule : Schedule
        How many workers there are.
    pool : ThreadPoolExecutor
    """

    def __init__(self, job: Job, at: Standing, schedule: Schedule, pool: ThreadPoolExecutor) -> None:
        self.job, self.at, self.team, self.pool = job, at, schedule.team, pool
        self.states = [at.state, *(states.blank(job.net) for _ in range(schedule.workers - 1))]
        self.rooms = [states.scratch(job.net) for _ in range(max(schedule.workers, schedule.team))]

    def run(self, stretches: Sequence[Stretch]) -> list[Part]:
        """Run a stretch with each worker: what was recorded, by worker."""
        busy = [worker for worker, (first, last) in enumerate(stretches) if first < last]
        return _each(self.pool, lambda worker: self._stretch(worker, *stretches[worker]), busy)

    def _stretch(self, worker: int, first: int, last: int) -> Part:
        state, probes = self.states[worker], with_frames(self.at.probes, last - first)
        for begin, end in self._pieces(first, last):
            self._enter(state, begin)
            self._piece(worker, (begin, end), cut(probes, begin - first, end - first))
            self._leave(state, end)
        return collected(self.job, probes, first)

    def _pieces(self, first: int, last: int) -> list[Stretch]:
        """Stretches that need no other state within: of one sample each where states are given or kept."""
        job = self.job
        if job.state is None and not job.record.state:
            return [(first, last)]
        return list(pairwise([first, *range((first // job.ticks + 1) * job.ticks, last, job.ticks), last]))

    def _enter(self, state: frozen.State, frame: int) -> None:
        if frame % self.job.ticks:
            return
        if self.job.state is not None:
            states.load(state, self.job.state.arrays, frame // self.job.ticks)
            engine.resume(self.job.net, state)
        elif self.job.record.state:
            state.fired[...] = 0  # what is kept does not depend on the sample before

    def _leave(self, state: frozen.State, frame: int) -> None:
        if self.job.record.state and frame % self.job.ticks == 0:
            states.save(state, self.at.final, frame // self.job.ticks - 1)

    def _piece(self, worker: int, stretch: Stretch, probes: frozen.Probes) -> None:
        job, state = self.job, self.states[worker]
        offsets, addresses = job.inputs.merged(job.network, *stretch)
        span = frozen.Span(job.ticks, *stretch, job.origin, job.state is None)

        def member(rank: int) -> None:
            room = self.rooms[max(worker, rank)]  # a team is the only worker
            engine.run(job.net, state, room, offsets, addresses, span, job.seed, rank, self.team, probes)

        _each(self.pool, member, range(self.team))


def _each(pool: ThreadPoolExecutor, work: Callable[[int], Result], numbers: Sequence[int]) -> list[Result]:
    """Call ``work`` with every number, each on a thread of its own; one of them on this thread if it is alone."""
    return list(map(work, numbers) if len(numbers) == 1 else pool.map(work, numbers))
