"""N-MNIST: MNIST shown to an event camera that moves in three saccades (Orchard et al. 2015)."""

from __future__ import annotations

import lzma
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import DataError
from eventsim.training.dataset import Dataset
from eventsim.training.files import Place, content, damaged
from eventsim.training.slices import Slices, Slicing
from eventsim.training.splits import Sizes, shuffled, split

SIDE = 34
"""Pixels of the camera along each axis."""

_NAME = re.compile(r"(?:^|/)(Train|Test)/([0-9])/([0-9]+)\.bin$")
_EVENT = np.dtype([("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", np.bool_)])
_OVERFLOW, _WRAP = 240, 2**13
_PLACE = Place(
    "nmnist",
    "N-MNIST",
    ("nmnist", "neuromorphic"),
    "Train/<digit>/<number>.bin and Test/..., in a folder, in NMNIST/ or in an archive nmnist*.tar*",
)


def decoded(raw: bytes, name: str) -> NDArray[np.void]:
    """Events of a file of N-MNIST, with the fields t (microseconds), x, y and p.

    An event has 40 bits: 8 for x, 8 for y, 1 for the polarity (1 is ON) and 23 for the time. A row of 240 is no event
    but an overflow of the clock: 2**13 more for all that follow.

    Raises
    ------
    DataError
        The file is truncated, empty, or has events outside the sensor.
    """
    if len(raw) % 5 or not raw:
        raise DataError(
            "A recording is truncated.",
            given=f"{name} with {len(raw)} bytes",
            expected="5 bytes an event, at least one event",
            repair="fetch it again from its publisher",
        )
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, 5).astype(np.int64).T
    wraps = y == _OVERFLOW
    events: NDArray[np.void] = np.empty(len(x), _EVENT)
    events["x"], events["y"], events["p"] = x, y, high >> 7
    events["t"] = ((high & 127) << 16 | middle << 8 | low) + _WRAP * np.cumsum(wraps)
    events = events[~wraps]
    if not len(events) or max(events["x"].max(), events["y"].max()) >= SIDE:
        raise DataError(
            "A recording is not one of N-MNIST.",
            given=f"{name}, {len(events)} events, x up to {events['x'].max(initial=0)}, "
            f"y up to {events['y'].max(initial=0)}",
            expected=f"events of {SIDE} x {SIDE} pixels",
            repair="fetch it again from its publisher",
        )
    return events


@dataclass(frozen=True)
class _Files:
    """Recordings in a folder or an archive."""

    path: Path

    @contextmanager
    def open(self) -> Iterator[tuple[list[str], Iterator[bytes]]]:
        """Names of all recordings, and their contents one by one."""
        if self.path.is_dir():
            paths = sorted(path for path in self.path.glob("*/*/*.bin") if _NAME.search(path.as_posix()))
            yield [path.as_posix() for path in paths], map(content, paths)
            return
        try:
            with tarfile.open(self.path) as archive:
                members = [member for member in archive if member.isfile() and _NAME.search(member.name)]
                # The library takes a damaged header for the end. Behind the true one are zeros, and checksums.
                rest = archive.fileobj.read(-1) if archive.fileobj else b""
                if len(rest) < tarfile.BLOCKSIZE or any(rest):
                    raise tarfile.ReadError("it ends before its end")
                contents = (found.read() for found in map(archive.extractfile, members) if found is not None)
                yield [member.name for member in members], contents
        except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as cause:
            raise damaged(self.path, cause, "a tar archive, plain or compressed") from None


def _found(folder: Path | None) -> _Files:
    """Where the recordings are."""
    for place in _PLACE.folders(folder):
        for below in (place / "NMNIST", place):
            if (below / "Train").is_dir():
                return _Files(below)
        archives = sorted(path for path in place.glob("nmnist*.tar*") if path.is_file())
        if len(archives) > 1:
            raise DataError(
                "There are several archives of N-MNIST.",
                given=", ".join(map(str, archives)),
                expected="one, or a folder Train beside a folder Test",
                repair="move the others away",
            )
        if archives:
            return _Files(archives[0])
    raise _PLACE.missing(folder, "no folder Train or NMNIST/Train, and no archive")


def nmnist(
    folder: Path | None,
    *,
    ticks: int = 10,
    slicing: Slicing = "time",
    polarity: bool = True,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Handwritten digits before an event camera, N-MNIST: 34 x 34 x 2 in ticks, as many as there are files.

    The folders Train/ and Test/ of the publishers' archives, unpacked in nmnist/ or nmnist/NMNIST/ or likewise in
    neuromorphic/, or one archive nmnist*.tar* of both there. All recordings that are found are used, be it a part of
    the published ones. A tenth of the training set is for validation. Ticks are of equal time, or with slicing="count"
    of equal numbers of events.
    """
    slices = Slices((SIDE, SIDE, 2 if polarity else 1), ticks, slicing)
    with _found(folder).open() as (names, contents):
        parts, labels, numbers = _columns(names, folder)
        order = np.lexsort((labels, numbers, parts))
        row = np.argsort(order)
        x = np.empty((len(names), slices.size), np.uint8)
        for i, raw in enumerate(contents):
            x[row[i]] = slices(decoded(raw, names[i]), names[i])
    training = len(names) - int(parts.sum())
    everything = np.arange(len(names))
    first = shuffled("nmnist", everything[:training])
    cut = split("nmnist", first, everything[training:], training // 10, Sizes(train, validation, test))
    return Dataset("nmnist", x, labels[order], *cut, image=slices.image, ticks=ticks)


def _columns(names: list[str], folder: Path | None) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Part (0 for training, 1 for test), label and number of each recording."""
    found = [match.groups() for match in map(_NAME.search, names) if match is not None]
    parts = np.array([part == "Test" for part, _, _ in found], np.int64)
    if len(np.unique(parts)) < 2:
        raise _PLACE.missing(folder, f"{len(parts) - parts.sum()} recordings for training and {parts.sum()} for test")
    labels, numbers = (np.array([int(groups[i]) for groups in found]) for i in (1, 2))
    seen = Counter(zip(parts.tolist(), numbers.tolist(), strict=True))
    (part, number), times = seen.most_common(1)[0]
    if times > 1:
        raise DataError(
            "A recording of N-MNIST is there more than once.",
            given=f"{times} of the number {number} in {'Test' if part else 'Train'}",
            expected="each number once in either part",
            repair="remove the others",
        )
    return parts, labels, numbers
