"""Objectives against the output spikes of a spiking teacher (Kushawaha et al., "Distilling Spikes").

Gradients are by the output of every tick: they train a student that ends in neurons, by BPTT.
"""

from __future__ import annotations

from dataclasses import dataclass

from eventsim.checks import count, one_number
from eventsim.errors import ConfigError
from eventsim.training.choices import choice
from eventsim.training.objective import Labels, Needs, Objective, Value, told
from eventsim.training.produced import Produced, Slopes
from eventsim.training.signal import Array
from eventsim.training.softened import DIRECTIONS
from eventsim.training.spike_loss import (
    ENDS,
    REDUCTIONS,
    Spikes,
    sliding_l1,
    sliding_l2,
    spike_distillation,
    spike_kl,
    spike_l1,
    spike_l2,
)
from eventsim.training.taught import Taught


class SpikeObjective(Objective):
    """What objectives on spikes share: the output of every tick of student and teacher."""

    @property
    def needs(self) -> Needs:
        return Needs(steps=True, spikes=True)

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        spikes = told(self, produced, taught).spikes
        assert spikes is not None
        value, slope = self.loss(produced.steps, spikes)
        return Value(value, Slopes(steps=slope))

    def loss(self, student: Array, teacher: Spikes) -> tuple[float, Array]:
        """Value, and gradient by the student's output, shape (batch, ticks, classes)."""
        raise NotImplementedError


@dataclass(frozen=True)
class SpikeL1(SpikeObjective):
    """Number of spikes that differ; see :func:`eventsim.training.spike_loss.spike_l1`.

    Parameters
    ----------
    reduction : str
        ``"sum"``, as printed, or ``"mean"`` over batch, ticks and classes.

    Raises
    ------
    ConfigError
        An unknown reduction.
    """

    reduction: str = "sum"

    def __post_init__(self) -> None:
        choice("reduction", self.reduction, REDUCTIONS)

    def loss(self, student: Array, teacher: Spikes) -> tuple[float, Array]:
        return spike_l1(student, teacher, reduction=self.reduction)


@dataclass(frozen=True)
class SpikeL2(SpikeObjective):
    """Squared distance of spikes, or its root; see :func:`eventsim.training.spike_loss.spike_l2`.

    Parameters
    ----------
    root : bool
        Whether the root is taken, one for the whole batch.
    reduction : str
        As in :class:`SpikeL1`.

    Raises
    ------
    ConfigError
        An unknown reduction.
    """

    root: bool = False
    reduction: str = "sum"

    def __post_init__(self) -> None:
        choice("reduction", self.reduction, REDUCTIONS)

    def loss(self, student: Array, teacher: Spikes) -> tuple[float, Array]:
        return spike_l2(student, teacher, root=self.root, reduction=self.reduction)


@dataclass(frozen=True)
class SpikeKL(SpikeObjective):
    """Divergence between softmaxes of counted spikes; see :func:`eventsim.training.spike_loss.spike_kl`.

    Parameters
    ----------
    temperature : float
        Above 0.
    direction : str
        As for :class:`~eventsim.training.soft_objective.SoftTargets`.

    Raises
    ------
    ConfigError
        A temperature that is not positive, or an unknown direction.
    """

    temperature: float = 1.0
    direction: str = "forward"

    def __post_init__(self) -> None:
        one_number("temperature", self.temperature, 1e-9, 1e9, repair="SpikeKL(temperature=1.0)", kind=ConfigError)
        choice("direction", self.direction, DIRECTIONS)

    def loss(self, student: Array, teacher: Spikes) -> tuple[float, Array]:
        return spike_kl(student, teacher, self.temperature, direction=self.direction)


@dataclass(frozen=True)
class _Sliding(SpikeObjective):
    window: int = 5
    ends: str = "valid"
    reduction: str = "sum"

    def __post_init__(self) -> None:
        count("window", self.window, 1, kind=ConfigError)
        choice("ends", self.ends, ENDS)
        choice("reduction", self.reduction, REDUCTIONS)


@dataclass(frozen=True)
class SlidingL1(_Sliding):
    """L1 distances of spikes within windows of ticks; see :func:`eventsim.training.spike_loss.sliding_l1`.

    Parameters
    ----------
    window : int
        Ticks of a window; a batch of fewer ticks is refused.
    ends : str
        ``"valid"``: windows lie within the ticks; ``"clipped"``: one begins in every tick, the last ones are cut off.
    reduction : str
        As in :class:`SpikeL1`.

    Raises
    ------
    ConfigError
        A window that is no whole number from 1, or an unknown option; in a call, a window longer than all ticks.
    """

    def loss(self, student: Array, teacher: Spikes) -> tuple[float, Array]:
        return sliding_l1(student, teacher, self.window, ends=self.ends, reduction=self.reduction)


@dataclass(frozen=True)
class SlidingL2(_Sliding):
    """L2 distances of spikes within windows of ticks; see :func:`eventsim.training.spike_loss.sliding_l2`.

    Parameters and errors as for :class:`SlidingL1`.
    """

    def loss(self, student: Array, teacher: Spikes) -> tuple[float, Array]:
        return sliding_l2(student, teacher, self.window, ends=self.ends, reduction=self.reduction)


@dataclass(frozen=True)
class SpikeDistillation(SpikeObjective):
    """``KL + weight (sliding L1 + sliding L2)``; see :func:`eventsim.training.spike_loss.spike_distillation`.

    Parameters
    ----------
    window, ends
        As in :class:`SlidingL1`.
    weight : float
        Of the sliding distances, which are means over batch, ticks and classes.
    temperature : float
        Of the divergence, above 0.

    Raises
    ------
    ConfigError
        A weight that is negative, a temperature that is not positive; the others as for :class:`SlidingL1`.
    """

    window: int = 5
    weight: float = 0.1
    ends: str = "valid"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        count("window", self.window, 1, kind=ConfigError)
        one_number("weight", self.weight, 0, 1e9, repair="weight=0.1", kind=ConfigError)
        choice("ends", self.ends, ENDS)
        one_number("temperature", self.temperature, 1e-9, 1e9, repair="temperature=1.0", kind=ConfigError)

    def loss(self, student: Array, teacher: Spikes) -> tuple[float, Array]:
        return spike_distillation(
            student, teacher, self.window, weight=self.weight, ends=self.ends, temperature=self.temperature
        )
