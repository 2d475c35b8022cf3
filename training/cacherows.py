"""Rows of a teacher cache: in memory, or read from the file as they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsim.errors import CacheError
from eventsim.training.cachefile import Table, checksum
from eventsim.training.keyed import Ints


class Store(Protocol):
    """Rows of one table."""

    def take(self, view: int, at: Ints) -> NDArray[Any]:
        """Rows of a view, in this order."""

    def close(self) -> None:
        """Nothing will be read any more."""


class Resident:
    """All of a table in memory; every chunk is checked as it is read."""

    def __init__(self, path: Path, name: str, table: Table) -> None:
        self.rows = np.empty(table.shape, table.data.dtype)
        step, checks = table.rows, table.checks[...]
        for view in range(len(self.rows)):
            for chunk, check in enumerate(checks[view]):
                part = self.rows[view, chunk * step : (chunk + 1) * step]
                part[...] = _whole(path, name, table, view, chunk, check)

    def take(self, view: int, at: Ints) -> NDArray[Any]:
        rows: NDArray[Any] = self.rows[view].take(at, axis=0)
        return rows

    def close(self) -> None:
        """There is no file."""


class OnDisk:
    """A table that stays in its file; a chunk is checked when something of it is read for the first time."""

    def __init__(self, path: Path, name: str, table: Table) -> None:
        self.path, self.name, self.checks = path, name, table.checks[...]
        self.file: Any = h5py.File(path, "r", rdcc_nbytes=0)
        self.table = Table(self.file[name], self.file[f"checks/{name}"])
        self.seen = np.zeros(self.checks.shape, bool)

    def take(self, view: int, at: Ints) -> NDArray[Any]:
        chunks = np.unique(at // self.table.rows)
        for chunk in chunks[~self.seen[view, chunks]].tolist():
            _whole(self.path, self.name, self.table, view, chunk, self.checks[view, chunk])
            self.seen[view, chunk] = True
        rows = np.empty((len(at), *self.table.shape[2:]), self.table.data.dtype)
        for i, row in enumerate(at.tolist()):
            rows[i] = self.table.row(view, row)
        return rows

    def close(self) -> None:
        self.file.close()


def _whole(path: Path, name: str, table: Table, view: int, chunk: int, check: int) -> NDArray[Any]:
    """Rows of a chunk, if they are what was written."""
    try:
        rows, reason = table.chunk(view, chunk), "another CRC-32"
        if checksum(rows) == check:
            return rows
    except (OSError, RuntimeError, ValueError) as cause:
        reason = str(cause)
    raise CacheError(
        "The teacher cache is damaged.",
        given=f"{path}, {name}: view {view}, rows from {chunk * table.rows}: {reason}",
        expected="what was written",
        repair="name a whole cache, or have it made again",
    )
