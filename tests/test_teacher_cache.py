"""A teacher cache says what the teacher said, to the data set and the teacher that it belongs to, and to no other."""

import json
import tracemalloc
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.columns import locked
from eventsim.errors import CacheError, ConfigError, OutputError
from eventsim.training import (
    Dataset,
    Direct,
    FitConfig,
    Form,
    Objective,
    Online,
    TeacherCache,
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
    objective, config = Objective(alpha=0.5, temperature=2.0), FitConfig(3, batch=32)
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
    alone = fit(model, model.initial(0), data, Direct(2), Objective(), FitConfig(3, augment=steps, seed=7))
    taught = fit(model, model.initial(0), data, Direct(2), Objective(), FitConfig(3, seed=7), teacher=cache)
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
            Objective(),
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
            fit(conv_net(), conv_net().initial(0), who, Direct(), Objective(alpha=1), config, teacher=lessons)


# What is refused


CHANGES = [
    ("dataset", lambda d: replace(d, name="many")),
    ("classes", lambda d: replace(d, labels=d.labels % 9)),
    ("labels_sha256", lambda d: replace(d, labels=9 - d.labels)),
    ("split_sha256", lambda d: replace(d, train=d.test, test=d.train)),
    ("dataset_sha256", lambda d: replace(d, x=d.x / 2)),
]


@pytest.mark.parametrize(("name", "change"), CHANGES, ids=[name for name, _ in CHANGES])
def test_a_cache_of_another_data_set_is_refused_by_name(made, data, name, change):
    with pytest.raises(CacheError, match=rf"(?s)given: .*, {name} = .*expected: {name} = .*repair: "):
        TeacherCache.read(made, change(data))


OTHERS = [
    ("teacher", relu_teacher()),
    ("teacher_sha256", spiking_teacher(1, features=("1", "3"))),
    ("network_sha256", spiking_teacher(features=("1",))),
    ("preprocessing", replace(spiking_teacher(features=("1", "3")), encoder=Direct(5))),
]


@pytest.mark.parametrize(("name", "teacher"), OTHERS, ids=[name for name, _ in OTHERS])
def test_a_cache_of_another_teacher_is_refused_by_name(made, data, name, teacher):
    with pytest.raises(CacheError, match=rf"(?s)given: .*, {name} = .*expected: {name} = .*repair: "):
        TeacherCache.read(made, data, teacher)
    before = made.read_bytes()
    with pytest.raises(CacheError, match=name):
        cached(made, teacher, data)
    assert made.read_bytes() == before


def test_other_views_forms_splits_and_recipes_are_refused_by_name(made, data):
    teacher = spiking_teacher(features=("1", "3"))
    for name, more in (
        ("augmentation", {"views": Views(2)}),
        ("form", {"form": Form("float16")}),
        ("split", {"splits": ("train",)}),
        ("recipe", {"recipe": {"seed": 4}}),
        ("recipe", {"recipe": {"depth": 4}}),
    ):
        with pytest.raises(CacheError, match=rf"(?s)another {name}.*{name} = "):
            cached(made, teacher, data, **more)
    with pytest.raises(CacheError, match=r"recipe = seed: 3\n.*recipe = seed: 4"):
        TeacherCache.read(made, data, recipe={"seed": 4})


@WHERE
def test_missing_samples_and_views_are_refused(tmp_path, data, memory):
    with cached(tmp_path / "a.h5", relu_teacher(), data, splits=("train",), memory=memory) as cache:
        for ids in (data.test[:3], [-1], [300], [10**12], np.r_[data.train, data.test[:1]]):
            with pytest.raises(CacheError, match=r"(?s)not in the teacher cache.*ids \["):
                cache.batch(np.array(ids))
        for view in (-1, 1):
            with pytest.raises(CacheError, match=f"(?s)no such view.*given: *{view}"):
                cache.batch(data.train, view)


def test_what_is_no_number_is_refused(made, data):
    with TeacherCache.read(made, data) as cache:
        assert cache.batch(np.arange(0)).logits.shape == (0, 10)
        for ids in (3, [[3]], [0.5], ["a"], [True]):
            with pytest.raises(CacheError, match="no numbers of samples"):
                cache.batch(ids)
    for memory in (-1, 0.5, True):
        with pytest.raises(ConfigError, match="memory"):
            TeacherCache.read(made, data, memory=memory)


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


def test_a_missing_or_unfinished_cache_is_refused(tmp_path, data):
    path = tmp_path / "a.h5"
    with pytest.raises(CacheError, match="no teacher cache"):
        TeacherCache.read(path, data)

    calls = iter(range(5))

    def failing(x):
        if next(calls) == 1:
            raise ZeroDivisionError
        return x[:, :10]

    with pytest.raises(ZeroDivisionError):
        cached(path, saying(failing), data)
    with pytest.raises(CacheError, match=r"(?s)not finished.*a\.h5\.part.*complete = True.*goes on"):
        TeacherCache.read(path, data)
    (tmp_path / "a.h5.part").rename(path)
    with pytest.raises(CacheError, match=r"(?s)not finished.*complete = False"):
        TeacherCache.read(path, data)


def test_a_cache_of_another_format_is_refused(made, data, tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(made.read_bytes())
    change(path, lambda file: file.attrs.update(format="eventsim teacher cache 1"))
    with pytest.raises(CacheError, match="format = eventsim teacher cache 1"):
        TeacherCache.read(path, data)


def change(path, what):
    with h5py.File(path, "r+") as file:
        what(file)


def add(name):
    def change(file):
        at = (0,) * file[name].ndim
        file[name][at] = np.nextafter(file[name][at], np.inf) if file[name].dtype.kind == "f" else file[name][at] + 1

    return change


@WHERE
@pytest.mark.parametrize(
    "what",
    [
        lambda file: file.attrs.update(dataset="mnist"),
        lambda file: file.attrs.pop("teacher"),
        lambda file: file.attrs.pop("content_sha256"),
        lambda file: file.attrs.update(more="attributes"),
        lambda file: file.create_dataset("more", data=1),
        lambda file: file.pop("labels"),
        lambda file: file.pop("logits"),
        *(add(name) for name in ("logits", "spikes", "features/1", "labels", "ids", "checks/logits", "checks/spikes")),
    ],
)
def test_a_change_to_anything_in_a_cache_is_seen(made, data, tmp_path, memory, what):
    path = tmp_path / "a.h5"
    path.write_bytes(made.read_bytes())
    change(path, what)
    with pytest.raises(CacheError, match="damaged"), TeacherCache.read(path, data, memory=memory) as cache:
        cache.batch(np.arange(300))


@WHERE
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_flipped_byte_never_passes_for_what_was_said(made, data, tmp_path_factory, memory, place, flip):
    path = tmp_path_factory.mktemp("flipped") / "a.h5"
    content = bytearray(made.read_bytes())
    content[int(place * len(content))] ^= flip
    path.write_bytes(content)
    ids = np.arange(300)
    try:
        with TeacherCache.read(path, data, memory=memory) as cache:
            found = cache.batch(ids)
    except CacheError:
        return
    same(found, TeacherCache.read(made, data).batch(ids))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_cache_is_refused(made, data, tmp_path, share):
    path, content = tmp_path / "a.h5", made.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CacheError, match="damaged"):
        TeacherCache.read(path, data)


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (lambda x: np.zeros((len(x), 9)), r"(?s)another shape.*\(256, 9\).*\(256, 10\)"),
        (lambda x: np.zeros(len(x)), "another shape"),
        (lambda x: np.zeros((len(x) - 1, 10)), "another shape"),
        (lambda x: np.full((len(x), 10), "a"), "another shape"),
        (lambda x: np.where(np.arange(len(x)) == 7, np.nan, 0.0)[:, None] + np.zeros(10), r"(?s)logits.*samples \[7\]"),
        (lambda x: np.full((len(x), 10), np.inf), r"(?s)not finite.*256 of 256"),
    ],
)
def test_a_teacher_that_says_nonsense_is_refused_before_a_file_is_made(tmp_path, data, logits, message):
    with pytest.raises(CacheError, match=message):
        cached(tmp_path / "a.h5", saying(logits), data)
    assert not list(tmp_path.iterdir())


def test_nonsense_in_the_middle_ends_the_writing(tmp_path, data):
    calls = iter(range(5))

    def late(x):
        return np.full((len(x), 10), np.nan if next(calls) == 2 else 1.0)

    with pytest.raises(CacheError, match=r"(?s)not finite.*samples \[256, 257"):
        cached(tmp_path / "a.h5", saying(late), data)
    with pytest.raises(CacheError, match="not finished"):
        TeacherCache.read(tmp_path / "a.h5", data)


def test_what_does_not_fit_float16_is_refused(tmp_path, data):
    with pytest.raises(CacheError, match=r"(?s)too large.*70000.*65504"):
        cached(tmp_path / "a.h5", saying(lambda x: np.full((len(x), 10), 7e4)), data, form=Form("float16"))


def test_teachers_for_other_data_are_refused(data):
    with pytest.raises(CacheError, match=r"(?s)64 inputs, 10 classes.*64 inputs, 9 classes"):
        Online(relu_teacher(), replace(data, labels=data.labels % 9))


def test_splits_that_are_none_are_refused(tmp_path, data):
    for splits in ((), ("train", "train"), ("all",), "train"):
        with pytest.raises(ConfigError, match="splits"):
            cached(tmp_path / "a.h5", relu_teacher(), data, splits=splits)


def test_places_that_cannot_be_written_to_are_refused(tmp_path, data):
    with pytest.raises(OutputError, match="no such folder"):
        cached(tmp_path / "none" / "a.h5", relu_teacher(), data)
    with locked(tmp_path / "a.h5", "a"), pytest.raises(OutputError, match="another run"):
        cached(tmp_path / "a.h5", relu_teacher(), data)


def test_a_long_recipe_is_refused(tmp_path, data):
    with pytest.raises(CacheError, match=r"(?s)recipe.*too long"):
        cached(tmp_path / "a.h5", relu_teacher(), data, recipe={"a": "b" * 70_000})


def test_images_are_mirrored_as_images(tmp_path, data):
    cache = cached(
        tmp_path / "a.h5", saying(lambda x: x[:, :8].repeat(2, 1)[:, :10]), data, views=Views(1, [Flip(1.0)])
    )
    assert np.array_equal(cache.batch(np.array([5])).logits[0], data.x[5, :8][::-1].repeat(2)[:10])
