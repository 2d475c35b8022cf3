"""What a trained student does on the engine: its activity on nominal devices, and its accuracy on drawn chips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsim import keys
from eventsim.energy import total
from eventsim.training.builders import products
from eventsim.training.dataset import SPLIT_SEED, Dataset
from eventsim.training.deploy import Deployment, deploy, spikes_that_differ
from eventsim.training.encode import EVALUATION, Encoder
from eventsim.training.front import Front, cut
from eventsim.training.layer import Params
from eventsim.training.model import Model
from eventsim.training.network import to_events, to_network
from eventsim.training.results import Activity, Chips
from eventsim.training.signal import Signal
from eventsim.variation import Variation

SPREADS = (0.0, 0.05, 0.1, 0.2)
"""Relative deviations of every device parameter."""
CHIPS = 3
"""Drawn of each spread."""
SAMPLES = 500
"""Of the test set, at most: the same for all students."""
_COMPARED = 50


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
    """

    def __init__(self, model: Model, params: Params, encoder: Encoder, dataset: Dataset, threads: int) -> None:
        self.dataset, self.threads, self.ticks = dataset, threads, encoder.ticks
        order = keys.permutation(SPLIT_SEED, "engine", len(dataset.test))
        self.ids: NDArray[np.int64] = np.sort(dataset.test[order[:SAMPLES]])
        self.front: Front | None = None
        self.model, self.params, self.encoder = model, params, encoder
        if self._encoded(encoder, self.ids[:1]).most != 1:
            self.front, self.model, self.params = cut(model, params, encoder)
            self.encoder = self.front
        self.network = to_network(self.model, self.params)

    def _encoded(self, encoder: Encoder, ids: NDArray[np.int64]) -> Signal:
        return encoder(encoder.prepare(self.dataset.x[ids]), ids, EVALUATION)

    def on_chips(self, spread: float, seed: int) -> Deployment:
        """The student on drawn chips, its front included."""
        variation = Variation.all(spread)

        def spikes(chip: int) -> Signal:
            drawn = self.encoder if self.front is None else self.front.on_chip(variation, seed=seed, chip=chip)
            return self._encoded(drawn, self.ids)

        return deploy(
            self.network,
            lambda chip: to_events(self.model, spikes(chip)),
            self.dataset.labels[self.ids],
            spread,
            chips=CHIPS if spread else 1,
            seed=seed,
            threads=self.threads,
        )

    def activity(self, seed: int) -> Activity:
        """What it does on nominal devices."""
        found, few = self.on_chips(0.0, seed), self.ids[:_COMPARED]
        before = 0.0
        macs = 0
        if self.front is not None:
            before = float(self._encoded(self.front, self.ids).values.sum()) / len(self.ids)
            macs = products(self.front.chain.layers, self.front.inputs) * self.ticks
        differ = spikes_that_differ(self.model, self.params, self._encoded(self.encoder, few), self.network)
        return Activity(
            samples=len(self.ids),
            spikes=before + found.spikes,
            synops=found.synops,
            front_macs=macs,
            differ=differ,
        )

    def chips(self, seed: int) -> tuple[Chips, ...]:
        """What it reaches on chips of every spread."""
        return tuple(_line(self.on_chips(spread, seed)) for spread in SPREADS)


def _line(found: Deployment) -> Chips:
    devices, everything = (total(found.energy, devices_only=only).default / 1000 for only in (True, False))
    accuracies = tuple(found.accuracies)
    return Chips(
        variation=found.variation,
        accuracies=accuracies,
        spikes=found.spikes,
        synops=found.synops,
        devices_pj=devices,
        with_periphery_pj=everything,
    )
