"""Recordings of event sensors: slices, the files of N-MNIST, and data sets of tonic."""

import io
import lzma
import shutil
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import IF
from eventsim.errors import ConfigError, DataError, EventsError
from eventsim.training import CrossEntropy, FitConfig, Frames, Model, accuracy, fit, from_tonic, load, predict
from eventsim.training.linear import Conv, Dense
from eventsim.training.nmnist import SIDE, decoded
from eventsim.training.pooling import AvgPool
from eventsim.training.recipe import checked
from eventsim.training.run import run_recipe
from eventsim.training.shaping import Flatten
from eventsim.training.slices import Slices
from eventsim.training.spiking import Spiking
from eventsim.training.splits import Sizes
from tests.recipe_cases import changed
from tests.strategies import seeds

FIELDS = np.dtype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])


def recording(seed, n=200, sensor=(5, 4, 2), last=10_000):
    rng = np.random.default_rng(seed)
    events = np.empty(n, FIELDS)
    events["x"], events["y"] = rng.integers(0, sensor[0], n), rng.integers(0, sensor[1], n)
    events["t"], events["p"] = np.sort(rng.integers(0, last, n)), rng.integers(0, 2, n)
    return events


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
