"""Losses and gradients against naive oracles and finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training import Objective, gradient, mtj_mlp, relu_mlp
from eventsim.training.layers import Crossbar
from eventsim.training.loss import CLASSIFICATION, cross_entropy, distillation, squared_error
from tests.strategies import seeds


def batch(seed, n=5, classes=4, scale=3.0):
    rng = np.random.default_rng(seed % 2**32)
    return rng.normal(0, scale, (n, classes)), rng.integers(0, classes, n), rng.normal(0, scale, (n, classes))


def softmax(row):
    e = [math.exp(v - max(row)) for v in row]
    return [v / sum(e) for v in e]


def difference(value, x, e=1e-6):
    grad = np.empty_like(x)
    for i in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[i] += sign * e
            ends.append(value(moved))
        grad[i] = (ends[0] - ends[1]) / (2 * e)
    return grad


@given(seeds())
def test_cross_entropy_is_the_naive_one(seed):
    logits, labels, _ = batch(seed)
    value, grad = cross_entropy(logits, labels)
    assert value == pytest.approx(np.mean([-math.log(softmax(row)[y]) for row, y in zip(logits, labels, strict=True)]))
    assert grad == pytest.approx(difference(lambda z: cross_entropy(z, labels)[0], logits), abs=1e-8)


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


@given(seeds(), st.sampled_from(CLASSIFICATION), st.floats(0, 2), st.floats(0.5, 4), st.floats(0.5, 10))
def test_objectives_add_up(seed, classification, alpha, temperature, gain):
    outputs, labels, teacher = batch(seed, scale=1.0)
    objective = Objective(classification, alpha, temperature, gain)
    value, grad = objective(outputs, labels, teacher)
    cls = (
        squared_error(outputs, labels)[0]
        if classification == "squared_error"
        else cross_entropy(gain * outputs, labels)[0]
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
    ],
)
def test_unusable_objectives_are_refused(settings):
    with pytest.raises(ConfigError):
        Objective(**settings)


def test_an_objective_without_its_teacher_is_refused():
    logits, labels, _ = batch(0)
    with pytest.raises(ConfigError, match="wants a teacher"):
        Objective(alpha=1.0)(logits, labels, None)


@given(seeds())
def test_teacher_gradient_is_the_finite_difference(seed):
    model = relu_mlp((3, 5, 4))
    rng = np.random.default_rng(seed % 2**32)
    params = {name: rng.normal(size=value.shape) for name, value in model.initial(0).items()}
    x, labels, teacher = rng.normal(size=(6, 1, 3)), rng.integers(0, 4, 6), rng.normal(size=(6, 4))
    objective = Objective(alpha=0.5, temperature=2.0)
    found = gradient(model, params, x, labels, objective, teacher)
    for name, value in params.items():

        def loss(moved, name=name):
            return gradient(model, {**params, name: moved}, x, labels, objective, teacher).value

        assert found.params[name] == pytest.approx(difference(loss, value), rel=1e-4, abs=1e-6)


@given(seeds(), st.integers(1, 6))
def test_student_gradient_is_the_rate_chain(seed, ticks):
    """Weight by weight: the gradient by the logits times the weights, kappa and rates, as the rule of RateBP says."""
    rng = np.random.default_rng(seed % 2**32)
    model = mtj_mlp((6, 5, 3), levels=16)
    params = model.initial(seed)
    x = (rng.random((4, ticks, 6)) < 0.5).astype(np.float32)
    labels = rng.integers(0, 3, 4)
    found = gradient(model, params, x, labels, Objective())
    logits, kept = model.forward(params, x)
    _, delta = cross_entropy(logits, labels)
    hidden = model.spikes(params, x)[0]
    kappa = kept[1]
    levels, scale = model.layers[2].deployed({"weight": params["2/weight"]})
    for j in range(5):
        for c in range(3):
            wanted = sum(delta[b, c] * hidden[b, :, j].mean() for b in range(4))
            assert found.params["2/weight"][j, c] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        by_rate = [sum(delta[b, c] * levels[j, c] * scale[c] for c in range(3)) for b in range(4)]
        for i in range(6):
            wanted = sum(by_rate[b] * kappa[b, j] * x[b, :, i].mean() for b in range(4))
            assert found.params["0/weight"][i, j] == pytest.approx(wanted, rel=1e-3, abs=1e-6)
        assert found.params["0/bias"][j] == pytest.approx(
            sum(by_rate[b] * kappa[b, j] for b in range(4)), rel=1e-3, abs=1e-6
        )


def test_crossbar_computes_with_the_deployed_weights():
    layer = Crossbar(4, 3, 8)
    params = layer.initial(1, "a")
    x = np.ones((1, 1, 4), np.float32)
    levels, scale = layer.deployed(params)
    drive, _ = layer.forward(params, x)
    assert drive[0, 0] == pytest.approx(levels.sum(axis=0) * scale)
    assert drive[0, 0] != pytest.approx(params["weight"].sum(axis=0), rel=1e-6)
