"""Networks of populations and projections, checked once and frozen into arrays for the engine."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from eventsim import freeze
from eventsim.checks import is_whole
from eventsim.connection import Connection, Delay
from eventsim.errors import NetworkError
from eventsim.kernels.frozen import Frozen
from eventsim.population import AnyPopulation, Generator, Population, Readout, Relay, Source
from eventsim.variation import Variation

Kind = TypeVar("Kind", Source, Generator, Population, Relay, Readout)


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another.

    Parameters
    ----------
    source, target : str
        Names of populations.
    synapses : Connection
        :class:`eventsim.Dense`, :class:`eventsim.OneToOne`, :class:`eventsim.Convolution`, or a sparse one:
        :class:`eventsim.Pairs`, :class:`eventsim.FixedFanOut`, :class:`eventsim.FixedFanIn`,
        :class:`eventsim.Bernoulli`.
    delay : int, or for sparse connections array_like of shape (synapses,) or tuple of two int
        Ticks between a spike and its arrival, 0 to 65535. 0 is allowed where projections form no cycle. Random
        connections draw the delay of each synapse between two ends, which count among them.
    name : str
        ``source -> target`` if left out; a second projection between the same ends needs a name of its own.
    """

    source: str
    target: str
    synapses: Connection
    delay: Delay = 0
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"{self.source} -> {self.target}")
        if not isinstance(self.synapses, Connection):
            raise NetworkError(
                f"The synapses of projection {self.name} are none.",
                given=type(self.synapses).__name__,
                expected="a Connection",
                repair="Dense(levels, scale), OneToOne(weight), FixedFanOut(100, 0.1, seed=0), ...",
            )


_PARTS: dict[str, tuple[Any, str, str]] = {
    "populations": (
        AnyPopulation,
        "Source, Generator, Population, Relay or Readout, each with a text as its name",
        'Source("input", 50)',
    ),
    "projections": (Projection, "Projection(source, target, synapses)", 'Projection("input", "a", Dense(weight))'),
}
"""What a network is made of: the types, and how an error names them."""


@dataclass(frozen=True, eq=False)
class Network:
    """Populations and the projections between them.

    Parameters
    ----------
    populations : sequence of Source, Generator, Population, Relay or Readout
    projections : sequence of Projection

    Raises
    ------
    NetworkError
        Names twice or unknown, empty populations, shapes that do not fit, numbers that are not finite, a
        projection into a source or out of a readout, or a cycle of projections without delay.
    """

    populations: Sequence[AnyPopulation]
    projections: Sequence[Projection]

    def __post_init__(self) -> None:
        if not self.populations:
            raise NetworkError(
                "The network is empty.", given="no population", expected="at least one", repair="add one"
            )
        for what, (kind, expected, repair) in _PARTS.items():
            for one in getattr(self, what):
                if not isinstance(one, kind) or not isinstance(one.name, str):
                    given = reprlib.repr(one)
                    raise NetworkError(
                        f"Something else is among the {what}.", given=given, expected=expected, repair=repair
                    )
        for population in self.populations:
            size = population.size
            if not (is_whole(size) and 1 <= size < 2**31):
                raise NetworkError(
                    f"Population {population.name!r} is empty." if size == 0 else "The size of a population is none.",
                    given=f"{size} neurons in {population.name!r}",
                    expected="a whole number from 1 to 2**31 - 1",
                    repair="drop it, or give it a size",
                )
        names = [population.name for population in self.populations]
        for what, taken in (("populations", names), ("projections", [p.name for p in self.projections])):
            if len(set(taken)) != len(taken):
                raise NetworkError(
                    f"Two {what} have one name.",
                    given=", ".join(taken),
                    expected="distinct names",
                    repair="name=... for one of them",
                )
        for projection in self.projections:
            self._check_ends(projection, names)
        _ = self.frozen

    def _check_ends(self, projection: Projection, names: list[str]) -> None:
        ends = ((projection.source, Readout, "come from"), (projection.target, Source | Generator, "lead to"))
        for end, barred, verb in ends:
            if end not in names:
                raise NetworkError(
                    f"Projection {projection.name} names no population.",
                    given=end,
                    expected=f"one of {', '.join(names)}",
                    repair="add that population or correct the name",
                )
            if isinstance(self[end], barred):
                kind = type(self[end]).__name__
                raise NetworkError(
                    f"Projection {projection.name} is impossible.",
                    given=f"{end}, a {kind}",
                    expected=f"a projection does not {verb} a {kind}",
                    repair="use a Population there",
                )

    def __getstate__(self) -> dict[str, Any]:
        """Without the frozen arrays, which hold addresses: another process builds its own."""
        return {"populations": self.populations, "projections": self.projections}

    def __getitem__(self, name: str) -> AnyPopulation:
        return self.populations[self.index(name)]

    def index(self, name: str) -> int:
        """Position of the population of that name."""
        names = [population.name for population in self.populations]
        if name not in names:
            raise NetworkError(
                "There is no such population.", given=name, expected=f"one of {', '.join(names)}", repair="correct it"
            )
        return names.index(name)

    def of_kind(self, kind: type[Kind]) -> list[Kind]:
        """Populations of one kind."""
        return [population for population in self.populations if isinstance(population, kind)]

    @cached_property
    def incoming(self) -> list[Projection]:
        """Projections in the order in which the engine numbers and adds them: by target, then as given."""
        return sorted(self.projections, key=lambda projection: self.index(projection.target))

    def on_chip(self, variation: Variation, *, seed: int, chip: int = 0) -> Network:
        """The same network on drawn devices: device i of a population on chip c is always the same.

        Devices are drawn around the nominal neuron of each population; what was drawn before is replaced.
        """
        drawn = [
            replace(p, devices=p.devices.nominal.draw(p.size, variation, seed=seed, chip=chip, name=p.name))
            if isinstance(p, Population)
            else p
            for p in self.populations
        ]
        network = object.__new__(Network)  # its connections are checked and built already
        vars(network).update(populations=drawn, projections=self.projections, plan=self.plan.on(drawn))
        return network

    @cached_property
    def plan(self) -> freeze.Plan:
        """What the engine runs on, and the tables that it reads by address."""
        return freeze.plan(self.populations, self.incoming)

    @property
    def frozen(self) -> Frozen:
        """The arrays that the engine runs on, in single precision."""
        return self.plan.arrays

    def arrays(self, dtype: DTypeLike = np.float32) -> Frozen:
        """:attr:`frozen` in float32 or float64: weights are what they are, all else is computed in that precision."""
        return self.frozen if np.dtype(dtype) == np.float32 else self._double

    @cached_property
    def _double(self) -> Frozen:
        return self.plan.as_type(self.populations, np.float64)

    @property
    def synapse_bytes(self) -> int:
        """Memory of all synapses and of what finds them."""
        return self.plan.synapse_bytes

    @property
    def synapses(self) -> dict[str, int]:
        """Number of synapses of each projection."""
        return self.plan.synapses
