"""Further test sets of an experiment: the data of its recipe with changes, but never in what is for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eventsim.errors import DataError, InputError
from eventsim.training.data import load
from eventsim.training.dataset import Dataset
from eventsim.training.experiment import Test
from eventsim.training.inherit import merged
from eventsim.training.predict import predict
from eventsim.training.recipe import Recipe
from eventsim.training.stages import Task


def changed(recipe: Recipe, test: Test, folder: Path | None) -> Dataset:
    """The data set of a recipe, with the changes of a test."""
    return load(folder=folder, **merged(recipe.data.model_dump(exclude_unset=True), test.data))


def check_kept(test: str, dataset: Dataset, other: Dataset) -> None:
    """Refuse a test set with other samples for training or validation: what it tests on may be among those at hand.

    Raises
    ------
    DataError
        Its training or validation samples are not those of the data set, or samples or classes are of another kind.
    """
    formed = (other.image, other.ticks) == (dataset.image, dataset.ticks) and other.classes <= dataset.classes
    if not formed or not all(_same(dataset, other, split) for split in ("train", "validation")):
        raise DataError(
            f"The further test set {test} is another data set.",
            given=_kind(other),
            expected=f"the same samples for training and validation, and of the same kind: {_kind(dataset)}",
            repair="change how samples look or which are tested, but not name, split, train, validation or ticks",
        )


def _same(dataset: Dataset, other: Dataset, split: str) -> bool:
    """Whether a split holds the same samples."""
    here, there = getattr(dataset, split), getattr(other, split)
    return np.array_equal(here, there) and np.array_equal(dataset.labels[here], other.labels[there])


def _kind(dataset: Dataset) -> str:
    """What a data set is, in short."""
    sizes = f"{len(dataset.train)} for training, {len(dataset.validation)} for validation"
    return f"{dataset.name}, {dataset.ticks} x {dataset.image}, {dataset.classes} classes, {sizes}"


def check_fits(test: str, task: Task, other: Dataset) -> None:
    """Try an untrained stage on a sample of the test set.

    Raises
    ------
    InputError
        The stage cannot be tested on it; the test set is named.
    """
    model, params = task.model.bare(task.start)
    try:
        predict(model, params, other, other.test[:1], task.encoder)
    except InputError as error:
        what = f"further test set {test}: {error.what}"
        raise type(error)(what, given=error.given, expected=error.expected, repair=error.repair) from None
