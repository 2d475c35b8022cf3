"""Energy: counts times costs."""

import numpy as np
import pytest

from eventsim import MTJ, Dense, Events, Network, Population, Projection, Readout, Record, Source, energy, simulate
from eventsim.energy import COSTS, Cost, total
from eventsim.errors import ConfigError


def run(record):
    populations = [Source("in", 2), Population("a", MTJ().identical(3)), Readout("out", 4)]
    ways = [
        Projection("in", "a", Dense([[2, 1, 0], [0, 0, 0]], np.ones(3))),
        Projection("a", "out", Dense(np.ones((3, 4)), np.ones(4))),
    ]
    return simulate(Network(populations, ways), Events([0, 1, 1], [0, 0, 1], [0, 1, 1], (2, 2, 2)), record=record)


@pytest.fixture
def recording():
    return run(Record(energy=True))


def test_counts_by_hand(recording):
    """Sample 0: one input spike, drives 2, 1, 0, one neuron fires. Sample 1: two spikes through weights of 0."""
    counts = {line.event: line.count for line in energy(recording)}
    assert counts == {
        "neuron drive": (4 + 1) / 2,
        "spike read-out": 1 / 2,
        "neuron reset": 1 / 2,
        "synaptic operation": (3 + 4 + 2 * 3) / 2,
        "periphery": (3 + 4 + 2 * 3) / 2,
    }


def test_energy_is_count_times_cost(recording):
    lines = energy(recording)
    for line in lines:
        assert line.energy == pytest.approx([line.count * cost for cost in COSTS[line.event]])
    everything, devices = total(lines, devices_only=False), total(lines, devices_only=True)
    assert everything.default - devices.default == pytest.approx(6.5 * 20)


def test_costs_can_be_replaced(recording):
    costs = {**COSTS, "synaptic operation": Cost(7, 7, 7)}
    (line,) = [line for line in energy(recording, costs) if line.event == "synaptic operation"]
    assert line.energy == Cost(45.5, 45.5, 45.5)


@pytest.mark.parametrize("record", [None, Record(spikes=["a"], membrane=["a"], state=True)])
def test_a_recording_without_what_it_needs_is_refused(record):
    with pytest.raises(ConfigError, match=r"lacks what energies(.|\n)*Record\(energy=True\)"):
        energy(run(record))


def test_costs_must_be_complete(recording):
    with pytest.raises(ConfigError, match="no periphery"):
        energy(recording, {event: cost for event, cost in COSTS.items() if event != "periphery"})
