"""Run a network on events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import ConfigError, EventsError, NetworkError
from eventsim.events import Events
from eventsim.kernels import engine
from eventsim.keys import check_seed
from eventsim.network import Network, Population, Readout, Source
from eventsim.parallel import check_threads, split
from eventsim.recording import Recording, Trace
from eventsim.stochastic import StochasticNeuron


def _inputs(network: Network, events: Events | Mapping[str, Events]) -> dict[str, Events]:
    sources = [source.name for source in network.of_kind(Source)]
    if isinstance(events, Events) and len(sources) == 1:
        events = {sources[0]: events}
    parts = events if isinstance(events, Mapping) else {}
    if not parts or set(parts) != set(sources) or not all(isinstance(part, Events) for part in parts.values()):
        raise EventsError(
            "The events do not fit the sources of the network.",
            given=f"{type(events).__name__} with the names {', '.join(map(str, parts)) or '(none)'}",
            expected=f"Events for each of {', '.join(sources) or 'no source: add a Source to the network'}",
            repair="simulate(network, {name: Events(...), ...})",
        )
    for name, part in parts.items():
        wanted = (*next(iter(parts.values())).shape[:2], network[name].size)
        if part.shape != wanted:
            raise EventsError(
                f"The events for source {name!r} have the wrong shape.",
                given=f"{part.shape} samples, ticks and addresses",
                expected=wanted,
                repair=f"Events(..., shape={wanted})",
            )
    return dict(parts)


def _merge(network: Network, inputs: dict[str, Events]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Events of all sources, ordered by frame (sample and tick) and neuron, with the offset of each frame."""
    samples, ticks, _ = next(iter(inputs.values())).shape
    frame = np.concatenate([part.sample * ticks + part.tick for part in inputs.values()])
    start = network.frozen.start
    neuron = np.concatenate([part.address + start[network.index(name)] for name, part in inputs.items()])
    if len(inputs) > 1:
        order = np.lexsort((neuron, frame))
        frame, neuron = frame[order], neuron[order]
    offsets = np.searchsorted(frame, np.arange(samples * ticks + 1))
    return offsets.astype(np.int64), neuron.astype(np.int32)


def simulate(
    network: Network,
    events: Events | Mapping[str, Events],
    *,
    record: Sequence[str] = (),
    seed: int | None = None,
    threads: int = 1,
) -> Recording:
    """Propagate spikes through a network, each sample by itself and from rest.

    In every tick, spikes that are due add the weight of their synapses to the drive of their targets; each
    neuron is stepped exactly under that drive, fires if it reached its threshold, and is reset.

    Parameters
    ----------
    network : Network
    events : Events, or mapping of source name to Events
        Input spikes; they give the numbers of samples and ticks.
    record : sequence of str
        Populations of neurons whose spikes, membrane and drive are kept for every tick.
    seed : int, optional
        Of neurons that switch by chance; required if the network has any.
    threads : int
        Samples run in parallel; the result does not depend on it.

    Returns
    -------
    Recording

    Raises
    ------
    EventsError
        Events that do not fit the sources.
    NetworkError
        ``record`` names something that is not a population of neurons.
    ConfigError
        More threads than cores, or no seed for neurons that switch by chance.
    """
    check_threads(threads)
    inputs = _inputs(network, events)
    populations = {population.name: population for population in network.of_kind(Population)}
    unknown = [record] if isinstance(record, str) else [name for name in record if name not in populations]
    if unknown:
        raise NetworkError(
            "There is nothing to record there.",
            given=f"the text {record!r}" if isinstance(record, str) else ", ".join(map(str, unknown)),
            expected=f"populations of neurons: {', '.join(populations)}",
            repair="record=[...] with some of those names",
        )
    chancy = [name for name, p in populations.items() if isinstance(p.devices.nominal, StochasticNeuron)]
    if chancy and seed is None:
        raise ConfigError(
            "Neurons that switch by chance need a seed.",
            given=f"no seed for {', '.join(chancy)}",
            expected="a whole number",
            repair="simulate(..., seed=0)",
        )
    key = np.uint64(check_seed(0 if seed is None else seed))
    samples, ticks, _ = next(iter(inputs.values())).shape
    columns, width = np.full(len(network.populations), -1, np.int64), 0
    for name in dict.fromkeys(record):
        columns[network.index(name)] = width
        width += populations[name].size
    probes = _probes(network, samples, ticks, width)
    offsets, addresses = _merge(network, inputs)

    def work(first: int, last: int) -> None:
        engine.run(network.frozen, offsets, addresses, ticks, columns, key, first, last, probes)

    split(work, samples, threads)
    return _recording(network, ticks, columns, probes)


def _probes(network: Network, samples: int, ticks: int, width: int) -> engine.Probes:
    pops, projections = len(network.populations), len(network.projections)
    readouts = sum(readout.size for readout in network.of_kind(Readout))
    return engine.Probes(
        spikes=np.zeros((samples, pops), np.int64),
        synops=np.zeros((samples, projections), np.int64),
        column_reads=np.zeros((samples, pops), np.int64),
        drive_squared=np.zeros((samples, pops), np.float64),
        readout=np.zeros((samples, readouts), np.float32),
        raster=np.zeros((samples, ticks, width), np.uint8),
        membrane=np.zeros((samples, ticks, width), np.float32),
        drive=np.zeros((samples, ticks, width), np.float32),
    )


def _recording(network: Network, ticks: int, columns: NDArray[np.int64], probes: engine.Probes) -> Recording:
    index = {population.name: i for i, population in enumerate(network.populations)}
    populations = {population.name: population for population in network.of_kind(Population)}
    traces = {}
    for name, i in index.items():
        if columns[i] >= 0:
            part = slice(columns[i], columns[i] + network[name].size)
            spikes = Events.from_frames(probes.raster[:, :, part])
            membrane = probes.membrane[:, :, part] * populations[name].devices.unit.astype(np.float32)
            traces[name] = Trace(spikes, membrane, probes.drive[:, :, part])
    first = network.frozen.readout
    mean = probes.readout / np.float32(ticks)
    return Recording(
        ticks=ticks,
        spikes={name: probes.spikes[:, i] for name, i in index.items()},
        synops={projection.name: probes.synops[:, k] for k, projection in enumerate(network.incoming)},
        column_reads={name: probes.column_reads[:, i] for name, i in index.items()},
        drive_squared={p.name: probes.drive_squared[:, index[p.name]] for p in network.of_kind(Population)},
        readout={r.name: mean[:, first[index[r.name]] :][:, : r.size] for r in network.of_kind(Readout)},
        traces=traces,
    )
