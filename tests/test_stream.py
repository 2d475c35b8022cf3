"""Runs that are written to files and read from them: the same bits, whatever happens on the way."""

import json
import subprocess
import sys

import numpy as np
import pytest

from eventsim import (
    IF,
    LIF,
    MTJ,
    Dense,
    Events,
    FixedFanOut,
    Generator,
    Network,
    OneToOne,
    Population,
    Projection,
    Readout,
    Record,
    Source,
    Variation,
    recorder,
    schedule,
    simulate,
    stream,
)
from eventsim.errors import CheckpointError, ConfigError, DataError, EventsError, InputError, OutputError
from eventsim.recorder import read_recording
from eventsim.stream import EventFile, write_events
from tests.stream_cases import ALL, MANY, ROOT, StopError, events, identical, network, prefix, same, stop_after


@pytest.fixture
def busy(monkeypatch):
    """Stops and checkpoints all the time."""
    monkeypatch.setattr(schedule, "_FIRST", 300)
    monkeypatch.setattr(schedule, "_STOP", 0.0)
    monkeypatch.setattr(recorder, "_OFTEN", -1000.0)


RECORDS = {
    "nothing": Record(),
    "spikes": Record(spikes=["a/b", "noise"]),
    "membrane": Record(membrane=["c"]),
    "state": Record(state=True, counts=["in"]),
    "all": ALL,
}


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=MANY)])
@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_file_holds_what_memory_would(tmp_path, record, threads):
    net, given = network(), events()
    wanted = simulate(net, given, record=record, seed=3)
    found = simulate(net, given, record=record, seed=3, out=tmp_path / "run.h5", threads=threads)
    same(wanted, found)
    assert found.file == tmp_path / "run.h5"
    assert found.events == found.traces == {}
    identical(wanted, read_recording(tmp_path / "run.h5"))
    identical(wanted, simulate(net, given, record=record, seed=3, threads=threads))
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=MANY)])
@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.usefixtures("busy")
def test_stops_change_nothing(tmp_path, threads, precision):
    net, given = network(), events(samples=5)
    wanted = simulate(net, given, record=ALL, seed=3, precision=precision)
    simulate(net, given, record=ALL, seed=3, out=tmp_path / "run.h5", threads=threads, precision=precision)
    identical(wanted, read_recording(tmp_path / "run.h5"))
    identical(wanted, simulate(net, given, record=ALL, seed=3, threads=threads, precision=precision))


@MANY
@pytest.mark.usefixtures("busy")
def test_long_samples_and_large_networks_are_the_same_too(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "_SHORT", 0)
    large = Network(
        [Generator("g", 300, 0.1), Population("a", MTJ().identical(9000)), Population("b", IF().identical(5000))],
        [
            Projection("g", "a", FixedFanOut(600, 0.2, seed=1), delay=(1, 3)),
            Projection("a", "b", FixedFanOut(200, 0.05, seed=1), delay=1),
        ],
    )
    record = Record(spikes=["a", "b"], state=True, energy=True, membrane={"b": [7]})
    wanted = simulate(large, ticks=30, seed=5, record=record)
    assert wanted.spikes["a"].sum() > 100
    simulate(large, ticks=30, seed=5, record=record, threads=2, out=tmp_path / "large.h5")
    identical(wanted, read_recording(tmp_path / "large.h5"))
    net, given = network(), events()
    simulate(net, given, record=ALL, seed=3, threads=2, out=tmp_path / "run.h5")
    identical(simulate(net, given, record=ALL, seed=3), read_recording(tmp_path / "run.h5"))


def test_many_events_fill_chunks(tmp_path, monkeypatch):
    net = Network([Generator("g", 1000, 0.3), Population("a", MTJ().identical(3))], [])
    record = Record(spikes=["g"], membrane=["a"])
    monkeypatch.setattr(recorder, "_MOST", 2**16)
    monkeypatch.setattr(recorder, "_OFTEN", 0.0)
    wanted = simulate(net, ticks=1000, seed=1, record=record)
    assert len(wanted.events["g"]) > 8 * 2**15
    simulate(net, ticks=1000, seed=1, record=record, out=tmp_path / "run.h5")
    identical(wanted, read_recording(tmp_path / "run.h5"))
    file = EventFile(tmp_path / "run.h5", "g")
    assert file.sha256 == stream.fingerprint(wanted.events["g"])
    for first, last in ((0, 1), (0, 1000), (17, 18), (500, 1000), (999, 1000)):
        for a, b in zip(file.between(first, last), wanted.events["g"].between(first, last), strict=True):
            assert np.array_equal(a, b)
    assert (tmp_path / "run.h5").stat().st_size < 7 * len(file)


@pytest.mark.parametrize("threads", [(1, 1), pytest.param((1, 2), marks=MANY), pytest.param((2, 1), marks=MANY)])
@pytest.mark.parametrize("stops", [0, 1, 7, 12])
@pytest.mark.usefixtures("busy")
def test_a_run_that_ended_goes_on(tmp_path, stops, threads):
    net, given = network(), events()
    out, part = tmp_path / "run.h5", tmp_path / "run.h5.part"
    wanted = simulate(net, given, record=ALL, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, stops)
        with pytest.raises(StopError):
            simulate(net, given, record=ALL, seed=3, out=out, threads=threads[0])
    assert [path.name for path in tmp_path.iterdir()] == [part.name]
    prefix(wanted, read_recording(part))
    with pytest.raises(OutputError, match="exists already"):
        simulate(net, given, record=ALL, seed=3, out=out)
    simulate(net, given, record=ALL, seed=3, out=out, resume=True, threads=threads[1])
    identical(wanted, read_recording(out))
    with pytest.raises(OutputError, match="exists already"):
        simulate(net, given, record=ALL, seed=3, out=out, resume=True)


@pytest.mark.usefixtures("busy")
def test_a_state_is_gone_on_from(tmp_path):
    net, given = network(), events(ticks=60)
    first, second = (simulate(net, given.in_ticks(0, 25), record=ALL, seed=3), given.in_ticks(25, 60))
    wanted = simulate(net, second, record=ALL, seed=3, state=first.state)
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 9)
        with pytest.raises(StopError):
            simulate(net, second, record=ALL, seed=3, state=first.state, out=tmp_path / "run.h5")
    simulate(net, second, record=ALL, seed=3, state=first.state, out=tmp_path / "run.h5", resume=True)
    identical(wanted, read_recording(tmp_path / "run.h5"))


@pytest.mark.usefixtures("busy")
def test_only_the_same_run_goes_on(tmp_path):
    net, given, out = network(), events(), tmp_path / "run.h5"
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(StopError):
            simulate(net, given, record=ALL, seed=3, out=out)
    before = (tmp_path / "run.h5.part").read_bytes()
    state = simulate(net, given, record=ALL, seed=3).state

    def go_on(net=net, given=given, record=ALL, seed=3, **more):
        return simulate(net, given, record=record, seed=seed, out=out, resume=True, **more)

    for differs, change in {
        "seed": {"seed": 4},
        "events": {"given": events(seed=1)},
        "shape, events": {"given": events(ticks=51)},
        "synapses": {"net": network(seed=2)},
        "record": {"record": Record(spikes=["in"])},
        "precision": {"precision": "double"},
        "state": {"state": state},
    }.items():
        with pytest.raises(CheckpointError, match=rf"{differs}.* differs"):
            go_on(**change)
    with pytest.raises(CheckpointError, match="devices"):
        go_on(net=Network([*net.populations[:2], Population("a/b", MTJ(gain=0.9).identical(40)), *net.populations[3:]],
                          net.projections))  # fmt: skip
    assert (tmp_path / "run.h5.part").read_bytes() == before
    go_on(net=network())
    identical(simulate(net, given, record=ALL, seed=3), read_recording(out))


@pytest.mark.usefixtures("busy")
def test_devices_that_draw_others_numbers_from_cycle_to_cycle_are_others(tmp_path):
    one, other = (
        Network([Population("a", MTJ().draw(40, Variation(c2c={"reset": 0.02}), seed=0, name=name))], [])
        for name in ("x", "y")
    )
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(StopError):
            simulate(one, ticks=50, out=tmp_path / "run.h5")
    with pytest.raises(CheckpointError, match=r"devices.* differs"):
        simulate(other, ticks=50, out=tmp_path / "run.h5", resume=True)


def test_places_that_are_taken_or_missing_are_refused(tmp_path):
    net, given = network(), events()
    (tmp_path / "run.h5").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="exists already"):
            simulate(net, given, seed=3, out=tmp_path / "run.h5", resume=resume)
    with pytest.raises(OutputError, match="no such folder"):
        simulate(net, given, seed=3, out=tmp_path / "not there" / "run.h5")
    with pytest.raises(ConfigError, match="resume=True without out"):
        simulate(net, given, seed=3, resume=True)
    assert (tmp_path / "run.h5").read_text() == "mine"
    simulate(net, given, seed=3, out=tmp_path / "new.h5", resume=True)
    identical(simulate(net, given, seed=3), read_recording(tmp_path / "new.h5"))


def test_what_is_no_recording_is_refused(tmp_path):
    net, given = network(), events()
    with pytest.raises(DataError, match="There is no recording"):
        read_recording(tmp_path / "run.h5")
    simulate(net, given, seed=3, out=tmp_path / "run.h5", record=ALL)
    whole = (tmp_path / "run.h5").read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1000):
        (tmp_path / "cut.h5").write_bytes(whole[:size])
        with pytest.raises(DataError, match="damaged"):
            read_recording(tmp_path / "cut.h5")
        with pytest.raises(EventsError, match="damaged"):
            EventFile(tmp_path / "cut.h5", "in")
        (tmp_path / "other.h5.part").write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match="damaged"):
            simulate(net, given, seed=3, out=tmp_path / "other.h5", record=ALL, resume=True)
    write_events(tmp_path / "events.h5", given)
    with pytest.raises(DataError, match="did not write it"):
        read_recording(tmp_path / "events.h5")


# Progress, size and names


def test_progress_is_shown_on_the_error_stream(tmp_path, capsys):
    simulate(network(), events(), seed=3)
    assert capsys.readouterr() == ("", "")
    simulate(network(), events(), seed=3, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "150/150" in shown.err


def test_the_terminal_is_not_imported_unless_asked_for():
    code = "import sys, eventsim; sys.exit('rich' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "%", "%2F", "ü ->", "a b"])
def test_any_name_has_its_place_in_a_file(tmp_path, name):
    net = Network([Source(name, 4), Population("n", IF().identical(4))], [Projection(name, "n", OneToOne(1.0))])
    given = events(size=4)
    record = Record(spikes=[name], counts=[name])
    simulate(net, given, record=record, out=tmp_path / "run.h5")
    identical(simulate(net, given, record=record), read_recording(tmp_path / "run.h5"))
    assert np.array_equal(EventFile(tmp_path / "run.h5", name).load().address, given.address)


LARGE = """
import json, re, sys, time
from pathlib import Path
from eventsim import *
from eventsim.stream import EventFile
net = Network(
    [Generator("g", 1000, 0.01), Population("a", MTJ().identical(10_000))],
    [Projection("g", "a", FixedFanOut(1000, 0.2, seed=1), delay=(1, 5))],
)
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
simulate(net, ticks=10, seed=1)
begin, before = time.perf_counter(), peak()
found = simulate(net, ticks=100_000, seed=1, record=Record(spikes=["g", "a"]), out=sys.argv[1])
middle = time.perf_counter()
spikes = int(found.spikes["g"][0])
once = peak()
copy = Network([Source("g", 1000), *net.populations[1:]], net.projections)
again = simulate(copy, EventFile(sys.argv[1], "g"), record=Record(spikes=["a"]), out=sys.argv[1] + "2")
assert again.spikes["a"] == found.spikes["a"]
print(json.dumps({
    "synaptic events": int(found.synops["g -> a"][0]), "spikes": int(found.spikes["a"][0]) + spikes,
    "seconds": round(middle - begin, 1), "seconds from file": round(time.perf_counter() - middle, 1),
    "MB before": round(before), "MB": round(once), "MB from file": round(peak()),
}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_long_run_needs_little_memory(tmp_path):
    """A billion synaptic events, recorded, and driven again by the file."""
    command = [sys.executable, "-c", LARGE, str(tmp_path / "run.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    figures = json.loads(done.stdout)
    print(figures, (tmp_path / "run.h5").stat().st_size)
    assert figures["synaptic events"] > 9e8
    assert figures["MB from file"] < 500


def test_refusals_are_input_errors():
    assert issubclass(CheckpointError, InputError)
    assert issubclass(OutputError, InputError)


@MANY
def test_a_team_that_writes_sample_after_sample_loses_nothing_of_a_readout(tmp_path):
    """A member that goes on to the next sample puts its share of the readout to rest, too early for others."""
    rng, columns, ticks = np.random.default_rng(0), 8192, 1000
    populations = [Source("in", 16), Readout("out", columns), Population("a", LIF().identical(5000))]
    weights = (rng.normal(0.5, 0.1, (16, n)).astype(np.float32) for n in (columns, 5000))
    ways = [Projection("in", name, Dense(weight)) for name, weight in zip(("out", "a"), weights, strict=True)]
    network = Network(populations, ways)
    events = Events.from_frames(rng.random((6, ticks, 16)) < 0.005)
    one, two = (tmp_path / f"{threads}.h5" for threads in (1, 2))
    for threads, out in ((1, one), (2, two)):
        simulate(network, events, record=Record(spikes=["a"]), threads=threads, out=out)
    assert read_recording(one).readout["out"].all()
    assert np.array_equal(read_recording(one).readout["out"], read_recording(two).readout["out"])
