"""The file of a teacher cache: tables, their checks, and attributes that say what it is; ``docs/formats.md``."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsim import store
from eventsim.training.dataset import Dataset
from eventsim.training.form import FEATURES
from eventsim.training.keyed import Ints

FORMAT = "eventsim teacher cache 2"

ROWS = 256
"""Samples of a chunk; those of feature maps are of one sample."""


class Table:
    """A table of the file: one row for each view and sample.

    Parameters
    ----------
    data : h5py.Dataset, shape (samples, ...), or (views, samples, ...) where there are several views
    checks : h5py.Dataset, shape (views, chunks)
        CRC-32 of each chunk.
    """

    def __init__(self, data: Any, checks: Any) -> None:
        self.data, self.checks, self.several = data, checks, len(checks) > 1
        self.shape = tuple(data.shape) if self.several else (1, *data.shape)
        self.rows = int(data.chunks[1 if self.several else 0])
        """Samples of a chunk."""

    def _place(self, view: int, rows: Any) -> Any:
        return (view, rows) if self.several else rows

    def row(self, view: int, row: int) -> NDArray[Any]:
        """One row."""
        return self.data[self._place(view, row)]  # type: ignore[no-any-return]

    def chunk(self, view: int, number: int) -> NDArray[Any]:
        """Rows of a chunk."""
        rows = slice(number * self.rows, (number + 1) * self.rows)
        return self.data[self._place(view, rows)]  # type: ignore[no-any-return]

    def write(self, view: int, first: int, rows: NDArray[Any]) -> None:
        """Write rows from ``first`` on, where a chunk begins, and then their checks."""
        self.data[self._place(view, slice(first, first + len(rows)))] = rows
        self.data.file.flush()
        begin = first // self.rows
        found = [checksum(rows[at : at + self.rows]) for at in range(0, len(rows), self.rows)]
        self.checks[view, begin : begin + len(found)] = found

    def whole(self, view: int, first: int, last: int) -> bool:
        """Whether rows were written: a chunk that was not is of zeros, whose check is not the 0 that stands there."""
        begin, end = first // self.rows, -(-last // self.rows)
        checks = self.checks[view, begin:end].tolist()
        return all(checksum(self.chunk(view, begin + i)) == check for i, check in enumerate(checks))


def checksum(rows: NDArray[Any]) -> int:
    """CRC-32 of the bytes of rows."""
    return zlib.crc32(np.ascontiguousarray(rows).data)


def tables(file: Any) -> dict[str, Table]:
    """All tables of a file.

    Raises
    ------
    ValueError
        They are not what the layout says: sizes from a damaged file are believed by nobody.
    """
    found = {}
    for name, (kind, shape, chunk) in json.loads(file.attrs["layout"]).items():
        views, samples = shape[:2]
        lead = 1 if views > 1 else 0
        data, checks = file[name], file[f"checks/{name}"]
        has = [
            data.dtype.str,
            list(data.shape),
            list(data.chunks),
            checks.shape,
            file["ids"].shape,
            file["labels"].shape,
        ]
        wanted = [kind, shape[1 - lead :], [1] * lead + chunk, (views, -(-samples // chunk[0])), (samples,), (samples,)]
        if has != wanted:
            raise ValueError(f"{name}: {has}, not {wanted}")
        found[name] = Table(data, checks)
    return found


def create(path: Path, attributes: Mapping[str, str], ids: Ints, labels: Ints) -> None:
    """Lay out a file: every byte has its place from the start, so that to write a row moves nothing else."""
    with h5py.File(path, "w") as file:
        for name, (kind, (views, *shape), chunk) in json.loads(attributes["layout"]).items():
            lead = (views,) if views > 1 else ()
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((*(1 for _ in lead), *chunk))
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            plan.set_obj_track_times(False)
            group, _, own = name.rpartition("/")
            place = file.require_group(group) if group else file
            space = h5py.h5s.create_simple((*lead, *shape))
            h5py.h5d.create(place.id, own.encode(), h5py.h5t.py_create(np.dtype(kind)), space, plan)
            file[f"checks/{name}"] = np.zeros((views, -(-shape[0] // chunk[0])), np.uint32)
        file["ids"], file["labels"] = ids, labels
        for attribute, text in {**attributes, "content_sha256": "0" * 64}.items():
            file.attrs[attribute] = np.bytes_(text.encode())  # of fixed length: HDF5 hangs on a damaged heap of others
        file.attrs["complete"] = False


def finish(file: Any) -> None:
    """Say that a file is whole; nothing in it moves."""
    file.attrs.modify("content_sha256", np.bytes_(content(file).encode()))
    file.attrs.modify("complete", True)


def texts(file: Any) -> dict[str, str]:
    """All attributes as texts."""
    return {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in file.attrs.items()}


def layout(rows: Mapping[str, NDArray[Any]], views: int, samples: int) -> str:
    """Type, shape and chunk of each table, from some of its rows."""
    out = {}
    for name, part in sorted(rows.items()):
        chunk = 1 if name.startswith(FEATURES) else min(ROWS, samples)
        out[name] = [part.dtype.newbyteorder("<").str, [views, samples, *part.shape[1:]], [chunk, *part.shape[1:]]]
    return json.dumps(out)


def content(file: Any) -> str:
    """SHA-256 of ids, labels, checks and attributes: of the whole content, as far as its checks are right."""
    arrays = {"ids": file["ids"][...], "labels": file["labels"][...]}
    arrays |= {name: table.checks[...] for name, table in tables(file).items()}
    attributes = {name: text for name, text in texts(file).items() if name not in ("complete", "content_sha256")}
    names: list[str] = []
    file.visit(names.append)
    return store.content(arrays, {**attributes, "names": json.dumps(sorted(names))})


def samples(dataset: Dataset, splits: Sequence[str]) -> Ints:
    """Samples of some splits, in ascending order."""
    return np.sort(np.concatenate([np.asarray(getattr(dataset, split), np.int64) for split in splits]))
