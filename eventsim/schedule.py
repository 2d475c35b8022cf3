"""Which frames are run by whom, and how many of them between two stops."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from eventsim.job import Job

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

Stretch = tuple[int, int]
"""First and last frame, which is excluded."""


class Turn(NamedTuple):
    """What is run between two stops."""

    stretches: list[Stretch]
    """Of each worker."""
    together: bool
    """After it, all frames up to the last of them were run, and none beyond."""


class Schedule:
    """Who runs which frames, until when.

    Samples are independent: where there are enough of them, each thread is a worker and has its own. Otherwise there is
    one worker, a team of threads that share each sample. So it is too where samples are kept in order, unless they are
    so short that several of them fit between two checkpoints.

    Parameters
    ----------
    job : Job
    width : int
        Entries that a frame records.
    threads : int
    in_order : bool
        What is recorded is kept in the order of samples, as the run goes.

    Attributes
    ----------
    workers : int
        Number of samples that are run at a time.
    team : int
        Number of threads that share a sample.
    """

    def __init__(self, job: Job, width: int, threads: int, *, in_order: bool) -> None:
        self.job, self.in_order = job, in_order
        alone = int(job.net.populations["blocks"].max()) == 1  # nothing can be shared
        short = job.ticks * width * threads <= _ROOM and job.ticks * len(job.net.rest) <= _SHORT
        apart = (job.samples >= threads or alone) and (short or not in_order)
        self.workers = min(threads, job.samples) if apart else 1
        self.team = 1 if apart or alone else threads
        self.most = max(min(_ROOM // (width * self.workers), _LONGEST), 1)

    def turns(self, frame: int) -> Iterator[Turn]:
        """Turns from a frame to the end. The caller's time for one is taken, and makes the next longer or shorter."""
        step = self._in_bounds(_FIRST // len(self.job.net.rest))
        while frame < self.job.frames:
            left = self._deal(frame, step)
            frame = max(end for _, end in left)
            while any(at < end for at, end in left):
                begin = time.perf_counter()
                now = [(at, self.job.inputs.until(at, min(at + step, end))) for at, end in left]
                left = [(at, end) for (_, at), (_, end) in zip(now, left, strict=True)]
                yield Turn(now, len(left) == 1 or all(at == end for at, end in left))
                spent = time.perf_counter() - begin
                step = self._in_bounds(2 * step if spent < _STOP / 2 else step if spent < _STOP else step // 2)

    def _deal(self, frame: int, step: int) -> list[Stretch]:
        """What each worker runs before the next deal: whole samples where there are several of them."""
        ticks, n = self.job.ticks, self.workers
        if n == 1:
            return [(frame, self.job.frames)]
        if frame % ticks:  # a sample that was begun by a single worker
            return [(frame, frame - frame % ticks + ticks)] + [(frame, frame)] * (n - 1)
        first, last = frame // ticks, self.job.samples
        if self.in_order:
            last = min(last, first + n * max(step // ticks, 1))
        return list(pairwise((first + (last - first) * i // n) * ticks for i in range(n + 1)))

    def _in_bounds(self, step: int) -> int:
        return max(min(step, self.most), 1)
