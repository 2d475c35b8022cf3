"""Noisy variants of images: fixed draws, laws, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats

from eventsim.errors import ConfigError, DataError
from eventsim.kernels import augment as kernels
from eventsim.training import Dataset, load
from eventsim.training.augment import Rotation
from eventsim.training.dataset import SPLIT_SEED
from eventsim.training.noise import VARIANTS, Background, RandomBackground, gaussian, noisy, variant
from tests.strategies import seeds


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def blank(n=500, image=(28, 28)):
    ids = np.arange(n)
    split = np.split(ids, [n - 40, n - 20])
    return Dataset("blank", np.zeros((n, math.prod(image)), np.float32), ids % 2, *split, image=image)


@given(seeds(), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(1, 3), st.floats(-7, 7))
def test_rotation_is_that_of_scipy(seed, size, channels, angle):
    x = np.random.default_rng(seed).random((1, *size, channels))
    out = np.empty_like(x)
    c, s = math.cos(angle), math.sin(angle)
    kernels.rotate(x, np.array([c]), np.array([s]), out)
    middle = (np.array(size) - 1) / 2
    back = np.array([[c, s], [-s, c]])
    for k in range(channels):
        wanted = ndimage.affine_transform(
            x[0, ..., k], back, middle - back @ middle, order=1, mode="grid-constant", cval=0.0
        )
        assert np.allclose(out[0, ..., k], wanted, atol=1e-6)  # a coordinate may round to the other side of an edge


def test_a_quarter_turn_is_a_quarter_turn():
    x = np.random.default_rng(0).random((1, 6, 6, 2))
    out = np.empty_like(x)
    kernels.rotate(x, np.array([0.0]), np.array([1.0]), out)
    assert np.allclose(out[0], np.rot90(x[0], k=-1), atol=1e-12) or np.allclose(out[0], np.rot90(x[0]), atol=1e-12)


def angles(n):
    """Where a point right of the middle goes."""
    points = np.zeros((n, 41, 41, 1), np.float32)
    points[:, 20, 38] = 1
    turned = Rotation()(points, np.arange(n), 1, SPLIT_SEED)[..., 0]
    total = turned.sum(axis=(1, 2))
    y, x = (turned * (np.arange(41) - 20)[:, None]).sum((1, 2)), (turned * (np.arange(41) - 20)).sum((1, 2))
    return np.arctan2(y / total, x / total) % (2 * math.pi)


def test_angles_are_uniform_over_the_whole_circle():
    found = angles(2000)
    assert stats.kstest(found / (2 * math.pi), "uniform").statistic < 5 * 0.5 / math.sqrt(2000)
    assert len(np.unique(found.round(4))) > 1900


def test_the_random_background_is_the_larger_of_value_and_number():
    data = blank(2000, (4, 4))
    data.x[:, :8] = 0.3
    x = noisy(data, variant("random")).x
    low, high = x[:, 8:].ravel(), x[:, :8].ravel()
    assert stats.kstest(low, "uniform").statistic < 5 * 0.5 / math.sqrt(len(low))
    assert high.min() == np.float32(0.3)
    kept = (high == np.float32(0.3)).mean()
    assert abs(kept - 0.3) < 5 * math.sqrt(0.3 * 0.7 / len(high))
    assert abs(np.corrcoef(x[:, 8], x[:, 9])[0, 1]) < 5 / math.sqrt(2000)


def test_backgrounds_are_patches_of_photographs():
    x = noisy(blank(), variant("background")).x.reshape(-1, 28, 28)
    smooth = np.abs(np.diff(x, axis=2)).mean() / np.abs(x[:, :, 1:] - x[::-1, :, :-1]).mean()
    assert smooth < 0.5  # neighbours are alike, as they are in photographs and not in noise
    assert len(np.unique(x, axis=0)) == len(x)
    assert x.std(axis=(1, 2)).min() >= 20 / 255 - 1e-6
    assert ((x * 255).round(3) % 1 == 0).all()
    ones = replace(blank(), x=np.ones((500, 784), np.float32))
    assert (noisy(ones, variant("background")).x == 1).all()


def test_rotated_ones_have_the_rotation_and_the_background_of_the_others(digits):
    both = noisy(digits, variant("rotation_background")).x
    behind = noisy(replace(digits, x=np.zeros_like(digits.x)), variant("background")).x
    assert np.array_equal(both, np.maximum(noisy(digits, variant("rotation")).x, behind))


@pytest.mark.parametrize("strength", [{"variance": 0.01}, {"deviation": 0.1}])
def test_gaussian_noise_has_its_moments(strength):
    x = np.full((500, 20, 20, 3), 0.5, np.float32)
    noise = (gaussian(**strength)(x, np.arange(500), 1, SPLIT_SEED) - 0.5).ravel()
    n = len(noise)
    assert abs(noise.mean()) < 5 * 0.1 / math.sqrt(n)
    assert abs(noise.var() - 0.01) < 5 * 0.01 * math.sqrt(2 / n) + 1e-5
    assert abs(stats.skew(noise)) < 5 * math.sqrt(6 / n)


def test_variance_and_deviation_are_two_words_for_one_noise(digits):
    assert noisy(digits, gaussian(variance=0.04)).fingerprint == noisy(digits, gaussian(deviation=0.2)).fingerprint
    assert np.array_equal(noisy(digits, gaussian(variance=0.0)).x, digits.x)


@pytest.mark.parametrize("name", [*VARIANTS, "gaussian"])
def test_noise_is_fixed_and_touches_pixels_alone(digits, name):
    noise = gaussian(deviation=0.3) if name == "gaussian" else variant(name)
    one, before = noisy(digits, noise), digits.x.copy()
    assert one.fingerprint == noisy(digits, noise).fingerprint != digits.fingerprint
    assert np.array_equal(digits.x, before)
    assert (one.x.min() >= 0) & (one.x.max() <= 1)
    for part in ("labels", "train", "validation", "test"):
        assert np.array_equal(getattr(one, part), getattr(digits, part))
    assert (one.name, one.image, one.x.dtype) == ("digits", (8, 8), np.float32)
    fewer = replace(digits, train=digits.train[:10], test=digits.test[:7])
    assert np.array_equal(noisy(fewer, noise).x, one.x)  # by the number of the sample
    tested = noisy(digits, noise, "test")
    assert np.array_equal(tested.x[digits.test], one.x[digits.test])
    assert np.array_equal(tested.x[digits.train], digits.x[digits.train])


def test_colours_get_the_same_turn_and_the_same_background():
    x = np.random.default_rng(0).random((3, 8, 8, 1)).astype(np.float32)
    ids = np.arange(3)
    for noise in (Rotation(), Background()):
        three = noise(np.repeat(x, 3, axis=3), ids, 1, 0)
        assert np.array_equal(three, np.repeat(noise(x, ids, 1, 0), 3, axis=3))
    assert RandomBackground()(x.astype(np.float64), ids, 1, 0).dtype == np.float64


def test_noise_that_cannot_be_is_refused(digits):
    with pytest.raises(ConfigError, match="background, rotation_background"):
        variant("fog")
    for strength in ({}, {"variance": 0.1, "deviation": 0.1}):
        with pytest.raises(ConfigError, match="one of them"):
            gaussian(**strength)
    for strength in ({"variance": -0.1}, {"deviation": -0.1}, {"variance": math.nan}, {"deviation": "0.1"}):
        with pytest.raises(ConfigError, match="impossible"):
            gaussian(**strength)
    with pytest.raises(ConfigError, match="'all' or 'test'"):
        noisy(digits, variant("random"), "train")
    with pytest.raises(DataError, match="without ticks"):
        noisy(replace(digits, x=(digits.x * 16).astype(np.uint8)), variant("random"))
    with pytest.raises(DataError, match="without ticks"):
        noisy(replace(digits, image=(4, 8), ticks=2), variant("random"))
    with pytest.raises(ConfigError, match="no background"):
        noisy(blank(50, (500, 8)), variant("background"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mnist", {"noise": "fog"}),
        ("mnist", {"noise": "random", "noise_in": "train"}),
        ("mnist", {"noise_in": "test"}),
        ("fashion_mnist", {"noise_in": "test"}),
        ("cifar10", {"noise_in": "test"}),
        ("cifar10", {"noise_variance": 0.01, "noise_deviation": 0.1}),
        ("cifar10", {"noise_variance": -0.01}),
        ("cifar10", {"noise_deviation": "much"}),
    ],
)
def test_options_of_noise_that_cannot_be_are_refused_before_any_file_is_read(tmp_path, name, options):
    with pytest.raises(ConfigError):
        load(name, tmp_path, **options)


@pytest.mark.data
@pytest.mark.slow
def test_mnist_with_noise(data_folder):
    clean = load("mnist", data_folder)
    for noise in VARIANTS:
        data = load("mnist", data_folder, noise=noise)
        assert np.array_equal(data.labels, clean.labels)
        assert np.array_equal(data.train, clean.train)
        assert not (data.x == clean.x).all(axis=1).any()
        if "rotation" not in noise:
            assert (data.x >= clean.x).all()
    part = load("mnist", data_folder, noise="rotation", noise_in="test", test=100)
    changed = (part.x != clean.x).any(axis=1)
    assert np.array_equal(np.flatnonzero(changed), part.test)


@pytest.mark.data
@pytest.mark.slow
def test_cifar_with_noise(data_folder):
    if not (data_folder / "cifar10").is_dir():
        pytest.skip("there is no CIFAR-10 in the data folder")
    clean = load("cifar10", data_folder)
    some = clean.test[:200]
    data = load("cifar10", data_folder, noise_variance=0.01, noise_in="test")
    inside = (data.x[some] > 0) & (data.x[some] < 1) & (clean.x[some] > 0.45) & (clean.x[some] < 0.55)
    assert abs((data.x - clean.x)[some][inside].std() - 0.1) < 1e-3
    assert np.array_equal(data.x[clean.train], clean.x[clean.train])
