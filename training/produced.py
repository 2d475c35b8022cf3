"""What a student produced for a batch, and the gradient of an objective by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from eventsim.training.signal import Array


class Produced(NamedTuple):
    """What objectives see of a student."""

    logits: Array
    """Shape (batch, classes): means over the ticks."""
    steps: Array
    """Output of every tick, shape (batch, ticks, classes); spikes, where the student ends in neurons."""
    outputs: Mapping[str, Array] = {}
    """By name, shape (batch, ...): mean over the ticks of what a layer gives, by its place, or what a head makes of
    it."""


class Slopes(NamedTuple):
    """Gradient by a :class:`Produced`; what is left out is 0."""

    logits: Array | None = None
    steps: Array | None = None
    outputs: Mapping[str, Array] = {}

    def times(self, factor: float) -> Slopes:
        """All of it, by a factor."""
        if factor == 1:
            return self
        one, two = (None if part is None else part * part.dtype.type(factor) for part in self[:2])
        return Slopes(one, two, {name: part * part.dtype.type(factor) for name, part in self.outputs.items()})

    def plus(self, other: Slopes) -> Slopes:
        """Sum of two."""
        names = {**self.outputs, **other.outputs}
        outputs = {name: _sum(self.outputs.get(name), other.outputs.get(name)) for name in names}
        held = {name: part for name, part in outputs.items() if part is not None}
        return Slopes(_sum(self.logits, other.logits), _sum(self.steps, other.steps), held)

    def finite(self) -> bool:
        """Whether all of it is."""
        return all(np.isfinite(part).all() for part in (*self[:2], *self.outputs.values()) if part is not None)


def _sum(one: Array | None, two: Array | None) -> Array | None:
    return two if one is None else one if two is None else one + two
