"""Work split over threads. Kernels release the GIL, and no result depends on how the work was cut."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import Self

import numpy as np

from eventsim.checks import is_whole
from eventsim.errors import ConfigError
from eventsim.kernels import team

_WORTH, _LONG = 2**17, 2**23
"""Operations, of about half a nanosecond each, that are worth being shared out, and that are in small parts."""
_LOOKS = 1000
"""For about 200 microseconds."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int) -> int:
    """Return ``threads`` if it is between 1 and the number of cores; raise :class:`ConfigError` otherwise."""
    if not (is_whole(threads) and 1 <= threads <= cores()):
        raise ConfigError(
            "The number of threads is not usable.",
            given=threads,
            expected=f"1 to {cores()}, the cores of this machine",
            repair=f"threads={cores()}",
        )
    return int(threads)


def split(work: Callable[[int, int], None], size: int, threads: int) -> None:
    """Call ``work(first, last)`` for ranges that cover 0 .. size, at most ``threads`` at a time.

    The first exception of a range is raised here.
    """
    threads = min(check_threads(threads), size)
    if threads <= 1:
        work(0, size)
        return
    cuts = [size * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for job in [pool.submit(work, first, last) for first, last in pairwise(cuts)]:
            job.result()


class _Job:
    """Work in equal parts, which threads take one after the other."""

    def __init__(self, work: Callable[[int, int], None], size: int, parts: int) -> None:
        self.work, self.size, self.parts = work, size, parts
        self.taken = itertools.count()
        self.begun: set[_Helper] = set()
        self.errors: list[BaseException] = []

    def take(self) -> None:
        """Do parts until none is left, or one fails."""
        try:
            for part in self.taken:
                if part >= self.parts or self.errors:
                    return
                self.work(self.size * part // self.parts, self.size * (part + 1) // self.parts)
        except BaseException as error:  # raised again by the thread that waits
            self.errors.append(error)


class _Helper:
    """A thread that helps with one job after the other.

    Between jobs it looks out for the next one for a while before it sleeps: to wake a thread takes longer than many a
    job.
    """

    _POSTED, _DONE = 0, 8

    def __init__(self) -> None:
        self._sync = np.zeros(team.SYNC, np.int64)
        self._job: _Job | None = None
        self._jobs = 0
        self._asleep, self._bell = False, threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def begin(self, job: _Job | None) -> None:
        """Ask for help with a job; None lets the thread go."""
        self._job, self._jobs = job, self._jobs + 1
        team.post(self._sync, self._POSTED, self._jobs)
        if self._asleep:
            with self._bell:
                self._bell.notify()

    def end(self, job: _Job) -> None:
        """Wait for what this thread has taken; one that has not begun yet finds nothing left to take."""
        if self in job.begun:
            while not team.awaits(self._sync, self._DONE, self._jobs, _LOOKS):
                pass

    def join(self) -> None:
        """Let the thread go."""
        self.begin(None)
        self._thread.join()

    def _serve(self) -> None:
        seen = 0
        while True:
            if not team.awaits(self._sync, self._POSTED, seen + 1, _LOOKS):
                with self._bell:
                    self._asleep = True
                    self._bell.wait_for(lambda: self._jobs > seen)  # noqa: B023 - called here
                    self._asleep = False
            seen, job = self._jobs, self._job
            if job is None:
                return
            job.begun.add(self)
            job.take()
            team.post(self._sync, self._DONE, seen)


class Workers:
    """Threads that share out the parts of many pieces of work, one after the other.

    Use it in a ``with`` statement, or close it.

    Parameters
    ----------
    threads : int
        One of them is the caller's.

    Raises
    ------
    ConfigError
        The number of threads is not between 1 and the number of cores.
    """

    def __init__(self, threads: int = 1) -> None:
        self.threads = check_threads(threads)
        self._helpers = [_Helper() for _ in range(self.threads - 1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _parts(self, size: int, operations: int) -> int:
        if not self._helpers or operations < _WORTH:
            return 1
        return min(size, (4 if operations >= _LONG else 2) * self.threads)

    def close(self) -> None:
        """Let the threads go."""
        for helper in self._helpers:
            helper.join()
        self._helpers = []

    def __call__(self, work: Callable[[int, int], None], size: int, operations: int = _LONG) -> None:
        """Call ``work(first, last)`` for ranges that cover 0 .. size; the first exception is raised here.

        A thread that is done takes the next of some equal parts, as cores are not equally fast.

        Parameters
        ----------
        work : callable
        size : int
        operations : int
            What all of it takes, in half nanoseconds; the caller does it alone where sharing it out takes longer.
        """
        parts = self._parts(size, operations)
        if parts < 2:
            if size:
                work(0, size)
            return
        job = _Job(work, size, parts)
        for helper in self._helpers:
            helper.begin(job)
        job.take()
        for helper in self._helpers:
            helper.end(job)
        if job.errors:
            raise job.errors[0]


ALONE = Workers(1)
"""The caller's own thread."""
