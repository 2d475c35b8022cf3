"""Data sets of event sensors that tonic reads, which is asked for only when one of them is loaded."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from eventsim.errors import ConfigError, DataError
from eventsim.training.dataset import Dataset
from eventsim.training.recordings import Recordings, from_tonic
from eventsim.training.slices import Slicing
from eventsim.training.splits import Sizes


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
