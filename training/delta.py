"""Sigma-delta coding: spikes tell where a signal has moved to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import count, one_number
from eventsim.errors import ConfigError, DataError
from eventsim.training.dataset import Dataset
from eventsim.training.encode import Encoder, Values, check_ticks, usable
from eventsim.training.signal import Signal


@dataclass(frozen=True)
class SigmaDelta:
    """Spikes up and down that whoever sums them follows a signal by; the signal's own time becomes the ticks.

    In tick t channel c is compared with what has been told of it, r = ``step`` times (all its spikes up less all its
    spikes down), which is 0 at first. If it is away by a step or more, it gives

        n = min(most, floor(|x_t - r| / step))

    spikes, at 2c + 1 upwards and at 2c downwards. The error |x_t - r| afterwards is less than ``step`` plus the sum, up
    to t, of what each change |x_t - x_(t-1)| exceeds ``most * step`` by, where x_(-1) = 0: less than ``step`` for a
    signal that starts near 0 and is nowhere too steep. Nothing is random.

    Parameters
    ----------
    ticks : int
        Length of the signal, shape (ticks, channels).
    step : float
        What a spike stands for, in the unit of the samples.
    most : int
        Largest number of spikes in a tick, up to 255. The engine takes one; more are counts.

    Raises
    ------
    ConfigError
        No tick, a step that is not positive, or no spike.
    """

    ticks: int
    step: float
    most: int = 1

    def __post_init__(self) -> None:
        check_ticks(self.ticks)
        one_number("step", self.step, 1e-6, 1e6, repair="step=0.1", kind=ConfigError)
        count("most", self.most, 1, 255, kind=ConfigError)

    def prepare(self, x: Values) -> NDArray[np.uint8]:
        """Spikes of signals, shape (samples, ticks * channels); the encoder draws nothing, so that they are fixed.

        Raises
        ------
        DataError
            Signals of another length, or not of finite real numbers.
        """
        x = usable(x)
        rows = x.reshape(len(x), -1)
        channels, rest = divmod(rows.shape[1], self.ticks)
        if rest:
            raise DataError(
                "The signals do not fit the encoder.",
                given=f"{rows.shape[1]} values in {self.ticks} ticks",
                expected="as many values in each tick: ticks times channels",
                repair="SigmaDelta(ticks=...) with the length of the signals",
            )
        signals = rows.reshape(len(x), self.ticks, channels)
        told, spikes = np.zeros((len(x), channels)), np.zeros((len(x), self.ticks, channels, 2), np.uint8)
        for t in range(self.ticks):
            moved = signals[:, t] - self.step * told
            steps = np.minimum(np.abs(moved) // self.step, self.most)
            told += np.copysign(steps, moved)
            spikes[:, t, :, 0], spikes[:, t, :, 1] = steps * (moved < 0), steps * (moved > 0)
        return spikes.reshape(len(x), self.ticks, 2 * channels)

    def __call__(self, prepared: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Spikes, shape (batch, ticks, 2 * channels); see :class:`~eventsim.training.encode.Encoder`."""
        return Signal(prepared, most=self.most)


def check_signals(encoder: Encoder, dataset: Dataset) -> None:
    """Refuse samples that are no signals of the encoder's ticks, with :class:`DataError`."""
    if isinstance(encoder, SigmaDelta) and (dataset.ticks, *dataset.image[:2]) != (1, 1, encoder.ticks):
        shape = " x ".join(map(str, dataset.image))
        raise DataError(
            "The encoder does not fit the signals.",
            given=f"ticks={encoder.ticks}, {dataset.name} has {dataset.ticks} images of {shape}",
            expected=f"signals, images of height 1, as long as there are ticks: 1 x {encoder.ticks} x channels",
            repair="SigmaDelta(ticks=...) with the length of the signals, or another encoder",
        )
