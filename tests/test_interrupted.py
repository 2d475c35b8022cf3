"""Runs that are interrupted, killed or out of room go on as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from eventsim import (
    MTJ,
    Events,
    FixedFanOut,
    Generator,
    Network,
    Population,
    Projection,
    Record,
    Source,
    crew,
    recorder,
    schedule,
    simulate,
    stream,
)
from eventsim.columns import alone, beside
from eventsim.errors import OutputError
from eventsim.recorder import read_recording
from eventsim.stream import write_events
from tests.stream_cases import ALL, MANY, ROOT, events, identical, network, prefix


def forked(work):
    """Process number of a child that does some work."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            work()
            code = 0
        except KeyboardInterrupt:
            code = 2
        finally:
            os._exit(code)
    return child


def signalled(number, stretch, work):
    """Process number of a child that gets a signal when it begins some stretch of its run."""
    advance, stretches = crew.Crew.run, iter(range(1000))

    def run(self, *arguments):
        if next(stretches) == stretch:
            os.kill(os.getpid(), number)
        return advance(self, *arguments)

    def child():
        crew.Crew.run = run
        work()

    return forked(child)


def ended(child, *, within=120.0):
    """Exit code of a child."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    pytest.fail("the run does not end")


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
LONG = {"ticks": 60_000, "seed": 9}
LONG_RECORD = Record(spikes=["a/b", "noise"], membrane={"a/b": [1]}, energy=True, state=True, counts=["c"])


def long_network():
    net = network()
    return Network(net.populations[1:], [p for p in net.projections if p.source != "in"])


@pytest.fixture(scope="module")
def uninterrupted():
    return simulate(long_network(), record=LONG_RECORD, **LONG)


@FORKS
@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_again_and_again_is_the_same(tmp_path, monkeypatch, uninterrupted, seed):
    monkeypatch.setattr(schedule, "_FIRST", 2000)
    monkeypatch.setattr(schedule, "_STOP", 0.004)
    monkeypatch.setattr(recorder, "_OFTEN", -1000.0)
    net, out, part = long_network(), tmp_path / "run.h5", tmp_path / "run.h5.part"
    moments, reached, kills = random.Random(seed), [0], 0
    while not out.exists():
        child = forked(lambda: simulate(net, record=LONG_RECORD, out=out, resume=True, **LONG))
        if kills < 6:
            time.sleep(moments.uniform(0.0, 0.25))
            os.kill(child, signal.SIGKILL)
        code = ended(child)
        assert code in (0, -signal.SIGKILL)
        kills += 1
        if code and part.exists() and not out.exists():
            found = read_recording(part)
            if found.frames is not None:
                prefix(uninterrupted, found)
                reached.append(found.frames)
    assert reached == sorted(reached)
    identical(uninterrupted, read_recording(out))


@FORKS
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=MANY)])
def test_an_interrupted_run_keeps_what_it_did(tmp_path, monkeypatch, uninterrupted, threads):
    monkeypatch.setattr(schedule, "_FIRST", 2000)
    monkeypatch.setattr(schedule, "_STOP", 0.002)
    net, out, part = long_network(), tmp_path / "run.h5", tmp_path / "run.h5.part"
    child = signalled(signal.SIGINT, 3, lambda: simulate(net, record=LONG_RECORD, out=out, threads=threads, **LONG))
    assert ended(child) == 2
    assert [path.name for path in tmp_path.iterdir()] == [part.name]
    found = read_recording(part)
    assert found.frames > 0
    prefix(uninterrupted, found)
    simulate(net, record=LONG_RECORD, out=out, resume=True, **LONG)
    identical(uninterrupted, read_recording(out))


# Two runs and one file


def stopped(out, **more):
    """A child that stands still while it writes to a file."""
    child = signalled(signal.SIGSTOP, 1, lambda: simulate(long_network(), record=LONG_RECORD, out=out, **more, **LONG))
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    return child


@FORKS
@pytest.mark.parametrize("resume", [False, True])
def test_a_second_run_is_refused_and_the_first_one_is_whole(tmp_path, uninterrupted, resume):
    out = tmp_path / "run.h5"
    child = stopped(out, resume=resume)
    before = beside(out).read_bytes()
    for again in (False, True):
        with pytest.raises(OutputError, match=r"(?s)another run.*run\.h5.*wait until"):
            simulate(long_network(), record=LONG_RECORD, out=out, resume=again, **LONG)
        with pytest.raises(OutputError, match="another run"):
            simulate(network(), events(), seed=3, out=tmp_path / ".." / tmp_path.name / "run.h5", resume=again)
    with pytest.raises(OutputError, match="another run"):
        write_events(out, events())
    assert beside(out).read_bytes() == before
    assert read_recording(beside(out)).frames is not None
    os.kill(child, signal.SIGCONT)
    assert ended(child) == 0
    identical(uninterrupted, read_recording(out))
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


@FORKS
def test_the_lock_of_a_killed_run_is_gone(tmp_path, uninterrupted):
    out = tmp_path / "run.h5"
    child = stopped(out)
    os.kill(child, signal.SIGKILL)
    assert ended(child) == -signal.SIGKILL
    with pytest.raises(OutputError, match="exists already"):
        simulate(long_network(), record=LONG_RECORD, out=out, **LONG)
    simulate(long_network(), record=LONG_RECORD, out=out, resume=True, **LONG)
    identical(uninterrupted, read_recording(out))
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


@FORKS
def test_of_runs_that_begin_at_once_one_writes(tmp_path, uninterrupted):
    out = tmp_path / "run.h5"

    def work():
        try:
            simulate(long_network(), record=LONG_RECORD, out=out, resume=True, **LONG)
        except OutputError:
            os._exit(4)

    children = [forked(work) for _ in range(5)]
    assert sorted(ended(child) for child in children) == [0, 4, 4, 4, 4]
    identical(uninterrupted, read_recording(out))
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_never_two_are_alone(tmp_path):
    """Also where one takes the lock while another removes its file."""
    inside, most, held = [], [], []

    def take():
        while len(held) < 300:
            try:
                with alone(tmp_path / "run.h5"):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.0005)
                    inside.pop()
                held.append(1)
            except OutputError:
                pass

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert list(tmp_path.iterdir()) == []


@FORKS
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=MANY)])
@pytest.mark.parametrize("samples", [1, 2])
def test_ctrl_c_ends_a_run_in_memory_at_once(threads, samples):
    large = Network(
        [Source("in", 5), Population("a", MTJ().identical(9000))],
        [Projection("in", "a", FixedFanOut(5000, 0.2, seed=1), delay=1)],
    )
    none = Events([], [], [], (samples, 10_000_000, 5))
    simulate(large, none.in_ticks(0, 3), threads=threads)
    child = forked(lambda: simulate(large, none, threads=threads))
    time.sleep(0.5)
    os.kill(child, signal.SIGINT)
    assert ended(child) == 2  # interrupted; it had minutes to go


def test_interrupts_come_back_and_run_in_any_thread():
    before = signal.getsignal(signal.SIGINT)
    net = network()
    simulate(net, events(), seed=3)
    assert signal.getsignal(signal.SIGINT) is before
    found = []
    thread = threading.Thread(target=lambda: found.append(simulate(net, events(), seed=3)))
    thread.start()
    thread.join()
    identical(found[0], simulate(net, events(), seed=3))


# A disk that is full

FULL = """
import sys, numpy as np
from eventsim import *
from eventsim import recorder
from eventsim.errors import OutputError
recorder.Recorder.due = True
net = Network([Generator("g", 2000, 0.3)], [])
try:
    simulate(net, ticks=100_000, seed=1, record=Record(spikes=["g"]), out=sys.argv[1], resume=True)
except OutputError as error:
    sys.exit(f"refused {error}")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_ends_a_run_and_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "none", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("cannot mount")
    try:
        command = [sys.executable, "-c", FULL, disk / "run.h5"]
        failed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert failed.returncode == 1, failed.stderr
        assert failed.stderr.startswith("refused The file cannot be written to")
        assert "resume=True" in failed.stderr
        found = read_recording(disk / "run.h5.part")
        assert 0 < found.frames < 100_000
        net = Network([Generator("g", 2000, 0.3)], [])
        wanted = simulate(net, ticks=found.frames, seed=1, record=Record(spikes=["g"])).events["g"]
        assert np.array_equal(wanted.address, found.events["g"].address)
        again = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert "refused" in again.stderr
        assert read_recording(disk / "run.h5.part").frames == found.frames
        with pytest.raises(OutputError, match="make room"):
            write_events(disk / "events.h5", found.events["g"])
        assert not (disk / "events.h5").exists()
        assert not (disk / "events.h5.part").exists()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_error_of_the_disk_names_the_way_out(tmp_path, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stream.Columns, "write", full)
    with pytest.raises(OutputError, match=r"(?s)run.h5: .*No space left.*make room.*resume=True"):
        simulate(network(), events(), seed=3, record=ALL, out=tmp_path / "run.h5")
    with pytest.raises(OutputError, match="make room"):
        write_events(tmp_path / "events.h5", events())
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5.part"]
    monkeypatch.undo()
    simulate(network(), events(), seed=3, record=ALL, out=tmp_path / "run.h5", resume=True)
    identical(simulate(network(), events(), seed=3, record=ALL), read_recording(tmp_path / "run.h5"))
