"""Gradients of whole models against finite differences and the rules they follow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.training import Objective, gradient, mtj_mlp, relu_mlp
from eventsim.training.layers import Crossbar
from eventsim.training.loss import cross_entropy
from tests.oracle import difference
from tests.strategies import seeds


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
