"""Networks of populations and projections, checked once and frozen into arrays for the engine."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim import keys
from eventsim.checks import LIMIT, numbers
from eventsim.device import Devices
from eventsim.errors import NetworkError
from eventsim.kernels import engine
from eventsim.kernels.neuron import DeviceArrays, Model
from eventsim.synapse import EXACT_LIMIT
from eventsim.variation import Variation


def _row(what: str, values: ArrayLike, size: int, limit: ArrayLike = LIMIT) -> NDArray[np.float32]:
    """One number per neuron, no larger than keeps the drive below :data:`eventsim.checks.LIMIT`."""
    repair = f"np.zeros({size}) for none"
    row = numbers(what, values, -math.inf, math.inf, repair=repair, kind=NetworkError)
    if row.shape != (size,) or not (np.abs(row) <= limit).all():
        raise NetworkError(
            f"The {what} is not usable.",
            given=f"shape {row.shape}, values from {row.min(initial=np.inf)} to {row.max(initial=-np.inf)}",
            expected=f"{size} finite numbers, one per neuron, that keep every drive below {LIMIT:g}",
            repair=repair,
        )
    return row.astype(np.float32)


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
class Population:
    """Neurons of one model.

    Parameters
    ----------
    name : str
    devices : Devices
        ``MTJ().identical(n)`` for n nominal devices.
    bias : array_like, shape (n,), optional
        Constant drive of each neuron (1); none if left out.
    """

    name: str
    devices: Devices
    bias: ArrayLike | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.devices, Devices):
            raise NetworkError(
                f"The devices of population {self.name!r} are none.",
                given=repr(self.devices),
                expected="Devices",
                repair="MTJ().identical(n), or MTJ().draw(n, Variation(...), seed=0)",
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


AnyPopulation = Source | Population | Readout
Kind = TypeVar("Kind", Source, Population, Readout)


@dataclass(frozen=True, eq=False)
class Projection:
    """A crossbar from one population to another; the weight of a synapse is ``scale[target] * levels``.

    Parameters
    ----------
    source, target : str
        Names of populations.
    levels : array_like, shape (sources, targets)
        Whole numbers, from :func:`eventsim.to_levels` for real weights.
    scale : array_like, shape (targets,)
        Drive per level.
    delay : int
        Ticks between a spike and its arrival; 0 is allowed where projections form no cycle.
    name : str
        ``source -> target`` if left out; a second projection between the same ends needs a name of its own.
    """

    source: str
    target: str
    levels: ArrayLike
    scale: ArrayLike
    delay: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"{self.source} -> {self.target}")

    def checked(self, sources: int, targets: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Levels and scale as the engine takes them; raises :class:`NetworkError` where they do not fit."""
        levels = np.asarray(self.levels)
        if levels.dtype.kind not in "iufb":
            raise NetworkError(
                f"The levels of projection {self.name} are not numbers.",
                given=f"an array of {levels.dtype}",
                expected="whole numbers",
                repair="np.asarray(levels, dtype=np.int16)",
            )
        if levels.shape != (sources, targets):
            raise NetworkError(
                f"The levels of projection {self.name} have the wrong shape.",
                given=levels.shape,
                expected=f"({sources}, {targets}), sources by targets",
                repair="levels.T" if levels.shape == (targets, sources) else "levels of that shape",
            )
        whole = np.where(np.isfinite(levels), levels, 0.5).astype(np.float64)
        if not ((whole == np.rint(whole)) & (np.abs(whole) < 2**15)).all():
            raise NetworkError(
                f"The levels of projection {self.name} are not levels.",
                given=f"values from {np.min(levels)} to {np.max(levels)}",
                expected="whole numbers below 2**15",
                repair="levels, scale = to_levels(weight, largest_level(sources, None))",
            )
        sums = np.abs(whole).sum(axis=0)
        if sums.max() >= EXACT_LIMIT:
            raise NetworkError(
                f"The sums of projection {self.name} are not exact.",
                given=f"levels that add up to {sums.max():.0f}",
                expected=f"below {EXACT_LIMIT} for each target",
                repair="to_levels(weight, largest_level(sources, None)) keeps below it",
            )
        if not isinstance(self.delay, int | np.integer) or not 0 <= self.delay < 2**16:
            raise NetworkError(
                f"The delay of projection {self.name} is not usable.",
                given=self.delay,
                expected="a whole number of ticks from 0 to 65535",
                repair="delay=1",
            )
        scale = _row(f"scale of projection {self.name}", self.scale, targets, LIMIT / np.maximum(sums, 1))
        return levels.astype(np.int16), scale


@dataclass(frozen=True, eq=False)
class Network:
    """Populations and the projections between them.

    Parameters
    ----------
    populations : sequence of Source, Population or Readout
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
        for population in self.populations:
            if not isinstance(population.size, int | np.integer) or population.size < 1:
                raise NetworkError(
                    f"Population {population.name!r} is empty.",
                    given=f"{population.size} neurons",
                    expected="a whole number from 1",
                    repair="drop it, or give it a size",
                )
        names = [population.name for population in self.populations]
        for what, given in (("populations", names), ("projections", [p.name for p in self.projections])):
            if len(set(given)) != len(given):
                raise NetworkError(
                    f"Two {what} have one name.",
                    given=", ".join(given),
                    expected="distinct names",
                    repair="name=... for one of them",
                )
        for projection in self.projections:
            ends = ((projection.source, Readout, "come from"), (projection.target, Source, "lead to"))
            for end, barred, verb in ends:
                if end not in names:
                    raise NetworkError(
                        f"Projection {projection.name} names no population.",
                        given=end,
                        expected=f"one of {', '.join(names)}",
                        repair="add that population or correct the name",
                    )
                if isinstance(self[end], barred):
                    raise NetworkError(
                        f"Projection {projection.name} is impossible.",
                        given=f"{end}, a {barred.__name__}",
                        expected=f"a projection does not {verb} a {barred.__name__}",
                        repair="use a Population there",
                    )
        _ = self.frozen

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
        """Populations that are a Source, Population or Readout."""
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
        network = copy.copy(self)  # its connections are checked and frozen already
        object.__setattr__(network, "populations", drawn)
        network.__dict__["frozen"] = self.frozen._replace(**_devices(drawn))
        return network

    def _order(self) -> list[int]:
        """Order of a tick: every projection without delay runs forward."""
        graph: dict[int, set[int]] = {i: set() for i in range(len(self.populations))}
        for projection in self.projections:
            if projection.delay == 0:
                graph[self.index(projection.target)].add(self.index(projection.source))
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            cycle = " -> ".join(self.populations[i].name for i in error.args[1])
            raise NetworkError(
                "Projections without delay form a cycle.",
                given=cycle,
                expected="a delay of at least one tick somewhere in it",
                repair="Projection(..., delay=1) for one of them",
            ) from None

    @cached_property
    def frozen(self) -> engine.Frozen:
        """The arrays that the engine runs on."""
        sizes = [population.size for population in self.populations]
        parts = [p.checked(self[p.source].size, self[p.target].size) for p in self.incoming]
        models = [p.devices.nominal.model if isinstance(p, Population) else _idle(p) for p in self.populations]
        bias = [_row(f"bias of {p.name}", _bias(p), p.size) for p in self.populations]
        targets = [self.index(p.target) for p in self.incoming]
        readouts = np.where([isinstance(p, Readout) for p in self.populations], sizes, 0)
        frozen = engine.Frozen(
            kind=np.array([model.kind for model in models], np.int64),
            soft=np.array([model.soft for model in models]),
            hold=np.array([model.hold for model in models], np.int64),
            start=_starts(sizes),
            order=np.array(self._order(), np.int64),
            incoming=np.searchsorted(targets, np.arange(len(sizes) + 1)).astype(np.int64),
            source=np.array([self.index(p.source) for p in self.incoming], np.int64),
            delay=np.array([p.delay for p in self.incoming], np.int64),
            row=_starts([levels.size for levels, _ in parts])[:-1],
            column=_starts([scale.size for _, scale in parts])[:-1],
            weight=np.concatenate([levels.ravel() for levels, _ in parts] or [np.empty(0, np.int16)]),
            scale=np.concatenate([scale for _, scale in parts] or [np.empty(0, np.float32)]),
            bias=np.concatenate(bias),
            readout=_starts(readouts)[:-1],
            **_devices(self.populations),
        )
        for array in frozen[:-1]:
            array.setflags(write=False)
        return frozen


def _bias(population: AnyPopulation) -> ArrayLike:
    bias = None if isinstance(population, Source) else population.bias
    return np.zeros(population.size) if bias is None else bias


def _idle(population: Source | Readout) -> Model:
    return Model(engine.SOURCE if isinstance(population, Source) else engine.READOUT, False, 0)


def _devices(populations: Sequence[AnyPopulation]) -> dict[str, Any]:
    """Devices of all neurons in a row and their rest; those of sources and readouts are zero."""
    rows, rest = [], []
    for p in populations:
        blank = np.zeros(p.size, np.float32)
        if isinstance(p, Population):
            if p.devices.varies:
                raise NetworkError(
                    f"The devices of population {p.name!r} vary from cycle to cycle.",
                    given=f"c2c of {', '.join(p.devices.origin.cycle) if p.devices.origin else ''}",
                    expected="device-to-device variation only: networks do not draw anew in every tick",
                    repair="Variation(...) without c2c, or respond(devices, drive), which does",
                )
            rows.append(p.devices.arrays())
            rest.append((p.devices.rest / p.devices.unit).astype(np.float32))
        else:
            rows.append(DeviceArrays(*[blank] * len(DeviceArrays._fields)))
            rest.append(blank)
    arrays = DeviceArrays(*(np.concatenate(columns) for columns in zip(*rows, strict=True)))
    resting = np.concatenate(rest)
    for array in (*arrays, resting):
        array.setflags(write=False)
    streams = np.array([p.stream if isinstance(p, Population) else 0 for p in populations], np.uint64)
    return {"devices": arrays, "rest": resting, "stream": streams}


def _starts(sizes: ArrayLike) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
