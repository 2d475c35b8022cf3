"""Events that are read from files as a run goes, and written to them."""

import h5py
import numpy as np
import pytest

from eventsim import (
    MTJ,
    Events,
    FixedFanOut,
    Network,
    Population,
    Projection,
    Record,
    Source,
    recorder,
    schedule,
    simulate,
    stream,
)
from eventsim.errors import EventsError, OutputError
from eventsim.recorder import read_recording
from eventsim.stream import EventFile, EventWriter, write_events
from tests.stream_cases import ALL, MANY, StopError, events, identical, network, stop_after


@pytest.fixture
def busy(monkeypatch):
    """Stops and checkpoints all the time."""
    monkeypatch.setattr(schedule, "_FIRST", 300)
    monkeypatch.setattr(schedule, "_STOP", 0.0)
    monkeypatch.setattr(recorder, "_OFTEN", -1000.0)


def chain():
    return Network([Source("x", 40), Population("y", MTJ().identical(30))],
                   [Projection("x", "y", FixedFanOut(9, 0.3, seed=2), delay=1)])  # fmt: skip


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=MANY)])
def test_the_spikes_of_one_run_drive_the_next(tmp_path, monkeypatch, threads):
    first = simulate(network(), events(), seed=3, record=ALL)
    wanted = simulate(chain(), first.events["a/b"], record=Record(spikes=["x", "y"], membrane=["y"]))
    assert wanted.spikes["y"].sum() > 0
    simulate(network(), events(), seed=3, record=ALL, out=tmp_path / "1.h5")
    monkeypatch.setattr(stream, "_MOST", 7)
    file = EventFile(tmp_path / "1.h5", "a/b")
    found = simulate(chain(), file, record=Record(spikes=["x", "y"], membrane=["y"]), threads=threads)
    identical(wanted, found)
    kept = Record(spikes=["x", "y"], membrane=["y"])
    simulate(chain(), {"x": file}, record=kept, out=tmp_path / "2.h5", threads=threads)
    identical(wanted, read_recording(tmp_path / "2.h5"))
    assert np.array_equal(EventFile(tmp_path / "2.h5", "x").load().address, first.events["a/b"].address)


def test_a_run_goes_on_with_events_from_elsewhere_that_are_the_same(tmp_path):
    given = events()
    write_events(tmp_path / "in.h5", given)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 0)
        with pytest.raises(StopError):
            simulate(network(), EventFile(tmp_path / "in.h5"), seed=3, out=tmp_path / "run.h5")
    simulate(network(), given, seed=3, out=tmp_path / "run.h5", resume=True)
    identical(simulate(network(), given, seed=3), read_recording(tmp_path / "run.h5"))


@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_events_are_written_and_read(tmp_path, pieces):
    given = events(samples=4)
    with EventWriter(tmp_path / "in.h5", given.shape, "x/y") as writer:
        for part in np.array_split(np.arange(len(given)), pieces):
            writer.append(given.sample[part], given.tick[part], given.address[part])
    file = EventFile(tmp_path / "in.h5")
    assert (file.name, file.shape, len(file)) == ("x/y", given.shape, len(given))
    assert file.sha256 == stream.fingerprint(given)
    found = file.load()
    assert found.shape == given.shape
    for column in ("sample", "tick", "address"):
        assert np.array_equal(getattr(given, column), getattr(found, column))
    for first in range(0, 199, 7):
        for a, b in zip(file.between(first, first + 9), given.between(first, min(first + 9, 200)), strict=True):
            assert np.array_equal(a, b)
    write_events(tmp_path / "none.h5", Events([], [], [], (1, 5, 20)))
    assert len(EventFile(tmp_path / "none.h5").load()) == 0


def test_a_writer_takes_events_in_order_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "in.h5"
    bad = [
        ([0], [3], [1], "unsorted or repeated"),
        ([0], [4], [0], "unsorted or repeated"),
        ([0], [4], [1], "unsorted or repeated"),
        ([0, 0], [6, 5], [1, 1], "event 1 does not come after event 0"),
        ([0], [-1], [1], "'tick' is out of range"),
        ([2], [0], [1], "'sample' is out of range"),
        ([0], [5], [9], "'address' is out of range"),
        ([0], [5.0], [1], "not usable"),
        ([0], [5, 6], [1], "not usable"),
    ]
    for sample, tick, address, match in bad:
        with EventWriter(path, (2, 10, 9)) as writer:
            writer.append([0], [4], [1])
            with pytest.raises(EventsError, match=match):
                writer.append(sample, tick, address)
        path.unlink()
        assert not list(tmp_path.iterdir())
    with pytest.raises(EventsError, match="shape"):
        EventWriter(path, (2, 0, 9))
    write_events(path, events())
    with pytest.raises(OutputError, match="exists already"):
        write_events(path, events())


def edited(path, **columns):
    """A file of events with some columns changed."""
    path.unlink(missing_ok=True)
    write_events(path, events())
    with h5py.File(path, "r+") as file:
        for name, change in columns.items():
            column = file["events/events"][name]
            column[...] = change(column[...])
    return path


def swapped(column):
    column = column.copy()
    column[[100, 101]] = column[[101, 100]]
    return column


def at(row, value):
    def change(column):
        column = column.copy()
        column[row] = value
        return column

    return change


@pytest.mark.parametrize("last", [False, True])
def test_events_that_are_unsorted_or_out_of_range_never_reach_the_engine(tmp_path, monkeypatch, last):
    monkeypatch.setattr(schedule, "_FIRST", 300)
    monkeypatch.setattr(stream, "_MOST", 10)
    path = tmp_path / "in.h5"
    row = -1 if last else 120
    for columns, match in (
        ({"address": at(row, 20)}, "'address' is out of range"),
        ({"address": at(row, -1)}, "'address' is out of range"),
        ({"tick": at(row, 50)}, "'tick' is out of range|unsorted"),
        ({"tick": at(row, -(2**60))}, "'tick' is out of range|unsorted"),
        ({"sample": at(row, 7)}, "'sample' is out of range|unsorted"),
        ({"sample": at(150, 0), "tick": at(150, 0)}, "unsorted"),
        (dict.fromkeys(("sample", "tick", "address"), swapped), "unsorted"),
        ({"tick": np.flip, "sample": np.flip}, "unsorted"),
        ({"sample": np.zeros_like, "tick": np.zeros_like, "address": np.zeros_like}, "unsorted"),
    ):
        edited(path, **columns)
        with pytest.raises(EventsError, match=match):
            simulate(network(), EventFile(path), seed=3)


def test_any_edit_of_a_file_is_noticed_or_harmless(tmp_path, monkeypatch):
    """Whatever stands in the columns, the engine sees events in order and in range."""
    monkeypatch.setattr(schedule, "_FIRST", 300)
    monkeypatch.setattr(stream, "_MOST", 10)
    chance, given, path = np.random.default_rng(1), events(), tmp_path / "in.h5"
    for _ in range(15):
        rows = chance.integers(0, len(given), 3)
        edited(path, tick=at(rows, chance.integers(0, 50, 3)), sample=at(rows, chance.integers(0, 3, 3)))
        with h5py.File(path) as file:
            columns = [file["events/events"][name][...] for name in ("sample", "tick", "address")]
        try:
            wanted = Events(*columns, given.shape)
        except EventsError:
            with pytest.raises(EventsError):
                simulate(network(), EventFile(path), seed=3)
        else:
            identical(simulate(network(), wanted, seed=3), simulate(network(), EventFile(path), seed=3))


def test_files_that_hold_no_events_are_refused(tmp_path):
    path = tmp_path / "in.h5"
    with pytest.raises(EventsError, match="There is no event file"):
        EventFile(path)
    path.write_text("no HDF5 at all")
    with pytest.raises(EventsError, match="damaged"):
        EventFile(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["events"] = np.zeros(3)
    with pytest.raises(EventsError, match="holds no events"):
        EventFile(path)
    edited(path)
    with pytest.raises(EventsError, match="one of events"):
        EventFile(path, "a")
    with h5py.File(path, "r+") as file:
        file["events/events/tick"].resize((5,))
    with pytest.raises(EventsError, match="columns of one length"):
        EventFile(path)
    edited(path)
    with h5py.File(path, "r+") as file:
        del file["events/events/tick"]
    with pytest.raises(EventsError, match="damaged"):
        EventFile(path)
    edited(path)
    with h5py.File(path, "r+") as file:
        del file["events/events/tick"]
        file["events/events/tick"] = np.zeros(len(file["events/events/address"]))
    with pytest.raises(EventsError, match="holds no events"):
        EventFile(path)
    simulate(network(), events(), seed=3, record=ALL, out=tmp_path / "run.h5")
    with pytest.raises(EventsError, match="one of a/b, in"):
        EventFile(tmp_path / "run.h5")
    with pytest.raises(EventsError, match="wrong shape"):
        simulate(chain(), EventFile(tmp_path / "run.h5", "in"))


@pytest.mark.usefixtures("busy")
def test_a_recording_that_is_not_whole_drives_nothing(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(StopError):
            simulate(network(), events(), seed=3, record=ALL, out=tmp_path / "run.h5")
    with pytest.raises(EventsError, match="not finished"):
        EventFile(tmp_path / "run.h5.part", "in")


def test_what_an_interrupted_run_left_is_not_written_over(tmp_path):
    part = tmp_path / "run.h5.part"
    part.write_bytes(b"something")
    with pytest.raises(OutputError, match=r"run\.h5\.part"):
        write_events(tmp_path / "run.h5", Events.from_frames(np.ones((1, 2, 3), bool)))
    assert part.read_bytes() == b"something"
    assert [path.name for path in tmp_path.iterdir()] == [part.name]
