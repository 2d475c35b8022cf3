"""Teachers that are trained along with their students (Li et al., equations 3 and 8 with delta > 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eventsim.errors import ConfigError
from eventsim.parallel import Workers, check_threads
from eventsim.training.dataset import Dataset
from eventsim.training.encode import Encoder
from eventsim.training.fit import Fitted, fitted
from eventsim.training.fit_checks import check_fit
from eventsim.training.keyed import Ints
from eventsim.training.layer import Params
from eventsim.training.lessons import Online
from eventsim.training.model import Model
from eventsim.training.objective import Objective
from eventsim.training.plan import FitConfig
from eventsim.training.standing import Standing
from eventsim.training.step import Training, views_of
from eventsim.training.taught import Taught
from eventsim.training.teachers import ModelTeacher
from eventsim.training.views import Views

_SHARED = ("epochs", "batch", "seed", "augment", "patience")


@dataclass(frozen=True, eq=False)
class Learner:
    """One of two models that learn together.

    Parameters
    ----------
    model : Model
    params : dict of str to array
        Start; not changed.
    encoder : Encoder
    objective : Objective
        It may listen to the other one.
    config : FitConfig
    features : sequence of str
        What it says to the other one, as for :class:`~eventsim.training.teachers.ModelTeacher`.
    gain : float
        What its logits are multiplied by for the other one.
    """

    model: Model
    params: Params
    encoder: Encoder
    objective: Objective
    config: FitConfig
    features: Sequence[str] = ()
    gain: float = 1.0


class Cotrained(NamedTuple):
    """What two learners found."""

    student: Fitted
    teacher: Fitted


def cotrain(student: Learner, teacher: Learner, dataset: Dataset, *, threads: int = 1) -> Cotrained:
    """Train a student and its teacher together, each with the other one as it is before the step.

    Each hears what the other says in evaluation; no gradient goes through it. Nothing is kept on disk: what a cache
    holds of a teacher that learns is stale.

    Parameters
    ----------
    student, teacher : Learner
        With the same epochs, batches, seed and augmentation, and without patience.
    dataset : Dataset
    threads : int
        No number depends on it.

    Returns
    -------
    Cotrained

    Raises
    ------
    ConfigError
        Settings that differ, patience, or what :func:`eventsim.training.fit` refuses.
    TrainingError
        Something is no longer finite.
    """
    check_threads(threads)
    _check_shared(student.config, teacher.config)
    with Workers(threads) as workers:
        one, two = _Side(student, dataset, workers), _Side(teacher, dataset, workers)
        for side, other in ((one, two), (two, one)):
            side.check(other)
        at, also = (side.training.begin(side.learner.params) for side in (one, two))
        while not one.training.over(at):
            for ids in one.training.batches(at):
                heard, said = one.heard(two, also, at.epoch, ids), two.heard(one, at, at.epoch, ids)
                at, also = one.training.learn(at, ids, heard), two.training.learn(also, ids, said)
            at, also = (side.training.validated(now, _go_on) for side, now in ((one, at), (two, also)))
    return Cotrained(fitted(one.training, at), fitted(two.training, also))


class _Side:
    """A learner in its training."""

    def __init__(self, learner: Learner, dataset: Dataset, workers: Workers) -> None:
        self.learner, self.dataset, self.workers = learner, dataset, workers
        own = learner.model, dataset, learner.encoder, learner.objective, learner.config
        self.training = Training(*own, None, workers)

    def hearing(self, other: _Side, params: Params) -> Online:
        """What the other one says with these parameters about what this one sees."""
        own, it = self.learner, other.learner
        teacher = ModelTeacher(*it.model.bare(params), it.encoder, it.features, workers=self.workers)
        views = views_of(own.model, own.config, None) if own.config.augment else Views()
        return Online(teacher, self.dataset, views)

    def heard(self, other: _Side, at: Standing, epoch: int, ids: Ints) -> Taught | None:
        """What it hears from the other one, which stands somewhere, if it listens."""
        if not self.learner.objective.needs.teacher:
            return None
        online = self.hearing(other, at.params)
        said, gain = online.batch(ids, online.views.of(epoch)), other.learner.gain
        return said if gain == 1 else said._replace(logits=said.logits * said.logits.dtype.type(gain))

    def check(self, other: _Side) -> None:
        """Refuse what does not fit, before any work."""
        learner = self.learner
        lessons = Online(self.hearing(other, other.learner.params).teacher, self.dataset)
        own = learner.model, learner.params, self.dataset, learner.encoder, learner.objective, learner.config
        check_fit(*own, lessons if learner.objective.needs.teacher else None)


def _check_shared(one: FitConfig, two: FitConfig) -> None:
    differing = [name for name in _SHARED if getattr(one, name) != getattr(two, name)]
    if differing or one.patience is not None:
        raise ConfigError(
            "Student and teacher cannot be trained together.",
            given=f"different {', '.join(differing)}" if differing else f"patience={one.patience}",
            expected=f"the same {', '.join(_SHARED[:-1])}, and no patience",
            repair="replace(config, rate=1e-4) for the teacher",
        )


def _go_on() -> None:
    """Nothing waits behind a validation."""
