"""A training that is interrupted, killed again and again, or over, goes on as if nothing had happened."""

import json
import os
import random
import signal
import threading
import time
import warnings
from contextlib import contextmanager

import pytest

from eventsim.errors import CheckpointError, OutputError
from eventsim.parallel import cores
from eventsim.store import fingerprint, read_h5
from eventsim.training import (
    SGD,
    CrossEntropy,
    Direct,
    FitConfig,
    GaussianThreshold,
    LogitsTeacher,
    Online,
    SoftTargets,
    fit,
    load,
    mtj_mlp,
)
from eventsim.training import step as steps
from eventsim.training.keeper import Folder
from tests.test_interrupted import FORKS, MANY, ended, forked
from tests.training_cases import conv_net, every_setting, metrics, without_times

EPOCHS = 6


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.fixture(scope="module")
def train(digits):
    """The same training every time, but for where it is kept and how often."""
    model = conv_net()
    params = model.initial(0)
    teacher = Online(LogitsTeacher(digits.x[:, :10] * 3), digits)

    def call(folder=None, every=None, **more):
        config = every_setting(EPOCHS, checkpoint_every=every)
        objective = CrossEntropy() + 0.5 * SoftTargets(2.0)
        return fit(model, params, digits, Direct(2), objective, config, teacher=teacher, folder=folder, **more)

    return call


@pytest.fixture(scope="module")
def whole(train):
    return train()


def identical(whole, found, folder):
    assert fingerprint(**found.params) == fingerprint(**whole.params)
    assert list(found.params) == list(whole.params)
    assert without_times(found.history) == without_times(whole.history)
    assert without_times([found.best]) == without_times([whole.best])
    assert without_times(metrics(folder)) == without_times(whole.history)
    assert {path.name for path in folder.iterdir()} == {"checkpoint.h5", "metrics.jsonl"}


def test_a_folder_changes_nothing(train, whole, tmp_path):
    identical(whole, train(tmp_path / "deep" / "run"), tmp_path / "deep" / "run")


def test_a_training_that_is_over_is_read(train, whole, tmp_path):
    train(tmp_path)
    before = (tmp_path / "checkpoint.h5").read_bytes()
    seen = []
    identical(whole, train(tmp_path, report=seen.append), tmp_path)
    assert seen == []
    assert (tmp_path / "checkpoint.h5").read_bytes() == before


@FORKS
@pytest.mark.parametrize("seed", range(4))
def test_a_training_that_is_killed_again_and_again_is_the_same(train, whole, tmp_path, seed):
    moments, reached, kills = random.Random(seed), [0], 0
    every = (1, 4, None)[seed % 3]
    begin = time.perf_counter()
    assert ended(forked(lambda: train(tmp_path.with_name(f"{tmp_path.name}-whole"), every))) == 0
    whole_time = time.perf_counter() - begin
    while True:
        child = forked(lambda: train(tmp_path, every))
        if kills < 12:
            time.sleep(moments.uniform(0.02, 0.25) * whole_time)  # so that no machine is too fast to be killed
            os.kill(child, signal.SIGKILL)
        code = ended(child)
        assert code in (0, -signal.SIGKILL)
        kills += 1
        if (tmp_path / "metrics.jsonl").exists():
            lines = without_times(metrics(tmp_path))
            assert lines == without_times(whole.history)[: len(lines)]
            reached.append(len(lines))
        if code == 0:
            break
    assert reached == sorted(reached)
    assert kills > 2
    identical(whole, train(tmp_path), tmp_path)


class Killed(BaseException):
    """What stands for the end of a process."""


@contextmanager
def killed_after(saves):
    """The process ends before it keeps a checkpoint more than that."""
    kept, left = Folder.save, iter(range(saves))

    def save(self, at):
        if next(left, None) is None:
            raise Killed
        kept(self, at)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Folder, "save", save)
        yield


@pytest.mark.parametrize("moment", ["checkpoint", "metrics"])
@pytest.mark.parametrize("epoch", [1, 3, EPOCHS])
def test_no_line_is_lost_or_doubled_around_the_end_of_an_epoch(train, whole, tmp_path, monkeypatch, moment, epoch):
    """The process ends before the checkpoint, or between the checkpoint and the line."""
    kept = Folder.epoch

    def killed(self, at):
        if len(at.history) == epoch:
            if moment == "metrics":
                self.save(at)
            raise Killed
        kept(self, at)

    monkeypatch.setattr(Folder, "epoch", killed)
    with pytest.raises(Killed):
        train(tmp_path)
    monkeypatch.undo()
    identical(whole, train(tmp_path), tmp_path)


def test_half_a_line_and_half_a_file_are_nothing(train, whole, tmp_path):
    with killed_after(saves=2), pytest.raises(Killed):
        train(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    (tmp_path / ".checkpoint.h5.123.part").write_bytes(b"half")
    identical(whole, train(tmp_path), tmp_path)


@FORKS
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=MANY)])
def test_ctrl_c_keeps_what_was_done(train, whole, tmp_path, threads):
    child = forked(lambda: train(tmp_path, threads=threads))
    while not (tmp_path / "metrics.jsonl").exists():
        time.sleep(0.001)
    time.sleep(0.02)
    os.kill(child, signal.SIGINT)
    assert ended(child) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.h5", "metrics.jsonl"}
    identical(whole, train(tmp_path), tmp_path)


@pytest.mark.parametrize("where", ["step", "validation"])
def test_ctrl_c_takes_effect_behind_a_checkpoint_of_that_moment(train, whole, tmp_path, monkeypatch, where):
    name = "gradient" if where == "step" else "predict"
    usual, calls = getattr(steps, name), iter(range(1000))

    def interrupted(*arguments, **more):
        if next(calls) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return usual(*arguments, **more)

    monkeypatch.setattr(steps, name, interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    arrays, _ = read_h5(tmp_path / "checkpoint.h5", "checkpoint", CheckpointError)
    about = json.loads(arrays["about"].tobytes())
    assert (about["steps"], about["tally"]["steps"]) == ((8, 8) if where == "step" else (30, 15))
    identical(whole, train(tmp_path), tmp_path)


def test_how_often_checkpoints_are_kept_may_change(train, whole, tmp_path):
    with killed_after(saves=20), pytest.raises(Killed):
        train(tmp_path, every=1)
    identical(whole, train(tmp_path, every=5, threads=min(2, cores())), tmp_path)


@pytest.mark.parametrize("optimiser", [SGD(), SGD(momentum=0.0)])
@pytest.mark.parametrize("patience", [None, 1])
def test_other_optimisers_and_early_ends_go_on_too(digits, tmp_path, optimiser, patience):
    model, encoder = mtj_mlp((64, 8, 10)), GaussianThreshold(2, seed=0)
    config = FitConfig(4, rate=0.05, optimiser=optimiser, patience=patience, checkpoint_every=3)
    given = (model, model.initial(0), digits, encoder, CrossEntropy(), config)
    wanted = fit(*given)
    with killed_after(saves=7), pytest.raises(Killed):
        fit(*given, folder=tmp_path)
    identical(wanted, fit(*given, folder=tmp_path), tmp_path)


def test_a_layer_is_named_once_also_by_a_training_that_goes_on(digits, tmp_path):
    model = mtj_mlp((64, 8, 10))
    params = model.initial(0)
    params["0/bias"] -= 10
    given = (model, params, digits, GaussianThreshold(2, seed=0), CrossEntropy(), FitConfig(3, rate=1e-6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="dead"):
            fit(*given, folder=tmp_path)
        fit(*given, folder=tmp_path)
    assert [len(line["warnings"]) for line in metrics(tmp_path)] == [1, 0, 0]


# Two trainings and one folder


def test_a_second_training_is_refused_and_the_first_one_is_whole(train, whole, tmp_path):
    refused = []

    def second(epoch):
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(OutputError, match=r"(?s)another run.*checkpoint\.h5.*wait until"):
            train(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        refused.append(epoch.epoch)

    identical(whole, train(tmp_path, report=second), tmp_path)
    assert refused == list(range(1, EPOCHS + 1))


def test_a_training_in_another_thread(train, whole, tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(train(tmp_path)))
    thread.start()
    thread.join()
    identical(whole, found[0], tmp_path)
