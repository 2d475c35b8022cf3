"""Data sets with a fixed split: training, validation (carved from the training set by key) and test."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from eventsim import keys, store
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
        Values from 0 to 1.
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


def _digits(folder: Path | None) -> Dataset:
    if folder is not None:
        raise DataError(
            "The digits come with the program.",
            given=f"a data folder, {folder}",
            expected="no folder for the data set digits",
            repair="leave --data out, or name a data set with --dataset",
        )
    pixels, labels = load_digits(return_X_y=True)
    order = keys.permutation(SPLIT_SEED, "split/digits", len(labels))
    train, validation, test = np.split(order, [897, 1197])
    return Dataset(
        "digits", (pixels / 16).astype(np.float32), labels.astype(np.int64), train, validation, test, image=(8, 8)
    )


MNIST_FILES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""The publishers' files and the SHA-256 of their contents, unpacked."""


def _find(folder: Path, name: str) -> Path:
    places = [folder / "mnist", folder / "MNIST" / "raw", folder]
    for place in places:
        for path in (place / f"{name}.gz", place / name):
            if path.is_file():
                return path
    raise DataError(
        "A file of MNIST is missing.",
        given=f"no {name}.gz or {name} in {', '.join(str(place) for place in places)}",
        expected=f"the publishers' idx files: {', '.join(MNIST_FILES)}, each plain or as .gz",
        repair=f"put them into {places[0]}, or name their folder with --data",
    )


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx file of bytes (the format of MNIST), plain or packed with gzip.

    Raises
    ------
    DataError
        It is damaged or truncated, or no idx file.
    """
    expected = "an idx file of unsigned bytes"
    repair = f"fetch {path.name} again from its publisher"
    raw = path.read_bytes()
    try:
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(
            "A data file is damaged.", given=f"{path} ({len(raw)} bytes): {cause}", expected=expected, repair=repair
        ) from None
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        given = f"{path}, beginning with {content[:4].hex() or 'nothing'}"
        raise DataError("A data file is no idx file.", given=given, expected=expected, repair=repair)
    shape = tuple(np.frombuffer(content, ">u4", count=content[3], offset=4).tolist())
    header = 4 + 4 * content[3]
    if len(content) - header != math.prod(shape):
        raise DataError(
            "A data file is truncated or too long.",
            given=f"{path} with {len(content) - header} bytes of data",
            expected=f"{math.prod(shape)} bytes, as its header says: {shape}",
            repair=repair,
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _mnist(folder: Path | None) -> Dataset:
    if folder is None or not folder.is_dir():
        raise DataError(
            "The data folder is missing.",
            given="none" if folder is None else folder,
            expected="a folder with the publishers' idx files of MNIST",
            repair="--data FOLDER, or set EVENTSIM_DATA",
        )
    paths = {name: _find(folder, name) for name in MNIST_FILES}
    arrays = {name: read_idx(path) for name, path in paths.items()}
    for name, array in arrays.items():
        header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
        found = hashlib.sha256(header + array.tobytes()).hexdigest()
        if found != MNIST_FILES[name]:
            raise DataError(
                "A data file is not the one of MNIST.",
                given=f"{paths[name]}, SHA-256 of its content {found}",
                expected=MNIST_FILES[name],
                repair=f"fetch {name}.gz again from its publisher",
            )
    images = np.concatenate([arrays["train-images-idx3-ubyte"], arrays["t10k-images-idx3-ubyte"]])
    labels = np.concatenate([arrays["train-labels-idx1-ubyte"], arrays["t10k-labels-idx1-ubyte"]])
    train, validation = np.split(keys.permutation(SPLIT_SEED, "split/mnist", 60_000), [55_000])
    x = (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)
    return Dataset(
        "mnist", x, labels.astype(np.int64), train, validation, np.arange(60_000, 70_000), image=images.shape[1:]
    )


LOADERS: dict[str, Callable[[Path | None], Dataset]] = {"digits": _digits, "mnist": _mnist}


def load(name: str, folder: Path | str | None = None) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str
        ``digits``: scikit-learn's 1,797 handwritten digits, 8 x 8, which need no file. ``mnist``: 70,000 digits,
        28 x 28, from the publishers' idx files.
    folder : path, optional
        Where the files are: in it, or in ``mnist/`` or ``MNIST/raw/`` below it.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        The name is unknown, or a file is missing, damaged or not the published one.
    """
    if name not in LOADERS:
        raise DataError(
            "There is no such data set.", given=name, expected=f"one of {', '.join(LOADERS)}", repair="correct the name"
        )
    return LOADERS[name](None if folder is None else Path(folder))
