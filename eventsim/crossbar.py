"""Synapses on a drawn chip: spreads, programming errors, faults, read noise and retention.

Every random number is keyed by (seed, stream, device, counter), one stream for each parameter: device
``source * targets + target`` of a chip is the same whatever else is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, ndtr, ndtri

from eventsim import keys
from eventsim.checks import count, numbers, one_number
from eventsim.conductance import FAULTS, HUGE, LONGEST, MTJSynapse, PairMapping
from eventsim.errors import DeviceError
from eventsim.variation import Law, LogNormal, Normal, Variation, cycle_factors, device_factors

LAWS: Mapping[str, type[Law]] = {"r_p": LogNormal, "tmr": Normal, "level": Normal, "write_error": LogNormal}
"""Parameters of a synapse that spread: parallel resistance, TMR, level (of the range), write error rate."""

MORE_LAWS: Mapping[str, type[Law]] = {"barrier": Normal, "attempt_time": LogNormal, "read_noise": LogNormal}
"""Parameters that spread when they are named, and that ``Variation.all`` leaves alone."""

CYCLE_LAWS: Mapping[str, type[Law]] = {"level": Normal}
"""Parameters that are drawn anew in every programming."""

MATCHED = ("r_p", "tmr")
"""Parameters that the two devices of a pair may share."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Devices of one polarity, arrays of shape (sources, targets), or (sources, 1) for a shared reference.

    Parameters
    ----------
    g, rest : array of float64
        Conductance now and in thermal equilibrium (µS).
    rate : array of float64
        Rate of relaxation towards equilibrium (1/ns).
    noise : array of float64
        Standard deviation of one read, relative to the conductance.
    fault : array of uint8
        0 for a sound device, otherwise 1 + the index in ``FAULTS``.
    """

    g: NDArray[np.float64]
    rest: NDArray[np.float64]
    rate: NDArray[np.float64]
    noise: NDArray[np.float64]
    fault: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for array in (self.g, self.rest, self.rate, self.noise, self.fault):
            array.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Crossbar:
    """Programmed synapses of one chip, from :func:`program`.

    Parameters
    ----------
    synapse : MTJSynapse
        The nominal device.
    plus, minus : Cells
    scale : array of float64
        Weight per level, shape (targets,) or ().
    name, chip : str, int
        Where the devices were drawn.
    """

    synapse: MTJSynapse
    plus: Cells
    minus: Cells
    scale: NDArray[np.float64]
    name: str
    chip: int

    @property
    def g_plus(self) -> NDArray[np.float64]:
        """Conductances (µS), shape (sources, targets)."""
        return self.plus.g

    @property
    def g_minus(self) -> NDArray[np.float64]:
        """Conductances (µS), shape (sources, targets), or (sources, 1) for a shared reference."""
        return self.minus.g

    @property
    def weight(self) -> NDArray[np.float64]:
        """Weights without read noise, shape (sources, targets)."""
        return self.synapse.weights(self.g_plus, self.g_minus, self.scale)

    @property
    def faults(self) -> dict[str, int]:
        """Number of devices with each fault."""
        fault = np.concatenate([self.plus.fault.ravel(), self.minus.fault.ravel()])
        return {kind: int(np.count_nonzero(fault == i)) for i, kind in enumerate(FAULTS, 1)}

    def read(self, *, seed: int, counter: int = 0) -> NDArray[np.float64]:
        """Weights as one read sees them.

        Parameters
        ----------
        seed : int
        counter : int
            Which read: every counter has noise of its own, the same counter always the same.

        Returns
        -------
        array of float64, shape (sources, targets)

        Raises
        ------
        DeviceError
            The counter is no whole number from 0.
        """
        count("counter", counter)
        law = Normal(1.0, truncation=math.inf)

        def noisy(side: str, cells: Cells) -> NDArray[np.float64]:
            stream = f"{self.name}/{side}/chip {self.chip}/read"
            z = cycle_factors(law, seed, stream, cells.g.size, counter).reshape(cells.g.shape) - 1
            return cells.g * (1 + cells.noise * z)

        return self.synapse.weights(noisy("plus", self.plus), noisy("minus", self.minus), self.scale)

    def after(self, time: float) -> Crossbar:
        """The chip some time later, with the expected drift of sound devices.

        A device is taken as ``levels - 1`` independent bistable sites, each hopping either way at the Néel-Arrhenius
        rate ``exp(-barrier) / attempt_time``, so that its mean conductance relaxes to the middle at twice that rate.

        Parameters
        ----------
        time : float
            ns.

        Raises
        ------
        DeviceError
            The time is negative or not finite.
        """
        t = one_number("time", time, 0, LONGEST, repair="abs(time)")

        def drifted(cells: Cells) -> Cells:
            return replace(cells, g=cells.g + (cells.g - cells.rest) * np.expm1(-cells.rate * t))

        return replace(self, plus=drifted(self.plus), minus=drifted(self.minus))


def program(
    synapse: MTJSynapse,
    levels: ArrayLike,
    variation: Variation | None = None,
    *,
    seed: int,
    chip: int = 0,
    name: str = "synapses",
    write: int = 0,
    mapping: PairMapping = "one_sided",
    matching: float = 0.0,
    scale: ArrayLike = 1.0,
) -> Crossbar:
    """Write signed levels to the devices of a chip, each from ``g_min`` with as many pulses as its level.

    Parameters
    ----------
    synapse : MTJSynapse
    levels : array_like, shape (sources, targets)
        Whole numbers, as in :meth:`MTJSynapse.pairs`.
    variation : Variation, optional
        Spreads of ``r_p``, ``tmr``, ``level`` (relative to the range), ``write_error``, ``barrier``, ``attempt_time``
        and ``read_noise``; ``c2c`` of ``level``. A level is never pushed beyond either end of the range. ``r_p`` keeps
        its mean, which raises the mean conductance by the factor 1 + cv**2.
    seed, chip, name : int, int, str
        Which devices; faults belong to the device too.
    write : int
        Which programming of the chip: cycle-to-cycle errors and write errors are drawn anew for each.
    mapping : {"one_sided", "symmetric", "offset"}
    matching : float
        Correlation of ``r_p`` and of ``tmr`` of the two devices of a pair, 0 to 1.
    scale : array_like
        Weight per level, shape (targets,) or one number.

    Returns
    -------
    Crossbar

    Raises
    ------
    DeviceError
        Levels that are no table or do not fit the mapping, spreads that yield impossible devices, numbers out of range.
    """
    variation = Variation() if variation is None else variation
    if not isinstance(synapse, MTJSynapse) or not isinstance(variation, Variation):
        raise DeviceError(
            "There is nothing to program.",
            given=f"{synapse!r}, {variation!r}",
            expected="an MTJSynapse and a Variation",
            repair="program(MTJSynapse(), levels, Variation(r_p=0.06), seed=0)",
        )
    for what, value in (("chip", chip), ("write", write)):
        count(what, value)
    chosen = synapse.pairs(levels, mapping)
    rho = _checked_matching(matching, mapping)
    per_level = _checked_scale(scale, chosen[0].shape)
    draw = _Draw(synapse, _checked_laws(variation), variation, keys.check_seed(seed), chip, name, write, rho)
    plus, minus = chosen[0], chosen[1][:, :1] if mapping == "offset" else chosen[1]
    return Crossbar(synapse, draw.cells("plus", plus), draw.cells("minus", minus), per_level, name, chip)


@dataclass(frozen=True, eq=False)
class _Draw:
    synapse: MTJSynapse
    laws: dict[str, Law]
    variation: Variation
    seed: int
    chip: int
    name: str
    write: int
    matching: float

    def cells(self, side: str, level: NDArray[np.uint8]) -> Cells:
        nominal, n = self.synapse, level.size
        g_p = nominal.g_max / self._factors("r_p", side, n)
        g_ap = g_p / (1 + nominal.tmr * self._factors("tmr", side, n))
        fault = self._faults(side, n)
        share = self._share(side, level.ravel())
        faulty = [g_ap, g_p, np.full(n, nominal.short_factor * nominal.g_max), np.zeros(n)]  # in the order of FAULTS
        hit = [fault == i for i, _ in enumerate(FAULTS, 1)]
        g = np.select(hit, faulty, g_p * share + g_ap * (1 - share))
        barrier = nominal.barrier * self._factors("barrier", side, n)
        attempt = nominal.attempt_time * self._factors("attempt_time", side, n)
        rate = np.where(fault == 0, 2 * np.exp(-barrier) / attempt, 0.0)
        noise = nominal.read_noise * self._factors("read_noise", side, n)
        shape, rest = level.shape, (g_p + g_ap) / 2
        return Cells(
            g.reshape(shape), rest.reshape(shape), rate.reshape(shape), noise.reshape(shape), fault.reshape(shape)
        )

    def _share(self, side: str, level: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Parallel share of the free layer after programming: the level, less failed pulses, plus its error."""
        nominal, n = self.synapse, level.size
        reached = nominal.potentiate(level - self._failures(side, level))
        share = (reached - nominal.g_min) / (nominal.g_max - nominal.g_min)
        for law in self.variation.cycle_laws(CYCLE_LAWS).values():
            share += cycle_factors(law, self.seed, self._written("level", side), n, self.write) - 1
        return np.clip(share + self._factors("level", side, n) - 1, 0, 1)

    def _failures(self, side: str, level: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Pulses that did nothing, binomial: the inverse of its distribution, summed over the possible numbers."""
        failed = np.zeros(level.size, np.int64)
        if self.synapse.write_error:
            p = np.minimum(self.synapse.write_error * self._factors("write_error", side, level.size), 1)
            u = keys.uniform(self.seed, self._written("write_error", side), level.size, self.write)
            for k in range(int(level.max(initial=0))):
                failed += u > bdtr(np.minimum(k, level).astype(np.float64), level.astype(np.int64), p)
        return failed

    def _faults(self, side: str, n: int) -> NDArray[np.uint8]:
        fault, sound = np.zeros(n, np.uint8), 1.0
        for i, kind in enumerate(FAULTS, 1):
            rate = getattr(self.synapse, kind)
            if rate:
                # Given no earlier fault, so that kinds exclude each other and each has the rate that was asked for.
                hit = keys.uniform(self.seed, f"{self.name}/{side}/{kind}", n, self.chip) * sound < rate
                fault[hit & (fault == 0)] = i
                sound -= rate
        return fault

    def _factors(self, parameter: str, side: str, n: int) -> NDArray[np.float64]:
        law = self.laws.get(parameter)
        if law is None:
            return np.ones(n)
        stream, die = f"{self.name}/{side}/{parameter}", self.variation.die
        rho = self.matching if parameter in MATCHED else 0.0
        if not rho and not die:
            return device_factors(law, self.seed, stream, n, self.chip)
        z = ndtri(keys.uniform(self.seed, stream, n, self.chip))
        pair = ndtri(keys.uniform(self.seed, f"{self.name}/{parameter}/pair", n, self.chip))
        shared = ndtri(keys.uniform(self.seed, f"{self.name}/{parameter}/die", 1, self.chip))
        z = math.sqrt(die) * shared + math.sqrt(1 - die) * (math.sqrt(rho) * pair + math.sqrt(1 - rho) * z)
        return law.factors(np.clip(ndtr(z), 2.0**-54, 1 - 2.0**-53))

    def _written(self, parameter: str, side: str) -> str:
        return f"{self.name}/{side}/chip {self.chip}/{parameter}"


def _checked_matching(matching: float, mapping: PairMapping) -> float:
    rho = one_number("matching", matching, 0, 1, repair="matching=0.5")
    if rho and mapping == "offset":
        raise DeviceError(
            "A reference is not matched to any device.",
            given=f"matching={matching} with mapping='offset'",
            expected="matching=0, or pairs of devices",
            repair="mapping='one_sided'",
        )
    return rho


def _checked_scale(scale: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    per_level = np.array(numbers("scale", scale, -HUGE, HUGE, repair="synapse.quantise(weight).scale"))
    if len(shape) != 2 or per_level.shape not in {(), shape[1:]}:
        raise DeviceError(
            "The levels or scales have the wrong shape.",
            given=f"levels {shape}, scale {per_level.shape}",
            expected="levels (sources, targets), scale (targets,) or one number",
            repair="np.atleast_2d(levels)",
        )
    per_level.setflags(write=False)
    return per_level


def _checked_laws(variation: Variation) -> dict[str, Law]:
    laws = variation.laws({**LAWS, **MORE_LAWS}, LAWS)
    variation.cycle_laws(CYCLE_LAWS)
    for parameter, law in laws.items():
        if parameter != "level" and not isinstance(law, LogNormal) and law.support[0] <= 0:
            raise DeviceError(
                f"The spread of {parameter} yields impossible devices.",
                given=f"values down to {law.support[0]:.3g} of the nominal one",
                expected="every value positive",
                repair=f"Variation({parameter}=LogNormal({law.cv}))",
            )
    return laws
