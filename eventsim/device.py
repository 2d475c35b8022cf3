"""The skyrmion-MTJ neuron as a device: its parameters, its exact step, and how devices differ from each other.

Equations and defaults: ``docs/devices.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.special import ndtr, ndtri

from eventsim import keys
from eventsim.errors import DeviceError
from eventsim.kernels.neuron import DeviceArrays, mtj_flow

Law = Callable[[NDArray[np.float64], float], NDArray[np.float64]]

LIMIT = 1e6
"""Largest magnitude of parameters (in their units), positions (nm) and drives: no arithmetic overflows below it."""

TRUNCATION = 3.0
"""Spreads are cut at this many standard deviations, which shrinks the standard deviation by 1.3 %."""


_REPAIR = "MTJ().draw(n, Variation(...), seed=0), or MTJ().identical(n)"


def _refuse(name: str, value: object, expected: str, repair: str) -> DeviceError:
    return DeviceError(f"Device parameter {name} is impossible.", given=value, expected=expected, repair=repair)


def _check_count(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise _refuse(name, repr(value), f"a whole number from {least}", f"{name}={least}")


@dataclass(frozen=True)
class MTJ:
    """A skyrmion-MTJ neuron, ``k1 dx/dt = x**2 + k2 x + k1 gain v`` with hard reset (Li et al., equation 1).

    The drive velocity ``v = I threshold / dt`` belongs to the dimensionless drive I: I = 1 brings a resting neuron
    to its threshold within one tick, to first order (a single tick fires from I = 1.0338 at the defaults).

    Parameters
    ----------
    k1 : float
        Inverse mobility (nm ns).
    k2 : float
        Minus the distance from rest to the unstable point (nm).
    threshold : float
        Position of the read head (nm); reaching it fires.
    reset : float
        Position after a spike (nm).
    gain : float
        Drive gain (1): width of the track, spin-Hall angle, polarisation.
    dt : float
        Tick, the length of a drive pulse (ns).

    Raises
    ------
    DeviceError
        A parameter is not finite or outside its range.
    """

    k1: float = 212.0
    k2: float = -27.6
    threshold: float = 20.0
    reset: float = 0.0
    gain: float = 1.0
    dt: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float | np.number) or not math.isfinite(value):
                raise _refuse(field.name, repr(value), "a finite number", f"MTJ({field.name}={field.default})")
        if self.k2 >= 0:
            raise _refuse("k2", self.k2, "a negative number (nm)", f"MTJ(k2={-self.k2 or MTJ.k2})")
        for name in ("k1", "k2", "threshold", "gain", "dt"):
            if not 1 / LIMIT <= abs(getattr(self, name)) <= LIMIT or getattr(self, name) * getattr(MTJ, name) < 0:
                expected = f"a positive number between {1 / LIMIT:g} and {LIMIT:g}"
                raise _refuse(name, getattr(self, name), expected, f"MTJ({name}={getattr(MTJ, name)})")
        if not -LIMIT <= self.reset < self.threshold:
            raise _refuse("reset", self.reset, f"below the threshold {self.threshold} nm", "MTJ(reset=0.0)")

    def step(self, x: ArrayLike, drive: ArrayLike, time: ArrayLike | None = None) -> NDArray[np.float64]:
        """Position after ``time`` of constant drive, exact in every regime; threshold and reset are not applied.

        Parameters
        ----------
        x : array_like
            Positions at the start (nm).
        drive : array_like
            Dimensionless drive, of any sign.
        time : array_like, optional
            Length of the step (ns), not negative; one tick if left out. The three broadcast.

        Returns
        -------
        array of float64
            Positions at the end (nm); ``inf`` where the skyrmion ran away through infinity.

        Raises
        ------
        DeviceError
            A value is not finite or larger than 1e6, a time is negative, or the shapes do not broadcast.
        """
        given = [np.asarray(value, np.float64) for value in (x, drive, self.dt if time is None else time)]
        try:
            start, i, t = np.broadcast_arrays(*given)
        except ValueError:
            shapes = ", ".join(str(value.shape) for value in given)
            raise _refuse("x, drive or time", shapes, "shapes that broadcast", "x[:, None] for a table") from None
        for name, values in (("x", start), ("drive", i), ("time", t)):
            if not (np.abs(values) <= LIMIT).all():
                raise _refuse(name, f"{values.min()} to {values.max()}", f"at most {LIMIT:g}", "drop those entries")
        if (t < 0).any():
            raise _refuse("time", t.min(), "times of at least 0 ns", "time=abs(time)")
        device = self.identical(1).arrays(np.float64)
        reached = np.empty(start.size)
        half = np.full(start.size, device.half[0])
        mtj_flow(start.ravel(), device.gain[0] * i.ravel(), half, t.ravel() / self.k1, reached)
        return reached.reshape(start.shape)

    def identical(self, n: int) -> Devices:
        """``n`` devices without any difference."""
        _check_count("n", n, 1)
        return Devices(self, *(np.full(n, getattr(self, name)) for name in Variation.LAWS))

    def draw(self, n: int, variation: Variation, *, seed: int, chip: int = 0, name: str = "devices") -> Devices:
        """Draw ``n`` devices with device-to-device variation.

        Parameters
        ----------
        n : int
        variation : Variation
        seed : int
        chip : int
            Device i of chip c is the same whatever else is drawn.
        name : str
            Name of the population; populations of other names are drawn independently.

        Returns
        -------
        Devices

        Raises
        ------
        DeviceError
            Some device could have its threshold at or below the reset.
        """
        _check_count("n", n, 1)
        _check_count("chip", chip, 0)
        lowest = self.threshold * (1 - TRUNCATION * variation.threshold)
        if lowest <= self.reset:
            raise DeviceError(
                "The spread of the threshold yields impossible devices.",
                given=f"thresholds down to {lowest:g} nm with reset {self.reset:g} nm",
                expected="every threshold above the reset",
                repair=f"Variation(threshold=...) below {(1 - self.reset / self.threshold) / TRUNCATION:.3g}",
            )
        drawn = []
        for parameter, law in Variation.LAWS.items():
            u = keys.uniform(seed, f"{name}/{parameter}", n, chip)
            drawn.append(getattr(self, parameter) * law(u, getattr(variation, parameter)))
        return Devices(self, *drawn)


def _truncated_normal(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normal numbers between -TRUNCATION and TRUNCATION from uniform ones."""
    low = ndtr(-TRUNCATION)
    return np.asarray(ndtri(low + u * (1 - 2 * low)))


def _normal(u: NDArray[np.float64], cv: float) -> NDArray[np.float64]:
    return 1 + cv * _truncated_normal(u)


def _lognormal(u: NDArray[np.float64], cv: float) -> NDArray[np.float64]:
    """Mean 1 and coefficient of variation ``cv`` (before truncation)."""
    variance = math.log1p(cv * cv)
    return np.exp(math.sqrt(variance) * _truncated_normal(u) - variance / 2)


@dataclass(frozen=True)
class Variation:
    """Device-to-device variation: coefficients of variation (standard deviation over mean), fixed at manufacture.

    Every parameter has a random stream of its own, so that turning one spread on leaves the other draws as they were.

    Parameters
    ----------
    k1, k2, gain : float
        Log-normal, mean-preserving.
    threshold : float
        Normal.

    Raises
    ------
    DeviceError
        A spread is negative, not finite, or so wide that impossible devices could be drawn.
    """

    k1: float = 0.0
    k2: float = 0.0
    threshold: float = 0.0
    gain: float = 0.0

    LAWS: ClassVar[Mapping[str, Law]] = {"k1": _lognormal, "k2": _lognormal, "threshold": _normal, "gain": _lognormal}
    """Parameters that vary, each with its law: relative value from a uniform number and the spread."""

    def __post_init__(self) -> None:
        for field in fields(self):
            cv = getattr(self, field.name)
            if not (math.isfinite(cv) and 0 <= cv < 1 / TRUNCATION):
                raise DeviceError(
                    f"Variation {field.name} is impossible.",
                    given=cv,
                    expected=f"a relative standard deviation from 0 to below 1/{TRUNCATION:g}",
                    repair=f"Variation({field.name}=0.05) means 5 %",
                )

    @classmethod
    def all(cls, cv: float) -> Variation:
        """The same relative spread for every parameter."""
        return cls(cv, cv, cv, cv)


@dataclass(frozen=True, eq=False)
class Devices:
    """Parameters of n MTJ neurons, one read-only array of shape (n,) each; units as in :class:`MTJ`.

    The drive is scaled by the ``nominal`` threshold: a weight does not know on which device it will act.

    Raises
    ------
    DeviceError
        Arrays of different lengths, values that are not finite or of the wrong sign, a threshold at the reset.
    """

    nominal: MTJ
    k1: NDArray[np.float64]
    k2: NDArray[np.float64]
    threshold: NDArray[np.float64]
    gain: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in Variation.LAWS:
            row = np.array(getattr(self, name), np.float64)
            if row.shape != (np.size(self.k1),) or not np.isfinite(row).all() or (row * getattr(MTJ, name) <= 0).any():
                given = f"{name} of shape {row.shape} from {row.min(initial=0)} to {row.max(initial=0)}"
                expected = "arrays of one length, finite, k2 negative and the others positive"
                raise DeviceError("The devices are impossible.", given=given, expected=expected, repair=_REPAIR)
            row.setflags(write=False)
            object.__setattr__(self, name, row)
        if (self.threshold <= self.nominal.reset).any():
            raise _refuse("threshold", self.threshold.min(), f"above the reset {self.nominal.reset} nm", _REPAIR)

    def __len__(self) -> int:
        return len(self.k1)

    @property
    def self_firing(self) -> int:
        """How many devices have their threshold at or beyond the unstable point and may fire without input."""
        return int(np.count_nonzero(self.threshold >= -self.k2))

    def arrays(self, dtype: DTypeLike = np.float32) -> DeviceArrays:
        """The derived constants that the kernels step with."""
        nominal = self.nominal
        return DeviceArrays(
            half=np.asarray(-self.k2 / 2, dtype),
            time=np.asarray(nominal.dt / self.k1, dtype),
            gain=np.asarray(self.k1 * self.gain * (nominal.threshold / nominal.dt), dtype),
            threshold=np.asarray(self.threshold, dtype),
            reset=np.full(len(self), nominal.reset, dtype),
        )
