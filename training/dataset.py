"""Samples with labels and a fixed split: training, validation (carved from the training set by key) and test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eventsim import store
from eventsim.checks import is_whole
from eventsim.errors import DataError
from eventsim.training.signal import Array

SPLIT_SEED = 0
"""Splits do not depend on the seed of a run: all runs are tested on the same samples."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with labels.

    Parameters
    ----------
    name : str
    x : array of float32, shape (samples, inputs)
        Of images, values from 0 to 1.
    labels : array of int64, shape (samples,)
    train, validation, test : array of int64
        Which samples belong to each split.
    image : tuple of int
        Height and width of a sample, and channels if there are several; a signal is an image of height 1.
    """

    name: str
    x: Array
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    image: tuple[int, ...]

    def __post_init__(self) -> None:
        n = len(self.labels)
        everything = np.concatenate([self.train, self.validation, self.test])
        formed = len(self.image) in (2, 3) and all(is_whole(n) and n >= 1 for n in self.image)
        fits = self.x.ndim == 2 and len(self.x) == n and formed and self.x.shape[1] == math.prod(self.image)
        if not fits or not np.isfinite(self.x).all() or self.labels.min() < 0:
            raise DataError(
                f"The samples of {self.name} are not usable.",
                given=f"values of shape {self.x.shape} for images of {self.image}, {n} labels from {self.labels.min()}",
                expected="finite values of shape (samples, height * width [* channels]), a label from 0 for each",
                repair="drop or replace those samples",
            )
        if len(np.unique(everything)) != len(everything) or everything.min() < 0 or everything.max() >= n:
            raise DataError(
                f"The split of {self.name} is not usable.",
                given=f"{len(everything)} entries from {everything.min()} to {everything.max()}",
                expected=f"distinct samples from 0 to {n - 1} in train, validation and test",
                repair="keep train, validation and test apart",
            )

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of values, labels, split and shape of a sample."""
        names = ("x", "labels", "train", "validation", "test")
        image = np.array(self.image, np.int64)
        return store.fingerprint(image=image, **{name: getattr(self, name) for name in names})
