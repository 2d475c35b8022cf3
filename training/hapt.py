"""Windows of UCI-HAR from the raw signals of its later release, HAPT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, medfilt, sosfilt

from eventsim.errors import DataError
from eventsim.training.files import damaged, read_table

LENGTH, STEP = 128, 64
"""Ticks of a window, of 20 ms each, and from one to the next."""
NYQUIST = 25.0
"""Half the sampling rate, Hz."""
TEST_SUBJECTS = (2, 4, 9, 10, 12, 13, 18, 20, 24)

_MOST = (61, 30, 12)
"""Experiments, users and activities."""

Signal = NDArray[np.float64]
Cut = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]


def raw_windows(labels: Path, expected: tuple[int, ...]) -> Cut:
    """Windows of all recordings beside ``labels.txt``, of which so many of each activity are expected.

    Returns
    -------
    x : array of float32, shape (windows, 128, 9)
        In g, rad/s and g.
    labels, subjects : array of int64
    is_test : array of bool
    """
    segments = read_table(labels, 5)
    usable = (segments % 1 == 0) & (segments >= 1) & (segments <= (*_MOST, *[2**31] * 2))
    if not usable.all():
        row = int(np.argmin(usable.all(1)))
        given = f"segment {row + 1}, {' '.join(f'{number:g}' for number in segments[row])}"
        raise damaged(
            labels, given, "whole numbers from 1: experiment to 61, user to 30, activity to 12, first and last row"
        )
    segments = segments.astype(np.int64)
    x, found = [], []
    for experiment, user in np.unique(segments[:, :2], axis=0):
        signals = channels(*_recording(labels, experiment, user))
        for _, _, activity, first, last in segments[(segments[:, :2] == (experiment, user)).all(1)]:
            if not first <= last <= len(signals):
                raise damaged(labels, f"rows {first} to {last} of {len(signals)}", "rows of the recording, from 1")
            starts = range(first - 1, last - LENGTH + 1, STEP)
            x += [signals[start : start + LENGTH] for start in starts]
            found += [(activity, user)] * len(starts)
    activities, subjects = np.array(found, np.int64).reshape(-1, 2).T
    check_activities(labels, activities, expected)
    return np.stack(x).astype(np.float32), activities, subjects, np.isin(subjects, TEST_SUBJECTS)


def check_activities(path: Path, labels: NDArray[np.int64], expected: tuple[int, ...]) -> None:
    """Refuse labels from 1 of which others were published, or not as many."""
    found = tuple(np.bincount(labels, minlength=len(expected) + 1)[1:].tolist())
    if found != expected:
        raise damaged(path, f"{found} windows of activities 1, 2, ...", f"{expected}, as were published")


def _recording(labels: Path, experiment: int, user: int) -> tuple[Signal, Signal]:
    """Acceleration (g) and angular velocity (rad/s) of a recording, shape (ticks, 3) each."""
    paths = [labels.parent / f"{kind}_exp{experiment:02}_user{user:02}.txt" for kind in ("acc", "gyro")]
    for path in paths:
        if not path.is_file():
            raise DataError(
                "A recording is missing.",
                given=f"no {path}",
                expected="the recordings that labels.txt names",
                repair="put it beside labels.txt",
            )
    acceleration, rotation = (read_table(path, 3) for path in paths)
    if len(acceleration) != len(rotation):
        raise damaged(paths[1], f"{len(rotation)} rows", f"{len(acceleration)} rows, as {paths[0].name} has")
    return acceleration, rotation


def channels(acceleration: Signal, rotation: Signal) -> Signal:
    """The nine channels of UCI-HAR, shape (ticks, 9): body acceleration, body rotation, total acceleration.

    A median of three and a low-pass at 20 Hz take the noise away; what is below 0.3 Hz of the acceleration is gravity,
    and what is below 0.1 Hz of the rotation is drift. All filters are causal and start at rest with the recording.
    """
    total, turning = _denoised(acceleration), _denoised(rotation)
    gravity = sosfilt(butter(3, 0.3 / NYQUIST, output="sos"), total, axis=0)
    drift = sosfilt(butter(2, 0.1 / NYQUIST, output="sos"), turning, axis=0)
    return np.concatenate([total - gravity, turning - drift, total], axis=1)


def _denoised(signal: Signal) -> Signal:
    median = np.stack([medfilt(channel, 3) for channel in signal.T], axis=1)
    return np.asarray(lfilter(*butter(10, 20 / NYQUIST), median, axis=0))
