"""Students on the engine: what is counted of one that is fed with real values."""

from dataclasses import dataclass

import numpy as np
import pytest

from eventsim import MTJ
from eventsim.energy import COSTS, counts_of
from eventsim.network import Population
from eventsim.recording import Record
from eventsim.simulate import simulate
from eventsim.training import Direct, GaussianThreshold, load, mtj_mlp, to_events, to_network
from eventsim.training.encode import EVALUATION
from eventsim.training.linear import Grid
from eventsim.training.measured import OnEngine
from eventsim.training.resnets import resnet18
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking


def test_a_residual_student_of_direct_coding():
    model = resnet18(Spiking(MTJ()), inputs=(8, 8, 1), width=1 / 32, grid=Grid(16))
    engine = OnEngine(model, model.initial(0), Direct(ticks=2), load("digits", test=10), threads=1)
    found, chips = engine.measure(seed=0, chips=False)
    assert chips == ()
    assert found.samples == 10
    assert found.front_macs == 2 * 8 * 8 * 9 * 2
    assert found.differ == 0
    assert found.spikes > 0
    neurons = 8 * 8 * 2 + sum(population.size for population in engine.network.of_kind(Population))
    assert len(found.rates) == 2
    assert sum(found.rates) == pytest.approx(found.spikes / neurons)


@dataclass(frozen=True)
class Real(GaussianThreshold):
    """Spikes as real numbers, so that a student is cut behind its first neurons."""

    def __call__(self, prepared, ids, epoch):
        return Signal(super().__call__(prepared, ids, epoch).values.astype(np.float32))


def test_the_front_is_counted_as_the_engine_counts():
    digits = load("digits", test=20)
    model = mtj_mlp((64, 30, 20, 10), levels=16)
    params = {name: 3 * value for name, value in model.initial(0).items()}
    whole = OnEngine(model, params, GaussianThreshold(3, 0), digits, 1)
    parts = OnEngine(model, params, Real(3, 0), digits, 1)
    assert whole.front is None
    assert parts.front is not None
    encoded = whole.encoder(whole.encoder.prepare(digits.x[whole.ids]), whole.ids, EVALUATION)
    record = Record(energy=True)
    counts = counts_of(simulate(to_network(model, params), to_events(model, encoded), record=record))
    rates = whole.rates()
    assert rates == parts.rates()
    assert len(rates) == 3
    assert sum(rates) == pytest.approx(counts["neuron reset"] / (30 + 20))
    front, (one, drawn) = parts.front_counts, [engine.on_chips(0.0, 0) for engine in (whole, parts)]
    assert one.spikes == pytest.approx(drawn.spikes)
    assert one.spikes == pytest.approx(counts["neuron reset"])
    assert one.accuracies == drawn.accuracies
    assert front["synaptic operation"] == 3 * 64 * 30
    assert front["periphery"] == 3 * 30
    assert 0 < front["neuron drive"] < counts["neuron drive"]
    sparse = counts["synaptic operation"] - parts.on_chips(0.0, 0).synops  # of the first layer
    dense = front["synaptic operation"]
    extra = (dense - sparse) * COSTS["synaptic operation"].default / 1000
    assert drawn.devices_pj - one.devices_pj == pytest.approx(extra, rel=1e-4)


def test_the_front_is_drawn_too():
    digits = load("digits", test=20)
    model = mtj_mlp((64, 30, 20, 10), levels=16)
    engine = OnEngine(model, {name: 3 * value for name, value in model.initial(0).items()}, Real(3, 0), digits, 1)
    spikes = {engine.on_chips(spread, 0).spikes for spread in (0.0, 0.2)}
    assert len(spikes) == 2
