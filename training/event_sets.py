"""Recordings of event sensors through tonic, which is asked for only when such a data set is loaded."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import is_whole
from eventsim.errors import ConfigError, DataError
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


def shd(
    folder: Path | None,
    *,
    ticks: int = 100,
    span: float | None = 1_400_000,
    pool: int = 1,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Spoken digits in 700 channels of an artificial cochlea, Spiking Heidelberg Digits (Cramer et al. 2020).

    Read by tonic (extra events), which downloads them. Ticks are of 14 ms up to 1.4 s, unless asked for otherwise.
    Validation is of speakers that are trained with.
    """
    sets = _tonic("SHD", folder, {"train": True}, {"train": False})
    return from_tonic("shd", *sets, ticks=ticks, span=span, pool=pool, sizes=Sizes(train, validation, test))


def dvs_gesture(
    folder: Path | None,
    *,
    ticks: int = 16,
    slicing: Slicing = "count",
    span: float | None = None,
    pool: int = 4,
    polarity: bool = True,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Gestures of hands and arms before an event camera, DVS128 Gesture (Amir et al. 2017): 11 kinds, 128 x 128 x 2.

    Read by tonic (extra events), which downloads them. Squares of 4 x 4 pixels become one, unless asked for otherwise.
    Validation is of persons that are trained with.
    """
    sets = _tonic("DVSGesture", folder, {"train": True}, {"train": False})
    sizes = Sizes(train, validation, test)
    return from_tonic(
        "dvs_gesture", *sets, ticks=ticks, slicing=slicing, span=span, pool=pool, polarity=polarity, sizes=sizes
    )


def dvs_cifar10(
    folder: Path | None,
    *,
    ticks: int = 10,
    slicing: Slicing = "count",
    span: float | None = None,
    pool: int = 4,
    polarity: bool = True,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Photographs moved before an event camera, CIFAR10-DVS (Li et al. 2017): 10,000 of 10 kinds, 128 x 128 x 2.

    Read by tonic (extra events), which downloads them. There is no published test set: a tenth is carved by key.
    Squares of 4 x 4 pixels become one, unless asked for otherwise.
    """
    sets = _tonic("CIFAR10DVS", folder, {})
    sizes = Sizes(train, validation, test)
    return from_tonic(
        "dvs_cifar10", *sets, ticks=ticks, slicing=slicing, span=span, pool=pool, polarity=polarity, sizes=sizes
    )


def _tonic(name: str, folder: Path | None, *parts: dict[str, Any]) -> list[Recordings]:
    """Parts of a data set of tonic, in a folder that tonic downloads into."""
    try:
        made = getattr(importlib.import_module("tonic.datasets"), name)
    except ImportError:
        raise ConfigError(
            "tonic is not installed.",
            given=name,
            expected="the extra events: tonic reads this data set",
            repair="pip install 'eventsim-mtj[events]'",
        ) from None
    if folder is None:
        raise DataError(
            "The data folder is missing.",
            given="none",
            expected=f"a folder where tonic finds {name}, or downloads it to",
            repair="--data FOLDER, or set EVENTSIM_DATA",
        )
    try:
        return [made(save_to=str(folder), **part) for part in parts]
    except Exception as cause:  # whatever it says of a damaged file, or of no connection
        raise DataError(
            f"tonic cannot give {name}.",
            given=f"{folder}: {cause!r}",
            expected="the files of the data set, or a connection to download them",
            repair="put the files where tonic looks for them, in a folder of that name below the data folder",
        ) from None
