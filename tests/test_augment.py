"""Augmentations against slow loops over pixels, and the keys of their draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from eventsim import keys
from eventsim.errors import ConfigError
from eventsim.training.augment import Chain, Crop, Cutout, Flip, Noise, Rotation, Shift
from tests import oracle
from tests.strategies import seeds

LOW = 2**32 - 1
ALL = Chain((Crop(1), Flip(), Cutout(4), Noise(0.1)))
IMAGES = [Crop(2), Flip(), Rotation(30), Cutout(3), Shift(3), Noise(0.5), ALL]
SIGNALS = [Crop(2), Cutout(3), Shift(3), Noise(0.5), Chain((Shift(1), Shift(2, name="again"), Cutout(2)))]
CASES = [(a, (6, 7, 3)) for a in IMAGES] + [(a, (9, 2)) for a in SIGNALS] + [(Shift(2), (1, 5, 1))]


def words(seed, name, sample, epoch, device, rounds=10):
    key = (seed & LOW, seed >> 32)
    return oracle.philox((sample, epoch, device, keys.stream("augment", name)), key, rounds)


def uniform(*key):
    high, low, _, _ = words(*key)
    return (((high << 32) | low) >> 11) * 2.0**-53 + 2.0**-54


def batch(seed, shape, kind=np.float32, size=5):
    rng = np.random.default_rng(seed % 2**32)
    return rng.normal(size=(size, *shape)).astype(kind), rng.integers(0, 2**32, size)


def moved(image, distance):
    out = np.zeros_like(image)
    for i in np.ndindex(image.shape):
        old = tuple(a - d for a, d in zip(i, (*distance, 0), strict=True))
        if all(0 <= a < n for a, n in zip(old, image.shape, strict=True)):
            out[i] = image[old]
    return out


@given(seeds(), st.integers(1, 1000), st.sampled_from([(6, 7, 3), (9, 2), (4, 5, 1)]), st.integers(1, 3))
def test_shift_and_crop_move_the_content(seed, epoch, shape, by):
    for step in (Shift(by), Crop(by)):
        x, ids = batch(seed, shape)
        found = step(x, ids, epoch, seed)
        axes = [0, 1] if len(shape) == 3 else [1]  # a signal is an image of height 1
        for image, sample, result in zip(x, ids.tolist(), found, strict=True):
            draws = [uniform(seed, step.name, sample, epoch, axis) for axis in axes]
            assert np.array_equal(result, moved(image, [int(u * (2 * by + 1)) - by for u in draws]))


@given(seeds(), st.integers(1, 1000), st.floats(0, 1))
def test_flip_mirrors_some(seed, epoch, p):
    x, ids = batch(seed, (3, 4, 2))
    for image, sample, result in zip(x, ids.tolist(), Flip(p)(x, ids, epoch, seed), strict=True):
        flipped = uniform(seed, "flip", sample, epoch, 0) < p
        assert np.array_equal(result, image[:, ::-1] if flipped else image)


def turned(image, angle):
    """Each point from where the turn takes it from, as the mean of its four neighbours by their nearness."""
    out, middle = np.zeros_like(image), (np.array(image.shape[:2]) - 1) / 2
    back = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    for place in np.ndindex(image.shape[:2]):
        source = back @ (place - middle) + middle
        for near in np.ndindex(image.shape[:2]):
            out[place] += np.prod(np.maximum(1 - np.abs(source - near), 0)) * image[near]
    return out


@given(seeds(), st.integers(1, 1000), st.floats(0, 180))
def test_rotation_turns_about_the_middle(seed, epoch, degrees):
    x, ids = batch(seed, (4, 5, 2))
    for image, sample, result in zip(x, ids.tolist(), Rotation(degrees)(x, ids, epoch, seed), strict=True):
        angle = math.radians(degrees) * (2 * uniform(seed, "rotation", sample, epoch, 0) - 1)
        assert result == pytest.approx(turned(image, angle), abs=1e-5)


@given(seeds(), st.integers(1, 1000), st.sampled_from([(6, 7, 3), (9, 2), (1, 1, 1)]), st.integers(1, 6))
def test_cutout_wipes_a_square(seed, epoch, shape, size):
    size = min(size, max(shape[0], 1))
    x, ids = batch(seed, shape)
    found = Cutout(size)(x, ids, epoch, seed)
    axes = [0, 1] if len(shape) == 3 else [1]
    for image, sample, result in zip(x, ids.tolist(), found, strict=True):
        wanted = image.copy()
        first = [int(uniform(seed, "cutout", sample, epoch, a) * n) for a, n in zip(axes, shape[:-1], strict=True)]
        for i in np.ndindex(image.shape):
            if all(c - size // 2 <= a < c - size // 2 + size for a, c in zip(i[:-1], first, strict=True)):
                wanted[i] = 0
        assert np.array_equal(result, wanted)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_noise_is_the_quantile_of_its_word(kind):
    seed, epoch, std = 2**40 + 5, 3, 0.5
    x, ids = batch(0, (10, 4, 2), kind)
    noise = (Noise(std)(x, ids, epoch, seed) - x).reshape(len(x), -1) / std
    for sample, row in zip(ids.tolist(), noise, strict=True):
        for i, value in enumerate(row):
            word = words(seed, "noise", sample, epoch, i // 64 * 16 + i % 16, rounds=7)[i // 16 % 4]
            assert value == pytest.approx(ndtri((word + 0.5) / 2**32), abs=2e-4)


def test_noise_is_normal_and_independent():
    x = np.zeros((200, 100, 5), np.float32)
    noise = Noise(2.0)(x, np.arange(200), 1, 0)
    assert noise.mean() == pytest.approx(0, abs=0.03)
    assert noise.std() == pytest.approx(2, rel=0.01)
    assert (np.abs(noise) > 4).mean() == pytest.approx(0.0455, rel=0.05)
    flat = noise.reshape(200, -1)
    assert np.corrcoef(flat[:-1].ravel(), flat[1:].ravel())[0, 1] == pytest.approx(0, abs=0.02)
    assert np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1] == pytest.approx(0, abs=0.02)


def test_all_distances_and_places_are_equally_likely():
    x, ids = np.zeros((20_000, 5, 5, 1), np.float32), np.arange(20_000)
    x[:, 2, 2] = 1
    for found in (Shift(2)(x, ids, 1, 0).mean(axis=0), 1 - Cutout(1)(x + 1 - x, ids, 1, 0).mean(axis=0)):
        assert found[..., 0] == pytest.approx(np.full((5, 5), 1 / 25), abs=0.006)
    x[:, 2, 1] = 2
    assert (Flip()(x, ids, 1, 0)[:, 2, 3, 0] == 2).mean() == pytest.approx(0.5, abs=0.015)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("step", "shape"), CASES, ids=str)
def test_a_sample_alone_is_the_sample_in_any_batch(step, shape, kind):
    x, ids = batch(7, shape, kind, size=12)
    before, found = x.copy(), step(x, ids, 4, 11)
    assert np.array_equal(x, before)
    assert not np.shares_memory(found, x)
    assert (found.dtype, found.shape) == (x.dtype, x.shape)
    assert np.array_equal(found, step(x, ids, 4, 11))
    order = np.random.default_rng(0).permutation(12)
    assert np.array_equal(step(x[order], ids[order], 4, 11), found[order])
    for i in range(12):
        assert np.array_equal(step(x[i : i + 1], ids[i : i + 1], 4, 11)[0], found[i])
    assert step(x[:0], ids[:0], 4, 11).shape == (0, *shape)
    assert np.array_equal(step(np.asfortranarray(x), ids, 4, 11), found)


@pytest.mark.parametrize(("step", "shape"), CASES, ids=str)
def test_epochs_seeds_and_samples_have_draws_of_their_own(step, shape):
    x, ids = batch(7, shape, size=40)
    found = step(x, ids, 1, 0)
    assert not np.array_equal(found, step(x, ids, 2, 0))
    assert not np.array_equal(found, step(x, ids, 1, 1))
    assert not np.array_equal(found, step(x, ids + 1, 1, 0))


@pytest.mark.parametrize(("step", "shape"), CASES, ids=str)
def test_evaluation_sees_samples_as_they_are(step, shape):
    x, ids = batch(7, shape)
    assert step(x, ids, 0, 0) is x


def test_names_part_the_draws_and_steps_follow_each_other():
    x, ids = batch(7, (9, 2))
    first, second = Shift(2), Shift(2, name="again")
    assert not np.array_equal(first(x, ids, 1, 0), second(x, ids, 1, 0))
    wanted = second(first(x, ids, 1, 0), ids, 1, 0)
    assert np.array_equal(Chain((first, second))(x, ids, 1, 0), wanted)
    assert np.array_equal(Chain()(x, ids, 1, 0), x)
    nested = Chain((Chain((first,)), Chain((second,)), lambda x, ids, epoch, seed: -x, lambda x, ids, epoch, seed: -x))
    assert np.array_equal(nested(x, ids, 1, 0), wanted)


@pytest.mark.parametrize(
    "steps", [(Shift(1), Shift(2)), (Shift(1), Chain((Crop(), Shift(1)))), Crop(), [Crop()], (Crop,)]
)
def test_unusable_chains_are_refused(steps):
    with pytest.raises(ConfigError, match="repair"):
        Chain(steps)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Crop(0),
        lambda: Crop(1.5),
        lambda: Crop(True),
        lambda: Shift(-1),
        lambda: Cutout(0),
        lambda: Flip(1.1),
        lambda: Flip(math.nan),
        lambda: Rotation(-1),
        lambda: Rotation(181),
        lambda: Rotation("15"),
        lambda: Noise(-0.1),
        lambda: Noise(math.inf),
    ],
)
def test_unusable_augmentations_are_refused(make):
    with pytest.raises(ConfigError, match="repair"):
        make()


@pytest.mark.parametrize(
    ("step", "x", "ids", "epoch", "seed"),
    [
        (Shift(1), np.zeros((2, 9), np.float32), np.arange(2), 1, 0),
        (Shift(1), np.zeros((2, 9, 3), np.int64), np.arange(2), 1, 0),
        (Shift(1), np.zeros((2, 9, 3), np.float32), np.arange(3), 1, 0),
        (Shift(1), np.zeros((2, 9, 3), np.float32), np.arange(2) - 1, 1, 0),
        (Shift(1), np.zeros((2, 9, 3), np.float32), np.arange(2.0), 1, 0),
        (Shift(1), np.zeros((2, 9, 3), np.float32), np.arange(2), -1, 0),
        (Shift(1), np.zeros((2, 9, 3), np.float32), np.arange(2), 1, -1),
        (Shift(9), np.zeros((2, 9, 3), np.float32), np.arange(2), 1, 0),
        (Crop(4), np.zeros((2, 4, 9, 1), np.float32), np.arange(2), 1, 0),
        (Cutout(5), np.zeros((2, 4, 9, 1), np.float32), np.arange(2), 1, 0),
        (Flip(), np.zeros((2, 9, 3), np.float32), np.arange(2), 1, 0),
        (Rotation(), np.zeros((2, 9, 3), np.float32), np.arange(2), 1, 0),
    ],
)
def test_samples_that_cannot_be_augmented_are_refused(step, x, ids, epoch, seed):
    with pytest.raises(ConfigError, match="repair"):
        step(x, ids, epoch, seed)
