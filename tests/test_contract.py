"""The central contract: the student that was trained is the network that is simulated, spike for spike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import MTJ, Events, Population, Record, Variation, simulate
from eventsim.errors import NetworkError
from eventsim.training import mtj_mlp, relu_mlp, to_network
from eventsim.training.deploy import spikes_that_differ
from tests.strategies import frames, mtj, seeds


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


def test_only_students_are_deployed():
    model = relu_mlp((4, 3, 2))
    with pytest.raises(NetworkError, match="Dense - ReLU - Dense"):
        to_network(model, model.initial(0))


def test_the_nominal_student_has_nominal_devices():
    model = mtj_mlp((4, 3, 2), neuron=MTJ(threshold=15.0))
    network = to_network(model, model.initial(0))
    assert (network["hidden1"].devices["threshold"] == 15).all()
