"""Recordings of event sensors: slices, and data sets of tonic."""

import sys
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError, DataError, EventsError
from eventsim.training import from_tonic, load
from eventsim.training.slices import Slices
from eventsim.training.splits import Sizes
from tests.event_cases import recording
from tests.strategies import seeds


def slow_slices(events, slices):
    """One event after the other; ticks by whole numbers."""
    width, height, polarities = slices.sensor
    shape = slices.ticks, -(-height // slices.pool), -(-width // slices.pool), polarities
    frames, first = np.zeros(shape, int), int(events["t"][0])
    for number, event in enumerate(events):
        since = int(event["t"]) - first
        if slices.slicing == "count":
            tick = number * slices.ticks // len(events)
        else:
            span = int(events["t"][-1]) - first if slices.span is None else slices.span
            if slices.span is not None and since >= span:
                continue
            tick = slices.ticks - 1 if since >= span else since * slices.ticks // span
        at = tick, event["y"] // slices.pool, event["x"] // slices.pool, int(event["p"]) if polarities == 2 else 0
        frames[at] += 1
    return np.minimum(frames, 255).reshape(-1)


@given(
    seeds(),
    st.integers(1, 600),
    st.integers(1, 12),
    st.sampled_from([("time", None), ("time", 3000), ("count", None)]),
    st.integers(1, 3),
    st.integers(1, 2),
)
def test_slices_count_events(seed, n, ticks, how, pool, polarities):
    events = recording(seed, n, last=[1, 50, 10_000][seed % 3])
    events["t"] += 12_345
    slices = Slices((5, 4, polarities), ticks, *how, pool)
    frames = slices(events)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, slow_slices(events, slices))
    assert len(frames) == slices.size
    if how[1] is None and n < 256:
        assert frames.sum() == n
    if how[0] == "count" and n < 256:
        each = frames.reshape(ticks, -1).sum(axis=1)
        assert each.max() - each.min() <= 1


def test_floats_and_bare_channels_are_sliced_too():
    events = np.rec.fromarrays([np.array([0.0, 0.25, 0.5, 1.0]), np.array([0, 6, 6, 2])], names="t,x")
    slices = Slices((7, 1, 1), 2)
    assert slices.image == (1, 7)
    assert slices(events).tolist() == [1, 0, 0, 0, 0, 0, 1, *[0, 0, 1, 0, 0, 0, 1]]


def test_many_events_of_a_pixel_count_as_255():
    events = recording(0, 2000, (1, 1, 1))
    assert Slices((1, 1, 1), 1)(events).tolist() == [255]


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (((5, 4, 2), 0), ConfigError),
        (((5, 4, 2), 4, "events"), ConfigError),
        (((5, 4, 2), 4, "count", 10.0), ConfigError),
        (((5, 4, 2), 4, "time", -1.0), ConfigError),
        (((5, 4, 3), 4), EventsError),
        (((5, 4), 4), EventsError),
        (((5, 4, 2), 4, "time", None, 0), EventsError),
    ],
)
def test_slices_that_cannot_be_are_refused(arguments, kind):
    with pytest.raises(kind):
        Slices(*arguments)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (recording(0)[:0], "is empty"),
        (recording(0)[::-1], "unsorted"),
        (recording(0, sensor=(9, 4, 2)), "leaves the sensor"),
        (recording(0)[["t", "x"]], "no field 'p'"),
        (np.zeros(3), "not a structured array"),
    ],
)
def test_recordings_that_do_not_fit_are_refused(events, message):
    with pytest.raises(EventsError, match=message):
        Slices((5, 4, 2), 4)(events)


class Fake:
    """What a data set of tonic looks like."""

    def __init__(self, n=20, sensor_size=(5, 4, 2), label=lambda i: i % 2, seed=0):
        self.sensor_size, self.n, self.label, self.seed = sensor_size, n, label, seed

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if i >= self.n:
            raise IndexError(i)
        events = recording(self.seed + i, 50, self.sensor_size)
        return (events[["t", "x", "p"]] if self.sensor_size[1] == 1 else events), self.label(i)


def test_data_sets_of_tonic():
    data = from_tonic("fake", Fake(), Fake(6, seed=50), ticks=4, slicing="count")
    assert (data.x.shape, data.image, data.ticks, data.name) == ((26, 160), (4, 5, 2), 4, "fake")
    assert data.test.tolist() == list(range(20, 26))
    assert (len(data.train), len(data.validation)) == (18, 2)
    assert np.array_equal(data.x[21], Slices((5, 4, 2), 4, "count")(recording(51, 50)))
    small = from_tonic("fake", Fake(), ticks=2, pool=2, polarity=False, sizes=Sizes(10, 5))
    assert small.image == (2, 3)
    assert [len(part) for part in (small.train, small.validation, small.test)] == [10, 5, 2]
    assert not set(small.test) & {*small.train, *small.validation}
    sound = from_tonic("sound", Fake(sensor_size=(700, 1, 1)), ticks=10, span=5000)
    assert sound.image == (1, 700)
    assert sound.x.sum() < 20 * 50


def test_what_is_no_data_set_of_tonic_is_refused():
    for wrong in (Fake, [], 3, Fake(0)):
        with pytest.raises(DataError, match="no recordings of fake"):
            from_tonic("fake", wrong, ticks=4)
    with pytest.raises(DataError, match="two sensors"):
        from_tonic("fake", Fake(), Fake(sensor_size=(5, 5, 2)), ticks=4)
    for label in ("cat", -1, 0.5, None):
        with pytest.raises(DataError, match="Recording 0 of fake has no class"):
            from_tonic("fake", Fake(label=lambda i, label=label: label), ticks=4)
    with pytest.raises(ConfigError, match="cannot be had"):
        from_tonic("fake", Fake(), ticks=4, sizes=Sizes(train=100))


class Broken(Fake):
    """One whose recording 3 is something else, or cannot be read."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __getitem__(self, i):
        if i == 3 and isinstance(self.found, Exception):
            raise self.found
        return self.found if i == 3 else super().__getitem__(i)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (ValueError("no events here"), "cannot be read.*no events here"),
        (KeyError("times"), "cannot be read.*times"),
        (zipfile.BadZipFile("not a zip file"), "cannot be read.*BadZipFile"),
        (OSError("disk"), "cannot be read.*disk"),
        ((recording(0),), "cannot be read"),
        ((recording(0), "cat"), "has no class"),
        ((recording(0)[:0], 1), "is empty"),
        ((recording(0, sensor=(9, 4, 2)), 1), "leaves the sensor"),
    ],
    ids=str,
)
def test_a_recording_that_cannot_be_used_is_named(found, message):
    sets = Fake(), Broken(found)
    for train, test, part in ((*sets, "the test set of fake"), (*sets[::-1], "the training set of fake")):
        with pytest.raises((DataError, EventsError), match=rf"(?s)ecording 3 of {part} {message}"):
            from_tonic("fake", train, test, ticks=4)
    with pytest.raises((DataError, EventsError), match=rf"(?s)ecording 3 of fake {message}"):
        from_tonic("fake", sets[1], ticks=4)


def test_labels_of_other_kinds_of_whole_numbers():
    for kind in (np.int32, np.array, lambda i: np.array([i])):
        data = from_tonic("fake", Fake(label=lambda i, kind=kind: kind(i % 3)), ticks=1)
        assert data.labels.tolist() == [i % 3 for i in range(20)]


@pytest.mark.parametrize("name", ["shd", "dvs_gesture", "dvs_cifar10"])
def test_data_sets_through_tonic(monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(ConfigError, match=r"eventsim-mtj\[events\]"):
        load(name, tmp_path)
    asked = []

    class Datasets:
        @staticmethod
        def made(save_to, train=True):
            asked.append((save_to, train))
            return Fake(20 if train else 4, (700, 1, 1) if name == "shd" else (128, 128, 2))

        SHD = DVSGesture = CIFAR10DVS = made

    monkeypatch.setitem(sys.modules, "tonic", Datasets)
    monkeypatch.setitem(sys.modules, "tonic.datasets", Datasets)
    with pytest.raises(DataError, match="folder is missing"):
        load(name)
    data = load(name, tmp_path, ticks=4)
    assert data.image == ((1, 700) if name == "shd" else (32, 32, 2))
    assert (data.ticks, data.name) == (4, name)
    assert asked == [(str(tmp_path), train) for train in ([True] if name == "dvs_cifar10" else [True, False])]

    for cause in (OSError("no connection"), zipfile.BadZipFile("no connection")):

        def broken(save_to, train=True, cause=cause):
            raise cause

        Datasets.SHD = Datasets.DVSGesture = Datasets.CIFAR10DVS = staticmethod(broken)
        with pytest.raises(DataError, match="no connection"):
            load(name, tmp_path)
