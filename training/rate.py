"""Rate coding: how often an input spikes tells its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import one_number
from eventsim.errors import ConfigError
from eventsim.training.encode import Values, check_draws, check_ticks, drawn, usable
from eventsim.training.signal import Array, Signal

Law = Literal["bernoulli", "poisson"]


@dataclass(frozen=True)
class Rate:
    """Random spikes whose rate follows the value.

    ============= =============================================================
    law           P(spike) in a tick, for a value x
    ============= =============================================================
    ``bernoulli`` gain x, cut to 0..1
    ``poisson``   1 - exp(-gain x): at least one event of a Poisson process of
                  gain x events per tick; 0 where x is negative
    ============= =============================================================

    Drawn anew for each input, tick, sample and epoch, keyed by these and the seed alone.

    Parameters
    ----------
    ticks : int
    seed : int
    law : "bernoulli" or "poisson"
    gain : float
        Spikes (or events) per tick at the value 1.
    stratified : bool
        Choose ticks so that the number of spikes strays by less than one from its mean. A tick spikes with the same
        probability, but ticks are not independent.

    Raises
    ------
    ConfigError
        No tick, an unknown law, a gain that is not positive, or ``stratified`` is neither true nor false.
    """

    ticks: int
    seed: int
    law: Law = "bernoulli"
    gain: float = 1.0
    stratified: bool = False

    def __post_init__(self) -> None:
        check_ticks(self.ticks)
        check_draws(self.seed, self.stratified)
        one_number("gain", self.gain, 1e-6, 1e6, repair="gain=1.0", kind=ConfigError)
        if self.law not in get_args(Law):
            raise ConfigError(
                "The law of the encoder is not known.",
                given=repr(self.law),
                expected=" or ".join(map(repr, get_args(Law))),
                repair="Rate(ticks=8, seed=0, law='bernoulli')",
            )

    def prepare(self, x: Values) -> Array:
        """Probability of a spike, for values ``x``."""
        events = usable(x) * np.float32(self.gain)
        if self.law == "bernoulli":
            return np.clip(events, 0, 1)
        return np.asarray(-np.expm1(-np.maximum(events, 0)))

    def __call__(self, prepared: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Spikes; see :class:`~eventsim.training.encode.Encoder`."""
        return drawn(self.seed, self.ticks, self.stratified, prepared, ids, epoch)
