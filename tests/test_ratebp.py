"""RateBP: where it equals backpropagation through time, where it does not, and what it costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import IF, LIF, MTJ
from eventsim.training import CrossEntropy, gradient
from eventsim.training.layer import Mode
from eventsim.training.linear import Conv, Dense
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, MaxPool
from eventsim.training.shaping import Dropout, Flatten
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking
from tests import layer_oracle
from tests.nets import NETS, batch, moving, net
from tests.strategies import neurons, seeds

OBJECTIVE = CrossEntropy()


def both(model, params, x, labels, ticks, **settings):
    return (
        gradient(model, params, x, labels, OBJECTIVE, ticks=ticks, method=method, **settings)
        for method in ("ratebp", "bptt")
    )


def flat(found):
    return np.concatenate([value.ravel() for value in found.params.values()])


def agree(found, wanted, rel=1e-10):
    assert found.logits == pytest.approx(wanted.logits, rel=1e-10, abs=1e-10)
    size = np.abs(flat(wanted)).max()
    assert size > 0
    for name, value in wanted.params.items():
        assert found.params[name] == pytest.approx(value, rel=rel, abs=rel * size), name


@given(neurons(), st.booleans(), st.integers(1, 9), st.booleans(), seeds())
def test_one_spiking_layer_on_static_input_is_exact(neuron, detach, ticks, repeated, seed):
    """Any neuron, reset and readout: what comes in and what comes back is the same in all ticks."""
    model = net((5,), Dense(5, 8), Spiking(neuron, detach_reset=detach), Dense(8, 4), Dense(4, 3))
    params, (x, labels) = moving(model, seed % 2**32), batch(model, seed % 2**32, 1)
    x = np.repeat(x, ticks, axis=1) if repeated else x
    found, wanted = both(model, params, x, labels, ticks)
    if np.abs(flat(wanted)).max() > 0:
        agree(found, wanted)


ENCODERS = {
    "convolution": [Conv(2, 4), Spiking(MTJ()), AvgPool(2)],
    "batch norm": [Conv(2, 4), BatchNorm(4), Spiking(LIF())],
    "batch norm by ticks": [Conv(2, 4), BatchNorm(4, "tick"), Spiking(LIF(reset_mode="soft"))],
    "pooled sums": [Conv(2, 4, padding=1), BatchNorm(4), AvgPool(2), Spiking(IF()), Conv(4, 3, (2, 2))],
    "largest sums": [Conv(2, 4, padding=1), MaxPool(2), Spiking(IF())],
    "dropout": [Dropout(0.2), Conv(2, 4), Spiking(LIF()), Dropout(0.5)],
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_of_static_images_are_exact(name):
    model = net((8, 7, 2), *ENCODERS[name])
    params, (x, labels) = moving(model, 0), batch(model, 0, 1)
    agree(*both(model, params, x, labels, 5, seed=2))


@pytest.mark.parametrize("neuron", [MTJ(), LIF(), LIF(tau=1.0, reset_mode="soft")], ids=["MTJ", "LIF", "soft"])
def test_deep_networks_differ_but_little(neuron):
    """The mean of products is not the product of means; the direction is nearly the same. Three layers of weights."""
    model = net((20,), Dense(20, 60), Spiking(neuron), Dense(60, 60), Spiking(neuron))
    params, (x, labels) = moving(model, 0), batch(model, 0, 1, samples=32)
    rate, through = (flat(found) for found in both(model, params, x, labels, 8))
    cosine = rate @ through / np.linalg.norm(rate) / np.linalg.norm(through)
    assert 0.99 < cosine < 1 - 1e-6
    assert np.linalg.norm(rate) == pytest.approx(np.linalg.norm(through), rel=0.1)


@pytest.mark.parametrize("ticks", [1, 4])
def test_the_authors_gradient_is_divided_by_the_ticks(ticks):
    model = NETS["convolution"]
    params, (x, labels) = moving(model, 0), batch(model, 0, ticks)
    exact, author = (gradient(model, params, x, labels, OBJECTIVE, scale=scale) for scale in ("exact", "author"))
    assert author.value == exact.value
    for name, value in exact.params.items():
        assert author.params[name] == pytest.approx(value / ticks, rel=1e-12, abs=1e-15)


def test_the_scale_is_left_alone_for_backpropagation_through_time():
    model = NETS["dense"]
    params, (x, labels) = moving(model, 0), batch(model, 0, 3)
    exact, author = (
        gradient(model, params, x, labels, OBJECTIVE, method="bptt", scale=scale) for scale in ("exact", "author")
    )
    assert np.array_equal(flat(author), flat(exact))


@given(st.sampled_from(["batch", "tick", "last"]), st.integers(1, 5), st.sampled_from([6, 130]), seeds())
def test_batch_norm_of_rates_goes_through_mean_and_variance_of_the_rates(statistics, ticks, places, seed):
    """With the statistics of the spiking pass; those of single ticks become their mean and their harmonic mean."""
    rng, layer = np.random.default_rng(seed % 2**32), BatchNorm(3, statistics)
    x = rng.normal(1, 2, (4, ticks, places, 3)) + rng.normal(0, 1, (ticks, 1, 3))
    grad, params = (
        rng.normal(size=(4, 1, places, 3)),
        {name: row.astype(float) for name, row in layer.initial(0, "").items()},
    )
    params["gamma"] = rng.normal(size=3)
    mode = Mode(ticks, "ratebp")
    back = layer.backward(params, layer.forward(params, Signal(x), mode).kept, grad, mode, True)
    parts = [x] if statistics == "batch" else list(np.moveaxis(x, 1, 0))
    found = [layer_oracle.normalise(part, 1, 0, layer.eps)[1:] for part in parts]
    mean = np.mean([mean for mean, _ in found], axis=0)
    inverse = [1 / (variance + layer.eps) for _, variance in found]
    width = np.sqrt(inverse[-1] if statistics == "last" else np.mean(inverse, axis=0))
    wanted = layer_oracle.normalise_back(x.mean(axis=1, keepdims=True), mean, width, params["gamma"], grad)
    for mine, other in zip((back.grad, back.params["gamma"], back.params["beta"]), wanted, strict=True):
        assert mine == pytest.approx(other, rel=1e-9, abs=1e-10)


@given(st.integers(1, 6), seeds())
def test_largest_of_windows_are_routed_by_rate_or_by_time(ticks, seed):
    rng = np.random.default_rng(seed % 2**32)
    x, grad = rng.normal(size=(2, ticks, 4, 4, 3)), rng.normal(size=(2, 1, 2, 2, 3))
    mode, found = Mode(ticks, "ratebp"), {}
    for router in ("rate", "time"):
        layer = MaxPool(2, router=router)
        found[router] = layer.backward({}, layer.forward({}, Signal(x), mode).kept, grad, mode, True).grad[:, 0]
    spread = np.repeat(np.repeat(grad[:, 0], 2, axis=1), 2, axis=2)
    by_rate = layer_oracle.pool(x.mean(axis=1), (2, 2), (2, 2), "largest")[1]
    by_tick = layer_oracle.pool(x.reshape(-1, 4, 4, 3), (2, 2), (2, 2), "largest")[1].reshape(x.shape)
    assert found["rate"] == pytest.approx(spread * by_rate, rel=1e-12)
    assert found["time"] == pytest.approx(spread * by_tick.mean(axis=1), rel=1e-6)


@given(st.sampled_from([(2, None), (3, 1), (2, 3), (3, 2)]), *[st.booleans()] * 2, st.integers(1, 6), seeds())
def test_windows_that_overlap_add_up_what_they_route(window, flat, ties, ticks, seed):
    """In images and series, to the first of equals; of a gradient of one in every place."""
    rng = np.random.default_rng(seed % 2**32)
    x = rng.normal(size=(2, ticks, *(() if flat else (6,)), 7, 3))
    x = np.round(x) if ties else x
    size, stride = window[0], window[1] or window[0]
    shape, step = ((1, size), (1, stride)) if flat else ((size, size), (stride, stride))
    wanted = {
        "rate": layer_oracle.pool(x.mean(axis=1).reshape(2, -1, 7, 3), shape, step, "largest")[1],
        "time": layer_oracle.pool(x.reshape(2 * ticks, -1, 7, 3), shape, step, "largest")[1],
    }
    wanted["time"] = wanted["time"].reshape(2, ticks, -1, 7, 3).mean(axis=1)
    for router, shares in wanted.items():
        layer, mode = MaxPool(*window, router=router), Mode(ticks, "ratebp")
        done = layer.forward({}, Signal(x), mode)
        grad = np.ones_like(done.signal.values[:, :1])
        found = layer.backward({}, done.kept, grad, mode, True).grad
        assert found.reshape(shares.shape) == pytest.approx(shares, rel=1e-6)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("spikes", [True, False], ids=["spikes", "real"])
def test_what_is_kept_does_not_grow_with_the_ticks(name, spikes):
    """For RateBP; backpropagation through time keeps every tick."""
    kept = {}
    model = NETS[name]
    params = moving(model, 0)
    for ticks in (2, 32):
        x, labels = batch(model, 0, ticks, spikes=spikes)
        kept[ticks] = [found.backward_bytes for found in both(model, params, x, labels, ticks)]
    assert kept[2][0] == kept[32][0] > 0
    assert kept[32][1] > 8 * kept[2][1]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("method", ["bptt", "ratebp"])
def test_static_input_is_the_input_repeated_in_every_tick(name, method):
    """Spikes, gradients and running statistics."""
    model, ticks = NETS[name], 5
    params, (x, labels) = moving(model, 3), batch(model, 3, 1)
    long = np.repeat(x, ticks, axis=1)
    for short, each in zip(model.spikes(params, x, ticks), model.spikes(params, long), strict=True):
        assert np.array_equal(short, each)
    static, repeated = (
        gradient(model, params, value, labels, OBJECTIVE, ticks=ticks, method=method) for value in (x, long)
    )
    assert static.rates == repeated.rates
    agree(static, repeated, rel=1e-8)
    for key, value in repeated.moved.items():
        assert static.moved[key] == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_statistics_of_single_ticks_move_once_a_tick():
    """Those of all ticks together move once a batch."""
    x, rows = np.random.default_rng(0).normal(3, 1, (6, 4, 2)), {}
    for statistics in ("batch", "tick"):
        layer = BatchNorm(2, statistics)
        params = {name: row.astype(float) for name, row in layer.initial(0, "").items()}
        rows[statistics] = layer.forward(params, Signal(x), Mode(4, "ratebp")).moved["mean"]
    by_tick = np.zeros(2)
    for t in range(4):
        by_tick = 0.9 * by_tick + 0.1 * x[:, t].mean(axis=0)
    assert rows["tick"] == pytest.approx(by_tick)
    assert rows["batch"] == pytest.approx(0.1 * x.mean(axis=(0, 1)))


def test_an_image_may_be_flattened_anywhere():
    shapes = [
        net((4, 4, 2), Conv(2, 3), BatchNorm(3), *order)
        for order in ([Spiking(LIF()), Flatten()], [Flatten(), Spiking(LIF())])
    ]
    params, (x, labels) = moving(shapes[0], 0), batch(shapes[0], 0, 3)
    one, other = (gradient(model, params, x, labels, OBJECTIVE) for model in shapes)
    assert np.array_equal(flat(one), flat(other))
