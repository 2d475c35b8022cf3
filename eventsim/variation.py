"""How devices differ from each other, and from one event to the next: distributions of their parameters.

Device-to-device variation (d2d) is fixed at manufacture; cycle-to-cycle variation (c2c) is drawn anew for each event.
Magnitudes are relative to the nominal value, as in the field; ``docs/devices.md`` gives typical figures.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from eventsim import keys
from eventsim.checks import is_real
from eventsim.errors import DeviceError
from eventsim.kernels import cycle

TRUNCATION = 3.0
"""Spreads are cut at this many standard deviations, which shrinks the standard deviation by 1.3 %."""


@dataclass(frozen=True)
class Law(ABC):
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
            if not (is_real(value) and value >= least) or (name == "cv" and value > 10):
                raise DeviceError(
                    f"The {name} of a spread is impossible.",
                    given=repr(value),
                    expected="a relative standard deviation from 0 to 10" if name == "cv" else "a number from 0.1",
                    repair="Normal(0.05) and LogNormal(0.05) mean 5 %",
                )

    def factors(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Relative values from uniform numbers strictly between 0 and 1, of the same shape."""
        low = ndtr(-self.truncation)
        return np.clip(self._shape(np.asarray(ndtri(low + u * (1 - 2 * low)))), *self.support)

    def table(self) -> NDArray[np.float32]:
        """Quantiles for the kernels that draw in every tick, see :func:`eventsim.kernels.cycle.table`; read-only.

        What is read from it differs from :meth:`factors` by at most 1e-4 (log-normal with cv > 1: 2e-4) of the standard
        deviation, or of the value where that is more, up to single precision; it never leaves :attr:`support`. Laws
        that are not truncated end at a probability of 2**-33, i.e. at 6.3 standard deviations.
        """
        return _table(self)

    @property
    def support(self) -> tuple[float, float]:
        """Least and largest relative value."""
        if self.cv == 0:
            return 1.0, 1.0
        least, largest = self._shape(np.array([-self.truncation, self.truncation]))
        return float(least), float(largest)

    positive: ClassVar[bool] = False
    """Whether every value is positive, whatever the truncation."""

    @abstractmethod
    def _shape(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Relative values from standard normal numbers."""


@lru_cache(maxsize=64)
def _table(law: Law) -> NDArray[np.float32]:
    p = cycle.knots()
    table = cycle.table(law.factors(p), law.factors(1 - p), *law.support)
    table.setflags(write=False)
    return table


class Normal(Law):
    """Normal, ``1 + cv z``."""

    def _shape(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 + self.cv * z


class LogNormal(Law):
    """Log-normal with mean 1, ``exp(s z - s**2/2)`` with ``s**2 = ln(1 + cv**2)``: always positive."""

    positive = True

    def _shape(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        variance = math.log1p(self.cv * self.cv)
        with np.errstate(over="ignore"):
            return np.exp(math.sqrt(variance) * z - variance / 2)


class Variation:
    """Spreads of named parameters of a device.

    Every parameter has random numbers of its own, so that turning one spread on leaves the other draws as they were.

    Parameters
    ----------
    c2c : mapping of parameter to float or Law
        Cycle-to-cycle variation, drawn anew in every tick.
    die : float
        Correlation of the devices of one chip, 0 to 1: each parameter shares a factor between all devices of a chip.
    **d2d : float or Law
        Device-to-device variation; a number is a coefficient of variation under the law that the model gives for
        this parameter (``MTJ.laws()``), ``Normal(0.05)`` or ``LogNormal(0.05, truncation=4)`` say it in full.

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
        if not (is_real(die) and 0 <= die <= 1):
            raise DeviceError(
                "The correlation of a die is impossible.", given=repr(die), expected="0 to 1", repair="die=0.5"
            )
        if not isinstance(c2c, Mapping):
            raise DeviceError(
                "Cycle-to-cycle variation is given by parameter.",
                given=repr(c2c),
                expected="a mapping of parameter to spread",
                repair='c2c={"reset": 0.02}',
            )
        for spread in (*d2d.values(), *c2c.values()):
            if not isinstance(spread, Normal | LogNormal):
                Normal(spread)  # type: ignore[arg-type]  # refuses what is no number, a bare Law among it
        self.d2d: Mapping[str, float | Law] = MappingProxyType(dict(d2d))
        self.c2c: Mapping[str, float | Law] = MappingProxyType(dict(c2c))
        self.die = float(die)
        self._every: float | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (dict(self.d2d), dict(self.c2c), self.die, self._every)

    @classmethod
    def all(cls, cv: float, *, c2c: Mapping[str, float | Law] = MappingProxyType({}), die: float = 0.0) -> Variation:
        """The same relative spread for every parameter that the model gives a law for."""
        Normal(cv)
        variation = cls(c2c=c2c, die=die)
        variation._every = cv
        return variation

    def laws(self, model: Mapping[str, type[Law]], every: Iterable[str]) -> dict[str, Law]:
        """Device-to-device laws for a device of a model.

        Parameters
        ----------
        model : mapping of parameter to kind of Law
            Parameters that can spread, each with its default law.
        every : iterable of str
            The ones that :meth:`all` spreads.

        Raises
        ------
        DeviceError
            A spread is given for a parameter that the device does not have.
        """
        return _resolved(self.d2d if self._every is None else dict.fromkeys(every, self._every), model)

    def cycle_laws(self, model: Mapping[str, type[Law]]) -> dict[str, Law]:
        """Cycle-to-cycle laws, otherwise as :meth:`laws`."""
        return _resolved(self.c2c, model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variation) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        return hash((frozenset(self.d2d.items()), frozenset(self.c2c.items()), self.die, self._every))

    def __repr__(self) -> str:
        name = "Variation" if self._every is None else "Variation.all"
        parts = [f"{parameter}={spread}" for parameter, spread in self.d2d.items()]
        parts += [str(self._every)] * (self._every is not None)
        parts += [f"c2c={dict(self.c2c)}"] * bool(self.c2c) + [f"die={self.die}"] * bool(self.die)
        return f"{name}({', '.join(parts)})"


def _rebuilt(d2d: dict[str, float | Law], c2c: dict[str, float | Law], die: float, every: float | None) -> Variation:
    return Variation(c2c=c2c, die=die, **d2d) if every is None else Variation.all(every, c2c=c2c, die=die)


def _resolved(spreads: Mapping[str, float | Law], model: Mapping[str, type[Law]]) -> dict[str, Law]:
    if unknown := [name for name in spreads if name not in model]:
        raise DeviceError(
            "A spread is given for a parameter that the device does not have.",
            given=", ".join(unknown),
            expected=f"some of {', '.join(model)}",
            repair=f"Variation({next(iter(model))}=0.05)",
        )
    return {name: spread if isinstance(spread, Law) else model[name](spread) for name, spread in spreads.items()}


def device_factors(law: Law, seed: int, stream: str, n: int, chip: int, die: float = 0.0) -> NDArray[np.float64]:
    """Relative values of devices 0 .. n - 1 of a chip, shape (n,): a function of the arguments and of nothing else."""
    u = keys.uniform(seed, stream, n, chip)
    if die:
        shared = ndtri(keys.uniform(seed, f"{stream}/die", 1, chip)[0])
        u = np.clip(ndtr(math.sqrt(die) * shared + math.sqrt(1 - die) * ndtri(u)), 2.0**-54, 1 - 2.0**-53)
    return law.factors(u)


def cycle_rows(laws: Mapping[int, Law], seed: int, stream: str, n: int, tick: int) -> dict[int, NDArray[np.float64]]:
    """Relative values of several parameters of devices 0 .. n - 1 in one tick.

    Parameters
    ----------
    laws : mapping of int to Law
        By number of the parameter; a number has draws of its own, whatever other numbers are asked for.
    seed : int
    stream : str
        Name of the population.
    n, tick : int

    Returns
    -------
    dict of int to array of float64, shape (n,)
        Single precision: the factors that the engine draws.
    """
    key, words, rows = np.uint64(keys.check_seed(seed)), np.empty(n + 2 * cycle.GROUP, np.uint32), {}
    for number, law in laws.items():
        out, at = np.empty(n, np.float32), np.uint64(cycle_stream(stream, number))
        cycle.fill(law.table(), key, at, np.uint64(0), np.uint64(tick), words, out)
        rows[number] = out.astype(np.float64)
    return rows


def cycle_stream(stream: str, number: int) -> int:
    """Stream of the cycle-to-cycle draws of a parameter."""
    return keys.stream(f"{stream}/cycle/{number}")


def cycle_factors(law: Law, seed: int, stream: str, n: int, tick: int) -> NDArray[np.float64]:
    """Relative values of devices 0 .. n - 1 in one tick, shape (n,): :func:`cycle_rows` of one parameter."""
    return cycle_rows({0: law}, seed, stream, n, tick)[0]
