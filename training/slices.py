"""Recordings of event sensors cut into ticks: how many events each pixel had in each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import one_number
from eventsim.errors import ConfigError
from eventsim.recorded import Clock, Sensor, Where, checked
from eventsim.training.encode import check_ticks

Slicing = Literal["time", "count"]

_SINCE_FIRST = Clock(1, None, "first", "drop")


@dataclass(frozen=True)
class Slices:
    """How a recording becomes frames.

    Parameters
    ----------
    sensor : tuple of int
        Width, height and polarities; with 1 polarity, that of an event makes no difference.
    ticks : int
        Number of frames.
    slicing : "time" or "count"
        Ticks of equal length, from the first event to the last one, which is part of the last tick; or of equal numbers
        of events, within one.
    span : float, optional
        Length of all ticks together from the first event on, in the unit of the times; later events are left out. Only
        with slicing by time.
    pool : int
        Squares of ``pool`` x ``pool`` pixels become one.

    Raises
    ------
    ConfigError
        No tick, an unknown slicing, or a span that is not positive or that slicing by count does not have.
    EventsError
        Another sensor or pool.
    """

    sensor: tuple[int, int, int]
    ticks: int
    slicing: Slicing = "time"
    span: float | None = None
    pool: int = 1

    def __post_init__(self) -> None:
        check_ticks(self.ticks)
        if self.span is not None:
            one_number("span", self.span, 1e-6, 1e15, repair="span=1e6 for a second if t is in us", kind=ConfigError)
        if self.slicing not in get_args(Slicing) or (self.slicing == "count" and self.span is not None):
            raise ConfigError(
                "The slicing of recordings is not usable.",
                given=f"slicing={self.slicing!r}, span={self.span}",
                expected="'time', or 'count' without a span",
                repair="slicing='time'",
            )
        self._pixels.shape  # noqa: B018 - refuses another sensor

    @property
    def _pixels(self) -> Sensor:
        return Sensor(self.sensor, self.pool)

    @property
    def image(self) -> tuple[int, ...]:
        """Shape of a frame: rows, columns and, if there are two, polarities (OFF, ON)."""
        polarities, rows, columns = self._pixels.shape
        return (rows, columns) if polarities == 1 else (rows, columns, polarities)

    @property
    def size(self) -> int:
        """Counts of a recording."""
        return self.ticks * math.prod(self.image)

    def __call__(self, recording: NDArray[np.void], where: Where = 0) -> NDArray[np.uint8]:
        """Counts of events, shape (ticks * rows * columns * polarities,); more than 255 count as 255.

        Parameters
        ----------
        recording : structured array
            As :meth:`eventsim.Events.from_structured` takes it.
        where : int or str
            Its number or name, for what is refused.

        Raises
        ------
        EventsError
            No structured array, a missing field, no events, unsorted times, or values that are not of the sensor.
        """
        recording = checked(recording, where)
        tick = self._ticks(_SINCE_FIRST.times(recording, where))
        shape = self._pixels.shape
        address = self._pixels.addresses(recording, where)[: len(tick)]
        counts = np.bincount(tick * math.prod(shape) + address, minlength=self.size)
        frames = np.minimum(counts, 255).astype(np.uint8).reshape(self.ticks, *shape)
        return np.ascontiguousarray(frames.transpose(0, 2, 3, 1)).reshape(-1)

    def _ticks(self, times: NDArray[Any]) -> NDArray[np.int64]:
        """Tick of each event, without those behind the last."""
        if self.slicing == "count":
            return np.arange(len(times)) * self.ticks // len(times)
        span = times[-1].item() if self.span is None else self.span
        if self.span is not None:
            times = times[: np.searchsorted(times, span)]
        begins = [tick * span / self.ticks for tick in range(self.ticks)]
        return np.asarray(np.searchsorted(begins, times, side="right") - 1, np.int64)
