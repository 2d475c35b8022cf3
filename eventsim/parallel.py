"""Work split over threads. Kernels release the GIL, and no result depends on how the work was cut."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

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
