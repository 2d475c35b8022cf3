"""Spikes as sparse events: who fired, in which tick, in which sample."""

from __future__ import annotations

import math
import reprlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import as_array, is_whole
from eventsim.errors import EventsError
from eventsim.recorded import Clock, Sensor, check_positions, read, write


def _whole(name: str, values: ArrayLike, limit: int) -> NDArray[np.int64]:
    array = as_array(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise EventsError(
            f"Event column {name!r} is not usable.",
            given=f"{array.ndim}-d array of {array.dtype}",
            expected="one whole number per event",
            repair=f"np.asarray({name}, dtype=np.int64).ravel()",
        )
    if array.size and (array.min() < 0 or array.max() >= limit):
        raise EventsError(
            f"Event column {name!r} is out of range.",
            given=f"values from {array.min()} to {array.max()}",
            expected=f"0 to {limit - 1}",
            repair="drop those events, or pass a larger shape",
        )
    if array.dtype == np.int64 and array.base is None and not array.flags.writeable:
        return array
    column = array.astype(np.int64)
    column.setflags(write=False)
    return column


@dataclass(frozen=True, eq=False)
class Events:
    """Spikes of one population, in order of sample, tick and address, each at most once.

    Parameters
    ----------
    sample, tick, address : array_like of int, shape (events,)
    shape : tuple of int
        Numbers of samples, ticks and addresses.

    Raises
    ------
    EventsError
        Columns of different length, values out of range, events unsorted or repeated, 2**63 places or more.
    """

    sample: NDArray[np.int64]
    tick: NDArray[np.int64]
    address: NDArray[np.int64]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        shape = tuple(self.shape) if isinstance(self.shape, Iterable) else ()
        if len(shape) != 3 or not all(is_whole(n) and n >= 1 for n in shape):
            raise EventsError(
                "The shape of the events is not usable.",
                given=self.shape,
                expected="(samples, ticks, addresses), each at least 1",
                repair="shape=(1, ticks, addresses) for a single recording",
            )
        samples, ticks, addresses = (int(n) for n in shape)
        object.__setattr__(self, "shape", (samples, ticks, addresses))
        check_positions(self.shape)
        for name, limit in zip(("sample", "tick", "address"), self.shape, strict=True):
            object.__setattr__(self, name, _whole(name, getattr(self, name), limit))
        if not len(self.sample) == len(self.tick) == len(self.address):
            raise EventsError(
                "The event columns differ in length.",
                given=f"{len(self.sample)}, {len(self.tick)} and {len(self.address)} entries",
                expected="one sample, tick and address per event",
                repair="pass columns of one recording",
            )
        self._check_order()

    def _check_order(self) -> None:
        position = self.sample * self.shape[1]
        position += self.tick
        position *= self.shape[2]
        position += self.address
        late = position[1:] <= position[:-1]
        if late.any():
            at = int(np.argmax(late))
            raise EventsError(
                "The events are unsorted or repeated.",
                given=f"event {at + 1} does not come after event {at}",
                expected="ascending order of (sample, tick, address), each at most once",
                repair="Events.from_frames(frames), or np.unique over the rows",
            )

    def __len__(self) -> int:
        return len(self.tick)

    @classmethod
    def from_frames(cls, frames: ArrayLike) -> Events:
        """Events of a dense array of zeros and ones.

        Parameters
        ----------
        frames : array_like, shape (samples, ticks, ...)
            What follows the ticks is flattened into addresses in C order, as (polarities, rows, columns).

        Raises
        ------
        EventsError
            Another shape, or other values.
        """
        array = as_array(frames)
        if array.ndim < 3 or not ((array == 0) | (array == 1)).all():
            raise EventsError(
                "The frames are not spikes.",
                given=f"{array.ndim}-d array of {array.dtype}",
                expected="shape (samples, ticks, addresses) or (samples, ticks, ...), every entry 0 or 1",
                repair="encode real values first, e.g. with eventsim.training.encode",
            )
        shape = (array.shape[0], array.shape[1], math.prod(array.shape[2:]))
        sample, tick, address = np.nonzero(array.reshape(shape))
        return cls(sample, tick, address, shape)

    def to_frames(self, shape: Sequence[int] | None = None) -> NDArray[np.uint8]:
        """Dense array of zeros and ones.

        Parameters
        ----------
        shape : sequence of int, optional
            Shape of the addresses, as (polarities, rows, columns); by default they stay flat.

        Returns
        -------
        array of uint8, shape (samples, ticks, addresses) or (samples, ticks, *shape)

        Raises
        ------
        EventsError
            A shape of another number of addresses.
        """
        rest = self.shape[2:] if shape is None else tuple(shape) if isinstance(shape, Iterable) else (shape,)
        if not all(is_whole(n) and n >= 1 for n in rest) or math.prod(rest) != self.shape[2]:
            raise EventsError(
                "The shape of the frames does not fit the events.",
                given=rest,
                expected=f"whole numbers whose product is {self.shape[2]}",
                repair="to_frames(), or (polarities, rows, columns) of the sensor",
            )
        frames = np.zeros(self.shape, np.uint8)
        frames[self.sample, self.tick, self.address] = 1
        return frames.reshape(*self.shape[:2], *rest)

    @classmethod
    def from_structured(
        cls,
        recordings: NDArray[np.void] | Iterable[NDArray[np.void]],
        *,
        sensor: tuple[int, int, int],
        tick: float,
        ticks: int | None = None,
        pool: int = 1,
        start: Literal["zero", "first"] = "zero",
        beyond: Literal["refuse", "drop"] = "refuse",
    ) -> Events:
        """Events of recordings of an event sensor, one sample each, at address (p * height + y) * width + x.

        Events of one address in one tick merge into one spike: without ``beyond="drop"``, the number of recorded
        events less ``len(events)`` were merged.

        Parameters
        ----------
        recordings : structured array, or several
            Read by field name: times t (us, or another unit) in ascending order, x, y (may be missing if the height
            is 1) and p (0 and 1, or -1 and 1; may be missing with one polarity) of any integer, float or bool type.
        sensor : tuple of int
            Width, height and polarities, as ``sensor_size`` of tonic; with 1 polarity, p makes no difference.
        tick : float
            Length of a tick in the unit of t. Whole numbers are divided exactly.
        ticks : int, optional
            Number of ticks; by default as many as the longest recording needs.
        pool : int
            Squares of ``pool`` x ``pool`` pixels share an address; width and height shrink by it, rounded up.
        start : {"zero", "first"}
            Tick 0 begins at time zero, or at the first event of each recording.
        beyond : {"refuse", "drop"}
            What happens to events after the last of ``ticks``.

        Raises
        ------
        EventsError
            No structured arrays, missing fields, no events, times that are unsorted, negative (unless they count
            from the first event) or beyond the last tick, values that are no numbers or not of the sensor.
        """
        (samples, numbers, addresses), shape = read(recordings, Sensor(sensor, pool), Clock(tick, ticks, start, beyond))
        return cls(samples, numbers, addresses, shape)

    def to_structured(self, *, sensor: tuple[int, int, int], tick: int) -> list[NDArray[np.void]]:
        """One structured array per sample, with the fields t, x, y and p in this order.

        Parameters
        ----------
        sensor : tuple of int
            Width, height and polarities; their product is the number of addresses.
        tick : int
            Length of a tick, in the unit that t shall have (us, as a rule); an event gets the time its tick begins.

        Returns
        -------
        list of structured arrays
            t of int64, x and y of int32, p of bool (True where there is one polarity).

        Raises
        ------
        EventsError
            A sensor of another number of addresses, or a tick that is no whole number.
        """
        return write((self.sample, self.tick, self.address), self.shape, Sensor(sensor), tick)

    def in_samples(self, first: int, last: int) -> Events:
        """Events of the samples from ``first`` up to ``last``, without it; sample ``first`` becomes sample 0.

        Raises
        ------
        EventsError
            Unless 0 <= first < last <= number of samples.
        """
        first, last = _range("samples", first, last, self.shape[0])
        part = slice(*np.searchsorted(self.sample, [first, last]))
        shape = (last - first, self.shape[1], self.shape[2])
        return Events(self.sample[part] - first, self.tick[part], self.address[part], shape)

    def in_ticks(self, first: int, last: int) -> Events:
        """Events of the ticks from ``first`` up to ``last``, without it; tick ``first`` becomes tick 0.

        Found by bisection: it takes as long as there are samples and events in the result.

        Raises
        ------
        EventsError
            Unless 0 <= first < last <= number of ticks.
        """
        first, last = _range("ticks", first, last, self.shape[1])
        bounds = np.searchsorted(self.sample, np.arange(self.shape[0] + 1)).tolist()
        parts = []
        for low, high in pairwise(bounds):
            begin = bisect_left(self.tick, first, low, high)
            parts.append(slice(begin, bisect_left(self.tick, last, begin, high)))
        sample, tick, address = (
            np.concatenate([column[part] for part in parts]) for column in (self.sample, self.tick, self.address)
        )
        return Events(sample, tick - first, address, (self.shape[0], last - first, self.shape[2]))

    def between(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Frame (sample * ticks + tick) and address of the events from frame ``first`` up to ``last``, by bisection."""
        ends = []
        for frame in (first, last):
            sample, tick = divmod(frame, self.shape[1])
            low, high = np.searchsorted(self.sample, [sample, sample + 1]).tolist()
            ends.append(bisect_left(self.tick, tick, low, high))
        part = slice(*ends)
        return self.sample[part] * self.shape[1] + self.tick[part], self.address[part]

    @classmethod
    def concatenate(cls, parts: Iterable[Events], *, along: Literal["samples", "ticks"] = "samples") -> Events:
        """Join events: the samples of one part after those of another, or the ticks of the same samples.

        Parameters
        ----------
        parts : iterable of Events
        along : {"samples", "ticks"}
            What is counted on from part to part; the rest of the shape is that of every part.

        Raises
        ------
        EventsError
            No parts, parts that are no Events or differ in the rest of the shape, or another ``along``.
        """
        parts = list(parts) if isinstance(parts, Iterable) else [parts]
        axis = 1 if along == "ticks" else 0
        sound = along in ("samples", "ticks") and all(isinstance(part, Events) for part in parts)
        if not sound or len({(part.shape[1 - axis], part.shape[2]) for part in parts}) != 1:
            raise EventsError(
                "The events cannot be joined.",
                given=reprlib.repr([getattr(part, "shape", part) for part in parts]) + f" along {along!r}",
                expected="several Events along 'samples' or 'ticks', the rest of their shapes being the same",
                repair="Events.from_structured(..., ticks=...) with the same ticks for all",
            )
        starts = np.cumsum([0, *(part.shape[axis] for part in parts)])
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("sample", "tick", "address")]
        columns[axis] += np.repeat(starts[:-1], [len(part) for part in parts])
        if axis == 1 and parts[0].shape[0] > 1:
            order = np.argsort(columns[0], kind="stable")
            columns = [column[order] for column in columns]
        shape = list(parts[0].shape)
        shape[axis] = int(starts[-1])
        return cls(columns[0], columns[1], columns[2], (shape[0], shape[1], shape[2]))


def _range(name: str, first: int, last: int, end: int) -> tuple[int, int]:
    whole = is_whole(first) and is_whole(last)
    if not (whole and 0 <= first < last <= end):
        raise EventsError(
            f"The range of {name} is not usable.",
            given=f"{first!r} to {last!r}",
            expected=f"whole numbers with 0 <= first < last <= {end}",
            repair=f"0 to {end} for all",
        )
    return int(first), int(last)
