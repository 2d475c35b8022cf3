"""The central contract: the student that was trained is the network that is simulated, spike for spike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import MTJ, Events, Population, Record, Variation, simulate
from eventsim.errors import EventsError, NetworkError
from eventsim.training import (
    Direct,
    cut,
    five_conv_1d,
    load,
    mlp,
    mtj_mlp,
    predict,
    resnet18,
    resnet19,
    six_conv,
    to_events,
    to_network,
    two_conv,
    vgg11,
    wide_resnet16,
)
from eventsim.training.deploy import on_devices, spikes_that_differ
from eventsim.training.encode import EVALUATION
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.model import Model
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import Flatten, ReLU
from eventsim.training.spiking import Spiking
from eventsim.training.wiring import channels_first
from tests.strategies import frames, mtj, seeds
from tests.student_cases import randomised, spikes_for, students


@given(
    st.data(),
    st.lists(st.integers(1, 40), min_size=2, max_size=4),
    mtj(),
    st.floats(0, 0.06),
    st.one_of(st.none(), st.integers(2, 64)),
    st.floats(0.1, 20),
    seeds(),
)
def test_engine_and_training_forward_emit_identical_spikes(data, sizes, neuron, spread, levels, gain, seed):
    """Random nets, inputs and devices; weak to run-away drives, thresholds on both sides of the unstable point."""
    devices = [
        neuron.draw(size, Variation.all(spread), seed=seed, name=f"hidden{i + 1}") for i, size in enumerate(sizes[1:-1])
    ]
    model = mtj_mlp(sizes, devices=devices, levels=levels)
    params = {name: np.float32(gain) * value for name, value in model.initial(seed).items()}
    rng = np.random.default_rng(seed)
    for name in params:
        if name.endswith("bias"):
            params[name] = rng.normal(0, 0.2, params[name].shape).astype(np.float32)
    signal = data.draw(frames(sizes[0]))
    network = to_network(model, params)
    hidden = [p.name for p in network.of_kind(Population)]
    recording = simulate(network, Events.from_frames(signal), record=Record(spikes=hidden))
    for name, spikes in zip(hidden, model.spikes(params, signal), strict=True):
        assert np.array_equal(recording.events[name].to_frames(), spikes)
    assert np.array_equal(recording.readout["readout"], model.logits(params, signal))


@given(st.integers(0, 50))
def test_chips_of_a_deployed_student_are_the_same_contract(chip):
    model = mtj_mlp((20, 30, 5), levels=16)
    params = model.initial(chip)
    network = to_network(model, params).on_chip(Variation.all(0.1), seed=3, chip=chip)
    signal = (np.random.default_rng(chip).random((6, 5, 20)) < 0.5).astype(np.uint8)
    assert spikes_that_differ(model, params, signal, network) == 0


def test_a_difference_is_seen():
    model = mtj_mlp((20, 30, 5))
    params = model.initial(0)
    other = to_network(model, {**params, "0/bias": params["0/bias"] + np.float32(0.3)})
    signal = (np.random.default_rng(0).random((6, 5, 20)) < 0.5).astype(np.uint8)
    assert spikes_that_differ(model, params, signal, other) > 0


@given(st.data(), students(), seeds())
def test_every_kind_of_student_is_the_network_that_it_becomes(data, student, seed):
    """Convolutions, normalisations, poolings and residual connections, on devices of their own and on a drawn chip."""
    model, params = student
    signal = data.draw(spikes_for(model))
    network = to_network(model, params)
    assert spikes_that_differ(model, params, signal, network) == 0
    assert spikes_that_differ(model, params, signal, network.on_chip(Variation.all(0.05), seed=seed)) == 0


@pytest.mark.parametrize(
    ("build", "settings"),
    [
        (two_conv, {"width": 1 / 16}),
        (two_conv, {"width": 1 / 16, "pool": "max"}),
        (six_conv, {"width": 1 / 4}),
        (five_conv_1d, {}),
        (vgg11, {"width": 1 / 8}),
        (resnet18, {"width": 1 / 8}),
        (resnet18, {"width": 1 / 8, "add": "spike"}),
        (resnet19, {"width": 1 / 16}),
        (wide_resnet16, {"width": 1}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_published_nets_are_deployed_spike_for_spike(build, settings):
    model = build(Spiking(MTJ()), grid=Grid(16), **settings)
    params = randomised(model, 1, 1.5)
    signal = (np.random.default_rng(0).random((2, 3, *model.inputs)) < 0.3).astype(np.uint8)
    assert all(spikes.any() for spikes in model.spikes(params, signal))
    network = to_network(model, params).on_chip(Variation.all(0.05), seed=1)
    assert spikes_that_differ(model, params, signal, network) == 0


def test_scales_and_biases_are_those_of_the_signals():
    """A convolution over averages with its normalisation: one line of float32 for both, neurons by channel."""
    conv, norm = Conv(2, 3, padding=1, grid=Grid(8)), BatchNorm(3)
    model = Model([AvgPool(2), conv, norm, Spiking(MTJ()), GlobalPool()], (6, 4, 2))
    params = randomised(model, 0, 1.0)
    network = to_network(model, params)
    levels, scale = conv.deployed({"weight": params["1/weight"]}, most=4)
    factor = params["2/gamma"] / np.sqrt(params["2/variance"].astype(np.float64) + norm.eps)
    bias = (params["2/beta"] - factor * params["2/mean"]).astype(np.float32)
    synapses = network.projections[0].synapses
    assert np.array_equal(synapses.scale, (factor * (scale * np.float32(0.25)).astype(np.float64)).astype(np.float32))
    assert np.array_equal(synapses.kernel, levels.reshape(3, 3, 2, 3).transpose(3, 2, 0, 1))
    assert np.array_equal(network["hidden1"].bias, np.repeat(bias, 6))


def test_devices_stand_where_training_has_them():
    devices = MTJ().draw(24, Variation.all(0.1), seed=0, name="a")
    model = Model([Spiking(devices), Flatten()], (4, 3, 2))
    network = to_network(model, {})
    where = np.arange(24).reshape(4, 3, 2)
    assert np.array_equal(network["hidden1"].devices["k1"], devices["k1"][np.moveaxis(where, -1, 0).ravel()])
    (back,) = (layer.neurons for layer in on_devices(model, network).layers[:1])
    assert np.array_equal(back["k1"], devices["k1"])


def test_populations_and_events_of_an_image():
    model = Model([MaxPool(2), Residual([Conv(2, 2, (1, 1), grid=Grid())]), Spiking(MTJ()), Flatten()], (4, 4, 2))
    network = to_network(model, model.initial(0))
    assert [p.name for p in network.populations] == ["input", "pool1", "hidden1", "readout"]
    assert [p.name for p in network.projections] == [
        "input -> pool1",
        "pool1 -> hidden1",
        "pool1 -> hidden1 (2)",
        "hidden1 -> readout",
    ]
    x = np.zeros((1, 1, 4, 4, 2), np.uint8)
    x[0, 0, 1, 2, 1] = 1
    assert to_events(model, x).address.tolist() == [1 * 16 + 1 * 4 + 2]


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ([Conv(2, 2, grid=Grid()), ReLU()], r"layer 1\..*ReLU"),
        ([Conv(2, 2)], "grid=Grid"),
        ([Conv(2, 2, grid=Grid()), Conv(2, 2, grid=Grid())], r"layer 1\..*currents"),
        ([Conv(2, 2, grid=Grid()), AvgPool(2)], r"layer 1\..*AvgPool.*currents"),
        ([Conv(2, 2, grid=Grid()), MaxPool(2)], r"layer 1\..*no spike"),
        ([AvgPool(2), MaxPool(2)], r"layer 1\..*no spike"),
        ([AvgPool(3, 1)], "overlap"),
        ([AvgPool(2, 3)], "gaps"),
        ([Residual([Conv(2, 2, (1, 1), grid=Grid())]), BatchNorm(2)], "together from two"),
        (
            [Residual([Spiking(MTJ())], [Conv(2, 2, (1, 1), grid=Grid()), Spiking(MTJ())], "spike"), MaxPool(2)],
            "MaxPool",
        ),
        ([Residual([AvgPool(2)], [AvgPool(2)], "spike")], "pooled spikes"),
        ([Residual([AvgPool(2)], [Conv(2, 2, (2, 2), 2, grid=Grid()), Spiking(MTJ())], "spike")], "pooled spikes"),
        ([Residual([Spiking(MTJ())], [Residual([Conv(2, 2, (1, 1), grid=Grid())])])], "shortcut is a sum"),
        ([Residual([ReLU()])], r"layer 0/main/0\."),
    ],
)
def test_what_the_engine_cannot_hold_is_refused_by_name(layers, what):
    model = Model([*layers, Spiking(MTJ()), GlobalPool()], (8, 8, 2))
    with pytest.raises(NetworkError, match=f"(?s){what}"):
        to_network(model, model.initial(0))


@given(seeds())
def test_three_projections_add_up_in_the_order_of_training(seed):
    convs = [Conv(3, 4, (k,), padding=k // 2, bias=True, grid=Grid()) for k in (1, 3, 5)]
    inner = Residual([convs[0], BatchNorm(4)], [convs[1]])
    model = Model([Residual([inner], [convs[2], BatchNorm(4)]), Spiking(MTJ()), Flatten()], (9, 3))
    params = randomised(model, seed, 2.0)
    signal = (np.random.default_rng(seed % 2**32).random((4, 8, 9, 3)) < 0.5).astype(np.uint8)
    assert spikes_that_differ(model, params, signal, to_network(model, params)) == 0


@pytest.mark.parametrize("change", [{"0/bias": None}, {"3/weight": np.zeros(3, np.float32)}, {"0/bias": np.zeros(3)}])
def test_parameters_of_another_model_are_refused(change):
    model = mtj_mlp((4, 3, 2))
    params = {name: value for name, value in {**model.initial(0), **change}.items() if value is not None}
    with pytest.raises(NetworkError, match="not those of the model"):
        to_network(model, params)


def test_analogue_inputs_are_refused():
    model = mtj_mlp((4, 3, 2))
    params = model.initial(0)
    with pytest.raises(EventsError, match="not spikes"):
        spikes_that_differ(model, params, np.full((1, 1, 4), 0.5), to_network(model, params))


@pytest.mark.parametrize(
    "build",
    [
        lambda unit: mlp((20, 15, 12, 5), unit, grid=Grid(16)),
        lambda unit: two_conv(unit, inputs=(8, 8, 2), width=1 / 16, grid=Grid(16), pool="max"),
        lambda unit: resnet18(unit, inputs=(8, 8, 3), width=1 / 16, grid=Grid(16), add="spike"),
        lambda unit: five_conv_1d(unit, inputs=(32, 2), width=1 / 4, grid=Grid()),
    ],
    ids=["mlp", "two_conv", "resnet18", "five_conv_1d"],
)
def test_what_is_behind_a_direct_coding_is_deployed_spike_for_spike(build):
    """The first neurons see real values, in training; their spikes are the events of the engine."""
    model = build(Spiking(MTJ()))
    params = randomised(model, 2, 2.0)
    x, ids = np.random.default_rng(0).random((5, *model.inputs)).astype(np.float32), np.arange(5)
    encoder, behind, rest = cut(model, params, Direct(ticks=6))
    first, *others = model.spikes(params, x[:, None], ticks=6)
    signal = encoder(encoder.prepare(x), ids, EVALUATION)
    assert first.any()
    assert np.array_equal(signal.values, first)
    network = to_network(behind, rest)
    hidden = [p.name for p in network.of_kind(Population)]
    recording = simulate(network, to_events(behind, signal), record=Record(spikes=hidden))
    for name, spikes in zip(hidden, others, strict=True):
        assert np.array_equal(recording.events[name].to_frames(), channels_first(spikes))
    assert np.array_equal(recording.readout["readout"], model.logits(params, x[:, None], ticks=6))
    assert spikes_that_differ(behind, rest, signal, network.on_chip(Variation.all(0.05), seed=1)) == 0


def test_a_data_set_is_predicted_alike_by_both_parts():
    digits, model = load("digits"), mtj_mlp((64, 12, 10))
    params, ids = model.initial(0), np.arange(50)
    encoder, behind, rest = cut(model, params, Direct(ticks=4))
    whole = predict(model, params, digits, ids, Direct(ticks=4))
    assert np.array_equal(predict(behind, rest, digits, ids, encoder), whole)


@pytest.mark.parametrize(
    "layers",
    [
        [Dense(4, 3)],
        [Dense(4, 3), Spiking(MTJ())],
        [Residual([Dense(4, 4), Spiking(MTJ())]), Dense(4, 3)],
    ],
)
def test_a_model_that_has_no_encoder_of_its_own_cannot_be_cut(layers):
    model = Model(layers, (4,))
    with pytest.raises(NetworkError, match="cannot be cut"):
        cut(model, model.initial(0), Direct(ticks=4))


def test_many_inputs_in_one_dimension_are_summed_exactly():
    """Weights that are all as large as they can be, behind pooled signals."""
    model = Model(
        [AvgPool(2), Flatten(), Dense(1024, 3, grid=Grid()), Spiking(MTJ()), Dense(3, 2, grid=Grid())], (256, 8)
    )
    params = {name: np.ones_like(value) for name, value in model.initial(0).items()}
    signal = np.ones((1, 2, 256, 8), np.uint8)
    assert spikes_that_differ(model, params, signal, to_network(model, params)) == 0


def test_the_nominal_student_has_nominal_devices():
    model = mtj_mlp((4, 3, 2), neuron=MTJ(threshold=15.0))
    network = to_network(model, model.initial(0))
    assert (network["hidden1"].devices["threshold"] == 15).all()
