"""Every kind of layer in small networks: gradients against finite differences, values against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.parallel import Workers, cores
from eventsim.training import CrossEntropy, Model, gradient
from eventsim.training.layer import Mode
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.shaping import Dropout, ReLU
from eventsim.training.signal import Signal
from eventsim.training.spiking import SURROGATES, Spiking
from tests import layer_oracle
from tests.model_oracle import MOVING
from tests.nets import NETS, batch, differences, moving, net, plain, rows, smooth_gradient, smooth_loss, spiking
from tests.strategies import seeds

nets = pytest.mark.parametrize("name", NETS)
methods = pytest.mark.parametrize("method", ["bptt", "ratebp"])


def same(found, wanted, rel=1e-9):
    assert found.keys() == wanted.keys()
    size = max([np.abs(value).max() for value in wanted.values()], default=0)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=rel, abs=rel * size), name


@nets
@pytest.mark.parametrize(("ticks", "static"), [(1, False), (2, False), (4, False), (3, True)])
def test_gradients_are_finite_differences(name, ticks, static):
    """Smooth spikes, every parameter along a random direction; at the first point that has no kink beside it."""
    model = NETS[name]
    for seed in range(10):
        params, (x, labels) = moving(model, seed), batch(model, seed, 1 if static else ticks)
        found = smooth_gradient(model, params, x, labels, ticks)
        wanted = differences(smooth_loss(model, x, labels, ticks), params, seed)
        if any(abs(near - wide) > 1e-5 * (abs(near) + 1e-3) for _, near, wide in wanted.values()):
            continue
        for parameter, (way, slope, _) in wanted.items():
            grad = found.params[parameter]
            assert grad.dtype == np.float64
            assert (grad * way).sum() == pytest.approx(slope, rel=1e-6, abs=1e-8), parameter
        assert sum(np.abs(found.params[parameter]).sum() for parameter in wanted) > 1e-3
        return
    pytest.fail("kinks everywhere")


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("reset_mode", ["hard", "soft"])
@pytest.mark.parametrize("model", MOVING, ids=lambda model: model.__name__)
def test_gradients_of_every_neuron_reset_and_surrogate_are_finite_differences(model, reset_mode, surrogate):
    """Two layers of them, the second one with refractory ticks; smooth spikes, as above."""
    one, two = (spiking(model(reset_mode=reset_mode, refractory=hold), surrogate) for hold in (0, 1))
    network = rows(one, Dense(6, 6), two)
    for seed in range(40):
        params, (x, labels) = moving(network, seed), batch(network, seed, 3)
        wanted = differences(smooth_loss(network, x, labels, 3), params, seed)
        if any(abs(near - wide) > 1e-5 * (abs(near) + 1e-3) for _, near, wide in wanted.values()):
            continue
        found = smooth_gradient(network, params, x, labels, 3)
        for name, (way, slope, _) in wanted.items():
            assert (found.params[name] * way).sum() == pytest.approx(slope, rel=1e-5, abs=1e-8), name
        return
    pytest.fail("kinks everywhere")


@nets
@methods
@pytest.mark.parametrize("spikes", [True, False], ids=["spikes", "real"])
def test_bytes_counts_and_lines_stand_for_the_real_numbers_that_they_are(name, method, spikes):
    """The same network, in which every layer gets real numbers."""
    model = NETS[name]
    params, (x, labels) = moving(model, 1), batch(model, 1, 3, spikes=spikes)
    found, wanted = (gradient(each, params, x, labels, CrossEntropy(), method=method) for each in (model, plain(model)))
    assert found.logits == pytest.approx(wanted.logits, rel=1e-9, abs=1e-9)
    same(found.params, wanted.params)
    same(found.moved, wanted.moved)
    assert found.rates == wanted.rates


@pytest.mark.skipif(cores() < 2, reason="one core")
def test_other_threads_are_left_alone_where_there_is_little_to_do():
    seen = []
    with Workers(2) as two:
        two(lambda first, last: seen.append((first, last)), 64, 1000)
    assert seen == [(0, 64)]


@pytest.mark.skipif(cores() < 2, reason="one core")
@nets
@methods
def test_no_bit_of_a_gradient_depends_on_the_number_of_threads(name, method, monkeypatch):
    monkeypatch.setattr("eventsim.parallel._WORTH", 0)
    model = NETS[name]
    params = {key: value.astype(np.float32) for key, value in moving(model, 2).items()}
    x, labels = batch(model, 2, 3, samples=9)
    with Workers(2) as two:
        found = gradient(model, params, x, labels, CrossEntropy(), method=method, workers=two)
    wanted = gradient(model, params, x, labels, CrossEntropy(), method=method)
    assert found.value == wanted.value
    for mine, other in ((found.params, wanted.params), (found.moved, wanted.moved)):
        assert all(np.array_equal(mine[key], other[key]) for key in other)


@pytest.mark.parametrize("levels", [None, 8])
@methods
def test_the_gradient_passes_straight_through_the_rounding_to_levels(levels, method):
    """It is that of a network whose weights are the rounded ones."""
    layers = Conv(2, 4, bias=True, grid=Grid(levels)), spiking(), AvgPool(2), Conv(4, 5, (1, 1), grid=Grid(levels))
    model = net((6, 6, 2), *layers)
    free = net((6, 6, 2), Conv(2, 4, bias=True), spiking(), AvgPool(2), Conv(4, 5, (1, 1)))
    params, (x, labels) = moving(model, 0), batch(model, 0, 3)
    rounded = dict(params)
    for i, most in ((0, 1), (3, 4)):
        number, scale = model.layers[i].deployed({"weight": params[f"{i}/weight"]}, most)
        rounded[f"{i}/weight"] = (number * scale).reshape(params[f"{i}/weight"].shape)
    assert not np.array_equal(rounded["0/weight"], params["0/weight"])
    wanted = gradient(free, rounded, x, labels, CrossEntropy(), method=method)
    same(gradient(model, params, x, labels, CrossEntropy(), method=method).params, wanted.params)


@given(st.sampled_from([1, 2, 3]), st.sampled_from([None, 1, 2]), *[st.booleans()] * 2, seeds())
def test_pooling_is_that_of_the_loops(size, stride, flat, ties, seed):
    """Values, and the gradient of their sum, which goes to the first of equals."""
    rng = np.random.default_rng(seed % 2**32)
    x = rng.normal(size=(2, 3, *(() if flat else (6,)), 7, 4))
    x = np.round(x) if ties else x
    images = x.reshape(6, -1, 7, 4)
    window, step = (1 if flat else size, size), (1 if flat else stride or size, stride or size)
    for layer, kind in ((AvgPool(size, stride), "mean"), (MaxPool(size, stride), "largest")):
        values, back = layer_oracle.pool(images, window, step, kind)
        mode = Mode(3, "bptt")
        done = layer.forward({}, Signal(x), mode)
        found = done.signal.plain()
        assert found == pytest.approx(values.reshape(found.shape), rel=1e-12)
        by_input = layer.backward({}, done.kept, np.ones(found.shape), mode, True).grad
        assert by_input == pytest.approx(back.reshape(x.shape), rel=1e-12)
    whole = GlobalPool().forward({}, Signal(x), Mode(3)).signal.plain()
    assert whole == pytest.approx(x.reshape(2, 3, -1, 4).mean(axis=2), rel=1e-12)


@pytest.mark.parametrize("places", [6, 130])
@pytest.mark.parametrize("statistics", ["batch", "tick"])
def test_batch_norm_is_the_published_formula(statistics, places):
    """In training over the batch; in evaluation by running statistics, which use the unbiased variance."""
    rng, layer = np.random.default_rng(0), BatchNorm(3, statistics)
    x, gamma, beta = rng.normal(2, 3, (4, 5, places, 3)), rng.normal(size=3), rng.normal(size=3)
    params = {"gamma": gamma, "beta": beta, "mean": rng.normal(size=3), "variance": rng.uniform(1, 2, 3)}
    step = layer.forward(params, Signal(x), Mode(5, "bptt"))
    running, parts = (params["mean"], params["variance"]), [x] if statistics == "batch" else list(np.moveaxis(x, 1, 0))
    wanted = []
    for part in parts:
        out, mean, variance = layer_oracle.normalise(part, gamma, beta, layer.eps)
        wanted.append(out)
        number = part.size // 3
        running = 0.9 * running[0] + 0.1 * mean, 0.9 * running[1] + 0.1 * variance * number / (number - 1)
    found = step.signal.plain()
    assert found == pytest.approx(wanted[0] if statistics == "batch" else np.stack(wanted, axis=1), rel=1e-10)
    assert step.moved["mean"] == pytest.approx(running[0], rel=1e-12)
    assert step.moved["variance"] == pytest.approx(running[1], rel=1e-12)
    evaluated = layer.forward(params, Signal(x), Mode(5)).signal.plain()
    assert evaluated == pytest.approx(
        gamma * (x - params["mean"]) / np.sqrt(params["variance"] + layer.eps) + beta, rel=1e-10
    )


def test_dropout_drops_the_same_inputs_in_all_ticks_and_none_in_evaluation():
    x = np.ones((50, 4, 30))
    found = Dropout(0.25).forward({}, Signal(x), Mode(4, "bptt", seed=1, step=2)).signal.plain()
    assert set(np.unique(found)) == {0, 1 / 0.75}
    assert (found == found[:, :1]).all()
    assert found.mean() == pytest.approx(1, abs=0.05)
    other = Dropout(0.25).forward({}, Signal(x), Mode(4, "bptt", seed=1, step=3)).signal.plain()
    assert not np.array_equal(found, other)
    assert np.array_equal(Dropout(0.25).forward({}, Signal(x), Mode(4)).signal.plain(), x)


def test_rectified_units_pass_what_is_positive():
    x = np.array([[[-1.0, 0.0, 2.0]]])
    assert ReLU().forward({}, Signal(x), Mode()).signal.plain().tolist() == [[[0, 0, 2]]]


@given(
    st.sampled_from([np.float32, np.float64, np.uint8]),
    st.sampled_from([(5,), (3, 5), (2, 3, 5)]),
    *[st.sampled_from([1, 3])] * 3,
    st.sampled_from([None, 1, 5]),
    seeds(),
)
def test_rectified_lines_are_those_of_the_plain_values(kind, shape, ticks, scales, biases, channels, seed):
    """To the last bit, for whatever lasts several ticks: values, scale or bias."""
    rng = np.random.default_rng(seed % 2**32)
    values = (rng.normal(size=(2, ticks, *shape)) * 4).astype(kind)
    line = [None if channels is None else rng.normal(size=(n, channels)).astype(np.float32) for n in (scales, biases)]
    x = Signal(values, *line, most=255 if kind == np.uint8 else 1)
    wanted = x.plain()
    done = ReLU().forward({}, x, Mode(3, "bptt"))
    assert done.signal.plain().dtype == wanted.dtype
    assert np.array_equal(done.signal.plain(), np.maximum(wanted, 0))
    assert np.array_equal(done.kept.values, wanted > 0)


def test_the_readout_is_the_mean_over_the_ticks():
    model = Model([Dense(3, 2)], (3,))
    params, x = moving(model, 0), np.random.default_rng(0).normal(size=(4, 5, 3))
    wanted = (x @ params["0/weight"] + params["0/bias"]).mean(axis=1)
    assert model.logits(params, x) == pytest.approx(wanted, rel=1e-12)


def test_layers_without_settings_name_themselves():
    assert repr(ReLU()) == "ReLU()"
    assert repr(Spiking(spiking().neurons)).startswith("Spiking(neurons=LIF(")
