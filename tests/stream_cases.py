"""Runs that are written to files, and what must be the same."""

from pathlib import Path

import numpy as np
import pytest

from eventsim import (
    MTJ,
    Dense,
    Events,
    FixedFanOut,
    Generator,
    Network,
    Population,
    Projection,
    Readout,
    Record,
    Source,
    SwitchingMTJ,
    crew,
)
from eventsim.parallel import cores

ROOT = Path(__file__).parent.parent
ALL = Record(spikes=["in", "a/b"], counts=["a/b", "out"], membrane={"a/b": [0, 3], "c": [1]}, energy=True, state=True)
TOTALS = ("spikes", "synops", "readout", "counts", "column_reads", "drive_squared")
MANY = pytest.mark.skipif(cores() < 2, reason="one core only")


def network(size=40, seed=1, weight=0.3):
    populations = [
        Source("in", 20),
        Generator("noise", 30, 0.05),
        Population("a/b", MTJ().identical(size)),
        Population("c", SwitchingMTJ().identical(5)),
        Readout("out", 2),
    ]
    ways = [
        Projection("in", "a/b", FixedFanOut(10, weight, seed=seed), delay=(1, 4)),
        Projection("noise", "a/b", FixedFanOut(5, weight, seed=seed)),
        Projection("a/b", "a/b", FixedFanOut(3, 0.1, seed=seed), delay=2),
        Projection("a/b", "c", Dense(np.ones((size, 5)), [0.1] * 5)),
        Projection("a/b", "out", Dense(np.ones((size, 2)), [0.1, 0.2])),
    ]
    return Network(populations, ways)


def events(samples=3, ticks=50, size=20, seed=0):
    frames = np.random.default_rng(seed).random((samples, ticks, size)) < 0.1
    return Events.from_frames(frames)


def same(one, two, *, totals=TOTALS):
    for kind in totals:
        a, b = getattr(one, kind), getattr(two, kind)
        assert set(a) == set(b), kind
        for name in a:
            assert a[name].dtype == b[name].dtype
            assert np.array_equal(a[name], b[name]), (kind, name)


def identical(one, two):
    """Every bit of two recordings in memory."""
    same(one, two)
    assert set(one.events) == set(two.events)
    assert one.ticks == two.ticks
    assert two.frames is None
    for name, part in one.events.items():
        assert part.shape == two.events[name].shape
        for column in ("sample", "tick", "address"):
            assert np.array_equal(getattr(part, column), getattr(two.events[name], column)), name
    assert set(one.traces) == set(two.traces)
    for name, trace in one.traces.items():
        for column in ("neurons", "membrane", "drive"):
            assert getattr(trace, column).tobytes() == getattr(two.traces[name], column).tobytes()
            assert getattr(trace, column).dtype == getattr(two.traces[name], column).dtype
    assert (one.state is None) == (two.state is None)
    if one.state is not None:
        assert one.state.tick == two.state.tick
        for name, array in one.state.arrays.items():
            assert array.dtype == two.state.arrays[name].dtype
            assert array.tobytes() == two.state.arrays[name].tobytes(), name


class StopError(Exception):
    """What ends a run in a test."""


def stop_after(monkeypatch, stops, error=StopError):
    """Let a run fail after some stops."""
    left = iter(range(stops))
    advance = crew.Crew.run

    def failing(self, *arguments):
        if next(left, None) is None:
            raise error
        return advance(self, *arguments)

    monkeypatch.setattr(crew.Crew, "run", failing)


def prefix(wanted, found):
    """What a run that did not end has recorded is what the whole run recorded up to there."""
    frames = found.frames
    total = len(wanted.spikes["a/b"]) * wanted.ticks
    assert frames is not None
    assert frames < total
    for name, part in wanted.events.items():
        for a, b in zip(part.between(0, total), found.events[name].between(0, total), strict=True):
            assert np.array_equal(a[: len(b)], b)
            assert len(b) == len(part.between(0, frames)[0] if frames else [])
    for name, trace in wanted.traces.items():
        for column in ("membrane", "drive"):
            a, b = (getattr(t, column).reshape(total, -1) for t in (trace, found.traces[name]))
            assert np.array_equal(a[:frames], b[:frames])
            assert np.isnan(b[frames:]).all()
    sample = frames // wanted.ticks
    for kind in TOTALS:
        for name, table in getattr(wanted, kind).items():
            assert np.array_equal(table[:sample], getattr(found, kind)[name][:sample])
            assert not getattr(found, kind)[name][sample + 1 :].any()
    if sample < len(wanted.spikes["a/b"]) and "a/b" in found.events:
        assert found.spikes["a/b"][sample] == (found.events["a/b"].sample == sample).sum()
    assert found.state is None
