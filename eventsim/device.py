"""Neurons as devices: parameters with ranges and laws of variation, and arrays of drawn devices.

Every model of neuron is a frozen dataclass below :class:`Neuron`; its equation is solved in ``eventsim.kernels``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsim.checks import LIMIT, count, finite, is_real, numbers
from eventsim.errors import DeviceError
from eventsim.kernels.neuron import DeviceArrays, Model
from eventsim.variation import Law, LogNormal, Normal, Variation, cycle_rows, device_factors

Real = NDArray[np.float64]

_REPAIR = "MTJ().draw(n, Variation(...), seed=0), or MTJ().identical(n)"


def refuse(name: str, value: object, expected: str, repair: str) -> DeviceError:
    """Name a device parameter or argument that is impossible."""
    return DeviceError(f"Device parameter {name} is impossible.", given=value, expected=expected, repair=repair)


def parameter(
    default: float,
    unit: str,
    law: type[Law] | None = None,
    *,
    least: float = 1 / LIMIT,
    most: float = LIMIT,
    relative_to: str = "",
    source: str = "",
) -> Any:
    """A field of a device: its default, unit, law of variation, range of magnitudes, and where the default is from.

    The sign of the default is the sign of the parameter; ``least`` below 0 allows both. A parameter whose spread is
    ``relative_to`` another one is left alone by ``Variation.all``.
    """
    about = {"unit": unit, "law": law, "least": least, "most": most, "relative_to": relative_to, "source": source}
    return field(default=default, metadata=about)


class Constants(NamedTuple):
    """What the kernels step devices with, one row of float64 per constant, and the unit of their positions."""

    a: Real
    b: Real
    gain: Real
    unit: Real
    """Length of one kernel unit of position (nm, or 1 for a power)."""
    threshold: Real
    reset: Real
    """Threshold and reset in kernel units."""


@dataclass(frozen=True, kw_only=True)
class Neuron(ABC):
    """What all models share; :class:`eventsim.MTJ` is the one this project is about.

    Parameters
    ----------
    gain : float
        Drive gain (1).
    dt : float
        Tick, the length of a drive pulse (ns).
    refractory : int
        Ticks after a spike in which the neuron ignores its drive.

    Raises
    ------
    DeviceError
        A parameter is not finite or outside its range.
    """

    gain: float = parameter(1.0, "1", LogNormal, source="by definition")
    dt: float = parameter(1.0, "ns", source="our choice: one drive pulse")
    refractory: int = 0

    KIND: ClassVar[int]
    """Number of the model in :mod:`eventsim.kernels.neuron`."""

    @classmethod
    def parameters(cls) -> dict[str, Mapping[str, Any]]:
        """Physical parameters: name to unit, default, law and range."""
        return {f.name: {**f.metadata, "default": f.default} for f in fields(cls) if f.metadata}

    @classmethod
    def laws(cls) -> dict[str, type[Law]]:
        """Parameters that can differ between devices, each with its default law."""
        return {name: about["law"] for name, about in cls.parameters().items() if about["law"] is not None}

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, about in self.parameters().items():
            value, default = getattr(self, name), about["default"]
            repair = f"{kind}({name}={default})"
            if not (is_real(value) and finite(value)):
                raise refuse(name, repr(value), "a finite number", repair)
            low, high, sign = about["least"], about["most"], 1 if default >= 0 else -1
            if not low <= sign * value <= high:
                word = "" if low < 0 else f"a {'positive' if sign > 0 else 'negative'} number with a magnitude "
                flipped = f"{kind}({name}={-value:g})" if low <= -sign * value <= high else repair
                raise refuse(name, f"{value} {about['unit']}", f"{word}between {low:g} and {high:g}", flipped)
        object.__setattr__(self, "refractory", count("refractory", self.refractory, 0, 2**31 - 1))

    @property
    def model(self) -> Model:
        """What the kernels need to know of the model as a whole."""
        return Model(self.KIND, False, self.refractory)

    def resting(self, values: Mapping[str, Real]) -> Real:
        """State of devices before the first tick."""
        return np.zeros(values["gain"].shape)

    @abstractmethod
    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        """Constants of the kernels for devices with these parameters and a tick of length ``time`` (ns)."""

    def self_firing(self, values: Mapping[str, Real]) -> NDArray[np.bool_]:
        """Which devices may fire without any input."""
        return np.zeros(np.shape(values["gain"]), bool)

    def nominal_values(self, n: int) -> dict[str, Real]:
        """Parameters that can vary, as rows of n equal numbers."""
        return {name: np.full(n, float(getattr(self, name))) for name in self.laws()}

    def identical(self, n: int) -> Devices:
        """``n`` devices without any difference."""
        count("n", n, 1, 2**31)
        return Devices(self, self.nominal_values(n))

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
            A spread is given for a parameter that the model does not have, or could yield impossible devices.
        """
        count("n", n, 1, 2**31)
        count("chip", chip)
        if not isinstance(variation, Variation):
            raise refuse("variation", repr(variation), "a Variation", "Variation.all(0.05), or Variation(k1=0.05)")
        every = [p for p, about in self.parameters().items() if about["law"] and not about["relative_to"]]
        d2d, c2c = variation.laws(self.laws(), every), variation.cycle_laws(self.laws())
        self.check_reach({p: self._reach(p, [laws[p] for laws in (d2d, c2c) if p in laws]) for p in self.laws()})
        values = {}
        for p in self.laws():
            factors = device_factors(d2d.get(p, Normal(0.0)), seed, f"{name}/{p}", n, chip, variation.die)
            values[p] = self.spread(p, np.full(n, float(getattr(self, p))), factors)
        return Devices(self, values, Origin(seed, name, chip, c2c))

    def spread(self, name: str, values: Real, factors: Real) -> Real:
        """Values of a parameter that a distribution has moved by relative ``factors``."""
        base = self.parameters()[name]["relative_to"]
        return values + getattr(self, base) * (factors - 1) if base else values * factors

    def _reach(self, name: str, laws: list[Law]) -> tuple[float, float]:
        """Least and largest value that a parameter can take under these laws."""
        nominal = np.array([float(getattr(self, name))])
        signed = not self.parameters()[name]["relative_to"] and nominal[0] != 0
        lost = [law.support[0] for law in laws if law.support[0] <= 0 and not law.positive]
        ends = []
        for k in (0, 1):
            value = nominal
            for law in laws:
                value = self.spread(name, value, np.array([law.support[k]]))
            ends.append(float(value[0]))
        if signed and lost:
            raise DeviceError(
                f"The spread of {name} yields impossible devices.",
                given=f"{name} down to {min(lost):.3g} of its nominal value",
                expected="a relative standard deviation small enough that the parameter keeps its sign",
                repair=f"Variation({name}=LogNormal(...)), or an earlier cut: Normal(cv, truncation=...)",
            )
        most = self.parameters()[name]["most"]
        if not max(map(abs, ends)) <= most and not all(law.truncation == math.inf for law in laws):
            raise DeviceError(
                f"The spread of {name} yields impossible devices.",
                given=f"{name} up to {max(ends, key=abs):.3g}",
                expected=f"magnitudes up to {most:g}",
                repair=f"a smaller spread of {name}, or an earlier cut: Normal(cv, truncation=...)",
            )
        return min(ends), max(ends)

    def check_reach(self, reach: Mapping[str, tuple[float, float]]) -> None:  # noqa: B027 - most have no such pair
        """Refuse spreads under which two parameters could become impossible together."""


class Origin(NamedTuple):
    """Where drawn devices come from: names their random numbers in every tick too."""

    seed: int
    name: str
    chip: int
    cycle: Mapping[str, Law]
    """Cycle-to-cycle variation."""


@dataclass(frozen=True, eq=False)
class Devices:
    """Parameters of n neurons of one model, read by name: ``devices["k1"]`` has shape (n,) and cannot be written.

    The drive is scaled by the ``nominal`` threshold: a weight does not know on which device it will act.

    Parameters
    ----------
    nominal : Neuron
    values : mapping of parameter to array_like, shape (n,)
        Every parameter that can vary; units as in the model.
    origin : Origin, optional
        Where they were drawn; left out for devices that were not.

    Raises
    ------
    DeviceError
        Arrays of different lengths, values that are not finite or of the wrong sign, a threshold at the reset.
    """

    nominal: Neuron
    values: Mapping[str, Real]
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.nominal, Neuron) or not isinstance(self.values, Mapping):
            given = f"{type(self.nominal).__name__} and {type(self.values).__name__}"
            raise DeviceError("The devices are impossible.", given=given, expected="Neuron, mapping", repair=_REPAIR)
        wanted = self.nominal.laws()
        if set(self.values) != set(wanted):
            given = f"parameters {', '.join(map(str, self.values))}"
            raise DeviceError("The devices are impossible.", given=given, expected=", ".join(wanted), repair=_REPAIR)
        rows = {name: np.array(numbers(name, self.values[name], repair=_REPAIR)) for name in wanted}
        shape = rows["gain"].shape
        for name, row in rows.items():
            about = self.nominal.parameters()[name]
            signed = row if about["default"] >= 0 else -row
            low = about["least"] if about["least"] <= 0 else np.finfo(np.float64).tiny
            if (
                row.shape != shape
                or row.ndim != 1
                or not row.size
                or not ((low <= signed) & (signed <= about["most"])).all()
            ):
                given = f"{name} of shape {row.shape} from {row.min(initial=np.inf)} to {row.max(initial=-np.inf)}"
                expected = f"arrays of one length, values finite, below {LIMIT:g} and with the sign of the nominal one"
                raise DeviceError("The devices are impossible.", given=given, expected=expected, repair=_REPAIR)
            row.setflags(write=False)
        object.__setattr__(self, "values", MappingProxyType(rows))
        constants = self._constants
        if (constants.threshold <= constants.reset).any():
            worst = int(np.argmin(constants.threshold - constants.reset))
            at = {name: float(rows[name][worst]) for name in ("threshold", "reset")}
            raise refuse("threshold", at["threshold"], f"above the reset {at['reset']}", _REPAIR)

    def __reduce__(self) -> tuple[Any, ...]:
        return Devices, (self.nominal, dict(self.values), self.origin)

    def __len__(self) -> int:
        return len(self.values["gain"])

    def __getitem__(self, name: str) -> Real:
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    @property
    def self_firing(self) -> int:
        """How many devices may fire without input: for the skyrmion, a threshold at or beyond the unstable point."""
        return int(np.count_nonzero(self.nominal.self_firing(self.values)))

    @property
    def varies(self) -> bool:
        """Whether there is cycle-to-cycle variation."""
        return self.origin is not None and bool(self.origin.cycle)

    @property
    def rest(self) -> Real:
        """State of each device before the first tick, in the unit of the model (nm)."""
        return self.nominal.resting(self.values)

    @property
    def unit(self) -> Real:
        """Length of the kernels' unit of position for each device (nm)."""
        return self._constants.unit

    @property
    def _constants(self) -> Constants:
        return self.nominal.constants(self.values, np.full(len(self), float(self.nominal.dt)))

    def in_tick(self, tick: int) -> Devices:
        """The devices as cycle-to-cycle variation makes them in one tick; the same ones without such variation."""
        if not self.varies:
            return self
        assert self.origin is not None
        seed, name, chip, cycle = self.origin
        values, order = dict(self.values), list(self.nominal.laws())
        laws = {order.index(p): law for p, law in cycle.items()}
        for i, factors in cycle_rows(laws, seed, f"{name}/{chip}", len(self), tick).items():
            values[order[i]] = self.nominal.spread(order[i], values[order[i]], factors)
        return Devices(self.nominal, values, self.origin)

    def arrays(self, dtype: DTypeLike = np.float32) -> DeviceArrays:
        """The derived constants that the kernels step a tick with."""
        c = self._constants
        return DeviceArrays(*(np.ascontiguousarray(row, dtype) for row in (c.a, c.b, c.gain, c.threshold, c.reset)))
