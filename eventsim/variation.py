"""How devices differ from each other, and from one event to the next: distributions of their parameters.

Device-to-device variation (d2d) is fixed at manufacture; cycle-to-cycle variation (c2c) is drawn anew for each event.
Magnitudes are relative to the nominal value, as in the field; ``docs/devices.md`` gives typical figures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from eventsim import keys
from eventsim.errors import DeviceError

TRUNCATION = 3.0
"""Spreads are cut at this many standard deviations, which shrinks the standard deviation by 1.3 %."""


@dataclass(frozen=True)
class Law:
    """A distribution with mean 1 around the nominal value; use :class:`Normal` or :class:`LogNormal`.

    Parameters
    ----------
    cv : float
        Coefficient of variation, standard deviation over mean, before truncation.
    truncation : float
        Standard deviations at which the distribution is cut; ``math.inf`` for none.

    Raises
    ------
    DeviceError
        A value is not a number or outside its range.
    """

    cv: float
    truncation: float = TRUNCATION

    def __post_init__(self) -> None:
        for name, value, least in (("cv", self.cv, 0.0), ("truncation", self.truncation, 0.1)):
            real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not (real and value >= least) or (name == "cv" and value > 10):
                raise DeviceError(
                    f"The {name} of a spread is impossible.",
                    given=repr(value),
                    expected="a relative standard deviation from 0 to 10" if name == "cv" else "a number from 0.1",
                    repair=f"{type(self).__name__}(0.05) means 5 %",
                )

    def factors(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Relative values from uniform numbers strictly between 0 and 1, of the same shape."""
        low = ndtr(-self.truncation)
        return self._shape(np.asarray(ndtri(low + u * (1 - 2 * low))))

    @property
    def support(self) -> tuple[float, float]:
        """Least and largest relative value."""
        if self.cv == 0:
            return 1.0, 1.0
        least, largest = self._shape(np.array([-self.truncation, self.truncation]))
        return float(least), float(largest)

    def _shape(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        raise TypeError("use Normal or LogNormal")


class Normal(Law):
    """Normal, ``1 + cv z``."""

    def _shape(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 + self.cv * z


class LogNormal(Law):
    """Log-normal with mean 1, ``exp(s z - s**2/2)`` with ``s**2 = ln(1 + cv**2)``: always positive."""

    def _shape(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        variance = math.log1p(self.cv * self.cv)
        with np.errstate(over="ignore"):
            return np.exp(math.sqrt(variance) * z - variance / 2)


class Variation:
    """Spreads of named parameters of a device.

    Every parameter has a random stream of its own, so that turning one spread on leaves the other draws as they were.

    Parameters
    ----------
    c2c : mapping of parameter to float or Law
        Cycle-to-cycle variation, drawn anew in every tick.
    die : float
        Correlation of the devices of one chip, 0 to 1: each parameter shares a factor between all devices of a chip.
    **d2d : float or Law
        Device-to-device variation; a number is a coefficient of variation under the law that the model gives for
        this parameter (``MTJ.LAWS``), ``Normal(0.05)`` or ``LogNormal(0.05, truncation=4)`` say it in full.

    Raises
    ------
    DeviceError
        A spread is negative or not finite, or the correlation is not between 0 and 1.

    Examples
    --------
    >>> Variation(k1=0.05, gain=LogNormal(0.1), c2c={"reset": 0.02})
    Variation(k1=0.05, gain=LogNormal(cv=0.1, truncation=3.0), c2c={'reset': 0.02})
    """

    def __init__(self, *, c2c: Mapping[str, float | Law] = MappingProxyType({}), die: float = 0.0, **d2d: float | Law):
        if not (isinstance(die, int | float) and 0 <= die <= 1):
            raise DeviceError(
                "The correlation of a die is impossible.", given=repr(die), expected="0 to 1", repair="die=0.5"
            )
        for spread in (*d2d.values(), *c2c.values()):
            if not isinstance(spread, Law):
                Law(spread)
        self.d2d: Mapping[str, float | Law] = MappingProxyType(dict(d2d))
        self.c2c: Mapping[str, float | Law] = MappingProxyType(dict(c2c))
        self.die = float(die)
        self._every: float | None = None

    @classmethod
    def all(cls, cv: float) -> Variation:
        """The same relative spread for every parameter that the model gives a law for."""
        Law(cv)
        variation = cls()
        variation._every = cv
        return variation

    def laws(self, model: Mapping[str, type[Law]], more: Iterable[str] = ()) -> dict[str, Law]:
        """Device-to-device laws for a device of a ``model``.

        Parameters
        ----------
        model : mapping of parameter to kind of Law
            Parameters that spread, each with its default law.
        more : iterable of str
            Parameters that :meth:`all` leaves alone, but that may be named; normal by default.

        Raises
        ------
        DeviceError
            A spread is given for a parameter that the device does not have.
        """
        given = dict.fromkeys(model, self._every) if self._every is not None else self.d2d
        return _resolved(given, model, more)

    def cycle_laws(self, model: Mapping[str, type[Law]], more: Iterable[str] = ()) -> dict[str, Law]:
        """Cycle-to-cycle laws, otherwise as :meth:`laws`."""
        return _resolved(self.c2c, model, more)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variation) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        if self._every is not None:
            return f"Variation.all({self._every})"
        parts = [f"{name}={spread}" for name, spread in self.d2d.items()]
        parts += [f"c2c={dict(self.c2c)}"] * bool(self.c2c) + [f"die={self.die}"] * bool(self.die)
        return f"Variation({', '.join(parts)})"


def _resolved(
    spreads: Mapping[str, float | Law | None], model: Mapping[str, type[Law]], more: Iterable[str]
) -> dict[str, Law]:
    known = {**dict.fromkeys(more, Normal), **model}
    if unknown := [name for name in spreads if name not in known]:
        raise DeviceError(
            "A spread is given for a parameter that the device does not have.",
            given=", ".join(unknown),
            expected=f"some of {', '.join(known)}",
            repair=f"Variation({next(iter(known))}=0.05)",
        )
    return {
        name: spread if isinstance(spread, Law) else known[name](spread)
        for name, spread in spreads.items()
        if spread is not None
    }


def device_factors(law: Law, seed: int, stream: str, n: int, chip: int, die: float = 0.0) -> NDArray[np.float64]:
    """Relative values of devices 0 .. n - 1 of a chip, shape (n,): a function of the arguments and of nothing else."""
    u = keys.uniform(seed, stream, n, chip)
    if die:
        shared = ndtri(keys.uniform(seed, f"{stream}/die", 1, chip)[0])
        u = np.clip(ndtr(math.sqrt(die) * shared + math.sqrt(1 - die) * ndtri(u)), 2.0**-54, 1 - 2.0**-53)
    return law.factors(u)


def cycle_factors(law: Law, seed: int, stream: str, n: int, tick: int) -> NDArray[np.float64]:
    """Relative values of devices 0 .. n - 1 in one tick, shape (n,)."""
    return law.factors(keys.uniform(seed, f"{stream}/cycle", n, tick))
