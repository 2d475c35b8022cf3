"""The files of N-MNIST: read, found, refused, learned from."""

import io
import lzma
import shutil
import tarfile

import numpy as np
import pytest
from hypothesis import given

from eventsim import IF
from eventsim.errors import ConfigError, DataError, EventsError
from eventsim.training import CrossEntropy, FitConfig, Frames, Model, accuracy, fit, load, predict
from eventsim.training.linear import Conv, Dense
from eventsim.training.nmnist import SIDE, decoded
from eventsim.training.pooling import AvgPool
from eventsim.training.recipe import checked
from eventsim.training.run import run_recipe
from eventsim.training.shaping import Flatten
from eventsim.training.slices import Slices
from eventsim.training.spiking import Spiking
from tests.event_cases import FIELDS, recording
from tests.recipe_cases import changed
from tests.strategies import seeds


def packed(events):
    """A file of N-MNIST."""
    t, high = events["t"].astype(int), events["p"].astype(int) << 7
    columns = [events["x"], events["y"], high | t >> 16, t >> 8 & 255, t & 255]
    return np.stack(columns, axis=1).astype(np.uint8).tobytes()


def tiny(seed, digit=0):
    """A recording of N-MNIST's camera, in which digits differ by their column."""
    events = recording(seed, 60, (4, SIDE, 2), 300_000)
    events["x"] += 3 * digit
    return events


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for part, count in (("Train", 24), ("Test", 5)):
        for number in range(1, count + 1):
            digit = number % 3
            path = folder / "NMNIST" / part / str(digit) / f"{number:05d}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(packed(tiny(number + 100 * (part == "Test"), digit)))
    return folder


def archived(tree, path):
    with tarfile.open(path, "w:xz") as archive:
        archive.add(tree / "NMNIST", "NMNIST")
    return path


@given(seeds())
def test_files_of_nmnist_round_trip(seed):
    events = recording(seed, sensor=(SIDE, SIDE, 2), last=2**23)
    found = decoded(packed(events), "a.bin")
    assert all(np.array_equal(found[name], events[name]) for name in "xytp")


def test_an_overflow_of_the_clock_is_no_event():
    events = np.array([(1, 2, 100, 1), (0, 240, 0, 0), (3, 4, 50, 0), (0, 240, 0, 0), (5, 6, 20, 1)], FIELDS)
    found = decoded(packed(events), "a.bin")
    assert found["t"].tolist() == [100, 50 + 2**13, 20 + 2**14]
    assert found["x"].tolist() == [1, 3, 5]


def test_all_files_that_are_there_are_read(tree):
    data = load("nmnist", tree, ticks=3)
    assert (data.x.shape, data.x.dtype, data.image, data.ticks) == ((29, 3 * 2312), np.uint8, (34, 34, 2), 3)
    assert data.test.tolist() == list(range(24, 29))
    assert (len(data.train), len(data.validation)) == (22, 2)
    assert data.labels.tolist() == [n % 3 for n in [*range(1, 25), *range(1, 6)]]
    for row, seed in ((0, 1), (23, 24), (24, 101)):
        events = tiny(seed, data.labels[row])
        assert np.array_equal(data.x[row], Slices((34, 34, 2), 3)(events))
    assert load("nmnist", tree, ticks=3, polarity=False).image == (34, 34)
    by_count = load("nmnist", tree, ticks=3, slicing="count").x.reshape(29, 3, -1).sum(axis=2)
    assert (by_count == 20).all()
    part = load("nmnist", tree, ticks=3, train=7, validation=3, test=2)
    assert [len(p) for p in (part.train, part.validation, part.test)] == [7, 3, 2]


def test_the_archive_is_the_folder(tree, tmp_path):
    (tmp_path / "neuromorphic").mkdir()
    archived(tree, tmp_path / "neuromorphic" / "nmnist_subset.tar.xz")
    assert load("nmnist", tmp_path, ticks=2).fingerprint == load("nmnist", tree, ticks=2).fingerprint


@pytest.mark.parametrize("place", [".", "nmnist", "nmnist/NMNIST", "neuromorphic"])
def test_the_folders_of_the_publishers_archives_are_found(tree, tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    shutil.copytree(tree / "NMNIST", tmp_path / place, dirs_exist_ok=True)
    stray = tmp_path / "other" / "Train" / "3" / "00099.bin"  # of another data set
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"another")
    assert load("nmnist", tmp_path, ticks=2).fingerprint == load("nmnist", tree, ticks=2).fingerprint


@pytest.mark.parametrize("below", [".", "./NMNIST", "data/NMNIST"])
def test_an_archive_may_hold_the_folders_anywhere(tree, tmp_path, below):
    with tarfile.open(tmp_path / "nmnist.tar", "w") as archive:
        archive.add(tree / "NMNIST", below)
    assert load("nmnist", tmp_path, ticks=2).fingerprint == load("nmnist", tree, ticks=2).fingerprint


def test_several_archives_are_refused(tree, tmp_path):
    for name in ("nmnist_a.tar.xz", "nmnist_b.tar.xz"):
        archived(tree, tmp_path / name)
    with pytest.raises(DataError, match=r"(?s)several archives.*nmnist_a\.tar\.xz, .*nmnist_b\.tar\.xz"):
        load("nmnist", tmp_path)


def test_missing_recordings_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"(?s)folder is missing.*EVENTSIM_DATA"):
        load("nmnist")
    with pytest.raises(DataError, match=r"(?s)A file of N-MNIST is missing.*no folder Train or NMNIST/Train"):
        load("nmnist", tmp_path)
    (tmp_path / "NMNIST" / "Train" / "3").mkdir(parents=True)
    with pytest.raises(DataError, match="0 recordings for training and 0 for test"):
        load("nmnist", tmp_path)


def test_a_recording_that_cannot_be_read_is_named(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "data")
    path = next((tmp_path / "data").rglob("00007.bin"))
    path.unlink()
    for make in (path.mkdir, lambda: path.symlink_to(tmp_path / "gone")):
        make()
        with pytest.raises(DataError, match=r"(?s)cannot be read.*00007\.bin.*chmod u\+r"):
            load("nmnist", tmp_path / "data")
        if path.is_dir():
            path.rmdir()


@pytest.mark.parametrize("name", ["2/00007.bin", "1/7.bin"])
def test_a_number_that_is_there_twice_is_refused(tree, tmp_path, name):
    shutil.copytree(tree, tmp_path / "data")
    train = tmp_path / "data" / "NMNIST" / "Train"
    shutil.copy(train / "1" / "00007.bin", train / name)
    with pytest.raises(DataError, match="2 of the number 7 in Train"):
        load("nmnist", tmp_path / "data")


def test_damaged_archives_are_refused(tree, tmp_path):
    path = archived(tree, tmp_path / "nmnist.tar.xz")
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 255
    for content in (b"", b"no archive at all", whole[: len(whole) // 2], bytes(damaged)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            load("nmnist", tmp_path)
    with tarfile.open(path, "w:xz") as archive:
        archive.addfile(tarfile.TarInfo("README"), io.BytesIO())
    with pytest.raises(DataError, match="0 recordings for training"):
        load("nmnist", tmp_path)
    path.write_bytes(lzma.compress(b"\0" * 10_240))
    with pytest.raises(DataError, match="0 recordings for training"):
        load("nmnist", tmp_path)


def test_archives_that_end_before_their_end_are_refused(tree, tmp_path):
    path = archived(tree, tmp_path / "nmnist.tar.xz")
    content = lzma.decompress(path.read_bytes())
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    path.unlink()
    path = path.with_name("nmnist.tar")
    broken = content[: last.offset] + b"?" + content[last.offset + 1 :]
    for damaged in (content[: last.offset], content[: last.offset + 200], content[: last.offset_data + 512], broken):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged"):
            load("nmnist", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed(tiny(0))[:-1], "truncated"),
        (b"", "truncated"),
        (packed(recording(0, sensor=(SIDE, 60, 2))), "not one of N-MNIST"),
        (packed(recording(0, sensor=(60, SIDE, 2))), "not one of N-MNIST"),
        (bytes([0, 240, 0, 0, 0]), "0 events"),
        (packed(tiny(0)[::-1]), "unsorted"),
    ],
)
def test_damaged_recordings_are_refused(tmp_path, content, message):
    for part in ("Train", "Test"):
        path = tmp_path / "NMNIST" / part / "3" / "00001.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises((DataError, EventsError), match=message) as refusal:
        load("nmnist", tmp_path)
    assert "NMNIST/Test/3/00001.bin" in str(refusal.value)


@pytest.mark.parametrize("options", [{"ticks": 0}, {"slicing": "events"}, {"ticks": "ten"}, {"speed": 2}])
def test_options_that_cannot_be_are_refused(tree, options):
    with pytest.raises(ConfigError):
        load("nmnist", tree, **options)


@pytest.mark.filterwarnings("ignore::eventsim.training.FiringWarning")  # few events, and no care taken
def test_a_recipe_learns_from_recordings(tree, tmp_path):
    """A teacher of flat counts, and a student of frames."""
    recipe = changed(
        *("data", {"name": "nmnist", "ticks": 4, "polarity": False}),
        *("stage.0.model.sizes", [4 * 34 * 34, 8, 3], "stage.0.cache", None, "stage.1.heads", None),
        *("stage.1.model.sizes", [34 * 34, 8, 3], "stage.1.encoder", {"type": "frames", "ticks": 2, "recorded": 4}),
        *("stage.1.objective", [{"type": "cross_entropy"}, {"type": "soft_targets"}]),
    )
    run_recipe(checked(recipe), tmp_path / "run", data=tree)
    recipe["stage"][1]["encoder"] = {"type": "frames", "ticks": 2}
    with pytest.raises(DataError, match=r"Frames\(ticks=4\)"):
        run_recipe(checked(recipe), tmp_path / "other", data=tree)


@pytest.mark.data
def test_recordings_of_nmnist_are_read_as_tonic_reads_them(data_folder):
    tonic = pytest.importorskip("tonic", reason="tonic, the extra events, is not installed", exc_type=ImportError)
    path = data_folder / "neuromorphic" / "nmnist_subset.tar.xz"
    if not path.is_file():
        pytest.skip("there is no N-MNIST in the data folder")
    with tarfile.open(path) as archive:
        members = [member for member in archive if member.name.endswith(".bin")][::50]
        for member in members:
            raw = archive.extractfile(member).read()
            theirs = tonic.io.read_mnist_file(io.BytesIO(raw), dtype=FIELDS, is_stream=True)
            ours = decoded(raw, member.name)
            assert all(np.array_equal(ours[name], theirs[name]) for name in "xytp")


@pytest.mark.data
@pytest.mark.slow
def test_nmnist_is_learned(data_folder):
    if not (data_folder / "neuromorphic" / "nmnist_subset.tar.xz").is_file():
        pytest.skip("there is no N-MNIST in the data folder")
    data = load("nmnist", data_folder, ticks=5)
    assert data.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # as MNIST begins
    layers = [Conv(2, 8, (5, 5), stride=2, padding=2), Spiking(IF()), AvgPool(2), Conv(8, 16, (3, 3), padding=1)]
    model = Model([*layers, Spiking(IF()), AvgPool(2), Flatten(), Dense(256, 10)], (34, 34, 2))
    fitted = fit(model, model.initial(0), data, Frames(5), CrossEntropy(), FitConfig(epochs=5, batch=20, rate=5e-3))
    right = accuracy(predict(model, fitted.params, data, data.test, Frames(5)), data.labels[data.test])
    assert right > 0.5
