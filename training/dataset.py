"""Samples with labels and a fixed split: training, validation (carved from the training set by key) and test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim import store
from eventsim.checks import is_whole
from eventsim.errors import DataError

SPLIT_SEED = 0
"""Splits do not depend on the seed of a run: all runs are tested on the same samples."""
SPLITS = ("train", "validation", "test")
_MOST = 2**31 - 1
"""Largest label and number of a sample."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples with labels.

    Parameters
    ----------
    name : str
    x : array of float32 or uint8, shape (samples, inputs)
        Values, for images from 0 to 1; of recordings the counts of events, shape (samples, ticks * inputs), one frame
        after the other.
    labels : array of int64, shape (samples,)
    train, validation, test : array of int64
        Which samples belong to each split.
    image : tuple of int
        Height and width of a sample, and channels if there are several; a signal is an image of height 1.
    ticks : int
        Frames of a recorded sample, each of the shape ``image``; 1 for what has no time.

    Raises
    ------
    DataError
        Values, labels, split, shape and ticks that do not make a data set.
    """

    name: str
    x: NDArray[Any]
    labels: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    image: tuple[int, ...]
    ticks: int = 1

    def __post_init__(self) -> None:
        for name in ("labels", *SPLITS):
            object.__setattr__(self, name, self._whole(name))
        n = len(self.labels)
        everything = np.concatenate([getattr(self, name) for name in SPLITS])
        formed = len(self.image) in (2, 3) and all(is_whole(n) and n >= 1 for n in self.image)
        formed = formed and is_whole(self.ticks) and self.ticks >= 1
        wide = self.x.ndim == 2 and formed and self.x.shape[1] == self.ticks * math.prod(self.image)
        fits = wide and len(self.x) == n and (self.x.dtype.kind == "f" or self.x.dtype == np.uint8)
        fits = fits and not np.ma.is_masked(self.x)
        if not fits or not self._finite or not n or self.labels.min() < 0:
            raise DataError(
                f"The samples of {self.name} are not usable.",
                given=f"{self.x.dtype} of shape {self.x.shape} for {self.ticks} images of {self.image} each, "
                f"{n} labels from {self.labels.min(initial=0)}",
                expected="finite real values, or counts in uint8, of shape (samples, [ticks *] height * width "
                "[* channels]), a label from 0 for each",
                repair="drop or replace those samples",
            )
        first, last = int(everything.min(initial=n)), int(everything.max(initial=-1))
        if len(np.unique(everything)) != len(everything) or not 0 <= first <= last < n:
            raise DataError(
                f"The split of {self.name} is not usable.",
                given=f"{len(everything)} entries from {first} to {last}",
                expected=f"distinct samples from 0 to {n - 1} in train, validation and test",
                repair="keep train, validation and test apart",
            )

    def _whole(self, name: str) -> NDArray[np.int64]:
        """Labels or a split, as 64-bit integers."""
        given = np.asarray(getattr(self, name))
        masked = np.ma.is_masked(getattr(self, name))
        whole = given.ndim == 1 and (given.dtype.kind in "iu" or not given.size) and not masked
        if not whole or given.max(initial=0) > _MOST:
            largest = ", masked" if masked else f", up to {given.max(initial=0)}" if whole else ""
            raise DataError(
                f"The {name} of {self.name} are not usable.",
                given=f"{given.dtype} of shape {given.shape}{largest}",
                expected=f"whole numbers up to {_MOST} in a row, none of them masked",
                repair=f"{name}=np.array([...], dtype=np.int64)",
            )
        return given.astype(np.int64, copy=False)

    @property
    def _finite(self) -> bool:
        return self.x.dtype == np.uint8 or bool(np.isfinite(self.x).all())

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of values, labels, split and shape of a sample."""
        parts = {name: getattr(self, name) for name in ("x", "labels", *SPLITS)}
        parts["image"] = np.array(self.image, np.int64)
        if self.ticks > 1:
            parts["ticks"] = np.array([self.ticks], np.int64)
        return store.fingerprint(**parts)
