"""Caches of others, unfinished and damaged ones are refused by name, and so are teachers that say nonsense."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.columns import locked
from eventsim.errors import CacheError, ConfigError, OutputError
from eventsim.training import Direct, Form, Online, TeacherCache, Views, cached
from tests.cache_cases import few, relu_teacher, same, saying, spiking_teacher

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
