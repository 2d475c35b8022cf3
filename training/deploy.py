"""Put a trained student on drawn chips and measure it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.device import Devices
from eventsim.energy import EnergyLine, energy
from eventsim.events import Events
from eventsim.network import Network
from eventsim.population import Population
from eventsim.recording import Record, Recording
from eventsim.simulate import simulate
from eventsim.training.layer import Layer, Params, Shape
from eventsim.training.model import Chain, Model
from eventsim.training.network import to_events
from eventsim.training.predict import accuracy
from eventsim.training.residual import Residual
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking
from eventsim.training.wiring import channels_first, to_training
from eventsim.variation import Variation


@dataclass(frozen=True)
class Deployment:
    """A student on several chips of one spread; counts and energies are means per sample over all chips."""

    variation: float
    accuracies: list[float]
    self_firing: list[int]
    spikes: float
    synops: float
    energy: list[EnergyLine]


def deploy(
    network: Network,
    events: Events | Callable[[int], Events],
    labels: NDArray[np.int64],
    variation: float,
    *,
    chips: int,
    seed: int,
    threads: int = 1,
    report: Callable[[int], None] = lambda chip: None,
) -> Deployment:
    """Simulate a network on ``chips`` drawn chips.

    Parameters
    ----------
    network : Network
        With a population ``readout``.
    events : Events or callable
        The samples as spikes, the same for every chip; or a function that gives them by the number of the chip.
    labels : array of int, shape (samples,)
    variation : float
        Relative spread of every device parameter.
    chips, seed, threads : int
    report : callable, optional
        Called with the number of each chip when it is done.

    Returns
    -------
    Deployment
    """
    accuracies, self_firing, recordings = [], [], []
    for chip in range(chips):
        drawn = network.on_chip(Variation.all(variation), seed=seed, chip=chip)
        seen = events(chip) if callable(events) else events
        recording = simulate(drawn, seen, record=Record(energy=True), threads=threads)
        accuracies.append(accuracy(recording.readout["readout"], labels))
        populations = [p for p in drawn.populations if isinstance(p, Population)]
        self_firing.append(sum(p.devices.self_firing for p in populations))
        recordings.append(recording)
        report(chip)
    return Deployment(
        variation,
        accuracies,
        self_firing,
        spikes=float(np.mean([_total(recording, "spikes") for recording in recordings])),
        synops=float(np.mean([_total(recording, "synops") for recording in recordings])),
        energy=_mean_energy([energy(recording) for recording in recordings]),
    )


def _total(recording: Recording, what: str) -> float:
    """Mean per sample, summed over populations or projections; sources are not devices and do not count."""
    counts = getattr(recording, what)
    return float(
        sum(count.mean() for name, count in counts.items() if what != "spikes" or name in recording.drive_squared)
    )


def _mean_energy(chips: list[list[EnergyLine]]) -> list[EnergyLine]:
    means = []
    for lines in zip(*chips, strict=True):
        costs = np.mean([line.energy for line in lines], axis=0)
        count = float(np.mean([line.count for line in lines]))
        means.append(replace(lines[0], count=count, energy=type(lines[0].energy)(*costs.tolist())))
    return means


def spikes_that_differ(model: Model, params: Params, x: ArrayLike | Signal, network: Network, threads: int = 1) -> int:
    """Compare the training forward pass with the engine: entries of spikes and logits that are not identical.

    Both run the devices of ``network``, which must be :func:`to_network` of the model, on nominal or drawn devices;
    ``x`` holds spikes.
    """
    events = to_events(model, x)
    signal = model.signal(model.signal(x).values.astype(np.uint8))
    twin = on_devices(model, network)
    hidden = [p.name for p in network.of_kind(Population)]
    recording = simulate(network, events, record=Record(spikes=hidden), threads=threads)
    differ = np.count_nonzero(twin.logits(params, signal) != recording.readout["readout"])
    for name, spikes in zip(hidden, twin.spikes(params, signal), strict=True):
        differ += np.count_nonzero(recording.events[name].to_frames() != channels_first(spikes))
    return int(differ)


def on_devices(model: Model, network: Network) -> Model:
    """The model with the devices of a network that is :func:`to_network` of it, such as one of ``network.on_chip``."""
    devices = iter([p.devices for p in network.of_kind(Population)])
    return Model(_with(model.layers, model.inputs, devices), model.inputs)


def _with(layers: Sequence[Layer], shape: Shape, devices: Iterator[Devices]) -> list[Layer]:
    """Layers on these devices, which are taken one row after the other."""
    made: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Spiking):
            made.append(replace(layer, neurons=to_training(next(devices), shape)))
        elif isinstance(layer, Chain):
            made.append(Chain(_with(layer.layers, shape, devices)))
        elif isinstance(layer, Residual):
            main, shortcut = (_with(branch, shape, devices) for branch in (layer.main, layer.shortcut))
            made.append(Residual(main, shortcut, layer.add))
        else:
            made.append(layer)
        shape = layer.shape(shape)
    return made
