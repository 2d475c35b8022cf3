"""What a training is refused for before any work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from eventsim.checks import made
from eventsim.errors import CacheError, ConfigError, DataError, NetworkError
from eventsim.training.dataset import Dataset
from eventsim.training.delta import check_signals
from eventsim.training.encode import Encoder
from eventsim.training.frames import check_frames
from eventsim.training.gradient import check_batch, check_objective, gradient
from eventsim.training.layer import Params
from eventsim.training.lessons import Lessons
from eventsim.training.model import Model
from eventsim.training.objective import Objective
from eventsim.training.plan import FitConfig
from eventsim.training.step import views_of

_FEW = 2
"""Samples that a training is tried with."""
_KINDS: Mapping[str, tuple[Any, str]] = {
    "model": (Model, "Model([Dense(784, 10)], (784,))"),
    "params": (Mapping, "params=model.initial(seed)"),
    "dataset": (Dataset, "load(name, folder), or Dataset(...)"),
    "encoder": (Encoder, "Direct(ticks=4)"),
    "objective": (Objective, "CrossEntropy()"),
    "config": (FitConfig, "FitConfig(epochs=10)"),
    "teacher": (Lessons | None, "teacher=TeacherCache.read(path), or None"),
    "folder": (str | os.PathLike | None, 'folder="run", or None'),
    "report": (Callable, "report=print"),
}


def check_kinds(**given: object) -> None:
    """Refuse arguments of :func:`eventsim.training.fit` that are not what their name says."""
    for name, value in given.items():
        kind, repair = _KINDS[name]
        made(name, value, kind, repair=repair)


def check_fit(
    model: Model,
    params: Params,
    dataset: Dataset,
    encoder: Encoder,
    objective: Objective,
    config: FitConfig,
    teacher: Lessons | None,
) -> None:
    """Refuse what does not fit together: parameters, samples, labels, splits, logits of a teacher; then try a step."""
    check_kinds(
        model=model,
        params=params,
        dataset=dataset,
        encoder=encoder,
        objective=objective,
        config=config,
        teacher=teacher,
    )
    model.check(params)
    _check_finite(params)
    check_frames(encoder, dataset)
    check_signals(encoder, dataset)
    one = np.arange(1)
    check_batch(model, encoder(encoder.prepare(dataset.x[one]), one, 1), dataset.labels[one])
    _check_views(config, teacher)
    views_of(model, config, teacher)(dataset.x[one], one, 0, dataset.image)
    check_objective(objective, model, config.method, teacher is not None)
    _check_classes(model, dataset)
    _check_splits(dataset)
    if teacher is not None:
        _check_teacher(model, dataset, teacher)
    _try(model, params, dataset, encoder, objective, config, teacher)


def _check_finite(params: Params) -> None:
    bad = [name for name, value in params.items() if not np.isfinite(value).all()]
    if bad:
        raise NetworkError(
            "The parameters at the start are not finite.",
            given=f"NaN or infinity in {', '.join(bad[:3])}",
            expected="finite numbers",
            repair="params=model.initial(seed), or those of a training that did not diverge",
        )


def _check_views(config: FitConfig, teacher: Lessons | None) -> None:
    """Refuse augmentation of what a teacher has seen augmented."""
    if teacher is not None and teacher.views.augment and config.augment:
        raise ConfigError(
            "The teacher has seen views of its own.",
            given=f"augment={config.augment!r} for {teacher.views!r}",
            expected="no other augmentation: the student sees what the teacher saw",
            repair="FitConfig(..., augment=())",
        )


def _check_classes(model: Model, dataset: Dataset) -> None:
    if dataset.classes > model.classes:
        raise ConfigError(
            "The model has too few classes.",
            given=f"{dataset.classes} classes for a model of {model.classes}",
            expected="a class of the model for each label",
            repair=f"a model of {dataset.classes} classes",
        )


def _check_splits(dataset: Dataset) -> None:
    for split in ("train", "validation"):
        if not len(getattr(dataset, split)):
            raise DataError(
                f"There is no sample in split {split}.",
                given=f"{dataset.name}: {len(dataset.train)} to train, {len(dataset.validation)} to validate with",
                expected="at least one of each",
                repair="Dataset(..., train=..., validation=...)",
            )


def _check_teacher(model: Model, dataset: Dataset, teacher: Lessons) -> None:
    teacher.check(dataset)
    if dataset.classes != model.classes:
        raise CacheError(
            "The teacher's answers do not fit the model.",
            given=f"{dataset.classes} logits of {dataset.name} for a model of {model.classes} classes",
            expected=f"{model.classes} logits",
            repair=f"a model of {dataset.classes} classes",
        )


def _try(
    model: Model,
    params: Params,
    dataset: Dataset,
    encoder: Encoder,
    objective: Objective,
    config: FitConfig,
    teacher: Lessons | None,
) -> None:
    """A step on a few samples, which shows what fits by its shape alone."""
    ids = dataset.train[:_FEW]
    signal, taught = encoder(encoder.prepare(dataset.x[ids]), ids, 1), None if teacher is None else teacher.batch(ids)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # a training says where it diverges
        gradient(
            model,
            params,
            signal,
            dataset.labels[ids],
            objective,
            taught,
            ticks=encoder.ticks,
            method=config.method,
            done=0.5,  # where no ramp has set in too little, or too far, to show what does not fit
        )
