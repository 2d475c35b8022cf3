"""Threads that share out work."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.parallel import Workers, cores

MANY = pytest.mark.skipif(cores() < 2, reason="one core")


def counted(workers, size):
    """How often each of ``size`` things is worked on."""
    times = np.zeros(size, np.int64)

    def work(first, last):
        times[first:last] += 1

    workers(work, size)
    return times


@MANY
@given(st.lists(st.integers(0, 50), max_size=30))
def test_everything_is_done_once(sizes):
    with Workers(2) as workers:
        for size in sizes:
            assert (counted(workers, size) == 1).all()


@MANY
def test_a_thread_that_sleeps_is_woken():
    with Workers(2) as workers:
        for pause in (0.0, 0.05, 0.0, 0.02):
            time.sleep(pause)
            ran = set()

            def work(first, last, ran=ran):
                ran.add(threading.get_ident())
                time.sleep(0.01)

            workers(work, 8)
            assert len(ran) == 2


@MANY
def test_what_fails_in_any_thread_is_raised_here_and_the_next_work_is_done():
    with Workers(2) as workers:
        for bad in range(8):

            def work(first, last, bad=bad):
                time.sleep(0.002)
                if first <= bad < last:
                    raise ValueError(f"part {bad}")

            with pytest.raises(ValueError, match=f"part {bad}"):
                workers(work, 8)
            assert (counted(workers, 9) == 1).all()


@MANY
def test_work_goes_on_where_another_thread_was_late():
    """What a thread takes after its call has returned is nothing."""
    with Workers(2) as workers:
        for _ in range(2000):
            assert (counted(workers, 2) == 1).all()


@MANY
def test_threads_go_when_they_are_closed():
    before = threading.active_count()
    with Workers(2) as workers:
        assert threading.active_count() == before + 1
        workers(lambda first, last: None, 2)
    assert threading.active_count() == before
    assert (counted(workers, 5) == 1).all()


@MANY
@pytest.mark.parametrize(("operations", "parts"), [(10, 1), (10**6, 4), (10**7, 8)])
def test_work_is_cut_into_as_many_parts_as_it_is_worth(operations, parts):
    seen = []
    with Workers(2) as workers:
        workers(lambda first, last: seen.append((first, last)), 64, operations)
    assert sorted(seen) == [(64 * i // parts, 64 * (i + 1) // parts) for i in range(parts)]


@pytest.mark.parametrize("threads", [0, -1, cores() + 1, 1.0, True, "2", None])
def test_threads_that_there_are_not_are_refused(threads):
    with pytest.raises(ConfigError, match="number of threads"):
        Workers(threads)
