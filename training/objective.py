"""What a student is trained to do: objectives, which add up with weights.

    CrossEntropy() + 0.5 * SoftTargets(temperature=4.0) + (0.1 * FeatureDistance("5", "3")).ramped(warm_up)

An objective sees what the student produced and what its teacher said, and returns its value and gradient. It is a
frozen set of options: what it learns (regressors, branches) belongs to the model, as its heads.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import one_number
from eventsim.errors import ConfigError, DataError
from eventsim.training.produced import Produced, Slopes
from eventsim.training.schedule import Constant, Schedule
from eventsim.training.signal import Array
from eventsim.training.taught import Taught

Labels = NDArray[np.int64]
_NONE: frozenset[str] = frozenset()


class Needs(NamedTuple):
    """What an objective looks at besides the logits of the student."""

    outputs: frozenset[str] = _NONE
    """Places of layers, or names of heads, of the student."""
    steps: bool = False
    """Every tick of the student: there is no gradient by it in RateBP and DSR."""
    logits: bool = False
    """Of the teacher, as are the next ones."""
    features: frozenset[str] = _NONE
    spikes: bool = False

    @property
    def teacher(self) -> bool:
        """Whether it listens to a teacher."""
        return self.logits or bool(self.features) or self.spikes

    def plus(self, other: Needs) -> Needs:
        """What two objectives look at."""
        return Needs(
            self.outputs | other.outputs,
            self.steps or other.steps,
            self.logits or other.logits,
            self.features | other.features,
            self.spikes or other.spikes,
        )


class Value(NamedTuple):
    """What an objective returns for a batch."""

    value: float
    slopes: Slopes


class Objective:
    """What all objectives can do: be added, and be weighted."""

    @property
    def needs(self) -> Needs:
        """What it looks at."""
        return Needs()

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        """Value and gradient for a batch.

        Parameters
        ----------
        produced : Produced
            What the student produced.
        labels : array of int, shape (batch,)
        taught : Taught, optional
            What the teacher said, if the objective :attr:`needs` it.
        done : float
            Share of the training that is over, from 0 to 1.
        """
        raise NotImplementedError

    def __add__(self, other: Objective) -> Sum:
        return Sum((*_terms(self), *_terms(other)))

    def __rmul__(self, weight: float) -> Weighted:
        return Weighted(self, weight)

    def ramped(self, ramp: Schedule) -> Weighted:
        """The objective times a factor that goes along with the training."""
        return Weighted(self, 1.0, ramp)


def _terms(objective: object) -> tuple[Objective, ...]:
    if not isinstance(objective, Objective):
        raise ConfigError(
            "The objective is not usable.",
            given=repr(objective),
            expected="an objective",
            repair="CrossEntropy() + 0.5 * SoftTargets(temperature=4.0)",
        )
    return objective.terms if isinstance(objective, Sum) else (objective,)


@dataclass(frozen=True)
class Weighted(Objective):
    """An objective times a weight.

    Parameters
    ----------
    objective : Objective
    weight : float
    ramp : Schedule
        A further factor for each moment of the training.

    Raises
    ------
    ConfigError
        A weight that is negative or not finite.
    """

    objective: Objective
    weight: float
    ramp: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        _terms(self.objective)
        one_number("weight of an objective", self.weight, 0, 1e9, repair="0.5 * SoftTargets()", kind=ConfigError)

    @property
    def needs(self) -> Needs:
        return self.objective.needs if self.weight else Needs()

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        factor = self.weight * self.ramp(done) if self.weight else 0.0
        if not factor:
            return Value(0.0, Slopes())
        value, slopes = self.objective(produced, labels, taught, done)
        return Value(factor * value, slopes.times(factor))

    def ramped(self, ramp: Schedule) -> Weighted:
        return replace(self, ramp=ramp)


@dataclass(frozen=True)
class Sum(Objective):
    """Objectives, added up in their order.

    Parameters
    ----------
    terms : tuple of Objective
    """

    terms: tuple[Objective, ...]

    @property
    def needs(self) -> Needs:
        needs = Needs()
        for term in self.terms:
            needs = needs.plus(term.needs)
        return needs

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        total, slopes = 0.0, Slopes()
        for term in self.terms:
            value, part = term(produced, labels, taught, done)
            total, slopes = total + value, slopes.plus(part)
        return Value(total, slopes)


def told(objective: Objective, produced: Produced, taught: Taught | None) -> Taught:
    """What a teacher said, if it is all that the objective needs for this batch.

    Raises
    ------
    ConfigError
        There is no teacher, or it has not said what the objective needs.
    DataError
        It is not finite, or of another batch or number of classes.
    """
    needs, batch = objective.needs, len(produced.logits)
    if taught is None:
        raise ConfigError(
            "The objective wants a teacher.",
            given="none",
            expected=f"a teacher, for {type(objective).__name__}",
            repair="teacher=TeacherCache.read(path, dataset), or an objective without a teacher",
        )
    missing = [f"features of layer {name}" for name in sorted(needs.features - taught.features.keys())]
    missing += ["spikes"] if needs.spikes and taught.spikes is None else []
    if missing:
        raise ConfigError(
            "The teacher has not said what the objective wants.",
            given=f"no {', no '.join(missing)}",
            expected=f"all that {type(objective).__name__} looks at",
            repair="a cache of a teacher that is asked for them: ModelTeacher(..., features=[...], spikes=True)",
        )
    for what, array, shape in _looked_at(needs, produced, taught, batch):
        if array.shape[: len(shape)] != shape or not np.isfinite(array).all():
            raise DataError(
                f"The {what} of the teacher do not fit the batch.",
                given=f"shape {array.shape}, {np.count_nonzero(~np.isfinite(array))} not finite",
                expected=f"finite, of shape {shape}",
                repair="cache.batch(ids), for the samples of the batch",
            )
    return taught


def _looked_at(
    needs: Needs, produced: Produced, taught: Taught, batch: int
) -> list[tuple[str, NDArray[np.generic], tuple[int, ...]]]:
    """What is needed of a teacher: name, array, and how its shape begins."""
    parts: list[tuple[str, NDArray[np.generic], tuple[int, ...]]] = []
    if needs.logits:
        parts.append(("logits", taught.logits, produced.logits.shape))
    parts += [(f"features {name}", taught.features[name], (batch,)) for name in sorted(needs.features)]
    if needs.spikes and taught.spikes is not None:
        parts.append(("spikes", taught.spikes, produced.steps.shape))
    return parts


def output(produced: Produced, name: str, of: Array | None = None) -> Array:
    """An output of the student, of the shape of what it is compared with.

    Raises
    ------
    DataError
        The shapes differ.
    """
    found = produced.outputs[name]
    if of is not None and found.shape != of.shape:
        raise DataError(
            "The maps of student and teacher do not fit.",
            given=f"{name} of the student, shape {found.shape}, for {of.shape} of the teacher",
            expected="one shape",
            repair="a head with a convolution, 1 x 1, to the channels of the teacher",
        )
    return found
