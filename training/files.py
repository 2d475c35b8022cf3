"""Files of published data sets: where they are looked for, and what is said where they are missing or others."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import DataError
from eventsim.training.publishers import DOWNLOADS

_LARGEST = float(np.finfo(np.float32).max)


class Place(NamedTuple):
    """Where a data set is looked for.

    Parameters
    ----------
    name, title : str
        Of the data set, in the program and in prose.
    below : tuple of str
        Folders below the data folder, the one where the files belong first; the data folder itself is the last.
    files : str
        Which files these are, in words.
    """

    name: str
    title: str
    below: tuple[str, ...]
    files: str

    def folders(self, folder: Path | None) -> list[Path]:
        """The folders in which files are looked for; :class:`DataError` where the data folder is missing."""
        if folder is None or not folder.is_dir():
            raise DataError(
                "The data folder is missing.",
                given="none" if folder is None else folder,
                expected=f"a folder with {self.files}",
                repair=f"--data FOLDER, or set EVENTSIM_DATA{self._download(folder)}",
            )
        return [*(folder / below for below in self.below), folder]

    def find(self, folder: Path | None, *names: str) -> Path | None:
        """The first file that is there under one of the names."""
        paths = (place / name for place in self.folders(folder) for name in names)
        return next((path for path in paths if path.is_file()), None)

    def needed(self, folder: Path | None, *names: str) -> Path:
        """The same, of a file that must be there."""
        found = self.find(folder, *names)
        if found is None:
            raise self.missing(folder, f"no {' or '.join(names)}")
        return found

    def missing(self, folder: Path | None, given: str, other: str = "") -> DataError:
        """What is said where files are missing; ``other`` is another way out."""
        places = self.folders(folder)
        return DataError(
            f"A file of {self.title} is missing.",
            given=f"{given} in {', '.join(map(str, places))}",
            expected=self.files,
            repair=f"put them into {places[0]}, or name their folder with --data{self._download(folder)}{other}",
        )

    def _download(self, folder: Path | None) -> str:
        return f"; or: eventsim data {self.name} --into {folder or 'FOLDER'}" if self.name in DOWNLOADS else ""


def digest(content: bytes | bytearray) -> str:
    """SHA-256 as it is written."""
    return hashlib.sha256(content).hexdigest()


def same(path: Path, title: str, found: str, expected: str) -> None:
    """Refuse a file whose SHA-256 is another."""
    if found != expected:
        raise DataError(
            f"A data file is not the one of {title}.",
            given=f"{path}, SHA-256 of its content {found}",
            expected=expected,
            repair=f"fetch {path.name} again from where it is published",
        )


def damaged(path: Path, given: object, expected: str) -> DataError:
    """What is said of a file that cannot be what it is called."""
    return DataError(
        "A data file is damaged.",
        given=f"{path}: {given}",
        expected=expected,
        repair=f"fetch {path.name} again from where it is published",
    )


def content(path: Path) -> bytes:
    """All bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as cause:  # no permission, a folder, a broken link or disk
        raise DataError(
            "A data file cannot be read.",
            given=f"{path}: {cause.strerror}",
            expected="a file that may be read",
            repair=f"chmod u+r {path}, or put it there again",
        ) from None


def read_npz(path: Path, title: str, sha256: str) -> dict[str, NDArray[Any]]:
    """Arrays of an .npz file whose SHA-256 is known."""
    raw = content(path)
    same(path, title, digest(raw), sha256)
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        return dict(arrays)


def read_table(path: Path, columns: int, *, ended: bool = False) -> NDArray[np.float64]:
    """A text file of numbers that are finite in single precision, shape (rows, columns).

    With ``ended``, its last line must end as the others do: a number that is cut off is still a number.
    """
    expected = f"rows of {columns} finite number{'s' * (columns > 1)}"
    raw = content(path)
    if ended and not raw.endswith(b"\n"):
        raise damaged(path, f"{len(raw)} bytes, cut off in the last line", expected)
    try:
        lines = raw.decode("ascii").splitlines()
        table = np.array([line.split() for line in lines if line.strip()], np.float64)
    except ValueError as cause:  # ragged, no number, or no text
        raise damaged(path, cause, expected) from None
    if table.ndim != 2 or table.shape[1] != columns or not (np.abs(table) <= _LARGEST).all():
        raise damaged(path, f"an array of shape {table.shape}, up to {np.abs(table).max(initial=0)}", expected)
    return table
