"""Encoders: from samples to signals over ticks. Here direct coding and the Gaussian threshold, and what all share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from eventsim import keys
from eventsim.checks import as_array, count, is_real, is_whole
from eventsim.errors import ConfigError, DataError
from eventsim.kernels.rng import stratified_spikes, threshold_spikes
from eventsim.training.signal import Array, Signal

Values = NDArray[Any]

MOST_TICKS = 2**16
"""Ticks number the draws of a sample in 16 bits."""

LIMIT = 2**32
"""Numbers of samples and epochs take 32 bits each."""

EVALUATION = 0
"""Epoch number of the one draw that a sample is evaluated on; training counts its epochs from 1."""


@runtime_checkable
class Encoder(Protocol):
    """Turns samples into signals, in two steps: what depends on the sample alone is prepared once."""

    @property
    def ticks(self) -> int:
        """Ticks that a sample lasts."""

    def prepare(self, x: Values) -> Values:
        """Samples, shape (samples, inputs), as the encoder wants to see them."""

    def __call__(self, prepared: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Signal of prepared samples.

        Parameters
        ----------
        prepared : array, shape (batch, ...)
        ids : array of int, shape (batch,)
            Number of each sample in its data set.
        epoch : int
            Which draw of each sample; :data:`EVALUATION` outside training.
        """


@dataclass(frozen=True)
class Direct:
    """Real values as they are, the same in every tick.

    Parameters
    ----------
    ticks : int
    """

    ticks: int = 1

    def __post_init__(self) -> None:
        check_ticks(self.ticks)

    def prepare(self, x: Values) -> Array:
        """The values; counts become real numbers."""
        return real(x)

    def __call__(self, prepared: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Values, in one static tick; see :class:`Encoder`."""
        return Signal(prepared[:, None])


@dataclass(frozen=True)
class GaussianThreshold:
    """A spike wherever the value exceeds a Gaussian random number (Li et al., Algorithm 1).

    ``P(spike) = Phi((x - mean) / std)``, drawn anew for each input, tick, sample and epoch, keyed by these alone.

    Parameters
    ----------
    ticks : int
    seed : int
    mean, std : float
        Of the random number; values are expected between 0 and 1.
    stratified : bool
        Random numbers of the ticks of an input come from equally likely parts of the Gaussian, one from each, in random
        order: a tick spikes with the same probability, and the number of spikes strays by less than one.

    Raises
    ------
    ConfigError
        No tick, a width that is not positive, or ``stratified`` is neither true nor false.
    """

    ticks: int
    seed: int
    mean: float = 0.5
    std: float = 0.25
    stratified: bool = False

    def __post_init__(self) -> None:
        check_draws(self.seed, self.stratified)
        real = is_whole(self.ticks) and is_real(self.mean) and is_real(self.std)
        if not (real and 1 <= self.ticks <= MOST_TICKS and abs(self.mean) <= 1e6 and 1e-6 <= self.std <= 1e6):
            raise ConfigError(
                "The encoder is not usable.",
                given=f"{self.ticks!r} ticks, mean {self.mean!r}, standard deviation {self.std!r}",
                expected="1 to 65536 ticks, a finite mean and a positive standard deviation",
                repair="GaussianThreshold(ticks=4, seed=0, std=0.25)",
            )

    @classmethod
    def for_standardised(cls, ticks: int, seed: int) -> GaussianThreshold:
        """For values of mean 0 and deviation 1, to the letter of Li et al.: ``P(spike) = Phi(x)``."""
        return cls(ticks, seed, 0.0, 1.0)

    @classmethod
    def for_images(cls, ticks: int, seed: int) -> GaussianThreshold:
        """For values from 0 to 1: black pixels hardly ever fire, P = 0.02."""
        return cls(ticks, seed, 0.5, 0.25)

    def prepare(self, x: Values) -> Array:
        """Probability of a spike, for values ``x``."""
        return np.asarray(ndtr((usable(x) - np.float32(self.mean)) / np.float32(self.std)))

    def __call__(self, prepared: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Spikes; see :class:`Encoder`."""
        return drawn(self.seed, self.ticks, self.stratified, prepared, ids, epoch)


def check_ticks(ticks: int) -> None:
    """Refuse a number of ticks that no sample can last."""
    count("ticks", ticks, 1, MOST_TICKS, kind=ConfigError)


def check_draws(seed: int, stratified: bool) -> None:
    """Refuse a seed or a way of drawing that cannot be."""
    keys.check_seed(seed)
    if not isinstance(stratified, bool):
        raise ConfigError(
            "The encoder is not usable.",
            given=f"stratified={stratified!r}",
            expected="True or False",
            repair="stratified=True",
        )


def usable(x: ArrayLike) -> Values:
    """Samples, as an array.

    Raises
    ------
    DataError
        Not rows of real, finite numbers, or none.
    """
    values = as_array(x)
    formed = values.ndim >= 2 and values.size > 0 and values.dtype.kind in "biuf" and not np.ma.is_masked(x)
    if not formed or not (np.isfinite(values.min()) and np.isfinite(values.max())):  # which NaN pass on
        raise DataError(
            "The samples cannot be encoded.",
            given=f"shape {values.shape}, {values.dtype}{', not all of them finite' if formed else ''}",
            expected="finite real numbers, shape (samples, inputs)",
            repair="encoder.prepare(dataset.x[:1]), for one sample",
        )
    return values


def real(x: ArrayLike) -> Array:
    """Samples as real numbers, whatever they are kept in; refused as by :func:`usable`."""
    values = usable(x)
    return values if values.dtype.kind == "f" else values.astype(np.float32)


def drawn(seed: int, ticks: int, stratified: bool, probability: Values, ids: NDArray[np.int64], epoch: int) -> Signal:
    """Spikes of these probabilities, drawn anew for each input, tick, sample and epoch, keyed by these alone.

    Ticks are independent, or ``stratified``: an input of probability p spikes ``p * ticks`` times, up or down to a
    whole number.

    Raises
    ------
    DataError
        Not a number below 2**32 for each sample, or no such epoch.
    """
    numbers = as_array(ids)
    whole = numbers.dtype.kind in "iu" and numbers.shape == (len(probability),) and is_whole(epoch)
    if not whole or not (0 <= numbers.min(initial=0) <= numbers.max(initial=0) < LIMIT and 0 <= epoch < LIMIT):
        raise DataError(
            "The samples are not numbered.",
            given=f"numbers of shape {numbers.shape}, {numbers.dtype}, for {len(probability)} samples; epoch {epoch!r}",
            expected="whole numbers from 0 to 2**32 - 1, one for each sample, and one of the epoch",
            repair="encoder(prepared, np.arange(len(prepared)), EVALUATION)",
        )
    counters = (np.uint64(epoch) << np.uint64(32)) | numbers.astype(np.uint64)
    rows = probability.reshape(len(probability), -1)
    spikes = np.empty((len(rows), ticks, rows.shape[1]), np.uint8)
    key, stream = np.uint64(seed), np.uint64(keys.stream("encode"))
    if stratified:
        stratified_spikes(key, stream, np.uint64(keys.stream("encode", "count")), counters, rows, spikes)
    else:
        threshold_spikes(key, stream, counters, rows, spikes)
    return Signal(spikes.reshape(len(rows), ticks, *probability.shape[1:]), most=1)
