"""Objectives against labels."""

from __future__ import annotations

from dataclasses import dataclass

from eventsim.checks import one_number
from eventsim.errors import ConfigError
from eventsim.training.label_loss import brier_score, cross_entropy, squared_error
from eventsim.training.objective import Labels, Objective, Value
from eventsim.training.produced import Produced, Slopes
from eventsim.training.taught import Taught


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Cross-entropy of ``softmax(gain * logits)`` against the labels.

    Parameters
    ----------
    gain : float
        Logits over outputs. Outputs that aim at 0 and 1 need a gain to express a probability near 1.
    smoothing : float
        Share of the target that is spread evenly over all classes.

    Raises
    ------
    ConfigError
        A gain that is not positive, or a smoothing that is not from 0 to less than 1.
    """

    gain: float = 1.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        one_number("gain", self.gain, 1e-9, 1e9, repair="CrossEntropy(gain=1.0)", kind=ConfigError)
        one_number("smoothing", self.smoothing, 0, 0.999, repair="CrossEntropy(smoothing=0.1)", kind=ConfigError)

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        gain = produced.logits.dtype.type(self.gain)
        value, slope = cross_entropy(gain * produced.logits, labels, self.smoothing)
        return Value(value, Slopes(gain * slope))


@dataclass(frozen=True)
class SquaredError(Objective):
    """Mean squared error of the outputs against one-hot labels (Li et al., equation 4)."""

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        value, slope = squared_error(produced.logits, labels)
        return Value(value, Slopes(slope))


@dataclass(frozen=True)
class BrierScore(Objective):
    """Mean squared error of the probabilities against one-hot labels: equation 4 of Li et al. for a teacher."""

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        value, slope = brier_score(produced.logits, labels)
        return Value(value, Slopes(slope))
