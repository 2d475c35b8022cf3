"""Optimisers against their published rules, number by number, and against torch where it is installed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training.optim import SGD, Adam, AdamW, State, average, clip
from tests.strategies import seeds

SHAPES = {"0/weight": (3, 4), "0/bias": (4,), "1/filter": (2, 3, 2, 2), "scale": (), "none": (0, 3)}
OPTIMISERS = [
    SGD(),
    SGD(momentum=0.0),
    SGD(decay=0.1),
    SGD(0.8, nesterov=True, decay=0.3),
    Adam(),
    Adam(0.5, 0.7, 1e-3),
    AdamW(),
    AdamW(decay=0.5),
]
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def draw(seed, kind=np.float64, shapes=SHAPES):
    rng = np.random.default_rng(seed)
    return {name: np.asarray(rng.normal(size=shape), kind) for name, shape in shapes.items()}


def naive_sgd(rule, w, gradients, rate, decays):
    v = 0.0
    for g in gradients:
        full = g + rule.decay * w * decays
        v = rule.momentum * v + full
        w -= rate * (full + rule.momentum * v if rule.nesterov else v)
    return w


def naive_adam(rule, w, gradients, rate, decays):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = rule.beta1 * m + (1 - rule.beta1) * g
        v = rule.beta2 * v + (1 - rule.beta2) * g * g
        best = (m / (1 - rule.beta1**t)) / (math.sqrt(v / (1 - rule.beta2**t)) + rule.epsilon)
        w -= rate * (best + rule.decay * w * decays)
    return w


def trained(optimiser, params, gradients, rate):
    state = optimiser.start(params)
    for grads in gradients:
        params, state = optimiser.step(params, grads, state, rate)
    return params, state


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_optimisers_are_their_published_rules(optimiser, kind):
    """Weights decay; what has one axis at most, like a bias, is spared."""
    naive = naive_sgd if isinstance(optimiser, SGD) else naive_adam
    params, gradients = draw(0, kind), [draw(t, kind) for t in range(1, 20)]
    found, state = trained(optimiser, params, gradients, 0.01)
    assert state.steps == 19
    for name, start in params.items():
        assert found[name].dtype == kind
        assert found[name].shape == start.shape
        for i in np.ndindex(start.shape):
            each = [float(grads[name][i]) for grads in gradients]
            wanted = naive(optimiser, float(start[i]), each, 0.01, start.ndim > 1)
            assert found[name][i] == pytest.approx(wanted, rel=TOLERANCE[kind], abs=TOLERANCE[kind])


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_optimisers_are_those_of_torch(optimiser, kind):
    torch = pytest.importorskip("torch")
    params, gradients = draw(0, kind), [draw(t, kind) for t in range(1, 20)]
    for grads in gradients:
        grads["0/weight"][0] *= 1e-7  # of the size of epsilon
    found, _ = trained(optimiser, params, gradients, 0.01)
    theirs = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in params.items()}
    groups = [
        {"params": [p for p in theirs.values() if p.ndim > 1], "weight_decay": optimiser.decay},
        {"params": [p for p in theirs.values() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if isinstance(optimiser, SGD):
        other = torch.optim.SGD(groups, lr=0.01, momentum=optimiser.momentum, nesterov=optimiser.nesterov)
    else:
        other = torch.optim.AdamW(groups, lr=0.01, betas=(optimiser.beta1, optimiser.beta2), eps=optimiser.epsilon)
    for grads in gradients:
        for name, p in theirs.items():
            p.grad = torch.from_numpy(grads[name].copy())
        other.step()
    for name, p in theirs.items():
        assert found[name] == pytest.approx(p.detach().numpy(), rel=TOLERANCE[kind], abs=TOLERANCE[kind])


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_nothing_that_is_given_changes(optimiser):
    params, grads = draw(0), draw(1)
    _, state = optimiser.step(params, grads, optimiser.start(params), 0.1)
    arrays = [*params.values(), *grads.values(), *(a for slot in state.slots.values() for a in slot.values())]
    before = [array.copy() for array in arrays]
    new, later = optimiser.step(params, grads, state, 0.1)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    made = [*new.values(), *(a for slot in later.slots.values() for a in slot.values())]
    assert not any(np.shares_memory(a, b) for a in made for b in arrays)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_what_has_no_gradient_is_passed_on(optimiser):
    params, grads = draw(0), draw(1)
    params["1/mean"] = np.ones(5)
    state = optimiser.start(params, grads)
    new, state = optimiser.step(params, grads, state, 0.1)
    assert new["1/mean"] is params["1/mean"]
    assert list(new) == list(params)
    assert all(slot.keys() == grads.keys() for slot in state.slots.values())


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
def test_a_state_is_nothing_but_arrays(optimiser):
    params, gradients = draw(0, np.float32), [draw(t, np.float32) for t in range(1, 9)]
    through, _ = trained(optimiser, params, gradients, 0.1)
    params, state = trained(optimiser, params, gradients[:4], 0.1)
    stored = {f"{slot}/{name}": a.tobytes() for slot, part in state.slots.items() for name, a in part.items()}
    read = {
        slot: {n: np.frombuffer(stored[f"{slot}/{n}"], np.float32).reshape(SHAPES[n]) for n in SHAPES}
        for slot in optimiser.slots
    }
    state = State(state.steps, read)
    for grads in gradients[4:]:
        params, state = optimiser.step(params, grads, state, 0.1)
    assert all(np.array_equal(params[name], through[name]) for name in SHAPES)


def test_arrays_of_any_order_are_taken():
    params, grads = {"w": np.arange(12.0).reshape(3, 4)}, {"w": np.ones((3, 4)) * np.arange(4)}
    adam = Adam()
    straight, _ = adam.step(params, grads, adam.start(params), 0.1)
    turned = {"w": np.asfortranarray(params["w"])}
    found, _ = adam.step(turned, {"w": grads["w"].T.copy().T}, adam.start(turned), 0.1)
    assert np.array_equal(found["w"], straight["w"])


@pytest.mark.parametrize("optimiser", [SGD(), Adam()], ids=str)
@pytest.mark.parametrize(
    "break_it",
    [
        lambda p, g, s: (p, {**g, "other": g["0/bias"]}, s),
        lambda p, g, s: (p, {"0/bias": g["0/bias"]}, s),
        lambda p, g, s: (p, {**g, "0/bias": g["0/bias"][:2]}, s),
        lambda p, g, s: ({**p, "0/bias": p["0/bias"][:2]}, g, s),
        lambda p, g, s: ({"0/bias": p["0/bias"]}, g, s),
        lambda p, g, s: (p, g, State(3, {"speed": p})),
        lambda p, g, s: (p, g, State(3, {slot: {**p, "0/weight": p["0/bias"]} for slot in s.slots})),
    ],
)
def test_what_does_not_fit_together_is_refused(optimiser, break_it):
    params = draw(0)
    with pytest.raises(ConfigError, match=r"does not fit[\s\S]*repair"):
        optimiser.step(*break_it(params, draw(1), optimiser.start(params)), 0.1)


@pytest.mark.parametrize("rate", [math.nan, math.inf, -0.1, None, "1e-3"])
def test_rates_that_are_none_are_refused(rate):
    params = draw(0)
    with pytest.raises(ConfigError, match="learning rate"):
        SGD().step(params, draw(1), SGD().start(params), rate)


def test_names_without_a_parameter_are_refused():
    with pytest.raises(ConfigError, match="0/gain"):
        Adam().start(draw(0), ["0/weight", "0/gain"])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SGD, {"momentum": 1}),
        (SGD, {"momentum": -0.1}),
        (SGD, {"momentum": math.nan}),
        (SGD, {"nesterov": "no"}),
        (SGD, {"momentum": 0.0, "nesterov": True}),
        (SGD, {"decay": -1e-4}),
        (SGD, {"decay": "much"}),
        (Adam, {"beta1": 1}),
        (Adam, {"beta2": 1.5}),
        (Adam, {"epsilon": 0}),
        (Adam, {"decay": math.inf}),
        (AdamW, {"decay": -0.1}),
    ],
)
def test_unusable_optimisers_are_refused(kind, settings):
    with pytest.raises(ConfigError, match="repair"):
        kind(**settings)


@given(seeds(), st.floats(1e-3, 1e3), st.sampled_from([np.float32, np.float64]))
def test_clipping_is_the_naive_one(seed, norm, kind):
    grads = draw(seed % 2**32, kind)
    whole = math.sqrt(math.fsum(float(x) ** 2 for grad in grads.values() for x in grad.flat))
    clipped, before = clip(grads, norm)
    assert before == pytest.approx(whole)
    for name, grad in grads.items():
        assert clipped[name].dtype == kind
        assert clipped[name] == pytest.approx(grad * min(1, norm / whole), rel=1e-6)
    assert clip(dict(reversed(grads.items())), norm)[1] == before


def test_clipping_leaves_what_is_small_or_lost():
    small = {"a": np.full(4, 0.5)}
    assert clip(small, 1.0) == (small, 1.0)
    lost, before = clip({"a": np.array([1.0, math.nan])}, 1.0)
    assert math.isnan(before)
    assert lost["a"][0] == 1
    assert clip({"a": np.full(2, 1e30, np.float32)}, 1.0)[1] == pytest.approx(math.sqrt(2) * 1e30, rel=1e-6)


@pytest.mark.parametrize("norm", [0, -1.0, math.nan, None])
def test_norms_that_are_not_positive_are_refused(norm):
    with pytest.raises(ConfigError, match="repair"):
        clip(draw(0), norm)


@given(seeds(), st.floats(0, 1), st.integers(0, 10_000), st.sampled_from([np.float32, np.float64]))
def test_the_average_is_the_naive_one(seed, decay, steps, kind):
    mean, params = draw(seed % 2**32, kind), draw(seed % 2**32 + 1, kind)
    before = {name: value.copy() for name, value in mean.items()}
    kept = min(decay, (1 + steps) / (10 + steps))
    found = average(mean, params, decay, steps)
    for name, value in params.items():
        assert found[name].dtype == kind
        assert found[name].shape == value.shape
        assert found[name] == pytest.approx(kept * mean[name] + (1 - kept) * value, rel=1e-5, abs=1e-6)
        assert np.array_equal(mean[name], before[name])
    assert all(np.array_equal(average(params, params, decay, steps)[name], params[name]) for name in params)


@pytest.mark.parametrize(("steps", "wanted"), [(0, 9 / 10), (8, 1 / 2), (98, 9 / 108), (10**6, 0.001)])
def test_the_average_forgets_its_start_soon(steps, wanted):
    """From 0 towards 1, with a decay of 0.999 in the end."""
    assert average({"a": np.zeros(1)}, {"a": np.ones(1)}, 0.999, steps)["a"][0] == pytest.approx(wanted)


def test_averages_of_something_else_are_refused():
    with pytest.raises(ConfigError, match="does not fit"):
        average({"a": np.zeros(3)}, {"b": np.zeros(3)}, 0.9, 0)
    with pytest.raises(ConfigError, match="does not fit"):
        average({"a": np.zeros(3)}, {"a": np.zeros(4)}, 0.9, 0)
    with pytest.raises(ConfigError, match="decay"):
        average({"a": np.zeros(3)}, {"a": np.zeros(3)}, 1.1, 0)
