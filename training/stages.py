"""The stages of a recipe as objects that are ready to be trained, and the check that they can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from eventsim.errors import InputError, NetworkError
from eventsim.parallel import ALONE, Workers
from eventsim.store import fingerprint
from eventsim.training.builders import weights
from eventsim.training.cache import MEMORY, TeacherCache
from eventsim.training.cachewriter import Show, cached
from eventsim.training.dataset import Dataset
from eventsim.training.encode import Encoder
from eventsim.training.fit import Fitted
from eventsim.training.fit_checks import check_fit
from eventsim.training.layer import Params
from eventsim.training.lessons import Online
from eventsim.training.model import Model
from eventsim.training.objective import Objective
from eventsim.training.plan import FitConfig
from eventsim.training.predict import accuracy, predict
from eventsim.training.recipe import Asked, Recipe, Stage
from eventsim.training.teachers import ModelTeacher


class Reached(TypedDict):
    """What a stage has reached, without times."""

    stage: str
    validation_accuracy: float
    test_accuracy: float
    best_epoch: int
    epochs: int
    weights: int
    firing_rates: dict[str, float]
    parameters_sha256: str


@dataclass(frozen=True, eq=False)
class Task:
    """A stage, made.

    Parameters
    ----------
    name : str
    model, start, encoder, objective, config
        What is trained, from where, on what input, to what end and how.
    teacher : str, optional
        Name of the stage that it listens to.
    origin : str, optional
        Name of the stage whose parameters it begins with, instead of ``start``.
    asked : Asked, optional
        What it is asked as a teacher itself.
    """

    name: str
    model: Model
    start: Params
    encoder: Encoder
    objective: Objective
    config: FitConfig
    teacher: str | None
    origin: str | None
    asked: Asked | None

    @classmethod
    def of(cls, stage: Stage, asked: Asked | None) -> Task:
        """A stage of a recipe."""
        model = stage.network()
        start = model.initial(stage.seed, stage.name)
        how = (stage.encoding(), stage.aim(), stage.plan())
        return cls(stage.name, model, start, *how, stage.teacher, stage.start, asked)

    def speaking(self, params: Params, workers: Workers = ALONE) -> tuple[ModelTeacher, Asked]:
        """The model as a teacher, without its heads, and what it is asked."""
        assert self.asked is not None
        model, own = self.model.bare(params)
        asked = self.asked
        return ModelTeacher(model, own, self.encoder, asked.features, asked.spikes, self.name, workers), asked

    def cached(
        self,
        path: Path,
        params: Params,
        dataset: Dataset,
        workers: Workers = ALONE,
        *,
        memory: int = MEMORY,
        show: Show = lambda done: None,
    ) -> TeacherCache:
        """What it says about the training samples: made, gone on with or read."""
        teacher, asked = self.speaking(params, workers)
        views, form, splits = asked.seen(), asked.kept(), ("train",)
        return cached(path, teacher, dataset, views=views, form=form, splits=splits, memory=memory, show=show)

    def check(self, dataset: Dataset, teacher: Task | None, origin: Task | None) -> None:
        """Try a step on a few samples with an untrained teacher, so that what does not fit is refused now."""
        if origin is not None:
            _check_same(self.start, origin.start, origin.name)
        lessons = None
        if teacher is not None:
            speaking, asked = teacher.speaking(teacher.start)
            lessons = Online(speaking, dataset, asked.seen(), asked.kept())
        check_fit(self.model, self.start, dataset, self.encoder, self.objective, self.config, lessons)
        if self.asked is not None:
            Online(self.speaking(self.start)[0], dataset, self.asked.seen(), self.asked.kept())

    def results(self, fitted: Fitted, dataset: Dataset, workers: Workers) -> Reached:
        """What was reached, without times."""
        model, params = self.model.bare(fitted.params)
        logits = predict(model, params, dataset, dataset.test, self.encoder, workers=workers)
        return {
            "stage": self.name,
            "validation_accuracy": fitted.best.validation_accuracy,
            "test_accuracy": accuracy(logits, dataset.labels[dataset.test]),
            "best_epoch": fitted.best.epoch,
            "epochs": len(fitted.history),
            "weights": weights(params),
            "firing_rates": fitted.best.firing_rates,
            "parameters_sha256": fingerprint(**params),
        }


def _check_same(wanted: Params, there: Params, origin: str) -> None:
    """Refuse to begin with the parameters of a net that has others."""
    for name in wanted | there:
        shapes = [params[name].shape if name in params else "none" for params in (there, wanted)]
        if shapes[0] != shapes[1]:
            raise NetworkError(
                f"The stage cannot begin where {origin} ends.",
                given=f"parameter {name}: {shapes[0]} in {origin}, {shapes[1]} here",
                expected="parameters of the same names and shapes",
                repair="start with a stage of the same layers and heads, or leave start out",
            )


def tasks(recipe: Recipe, dataset: Dataset) -> Sequence[Task]:
    """The stages of a recipe, checked with the data set and with each other.

    Raises
    ------
    InputError
        Something does not fit; the stage is named.
    """
    made: dict[str, Task] = {}
    for i, stage in enumerate(recipe.stage):
        with naming(i, stage.name):
            task = Task.of(stage, recipe.asked(stage))
            teacher, origin = (None if name is None else made[name] for name in (stage.teacher, stage.start))
            task.check(dataset, teacher, origin)
        made[stage.name] = task
    return list(made.values())


@contextmanager
def naming(i: int, stage: str) -> Iterator[None]:
    """Say of which stage something is refused."""
    try:
        yield
    except InputError as error:
        what = f"stage.{i}, {stage}: {error.what}"
        raise type(error)(what, given=error.given, expected=error.expected, repair=error.repair) from None
