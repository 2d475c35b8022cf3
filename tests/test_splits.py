"""Splits by key: what they hold, what options change of them, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsim.errors import ConfigError, DataError
from eventsim.training import from_arrays
from eventsim.training.splits import Sizes, grouped, shuffled, split


@given(st.integers(3, 200), st.integers(1, 50), st.data())
def test_a_split_holds_what_was_asked_for(size, tested, data):
    order, test = shuffled("some", np.arange(size)), np.arange(size, size + tested)
    validation = data.draw(st.integers(1, size - 1))
    sizes = Sizes(data.draw(st.integers(1, size - validation)), validation, data.draw(st.integers(1, tested)))
    parts = split("some", order, test, 1, sizes)
    assert tuple(map(len, parts)) == tuple(sizes)
    assert len({*parts.train, *parts.validation, *parts.test}) == sum(sizes)
    assert max(parts.train.max(), parts.validation.max()) < size <= parts.test.min()


@given(st.integers(10, 200), st.integers(1, 5))
def test_validation_does_not_depend_on_how_much_is_trained_with(size, validation):
    order, test = shuffled("some", np.arange(size)), np.arange(size, size + 5)
    whole, few = (split("some", order, test, validation, Sizes(train)) for train in (None, 3))
    assert np.array_equal(whole.validation, few.validation)
    assert np.array_equal(whole.train[:3], few.train)
    assert sorted([*whole.train, *whole.validation]) == list(range(size))
    assert np.array_equal(whole.test, test)


def test_splits_are_keyed_by_name():
    assert np.array_equal(shuffled("a", np.arange(50)), shuffled("a", np.arange(50)))
    assert not np.array_equal(shuffled("a", np.arange(50)), shuffled("b", np.arange(50)))
    assert sorted(shuffled("a", np.arange(7, 50))) == list(range(7, 50))


@given(st.lists(st.integers(0, 9), min_size=5, max_size=100), st.integers(1, 4), st.data())
def test_no_group_is_in_training_and_validation(groups, default, data):
    groups = np.array(groups)
    assume(len(np.unique(groups)) > 4)
    order = shuffled("some", np.arange(len(groups)))
    smallest = np.sort(np.unique(groups, return_counts=True)[1])[:-1].sum()
    wanted = data.draw(st.none() | st.integers(1, int(smallest)))
    try:
        held, count = grouped("some", order, groups[order], default, wanted)
    except ConfigError:
        assert wanted is not None  # the last group would be needed
        return
    train, validation = held[:-count], held[-count:]
    assert not {*groups[train]} & {*groups[validation]}
    assert len({*held}) == len(held)
    if wanted is None:
        assert sorted(held) == list(range(len(groups)))
        assert len(np.unique(groups[validation])) == default
    else:
        assert count == wanted


@pytest.mark.parametrize("sizes", [(8, 3, 5), (11, None, None), (None, 10, None), (None, None, 6), (None, 12, None)])
def test_more_than_there_is_is_refused(sizes):
    with pytest.raises(ConfigError, match=r"(?s)split of some.*10 for training and validation together, 5 for test"):
        split("some", np.arange(10), np.arange(10, 15), 2, Sizes(*sizes))


@pytest.mark.parametrize(
    ("default", "wanted", "aside", "repair"),
    [
        (1, 7, "as many groups as hold 7 samples", "ask for fewer"),
        (1, 1000, "as many groups as hold 1000 samples", "ask for fewer"),
        (3, None, "3 groups", "take more groups"),
    ],
)
def test_validation_leaves_a_group_for_training(default, wanted, aside, repair):
    with pytest.raises(ConfigError, match="groups that are left") as refusal:
        grouped("some", np.arange(9), np.arange(9) // 3, default, wanted)
    assert refusal.value.given == f"{aside} set aside for validation, of 3 with 9 samples"
    assert repair in refusal.value.repair


X = np.random.default_rng(0).random((60, 4, 5))
LABELS = np.arange(60) % 3


def test_arrays_become_a_data_set():
    made = from_arrays("some", X, LABELS, test=10, validation=5)
    assert (made.image, made.classes, made.x.dtype) == ((4, 5), 3, np.float32)
    assert [len(part) for part in (made.train, made.validation, made.test)] == [45, 5, 10]
    assert np.array_equal(made.x, X.reshape(60, 20).astype(np.float32))
    assert made.fingerprint == from_arrays("some", X, LABELS, test=10, validation=5).fingerprint
    assert not np.array_equal(made.test, from_arrays("other", X, LABELS, test=10, validation=5).test)
    assert len(from_arrays("some", X, LABELS, test=10, validation=5, train=7).train) == 7


def test_a_published_test_set_stays_one():
    made = from_arrays("some", X.reshape(60, 20), LABELS, test=np.arange(50, 60), validation=5, image=(5, 4))
    assert made.test.tolist() == list(range(50, 60))
    assert max(made.train.max(), made.validation.max()) < 50
    assert made.image == (5, 4)
    assert from_arrays("some", X.reshape(60, 20), LABELS, test=5, validation=5).image == (1, 20)
    assert from_arrays("some", X[..., None], LABELS, test=5, validation=5).image == (4, 5, 1)


@pytest.mark.parametrize("name", [None, 5, ["a"]])
def test_a_name_is_a_text(name):
    with pytest.raises(DataError, match="text"):
        from_arrays(name, X, LABELS, test=10, validation=5)


def test_members_of_a_data_set_are_there():
    made = from_arrays("some", X, LABELS, test=10, validation=5)
    hidden = {name: np.ma.array(getattr(made, name)) for name in ("x", "labels", "train", "test")}
    for name, array in hidden.items():
        array[0] = np.ma.masked
        with pytest.raises(DataError, match="not usable"):
            replace(made, **{name: array})
    with pytest.raises(DataError, match=str(2**31 - 1)):
        replace(made, labels=made.labels + 2**31)


NAN = np.where(np.arange(60)[:, None, None] == 7, np.nan, X)


@pytest.mark.parametrize(
    "changed",
    [
        {"x": NAN},
        {"x": X * 1e300},
        {"x": X.astype(str)},
        {"x": X > 0.5},
        {"x": X + 1j},
        {"x": X[:59]},
        {"x": X[:0], "labels": LABELS[:0]},
        {"x": [[1, 2], [3]]},
        {"x": X[:, 0, 0]},
        {"x": np.ma.array(X, mask=X.min() < X)},
        {"labels": np.ma.array(LABELS, mask=LABELS == 0)},
        {"labels": LABELS + 2**31},
        {"labels": LABELS.astype(float)},
        {"labels": LABELS - 1},
        {"labels": LABELS[:, None]},
        {"image": (4, 6)},
        {"image": 5},
        {"image": (4.0, 5.0)},
        {"test": 0},
        {"test": 61},
        {"test": True},
        {"test": 2.0},
        {"test": [3, 3]},
        {"test": [60]},
        {"test": [-1]},
        {"test": []},
        {"test": np.ma.array([1, 2], mask=[False, True])},
        {"validation": 0},
        {"validation": 2.5},
        {"train": 0},
        {"train": "7"},
    ],
    ids=repr,
)
def test_arrays_that_are_not_usable_are_refused(changed):
    given = {"x": X, "labels": LABELS, "test": 10, "validation": 5} | changed
    with pytest.raises(DataError):
        from_arrays("some", given.pop("x"), given.pop("labels"), **given)


@pytest.mark.parametrize("changed", [{"test": 60}, {"validation": 50}, {"train": 46}, {"test": np.arange(58)}])
def test_more_samples_than_there_are_are_refused(changed):
    with pytest.raises(ConfigError, match="split of some"):
        from_arrays("some", X, LABELS, **({"test": 10, "validation": 5} | changed))
