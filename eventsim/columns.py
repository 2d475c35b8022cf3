"""Columns of one length in an HDF5 file, written by whole chunks and in order; the names and errors of such files."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import h5py
import numpy as np
from filelock import FileLock, SoftFileLock, Timeout
from numpy.typing import DTypeLike, NDArray

from eventsim.errors import InputError, OutputError

EVENTS: dict[str, np.dtype[Any]] = {"sample": np.dtype("<i4"), "tick": np.dtype("<i8"), "address": np.dtype("<i4")}
"""Columns of events."""

CHUNK = 2**15
"""Events in a chunk."""

_SPARE = 2**22
"""Bytes that are left free on a disk."""

SHA = 32
"""Bytes of a fingerprint."""


def key(name: str) -> str:
    """Name of an HDF5 object for a population or projection of any name."""
    quoted = name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    return {"": "%", ".": "%2E", "..": "%2E."}.get(quoted, quoted)


def name_of(quoted: str) -> str:
    """The name that :func:`key` was made of."""
    return "" if quoted == "%" else unquote(quoted)


def chained(sha: bytes, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """Fingerprint of columns of events up to the end of a chunk, from the one up to its begin."""
    digest = hashlib.sha256(sha)
    for name, dtype in EVENTS.items():
        digest.update(np.ascontiguousarray(columns[name].astype(dtype)).data)
    return digest.digest()


class Columns:
    """Columns of one length, to be appended to.

    Whole chunks go to the file, each of them once; the rest waits in memory until it makes a chunk or the end has come.

    Parameters
    ----------
    group : h5py.Group
        With the columns as datasets, see :meth:`create`, and ``sha256`` if they are events.
    length : int
        Rows in the file, whole chunks.
    rest : mapping of str to array
        What waits.
    sha : bytes
        Fingerprint of what is in the file.
    """

    def __init__(
        self, group: Any, length: int = 0, rest: Mapping[str, NDArray[Any]] | None = None, sha: bytes = bytes(SHA)
    ) -> None:
        self.group, self.length, self.sha = group, length, sha
        self.sets = {name: item for name, item in group.items() if name != "sha256"}
        self.rows = next(iter(self.sets.values())).chunks[0]
        self.waiting: dict[str, list[NDArray[Any]]] = {name: [] for name in self.sets}
        self.bytes = 0
        if rest is not None:
            self.append(rest)

    @classmethod
    def create(cls, group: Any, columns: Mapping[str, tuple[DTypeLike, int]]) -> Columns:
        """Datasets for columns of some type and width (0 for one number in a row); events have a fingerprint."""
        for name, (dtype, width) in columns.items():
            rows = max(CHUNK // width, 1) if width else CHUNK
            tail = (width,) if width else ()
            group.create_dataset(
                name,
                shape=(0, *tail),
                maxshape=(None, *tail),
                chunks=(rows, *tail),
                dtype=dtype,
                shuffle=True,
                compression="gzip",
                compression_opts=1 if width else 4,
            )
        if set(columns) == set(EVENTS):
            group.create_dataset("sha256", data=np.zeros(SHA, np.uint8))
        return cls(group)

    def append(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Take rows."""
        for name, dataset in self.sets.items():
            part = np.asarray(columns[name], dataset.dtype)
            self.waiting[name].append(part)
            self.bytes += part.nbytes

    def write(self, *, all_of_it: bool = False) -> None:
        """Write the chunks that are whole, or everything that is left, after which nothing can be appended."""
        rest = {name: np.concatenate([*parts, _no_rows(self.sets[name])]) for name, parts in self.waiting.items()}
        size = len(next(iter(rest.values())))
        whole = size if all_of_it else size // self.rows * self.rows
        if whole:
            check_room(Path(self.group.file.filename), self.bytes)
            for name, dataset in self.sets.items():
                if len(dataset) < self.length + whole:
                    dataset.resize(self.length + whole, axis=0)
                dataset[self.length : self.length + whole] = rest[name][:whole]
        if "sha256" in self.group:
            for begin in range(0, whole, self.rows):
                cut = slice(begin, min(begin + self.rows, whole))
                self.sha = chained(self.sha, {name: column[cut] for name, column in rest.items()})
            if all_of_it:
                self.group["sha256"][...] = np.frombuffer(self.sha, np.uint8)
        self.length += whole
        self.waiting = {name: [column[whole:].copy()] for name, column in rest.items()}
        self.bytes = sum(parts[0].nbytes for parts in self.waiting.values())

    @property
    def rest(self) -> dict[str, NDArray[Any]]:
        """What waits, after :meth:`write`."""
        return {name: np.concatenate([*parts, _no_rows(self.sets[name])]) for name, parts in self.waiting.items()}


def _no_rows(dataset: Any) -> NDArray[Any]:
    """No rows of a dataset."""
    return np.empty((0, *dataset.shape[1:]), dataset.dtype)


def _is_open(path: Path) -> bool:
    """Whether a file was not closed by its writer, which let others read: the flags of the superblock say so."""
    with path.open("rb") as file:
        head = file.read(12)
    return len(head) == 12 and head[8] >= 3 and bool(head[11] & 4)


@contextmanager
def reading(path: Path, what: str, error: type[InputError]) -> Iterator[Any]:
    """Open a file to read, also one whose writer still writes or was killed.

    Raises
    ------
    InputError
        Of the type ``error``: there is no such file, or something in it cannot be read.
    """
    if not path.is_file():
        raise error(f"There is no {what}.", given=path, expected="an HDF5 file", repair="correct the path")
    try:
        more = {"libver": "latest", "swmr": True} if _is_open(path) else {}
        with h5py.File(path, "r", **more) as file:
            yield file
    except InputError:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as cause:
        raise error(
            f"The {what} is damaged, or this program did not write it.",
            given=f"{path} ({path.stat().st_size} bytes): {type(cause).__name__}: {cause}",
            expected=f"a whole {what}",
            repair="name another file, or have it written again",
        ) from None


def check_target(path: Path) -> None:
    """Refuse to write where something stands, or to a folder that is not there."""
    if path.exists() or not path.parent.is_dir():
        raise OutputError(
            "The file exists already." if path.exists() else "There is no such folder.",
            given=path,
            expected="a file that is not there yet, in a folder that is",
            repair="name another, or delete that one" if path.exists() else f"make the folder {path.parent}",
        )


def beside(path: Path) -> Path:
    """Where a file grows until it is whole."""
    return path.with_name(path.name + ".part")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep others from writing to a file that is not there yet, and to what is beside it.

    Raises
    ------
    OutputError
        It is being written to, there is something already, or there is no such folder.
    """
    check_target(path)
    with locked(path, f"{path}, which grows as {beside(path)}"):
        check_target(path)  # the run before may have ended in the meantime
        yield


@contextmanager
def locked(path: Path, given: str, wait: float = 0.0) -> Iterator[None]:
    """Keep others from writing to a file, in this process or another; ``given`` is how an error names it.

    Who comes second waits for so many seconds.

    The operating system holds the lock and lets go of it however the process ends. Its file is removed while the lock
    is still held: who opened it before finds that it has no name any more, and takes it for another's.

    Raises
    ------
    OutputError
        It is being written to.
    """
    place = path.with_name(path.name + ".lock")
    lock = FileLock(place, thread_local=False)
    with writing(path, "nothing was touched"):
        try:
            lock.acquire(timeout=wait, blocking=wait > 0)
        except Timeout:
            raise OutputError(
                "The file is being written by another run.",
                given=f"{given}; {place} is locked",
                expected="a file that nobody else writes to",
                repair="wait until that run has ended, or name another file",
            ) from None
    try:
        yield
    finally:
        if not isinstance(lock, SoftFileLock):  # what it becomes on a disk without locks, which removes its file itself
            with suppress(OSError):  # as does the one of Windows, where nobody else could
                place.unlink()
        lock.release()


def check_room(path: Path, wanted: int) -> None:
    """:class:`OSError` unless the disk has room for so many bytes, and some more.

    HDF5 is never let run into a full disk: it could neither close the file then nor end in peace.
    """
    free = shutil.disk_usage(path.absolute().parent).free
    if free < wanted + _SPARE:
        raise OSError(errno.ENOSPC, f"No space left on device ({free} bytes, and {wanted + _SPARE} are wanted)")


@contextmanager
def writing(path: Path, kept: str) -> Iterator[None]:
    """:class:`OutputError` where a file cannot be written to, the disk being full or gone."""
    try:
        yield
    except (OSError, RuntimeError) as cause:
        raise OutputError(
            "The file cannot be written to.",
            given=f"{path}: {cause}",
            expected="room on the disk, and leave to write",
            repair=f"make room, or write to another disk; {kept}",
        ) from None
