"""What a network connects: neurons, sources of spikes, relays and readouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from eventsim import keys
from eventsim.checks import is_real
from eventsim.device import Devices
from eventsim.errors import NetworkError


@dataclass(frozen=True, eq=False)
class Source:
    """A population that repeats external events.

    Parameters
    ----------
    name : str
    size : int
    """

    name: str
    size: int


@dataclass(frozen=True, eq=False)
class Generator:
    """A population whose members spike by chance, independently in every tick (a Poisson process in ticks).

    Parameters
    ----------
    name : str
    size : int
    probability : float
        Of a spike of one member in one tick.

    Raises
    ------
    NetworkError
        The probability is not between 0 and 1.
    """

    name: str
    size: int
    probability: float

    def __post_init__(self) -> None:
        if not (is_real(self.probability) and 0 <= self.probability <= 1):
            raise NetworkError(
                f"The probability of generator {self.name!r} is impossible.",
                given=repr(self.probability),
                expected="a number from 0 to 1: spikes per tick",
                repair=f"Generator({self.name!r}, {self.size}, 0.01)",
            )

    @property
    def stream(self) -> int:
        """Stream of its random numbers."""
        return keys.stream("generate", self.name)


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one model.

    Parameters
    ----------
    name : str
    devices : Devices
        ``MTJ().identical(n)`` for n nominal devices.
    bias : array_like, shape (n,), optional
        Constant drive of each neuron (1); none if left out.
    update : {"auto", "sweep", "lazy"}
        Step every neuron in every tick, or leave those alone that nothing reaches and bring them up in one closed-form
        step when something does. By itself a population of at least 4,096 MTJ, LIF or IF neurons behind sparse
        connections is left alone as long as few spikes arrive, and swept when they are many: it follows from counts
        alone. The two differ by rounding (1e-7 per tick that is left out), not in what they solve.

    Raises
    ------
    NetworkError
        The devices are none, or there is no such update.
    """

    name: str
    devices: Devices
    bias: ArrayLike | None = None
    update: Literal["auto", "sweep", "lazy"] = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.devices, Devices):
            raise NetworkError(
                f"The devices of population {self.name!r} are none.",
                given=repr(self.devices),
                expected="Devices",
                repair="MTJ().identical(n), or MTJ().draw(n, Variation(...), seed=0)",
            )
        if self.update not in ("auto", "sweep", "lazy"):
            raise NetworkError(
                f"Population {self.name!r} cannot be updated like that.",
                given=repr(self.update),
                expected="'auto', 'sweep' or 'lazy'",
                repair="update='auto'",
            )

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.devices)

    @property
    def stream(self) -> int:
        """Stream of the random numbers of neurons that switch by chance: another one on another chip."""
        chip = self.devices.origin.chip if self.devices.origin else 0
        return keys.stream("simulate", self.name, str(chip))


@dataclass(frozen=True, eq=False)
class Relay:
    """A population that spikes in the ticks in which its drive is at least 1, without any memory: for max pooling.

    Parameters
    ----------
    name : str
    size : int
    """

    name: str
    size: int


@dataclass(frozen=True, eq=False)
class Readout:
    """Columns without a neuron whose drive is integrated over the run.

    Parameters
    ----------
    name : str
    size : int
    bias : array_like, shape (size,), optional
        Constant drive of each column (1).
    """

    name: str
    size: int
    bias: ArrayLike | None = None


AnyPopulation = Source | Generator | Population | Relay | Readout
