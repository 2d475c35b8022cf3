"""Data sets from arrays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from eventsim.checks import as_array, count, is_whole
from eventsim.errors import DataError
from eventsim.training.dataset import Dataset
from eventsim.training.splits import Sizes, shuffled, split


def from_arrays(
    name: str,
    x: ArrayLike,
    labels: ArrayLike,
    *,
    test: int | ArrayLike,
    validation: int,
    train: int | None = None,
    image: tuple[int, ...] | None = None,
) -> Dataset:
    """A data set of given samples, with splits that are carved by key.

    Parameters
    ----------
    name : str
        Its name, which is part of the key of its splits.
    x : array of real numbers, shape (samples, inputs), (samples, height, width) or (samples, height, width, channels)
    labels : array of int, shape (samples,)
        From 0.
    test : int or array of int
        How many samples are drawn for test, or which these are: those of a published test set.
    validation : int
        How many of the others are drawn for validation.
    train : int, optional
        How many of the rest are drawn for training; all by default.
    image : tuple of int, optional
        Height and width of a sample, and channels if there are several; by default as ``x`` has it, and
        (1, inputs) where it has none.

    Raises
    ------
    DataError
        Values are not finite real numbers, labels not whole ones, shapes or samples do not fit together.
    ConfigError
        More samples are asked for than there are.
    """
    if not isinstance(name, str):
        raise _unusable(repr(name), f"the name {name!r}", "a text")
    if image is not None and not (isinstance(image, tuple | list) and all(is_whole(size) for size in image)):
        raise _unusable(name, f"image={image!r}", "height and width, and channels if there are several")
    values, kinds = as_array(x), as_array(labels)
    if any(map(np.ma.is_masked, (x, labels, test))):
        raise _unusable(name, "a masked value, label or sample", "all of them there")
    shape = values.shape[1:] if values.ndim > 2 else (1, math.prod(values.shape[1:]))
    if values.ndim not in (2, 3, 4) or values.dtype.kind not in "iuf" or values.size == 0:
        raise _unusable(name, f"values of shape {values.shape}, {values.dtype}", "real numbers, a row for each sample")
    if kinds.dtype.kind not in "iu" or kinds.shape != values.shape[:1]:
        raise _unusable(name, f"labels of shape {kinds.shape}, {kinds.dtype}", f"{len(values)} whole numbers")
    with np.errstate(over="ignore"):  # refused as infinite
        rows = values.reshape(len(values), -1).astype(np.float32)
    everything = shuffled(name, np.arange(len(values)))
    tested = _tested(name, test, everything)
    order = everything[~np.isin(everything, tested)]
    sizes = Sizes(
        None if train is None else count("train", train, 1, kind=DataError),
        count("validation", validation, 1, kind=DataError),
    )
    parts = split(name, order, np.sort(tested), validation, sizes)
    return Dataset(name, rows, kinds.astype(np.int64), *parts, image=tuple(shape if image is None else image))


def _tested(name: str, test: int | ArrayLike, everything: np.ndarray) -> np.ndarray:
    """The samples for test."""
    if is_whole(test):
        return everything[: count("test", test, 1, len(everything), kind=DataError)]
    which = as_array(test)
    distinct = which.ndim == 1 and which.dtype.kind in "iu" and len(np.unique(which)) == len(which)
    if not distinct or which.size == 0 or which.min() < 0 or which.max() >= len(everything):
        raise _unusable(name, f"test {test!r}", f"a number of samples, or distinct ones below {len(everything)}")
    return which.astype(np.int64)


def _unusable(name: str, given: str, expected: str) -> DataError:
    return DataError(
        f"The arrays of {name} are not usable.", given=given, expected=expected, repair="drop or replace those samples"
    )
