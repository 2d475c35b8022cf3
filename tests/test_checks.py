"""What is no usable number is refused by every method alike; what is drawn can cross to another process."""

import copy
import math
import pickle

import numpy as np
import pytest

import eventsim
from eventsim import (
    MTJ,
    BackHoppingMTJ,
    Dense,
    Events,
    LogNormal,
    MTJSynapse,
    Network,
    Normal,
    Population,
    Projection,
    Source,
    SuperparamagneticMTJ,
    SwitchingMTJ,
    Variation,
    drive_coefficient,
    drive_velocity,
    program,
    respond,
    simulate,
)
from eventsim.errors import InputError
from eventsim.moving import MovingNeuron
from tests.model_oracle import MOVING

STOCHASTIC = (SwitchingMTJ, SuperparamagneticMTJ, BackHoppingMTJ)
NO_NUMBERS = [
    "a",
    None,
    object(),
    1j,
    [[1], [1, 2]],
    10**400,
    math.nan,
    np.datetime64("2020"),
    np.ma.array([1.0], mask=[1]),
]


def refused(action):
    with pytest.raises(InputError) as caught:
        action()
    assert all(part in str(caught.value) for part in ("given:", "expected:", "repair:"))


@pytest.mark.parametrize("bad", NO_NUMBERS, ids=lambda bad: repr(bad)[:20])
def test_what_is_no_number_is_refused_everywhere(bad):
    neuron, chancy, synapse = MTJ(), SwitchingMTJ(), MTJSynapse()
    for call in (neuron.step, neuron.slopes, neuron.first_passage):
        refused(lambda call=call: call(bad, 1.0))
        refused(lambda call=call: call(0.0, bad))
        if bad is not None:
            refused(lambda call=call: call(0.0, 1.0, bad))
    for call in (neuron.decay, neuron.rate, neuron.drive_of, neuron.equilibria, chancy.probability, chancy.rate):
        refused(lambda call=call: call(bad))
    for call in (synapse.potentiate, synapse.pulses_for, synapse.short_term, synapse.pairs, synapse.quantise):
        refused(lambda call=call: call(bad))
    refused(lambda: synapse.relax(bad, 1.0))
    refused(lambda: synapse.weights(bad, 1.0))
    refused(lambda: respond(neuron, bad))
    refused(lambda: respond(neuron, [0.1], bias=bad))
    refused(lambda: eventsim.Devices(neuron, {**neuron.identical(1).values, "k1": bad}))
    if bad is not None:
        refused(lambda: Network([Population("a", neuron.identical(1), bias=bad)], []))
    for name in ("alpha", "beta", "polarisation", "saturation", "dissipation"):
        refused(lambda name=name: drive_coefficient(**{name: bad}))
    refused(lambda: drive_velocity(bad, 3e-11))
    refused(lambda: drive_velocity(1e11, bad))
    refused(lambda: MTJ(k1=bad))
    refused(lambda: MTJ(threshold="unstable", k2=bad))
    refused(lambda: MTJSynapse(tmr=bad))
    refused(lambda: Normal(bad))
    refused(lambda: Variation(k1=bad))
    refused(lambda: Variation(die=bad))


def test_complex_numbers_and_truth_values_are_no_parameters():
    for bad in (np.complex128(1), True, np.bool_(True)):
        for call in (Normal, LogNormal, lambda v: MTJ(gain=v), lambda v: MTJSynapse(tmr=v), lambda v: Variation(die=v)):
            refused(lambda call=call, bad=bad: call(bad))


@pytest.mark.parametrize("bad", [0.05, None, ["k1"], {"k1"}])
def test_variation_by_cycle_is_a_mapping(bad):
    refused(lambda: Variation(c2c=bad))


@pytest.mark.parametrize("bad", [0.05, None, Normal(0.05), {"k1": 0.05}])
def test_what_is_no_variation_is_refused(bad):
    refused(lambda: MTJ().draw(4, bad, seed=0))
    if bad is not None:
        refused(lambda: program(MTJSynapse(), [[1]], bad, seed=0))


def test_wrong_kinds_of_argument_are_refused():
    refused(lambda: Population("a", MTJ()))
    refused(lambda: eventsim.Devices(MTJ, {}))
    refused(lambda: eventsim.Devices(MTJ(), None))
    refused(lambda: program(MTJSynapse, [[1]], seed=0))
    refused(lambda: MTJSynapse().relax([1.0, 2.0], [1.0, 2.0, 3.0]))
    refused(lambda: MTJSynapse().weights([1.0, 2.0], [1.0, 2.0, 3.0]))
    refused(lambda: program(MTJSynapse(), [[1]], seed=0).after([1.0, 2.0]))
    refused(lambda: program(MTJSynapse(), [[1]], seed=0, matching=[0.5]))


@pytest.mark.parametrize("chip", [-1, 2**63, 2**64, 0.5, True, "a"])
def test_chips_that_cannot_key_a_draw_are_refused(chip):
    network = Network([Source("in", 1), Population("a", MTJ().identical(2))], [])
    refused(lambda: MTJ().draw(4, Variation(k1=0.1), seed=0, chip=chip))
    refused(lambda: network.on_chip(Variation(k1=0.1), seed=0, chip=chip))
    refused(lambda: program(MTJSynapse(), [[1]], seed=0, chip=chip))


@pytest.mark.parametrize("seed", [False, 0.0, "", -1, 2**63])
def test_seeds_are_whole_numbers(seed):
    refused(lambda: respond(SwitchingMTJ(), [0.9], seed=seed))


def test_spreads_that_could_leave_the_range_are_refused_before_anything_is_drawn():
    refused(lambda: MTJ(k1=9e5).draw(5, Variation(c2c={"k1": 0.2}), seed=0))
    refused(lambda: eventsim.Oscillator(threshold=0.9).draw(5, Variation(threshold=0.3), seed=0))


@pytest.mark.parametrize("model", [*MOVING, *STOCHASTIC], ids=lambda model: model.__name__)
def test_what_is_drawn_survives_pickling_and_copying(model):
    variation = Variation(gain=LogNormal(0.1, truncation=4), c2c={"gain": 0.05}, die=0.5)
    devices = model().draw(3, variation, seed=1, chip=2, name="a")
    for again in (pickle.loads(pickle.dumps(devices)), copy.deepcopy(devices)):
        assert all(np.array_equal(again[name], devices[name]) for name in devices)
        assert np.array_equal(again.in_tick(3)["gain"], devices.in_tick(3)["gain"])
        assert again.nominal == devices.nominal
    for one in (variation, Variation.all(0.1, c2c={"gain": 0.2}, die=0.1)):
        assert pickle.loads(pickle.dumps(one)) == one
        assert hash(copy.deepcopy(one)) == hash(one)


def test_variations_are_equal_in_any_order():
    assert Variation(k1=0.1, k2=0.2) == Variation(k2=0.2, k1=0.1)
    assert Variation(k1=0.1) != Variation(k1=0.2)
    assert repr(Variation(k1=0.1, c2c={"gain": 0.2})) == "Variation(k1=0.1, c2c={'gain': 0.2})"
    assert repr(Variation.all(0.1)) == "Variation.all(0.1)"


@pytest.mark.parametrize("model", STOCHASTIC, ids=lambda model: model.__name__)
def test_chance_differs_between_chips_and_populations(model):
    drive = {SwitchingMTJ: 0.94, SuperparamagneticMTJ: 0.0, BackHoppingMTJ: 0.68}[model]
    drawn = {
        (chip, name): model().draw(20, Variation(), seed=0, chip=chip, name=name) for chip in (0, 1) for name in "ab"
    }
    runs = {key: respond(devices, [drive] * 50, seed=3).spikes for key, devices in drawn.items()}
    again = respond(drawn[1, "b"], [drive] * 50, seed=3).spikes
    assert np.array_equal(again, runs.pop((1, "b")))
    assert all(not np.array_equal(again, other) for other in runs.values())


@pytest.mark.parametrize("model", STOCHASTIC, ids=lambda model: model.__name__)
def test_a_network_of_chance_is_reproducible_and_differs_between_chips(model):
    drive = {SwitchingMTJ: 0.94, SuperparamagneticMTJ: 0.02, BackHoppingMTJ: 0.68}[model]
    network = Network(
        [Source("in", 1), Population("a", model().identical(30))],
        [Projection("in", "a", Dense(np.ones((1, 30)), np.full(30, drive)))],
    )
    events = Events.from_frames(np.ones((2, 40, 1)))
    runs = [
        simulate(network.on_chip(Variation(), seed=0, chip=chip), events, seed=seed, threads=1).spikes["a"]
        for seed, chip in ((5, 0), (5, 0), (6, 0), (5, 1))
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])
    assert not np.array_equal(runs[0], runs[3])
    p = float(model().probability(drive)) if model is not SuperparamagneticMTJ else float(model().stationary(drive))
    bound = 5 * math.sqrt(p * (1 - p) / 2400) * (3 if model is SuperparamagneticMTJ else 1)  # a telegraph remembers
    assert runs[0].sum() / 2400 == pytest.approx(p, abs=bound + 0.01 * (model is SuperparamagneticMTJ))
    with pytest.raises(InputError, match="seed"):
        simulate(network, events)


def test_every_moving_neuron_is_documented_as_one():
    assert {
        model for model in vars(eventsim).values() if isinstance(model, type) and issubclass(model, MovingNeuron)
    } == set(MOVING)
