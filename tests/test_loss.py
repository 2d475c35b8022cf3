"""Losses against naive oracles and finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.training.label_loss import cross_entropy, squared_error
from tests.oracle import difference
from tests.strategies import seeds


def batch(seed, n=5, classes=4, scale=3.0):
    rng = np.random.default_rng(seed % 2**32)
    return rng.normal(0, scale, (n, classes)), rng.integers(0, classes, n), rng.normal(0, scale, (n, classes))


def softmax(row):
    e = [math.exp(v - max(row)) for v in row]
    return [v / sum(e) for v in e]


@given(seeds())
def test_cross_entropy_is_the_naive_one(seed):
    logits, labels, _ = batch(seed)
    value, grad = cross_entropy(logits, labels)
    assert value == pytest.approx(np.mean([-math.log(softmax(row)[y]) for row, y in zip(logits, labels, strict=True)]))
    assert grad == pytest.approx(difference(lambda z: cross_entropy(z, labels)[0], logits), abs=1e-8)


@given(seeds(), st.floats(0, 0.99))
def test_smoothed_labels_share_some_with_all_classes(seed, smoothing):
    logits, labels, _ = batch(seed)
    naive = 0.0
    for row, y in zip(logits, labels, strict=True):
        for c, p in enumerate(softmax(row)):
            naive -= ((1 - smoothing) * (c == y) + smoothing / len(row)) * math.log(p) / len(logits)
    value, grad = cross_entropy(logits, labels, smoothing)
    assert value == pytest.approx(naive)
    assert grad == pytest.approx(difference(lambda z: cross_entropy(z, labels, smoothing)[0], logits), abs=1e-8)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_smoothing_keeps_the_type_and_none_changes_no_bit(kind):
    logits, labels, _ = batch(3)
    logits = logits.astype(kind)
    assert cross_entropy(logits, labels, 0.1)[1].dtype == kind
    assert cross_entropy(logits, labels, 0.0)[0] == cross_entropy(logits, labels)[0]
    best = logits - 1e4
    best[:, 0] = -np.inf  # costs nothing while it is nobody's label
    assert np.isfinite(cross_entropy(best, np.full_like(labels, 1))[0])


@given(seeds())
def test_squared_error_is_the_naive_one(seed):
    outputs, labels, _ = batch(seed)
    naive = np.mean([(o - (c == y)) ** 2 for row, y in zip(outputs, labels, strict=True) for c, o in enumerate(row)])
    value, grad = squared_error(outputs, labels)
    assert value == pytest.approx(naive)
    assert grad == pytest.approx(difference(lambda z: squared_error(z, labels)[0], outputs), rel=1e-5, abs=1e-8)
