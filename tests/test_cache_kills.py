"""A cache, and a chain of teachers and caches, that is killed at any stage goes on as if nothing had happened."""

import os
import random
import signal
import time

import h5py
import numpy as np
import pytest

from eventsim.columns import beside
from eventsim.errors import CacheError, OutputError
from eventsim.store import fingerprint
from eventsim.training import (
    CrossEntropy,
    Direct,
    FitConfig,
    Form,
    FunctionTeacher,
    ModelTeacher,
    SoftTargets,
    Views,
    cached,
    cachefile,
    cachewriter,
    fit,
    relu_mlp,
)
from eventsim.training.augment import Shift
from tests.cache_cases import SOME, few, relu_teacher, spiking_teacher
from tests.test_interrupted import FORKS, ended, forked


@pytest.fixture(scope="module")
def data():
    return few(900)


class Killed(BaseException):
    """What stands for the end of a process."""


VIEWS = Views(2, [Shift(1)], seed=3)


def make(path, data, **more):
    return cached(path, spiking_teacher(features=("1",)), data, views=VIEWS, **more)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a.h5"
    make(path, data).close()
    return path.read_bytes()


STAGES = [
    (cachefile, "create", 1),
    (cachewriter, "check_room", 1),
    (cachewriter, "check_room", 4),
    (cachefile, "checksum", 1),
    (cachefile, "checksum", 700),
    (cachefile, "checksum", 1300),
    (cachefile, "finish", 1),
    (cachefile, "content", 1),
    (cachefile, "layout", 1),
]


@pytest.mark.parametrize(("module", "name", "call"), STAGES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_cache_that_is_killed_anywhere_is_the_same(tmp_path, data, whole, monkeypatch, module, name, call, after):
    usual, calls = getattr(module, name), iter(range(1, 10**6))

    def killed(*arguments):
        now = next(calls) == call
        if now and not after:
            raise Killed
        found = usual(*arguments)
        if now:
            raise Killed
        return found

    path = tmp_path / "a.h5"
    monkeypatch.setattr(module, name, killed)
    with pytest.raises(Killed):
        make(path, data)
    monkeypatch.undo()
    assert not path.exists()
    make(path, data).close()
    assert path.read_bytes() == whole
    assert {p.name for p in tmp_path.iterdir()} == {"a.h5"}


@FORKS
@pytest.mark.parametrize("seed", range(3))
def test_a_process_that_is_killed_again_and_again(tmp_path, data, whole, seed):
    path, moments, kills = tmp_path / "a.h5", random.Random(seed), 0
    while not path.exists():
        child = forked(lambda: make(path, data))
        if kills < 8:
            time.sleep(moments.uniform(0.0, 0.1))
            os.kill(child, signal.SIGKILL)
        assert ended(child, within=120) in (0, -signal.SIGKILL)
        kills += 1
    assert path.read_bytes() == whole


def test_what_was_answered_is_not_asked_again(tmp_path, data, monkeypatch):
    asked = []

    def answer(x):
        asked.append(len(x))
        if len(asked) == 3:
            raise Killed
        return x[:, :10]

    teacher, path, seen = FunctionTeacher(answer, "counting", SOME), tmp_path / "a.h5", []
    with pytest.raises(Killed):
        cached(path, teacher, data)
    assert asked == [256, 256, 256]  # the first one twice: it decides the layout
    cached(path, teacher, data, show=seen.append)
    assert asked[3:] == [256, 256, 256, 132]
    assert seen == [256, 512, 768, 900, 900]


def test_half_a_chunk_is_written_anew(tmp_path, data, whole, monkeypatch):
    path = tmp_path / "a.h5"
    monkeypatch.setattr(cachefile, "finish", lambda file: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        make(path, data)
    monkeypatch.undo()
    with h5py.File(beside(path), "r+") as file:
        file["logits"][1, 300:310] = 0
        file["features/1"][0, 5, 2] += 1
        file["spikes"][0, 600] = 255
        file["checks/spikes"][1, 2] = 0
    make(path, data).close()
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "more"),
    [("form", {"form": Form("float16")}), ("split", {"splits": ("train",)}), ("recipe", {"recipe": {"a": 1}})],
)
def test_what_was_begun_as_another_cache_is_refused_and_left(tmp_path, data, monkeypatch, name, more):
    path = tmp_path / "a.h5"
    monkeypatch.setattr(cachefile, "finish", lambda file: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        make(path, data)
    monkeypatch.undo()
    before = beside(path).read_bytes()
    with pytest.raises(CacheError, match=rf"(?s)begun is another one.*{name} = .*delete a\.h5\.part"):
        make(path, data, **more)
    with pytest.raises(CacheError, match="teacher = "):
        cached(path, relu_teacher(), data, views=VIEWS)
    assert beside(path).read_bytes() == before
    beside(path).write_bytes(b"nonsense")
    with pytest.raises(CacheError, match="damaged"):
        make(path, data)
    assert beside(path).read_bytes() == b"nonsense"


def test_a_full_disk_keeps_what_was_written(tmp_path, data, whole, monkeypatch):
    path, calls = tmp_path / "a.h5", iter(range(100))

    def full(path, wanted):
        if next(calls) >= 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(cachewriter, "check_room", full)
    with pytest.raises(OutputError, match=r"(?s)No space left.*a\.h5\.part is gone on with"):
        make(path, data)
    monkeypatch.undo()
    make(path, data).close()
    assert path.read_bytes() == whole


# Teacher, cache, assistant, cache, student


def chain(folder, data):
    """Every stage is left on disk, and the same call goes on from what is there."""
    objective, config = CrossEntropy() + 0.5 * SoftTargets(2.0), FitConfig(3, batch=32, checkpoint_every=4)
    cache, models = None, [relu_mlp((64, hidden, 10)) for hidden in (20, 12, 6)]
    for i, model in enumerate(models):
        aim = CrossEntropy() if cache is None else objective
        fitted = fit(model, model.initial(i), data, Direct(), aim, config, teacher=cache, folder=folder / str(i))
        cache = cached(folder / f"{i}.h5", ModelTeacher(model, fitted.params, Direct()), data)
    return fitted.params


@FORKS
@pytest.mark.parametrize("seed", range(3))
def test_a_chain_of_caches_survives_a_kill_at_every_stage(tmp_path, data, seed):
    (tmp_path / "whole").mkdir()
    wanted = chain(tmp_path / "whole", data)
    folder, moments, kills = tmp_path / "killed", random.Random(seed), 0
    folder.mkdir()
    while True:
        child = forked(lambda: chain(folder, data))
        if kills < 15:
            time.sleep(moments.uniform(0.0, 0.15))
            os.kill(child, signal.SIGKILL)
        code = ended(child, within=120)
        assert code in (0, -signal.SIGKILL)
        kills += 1
        if code == 0:
            break
    assert fingerprint(**chain(folder, data)) == fingerprint(**wanted)
    for i in range(3):
        assert (folder / f"{i}.h5").read_bytes() == (tmp_path / "whole" / f"{i}.h5").read_bytes()


class Stage(BaseException):
    """The process ends at the end of a stage."""


@pytest.mark.parametrize("stage", range(6))
def test_a_chain_that_ends_behind_any_stage_goes_on(tmp_path, data, monkeypatch, stage):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    wanted, stages = chain(tmp_path / "whole", data), iter(range(6))
    module = __import__(__name__, fromlist=["fit"])

    def ending(usual):
        def ended(*arguments, **more):
            found = usual(*arguments, **more)
            if next(stages) == stage:
                raise Stage
            return found

        return ended

    for name in ("fit", "cached"):
        monkeypatch.setattr(module, name, ending(getattr(module, name)))
    with pytest.raises(Stage):
        chain(tmp_path / "killed", data)
    monkeypatch.undo()
    assert fingerprint(**chain(tmp_path / "killed", data)) == fingerprint(**wanted)


def test_two_writers_do_not_meet(tmp_path, data):
    refused = []

    def second(done):
        with pytest.raises(OutputError, match="another run"):
            make(tmp_path / "a.h5", data)
        refused.append(done)

    teacher = spiking_teacher(features=("1",))
    cached(tmp_path / "a.h5", teacher, data, show=lambda done: None if refused else second(done))
    assert np.array_equal(refused, [256])
