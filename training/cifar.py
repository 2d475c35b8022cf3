"""CIFAR-10 and CIFAR-100, from the publishers' binary files or, CIFAR-10, from a smaller copy as .npz."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eventsim.training.dataset import Dataset
from eventsim.training.files import Place, content, damaged, read_npz
from eventsim.training.noise import Where, check_where, gaussian, noisy
from eventsim.training.splits import Sizes, shuffled, split

SHAPE = (32, 32, 3)
ROWS = 10_000
"""Images of a file of CIFAR-10, and of the test set of both."""
BINARY = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
NPZ = {
    "data_batch_1.npz": "b048610b712ed1086367b5963025ff9bc43032cc35c1ca0c48795494c1358e77",
    "data_batch_2.npz": "3615c635868fffbf260f2e5e42ca71cb0c5e5665504673ba767fbe605c77f962",
    "data_batch_3.npz": "8eb26643a7422801035ecf215a47ae8e772a080292f60b3c76cfe99ad7532100",
    "data_batch_4.npz": "f2abea6d61e7b09d69e958f2e2f01c9da374770cd08e7984da6dd3e8c50feaae",
    "test_first1000.npz": "010a90013325c725ee941b74b2a67dca65a529b39477a3101f68fbf64da8259a",
    "test_jpeg.npz": "6a330b57998e50f0fa300f1fa58f440ed441cadbab530d67b1f4cb53085eed45",
}
"""SHA-256 of the files of the smaller copy."""
CIFAR10 = Place(
    "cifar10",
    "CIFAR-10",
    ("cifar-10-batches-bin", "cifar10"),
    f"those of the archive cifar-10-binary.tar.gz: {', '.join(BINARY)}; or the smaller copy: {', '.join(NPZ)}",
)
CIFAR100 = Place(
    "cifar100", "CIFAR-100", ("cifar-100-binary",), "those of the archive cifar-100-binary.tar.gz: train.bin, test.bin"
)

Images = NDArray[np.uint8]
Part = tuple[int, Callable[[], tuple[Images, Images]]]
"""How many images there are, and what reads them and their labels: uint8 (n, 3, 32, 32) and (n,)."""


def cifar10(
    folder: Path | None,
    *,
    test_images: Literal["lossless", "jpeg"] = "lossless",
    noise_variance: float | None = None,
    noise_deviation: float | None = None,
    noise_in: Where = "all",
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Photographs of 10 kinds, CIFAR-10: 50,000 and 10,000 for test, 32 x 32 x 3.

    The publishers' binary files, data_batch_1.bin to data_batch_5.bin and test_batch.bin, in cifar-10-batches-bin/;
    or a smaller copy, data_batch_1.npz to data_batch_4.npz and test_first1000.npz or test_jpeg.npz, in cifar10/:
    40,000 and the first 1,000 of the test set, or with test_images="jpeg" all of them as JPEG files, with losses.

    Gaussian noise of a variance, or of a deviation, is added to values from 0 to 1, which are cut to 0..1 again: to all
    images, or with noise_in="test" to those of the test set alone.
    """
    noise = None
    if noise_variance is not None or noise_deviation is not None:
        noise = gaussian(noise_variance, noise_deviation)
    check_where(noise, noise_in)
    dataset = _cifar10(folder, test_images == "jpeg", Sizes(train, validation, test))
    return dataset if noise is None else noisy(dataset, noise, noise_in)


def _cifar10(folder: Path | None, jpeg: bool, sizes: Sizes) -> Dataset:
    """CIFAR-10 from whichever files are there, without noise."""
    if not jpeg and CIFAR10.find(folder, *BINARY) is not None:
        paths = [CIFAR10.needed(folder, name) for name in BINARY]
        return _even(_dataset(CIFAR10, [_binary(path, ROWS, (10,), 0) for path in paths], sizes), paths)
    if CIFAR10.find(folder, *NPZ) is None:
        _refuse_pickles(CIFAR10, folder, "cifar-10-batches-py/data_batch_1", "data_batch_1")
        if not jpeg:
            raise CIFAR10.missing(folder, "neither data_batch_1.bin nor data_batch_1.npz")
    last = "test_jpeg.npz" if jpeg else "test_first1000.npz"
    paths = [CIFAR10.needed(folder, name) for name in [*list(NPZ)[:4], last]]
    return _dataset(CIFAR10, [_packed(path) for path in paths], sizes)


def cifar100(
    folder: Path | None,
    *,
    labels: Literal["fine", "coarse"] = "fine",
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Photographs of 100 kinds, CIFAR-100: 50,000 and 10,000 for test, 32 x 32 x 3.

    The publishers' binary files, train.bin and test.bin, in cifar-100-binary/. Labels are of 100 kinds, or with
    labels="coarse" of the 20 that hold five of them each.
    """
    if CIFAR100.find(folder, "train.bin") is None:
        _refuse_pickles(CIFAR100, folder, "cifar-100-python/train")
    paths = [CIFAR100.needed(folder, name) for name in ("train.bin", "test.bin")]
    which = 1 if labels == "fine" else 0
    parts = [_binary(path, n, (20, 100), which) for path, n in zip(paths, (5 * ROWS, ROWS), strict=True)]
    return _even(_dataset(CIFAR100, parts, Sizes(train, validation, test)), paths)


def _refuse_pickles(place: Place, folder: Path | None, *names: str) -> None:
    """Say so where there are only the publishers' files for Python: reading a pickle runs what is in it."""
    pickled = place.find(folder, *names)
    if pickled is not None:
        raise place.missing(folder, f"pickles such as {pickled}, which are not read, and no binary files")


def _binary(path: Path, rows: int, kinds: tuple[int, ...], which: int) -> Part:
    """A binary file: each image is a byte for each label, and its channels one after the other."""
    size = len(kinds) + 3072
    expected = f"{rows} images of {size} bytes, with labels below {' and '.join(map(str, kinds))}"
    if path.stat().st_size != rows * size:
        raise damaged(path, f"{path.stat().st_size} bytes", expected)

    def read() -> tuple[Images, Images]:
        table = np.frombuffer(content(path), np.uint8).reshape(-1, size)
        if len(table) != rows or (table[:, : len(kinds)] >= kinds).any():
            raise damaged(path, "labels that there are not", expected)
        return table[:, len(kinds) :].reshape(-1, 3, 32, 32), table[:, which].copy()

    return rows, read


def _even(dataset: Dataset, paths: list[Path]) -> Dataset:
    """The data set of all binary files, if each label is as frequent as any other: no file is a copy of another."""
    for labels, files in ((dataset.labels[:-ROWS], paths[:-1]), (dataset.labels[-ROWS:], paths[-1:])):
        counts = np.bincount(labels)
        if counts.min() < counts.max():
            names = ", ".join(path.name for path in files)
            given = f"{counts.min()} to {counts.max()} images of a kind in {names}"
            raise damaged(files[0].parent, given, "as many of each kind, as were published")
    return dataset


def _packed(path: Path) -> Part:
    """A file of the smaller copy."""
    rows = 1000 if path.name == "test_first1000.npz" else ROWS

    def read() -> tuple[Images, Images]:
        arrays = read_npz(path, CIFAR10.title, NPZ[path.name])
        return (_jpeg if "bytes" in arrays else _lossless)(arrays), arrays["labels"]

    return rows, read


def _lossless(arrays: dict[str, Any]) -> Images:
    """Images from their differences down and to the right, of red and blue less green, modulo 256."""
    x = np.cumsum(np.cumsum(arrays["residual"], 2, dtype=np.uint8), 3, dtype=np.uint8)
    x[0] += x[1]
    x[2] += x[1]
    return x.transpose(1, 0, 2, 3)


def _jpeg(arrays: dict[str, Any]) -> Images:
    """Images from JPEG files, one after the other."""
    joined, ends = arrays["bytes"].tobytes(), arrays["offsets"]
    files = (joined[a:b] for a, b in pairwise(ends))
    return np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).transpose(2, 0, 1) for file in files])


def _dataset(place: Place, parts: list[Part], sizes: Sizes) -> Dataset:
    """The images of all parts, file after file, of which the last is the test set."""
    ends = np.cumsum([0, *(rows for rows, _ in parts)])
    order, test = shuffled(place.name, np.arange(ends[-2])), np.arange(ends[-2], ends[-1])
    split_ = split(place.name, order, test, len(order) // 10, sizes)
    x, labels = np.empty((ends[-1], *SHAPE), np.float32), np.empty(ends[-1], np.int64)
    for (_, read), a, b in zip(parts, ends[:-1], ends[1:], strict=True):
        images, labels[a:b] = read()
        np.divide(images.transpose(0, 2, 3, 1), np.float32(255), out=x[a:b])
    return Dataset(place.name, x.reshape(len(x), -1), labels, *split_, image=SHAPE)
