"""Images: the digits of scikit-learn, MNIST and Fashion-MNIST."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from eventsim.errors import DataError
from eventsim.training.dataset import Dataset
from eventsim.training.idx import read_idx
from eventsim.training.splits import Sizes, keyed, split


def digits(
    folder: Path | None, *, train: int | None = None, validation: int | None = None, test: int | None = None
) -> Dataset:
    """Handwritten digits of scikit-learn: 1,797 of 8 x 8. They come with the program and need no file."""
    if folder is not None:
        raise DataError(
            "The digits come with the program.",
            given=f"a data folder, {folder}",
            expected="no folder for the data set digits",
            repair="leave --data out, or name a data set with --dataset",
        )
    pixels, labels = load_digits(return_X_y=True)
    order = keyed("digits", np.arange(len(labels)))
    parts = split("digits", order[:1197], order[1197:], 300, Sizes(train, validation, test))
    return Dataset("digits", (pixels / 16).astype(np.float32), labels.astype(np.int64), *parts, image=(8, 8))


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


def mnist(
    folder: Path | None, *, train: int | None = None, validation: int | None = None, test: int | None = None
) -> Dataset:
    """Handwritten digits of MNIST: 70,000 of 28 x 28."""
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
    order = keyed("mnist", np.arange(60_000))
    parts = split("mnist", order, np.arange(60_000, 70_000), 5_000, Sizes(train, validation, test))
    x = (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)
    return Dataset("mnist", x, labels.astype(np.int64), *parts, image=images.shape[1:])
