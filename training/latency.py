"""Latency coding: when an input spikes tells its value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import one_number
from eventsim.errors import ConfigError
from eventsim.training.encode import Values, check_ticks, usable
from eventsim.training.signal import Array, Signal

Law = Literal["linear", "logarithmic"]

_MOST_CONSTANTS = 500
"""Time constants that a sample may last: exp(-500) is still a number."""


@dataclass(frozen=True)
class Latency:
    """One spike per input: the larger the value, the earlier; none below a smallest value.

    With T ticks and the smallest value m, a value x >= m spikes in tick floor(t), at most T - 1:

    =============== =======================================================================
    law             t
    =============== =======================================================================
    ``linear``      T (1 - x) / (1 - m), from 0 at x = 1 to T at x = m; 0 above x = 1
    ``logarithmic`` -tau ln(1 - h / x) with h = m (1 - exp(-T / tau)): the time at which an
                    RC circuit that is charged towards x reaches h, T at x = m
    =============== =======================================================================

    Nothing is random: P(spike) is 1 in that tick and 0 in all others.

    Parameters
    ----------
    ticks : int
    law : "linear" or "logarithmic"
    least : float
        The smallest value that spikes, below 1.
    tau : float, optional
        Time constant of the logarithmic law, in ticks: at least a 500th of all of them, and all of them if left out.

    Raises
    ------
    ConfigError
        No tick, an unknown law, a smallest value outside 0..1, or a time constant that is too short or that the
        linear law does not have.
    """

    ticks: int
    law: Law = "linear"
    least: float = 0.1
    tau: float | None = None

    def __post_init__(self) -> None:
        check_ticks(self.ticks)
        one_number("smallest value", self.least, 1e-6, 1 - 1e-6, repair="least=0.1", kind=ConfigError)
        if self.tau is not None:
            shortest = self.ticks / _MOST_CONSTANTS
            one_number("time constant", self.tau, shortest, 1e9, repair="tau=8.0, in ticks", kind=ConfigError)
        if self.law not in get_args(Law) or (self.law == "linear" and self.tau is not None):
            raise ConfigError(
                "The law of the encoder is not usable.",
                given=f"{self.law!r} with tau={self.tau}",
                expected="'linear' without a time constant, or 'logarithmic'",
                repair="Latency(ticks=8, law='logarithmic', tau=8.0)",
            )

    def prepare(self, x: Values) -> Array:
        """Tick of the spike, for values ``x``; the number of ticks where there is none."""
        x = usable(x)
        values = np.maximum(x.astype(np.float64), self.least)
        tick = np.minimum(np.floor(self._time(values)), self.ticks - 1)
        return np.where(x >= np.float32(self.least), tick, self.ticks).astype(np.float32)

    def _time(self, x: Array) -> Array:
        if self.law == "linear":
            return self.ticks * np.maximum(1 - x, 0) / (1 - self.least)
        tau, above = float(self.ticks) if self.tau is None else self.tau, x / self.least
        return np.asarray(tau * np.log(above / (above - 1 + math.exp(-self.ticks / tau))))

    def __call__(self, prepared: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Spikes; see :class:`~eventsim.training.encode.Encoder`."""
        ticks = np.arange(self.ticks, dtype=np.float32).reshape(-1, *(1,) * (prepared.ndim - 1))
        return Signal((prepared[:, None] == ticks).view(np.uint8), most=1)
