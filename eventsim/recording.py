"""What a simulation saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsim.events import Events


@dataclass(frozen=True, eq=False)
class Trace:
    """Tick by tick record of one population.

    Attributes
    ----------
    spikes : Events
    membrane : array of float32, shape (samples, ticks, n)
        Position at the end of each tick, before reset (nm); ``inf`` after a run-away.
    drive : array of float32, shape (samples, ticks, n)
        Dimensionless drive of each tick.
    """

    spikes: Events
    membrane: NDArray[np.float32]
    drive: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recording:
    """Counts of every sample, and traces of the populations that were asked for.

    Attributes
    ----------
    ticks : int
    spikes : mapping of str to array of int64, shape (samples,)
        Spikes of each population, sources included.
    synops : mapping of str to array of int64, shape (samples,)
        Synaptic operations of each projection: spikes times fan-out.
    column_reads : mapping of str to array of int64, shape (samples,)
        Neuron-ticks of each population in which at least one spike arrived.
    drive_squared : mapping of str to array of float64, shape (samples,)
        Sum over neurons and ticks of the squared drive of each MTJ population.
    readout : mapping of str to array of float32, shape (samples, n)
        Mean drive per tick of each readout.
    traces : mapping of str to Trace
    """

    ticks: int
    spikes: Mapping[str, NDArray[np.int64]]
    synops: Mapping[str, NDArray[np.int64]]
    column_reads: Mapping[str, NDArray[np.int64]]
    drive_squared: Mapping[str, NDArray[np.float64]]
    readout: Mapping[str, NDArray[np.float32]]
    traces: Mapping[str, Trace]
