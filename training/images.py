"""Images: the digits of scikit-learn, MNIST and Fashion-MNIST."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eventsim.errors import DataError
from eventsim.training.dataset import Dataset
from eventsim.training.files import Place, digest, same
from eventsim.training.idx import read_idx
from eventsim.training.noise import Variant, Where, check_where, noisy, variant
from eventsim.training.splits import Sizes, shuffled, split

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_WANTED = f"the publishers' idx files: {', '.join(NAMES)}, each plain or as .gz"
MNIST = Place("mnist", "MNIST", ("mnist", "MNIST/raw"), _WANTED)
FASHION = Place("fashion_mnist", "Fashion-MNIST", ("fashion-mnist", "FashionMNIST/raw"), _WANTED)
MNIST_FILES = {
    NAMES[0]: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    NAMES[1]: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    NAMES[2]: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    NAMES[3]: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""The publishers' files and the SHA-256 of their contents, unpacked."""
FASHION_FILES = {
    NAMES[0]: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    NAMES[1]: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    NAMES[2]: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    NAMES[3]: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def digits(
    folder: Path | None, *, train: int | None = None, validation: int | None = None, test: int | None = None
) -> Dataset:
    """Handwritten digits of scikit-learn: 1,797 of 8 x 8.

    They come with the program and need no file.
    """
    if folder is not None:
        raise DataError(
            "The digits come with the program.",
            given=f"a data folder, {folder}",
            expected="no folder for the data set digits",
            repair="leave --data out, or name a data set with --dataset",
        )
    from sklearn.datasets import load_digits  # only now, so that imports stay quick

    pixels, labels = load_digits(return_X_y=True)
    order = shuffled("digits", np.arange(len(labels)))
    parts = split("digits", order[:1197], order[1197:], 300, Sizes(train, validation, test))
    return Dataset("digits", (pixels / 16).astype(np.float32), labels.astype(np.int64), *parts, image=(8, 8))


def mnist(
    folder: Path | None,
    *,
    noise: Variant | None = None,
    noise_in: Where = "all",
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Handwritten digits, MNIST: 60,000 and 10,000 for test, 28 x 28.

    The publishers' four idx files, plain or as .gz, in mnist/ or MNIST/raw/. With noise, all images have it, or with
    noise_in="test" those of the test set alone.
    """
    check_where(noise, noise_in)
    dataset = _from_idx(MNIST, MNIST_FILES, folder, Sizes(train, validation, test))
    return dataset if noise is None else noisy(dataset, variant(noise), noise_in)


def fashion_mnist(
    folder: Path | None,
    *,
    noise: Variant | None = None,
    noise_in: Where = "all",
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Pieces of clothing, Fashion-MNIST: 60,000 and 10,000 for test, 28 x 28.

    The publishers' four idx files, plain or as .gz, in fashion-mnist/ or FashionMNIST/raw/. With noise, all images have
    it, or with noise_in="test" those of the test set alone.
    """
    check_where(noise, noise_in)
    dataset = _from_idx(FASHION, FASHION_FILES, folder, Sizes(train, validation, test))
    return dataset if noise is None else noisy(dataset, variant(noise), noise_in)


def _from_idx(place: Place, files: Mapping[str, str], folder: Path | None, sizes: Sizes) -> Dataset:
    """A data set of four idx files; validation is a twelfth of the training set."""
    paths = {name: place.needed(folder, f"{name}.gz", name) for name in files}
    arrays = {name: read_idx(path, files[name]) for name, path in paths.items()}
    for name, array in arrays.items():
        header = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
        same(paths[name], place.title, digest(header + array.tobytes()), files[name])
    images = np.concatenate([arrays[NAMES[0]], arrays[NAMES[2]]])
    labels = np.concatenate([arrays[NAMES[1]], arrays[NAMES[3]]]).astype(np.int64)
    first = len(arrays[NAMES[1]])
    order, test = shuffled(place.name, np.arange(first)), np.arange(first, len(labels))
    parts = split(place.name, order, test, first // 12, sizes)
    x = (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)
    return Dataset(place.name, x, labels, *parts, image=images.shape[1:])
