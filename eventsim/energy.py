"""Energy of a run: counts of events times a table of energies per event, ``docs/energy.md``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from eventsim.errors import ConfigError
from eventsim.recording import Recording


class Cost(NamedTuple):
    """Energy of one event (fJ): a low, a default and a high estimate."""

    low: float
    default: float
    high: float


COSTS = {
    "neuron drive": Cost(0.5, 40.0, 100.0),
    "spike read-out": Cost(0.1, 1.0, 20.0),
    "neuron reset": Cost(1.0, 40.0, 100.0),
    "synaptic operation": Cost(0.02, 2.0, 40.0),
    "periphery": Cost(1.0, 20.0, 1000.0),
}
"""Estimates of device energies; the drive costs this at I = 1 and scales with its square. Replace them by yours."""

PERIPHERY = "periphery"
"""The one line that is not a device: drivers, sense amplifiers, converters."""


@dataclass(frozen=True)
class EnergyLine:
    """One class of events: how many per sample, and their energy per sample (fJ)."""

    event: str
    count: float
    energy: Cost


def energy(recording: Recording, costs: dict[str, Cost] | None = None) -> list[EnergyLine]:
    """Energy per sample, by class of event.

    Parameters
    ----------
    recording : Recording
        Of a run with ``Record(energy=True)``.
    costs : dict of str to Cost, optional
        :data:`COSTS` if left out.

    Returns
    -------
    list of EnergyLine
        Neuron drive counts the sum of I**2 over neurons and ticks, of all populations and models of neurons; every
        spike of theirs is read out and reset once; periphery counts one read of a column and tick in which a spike
        arrived.

    Raises
    ------
    ConfigError
        The run was not asked for what this needs, or an event has no cost.
    """
    if not recording.column_reads:
        raise ConfigError(
            "The recording lacks what energies are made of.",
            given="squared drives and reads of columns of no population",
            expected="the recording of a run that summed them",
            repair="simulate(..., record=Record(energy=True))",
        )
    return priced(counts_of(recording), costs)


def counts_of(recording: Recording) -> dict[str, float]:
    """Events per sample, by class, of a run with ``Record(energy=True)``."""
    neurons = [float(recording.spikes[name].mean()) for name in recording.drive_squared]
    return {
        "neuron drive": sum(float(squares.mean()) for squares in recording.drive_squared.values()),
        "spike read-out": sum(neurons),
        "neuron reset": sum(neurons),
        "synaptic operation": sum(float(operations.mean()) for operations in recording.synops.values()),
        PERIPHERY: sum(float(reads.mean()) for reads in recording.column_reads.values()),
    }


def priced(counts: Mapping[str, float], costs: dict[str, Cost] | None = None) -> list[EnergyLine]:
    """Energy of events, by class.

    Raises
    ------
    ConfigError
        An event has no cost.
    """
    costs = COSTS if costs is None else costs
    if missing := COSTS.keys() - costs.keys():
        raise ConfigError(
            "The table of costs is incomplete.",
            given=f"no {', '.join(sorted(missing))}",
            expected=f"a Cost for each of {', '.join(COSTS)}",
            repair="{**COSTS, name: Cost(low, default, high)}",
        )
    return [EnergyLine(event, n, Cost(*(n * cost for cost in costs[event]))) for event, n in counts.items()]


def total(lines: list[EnergyLine], *, devices_only: bool) -> Cost:
    """Sum of the lines (fJ), without the periphery if ``devices_only``."""
    kept = [line.energy for line in lines if not (devices_only and line.event == PERIPHERY)]
    return Cost(*(sum(column) for column in zip(*kept, strict=True)))
