"""Data sets of recordings of event sensors: each is cut into ticks, its events counted."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import is_whole
from eventsim.errors import DataError
from eventsim.training.dataset import Dataset
from eventsim.training.slices import Slices, Slicing
from eventsim.training.splits import Sizes, Split, shuffled, split


@runtime_checkable
class Recordings(Protocol):
    """What a data set of tonic is: pairs of a structured array, with fields t, x, p and often y, and a label."""

    sensor_size: tuple[int, int, int]

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> tuple[NDArray[np.void], Any]: ...


def from_tonic(
    name: str,
    train: Recordings,
    test: Recordings | None = None,
    *,
    ticks: int,
    slicing: Slicing = "time",
    span: float | None = None,
    pool: int = 1,
    polarity: bool = True,
    sizes: Sizes | None = None,
) -> Dataset:
    """Data set of recordings, cut into ticks.

    Parameters
    ----------
    name : str
    train, test : Recordings
        Data sets of tonic, or anything like them, without transforms. Without ``test``, a tenth of ``train`` is carved
        from it by key. A tenth of what is left is for validation.
    ticks, slicing, span, pool
        Of :class:`~eventsim.training.slices.Slices`.
    polarity : bool
        Tell ON from OFF, where the sensor does.
    sizes : Sizes, optional
        Numbers of samples for training, validation and test.

    Returns
    -------
    Dataset
        Counts of events, with ``ticks``.

    Raises
    ------
    ConfigError
        Ticks, slicing or span that cannot be, or more samples than there are.
    DataError
        No recordings, one that cannot be read, or labels that are no whole numbers from 0.
    EventsError
        A recording that is empty, unsorted, or does not fit the sensor.
    """
    sets = [train] if test is None else [train, test]
    for recordings in sets:
        _check(name, recordings)
    if len({tuple(recordings.sensor_size) for recordings in sets}) > 1:
        raise DataError(
            f"The recordings of {name} are of two sensors.",
            given=" and ".join(str(recordings.sensor_size) for recordings in sets),
            expected="one sensor for training and test",
            repair="data sets of one kind",
        )
    width, height, polarities = train.sensor_size
    slices = Slices((width, height, polarities if polarity else 1), ticks, slicing, span, pool)
    x = np.empty((sum(map(len, sets)), slices.size), np.uint8)
    labels, row = np.empty(len(x), np.int64), 0
    of = [name] if test is None else [f"the training set of {name}", f"the test set of {name}"]
    for recordings, part in zip(sets, of, strict=True):
        for i in range(len(recordings)):
            where = f"{i} of {part}"
            events, label = _read(recordings, i, where)
            x[row], labels[row] = slices(events, where), _label(label, where)
            row += 1
    cut = _split(name, len(train), len(x), sizes or Sizes())
    return Dataset(name, x, labels, *cut, image=slices.image, ticks=ticks)


def _split(name: str, training: int, samples: int, sizes: Sizes) -> Split:
    order, test = shuffled(name, np.arange(training)), np.arange(training, samples)
    if not len(test):
        order, test = order[training // 10 :], np.sort(order[: training // 10])
    return split(name, order, test, len(order) // 10, sizes)


def _check(name: str, recordings: object) -> None:
    if isinstance(recordings, type) or not isinstance(recordings, Recordings) or not len(recordings):
        raise DataError(
            f"There are no recordings of {name}.",
            given=repr(recordings),
            expected="a data set of tonic: sensor_size, a length, and pairs of a structured array and a label",
            repair="tonic.datasets.SHD('data', train=True)",
        )


def _read(recordings: Recordings, number: int, where: str) -> tuple[NDArray[np.void], Any]:
    """A recording and its label."""
    try:
        events, label = recordings[number]
    except Exception as cause:  # whatever a library says of a damaged file
        raise DataError(
            f"Recording {where} cannot be read.",
            given=repr(cause),
            expected="a pair of a structured array and a label",
            repair="fetch the files again, or leave that recording out",
        ) from cause
    return events, label


def _label(label: Any, where: str) -> int:
    label = label.item() if isinstance(label, np.ndarray) and label.size == 1 else label
    if not is_whole(label) or int(label) < 0:
        raise DataError(
            f"Recording {where} has no class.",
            given=repr(label),
            expected="a whole number from 0",
            repair="target_transform=..., which numbers the classes",
        )
    return int(label)
