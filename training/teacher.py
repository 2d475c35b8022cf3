"""The teacher cache: outputs of a teacher for every sample of a data set, computed once; ``docs/formats.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import eventsim
from eventsim import store
from eventsim.errors import CacheError
from eventsim.training.data import Dataset
from eventsim.training.signal import Array

FORMAT = "eventsim teacher cache 1"


@dataclass(frozen=True, eq=False)
class TeacherCache:
    """What a teacher said about each sample.

    Parameters
    ----------
    logits : array of float32, shape (samples, classes)
        Row i belongs to sample i of the data set, whatever its split.
    recipe : mapping
        How the teacher came to be: everything that decides its parameters, as JSON values.
    parameters : str
        SHA-256 of its parameters.
    best_epoch : int
        Epoch whose parameters these are, chosen by validation.
    """

    logits: Array
    recipe: Mapping[str, Any]
    parameters: str
    best_epoch: int

    def check(self, dataset: Dataset) -> None:
        """Refuse logits that do not fit the samples and classes of ``dataset``, with :class:`CacheError`."""
        wanted = (len(dataset.labels), dataset.classes)
        if self.logits.shape != wanted or not np.isfinite(self.logits).all():
            raise CacheError(
                "The logits of the teacher are not usable.",
                given=f"shape {self.logits.shape}, {np.count_nonzero(~np.isfinite(self.logits))} not finite",
                expected=f"shape {wanted}, all finite",
                repair="predict(model, params, dataset, np.arange(len(dataset.labels)), Direct())",
            )

    def write(self, path: Path, dataset: Dataset) -> None:
        """Write the cache of ``dataset``; the file appears when it is whole."""
        self.check(dataset)
        logits = np.asarray(self.logits, np.float32)
        arrays: dict[str, NDArray[Any]] = {"logits": logits, "ids": np.arange(len(logits)), "labels": dataset.labels}
        attributes = {
            "format": FORMAT,
            "version": eventsim.__version__,
            "dataset": dataset.name,
            "dataset_sha256": dataset.fingerprint,
            "teacher": json.dumps(self.recipe, sort_keys=True),
            "teacher_sha256": self.parameters,
            "best_epoch": str(self.best_epoch),
        }
        store.write_h5(path, arrays, attributes)

    @classmethod
    def read(cls, path: Path, dataset: Dataset, recipe: Mapping[str, Any]) -> TeacherCache:
        """Read a cache that must belong to ``dataset`` and to the teacher of ``recipe``.

        Raises
        ------
        CacheError
            It is missing or damaged, of another format, data set, split or teacher.
        """
        arrays, attributes = store.read_h5(path, "teacher cache", CacheError)
        expected = {
            "format": (FORMAT, "name a cache that this version wrote"),
            "dataset": (dataset.name, "name the cache of this data set, or leave it out to have it made"),
            "dataset_sha256": (
                dataset.fingerprint,
                "values, labels, split or shape of a sample differ: have the cache made again",
            ),
            "teacher": (
                json.dumps(recipe, sort_keys=True),
                "use the settings of that teacher, or leave the cache out to have it made",
            ),
        }
        for name, (value, repair) in expected.items():
            if attributes.get(name) != value:
                raise CacheError(
                    f"The teacher cache {path} is of another {name.removesuffix('_sha256')}.",
                    given=f"{name} = {attributes.get(name, 'not there')}",
                    expected=f"{name} = {value}",
                    repair=repair,
                )
        cache = cls(arrays["logits"], recipe, attributes["teacher_sha256"], int(attributes["best_epoch"]))
        cache.check(dataset)
        return cache
