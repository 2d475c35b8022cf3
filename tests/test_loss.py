"""Losses against naive oracles and finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training import Objective
from eventsim.training.loss import CLASSIFICATION, cross_entropy, distillation, squared_error
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


@given(seeds(), st.floats(0.5, 8))
def test_distillation_is_the_naive_one(seed, tau):
    logits, _, teacher = batch(seed)
    naive = 0.0
    for s, t in zip(logits, teacher, strict=True):
        p, q = softmax(t / tau), softmax(s / tau)
        naive += tau**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / len(logits)
    value, grad = distillation(logits, teacher, tau)
    assert value == pytest.approx(naive, rel=1e-6)
    assert grad == pytest.approx(difference(lambda z: distillation(z, teacher, tau)[0], logits), rel=1e-5, abs=1e-7)


@given(seeds())
def test_a_perfect_match_costs_nothing(seed):
    logits, _, _ = batch(seed)
    value, grad = distillation(logits, logits + 7, 3.0)
    assert value == pytest.approx(0, abs=1e-6)
    assert grad == pytest.approx(np.zeros_like(grad), abs=1e-6)


@given(seeds())
def test_squared_error_is_the_naive_one(seed):
    outputs, labels, _ = batch(seed)
    naive = np.mean([(o - (c == y)) ** 2 for row, y in zip(outputs, labels, strict=True) for c, o in enumerate(row)])
    value, grad = squared_error(outputs, labels)
    assert value == pytest.approx(naive)
    assert grad == pytest.approx(difference(lambda z: squared_error(z, labels)[0], outputs), rel=1e-5, abs=1e-8)


@given(
    seeds(), st.sampled_from(CLASSIFICATION), st.floats(0, 2), st.floats(0.5, 4), st.floats(0.5, 10), st.floats(0, 0.9)
)
def test_objectives_add_up(seed, classification, alpha, temperature, gain, smoothing):
    outputs, labels, teacher = batch(seed, scale=1.0)
    smoothing *= classification == "cross_entropy"
    objective = Objective(classification, alpha, temperature, gain, smoothing)
    value, grad = objective(outputs, labels, teacher)
    cls = (
        squared_error(outputs, labels)[0]
        if classification == "squared_error"
        else cross_entropy(gain * outputs, labels, smoothing)[0]
    )
    assert value == pytest.approx(cls + alpha * distillation(gain * outputs, teacher, temperature)[0])
    assert grad == pytest.approx(difference(lambda z: objective(z, labels, teacher)[0], outputs), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"classification": "hinge"},
        {"alpha": -1},
        {"alpha": math.inf},
        {"temperature": 0},
        {"temperature": -2},
        {"temperature": math.nan},
        {"gain": 0},
        {"alpha": "1"},
        {"alpha": True},
        {"temperature": None},
        {"gain": 10**400},
        {"smoothing": [0.1]},
        {"classification": ["cross_entropy"]},
        {"smoothing": 1},
        {"smoothing": -0.1},
        {"smoothing": math.nan},
        {"classification": "squared_error", "smoothing": 0.1},
    ],
)
def test_unusable_objectives_are_refused(settings):
    with pytest.raises(ConfigError):
        Objective(**settings)


def test_an_objective_without_its_teacher_is_refused():
    logits, labels, _ = batch(0)
    with pytest.raises(ConfigError, match="wants a teacher"):
        Objective(alpha=1.0)(logits, labels, None)
