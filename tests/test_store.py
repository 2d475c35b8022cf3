"""Files: whole or not at all, and refused where they are not what they should be."""

import h5py
import numpy as np
import pytest

from eventsim import store
from eventsim.errors import CheckpointError, OutputError
from eventsim.training import checkpoint

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


def change(path, what):
    with h5py.File(path, "r+") as file:
        what(file)


def test_checkpoint_round_trip(tmp_path):
    params = {"0/weight": np.arange(6, dtype=np.float32).reshape(2, 3), "0/bias": np.zeros(3, np.float32)}
    checkpoint.save(tmp_path / "a.h5", params, {"epoch": 3})
    found, about = checkpoint.load(tmp_path / "a.h5")
    assert about == {"epoch": 3}
    assert found.keys() == params.keys()
    for name in params:
        assert np.array_equal(found[name], params[name])
        assert found[name].dtype == params[name].dtype


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    checkpoint.save(path, {"w": np.ones(3)}, {})
    change(path, lambda file: file["w"].write_direct(np.zeros(3)))
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)
    store.write_h5(tmp_path / "b.h5", {"w": np.ones(3)}, {"format": "another"})
    with pytest.raises(CheckpointError, match="format 'another'"):
        checkpoint.load(tmp_path / "b.h5")
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
