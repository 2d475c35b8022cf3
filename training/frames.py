"""Recorded frames: samples that have ticks of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import count
from eventsim.errors import ConfigError, DataError
from eventsim.training.dataset import Dataset
from eventsim.training.encode import Encoder, Values, check_ticks, usable
from eventsim.training.signal import Signal


@dataclass(frozen=True)
class Frames:
    """Counts of events as they were recorded, tick by tick, cut at a largest count. Nothing is random.

    Parameters
    ----------
    ticks : int
        Ticks of the signal. Each holds the sum of ``recorded / ticks`` neighbouring frames.
    recorded : int, optional
        Frames of a sample (``Dataset.ticks``); as many as ``ticks`` if left out.
    most : int
        Larger counts become this one, up to 255. With 1, a spike is wherever there were events, as the engine wants it.

    Raises
    ------
    ConfigError
        No tick, frames that do not divide into the ticks, or a largest count of less than 1.
    """

    ticks: int
    recorded: int | None = None
    most: int = 1

    def __post_init__(self) -> None:
        check_ticks(self.ticks)
        count("most", self.most, 1, 255, kind=ConfigError)
        if self.recorded is not None:
            count("recorded", self.recorded, 1, kind=ConfigError)
        if self.frames % self.ticks:
            raise ConfigError(
                "The recorded frames do not divide into the ticks.",
                given=f"{self.frames} frames in ticks={self.ticks}",
                expected=f"a divisor of {self.frames}",
                repair=f"ticks={_divisor(self.frames, self.ticks)}",
            )

    @property
    def frames(self) -> int:
        """Frames of a sample."""
        return self.ticks if self.recorded is None else self.recorded

    def prepare(self, x: Values) -> NDArray[np.uint8]:
        """Counts in each tick, shape (samples, ticks, inputs), of samples of shape (samples, frames * inputs).

        Raises
        ------
        DataError
            Samples of another number of frames, or of real values.
        """
        x = usable(x)
        inputs, rest = divmod(x.shape[1], self.frames)
        if rest or x.dtype.kind != "u":
            raise DataError(
                "The samples are not recorded frames.",
                given=f"{x.shape[1]} values of {x.dtype} in {self.frames} frames",
                expected="counts of events in unsigned bytes, as many in each frame",
                repair="Frames(ticks, recorded=dataset.ticks) for recordings, another encoder for real values",
            )
        frames = x.reshape(len(x), self.ticks, -1, inputs)
        counts = frames[:, :, 0] if frames.shape[2] == 1 else frames.sum(axis=2, dtype=np.uint32)
        return np.minimum(counts, self.most).astype(np.uint8, copy=False)

    def __call__(self, prepared: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Counts, or spikes; see :class:`~eventsim.training.encode.Encoder`."""
        return Signal(prepared, most=self.most)


def check_frames(encoder: Encoder, dataset: Dataset) -> None:
    """Refuse frames of an encoder that are not those of the data set, with :class:`DataError`."""
    if isinstance(encoder, Frames) and encoder.frames != dataset.ticks:
        raise DataError(
            "The encoder does not fit the recordings.",
            given=f"{encoder.frames} frames, {dataset.name} has {dataset.ticks}",
            expected="as many frames as the data set was recorded with",
            repair=f"Frames(ticks={dataset.ticks}), or Frames(..., recorded={dataset.ticks})",
        )


def _divisor(frames: int, ticks: int) -> int:
    """Largest divisor of the frames that is no larger than ``ticks``."""
    return next(n for n in range(min(frames, ticks), 0, -1) if frames % n == 0)
