"""Answers are kept as they are, or as near as their form says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from eventsim.errors import CacheError, ConfigError
from eventsim.training import Form, Taught, Views
from eventsim.training.augment import Noise, Shift
from tests.cache_cases import same
from tests.strategies import seeds


def random_logits(seed, samples, classes, width):
    return (np.random.default_rng(seed % 2**32).normal(size=(samples, classes)) * width).astype(np.float32)


@given(seeds(), st.integers(1, 5), st.integers(1, 20), st.integers(1, 9))
def test_what_is_said_comes_back(seed, samples, classes, ticks):
    rng = np.random.default_rng(seed % 2**32)
    spikes = rng.integers(0, 2, (samples, ticks, classes)).astype(np.uint8)
    maps = {
        "4/main/2": rng.normal(size=(samples, 3, 2)).astype(np.float16).astype(np.float32),
        "%": np.ones((samples, 1)),
    }
    taught = Taught(random_logits(seed, samples, classes, 3), maps, spikes)
    rows = Form().pack(taught)
    assert rows["spikes"].shape == (samples, ticks, -(-classes // 8))
    assert {rows[name].dtype for name in rows if name.startswith("features/")} == {np.dtype(np.float16)}
    same(Form().unpack(rows, classes), taught)


@given(seeds(), st.integers(2, 40), st.data(), st.floats(1, 20), st.floats(0.01, 20))
def test_the_largest_logits_and_the_sum_of_the_rest_are_exact_and_the_rest_is_bounded(seed, classes, data, tau, width):
    k = data.draw(st.integers(1, classes - 1))
    z = random_logits(seed, 6, classes, width)
    form = Form(top=k)
    found = form.unpack(form.pack(Taught(z)), classes).logits
    largest = np.argsort(-z, axis=1, kind="stable")[:, :k]
    assert np.array_equal(np.take_along_axis(found, largest, 1), np.take_along_axis(z, largest, 1))
    p, q = (softmax(logits.astype(np.float64), axis=1) for logits in (z, found))
    assert np.take_along_axis(q, largest, 1) == pytest.approx(np.take_along_axis(p, largest, 1), rel=1e-5, abs=1e-12)
    p, q = (softmax(logits.astype(np.float64) / tau, axis=1) for logits in (z, found))
    others = np.ones_like(p)
    np.put_along_axis(others, largest, 0, 1)
    assert (0.5 * np.abs(p - q).sum(axis=1) <= (q * others).sum(axis=1) + 1e-6).all()
    assert ((q - p) * (1 - others) <= 1e-6).all()


def test_equal_logits_and_impossible_classes():
    z = np.zeros((2, 5), np.float32)
    assert Form(top=2).unpack(Form(top=2).pack(Taught(z)), 5).logits == pytest.approx(z, abs=1e-6)
    z[:, 2:] = -1e4  # a rest whose exponential is zero in any precision
    found = Form(top=2).unpack(Form(top=2).pack(Taught(z)), 5).logits
    assert found == pytest.approx(z)


def test_forms_that_are_none_are_refused():
    for wrong in ({"dtype": "int8"}, {"top": 0}, {"top": 1.5}, {"top": True}):
        with pytest.raises(ConfigError):
            Form(**wrong)
    for top in (10, 11):
        with pytest.raises(ConfigError, match=r"(?s)not so many logits.*of 10"):
            Form(top=top).check(10)


def test_feature_maps_that_do_not_fit_are_refused():
    taught = Taught(np.zeros((1, 2), np.float32), {"3": np.full((1, 4), 1e5)})
    with pytest.raises(CacheError, match=r"(?s)feature map 3.*too large.*100000"):
        Form().pack(taught)


# Views


def test_views_are_epochs_of_an_augmentation():
    x, ids = np.random.default_rng(0).random((5, 64)).astype(np.float32), np.array([4, 0, 9, 9, 2])
    views = Views(3, [Shift(2), Noise(0.1)], seed=4)
    for view in range(3):
        step = Noise(0.1)(Shift(2)(x.reshape(5, 8, 8, 1), ids, view + 1, 4), ids, view + 1, 4)
        assert np.array_equal(views(x, ids, view, (8, 8)), step.reshape(5, 64))
    seen = views(x, ids, 1, (8, 8))
    assert np.array_equal(views(x[::-1], ids[::-1], 1, (8, 8)), seen[::-1])
    assert not np.array_equal(seen[2], seen[3] - x[3] + x[2])
    assert [views.of(epoch) for epoch in (1, 2, 3, 4, 8)] == [0, 1, 2, 0, 1]


def test_the_only_view_without_augmentation_is_the_sample():
    x = np.ones((2, 64), np.float32)
    assert Views()(x, np.arange(2), 0, (8, 8)) is x
    assert (Views().draw(0), Views(2).draw(0), Views(2).draw(1), Views(1, [Shift(1)]).draw(0)) == (0, 1, 2, 1)


def test_views_that_are_none_are_refused():
    for wrong in ({"count": 0}, {"count": 1.5}, {"augment": [3]}, {"augment": [Shift(1), Shift(2)]}, {"seed": -1}):
        with pytest.raises(ValueError, match="repair"):
            Views(**wrong)
