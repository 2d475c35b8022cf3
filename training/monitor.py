"""What is watched while a model trains: sums over an epoch, the line that they make, and layers that fell silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.training.gradient import Gradient

DEAD, SATURATED = 1e-3, 0.95
"""Spikes per neuron and tick, below and above which a layer is hardly worth its neurons."""


class FiringWarning(UserWarning):
    """A layer whose neurons hardly ever fire, or nearly always."""


class Epoch(NamedTuple):
    """One line of a learning curve."""

    epoch: int
    """From 1."""
    loss: float
    """Mean objective over the samples, each before the step that its batch made."""
    train_accuracy: float
    """Likewise."""
    validation_accuracy: float
    learning_rate: float
    """Of the last step."""
    gradient_norm: float
    """Mean over the steps, before clipping."""
    firing_rates: dict[str, float]
    """Mean spikes per neuron and tick, of each spiking layer."""
    warnings: list[str]
    """Layers found dead or saturated for the first time."""
    seconds: float
    """With validation."""
    samples_per_second: float
    """In training alone."""

    def numbers(self) -> dict[str, Any]:
        """All but the times: what the seed decides."""
        return {name: value for name, value in self._asdict().items() if name not in TIMES}


TIMES = ("seconds", "samples_per_second")
"""Fields of an epoch that are not the same every time."""


class Tally(NamedTuple):
    """Sums over the steps of an epoch that is not finished."""

    steps: int = 0
    samples: int = 0
    loss: float = 0.0
    right: int = 0
    norm: float = 0.0
    firing: Mapping[str, float] = {}
    learning_rate: float = 0.0
    seconds: float = 0.0

    def add(self, step: Gradient, labels: NDArray[np.int64], norm: float, rate: float, seconds: float) -> Tally:
        """Sums with one step more."""
        n = len(labels)
        return Tally(
            self.steps + 1,
            self.samples + n,
            self.loss + step.value * n,
            self.right + int((step.logits.argmax(axis=1) == labels).sum()),
            self.norm + norm,
            {name: self.firing.get(name, 0.0) + n * value for name, value in step.rates.items()},
            rate,
            self.seconds + seconds,
        )

    def epoch(self, history: Sequence[Epoch], validation: float, seconds: float) -> Epoch:
        """The line of this epoch, behind a ``history``; validation took some seconds."""
        firing = {name: value / self.samples for name, value in self.firing.items()}
        return Epoch(
            len(history) + 1,
            self.loss / self.samples,
            self.right / self.samples,
            validation,
            self.learning_rate,
            self.norm / self.steps,
            firing,
            notes(firing, [note for epoch in history for note in epoch.warnings]),
            self.seconds + seconds,
            self.samples / max(self.seconds, 1e-9),
        )


def notes(firing: Mapping[str, float], before: Sequence[str]) -> list[str]:
    """What is to be said of layers that are dead or saturated, once for each layer."""
    found = []
    for name, rate in firing.items():
        about = f"layer {name} is "
        if not DEAD <= rate <= SATURATED and not any(note.startswith(about) for note in before):
            state = "dead" if rate < DEAD else "saturated"
            found.append(f"{about}{state}: {rate:.3g} spikes per neuron and tick")
    return found
