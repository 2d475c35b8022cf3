"""Spikes as sparse events: who fired, in which tick, in which sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.errors import EventsError


def _whole(name: str, values: ArrayLike, limit: int) -> NDArray[np.int64]:
    array = np.asarray(values)
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
        Columns of different length, values out of range, events unsorted or repeated.
    """

    sample: NDArray[np.int64]
    tick: NDArray[np.int64]
    address: NDArray[np.int64]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        shape = tuple(self.shape)
        if len(shape) != 3 or not all(isinstance(n, int | np.integer) and n >= 1 for n in shape):
            raise EventsError(
                "The shape of the events is not usable.",
                given=self.shape,
                expected="(samples, ticks, addresses), each at least 1",
                repair="shape=(1, ticks, addresses) for a single recording",
            )
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        for name, limit in zip(("sample", "tick", "address"), self.shape, strict=True):
            object.__setattr__(self, name, _whole(name, getattr(self, name), limit))
        if not len(self.sample) == len(self.tick) == len(self.address):
            raise EventsError(
                "The event columns differ in length.",
                given=f"{len(self.sample)}, {len(self.tick)} and {len(self.address)} entries",
                expected="one sample, tick and address per event",
                repair="pass columns of one recording",
            )
        position = np.ravel_multi_index((self.sample, self.tick, self.address), self.shape)
        if (np.diff(position) <= 0).any():
            at = int(np.argmax(np.diff(position) <= 0))
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
        """Events of a dense array of zeros and ones, shape (samples, ticks, addresses).

        Raises
        ------
        EventsError
            Another shape, or other values.
        """
        array = np.asarray(frames)
        if array.ndim != 3 or not ((array == 0) | (array == 1)).all():
            raise EventsError(
                "The frames are not spikes.",
                given=f"{array.ndim}-d array of {array.dtype}",
                expected="shape (samples, ticks, addresses), every entry 0 or 1",
                repair="encode real values first, e.g. with eventsim.training.encode",
            )
        sample, tick, address = np.nonzero(array)
        return cls(sample, tick, address, (array.shape[0], array.shape[1], array.shape[2]))

    def to_frames(self) -> NDArray[np.uint8]:
        """Dense array of zeros and ones, shape (samples, ticks, addresses)."""
        frames = np.zeros(self.shape, np.uint8)
        frames[self.sample, self.tick, self.address] = 1
        return frames
