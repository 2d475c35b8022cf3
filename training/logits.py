"""Logits that were computed elsewhere: a teacher that looks up its answers."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsim.columns import reading
from eventsim.errors import CacheError
from eventsim.store import fingerprint as sha256
from eventsim.training.dataset import Dataset
from eventsim.training.encode import EVALUATION
from eventsim.training.keyed import Ints
from eventsim.training.signal import Array
from eventsim.training.taught import Taught

_NEAR = 16
"""Rows of a file are read in one stretch if it is not so many times longer than what is wanted of it."""


@dataclass(frozen=True, eq=False)
class LogitsTeacher:
    """Logits for samples of a data set.

    Parameters
    ----------
    logits : array or HDF5 dataset, shape (rows, classes)
    ids : array of int, shape (rows,), optional
        Number in the data set of each row's sample; 0, 1, 2, ... if left out, for all samples.
    labels : array of int, shape (rows,), optional
        Must be those of the data set: rows or classes in another order are noticed.
    name : str
    fingerprint : str, optional
        SHA-256 of what the logits come from; of themselves if left out.

    Raises
    ------
    CacheError
        No table of logits, or not one id and label for each row.
    """

    logits: Any
    ids: Ints | None = None
    labels: Ints | None = None
    name: str = "logits"
    fingerprint: str = ""
    network: Any = "logits"
    preprocessing: Any = None

    def __post_init__(self) -> None:
        shape, kind = tuple(self.logits.shape), self.logits.dtype.kind
        beside = {"ids": self.ids, "labels": self.labels}
        wrong = [
            name for name, a in beside.items() if a is not None and (a.shape != shape[:1] or a.dtype.kind not in "iu")
        ]
        if len(shape) != 2 or not all(shape) or kind not in "fiu" or wrong:
            raise CacheError(
                "These are no logits.",
                given=f"{self.logits.dtype} of shape {shape}"
                + "".join(f", {beside[name]!r} as {name}" for name in wrong),
                expected="real numbers of shape (rows, classes), and a whole number for each row as its id and label",
                repair="np.savez(path, logits=logits, ids=ids, labels=labels)",
            )
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", sha256(logits=self.logits[...]))

    @classmethod
    def read(cls, path: str | Path) -> LogitsTeacher:
        """Logits of a ``.npy`` file, or ``logits``, ``ids`` and ``labels`` of an ``.npz`` or HDF5 file.

        Logits in ``.npy`` and HDF5 files are read as they are asked for.

        Raises
        ------
        CacheError
            There is no such file, or no logits in it.
        """
        path = Path(path)
        found = (_numpy if path.suffix in (".npy", ".npz") else _hdf5)(path)
        if "logits" not in found:
            raise CacheError(
                "There are no logits in the file.",
                given=f"{path}, with {', '.join(found) or 'nothing'}",
                expected="an array named logits",
                repair="np.savez(path, logits=logits, ids=ids, labels=labels)",
            )
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        arrays = {name: np.asarray(found[name]) for name in ("ids", "labels") if name in found}
        return cls(found["logits"], **arrays, name=path.name, fingerprint=digest)

    @cached_property
    def _row(self) -> dict[int, int] | None:
        return None if self.ids is None else {sample: row for row, sample in enumerate(self.ids.tolist())}

    def check(self, dataset: Dataset) -> None:
        rows, samples = len(self.logits), len(dataset.labels)
        if self.logits.shape[1] != dataset.classes or (self.ids is None and rows != samples):
            raise CacheError(
                f"The logits {self.name} do not fit the data set {dataset.name}.",
                given=f"{rows} rows for {self.logits.shape[1]} classes",
                expected=f"{samples} rows, one for each sample of all splits, for {dataset.classes} classes",
                repair="logits of this data set; ids beside them where they are of some samples only",
            )
        ids = np.arange(rows) if self.ids is None else self.ids
        if len(np.unique(ids)) < rows or ids.min() < 0 or ids.max() >= samples:
            raise CacheError(
                f"The ids beside the logits {self.name} are not usable.",
                given=f"{len(np.unique(ids))} different ones from {ids.min()} to {ids.max()} for {rows} rows",
                expected=f"different ones, from 0 to {samples - 1}",
                repair="the number of each sample in the data set",
            )
        if self.labels is not None and (self.labels != dataset.labels[ids]).any():
            row = int(np.argmax(self.labels != dataset.labels[ids]))
            raise CacheError(
                f"The labels beside the logits {self.name} are not those of {dataset.name}.",
                given=f"row {row}, for sample {ids[row]}: label {self.labels[row]}",
                expected=f"label {dataset.labels[ids[row]]}",
                repair="rows in the order of ids, and classes in the order of the data set",
            )

    def __call__(self, x: Array, ids: Ints, draw: int) -> Taught:
        if draw != EVALUATION:
            raise CacheError(
                "Logits from elsewhere are of one view.",
                given=f"view {draw - 1}",
                expected="the samples as they are",
                repair="leave the views out, or name the teacher itself",
            )
        at = ids
        if self._row is not None:
            missing = [i for i in ids.tolist() if i not in self._row]
            if missing:
                raise CacheError(
                    f"Samples are not among the logits {self.name}.",
                    given=f"ids {missing[:5]}, {len(missing)} of {len(ids)}",
                    expected=f"some of its {len(self._row)} samples",
                    repair="leave out the splits that it does not have",
                )
            at = np.array([self._row[i] for i in ids.tolist()])
        return Taught(_rows(self.logits, at))


def _rows(logits: Any, at: Ints) -> Array:
    """Rows of an array or of an HDF5 dataset."""
    first, last = int(at.min()), int(at.max()) + 1
    if isinstance(logits, np.ndarray):
        return np.asarray(logits[at])
    if last - first < _NEAR * len(at):
        return np.asarray(logits[first:last])[at - first]
    return np.stack([logits[i] for i in at.tolist()])


def _numpy(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        if path.suffix == ".npy":
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(found, np.ndarray):
                raise TypeError(f"arrays of numpy.savez, in a file called {path.suffix}")
            return {"logits": found}
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as cause:
        raise CacheError(
            "The logits cannot be read.",
            given=f"{path}: {cause}",
            expected="a file of numpy.save or numpy.savez, without objects",
            repair="correct the path, or have it written again",
        ) from None


def _hdf5(path: Path) -> Mapping[str, Any]:
    with reading(path, "file of logits", CacheError):
        pass
    return {name: item for name, item in h5py.File(path, "r").items() if isinstance(item, h5py.Dataset)}
