"""What a trained student does on the engine: its activity on nominal devices, and its accuracy on drawn chips."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from eventsim import keys
from eventsim.energy import PERIPHERY, priced, total
from eventsim.events import Events
from eventsim.training.builders import products
from eventsim.training.dataset import SPLIT_SEED, Dataset
from eventsim.training.deploy import deploy, spikes_that_differ
from eventsim.training.encode import EVALUATION, Encoder
from eventsim.training.front import Front, cut
from eventsim.training.layer import Params
from eventsim.training.model import Model
from eventsim.training.network import to_events, to_network
from eventsim.training.results import Activity, Chips
from eventsim.training.signal import Signal, size_of
from eventsim.variation import Variation

SPREADS = (0.05, 0.1, 0.2)
"""Relative deviations of every device parameter, besides none."""
CHIPS = 3
"""Drawn of each spread."""
SAMPLES, FEW = 500, 50
"""Of the test set, at most, the same for all students; and in quick forms."""


class OnEngine:
    """A student, ready to be simulated; one that is fed with real values is cut behind its first neurons.

    Parameters
    ----------
    model : Model
        Without heads, with neurons.
    params : dict of str to array
    encoder : Encoder
        That it was trained with.
    dataset : Dataset
    threads : int
    samples : int
        Of its test split, at most.
    """

    def __init__(
        self,
        model: Model,
        params: Params,
        encoder: Encoder,
        dataset: Dataset,
        threads: int,
        samples: int = SAMPLES,
    ) -> None:
        self.dataset, self.threads, self.ticks = dataset, threads, encoder.ticks
        order = keys.permutation(SPLIT_SEED, "engine", len(dataset.test))
        self.ids: NDArray[np.int64] = np.sort(dataset.test[order[:samples]])
        self.front: Front | None = None
        self.model, self.params, self.encoder = model, params, encoder
        if self._encoded(encoder, self.ids[:1]).most != 1:
            self.front, self.model, self.params = cut(model, params, encoder)
            self.encoder = self.front
        self.network = to_network(self.model, self.params)

    def _encoded(self, encoder: Encoder, ids: NDArray[np.int64]) -> Signal:
        return encoder(encoder.prepare(self.dataset.x[ids]), ids, EVALUATION)

    def on_chips(self, spread: float, seed: int) -> Chips:
        """The student on drawn chips, its front included."""
        variation, before = Variation.all(spread), []

        def events(chip: int) -> Events:
            drawn = self.encoder if self.front is None else self.front.on_chip(variation, seed=seed, chip=chip)
            encoded = self._encoded(drawn, self.ids)
            before.append(0.0 if self.front is None else float(encoded.values.sum()) / len(self.ids))
            return to_events(self.model, encoded)

        found = deploy(
            self.network,
            events,
            self.dataset.labels[self.ids],
            spread,
            chips=CHIPS if spread else 1,
            seed=seed,
            threads=self.threads,
        )
        counts = Counter({line.event: line.count for line in found.energy})
        counts.update(self.front_counts | dict.fromkeys(("spike read-out", "neuron reset"), fmean(before)))
        lines = priced(counts)
        devices, everything = (total(lines, devices_only=only).default / 1000 for only in (True, False))
        return Chips(
            variation=spread,
            accuracies=tuple(found.accuracies),
            spikes=fmean(before) + found.spikes,
            synops=found.synops,
            devices_pj=devices,
            with_periphery_pj=everything,
        )

    @cached_property
    def front_counts(self) -> dict[str, float]:
        """Events of the front per sample, which is taken for a crossbar with real inputs: all is read in every tick."""
        if self.front is None:
            return {}
        drive = self.front.drive(self.front.prepare(self.dataset.x[self.ids]), self.ids, EVALUATION)
        neurons = size_of(drive.values.shape[2:])
        squares = float(np.square(drive.plain(), dtype=np.float64).sum()) / len(self.ids) / drive.ticks
        macs = products(self.front.chain.layers, self.front.inputs)
        return {
            "neuron drive": squares * self.ticks,
            "synaptic operation": macs * self.ticks,
            PERIPHERY: neurons * self.ticks,
        }

    def activity(self, nominal: Chips) -> Activity:
        """What it does on nominal devices."""
        few = self.ids[:FEW]
        return Activity(
            samples=len(self.ids),
            spikes=nominal.spikes,
            synops=nominal.synops,
            front_macs=self.front_counts.get("synaptic operation", 0.0),
            differ=spikes_that_differ(self.model, self.params, self._encoded(self.encoder, few), self.network),
            rates=self.rates(),
        )

    def rates(self) -> tuple[float, ...]:
        """Spikes per neuron in each tick: mean over all neurons, those of the front included, and samples."""
        fired, chances = np.zeros(self.ticks), 0
        for first in range(0, len(self.ids), FEW):
            encoded = self._encoded(self.encoder, self.ids[first : first + FEW])
            layers = self.model.spikes(self.params, encoded, self.ticks)
            front = [] if self.front is None else [encoded.plain()]
            for spikes in [*front, *layers]:
                by_tick = spikes.reshape(len(spikes), self.ticks, -1)
                fired += by_tick.sum(axis=(0, 2), dtype=np.float64)
                chances += by_tick[:, 0].size
        return tuple((fired / chances).tolist())

    def measure(self, seed: int, *, chips: bool) -> tuple[Activity, tuple[Chips, ...]]:
        """What it does on nominal devices and, if asked for, what it reaches on chips of every spread."""
        nominal = self.on_chips(0.0, seed)
        drawn = tuple(self.on_chips(spread, seed) for spread in SPREADS) if chips else ()
        return self.activity(nominal), (nominal, *drawn) if chips else ()
