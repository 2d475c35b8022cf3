"""Gradients of the networks that are built by name, and of single against double precision."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsim.training import CrossEntropy, SoftTargets, Taught, gradient, mtj_mlp, relu_mlp
from eventsim.training.label_loss import cross_entropy
from eventsim.training.layer import Mode
from tests.nets import NETS, batch, differences, moving
from tests.strategies import seeds


@given(seeds())
def test_teacher_gradient_is_the_finite_difference(seed):
    model = relu_mlp((3, 5, 4))
    rng = np.random.default_rng(seed % 2**32)
    params = {name: rng.normal(size=value.shape) for name, value in model.initial(0).items()}
    x, labels, teacher = rng.normal(size=(6, 1, 3)), rng.integers(0, 4, 6), rng.normal(size=(6, 4))
    objective = CrossEntropy() + 0.5 * SoftTargets(2.0)
    found = gradient(model, params, x, labels, objective, Taught(teacher))
    wanted = differences(lambda moved: gradient(model, moved, x, labels, objective, Taught(teacher)).value, params, 0)
    assume(all(abs(near - wide) < 1e-5 * (abs(near) + 1e-2) for _, near, wide in wanted.values()))
    for name, (way, slope, _) in wanted.items():
        assert (found.params[name] * way).sum() == pytest.approx(slope, rel=1e-4, abs=1e-7)


@given(seeds(), st.integers(1, 6))
def test_student_gradient_is_the_rate_chain(seed, ticks):
    """Weight by weight: the gradient by the logits times the weights, kappa and rates, as the rule of RateBP says."""
    rng = np.random.default_rng(seed % 2**32)
    model = mtj_mlp((6, 5, 3), levels=16)
    params = model.initial(seed)
    x, labels = (rng.random((4, ticks, 6)) < 0.5).astype(np.uint8), rng.integers(0, 3, 4)
    found = gradient(model, params, x, labels, CrossEntropy())
    forward = model.forward(params, model.signal(x), Mode(ticks, "ratebp", watch=True))
    (hidden,), kappa = forward.spikes.values(), forward.kept.chain[1].kappa[:, 0]
    _, delta = cross_entropy(forward.logits, labels)
    levels, scale = model.layers[2].deployed({"weight": params["2/weight"]})
    by_rate = delta @ (levels * scale).T
    assert found.rates == {"1": pytest.approx(hidden.mean())}
    wanted = {
        "2/weight": hidden.mean(axis=1).T @ delta,
        "2/bias": delta.sum(axis=0),
        "0/weight": x.mean(axis=1).T @ (by_rate * kappa),
        "0/bias": (by_rate * kappa).sum(axis=0),
    }
    assert found.params.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found.params[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name


def test_a_crossbar_computes_with_the_deployed_weights():
    model = mtj_mlp((4, 3), levels=8)
    params = model.initial(1)
    levels, scale = model.layers[0].deployed({"weight": params["0/weight"]})
    assert np.abs(levels).max() == 7
    drive = model.logits(params, np.ones((1, 1, 4), np.uint8))[0]
    assert drive == pytest.approx(levels.sum(axis=0) * scale)
    assert drive != pytest.approx(params["0/weight"].sum(axis=0), rel=1e-6)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", ["bptt", "ratebp"])
def test_single_precision_follows_double(name, method):
    """Where all neurons emit the same spikes, as in most batches; of enough samples that statistics are firm."""
    model, compared = NETS[name], 0
    for seed in range(6):
        params, (x, labels) = moving(model, seed), batch(model, seed, 4, samples=16)
        single = {key: value.astype(np.float32) for key, value in params.items()}
        double, x = {key: value.astype(np.float64) for key, value in single.items()}, x.astype(np.float32)
        spikes = [
            model.forward(p, model.signal(v), Mode(4, method, watch=True)).spikes.values()
            for p, v in ((single, x), (double, x.astype(np.float64)))
        ]
        if not all(map(np.array_equal, *spikes)):
            continue
        found = gradient(model, single, x, labels, CrossEntropy(), method=method)
        wanted = gradient(model, double, x.astype(np.float64), labels, CrossEntropy(), method=method)
        size = max(np.abs(value).max() for value in wanted.params.values())
        for key, value in wanted.params.items():
            assert found.params[key].dtype == found.logits.dtype == np.float32
            assert found.params[key] == pytest.approx(value, rel=1e-3, abs=1e-4 * size), key
        compared += 1
    assert compared > 2
