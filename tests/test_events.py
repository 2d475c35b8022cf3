"""Events: round trip with frames, order, and what is refused."""

import numpy as np
import pytest
from hypothesis import given

from eventsim import Events
from eventsim.errors import EventsError
from tests.strategies import frames


@given(frames(5))
def test_round_trip_with_frames(dense):
    events = Events.from_frames(dense)
    assert np.array_equal(events.to_frames(), dense)
    assert len(events) == dense.sum()
    again = Events(events.sample, events.tick, events.address, events.shape)
    assert np.array_equal(again.to_frames(), dense)


def good(**changes):
    columns = {"sample": [0, 0, 1], "tick": [0, 2, 1], "address": [4, 0, 2], "shape": (2, 3, 5)}
    return Events(**{**columns, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tick": [2, 0, 1]}, "event 1 does not come after event 0"),
        ({"tick": [0, 0, 1], "address": [4, 4, 2]}, "unsorted or repeated"),
        ({"tick": [0, -1, 1]}, "-1 to 1"),
        ({"tick": [0, 3, 1]}, "out of range"),
        ({"address": [4, 5, 2]}, "0 to 4"),
        ({"sample": [0, 0, 2]}, "out of range"),
        ({"tick": [0.0, 2.0, 1.0]}, "whole number"),
        ({"tick": [0, 2]}, "differ in length"),
        ({"tick": [[0, 2, 1]]}, "not usable"),
        ({"shape": (2, 3, 0)}, "at least 1"),
        ({"shape": (2, 3)}, "samples, ticks, addresses"),
    ],
)
def test_unusable_events_are_refused(changes, message):
    good()
    with pytest.raises(EventsError, match=message):
        good(**changes)


@pytest.mark.parametrize("dense", [np.full((1, 2, 2), 0.5), np.zeros((2, 2)), np.full((1, 1, 1), np.nan)])
def test_frames_that_are_no_spikes_are_refused(dense):
    with pytest.raises(EventsError, match="0 or 1"):
        Events.from_frames(dense)
