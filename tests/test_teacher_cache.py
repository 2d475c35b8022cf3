"""A teacher cache says what the teacher said, to the data set and the teacher that it belongs to, and to no other."""

import json
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest

from eventsim.errors import CacheError, ConfigError
from eventsim.training import (
    CrossEntropy,
    Dataset,
    Direct,
    FitConfig,
    Form,
    Online,
    SoftTargets,
    Views,
    cached,
    fit,
    predict,
)
from eventsim.training.augment import Flip, Noise, Shift
from tests.cache_cases import few, relu_teacher, same, saying, spiking_teacher
from tests.training_cases import conv_net

WHERE = pytest.mark.parametrize("memory", [0, 2**30], ids=["on disk", "in memory"])


@pytest.fixture(scope="module")
def data():
    return few()


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """A cache of everything that a teacher can say."""
    path = tmp_path_factory.mktemp("cache") / "cache.h5"
    teacher = spiking_teacher(features=("1", "3"))
    cached(path, teacher, data, recipe={"seed": 3, "epochs": 4}).close()
    return path


# What it says


@WHERE
def test_a_cache_says_what_its_teacher_says(tmp_path, data, memory):
    teacher = relu_teacher()
    cache = cached(tmp_path / "a.h5", teacher, data, memory=memory)
    ids = np.random.default_rng(0).integers(0, 300, 700)
    found = cache.batch(ids)
    assert cache.resident == (memory > 0)
    assert np.array_equal(found.logits, predict(teacher.model, teacher.params, data, ids, Direct()))
    assert (found.features, found.spikes) == ({}, None)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    cache.close()


@WHERE
@pytest.mark.parametrize("form", [Form(), Form("float16"), Form(top=3), Form("float16", top=9)], ids=str)
@pytest.mark.parametrize("views", [Views(), Views(3, [Shift(1), Noise(0.1)], seed=5), Views(2)], ids=str)
def test_offline_is_online(tmp_path, data, memory, form, views):
    teacher = spiking_teacher(features=("1", "3"))
    online = Online(teacher, data, views, form)
    with cached(tmp_path / "a.h5", teacher, data, views=views, form=form, splits=("train",), memory=memory) as cache:
        for view in range(views.count):
            for ids in (data.train[:1], data.train[::-1], data.train[[3, 3, 0]], data.train[:0]):
                if len(ids):
                    same(cache.batch(ids, view), online.batch(ids, view))
        if views.count > 1:
            assert not np.array_equal(cache.batch(data.train, 0).spikes, cache.batch(data.train, 1).spikes)


def test_features_are_what_goes_into_the_layers(data):
    teacher = spiking_teacher(features=("1", "3"))
    model, params = teacher.model, teacher.params
    ids = np.arange(40)
    said = Online(teacher, data).batch(ids)
    x = teacher.encoder(teacher.encoder.prepare(data.x[ids]), ids, 0).values.astype(np.float64)
    first = x @ params["0/weight"].astype(np.float64) + params["0/bias"]
    assert said.features["1"] == pytest.approx(first.mean(axis=1), abs=2e-3, rel=2e-3)
    hidden, out = model.spikes(params, teacher.encoder(teacher.encoder.prepare(data.x[ids]), ids, 0))
    second = hidden.astype(np.float64) @ params["2/weight"] + params["2/bias"]
    assert said.features["3"] == pytest.approx(second.mean(axis=1), abs=2e-3, rel=2e-3)
    assert np.array_equal(said.spikes, out)
    assert said.logits == pytest.approx(out.mean(axis=1))


def test_the_layout_is_the_documented_one(made, data):
    with h5py.File(made) as file:
        assert (file["logits"].shape, file["logits"].dtype, file["logits"].chunks) == ((300, 10), "f4", (256, 10))
        assert file["logits"].compression is None
        assert (file["spikes"].shape, file["spikes"].dtype) == ((300, 5, 2), "u1")
        assert (file["features/1"].shape, file["features/1"].dtype) == ((300, 12), "f2")
        assert file["features/1"].chunks == (1, 12)
        assert np.array_equal(file["ids"], np.arange(300))
        assert np.array_equal(file["labels"], data.labels)
        assert file.attrs["complete"]
        assert json.loads(file.attrs["recipe"]) == {"seed": 3, "epochs": 4}
        assert set(file.attrs) == {
            *("format", "version", "versions", "layout", "complete", "content_sha256", "recipe", "form", "split"),
            *("dataset", "classes", "labels_sha256", "split_sha256", "dataset_sha256", "augmentation"),
            *("teacher", "teacher_sha256", "network_sha256", "preprocessing", "preprocessing_sha256"),
        }


def test_bits_do_not_depend_on_who_asks_when(tmp_path, data):
    for name in "ab":
        cached(tmp_path / name, relu_teacher(), data)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_cache_that_is_there_is_read_and_the_teacher_is_not_asked(tmp_path, data):
    first = cached(tmp_path / "a.h5", saying(lambda x: x[:, :10]), data)
    before = (tmp_path / "a.h5").read_bytes()
    again = cached(tmp_path / "a.h5", saying(None), data)
    same(first.batch(data.test), again.batch(data.test))
    assert (tmp_path / "a.h5").read_bytes() == before


# Trainings


@pytest.mark.parametrize("views", [Views(), Views(4, [Shift(1), Noise(0.05)], seed=2)], ids=str)
def test_training_offline_is_training_online(tmp_path, data, views):
    model, teacher = conv_net(), relu_teacher()
    objective, config = CrossEntropy() + 0.5 * SoftTargets(2.0), FitConfig(3, batch=32)
    offline = cached(tmp_path / "a.h5", teacher, data, views=views, splits=("train",))
    found = [
        fit(model, model.initial(0), data, Direct(2), objective, config, teacher=lessons)
        for lessons in (offline, Online(teacher, data, views))
    ]
    assert found[0].history[0].loss != pytest.approx(found[0].history[1].loss)
    for name, value in found[0].params.items():
        assert np.array_equal(value, found[1].params[name])


def test_views_are_the_augmentation_of_a_training(tmp_path, data):
    """A student whose teacher weighs nothing trains as if it had augmented by itself."""
    model, steps = conv_net(), [Shift(1), Noise(0.05)]
    cache = cached(tmp_path / "a.h5", relu_teacher(), data, views=Views(3, steps, seed=7, shape=(8, 8, 1)))
    alone = fit(model, model.initial(0), data, Direct(2), CrossEntropy(), FitConfig(3, augment=steps, seed=7))
    heard = CrossEntropy() + SoftTargets().ramped(lambda done: 0.0)
    taught = fit(model, model.initial(0), data, Direct(2), heard, FitConfig(3, seed=7), teacher=cache)
    for name, value in alone.params.items():
        assert np.array_equal(value, taught.params[name])


def test_augmentation_beside_views_is_refused(data):
    online = Online(relu_teacher(), data, Views(2, [Shift(1)]))
    with pytest.raises(ConfigError, match=r"(?s)views of its own.*augment=\(\)"):
        fit(
            conv_net(),
            conv_net().initial(0),
            data,
            Direct(),
            CrossEntropy(),
            FitConfig(1, augment=[Shift(2)]),
            teacher=online,
        )


def test_a_teacher_of_another_training_is_refused(tmp_path, data):
    config, other = FitConfig(1), replace(data, train=data.train[::-1].copy())
    cache = cached(tmp_path / "a.h5", relu_teacher(), data, splits=("validation", "test"))
    for lessons, who, message in (
        (cache, data, r"(?s)not in the teacher cache.*150 in all.*splits="),
        (cache, other, "split_sha256"),
        (Online(relu_teacher(), other), data, "another data set"),
    ):
        with pytest.raises(CacheError, match=message):
            fit(
                conv_net(),
                conv_net().initial(0),
                who,
                Direct(),
                CrossEntropy() + 1 * SoftTargets(1.0),
                config,
                teacher=lessons,
            )


def test_memory_is_bounded(tmp_path):
    """A file of 40 MB, of which no more than some chunks are ever in memory."""
    n, none = 100_000, np.arange(0)
    numbers = Dataset("numbers", np.ones((n, 1), np.float32), np.arange(n) % 100, np.arange(n), none, none, (1, 1))
    teacher = saying(lambda x: x + np.arange(100, dtype=np.float32))
    assert len(numbers.fingerprint) == 64
    tracemalloc.start()
    with cached(tmp_path / "a.h5", teacher, numbers, memory=0) as cache:
        for first in range(0, n, 1000):
            cache.batch(np.arange(first, first + 1000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "a.h5").stat().st_size > 40e6
    assert peak < 10e6


def test_images_are_mirrored_as_images(tmp_path, data):
    cache = cached(
        tmp_path / "a.h5", saying(lambda x: x[:, :8].repeat(2, 1)[:, :10]), data, views=Views(1, [Flip(1.0)])
    )
    assert np.array_equal(cache.batch(np.array([5])).logits[0], data.x[5, :8][::-1].repeat(2)[:10])
