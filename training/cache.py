"""The teacher cache: what a teacher said about every sample of a data set, computed once; ``docs/formats.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import count
from eventsim.columns import beside, reading
from eventsim.errors import CacheError, ConfigError
from eventsim.training import cacheabout, cachefile
from eventsim.training.cacherows import OnDisk, Resident, Store
from eventsim.training.dataset import Dataset
from eventsim.training.form import Form
from eventsim.training.keyed import Ints
from eventsim.training.taught import Taught
from eventsim.training.teachers import Teacher
from eventsim.training.views import Views

MEMORY = 2**31
"""Bytes of a cache that are kept in memory, by default."""


class TeacherCache:
    """What a teacher said about samples, in a file. Use :meth:`read`, or :func:`eventsim.training.cached`.

    Attributes
    ----------
    path : Path
    ids : array of int64, shape (samples,)
        Which samples of the data set, in ascending order.
    views : Views
        Which views of each.
    classes : int
    attributes : mapping of str to str
        All that the file says about itself.
    """

    def __init__(
        self, path: Path, ids: Ints, views: Views, attributes: Mapping[str, str], tables: Mapping[str, Store]
    ) -> None:
        self.path, self.ids, self.views, self.attributes, self._tables = path, ids, views, attributes, tables
        self.classes = int(attributes["classes"])
        self._form = Form(**{k: v for k, v in json.loads(attributes["form"]).items() if k != "type"})
        self._row: Ints | None = None  # where all samples up to the last are there, each stands at its own number
        if len(ids) <= ids[-1]:
            self._row = np.full(int(ids[-1]) + 1, -1, np.int64)
            self._row[ids] = np.arange(len(ids))

    @classmethod
    def read(
        cls,
        path: str | Path,
        dataset: Dataset,
        teacher: Teacher | None = None,
        *,
        views: Views | None = None,
        recipe: Mapping[str, Any] | None = None,
        memory: int = MEMORY,
        attributes: Mapping[str, str] | None = None,
    ) -> TeacherCache:
        """Read a cache that must belong to a data set, and to a teacher where one is given.

        Fingerprints are computed anew. Ids, labels and attributes are checked when the file is opened, each chunk of
        answers when it is first read.

        Parameters
        ----------
        path : path
        dataset : Dataset
        teacher : Teacher, optional
            Who must have said it.
        views : Views, optional
            Which views must be in it; only the samples as they are if left out.
        recipe : mapping, optional
            How the teacher must have come to be: entries that differ are refused, others do not matter.
        memory : int
            Bytes of answers that are kept in memory, whole tables, logits first; others are read as they are asked for.
        attributes : mapping of str to str, optional
            Others that the file must have.

        Raises
        ------
        CacheError
            It is missing, unfinished or damaged, or one of another format, data set, split, preprocessing, teacher or
            augmentation; the error names the attribute that differs.
        ConfigError
            The number of bytes is none.
        """
        path, views, memory = Path(path), views or Views(), count("memory", memory, kind=ConfigError)
        if not path.exists() and beside(path).exists():
            raise CacheError(
                "The teacher cache is not finished.",
                given=f"{path} is not there, {beside(path)} is",
                expected="complete = True",
                repair="the call or command that began it, which goes on with it",
            )
        wanted = {**cacheabout.about_data(dataset), **cacheabout.about_views(views), **(attributes or {})}
        if teacher is not None:
            wanted |= cacheabout.about_teacher(teacher)
        with reading(path, "teacher cache", CacheError) as file:
            texts = cachefile.texts(file)
            cacheabout.check(path, file, texts, wanted, recipe or {})
            tables: dict[str, Store] = {}
            for name, table in sorted(cachefile.tables(file).items(), key=lambda item: _ORDER[item[0].split("/")[0]]):
                resident = table.data.nbytes <= memory
                memory -= table.data.nbytes if resident else 0
                tables[name] = Resident(path, name, table) if resident else OnDisk(path, name, table)
            return cls(path, file["ids"][...], views, texts, tables)

    @property
    def identity(self) -> Mapping[str, Any]:
        """SHA-256 of the content."""
        return {"sha256": self.attributes["content_sha256"]}

    @property
    def recipe(self) -> dict[str, Any]:
        """How the teacher came to be."""
        recipe: dict[str, Any] = json.loads(self.attributes["recipe"])
        return recipe

    @property
    def resident(self) -> bool:
        """Whether all of it is in memory."""
        return all(isinstance(table, Resident) for table in self._tables.values())

    def check(self, dataset: Dataset) -> None:
        """Raise :class:`CacheError` unless it is of this data set and has all samples of its training split."""
        cacheabout.refuse(self.path, self.attributes, cacheabout.about_data(dataset))
        self._rows(dataset.train)

    def batch(self, ids: NDArray[np.integer], view: int = 0) -> Taught:
        """What the teacher said about a view of samples.

        Parameters
        ----------
        ids : array of int, shape (batch,)
            Numbers of the samples in their data set, in any order.
        view : int
            See :class:`Views`.

        Raises
        ------
        CacheError
            A sample or view is not in it, what is stored of it is damaged, or these are no numbers of samples.
        """
        if not 0 <= view < self.views.count:
            raise CacheError(
                "The teacher cache has no such view.",
                given=view,
                expected=f"0 to {self.views.count - 1}",
                repair=f"views.of(epoch), or a cache of more views than {self.path} has",
            )
        ids = np.asarray(ids)
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise CacheError(
                "These are no numbers of samples.",
                given=f"{ids.dtype} of shape {ids.shape}",
                expected="whole numbers, shape (batch,)",
                repair="cache.batch(dataset.train[:128])",
            )
        at = self._rows(ids.astype(np.int64, copy=False))
        return self._form.unpack({name: table.take(view, at) for name, table in self._tables.items()}, self.classes)

    def _rows(self, ids: Ints) -> Ints:
        """Where samples stand."""
        if self._row is None:
            if _below(ids, len(self.ids)):
                return ids
        elif _below(ids, len(self._row)):
            at: Ints = self._row.take(ids)
            if _below(at, len(self.ids)):
                return at
        missing = np.setdiff1d(ids, self.ids)
        raise CacheError(
            "Samples are not in the teacher cache.",
            given=f"ids {missing[:5].tolist()}, {len(missing)} in all, asked of {self.path}",
            expected=f"some of its {len(self.ids)} samples, split {self.attributes['split']}",
            repair='a cache of that split: cached(..., splits=("train", ...))',
        )

    def close(self) -> None:
        """Close the file, where some of it is read as it is asked for."""
        for table in self._tables.values():
            table.close()

    def __enter__(self) -> TeacherCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _below(numbers: Ints, limit: int) -> bool:
    """Whether all numbers are from 0 to below a limit: without their sign, negative ones are large."""
    return bool((numbers.view(np.uint64) < limit).all())


_ORDER = {"logits": 0, "top": 0, "spikes": 1, "features": 2}
