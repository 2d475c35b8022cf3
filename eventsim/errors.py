"""What the program refuses, one error type per kind of input.

Each says what was given, what was expected and what repairs it, and is raised before any work is done or any
file is touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self


class InputError(ValueError):
    """Input that was refused.

    Parameters
    ----------
    what : str
        The input that is wrong.
    given, expected, repair : str
        What it was, what it should have been, and the way out.
    """

    def __init__(self, what: str, *, given: object, expected: object, repair: str) -> None:
        super().__init__(f"{what}\n  given:    {given}\n  expected: {expected}\n  repair:   {repair}")
        self.what, self.given, self.expected, self.repair = what, given, expected, repair

    def within(self, place: str) -> Self:
        """The same, found at a place of something larger."""
        return type(self)(self.what, given=f"{self.given}; {place}", expected=self.expected, repair=self.repair)

    def repaired(self, repair: str) -> Self:
        """The same, with a way out that only what calls knows."""
        return type(self)(self.what, given=self.given, expected=self.expected, repair=repair)

    def __reduce__(self) -> tuple[Callable[..., InputError], tuple[object, ...]]:
        return _rebuilt, (type(self), self.what, self.given, self.expected, self.repair)


def _rebuilt(kind: type[InputError], what: str, given: object, expected: object, repair: str) -> InputError:
    """Errors cross the border between processes whole."""
    return kind(what, given=given, expected=expected, repair=repair)


class DeviceError(InputError):
    """Impossible device parameters or spreads."""


class NetworkError(InputError):
    """Populations and projections that do not make a network."""


class EventsError(InputError):
    """Spikes that do not fit the network or the time."""


class ConfigError(InputError):
    """An option or configuration value outside its range."""


class TrainingError(InputError):
    """A training that diverged."""


class DataError(InputError):
    """A data set that is missing, truncated or not the one named."""


class CacheError(InputError):
    """A teacher cache of another data set, split or teacher, or one that is damaged."""


class OutputError(InputError):
    """A place that cannot be written to, or that holds something already."""


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged or of another model."""


class ResultsError(InputError):
    """A file of results that is damaged, or of another version."""
