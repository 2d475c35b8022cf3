"""Data sets, encoders, and what is refused of them."""

import gzip
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from eventsim.errors import ConfigError, DataError
from eventsim.training import Direct, GaussianThreshold, load
from eventsim.training.idx import read_idx
from eventsim.training.images import MNIST_FILES
from tests.data_cases import idx
from tests.strategies import seeds


def test_digits_are_the_digits():
    digits = load("digits")
    assert digits.x.shape == (1797, 64)
    assert digits.classes == 10
    assert (digits.x.min(), digits.x.max()) == (0, 1)
    everything = np.concatenate([digits.train, digits.validation, digits.test])
    assert sorted(everything) == list(range(1797))
    assert [len(part) for part in (digits.train, digits.validation, digits.test)] == [897, 300, 600]
    assert digits.fingerprint == load("digits").fingerprint


def test_the_shape_of_a_sample_is_part_of_the_data():
    digits = load("digits")
    other = replace(digits, image=(4, 16))
    assert other.fingerprint != digits.fingerprint
    assert replace(digits, image=(np.uint8(8), np.int32(8))).fingerprint == digits.fingerprint


@pytest.mark.parametrize("image", [(64,), (8, 9), (8, 8.0), (2, 2, 4, 4), (-8, -8)])
def test_shapes_that_are_none_of_an_image_are_refused(image):
    with pytest.raises(DataError, match="not usable"):
        replace(load("digits"), image=image)


def test_digits_take_no_folder(tmp_path):
    with pytest.raises(DataError, match="come with the program"):
        load("digits", tmp_path)


def test_options_take_parts_of_the_digits():
    whole, few = load("digits"), load("digits", train=100, validation=200, test=50)
    assert np.array_equal(few.validation, whole.validation[-200:])
    assert np.array_equal(few.train, whole.train[:100])
    assert {*few.test} < {*whole.test}
    assert [len(part) for part in (few.train, few.validation, few.test)] == [100, 200, 50]
    assert np.array_equal(load("digits", test=50).train, whole.train)
    assert few.fingerprint == load("digits", train=100, validation=200, test=50).fingerprint != whole.fingerprint


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"trian": 3}, r"trian: train\?"),
        ({"split": "random"}, "there are name, train, validation, test"),
        ({"train": 0}, "train: .*greater than or equal to 1"),
        ({"train": 2.0}, "train: .*valid integer"),
        ({"test": "all"}, "test: .*valid integer"),
        ({"train": 1000}, "1197 for training and validation together"),
    ],
)
def test_options_that_are_not_usable_are_refused(options, text):
    with pytest.raises(ConfigError, match=f"(?s){text}"):
        load("digits", **options)


def test_unknown_names_are_refused_with_the_known_ones():
    for name in ("cifar", ["digits"], None):
        with pytest.raises(DataError, match="digits, mnist"):
            load(name)


@given(st.integers(0, 2**32), st.integers(1, 3), st.booleans())
def test_idx_round_trip(tmp_path_factory, seed, ndim, packed):
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 256, rng.integers(1, 5, ndim)).astype(np.uint8)
    path = tmp_path_factory.mktemp("idx") / ("file.gz" if packed else "file")
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    assert np.array_equal(read_idx(path), array)


SMALL = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a", b"", "no idx file"),
        ("a", b"PNG and so on", "no idx file"),
        ("a", idx(SMALL)[:10], "no idx file"),
        ("a", idx(SMALL)[:-1], "23 bytes of data"),
        ("a", idx(SMALL) + b"x", "truncated or too long"),
        ("a.gz", idx(SMALL), "damaged"),
        ("a.gz", gzip.compress(idx(SMALL), mtime=0)[:-5], "damaged"),
        ("a.gz", gzip.compress(idx(SMALL), mtime=0)[:20], "damaged"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / name)


def test_missing_mnist_is_refused_with_the_place_to_put_it(tmp_path):
    with pytest.raises(DataError, match="EVENTSIM_DATA"):
        load("mnist")
    with pytest.raises(DataError, match="data folder is missing"):
        load("mnist", tmp_path / "nowhere")
    with pytest.raises(DataError, match="train-images-idx3-ubyte") as refusal:
        load("mnist", tmp_path)
    assert str(tmp_path / "mnist") in refusal.value.repair


def test_files_of_another_data_set_are_refused(tmp_path):
    for name in MNIST_FILES:
        (tmp_path / name).write_bytes(idx(SMALL))
    with pytest.raises(DataError, match="not the one of MNIST"):
        load("mnist", tmp_path)


def test_a_corrupt_file_is_refused_with_the_checksum_that_is_expected(tmp_path):
    name, sha256 = next(iter(MNIST_FILES.items()))
    for other in MNIST_FILES:
        (tmp_path / other).write_bytes(idx(SMALL))
    packed = gzip.compress(idx(SMALL), mtime=0)
    for content in (packed[:-5], gzip.compress(b"PNG and so on"), gzip.compress(idx(SMALL)[:-1])):
        (tmp_path / f"{name}.gz").write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}\.gz") as refusal:
            load("mnist", tmp_path)
        assert sha256 in refusal.value.expected


@pytest.mark.data
def test_mnist_is_mnist(data_folder):
    mnist = load("mnist", data_folder)
    assert mnist.x.shape == (70_000, 784)
    assert mnist.x.dtype == np.float32
    assert np.bincount(mnist.labels[:60_000]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.fingerprint == "4ae6e7d1afc3ab9b8de35457e5640d91b64c1b73da981781b65a7271e3a5eafc"
    assert mnist.test.tolist() == list(range(60_000, 70_000))
    assert not set(mnist.train) & set(mnist.validation)
    assert len(mnist.train) + len(mnist.validation) == 60_000


@pytest.mark.data
def test_mnist_with_a_truncated_file_is_refused(data_folder, tmp_path):
    for path in (data_folder / "mnist").iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[:-1000] if path.name.startswith("train-labels") else content)
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz"):
        load("mnist", tmp_path)


def test_gaussian_threshold_fires_with_the_stated_probability():
    n, x = 40_000, np.linspace(0, 1, 8, dtype=np.float32)
    encoder = GaussianThreshold(3, seed=1)
    spikes = encoder(encoder.prepare(np.tile(x, (n, 1))), np.arange(n), epoch=1).values
    wanted = ndtr((x - 0.5) / 0.25)
    assert np.abs(spikes.mean(axis=(0, 1)) - wanted).max() < 5 * 0.5 / math.sqrt(3 * n)
    assert set(np.unique(spikes)) == {0, 1}
    ticks = spikes[:, :, 3] - spikes[:, :, 3].mean()
    assert abs((ticks[:, 0] * ticks[:, 1]).mean()) < 5 * 0.25 / math.sqrt(n)


@given(seeds(), st.integers(0, 60_000), st.permutations(range(6)))
def test_a_sample_is_encoded_by_its_key_alone(seed, epoch, order):
    encoder = GaussianThreshold(2, seed=seed)
    rng = np.random.default_rng(0)
    x, ids = rng.random((6, 9)).astype(np.float32), np.arange(100, 106)
    whole = encoder(encoder.prepare(x), ids, epoch).values
    shuffled = encoder(encoder.prepare(x[order]), ids[order], epoch).values
    assert np.array_equal(shuffled, whole[order])
    assert not np.array_equal(encoder(encoder.prepare(x), ids, epoch + 1).values, whole)


def test_direct_is_direct():
    x = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    signal = Direct(4)(Direct(4).prepare(x), np.arange(3), 1)
    assert np.array_equal(signal.values[:, 0], x)
    assert signal.ticks == 1


@pytest.mark.parametrize("ticks", [0, -1, 2.0, True, 70_000])
def test_an_unusable_number_of_ticks_is_refused(ticks):
    with pytest.raises(ConfigError):
        Direct(ticks)


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 0),
        (-1, 0),
        (70_000, 0),
        (1, -1),
        (1, 0, 0.5, 0.0),
        (1, 0, 0.5, math.nan),
        (True, 0),
        (2.0, 0),
        ("2", 0),
        (1, 0, "0.5"),
        (1, 0, 0.5, None),
    ],
)
def test_unusable_encoders_are_refused(arguments):
    with pytest.raises(ConfigError):
        GaussianThreshold(*arguments)


def test_splits_may_be_of_any_whole_type():
    """A cache asks for 64-bit numbers; a fingerprint does not know of what type they were."""
    digits = load("digits")
    small = {name: getattr(digits, name).astype(np.int16) for name in ("labels", "train", "validation", "test")}
    again = replace(digits, **small)
    assert again.train.dtype == again.labels.dtype == np.int64
    assert again.fingerprint == digits.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": np.array([0.0, 1.0])}, "train of digits are not usable"),
        ({"labels": "abc"}, "labels of digits are not usable"),
        ({"test": np.array([[1]])}, "test of digits are not usable"),
        ({"x": np.empty((0, 64), np.float32), "labels": np.empty(0, np.int64)}, "samples of digits are not usable"),
        (dict.fromkeys(("train", "validation", "test"), np.empty(0, np.int64)), "split of digits is not usable"),
        ({"train": np.array([-1])}, "split of digits is not usable"),
    ],
)
def test_data_sets_that_are_none_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        replace(load("digits"), **changes)
