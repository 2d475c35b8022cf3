"""Schedules against their formulas."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training.schedule import Constant, Cosine, OneCycle, Steps, WarmUp

shares = st.floats(0, 1)
SCHEDULES = [Constant(), Cosine(), Cosine(0.1), OneCycle(), OneCycle(0.5, 0.0, 0.0), Steps(), Steps((), 0.5)]


@pytest.mark.parametrize("schedule", SCHEDULES + [WarmUp(s, 0.1) for s in SCHEDULES], ids=str)
@given(shares)
def test_factors_are_numbers_from_0_to_1(schedule, done):
    assert isinstance(schedule(done), float)
    assert 0 <= schedule(done) <= 1


@given(shares, shares)
def test_cosine_is_half_a_cosine(least, done):
    wanted = least + (1 - least) * (1 + math.cos(math.pi * done)) / 2
    assert Cosine(least)(done) == pytest.approx(wanted)
    assert Cosine(least)(0) == 1
    assert Cosine(least)(1) == least


def test_cosine_falls():
    values = [Cosine()(t / 10) for t in range(11)]
    assert values[5] == pytest.approx(0.5)
    assert values == sorted(values, reverse=True)


@given(st.floats(0.01, 0.99), shares, shares, shares)
def test_one_cycle_goes_up_and_down(peak, start, end, done):
    def half(first, last, part):
        return last + (first - last) * (1 + math.cos(math.pi * part)) / 2

    cycle = OneCycle(peak, start, end)
    up = done < peak
    wanted = half(start, 1, done / peak) if up else half(1, end, (done - peak) / (1 - peak))
    assert cycle(done) == pytest.approx(wanted)
    assert (cycle(0), cycle(peak), cycle(1)) == (start, 1, end)


def test_one_cycle_has_one_peak():
    values = [OneCycle()(t / 100) for t in range(101)]
    assert values.index(max(values)) == 30
    assert all(a <= b for a, b in pairwise(values[:31]))
    assert all(a >= b for a, b in pairwise(values[30:]))


@given(st.lists(st.floats(0.01, 0.99), unique=True).map(sorted), st.floats(0.01, 1), shares)
def test_steps_count_what_is_over(at, factor, done):
    assert Steps(tuple(at), factor)(done) == pytest.approx(factor ** sum(done >= share for share in at))


def test_steps_are_taken_at_their_share():
    assert [Steps((0.5, 0.75), 0.5)(t / 4) for t in range(5)] == [1, 1, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@given(st.floats(0, 0.99), shares)
def test_warm_up_is_a_line_and_then_the_schedule(schedule, share, done):
    warm = WarmUp(schedule, share)
    wanted = schedule(0) * done / share if done < share else schedule((done - share) / (1 - share))
    assert warm(done) == pytest.approx(wanted)
    assert warm(share) == schedule(0)
    assert warm(1) == schedule(1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Cosine(-0.1),
        lambda: Cosine(1.1),
        lambda: Cosine(math.nan),
        lambda: Cosine("low"),
        lambda: OneCycle(peak=0),
        lambda: OneCycle(peak=1),
        lambda: OneCycle(start_factor=2),
        lambda: OneCycle(end_factor=-1),
        lambda: Steps(at=0.5),
        lambda: Steps(at=(0.75, 0.5)),
        lambda: Steps(at=(0.5, 0.5)),
        lambda: Steps(at=(0.5, 1.5)),
        lambda: Steps(at=(0.5, math.nan)),
        lambda: Steps(at=("half",)),
        lambda: Steps(factor=2),
        lambda: WarmUp(Cosine(), 1),
        lambda: WarmUp(Cosine(), -0.1),
        lambda: WarmUp(Cosine, 0.1),
        lambda: WarmUp(0.1, 0.1),
    ],
)
def test_unusable_schedules_are_refused(make):
    with pytest.raises(ConfigError, match=r"given[\s\S]*expected[\s\S]*repair"):
        make()
