"""Events in files: read stretch by stretch, written piece by piece, never in memory as a whole."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.columns import (
    CHUNK,
    EVENTS,
    Columns,
    alone,
    beside,
    chained,
    check_target,
    key,
    name_of,
    reading,
    writing,
)
from eventsim.errors import EventsError
from eventsim.events import Events
from eventsim.recorded import check_positions

FORMAT = "eventsim events 1"
RECORDING = "eventsim recording 1"

_MOST = 2**19
"""Events of a stretch, unless a single tick has more."""

_PIECE = 2**18
"""Events written at once."""


class EventFile:
    """Events in an HDF5 file: those of :func:`write_events`, or the spikes of a recorded population.

    :func:`eventsim.simulate` takes it instead of :class:`eventsim.Events`, and reads it as it goes. What is read is
    checked before it is used: order and range stretch by stretch, size and ends when the file is opened.

    Parameters
    ----------
    path : path
    name : str, optional
        Which events, where the file holds those of several populations.

    Raises
    ------
    EventsError
        No such file or events, a file that is damaged, unfinished or not of this program, events that are unsorted,
        repeated or out of range.
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        self.path = Path(path)
        self._rows: dict[int, int] = {}
        with reading(self.path, "event file", EventsError) as file:
            if file.attrs.get("format") not in (FORMAT, RECORDING):
                raise self._damaged(f"format {file.attrs.get('format')!r}", f"{FORMAT!r} or {RECORDING!r}")
            if "frames" in file and int(file["frames"][0]) < int(file["frames"][1]):
                raise EventsError(
                    "The recording is not finished.",
                    given=f"{self.path}, {file['frames'][0]} of {file['frames'][1]} ticks",
                    expected="a whole recording",
                    repair="simulate(..., out=..., resume=True), which finishes it",
                )
            names = [name_of(quoted) for quoted in file["events"]]
            if (name is None and len(names) != 1) or (name is not None and name not in names):
                raise EventsError(
                    "There are no such events in the file.",
                    given="no name" if name is None else name,
                    expected=f"one of {', '.join(names) or '(none)'}",
                    repair=f"EventFile({str(self.path)!r}, name=...)",
                )
            self.name = names[0] if name is None else name
            group = file["events"][key(self.name)]
            numbers = [int(n) for n in group.attrs["shape"]]
            kinds = {column: (group[column].ndim, group[column].dtype.kind) for column in EVENTS}
            lengths = {len(group[column]) for column in EVENTS}
            if len(numbers) != 3 or min(numbers) < 1 or set(kinds.values()) != {(1, "i")} or len(lengths) != 1:
                raise self._damaged(
                    f"shape {tuple(numbers)}, lengths {sorted(lengths)}", "three numbers from 1, columns of one length"
                )
            self.shape: tuple[int, int, int] = (numbers[0], numbers[1], numbers[2])
            check_positions(self.shape)
            self._length = lengths.pop()
            if self._length:
                ends = [0, self._length - 1] if self._length > 1 else [0]
                rows = np.array([[group[column][at] for column in EVENTS] for at in ends], np.int64)
                self._check(rows[:, 0], rows[:, 1], rows[:, 2], 0, self.shape[0] * self.shape[1], 0)

    def __len__(self) -> int:
        return self._length

    def _damaged(self, given: str, expected: str) -> EventsError:
        repair = "eventsim.stream.write_events(path, events), or simulate(..., out=path)"
        return EventsError("The file holds no events.", given=f"{self.path}, {given}", expected=expected, repair=repair)

    def _check(
        self,
        sample: NDArray[np.int64],
        tick: NDArray[np.int64],
        address: NDArray[np.int64],
        first: int,
        last: int,
        begin: int,
    ) -> NDArray[np.int64]:
        """Frames of events from row ``begin`` on, which lie from frame ``first`` up to ``last``."""
        check_columns((sample, tick, address), self.shape, f"{self.path}, {self.name!r}", begin)
        frame = sample * self.shape[1] + tick
        if frame.size and (frame[0] < first or frame[-1] >= last):
            late = begin if frame[0] < first else begin + frame.size - 1
            raise unsorted(f"{self.path}, {self.name!r}: event {late} stands out of order")
        return frame

    def _row(self, group: Any, frame: int) -> int:
        """First event of a frame or a later one, by bisection."""
        if frame <= 0 or frame >= self.shape[0] * self.shape[1]:
            return 0 if frame <= 0 else self._length
        if frame in self._rows:
            return self._rows[frame]
        sample, tick = group["sample"], group["tick"]
        low, high = 0, -(-self._length // CHUNK)
        while high - low > 1:
            middle = (low + high) // 2
            at = middle * CHUNK
            if int(sample[at]) * self.shape[1] + int(tick[at]) < frame:
                low = middle
            else:
                high = middle
        part = slice(low * CHUNK, (low + 1) * CHUNK)
        frames = sample[part].astype(np.int64) * self.shape[1] + tick[part]
        if len(self._rows) > 256:
            self._rows.clear()
        self._rows[frame] = low * CHUNK + int(np.searchsorted(frames, frame))
        return self._rows[frame]

    def until(self, first: int, last: int) -> int:
        """A frame after ``first``, at most ``last``, up to which there are not too many events to be read at once."""
        with reading(self.path, "event file", EventsError) as file:
            group = file["events"][key(self.name)]
            begin, end = self._row(group, first), self._row(group, last)
            if end - begin <= _MOST:
                return last
            frame = int(group["sample"][begin + _MOST]) * self.shape[1] + int(group["tick"][begin + _MOST])
        return max(first + 1, min(frame, last))

    def between(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Frame (sample * ticks + tick) and address of the events from frame ``first`` up to ``last``.

        Raises
        ------
        EventsError
            They are unsorted, repeated or out of range, or cannot be read.
        """
        with reading(self.path, "event file", EventsError) as file:
            group = file["events"][key(self.name)]
            begin, end = self._row(group, first), self._row(group, last)
            if end < begin:
                raise unsorted(f"{self.path}, {self.name!r}: events {end} to {begin}")
            sample, tick, address = (group[column][begin:end].astype(np.int64) for column in EVENTS)
        return self._check(sample, tick, address, first, last, begin), address

    def load(self) -> Events:
        """All of them, in memory.

        Raises
        ------
        EventsError
            They are unsorted, repeated or out of range, or cannot be read.
        """
        frame, address = self.between(0, self.shape[0] * self.shape[1])
        return Events(frame // self.shape[1], frame % self.shape[1], address, self.shape)

    @property
    def sha256(self) -> str:
        """Fingerprint of the events, as the file states it."""
        with reading(self.path, "event file", EventsError) as file:
            return bytes(file["events"][key(self.name)]["sha256"][...]).hex()


def unsorted(given: str) -> EventsError:
    """Events are unsorted or repeated."""
    return EventsError(
        "The events are unsorted or repeated.",
        given=given,
        expected="ascending order of (sample, tick, address), each at most once",
        repair="have the file written again: eventsim.stream.write_events(path, events)",
    )


def check_columns(
    columns: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    shape: tuple[int, int, int],
    where: str,
    begin: int = 0,
) -> None:
    """:class:`EventsError` unless events are in range and in order; the first of them has the number ``begin``."""
    for name, column, limit in zip(EVENTS, columns, shape, strict=True):
        if column.size and (column.min() < 0 or column.max() >= limit):
            raise EventsError(
                f"Event column {name!r} is out of range.",
                given=f"{where}: values from {column.min()} to {column.max()}",
                expected=f"0 to {limit - 1}",
                repair="drop those events, or state a larger shape",
            )
    sample, tick, address = columns
    position = (sample * shape[1] + tick) * shape[2] + address
    late = position[1:] <= position[:-1]
    if late.any():
        at = begin + int(np.argmax(late))
        raise unsorted(f"{where}: event {at + 1} does not come after event {at}")


class EventWriter:
    """Write events to a file piece by piece, within ``with``; it stands at its place when all went well.

    Parameters
    ----------
    path : path
        It must not exist; the file grows as ``path + ".part"``, which must not exist either.
    shape : tuple of int
        Numbers of samples, ticks and addresses.
    name : str
        Of the events, within the file.

    Raises
    ------
    OutputError
        Something stands there, another run writes to it, or there is no room.
    EventsError
        The shape is not usable.
    """

    def __init__(self, path: str | Path, shape: tuple[int, int, int], name: str = "events") -> None:
        self.path, self.name = Path(path), name
        self.shape = Events([], [], [], shape).shape  # type: ignore[arg-type]
        if self.shape[0] > 2**31 or self.shape[2] > 2**31:
            raise EventsError(
                "The shape of the events is too large.",
                given=self.shape,
                expected="at most 2**31 samples and addresses",
                repair="several files",
            )
        check_target(self.path)
        self._last = np.empty((3, 0), np.int64)
        self._file: Any = None

    def __enter__(self) -> EventWriter:
        with ExitStack() as stack:
            stack.enter_context(alone(self.path))
            check_target(beside(self.path))  # what an interrupted run left there can be gone on with
            with writing(self.path, "nothing was written"):
                self._file = h5py.File(beside(self.path), "w", libver="latest")
                self._file.attrs["format"] = FORMAT
                group = self._file.create_group(f"events/{key(self.name)}")
                group.attrs["shape"] = np.array(self.shape, np.int64)
                self._columns = Columns.create(group, {column: (dtype, 0) for column, dtype in EVENTS.items()})
            self._alone = stack.pop_all()
        return self

    def append(self, sample: ArrayLike, tick: ArrayLike, address: ArrayLike) -> None:
        """Add events that come after those before.

        Raises
        ------
        EventsError
            Columns that differ in length or are no whole numbers, events out of order or range.
        OutputError
            There is no room.
        """
        columns = [np.atleast_1d(np.asarray(column)) for column in (sample, tick, address)]
        if any(c.ndim != 1 or (c.size and c.dtype.kind not in "iu") or c.size != columns[0].size for c in columns):
            raise EventsError(
                "The events are not usable.",
                given=", ".join(f"{c.ndim}-d array of {c.dtype}, {c.size} entries" for c in columns),
                expected="one sample, tick and address for each event, whole numbers",
                repair="append(events.sample, events.tick, events.address)",
            )
        joined = [np.append(last, c.astype(np.int64)) for last, c in zip(self._last, columns, strict=True)]
        check_columns((joined[0], joined[1], joined[2]), self.shape, "append", -int(self._last.shape[1]))
        self._last = np.array([column[-1:] for column in joined])
        self._columns.append(dict(zip(EVENTS, columns, strict=True)))
        if self._columns.bytes > 16 * _PIECE:
            with writing(self.path, "nothing was kept"):
                self._columns.write()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        part = beside(self.path)
        with self._alone:
            try:
                with writing(self.path, "nothing was kept"):
                    if kind is None:
                        self._columns.write(all_of_it=True)
                    self._file.close()
                    if kind is None:
                        part.replace(self.path)
            finally:
                part.unlink(missing_ok=True)


def write_events(path: str | Path, events: Events, name: str = "events") -> None:
    """Write events to a file that :class:`EventFile` reads.

    Parameters
    ----------
    path : path
        It must not exist.
    events : Events
    name : str
        Of the events, within the file.

    Raises
    ------
    OutputError
        Something stands there, or there is no room.
    """
    with EventWriter(path, events.shape, name) as writer:
        for begin in range(0, len(events), _PIECE):
            cut = slice(begin, begin + _PIECE)
            writer.append(events.sample[cut], events.tick[cut], events.address[cut])


def fingerprint(events: Events | EventFile) -> str:
    """SHA-256 of events, the same in memory and in a file."""
    if isinstance(events, EventFile):
        return events.sha256
    sha, size = bytes(32), len(events)
    for begin in range(0, size, CHUNK):
        cut = slice(begin, begin + CHUNK)
        sha = chained(sha, {name: getattr(events, name)[cut] for name in EVENTS})
    return sha.hex()
