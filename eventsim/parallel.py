"""Work split over threads. Kernels release the GIL, and no result depends on how the work was cut."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import TracebackType
from typing import Self

from eventsim.errors import ConfigError


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_threads(threads: int) -> int:
    """Return ``threads`` if it is between 1 and the number of cores; raise :class:`ConfigError` otherwise."""
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= cores():
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


_WORTH = 2**18
"""Operations, of about a nanosecond each, from which on it pays to wake another thread."""


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
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the threads go."""
        if self._pool is not None:
            self._pool.shutdown()

    def suited(self, operations: int) -> Workers:
        """These threads for so many operations, or the caller's alone where waking others takes longer."""
        return self if operations >= _WORTH else ALONE

    def __call__(self, work: Callable[[int, int], None], size: int) -> None:
        """Call ``work(first, last)`` for ranges that cover 0 .. size; the first exception is raised here.

        A thread that is done takes the next of some equal parts, as cores are not equally fast.
        """
        if self._pool is None or size < 2:
            if size:
                work(0, size)
            return
        parts = min(size, 4 * self.threads)
        taken = itertools.count()

        def take() -> None:
            for part in taken:
                if part >= parts:
                    return
                work(size * part // parts, size * (part + 1) // parts)

        jobs = [self._pool.submit(take) for _ in range(self.threads - 1)]
        try:
            take()
        finally:
            for job in jobs:
                job.result()


ALONE = Workers(1)
"""The caller's own thread."""
