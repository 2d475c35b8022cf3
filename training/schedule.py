"""Learning rates over a training: pure functions from the share of it that is done to a factor of the rate.

A schedule knows neither epochs nor steps, and remembers nothing: a training that is resumed goes on where it was.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from eventsim.checks import numbers, one_number
from eventsim.errors import ConfigError

_LEAST_SHARE = 1e-6
_MOST_SHARE = 1 - _LEAST_SHARE


class Schedule(Protocol):
    """How the learning rate goes."""

    def __call__(self, done: float) -> float:
        """Learning rate over the largest one, when the share ``done`` of training, from 0 to 1, is over."""


@dataclass(frozen=True)
class Constant:
    """The same rate all the time."""

    def __call__(self, done: float) -> float:
        return 1.0


@dataclass(frozen=True)
class Cosine:
    """From 1 down to ``least`` along half a cosine (Loshchilov and Hutter 2017, without restarts).

    Parameters
    ----------
    least : float
        Factor at the end.

    Raises
    ------
    ConfigError
        A factor that is not from 0 to 1.
    """

    least: float = 0.0

    def __post_init__(self) -> None:
        _check_factor("factor at the end", self.least, "Cosine(least=0.0)")

    def __call__(self, done: float) -> float:
        return _between(1.0, self.least, done)


@dataclass(frozen=True)
class OneCycle:
    """Up to 1 and down again, half a cosine each (Smith and Topin 2018).

    Parameters
    ----------
    peak : float
        Share of training at which the factor is 1.
    start_factor, end_factor : float
        Factors at both ends, over the peak.

    Raises
    ------
    ConfigError
        A peak that is not within the training, or a factor that is not from 0 to 1.
    """

    peak: float = 0.3
    start_factor: float = 1 / 25
    end_factor: float = 1e-4

    def __post_init__(self) -> None:
        one_number("peak", self.peak, _LEAST_SHARE, _MOST_SHARE, repair="OneCycle(peak=0.3)", kind=ConfigError)
        _check_factor("factor at the start", self.start_factor, "OneCycle(start_factor=0.04)")
        _check_factor("factor at the end", self.end_factor, "OneCycle(end_factor=1e-4)")

    def __call__(self, done: float) -> float:
        if done < self.peak:
            return _between(self.start_factor, 1.0, done / self.peak)
        return _between(1.0, self.end_factor, (done - self.peak) / (1 - self.peak))


@dataclass(frozen=True)
class Steps:
    """Down by a factor at given shares of training.

    Parameters
    ----------
    at : tuple of float
        Ascending; the factor is taken from each of them on.
    factor : float
        Of each step.

    Raises
    ------
    ConfigError
        Steps that do not ascend or are not within the training, or a factor that is not from 0 to 1.
    """

    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def __post_init__(self) -> None:
        repair = "Steps(at=(0.5, 0.75))"
        at = numbers("step", self.at, _LEAST_SHARE, _MOST_SHARE, repair=repair, kind=ConfigError)
        if at.ndim != 1 or (np.diff(at) <= 0).any():
            raise ConfigError(
                "These steps are impossible.", given=self.at, expected="a row that ascends", repair=repair
            )
        _check_factor("factor of a step", self.factor, "Steps(factor=0.1)")

    def __call__(self, done: float) -> float:
        return float(self.factor) ** bisect_right(self.at, done)


@dataclass(frozen=True)
class WarmUp:
    """Another schedule, led up to in a straight line from 0 (Goyal et al. 2017).

    Parameters
    ----------
    schedule : Schedule
        It has what remains of the training: ``WarmUp(Cosine(), 0.1)`` is 1 after a tenth of it.
    share : float
        Of training, for the line; 0 for none.

    Raises
    ------
    ConfigError
        A share that is not from 0 to less than 1, or something that is no schedule.
    """

    schedule: Schedule
    share: float

    def __post_init__(self) -> None:
        one_number("share", self.share, 0, _MOST_SHARE, repair="WarmUp(Cosine(), share=0.05)", kind=ConfigError)
        if isinstance(self.schedule, type) or not callable(self.schedule):
            raise ConfigError(
                "There is nothing to warm up for.",
                given=repr(self.schedule),
                expected="a schedule",
                repair="WarmUp(Cosine(), share=0.05)",
            )

    def __call__(self, done: float) -> float:
        if done < self.share:
            return self.schedule(0.0) * done / self.share
        return self.schedule((done - self.share) / (1 - self.share))


def _between(first: float, last: float, done: float) -> float:
    """From ``first`` to ``last`` along half a cosine, both exact."""
    kept = 0.5 * (1 + math.cos(math.pi * done))
    return first * kept + last * (1 - kept)


def _check_factor(what: str, value: float, repair: str) -> None:
    one_number(what, value, 0, 1, repair=repair, kind=ConfigError)
