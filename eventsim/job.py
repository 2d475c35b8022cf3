"""What is to be run, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim.inputs import Inputs
from eventsim.kernels import frozen
from eventsim.network import Network
from eventsim.recording import Record
from eventsim.state import NetworkState


@dataclass(frozen=True, eq=False)
class Job:
    """All that decides the result of a run.

    Parameters
    ----------
    network : Network
    net : Frozen
        Its arrays, in the precision of the run.
    inputs : Inputs
    record : Record
    state : NetworkState or None
        Where all samples begin; at rest if it is left out.
    seed : uint64

    Attributes
    ----------
    numbers : mapping of str to int
        Position of each population.
    watched : mapping of str to array of int64
        Neurons of each population whose membrane is recorded.

    Raises
    ------
    NetworkError
        What is to be recorded is not there.
    """

    network: Network
    net: frozen.Frozen
    inputs: Inputs
    record: Record
    state: NetworkState | None
    seed: np.uint64
    numbers: dict[str, int] = field(init=False)
    watched: dict[str, NDArray[np.int64]] = field(init=False)

    def __post_init__(self) -> None:
        names = [population.name for population in self.network.populations]
        object.__setattr__(self, "numbers", {name: number for number, name in enumerate(names)})
        object.__setattr__(self, "watched", self.record.watched(self.network))

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.inputs.shape[0]

    @property
    def ticks(self) -> int:
        """Of each sample."""
        return self.inputs.shape[1]

    @property
    def frames(self) -> int:
        """Ticks of all samples together."""
        return self.samples * self.ticks

    @property
    def origin(self) -> int:
        """Ticks that all samples have behind them when they begin."""
        return 0 if self.state is None else self.state.tick


@dataclass
class Standing:
    """Where a run stands between two frames: all that changes as it goes.

    Parameters
    ----------
    frame : int
        All frames before it were run.
    state : State
        Of the sample that is begun.
    probes : Probes
        Totals of all samples.
    final : mapping of str to array, first axis the sample
        States at the end, of samples that have come there; empty if nobody asked for them.
    """

    frame: int
    state: frozen.State
    probes: frozen.Probes
    final: dict[str, NDArray[Any]]
