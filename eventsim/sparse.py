"""Sparse connections: given pairs, and random ones that are drawn straight into the tables of the engine."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim import keys
from eventsim.checks import LIMIT, as_array, is_real, is_whole, numbers
from eventsim.connection import LONGEST_DELAY, Connection, Delay, Ends, Way, one_delay, refuse, scales
from eventsim.errors import NetworkError
from eventsim.kernels import frozen, rng
from eventsim.kernels import sparse as kernel
from eventsim.parallel import cores, split

_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Levels:
    """Conductance levels: a synapse stores the number of its level, one byte, and the weights stand in a table.

    Parameters
    ----------
    table : array_like, shape (levels,)
        Weight of each level, at most 256.
    probability : array_like, shape (levels,), optional
        Of each level in random connections, in steps of 2**-16; equal if left out.
    index : array_like of int, shape (synapses,), optional
        Level of each synapse, instead of random ones, for :class:`Pairs`.
    """

    table: ArrayLike
    probability: ArrayLike | None = None
    index: ArrayLike | None = None

    def __post_init__(self) -> None:
        table = numbers("weight of a level", self.table, repair="[-1, 0, 1]", kind=NetworkError)
        share = np.ones(table.shape) if self.probability is None else self.probability
        share = numbers("probability of a level", share, 0.0, repair="[0.5, 0.5]", kind=NetworkError)
        if table.ndim != 1 or not 1 <= table.size <= 256 or share.shape != table.shape or share.sum() <= 0:
            raise NetworkError(
                "The levels are not usable.",
                given=f"a table of shape {table.shape}, probabilities of shape {share.shape}",
                expected="1 to 256 weights, and as many probabilities that do not all vanish",
                repair="Levels(np.linspace(-1, 1, 31))",
            )

    def padded(self) -> NDArray[np.float32]:
        """The table with 256 entries."""
        table = np.zeros(256, np.float32)
        table[: np.size(self.table)] = self.table
        return table

    def by_chance(self) -> NDArray[np.uint8]:
        """Level for each value of 16 random bits."""
        share = np.ones(np.size(self.table)) if self.probability is None else np.asarray(self.probability, float)
        ends = np.rint(np.cumsum(share) / share.sum() * 65536).astype(np.int64)
        return np.repeat(np.arange(share.size, dtype=np.uint8), np.diff(ends, prepend=0))


Weight = float | Levels | ArrayLike


@dataclass(frozen=True)
class _Tables:
    """Weights of a sparse connection as the kernels read them: levels and their table, or one real number each."""

    table: NDArray[np.float32]
    by_chance: NDArray[np.uint8]
    index: NDArray[np.uint8]
    real: NDArray[np.float32]

    @property
    def width(self) -> int:
        return kernel.REAL if self.real.size else kernel.LEVEL


def _tables(ends: Ends, weight: Weight, shape: tuple[int, ...] | None) -> _Tables:
    """Read the weight of a connection; one for each synapse has the given shape, if it may be given at all."""
    none8, none = np.empty(0, np.uint8), np.empty(0, np.float32)
    if not isinstance(weight, Levels):
        real = numbers(f"weight of projection {ends.name}", weight, repair="weight=0.1", kind=NetworkError)
        if real.ndim and real.shape != shape:
            expected = "one weight for all, or Levels" + (f", or weights of shape {shape}" if shape else "")
            raise refuse(ends, "weights do not fit", f"shape {real.shape}", expected, "weight=0.1")
        if real.ndim:
            flat = real.ravel().astype(np.float32)
            return _Tables(np.zeros(256, np.float32), np.zeros(65536, np.uint8), none8, flat)
        weight = Levels([float(real)])
    index = none8 if weight.index is None else as_array(weight.index)
    if weight.index is not None and index.shape != shape:
        expected = f"shape {shape}" if shape else "none: the levels are drawn"
        raise refuse(ends, "levels do not fit", f"an index of shape {index.shape}", expected, "Levels without index")
    if index.size and (index.dtype.kind not in "iu" or index.min() < 0 or index.max() >= np.size(weight.table)):
        given, most = f"{index.dtype} from {index.min()} to {index.max()}", np.size(weight.table) - 1
        raise refuse(ends, "levels are not in its table", given, f"whole numbers from 0 to {most}", "a longer table")
    return _Tables(weight.padded(), weight.by_chance(), index.astype(np.uint8).ravel(), none)


def _delays(ends: Ends, delay: Delay) -> tuple[int, int]:
    """Shortest delay and number of delays of a rule."""
    if isinstance(delay, tuple):
        if len(delay) == 2 and one_delay(ends, delay[0]) <= one_delay(ends, delay[1]):
            return int(delay[0]), int(delay[1] - delay[0] + 1)
        raise refuse(ends, "delay is not usable", delay, "(shortest, longest)", "delay=(1, 5)")
    if np.ndim(delay):
        raise refuse(ends, "delay is not usable", "an array", "one delay, or (shortest, longest)", "Pairs(...)")
    return one_delay(ends, delay), 1


def _different(delay: Delay) -> int:
    """How many delays a range holds, if it is one."""
    if not (isinstance(delay, tuple) and len(delay) == 2 and all(map(is_whole, delay))):
        return 1
    return max(int(delay[1]) - int(delay[0]) + 1, 1)


def _ways(
    ends: Ends, delays: NDArray[np.int64], rows: NDArray[np.int64], data: NDArray[np.uint8], tables: _Tables
) -> tuple[list[Way], NDArray[np.float32]]:
    """One way for each delay; targets have no scale."""
    form = frozen.LEVELS if tables.width == kernel.LEVEL else frozen.REALS
    groups = ends.blocks * len(delays)
    mean = int(rows[-1]) / ends.sources / len(delays)
    ways = [
        Way(form, int(delay), data, mean, rows, groups, i * ends.blocks, tables.table) for i, delay in enumerate(delays)
    ]
    largest = float(np.abs(tables.real if tables.real.size else tables.table).max())
    sums: ArrayLike = 1.0
    if largest * int(rows[-1]) > LIMIT:  # only then is it worth looking at every synapse
        total = np.zeros(ends.blocks * ends.block)
        for way in ways:
            kernel.sums_of_targets(
                data.ctypes.data, rows.ctypes.data, rows.size - 1, groups, way.group, ends.blocks,
                tables.width, ends.block, tables.table, total,
            )  # fmt: skip
        sums = total[: ends.targets]
    return ways, scales(ends, None, sums)


class Sparse(Connection):
    """What sparse connections share."""

    weight: Weight

    def _reserve(self, rows: NDArray[np.int64], tables: _Tables) -> NDArray[np.uint8]:
        """Add up the counts of all segments, and make room for their synapses."""
        np.cumsum(rows, out=rows)
        return np.empty(int(rows[-1]) * tables.width + kernel.PADDING, np.uint8)


@dataclass(frozen=True, eq=False)
class Pairs(Sparse):
    """Given pairs of neurons.

    Parameters
    ----------
    source, target : array_like of int, shape (synapses,)
        Pairs may repeat.
    weight : float, array_like of shape (synapses,), or Levels
        One byte for each synapse and a table with Levels or with one weight for all; float32 otherwise.
    """

    source: ArrayLike
    target: ArrayLike
    weight: Weight = 1.0

    def mean_fan_out(self, sources: int, targets: int, delay: Delay) -> float:
        different = np.unique(as_array(delay)).size
        return max(as_array(self.source).size / max(sources, 1) / max(different, 1), 1.0)

    def build(self, ends: Ends, delay: Delay) -> tuple[list[Way], NDArray[np.float32]]:
        source = self._column(ends, "source", self.source, ends.sources)
        target = self._column(ends, "target", self.target, ends.targets)
        if target.size != source.size:
            given = f"{source.size} sources and {target.size} targets"
            raise refuse(ends, "ends of pairs differ in number", given, "as many of both", "arrays of one length")
        tables = _tables(ends, self.weight, source.shape)
        if isinstance(self.weight, Levels) and self.weight.index is None and np.size(self.weight.table) > 1:
            raise refuse(ends, "levels are not given", "no index", "a level for each pair", "Levels(table, index=...)")
        different, late = self._late(ends, delay, source.size)
        rows = np.zeros(ends.sources * ends.blocks * different.size + 1, np.int64)
        layout = (source, target, late, ends.block, ends.blocks, different.size)
        kernel.count_pairs(*layout, rows)
        data = self._reserve(rows, tables)
        kernel.fill_pairs(*layout, rows[:-1].copy(), tables.index, tables.real, data)
        return _ways(ends, different, rows, data, tables)

    def _late(self, ends: Ends, delay: Delay, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The delays that there are, and which of them each pair has."""
        if as_array(delay).ndim == 0:
            return np.array([one_delay(ends, delay)]), np.empty(0, np.int64)
        column = self._column(ends, "delay", delay, LONGEST_DELAY + 1)
        if column.size != size:
            raise refuse(ends, "delays differ in number", column.size, f"one for each of {size} pairs", "delay=1")
        different, late = np.unique(column, return_inverse=True)
        return (different, late) if size else (np.array([1]), late)

    def _column(self, ends: Ends, what: str, values: ArrayLike, limit: int) -> NDArray[np.int64]:
        array = as_array(values)
        usable = array.ndim == 1 and (array.dtype.kind in "iu" or array.size == 0)
        if not usable or (array.size and (array.min() < 0 or array.max() >= limit)):
            spread = f" from {array.min()} to {array.max()}" if array.size and array.dtype.kind in "iuf" else ""
            given = f"{array.ndim}-d array of {array.dtype}{spread}"
            raise refuse(
                ends, f"{what}s of pairs are not usable", given, f"whole numbers from 0 to {limit - 1}", "drop others"
            )
        return array.astype(np.int64)


class _Random(Sparse):
    """Rules that draw; each neuron by its own number, so that no other draw changes them."""

    seed: int

    def _stream(self, ends: Ends) -> np.uint64:
        return np.uint64(keys.stream("connect", ends.name) & ~3)

    def _key(self) -> np.uint64:
        return np.uint64(keys.check_seed(self.seed))


class _ByRow(_Random):
    @property
    @abstractmethod
    def rule(self) -> tuple[int, float]:
        """Number of the rule and its parameter."""

    def build(self, ends: Ends, delay: Delay) -> tuple[list[Way], NDArray[np.float32]]:
        rule, number = self.rule
        shape = (ends.sources, int(number)) if rule == kernel.FAN_OUT and not isinstance(self.weight, Levels) else None
        tables, (shortest, delays) = _tables(ends, self.weight, shape), _delays(ends, delay)
        rows = np.zeros(ends.sources * ends.blocks * delays + 1, np.int64)
        key, layout = (rule, self._key(), self._stream(ends)), (ends.targets, ends.block, ends.blocks, delays)

        def count(first: int, last: int) -> None:
            kernel.count_rows(*key, first, last, number, *layout, rows)

        def fill(first: int, last: int) -> None:
            kernel.fill_rows(*key, first, last, number, *layout, rows, tables.by_chance, tables.real, data)

        split(count, ends.sources, cores())
        data = self._reserve(rows, tables)
        split(fill, ends.sources, cores())
        return _ways(ends, np.arange(shortest, shortest + delays), rows, data, tables)


def _number(what: str, value: Any, least: float, most: float, whole: bool = True) -> None:
    fits = is_whole(value) if whole else is_real(value)
    if not fits or not least <= value <= most:
        raise NetworkError(
            f"The {what} of a connection is not usable.",
            given=repr(value),
            expected=f"a {'whole number' if whole else 'number'} from {least:g} to {most:g}",
            repair=f"{what}={'100' if whole else '0.1'}",
        )


@dataclass(frozen=True, eq=False)
class FixedFanOut(_ByRow):
    """Every source reaches as many targets, drawn independently: a target may be hit more than once, by itself too.

    Parameters
    ----------
    fan_out : int
    weight : float, Levels, or array_like of shape (sources, fan_out)
    seed : int
        With the name of the projection it decides the connections.
    """

    fan_out: int
    weight: Weight
    seed: int

    def __post_init__(self) -> None:
        _number("fan_out", self.fan_out, 1, 2**31)

    def mean_fan_out(self, sources: int, targets: int, delay: Delay) -> float:
        return self.fan_out / _different(delay)

    @property
    def rule(self) -> tuple[int, float]:
        return kernel.FAN_OUT, float(self.fan_out)


@dataclass(frozen=True, eq=False)
class Bernoulli(_ByRow):
    """Each pair is connected with one probability, at most once.

    Parameters
    ----------
    probability : float
    weight : float or Levels
    seed : int
        With the name of the projection it decides the connections.
    """

    probability: float
    weight: Weight
    seed: int

    def __post_init__(self) -> None:
        _number("probability", self.probability, 2.0**-32, 1, whole=False)

    def mean_fan_out(self, sources: int, targets: int, delay: Delay) -> float:
        return self.probability * targets / _different(delay)

    @property
    def rule(self) -> tuple[int, float]:
        return kernel.PROBABILITY, float(self.probability)


@dataclass(frozen=True, eq=False)
class FixedFanIn(_Random):
    """Every target hears as many sources, drawn independently: a source may be drawn more than once.

    Parameters
    ----------
    fan_in : int
    weight : float, Levels, or array_like of shape (targets, fan_in)
    seed : int
        With the name of the projection it decides the connections.
    """

    fan_in: int
    weight: Weight
    seed: int

    def __post_init__(self) -> None:
        _number("fan_in", self.fan_in, 1, 2**31)

    def mean_fan_out(self, sources: int, targets: int, delay: Delay) -> float:
        return self.fan_in * targets / sources / _different(delay)

    def build(self, ends: Ends, delay: Delay) -> tuple[list[Way], NDArray[np.float32]]:
        shape = None if isinstance(self.weight, Levels) else (ends.targets, self.fan_in)
        tables, (shortest, delays) = _tables(ends, self.weight, shape), _delays(ends, delay)
        rows = np.zeros(ends.sources * ends.blocks * delays + 1, np.int64)
        layout = (ends.block, ends.blocks, delays)

        def count(first: int, last: int) -> None:
            for source, target, late, *_ in self._chunks(ends, tables, delays, first, last):
                kernel.count_pairs(source, target, late, *layout, rows)

        def fill(first: int, last: int) -> None:
            for source, target, late, levels, real in self._chunks(ends, tables, delays, first, last):
                kernel.fill_pairs(source, target, late, *layout, at, levels, real, data)

        split(count, ends.blocks, cores())
        data = self._reserve(rows, tables)
        at = rows[:-1].copy()
        split(fill, ends.blocks, cores())
        return _ways(ends, np.arange(shortest, shortest + delays), rows, data, tables)

    def _chunks(self, ends: Ends, tables: _Tables, delays: int, first: int, last: int) -> Any:
        """Pairs into blocks ``first .. last - 1``, some at a time: sources, targets, delays, levels, weights."""
        step, stop = max(1, _CHUNK // self.fan_in), min(last * ends.block, ends.targets)
        for begin in range(first * ends.block, stop, step):
            end = min(begin + step, stop)
            source = np.empty((end - begin) * self.fan_in, np.int64)
            kernel.draw_fan_in(self._key(), self._stream(ends), begin, end, self.fan_in, ends.sources, source)
            target = np.repeat(np.arange(begin, end), self.fan_in)
            draw = partial(self._draw, ends, begin, end)
            late = (draw(2) * delays).astype(np.int64) if delays > 1 else np.empty(0, np.int64)
            levels = tables.by_chance[(draw(1) * 65536).astype(np.int64)]
            real = tables.real[begin * self.fan_in : end * self.fan_in]
            yield source, target, late, levels, real

    def _draw(self, ends: Ends, begin: int, end: int, which: int) -> NDArray[np.float64]:
        """A uniform number for each synapse of targets ``begin .. end - 1``."""
        out = np.empty((end - begin, self.fan_in))
        stream = self._stream(ends) + np.uint64(which)
        for k in range(self.fan_in):
            column = np.empty(end - begin)
            rng.uniforms(self._key(), stream, np.uint64(begin), np.uint64(k), column)
            out[:, k] = column
        return np.minimum(out.ravel(), np.nextafter(1.0, 0.0))  # once in 2**53 it is 1
