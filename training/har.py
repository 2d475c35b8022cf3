"""Activity recognition with smartphones: the windows of UCI-HAR and of its later release, HAPT."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import ConfigError
from eventsim.training.dataset import Dataset
from eventsim.training.files import Place, damaged, read_npz, read_table
from eventsim.training.hapt import LENGTH, TEST_SUBJECTS, check_activities, raw_windows
from eventsim.training.splits import Sizes, grouped, shuffled, split
from eventsim.training.standard import standardised
from eventsim.training.turns import Turns

NPZ = {"har_windows.npz": "ee28e5211d9c91344a37c1c2a92a538522c049dbcb974297363df0637c74d633"}
"""Windows with the signals that they are cut from, and its SHA-256."""
V1_WINDOWS = {"train": (1226, 1073, 986, 1286, 1374, 1407), "test": (496, 471, 420, 491, 532, 537)}
HAPT_WINDOWS = (1722, 1544, 1407, 1801, 1979, 1958, 70, 33, 107, 85, 139, 84)
"""Windows of each activity, as they were published."""
RAW = ("RawData/labels.txt", "labels.txt")
FIRST = "train/y_train.txt"
SUBJECTS = 4
"""Subjects for validation, of the 21 of the training set."""
CHANNELS = tuple(f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")

HAPT = Place(
    "uci_har",
    "UCI-HAR (HAPT)",
    ("uci-har", "HAPT Data Set"),
    "har_windows.npz, or RawData/ of the HAPT release: acc_expNN_userNN.txt, gyro_expNN_userNN.txt and labels.txt",
)
V1 = Place(
    "uci_har",
    "UCI-HAR",
    ("UCI HAR Dataset", "uci-har"),
    "train/ and test/ of the first release: Inertial Signals/*.txt, y_*.txt and subject_*.txt",
)


Release = Literal["hapt", "v1", "v1_subset"]


class Windows(NamedTuple):
    """Windows of all subjects."""

    x: NDArray[np.float32]
    """Shape (windows, 128, 9)."""
    labels: NDArray[np.int64]
    """From 1."""
    subjects: NDArray[np.int64]
    is_test: NDArray[np.bool_]

    def only(self, which: NDArray[np.bool_]) -> Windows:
        """Some of them."""
        return Windows(self.x[which], self.labels[which], self.subjects[which], self.is_test[which])


def uci_har(
    folder: Path | None,
    *,
    release: Release = "hapt",
    postures: Literal["basic", "all"] = "basic",
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
    turned: int = 0,
    degrees: float = 10.0,
) -> Dataset:
    """Activities from signals of a smartphone, UCI-HAR: windows of 128 ticks of 20 ms, 9 channels.

    release="hapt", the later release: har_windows.npz in uci-har/, or the publishers' RawData/ in "HAPT Data Set"/:
    7,415 windows and 2,996 for test, or with postures="all", which has the changes between postures as six more
    classes, 7,767 and 3,162. release="v1", the first release: train/ and test/ with their "Inertial Signals"/ in
    "UCI HAR Dataset"/, 7,352 windows and 2,947. release="v1_subset": 2,400 and 950 of these, which har_windows.npz has.

    turned=3 adds three copies of each training window as a phone would have recorded it that sits otherwise, by normal
    angles of so many ``degrees`` about each axis.
    """
    if release != "hapt" and postures == "all":
        raise ConfigError(
            "The first release has no changes between postures.",
            given=f"release={release!r}, postures='all'",
            expected="postures='basic'",
            repair="leave postures out, or release",
        )
    turns = Turns(turned, degrees)
    windows = {"hapt": _hapt, "v1": _v1, "v1_subset": _v1_subset}[release](folder)
    asked = windows.labels <= (6 if postures == "basic" else 12)
    return _dataset(windows.only(asked), Sizes(train, validation, test), turns)


def _dataset(windows: Windows, sizes: Sizes, turns: Turns) -> Dataset:
    """Windows with a split in which no subject of validation is one of training; turned copies stand behind them."""
    order = shuffled("uci_har", np.flatnonzero(~windows.is_test))
    order, held = grouped("uci_har", order, windows.subjects[order], SUBJECTS, sizes.validation, "subjects")
    parts = split("uci_har", order, np.flatnonzero(windows.is_test), held, sizes)
    known = np.concatenate([np.arange(len(windows.x)), *[parts.train] * turns.copies])
    x = np.concatenate([windows.x, *(turns(windows.x[parts.train], copy) for copy in range(turns.copies))])
    x = standardised("uci_har", x, parts.train)
    train = np.concatenate([parts.train, np.arange(len(windows.x), len(known))])
    labels = windows.labels[known] - 1
    return Dataset("uci_har", x, labels, train, parts.validation, parts.test, image=(1, LENGTH, len(CHANNELS)))


def _hapt(folder: Path | None) -> Windows:
    path = HAPT.find(folder, *NPZ)
    if path is not None:
        z = read_npz(path, HAPT.title, NPZ[path.name])
        subjects, is_test = z["subject"].astype(np.int64), z["is_test"]
        return Windows(_cut(z, z["start"]), z["label"].astype(np.int64), subjects, is_test)
    labels = HAPT.find(folder, *RAW)
    if labels is None:
        there = {"v1": V1.find(folder, FIRST)}
        raise HAPT.missing(folder, "neither har_windows.npz nor RawData/labels.txt", _others(there))
    return Windows(*raw_windows(labels, HAPT_WINDOWS))


def _cut(z: dict[str, NDArray[Any]], start: NDArray[Any]) -> NDArray[np.float32]:
    """Windows of the signals."""
    signals: NDArray[np.float32] = (z["signals"] * z["scale"]).astype(np.float32)
    return signals[start[:, None] + np.arange(LENGTH)]


def _others(there: dict[str, Path | None]) -> str:
    """Releases of which files are there."""
    return "".join(f"; or read {path}: release={name!r}" for name, path in there.items() if path)


def _v1(folder: Path | None) -> Windows:
    path = V1.find(folder, FIRST)
    if path is None:
        there = {"v1_subset": HAPT.find(folder, *NPZ), "hapt": HAPT.find(folder, *NPZ, *RAW)}
        raise V1.missing(folder, f"no {FIRST}", _others(there))
    absent = [name for part in V1_WINDOWS for name in _names(part) if not (path.parents[1] / name).is_file()]
    if absent:
        raise V1.missing(folder, f"{path}, but no {', '.join(absent)} beside it,")
    parts = [_text(path.parents[1], part) for part in V1_WINDOWS]
    return Windows(*(np.concatenate(both) for both in zip(*parts, strict=True)))


def _v1_subset(folder: Path | None) -> Windows:
    path = HAPT.needed(folder, *NPZ)
    z = read_npz(path, HAPT.title, NPZ[path.name])
    start = np.concatenate([z["v1_start_train"], z["v1_start_test"]])
    labels = np.concatenate([z["v1_label_train"], z["v1_label_test"]]).astype(np.int64)
    order = np.argsort(z["start"])
    nearest = order[np.searchsorted(z["start"], start, "right", order) - 1]
    is_test = np.arange(len(start)) >= len(z["v1_start_train"])
    return Windows(_cut(z, start), labels, z["subject"][nearest].astype(np.int64), is_test)


def _names(part: str) -> list[str]:
    """Files of a part of the first release: labels, subjects, channels."""
    signals = [f"Inertial Signals/{channel}" for channel in CHANNELS]
    return [f"{part}/{name}_{part}.txt" for name in ("y", "subject", *signals)]


def _text(folder: Path, part: str) -> Windows:
    """Training or test set of the first release."""
    counts, paths = V1_WINDOWS[part], [folder / name for name in _names(part)]
    rows = sum(counts)
    tables = [read_table(path, 1 if i < 2 else LENGTH, ended=True) for i, path in enumerate(paths)]
    for path, table, most in zip(paths, tables, (6, 30, *[None] * len(CHANNELS)), strict=True):
        known = most is None or bool(np.isin(table, np.arange(1, most + 1)).all())
        if len(table) != rows or not known:
            given = f"{len(table)} rows from {table.min()} to {table.max()}"
            raise damaged(path, given, f"{rows} rows" + (f" of whole numbers from 1 to {most}" if most else ""))
    x = np.stack(tables[2:], 2).astype(np.float32)
    labels, subjects = (table[:, 0].astype(np.int64) for table in tables[:2])
    check_activities(paths[0], labels, counts)
    others = np.unique(subjects[np.isin(subjects, TEST_SUBJECTS) != (part == "test")])
    if len(others):
        raise damaged(paths[1], f"subjects {others.tolist()} for {part}", f"those for test are {TEST_SUBJECTS}")
    return Windows(x, labels, subjects, np.full(rows, part == "test"))
