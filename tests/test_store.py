"""Files: whole or not at all, and refused where they are not what they should be."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from eventsim import store
from eventsim.errors import CacheError, CheckpointError, OutputError
from eventsim.training import TeacherCache, checkpoint, load

RECIPE = {"model": "relu_mlp", "sizes": [64, 3, 10], "seed": 0}


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def interrupted():
        with store.replacing(path) as part:
            part.write_text("half")
            raise RuntimeError("full disk")

    with pytest.raises(RuntimeError, match="full disk"):
        interrupted()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    store.write_text(path, "after")
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_fingerprints_see_values_names_types_and_shapes():
    a = np.arange(6)
    prints = {
        store.fingerprint(a=a),
        store.fingerprint(b=a),
        store.fingerprint(a=a.astype(np.int32)),
        store.fingerprint(a=a.reshape(2, 3)),
        store.fingerprint(a=a + 1),
        store.fingerprint(a=a, b=a),
    }
    assert len(prints) == 6
    assert store.fingerprint(a=a[::-1][::-1]) == store.fingerprint(a=a)


@pytest.fixture
def digits():
    return load("digits")


@pytest.fixture
def cache(tmp_path, digits):
    logits = np.random.default_rng(0).normal(size=(1797, 10)).astype(np.float32)
    TeacherCache(logits, RECIPE, "abc", 7).write(tmp_path / "cache.h5", digits)
    return tmp_path / "cache.h5"


def test_cache_round_trip(cache, digits):
    found = TeacherCache.read(cache, digits, RECIPE)
    assert found.logits.dtype == np.float32
    assert np.array_equal(found.logits, np.random.default_rng(0).normal(size=(1797, 10)).astype(np.float32))
    assert (found.parameters, found.best_epoch) == ("abc", 7)
    with h5py.File(cache) as file:
        assert file["logits"].chunks == (256, 10)
        assert file["logits"].compression is None


def change(path, what):
    with h5py.File(path, "r+") as file:
        what(file)


@pytest.mark.parametrize(
    "what",
    [
        lambda file: file.attrs.update(dataset="mnist"),
        lambda file: file.attrs.pop("teacher"),
        lambda file: file.attrs.pop("content_sha256"),
        lambda file: file.attrs.update(more="attributes"),
        lambda file: file["logits"].write_direct(np.zeros((1797, 10), np.float32)),
        lambda file: file["labels"].write_direct(np.zeros(1797, np.int64)),
        lambda file: file.pop("labels"),
        lambda file: file.create_dataset("more", data=1),
    ],
)
def test_a_change_to_anything_in_a_cache_is_seen(cache, digits, what):
    change(cache, what)
    with pytest.raises(CacheError, match="damaged"):
        TeacherCache.read(cache, digits, RECIPE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "mnist"}, "another dataset.\n.*dataset = mnist\n.*dataset = digits"),
        ({"labels": 9 - load("digits").labels}, "another dataset.\n.*dataset_sha256 = "),
        ({"train": load("digits").train[:-1]}, "another dataset.\n.*dataset_sha256 = "),
        ({"image": (4, 16)}, "another dataset.\n.*dataset_sha256 = "),
    ],
)
def test_a_cache_of_another_data_set_is_refused_by_name(tmp_path, digits, changes, message):
    logits = np.zeros((1797, 10), np.float32)
    TeacherCache(logits, RECIPE, "abc", 7).write(tmp_path / "a.h5", replace(digits, **changes))
    with pytest.raises(CacheError, match=message):
        TeacherCache.read(tmp_path / "a.h5", digits, RECIPE)


def test_a_cache_of_another_teacher_is_refused(cache, digits):
    with pytest.raises(CacheError, match=r"another teacher(.|\n)*seed.: 0(.|\n)*seed.: 1"):
        TeacherCache.read(cache, digits, {**RECIPE, "seed": 1})


@pytest.mark.parametrize("logits", [np.zeros((1797, 9)), np.zeros((10, 10)), np.full((1797, 10), np.nan)])
def test_logits_that_do_not_fit_are_not_written(tmp_path, digits, logits):
    with pytest.raises(CacheError, match=r"shape \(1797, 10\), all finite"):
        TeacherCache(logits, RECIPE, "abc", 7).write(tmp_path / "a.h5", digits)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_truncated_cache_is_refused(cache, digits, size):
    cache.write_bytes(cache.read_bytes()[:size])
    with pytest.raises(CacheError, match="damaged"):
        TeacherCache.read(cache, digits, RECIPE)


def test_a_missing_cache_is_refused(tmp_path, digits):
    with pytest.raises(CacheError, match="no teacher cache"):
        TeacherCache.read(tmp_path / "none.h5", digits, RECIPE)


def test_checkpoint_round_trip(tmp_path):
    params = {"0/weight": np.arange(6, dtype=np.float32).reshape(2, 3), "0/bias": np.zeros(3, np.float32)}
    checkpoint.save(tmp_path / "a.h5", params, {"epoch": 3})
    found, about = checkpoint.load(tmp_path / "a.h5")
    assert about == {"epoch": 3}
    assert found.keys() == params.keys()
    for name in params:
        assert np.array_equal(found[name], params[name])
        assert found[name].dtype == params[name].dtype


def test_a_damaged_checkpoint_is_refused(tmp_path, cache):
    path = tmp_path / "a.h5"
    checkpoint.save(path, {"w": np.ones(3)}, {})
    change(path, lambda file: file["w"].write_direct(np.zeros(3)))
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)
    with pytest.raises(CheckpointError, match="format 'eventsim teacher cache 1'"):
        checkpoint.load(cache)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.load(tmp_path / "none.h5")


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "deep" / "run"

    def interrupted():
        with store.new_folder(out, OutputError) as part:
            (part / "a").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not out.exists()
    with store.new_folder(out, OutputError) as part:
        (part / "a").write_text("whole")
        assert not out.exists()
    assert (out / "a").read_text() == "whole"
    assert list(out.parent.iterdir()) == [out]


def test_a_folder_that_is_there_or_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for path, message in (
        (tmp_path, "exists already"),
        (tmp_path / "dangling", "exists already"),
        (tmp_path / "file" / "run", "not a folder"),
        (tmp_path / ("a" * 300), "cannot be made"),
    ):
        with pytest.raises(OutputError, match=message), store.new_folder(path, OutputError):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"file", "dangling"}
