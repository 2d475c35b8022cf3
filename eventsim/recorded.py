"""Recordings of event sensors: structured arrays with a time, a pixel and a polarity per event."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise, starmap
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import is_real, is_whole
from eventsim.errors import EventsError

Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Sample, tick and address of each event."""

Where = int | str
"""Number or name of a recording, for what is refused."""

_SIDE = 2**31 - 1
_TIME = 2**62
_DTYPE = np.dtype([("t", np.int64), ("x", np.int32), ("y", np.int32), ("p", np.bool_)])


def _is_count(value: object) -> bool:
    return is_whole(value) and 1 <= value <= _SIDE


def check_positions(shape: tuple[int, int, int]) -> None:
    """:class:`EventsError` unless (sample, tick, address) can be numbered by one int64."""
    if math.prod(shape) >= 2**63:
        raise EventsError(
            "The shape of the events is too large.",
            given=reprlib.repr(shape),
            expected="samples * ticks * addresses below 2**63",
            repair="longer ticks, start='first' where clocks do not start at zero, or fewer samples at once",
        )


@dataclass(frozen=True)
class Sensor:
    """Pixels of a sensor and their addresses, (p * height + y) * width + x.

    Parameters
    ----------
    size : tuple of int
        Width, height and number of polarities (1 or 2).
    pool : int
        Side of the square of pixels that share an address.

    Raises
    ------
    EventsError
        Another size or pool.
    """

    size: tuple[int, int, int]
    pool: int = 1

    def __post_init__(self) -> None:
        size = tuple(self.size) if isinstance(self.size, Iterable) else ()
        if len(size) != 3 or not all(map(_is_count, size)) or size[2] > 2:
            raise EventsError(
                "The size of the sensor is not usable.",
                given=reprlib.repr(self.size),
                expected=f"(width, height, polarities), sides from 1 to {_SIDE}, 1 or 2 polarities",
                repair="sensor=(34, 34, 2) for N-MNIST, (700, 1, 1) for 700 channels of sound",
            )
        if not _is_count(self.pool):
            raise EventsError(
                "The pooling of pixels is not usable.",
                given=reprlib.repr(self.pool),
                expected=f"a whole number from 1 to {_SIDE}",
                repair="pool=1 for every pixel, pool=2 for squares of 2 x 2",
            )
        object.__setattr__(self, "size", tuple(int(n) for n in size))
        object.__setattr__(self, "pool", int(self.pool))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Polarities, rows and columns of the addresses."""
        width, height, polarities = self.size
        return polarities, -(-height // self.pool), -(-width // self.pool)

    def addresses(self, part: NDArray[np.void], where: Where) -> NDArray[np.int64]:
        """Address of each event of recording ``where``."""
        width, height, polarities = self.size
        _, rows, columns = self.shape
        address = np.zeros(len(part), np.int64)
        if polarities == 2 or "p" in _names(part):
            on = _polarity(part, where)
            if polarities == 2:
                address += on
        address *= rows
        if height > 1 or "y" in _names(part):
            address += _coordinate(part, where, "y", height) // self.pool
        address *= columns
        address += _coordinate(part, where, "x", width) // self.pool
        return address


@dataclass(frozen=True)
class Clock:
    """How times become ticks.

    Parameters
    ----------
    tick : float
        Length of a tick, in the unit of the times.
    ticks : int, optional
        Number of ticks; by default as many as the longest recording needs.
    start : {"zero", "first"}
        Tick 0 begins at time zero, or at the first event of each recording.
    beyond : {"refuse", "drop"}
        What happens to events after the last tick.

    Raises
    ------
    EventsError
        Any other value.
    """

    tick: float
    ticks: int | None
    start: Literal["zero", "first"]
    beyond: Literal["refuse", "drop"]

    def __post_init__(self) -> None:
        if not (is_real(self.tick) and 1e-6 <= self.tick <= 1e15):
            self._refuse("tick", "a length from 1e-06 to 1e+15, in the unit of t", "tick=1000 for 1 ms if t is in us")
        if self.ticks is not None and not _is_count(self.ticks):
            self._refuse("ticks", f"a whole number from 1 to {_SIDE}, or None", "ticks=300")
        if self.start not in ("zero", "first"):
            self._refuse("start", "'zero' or 'first'", "start='zero' keeps the silence before the first event")
        if self.beyond not in ("refuse", "drop"):
            self._refuse("beyond", "'refuse' or 'drop'", "beyond='drop' cuts recordings after the last tick")
        whole = float(self.tick).is_integer()
        object.__setattr__(self, "tick", int(self.tick) if whole else float(self.tick))

    def _refuse(self, name: str, expected: str, repair: str) -> None:
        given = reprlib.repr(getattr(self, name))
        raise EventsError(f"The option {name!r} is not usable.", given=given, expected=expected, repair=repair)

    def times(self, part: NDArray[np.void], where: Where) -> NDArray[Any]:
        """Times of recording ``where`` since its start, in ascending order."""
        times = _field(part, where, "t")
        back = times[1:] < times[:-1]
        if back.any():
            at = int(np.argmax(back))
            raise EventsError(
                f"The times of recording {where} are unsorted.",
                given=f"t = {times[at + 1]} of event {at + 1} after t = {times[at]}",
                expected="times in ascending order",
                repair="recording[np.argsort(recording['t'], kind='stable')]",
            )
        first, last = times[0].item(), times[-1].item()
        if not (0 if self.start == "zero" else -_TIME) <= first <= last <= _TIME:
            raise EventsError(
                f"The times of recording {where} are out of range.",
                given=f"times from {first} to {last}",
                expected="times from 0 to 2**62",
                repair="start='first' to count from the first event, or check for overflowing time stamps",
            )
        times = times.astype(np.float64 if times.dtype.kind == "f" else np.int64)
        return times - times[0] if self.start == "first" else times

    def needed(self, times: list[NDArray[Any]]) -> int:
        """Number of ticks; refuses more than there are."""
        last = [int(part[-1] // self.tick) for part in times]
        most = max(last)
        if most >= (self.ticks or _SIDE) and (self.ticks is None or self.beyond == "refuse"):
            raise EventsError(
                f"Recording {last.index(most)} does not end in time.",
                given=f"an event in tick {most}",
                expected=f"ticks 0 to {(self.ticks or _SIDE) - 1}",
                repair=f"ticks={most + 1}, beyond='drop' to cut, start='first', or a longer tick"
                if self.ticks
                else "start='first' where clocks do not start at zero, a longer tick, or ticks=... and beyond='drop'",
            )
        return int(self.ticks or most + 1)


def _names(part: NDArray[np.void]) -> tuple[str, ...]:
    return part.dtype.names or ()


def _field(part: NDArray[np.void], where: Where, name: str) -> NDArray[Any]:
    """Field of a recording as finite numbers."""
    if name not in _names(part):
        raise EventsError(
            f"Recording {where} has no field {name!r}.",
            given=f"the fields {', '.join(_names(part))}",
            expected="t and x, y where the sensor has rows, p where it has two polarities",
            repair={"y": "sensor=(width, 1, 1)", "p": "sensor=(width, height, 1)"}.get(
                name, f"numpy.lib.recfunctions.rename_fields(recording, {{'...': '{name}'}})"
            ),
        )
    values = part[name]
    if values.ndim != 1 or values.dtype.kind not in "biuf" or not np.isfinite(values).all():
        kind = values.dtype if values.dtype.kind not in "biuf" else "nan or infinite entries"
        raise EventsError(
            f"Field {name!r} of recording {where} is not usable.",
            given=kind if values.ndim == 1 else f"{values.shape[1:]} entries per event",
            expected="one finite number per event",
            repair=f"drop or repair the entries of recording[{name!r}] first",
        )
    return values


def _coordinate(part: NDArray[np.void], where: Where, name: str, limit: int) -> NDArray[np.int64]:
    values = _field(part, where, name)
    if values.min() < 0 or values.max() >= limit:
        raise EventsError(
            f"Field {name!r} of recording {where} leaves the sensor.",
            given=f"values from {values.min()} to {values.max()}",
            expected=f"0 to {limit - 1}",
            repair="sensor=(width, height, polarities) of the data set, in this order",
        )
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and (whole != values).any():
        raise EventsError(
            f"Field {name!r} of recording {where} is not whole.",
            given=f"{values[np.argmax(whole != values)]}",
            expected="whole numbers of pixels",
            repair=f"np.floor(recording[{name!r}])",
        )
    return whole


def _polarity(part: NDArray[np.void], where: Where) -> NDArray[np.bool_]:
    """Whether each event is an ON event."""
    values = _field(part, where, "p")
    on: NDArray[np.bool_] = values == 1
    if not (on | (values == (-1 if values.min() < 0 else 0))).all():
        raise EventsError(
            f"The polarities of recording {where} are unknown.",
            given=f"the values {reprlib.repr(np.unique(values).tolist())}",
            expected="0 and 1 (or False and True), or -1 and 1",
            repair="recording['p'] = recording['p'] > 0, if that is what they mean",
        )
    return on


def _parts(recordings: object) -> list[NDArray[np.void]]:
    """Recordings, each a structured array with events."""
    alone = isinstance(recordings, np.ndarray | np.void | Mapping | str | bytes)
    given: list[object] = list(recordings) if isinstance(recordings, Iterable) and not alone else [recordings]
    if not given:
        raise EventsError(
            "There is no recording.",
            given="an empty sequence",
            expected="one structured array or several",
            repair="Events([], [], [], shape) for silence",
        )
    return [checked(part, where) for where, part in enumerate(given)]


def checked(part: object, where: Where) -> NDArray[np.void]:
    """Recording ``where`` if it is a structured array with events; :class:`EventsError` otherwise."""
    masked = np.ma.isMaskedArray(part)
    if not isinstance(part, np.ndarray) or not part.dtype.names or part.ndim != 1 or masked:
        kind = f"{part.ndim}-d array of {part.dtype}" if isinstance(part, np.ndarray) else type(part).__name__
        raise EventsError(
            f"Recording {where} is not a structured array.",
            given=f"masked {kind}" if masked else kind,
            expected="a 1-d NumPy array with the fields t, x and, where the sensor has them, y, p",
            repair="np.rec.fromarrays([t, x, y, p], names='t,x,y,p'), and without the label of a data set",
        )
    if not len(part):
        raise EventsError(
            f"Recording {where} is empty.",
            given="no event",
            expected="at least one event",
            repair="leave it and its label out, or join Events([], [], [], shape) by Events.concatenate",
        )
    return part


def _keys(tick: NDArray[np.int64], address: NDArray[np.int64], addresses: int) -> NDArray[np.int64]:
    """Ascending tick * addresses + address, each once; sorted only where necessary."""
    key = tick * addresses
    key += address
    if (key[1:] <= key[:-1]).any():
        key.sort()
        key = key[np.append(True, key[1:] != key[:-1])]
    return key


def read(recordings: object, sensor: Sensor, clock: Clock) -> tuple[Columns, tuple[int, int, int]]:
    """Columns sample, tick and address of recordings, sorted and without repetitions, and their shape."""
    parts = _parts(recordings)
    times = [clock.times(part, where) for where, part in enumerate(parts)]
    shape = (len(parts), clock.needed(times), math.prod(sensor.shape))
    check_positions(shape)
    keys = []
    for where, part in enumerate(parts):
        tick = times[where] // clock.tick
        last = np.searchsorted(tick, shape[1])
        keys.append(_keys(tick[:last].astype(np.int64), sensor.addresses(part, where)[:last], shape[2]))
    sample = np.repeat(np.arange(len(keys)), [len(key) for key in keys])
    columns = (sample, *np.divmod(np.concatenate(keys), shape[2]))
    for column in columns:
        column.setflags(write=False)
    return columns, shape


def write(columns: Columns, shape: tuple[int, int, int], sensor: Sensor, tick: int) -> list[NDArray[np.void]]:
    """Structured array of each sample; a tick lasts ``tick``."""
    if math.prod(sensor.shape) != shape[2]:
        raise EventsError(
            "The sensor does not fit the events.",
            given=f"{sensor.size}, {math.prod(sensor.shape)} addresses",
            expected=f"{shape[2]} addresses",
            repair="sensor=(width, height, polarities), after pooling",
        )
    if not (is_whole(tick) and 1 <= tick <= _TIME // shape[1]):
        raise EventsError(
            "The length of a tick is not usable.",
            given=reprlib.repr(tick),
            expected=f"a whole number from 1 to {_TIME // shape[1]}",
            repair="tick=1000 for ticks of 1 ms and times in us",
        )
    parts = starmap(slice, pairwise(np.searchsorted(columns[0], np.arange(shape[0] + 1))))
    return [_structured(columns[1][part] * int(tick), columns[2][part], sensor) for part in parts]


def _structured(times: NDArray[np.int64], address: NDArray[np.int64], sensor: Sensor) -> NDArray[np.void]:
    polarities, rows, columns = sensor.shape
    recording = np.empty(len(times), _DTYPE)
    pixel, recording["x"] = np.divmod(address, columns)
    polarity, recording["y"] = np.divmod(pixel, rows)
    recording["t"], recording["p"] = times, polarity if polarities == 2 else 1
    return recording
