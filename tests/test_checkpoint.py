"""Checkpoints hold what they were given, and those that are damaged or of another training are refused."""

import json
import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import MTJ, Variation
from eventsim.errors import CheckpointError, ConfigError, OutputError
from eventsim.parallel import cores
from eventsim.store import fingerprint, write_h5
from eventsim.training import (
    CrossEntropy,
    Direct,
    GaussianThreshold,
    LogitsTeacher,
    Online,
    SoftTargets,
    fit,
    load,
    mtj_mlp,
    relu_mlp,
)
from eventsim.training.checkpoint import TRAINING, load_training, save, save_training
from eventsim.training.checkpoint import load as load_parameters
from eventsim.training.describe import described, difference
from eventsim.training.monitor import Epoch, Tally
from eventsim.training.optim import State
from eventsim.training.standing import Standing
from tests.strategies import seeds
from tests.training_cases import every_setting


@pytest.fixture(scope="module")
def digits():
    return load("digits")


CONFIG = every_setting(2, augment=[])
TAUGHT = CrossEntropy() + 0.5 * SoftTargets()


def train(
    digits, folder, *, model=None, params=None, encoder=None, objective=TAUGHT, config=CONFIG, teacher=None, **more
):
    model, encoder = model or relu_mlp((64, 8, 10)), encoder or Direct()
    teacher = teacher or Online(LogitsTeacher(digits.x[:, :10]), digits)
    given = model, params or model.initial(0), digits, encoder, objective, config
    return fit(*given, teacher=teacher, folder=folder, **more)


@pytest.fixture(scope="module")
def finished(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    train(digits, folder)
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_parameters_come_back(tmp_path):
    params, about = mtj_mlp((4, 3, 2)).initial(0), {"epochs": 3}
    save(tmp_path / "params.h5", params, about)
    found, said = load_parameters(tmp_path / "params.h5")
    assert fingerprint(**found) == fingerprint(**params)
    assert said == about


@given(seeds(), st.integers(0, 12), st.booleans(), st.booleans())
def test_a_standing_comes_back(tmp_path_factory, seed, epochs, averaged, begun):
    rng = np.random.default_rng(seed % 2**32)

    def some():  # more than ten layers: files sort them by text
        return {f"{i}/{name}": rng.normal(size=i + 1).astype(np.float32) for i in range(12) for name in "ba"}

    trained = [f"{i}/a" for i in range(12)]
    state = State(7, {slot: {name: some()[name] for name in trained} for slot in ("mean", "square")})
    history = [
        Epoch(i + 1, *rng.random(5).tolist(), {"1": rng.random()}, ["note"] * (i % 2), 0.1, 2.0) for i in range(epochs)
    ]
    at = Standing(
        some(),
        some(),
        state if begun else None,
        some() if averaged else None,
        tuple(history),
        Tally(3, 10, rng.random(), 4, rng.random(), {"1": rng.random()}, 0.1, 0.2),
    )
    path = tmp_path_factory.mktemp("standing") / "checkpoint.h5"
    save_training(path, at, {"a": 1})
    found = load_training(path, Standing(at.params, at.params), {"a": 1})
    assert found.numbers() == at.numbers()
    assert fingerprint(**found.arrays()) == fingerprint(**at.arrays())
    assert (found.history, found.tally) == (at.history, at.tally)
    assert list(found.params) == list(at.params)


def test_a_long_history_fits(tmp_path):
    line = Epoch(1, 0.1, 0.2, 0.3, 0.4, 0.5, {str(i): 0.1 for i in range(40)}, [], 1.0, 2.0)
    at = Standing({"0/a": np.ones(1)}, {"0/a": np.ones(1)}, history=(line,) * 1000)
    save_training(tmp_path / "checkpoint.h5", at, {})
    assert load_training(tmp_path / "checkpoint.h5", at, {}).history == at.history


def copied(finished, tmp_path):
    for name, content in contents(finished).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path / "checkpoint.h5"


def test_a_checkpoint_of_another_training_is_refused_and_left(digits, finished, tmp_path):
    copied(finished, tmp_path)
    before = contents(tmp_path)
    other = relu_mlp((64, 9, 10))
    start = relu_mlp((64, 8, 10)).initial(1)
    pixels = digits.x.copy()
    pixels[0, 0] += 0.5
    calls = [
        ("model.layers.0.targets", "8", "9", {"model": other}),
        ("start", "", "", {"params": start}),
        ("encoder.ticks", "1", "2", {"encoder": Direct(2)}),
        ("encoder.type", "'Direct'", "'GaussianThreshold'", {"encoder": GaussianThreshold(2, 0)}),
        ("objective.terms.0.gain", "1.0", "2.0", {"objective": CrossEntropy(2.0) + 0.5 * SoftTargets()}),
        ("teacher.sha256", "", "", {"teacher": Online(LogitsTeacher(digits.x[:, 10:20]), digits)}),
        ("config.epochs", "2", "3", {"config": replace(CONFIG, epochs=3)}),
        ("config.seed", "0", "1", {"config": replace(CONFIG, seed=1)}),
        ("config.optimiser.decay", "0.1", "0.2", {"config": every_setting(2, augment=[], optimiser=adam(0.2))}),
        ("config.average", "0.9", "None", {"config": replace(CONFIG, average=None)}),
    ]
    for place, found, wanted, changed in calls:
        with pytest.raises(CheckpointError) as error:
            train(digits, tmp_path, **changed)
        assert str(error.value.given).startswith(f"{tmp_path / 'checkpoint.h5'}, {place} = {found}")
        assert str(error.value.expected).startswith(f"{place} = {wanted}")
        assert "another folder" in error.value.repair
    for changed in ({"x": pixels}, {"train": digits.train[::-1].copy()}):
        with pytest.raises(CheckpointError, match=r"dataset\.sha256"):
            train(replace(digits, **changed), tmp_path)
    assert contents(tmp_path) == before


def adam(decay):
    return replace(CONFIG.optimiser, decay=decay)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused_and_left(digits, finished, tmp_path, share):
    path = copied(finished, tmp_path)
    os.truncate(path, int(share * path.stat().st_size))
    before = contents(tmp_path)
    with pytest.raises(CheckpointError, match=r"(?s)damaged.*bytes.*repair"):
        train(digits, tmp_path)
    assert contents(tmp_path) == before


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_flipped_byte_never_passes_for_the_checkpoint(digits, finished, tmp_path_factory, place, flip):
    """Where nothing is stored a byte may differ; everywhere else it is noticed."""
    path = copied(finished, tmp_path_factory.mktemp("flipped"))
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= flip
    path.write_bytes(content)
    try:
        found = train(digits, path.parent)
    except CheckpointError:
        assert path.read_bytes() == content
    else:
        assert fingerprint(**found.params) == fingerprint(**train(digits, finished).params)


@pytest.mark.parametrize(
    "name", ["params/0/weight", "best/2/bias", "average/0/bias", "optimiser/mean/0/weight", "about"]
)
def test_a_changed_entry_is_noticed(digits, finished, tmp_path, name):
    path = copied(finished, tmp_path)
    with h5py.File(path, "r+") as file:
        file[name][(0,) * file[name].ndim] += 1
    with pytest.raises(CheckpointError, match="damaged"):
        train(digits, tmp_path)


def test_files_of_other_kinds_are_refused(digits, finished, tmp_path):
    path = tmp_path / "checkpoint.h5"
    save(path, relu_mlp((64, 8, 10)).initial(0), {})
    with pytest.raises(CheckpointError, match=r"(?s)no checkpoint.*checkpoint 1.*training 1"):
        train(digits, tmp_path)
    with pytest.raises(CheckpointError, match=r"(?s)no checkpoint.*training 1.*checkpoint 1"):
        load_parameters(finished / "checkpoint.h5")
    path.write_text("text")
    with pytest.raises(CheckpointError, match="damaged"):
        train(digits, tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_parameters(tmp_path / "none.h5")
    assert TRAINING == "eventsim training 1"
    write_h5(path, {"about": np.zeros(2, np.uint8)}, {"format": "eventsim training 0"})
    with pytest.raises(CheckpointError, match="training 0"):
        train(digits, tmp_path)


def test_places_that_cannot_be_written_to_are_refused(digits, tmp_path):
    (tmp_path / "file").write_text("a file")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match="cannot be written to"):
            train(digits, folder)
    with pytest.raises(ConfigError, match="threads"):
        train(digits, tmp_path / "new", threads=cores() + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_metrics_of_a_training_without_its_checkpoint_are_kept(digits, finished, tmp_path):
    copied(finished, tmp_path).unlink()
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"metrics\.jsonl, without a checkpoint\.h5"):
        train(digits, tmp_path)
    assert contents(tmp_path) == before


def test_a_full_disk_keeps_the_checkpoint_before(digits, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.h5"
    at = Standing({"0/a": np.ones(3)}, {"0/a": np.ones(3)})
    save_training(path, at, {})
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("eventsim.training.checkpoint.check_room", full)
    with pytest.raises(OutputError, match=r"(?s)No space left.*make room.*can be gone on with"):
        save_training(path, at, {})
    assert contents(tmp_path) == {"checkpoint.h5": before}


def test_descriptions_are_json_and_tell_devices_apart():
    devices = [MTJ().draw(5, Variation.all(0.1), seed=seed) for seed in (0, 0, 1)]
    one, same, other = (described(mtj_mlp((4, 5, 2), devices=[row])) for row in devices)
    assert json.loads(json.dumps(one)) == one
    assert difference(one, same) is None
    assert difference(one, other).place.startswith("layers.1.neurons.")
    assert difference({"a": [1, 2]}, {"a": [1, 2, 3]}) == ("a", [1, 2], [1, 2, 3])
    assert difference({"a": 1}, {"a": 1, "b": None, "c": 2}) == ("c", None, 2)
