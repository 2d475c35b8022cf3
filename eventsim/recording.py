"""What is recorded of a simulation, and what was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.errors import NetworkError
from eventsim.events import Events
from eventsim.network import Network
from eventsim.population import Population
from eventsim.state import NetworkState


@dataclass(frozen=True, eq=False)
class Record:
    """What to keep of a run, besides the numbers of spikes and synaptic operations that are always counted.

    Parameters
    ----------
    spikes : sequence of str
        Populations whose spikes are kept, as :class:`eventsim.Events`.
    counts : sequence of str
        Populations whose spikes are counted neuron by neuron.
    membrane : sequence of str, or mapping of str to array_like of int
        Populations of neurons whose position and drive are kept in every tick; of some neurons only, where these
        are given in ascending order.
    energy : bool
        Sum what :func:`eventsim.energy` needs: squared drives, and columns that are read.
    state : bool
        Keep the state at the end, to go on from.
    """

    spikes: Sequence[str] = ()
    counts: Sequence[str] = ()
    membrane: Sequence[str] | Mapping[str, ArrayLike] = ()
    energy: bool = False
    state: bool = False

    def watched(self, network: Network) -> dict[str, NDArray[np.int64]]:
        """Neurons of each population whose membrane is kept.

        Raises
        ------
        NetworkError
            A name or a neuron that is not there.
        """
        names = [population.name for population in network.populations]
        neurons = [population.name for population in network.of_kind(Population)]
        for what, wanted, known in (
            ("spikes", self.spikes, names),
            ("counts", self.counts, names),
            ("membrane", self.membrane, neurons),
        ):
            unknown = [wanted] if isinstance(wanted, str) else [name for name in wanted if name not in known]
            if unknown:
                given = f"the text {wanted!r}" if isinstance(wanted, str) else ", ".join(map(str, unknown))
                raise NetworkError(
                    "There is nothing to record there.",
                    given=given,
                    expected=f"{what} of some of {', '.join(known) or '(none)'}",
                    repair=f"Record({what}=[...]) with some of those names",
                )
        chosen = self.membrane if isinstance(self.membrane, Mapping) else dict.fromkeys(self.membrane)
        return {name: self._neurons(name, chosen[name], network[name].size) for name in names if name in chosen}

    @staticmethod
    def _neurons(name: str, wanted: ArrayLike | None, size: int) -> NDArray[np.int64]:
        row = np.arange(size) if wanted is None else np.asarray(wanted)
        usable = row.ndim == 1 and row.size and row.dtype.kind in "iu"
        if not usable or row[0] < 0 or row[-1] >= size or (np.diff(row.astype(np.int64)) <= 0).any():
            raise NetworkError(
                f"The neurons of {name} to record are not usable.",
                given=f"{row.ndim}-d array of {row.dtype}, {row.size} entries",
                expected=f"ascending whole numbers from 0 to {size - 1}",
                repair=f"Record(membrane={{{name!r}: [0, 1]}})",
            )
        return row.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Trace:
    """Tick by tick record of some neurons of a population.

    Attributes
    ----------
    neurons : array of int64, shape (n,)
        Which ones.
    membrane : array of float32 or, in double precision, float64, shape (samples, ticks, n)
        Position at the end of each tick, before reset (nm); ``inf`` after a run-away.
    drive : array of the same type and shape
        Dimensionless drive of each tick.
    """

    neurons: NDArray[np.int64]
    membrane: NDArray[np.floating]
    drive: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Recording:
    """Counts of every sample, and what :class:`Record` asked for besides.

    Attributes
    ----------
    ticks : int
        Of each sample, in this run.
    spikes : mapping of str to array of int64, shape (samples,)
        Spikes of each population, sources included.
    synops : mapping of str to array of int64, shape (samples,)
        Synaptic operations of each projection: synapses that a spike arrived through.
    readout : mapping of str to array of float32 or, in double precision, float64, shape (samples, n)
        Mean drive per tick of each readout, since the samples were at rest.
    events : mapping of str to Events
        Spikes of the populations in ``Record.spikes``; none if they are in ``file``, see
        :class:`eventsim.stream.EventFile` and :func:`eventsim.recorder.read_recording`.
    counts : mapping of str to array of int32, shape (samples, n)
        Spikes of each neuron of those in ``Record.counts``.
    traces : mapping of str to Trace
        Of the populations in ``Record.membrane``; none if they are in ``file``.
    column_reads : mapping of str to array of int64, shape (samples,)
        Neuron-ticks of each population in which at least one spike arrived; with ``Record.energy``.
    drive_squared : mapping of str to array of float64, shape (samples,)
        Sum over neurons and ticks of the squared drive of each population of neurons; with ``Record.energy``.
    state : NetworkState or None
        At the end, with ``Record.state``.
    file : path or None
        Where the recording is kept.
    frames : int or None
        Ticks of all samples together that were run, where a run is not finished.
    """

    ticks: int
    spikes: Mapping[str, NDArray[np.int64]]
    synops: Mapping[str, NDArray[np.int64]]
    readout: Mapping[str, NDArray[np.floating]]
    events: Mapping[str, Events] = field(default_factory=dict)
    counts: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    traces: Mapping[str, Trace] = field(default_factory=dict)
    column_reads: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    drive_squared: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    state: NetworkState | None = None
    file: Path | None = None
    frames: int | None = None
