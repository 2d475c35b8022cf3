"""The MTJ synapse as a device: conductance levels, pulses, short-term plasticity, and weights as pairs of devices.

Chips with spreads, faults and noise are in :mod:`eventsim.crossbar`; equations and sources in ``docs/devices.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import is_real, is_whole, numbers, together
from eventsim.errors import DeviceError
from eventsim.synapse import to_levels

PairMapping = Literal["one_sided", "symmetric", "offset"]
"""How a signed level becomes two conductances: a differential pair with one device at its lowest level; a pair about
the middle level, as close as whole levels allow; or one device and a reference at the middle level, which all targets
of a source share.
"""

LONGEST = HUGE = 1e30
"""Longest time (ns), and largest conductance (µS) and scale: no arithmetic overflows below it."""

FAULTS = ("stuck_at_gmin", "stuck_at_gmax", "short", "open")
"""Kinds of faults, in the order of their numbers from 1."""

_RANGES = {
    **dict.fromkeys(("g_max", "tmr", "tau_st", "short_factor", "attempt_time"), (1e-6, 1e6)),
    **dict.fromkeys((*FAULTS, "read_noise", "write_error", "stp_step"), (0.0, 1.0)),
    **dict.fromkeys(("nl_ltp", "nl_ltd"), (-20.0, 20.0)),
    "stp_max": (1e-6, 1.0),
    "barrier": (0.0, 1e3),
    "levels": (2, 256),
}


@dataclass(frozen=True, kw_only=True)
class MTJSynapse:
    """A magnetic tunnel junction with several conductance levels (skyrmions or a domain wall in its free layer).

    Parameters
    ----------
    g_max : float
        Parallel conductance G_P (µS).
    tmr : float
        Tunnel magnetoresistance, 1.5 for 150 %: ``g_min = g_max / (1 + tmr)``.
    levels : int
        Conductance levels, 2 to 256; level k is the state after k pulses from ``g_min``.
    nl_ltp, nl_ltd : float
        Nonlinearity of potentiation and depression, ``levels - 1`` pulses over the constant A of the NeuroSim form
        ``G = g_min + B (1 - exp(-P / A))``, with B such that the last pulse ends at ``g_max``. 0 is linear, positive is
        fast at first, negative slow at first, for both directions alike.
    tau_st : float
        Time constant of short-term plasticity (ns).
    stp_step, stp_max : float
        First step and ceiling of short-term plasticity, shares of ``g_max - g_min``.
    read_noise : float
        Standard deviation of one read, relative to the conductance.
    stuck_at_gmin, stuck_at_gmax, short, open : float
        Shares of faulty devices; a device has at most one fault.
    short_factor : float
        Conductance of a short over ``g_max``.
    write_error : float
        Probability that a pulse does nothing.
    barrier, attempt_time : float
        Energy barrier between neighbouring states (k_B T) and attempt time of thermal hopping (ns).

    Raises
    ------
    DeviceError
        A parameter is not a number or outside its range, the faults add up to more than 1, or the step of short-term
        plasticity is larger than its ceiling.
    """

    g_max: float = 100.0
    tmr: float = 1.5
    levels: int = 16
    nl_ltp: float = 0.0
    nl_ltd: float = 0.0
    tau_st: float = 10.0
    stp_step: float = 0.05
    stp_max: float = 0.2
    read_noise: float = 0.01
    stuck_at_gmin: float = 0.0
    stuck_at_gmax: float = 0.0
    short: float = 0.0
    open: float = 0.0
    short_factor: float = 5.0
    write_error: float = 0.0
    barrier: float = 45.0
    attempt_time: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (least, largest) = getattr(self, field.name), _RANGES[field.name]
            whole = field.name != "levels" or is_whole(value)
            if not (is_real(value) and whole and least <= value <= largest):
                raise DeviceError(
                    f"Synapse parameter {field.name} is impossible.",
                    given=repr(value),
                    expected=f"a {'whole ' * (field.name == 'levels')}number from {least:g} to {largest:g}",
                    repair=f"MTJSynapse({field.name}={field.default})",
                )
        object.__setattr__(self, "levels", int(self.levels))
        if (total := math.fsum(getattr(self, kind) for kind in FAULTS)) > 1:
            given = f"rates that add up to {total:g}"
            raise DeviceError("There are too many faults.", given=given, expected="at most 1", repair="short=0.01")
        if self.stp_step > self.stp_max:
            what, given = "The first short-term step is above the ceiling.", f"{self.stp_step} above {self.stp_max}"
            raise DeviceError(what, given=given, expected="stp_step <= stp_max", repair=f"stp_step={self.stp_max}")

    @property
    def g_min(self) -> float:
        """Antiparallel conductance (µS)."""
        return self.g_max / (1 + self.tmr)

    @property
    def on_off_ratio(self) -> float:
        """Largest over smallest conductance."""
        return 1 + self.tmr

    def table(self) -> NDArray[np.float64]:
        """Conductance of each level (µS), shape (levels,)."""
        return self.potentiate(np.arange(self.levels))

    def potentiate(self, pulses: ArrayLike) -> NDArray[np.float64]:
        """Conductance after potentiating pulses from ``g_min``, at most ``g_max``.

        NeuroSim form (Yu's group, Arizona State University), its constant in units of the range of pulses.

        Parameters
        ----------
        pulses : array_like
            Numbers of pulses, fractions allowed.

        Returns
        -------
        array of float64, shape of ``pulses``
            µS.

        Raises
        ------
        DeviceError
            A number is negative or not finite.
        """
        return self.conductance(self._bent(pulses, self.nl_ltp))

    def depress(self, pulses: ArrayLike) -> NDArray[np.float64]:
        """Conductance after depressing pulses from ``g_max``, at least ``g_min``; otherwise as :meth:`potentiate`."""
        return self.conductance(1 - self._bent(pulses, self.nl_ltd))

    def pulses_for(self, g: ArrayLike, *, depress: bool = False) -> NDArray[np.float64]:
        """Inverse of :meth:`potentiate`, or of :meth:`depress`.

        Parameters
        ----------
        g : array_like
            Conductances (µS).
        depress : bool
            Count from ``g_max`` downwards.

        Returns
        -------
        array of float64, shape of ``g``
            Real numbers from 0 to ``levels - 1``.

        Raises
        ------
        DeviceError
            A conductance is not between ``g_min`` and ``g_max``.
        """
        g = numbers("conductance", g, self.g_min, self.g_max, repair="np.clip(g, synapse.g_min, synapse.g_max)")
        share = ((self.g_max - g) if depress else (g - self.g_min)) / (self.g_max - self.g_min)
        nl = self.nl_ltd if depress else self.nl_ltp
        if abs(nl) > np.finfo(float).eps:
            share = -np.log1p(share * math.expm1(-nl)) / nl
        return np.clip(share, 0, 1) * (self.levels - 1)

    def conductance(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Conductance (µS) with a share of the free layer parallel, 0 to 1: linear in the position of a wall."""
        return np.clip(self.g_max * share + self.g_min * (1 - share), self.g_min, self.g_max)

    def _bent(self, pulses: ArrayLike, nl: float) -> NDArray[np.float64]:
        last = self.levels - 1
        share = np.minimum(numbers("number of pulses", pulses, 0, HUGE, repair="np.abs(pulses)"), last) / last
        # Below one rounding error the exponential is the straight line, and its quotient 0 / 0.
        return share if abs(nl) <= np.finfo(float).eps else np.expm1(-nl * share) / math.expm1(-nl)

    def relax(self, g: ArrayLike, gap: ArrayLike) -> NDArray[np.float64]:
        """Short-term conductance after a time without spikes, ``g exp(-gap / tau_st)``.

        Parameters
        ----------
        g, gap : array_like
            Short-term conductance (µS) and time (ns), which broadcast.

        Raises
        ------
        DeviceError
            A time is negative or not finite, a conductance is not between 0 and its ceiling.
        """
        ceiling = self.stp_max * (self.g_max - self.g_min)
        g = numbers("short-term conductance", g, 0, ceiling, repair="np.clip(g, 0, stp_max * (g_max - g_min))")
        g, t = together(g=g, gap=numbers("time", gap, 0, LONGEST, repair="np.abs(gap)"))
        return g * np.exp(-t / self.tau_st)

    def short_term(self, times: ArrayLike) -> NDArray[np.float64]:
        """Short-term conductance (µS) just after each spike, shape (spikes,), on top of the level; at first 0.

        Each spike adds ``step (1 - g / ceiling)``, and :meth:`relax` acts in between: a skyrmion that swells under
        the gate and shrinks without (Lone et al. 2022, arXiv 2205.14915).

        Parameters
        ----------
        times : array_like, shape (spikes,)
            Times of spikes (ns), ascending; equal ones count one after another.

        Raises
        ------
        DeviceError
            Times are negative, not finite, not ascending or not one list.
        """
        when = numbers("time", times, 0, LONGEST, repair="times - times.min()")
        if when.ndim != 1 or (np.diff(when) < 0).any():
            given = f"shape {when.shape}" if when.ndim != 1 else "times that go back"
            raise DeviceError(
                "The spikes are not in order.", given=given, expected="one ascending list", repair="np.sort(times)"
            )
        step = self.stp_step * (self.g_max - self.g_min)
        kept = (1 - self.stp_step / self.stp_max) * np.exp(-np.diff(when, prepend=0) / self.tau_st)
        g: Iterator[float] = accumulate(kept.tolist(), lambda g, keep: keep * g + step, initial=0.0)
        return np.fromiter(g, np.float64, len(when) + 1)[1:]

    def largest(self, mapping: PairMapping = "one_sided") -> int:
        """Largest signed level of a mapping: ``levels - 1`` with a pair, half of it with a reference.

        Raises
        ------
        DeviceError
            The mapping is unknown, or is ``offset`` with two levels.
        """
        if mapping not in get_args(PairMapping):
            known = ", ".join(get_args(PairMapping))
            raise DeviceError("The mapping is unknown.", given=repr(mapping), expected=known, repair="one_sided")
        if mapping == "offset" and self.levels < 3:
            raise DeviceError(
                "There is no level below the reference.", given="2 levels", expected="at least 3", repair="one_sided"
            )
        return (self.levels - 1) // 2 if mapping == "offset" else self.levels - 1

    def pairs(
        self, levels: ArrayLike, mapping: PairMapping = "one_sided"
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Levels of the two devices of each signed level; ``table()`` has their conductances.

        Parameters
        ----------
        levels : array_like
            Whole numbers from ``-largest(mapping)`` to ``largest(mapping)``.
        mapping : {"one_sided", "symmetric", "offset"}

        Returns
        -------
        plus, minus : arrays of uint8, shape of ``levels``

        Raises
        ------
        DeviceError
            Levels out of range or not whole, or an unknown mapping.
        """
        largest = self.largest(mapping)
        n = numbers("level", levels, -largest, largest, repair="synapse.quantise(weight).levels")
        if (n != np.rint(n)).any():
            raise DeviceError("The levels are not whole.", given="fractions", expected="whole", repair="np.rint")
        whole = n.astype(np.int64)
        if mapping == "one_sided":
            plus = np.maximum(whole, 0)
        else:
            plus = (self.levels + whole) // 2 if mapping == "symmetric" else largest + whole
        return plus.astype(np.uint8), (plus - whole).astype(np.uint8)

    def conductances(
        self, levels: ArrayLike, mapping: PairMapping = "one_sided"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Conductances (µS) of the two devices of each signed level on nominal devices; as :meth:`pairs`."""
        plus, minus = self.pairs(levels, mapping)
        return self.table()[plus], self.table()[minus]

    def weights(self, g_plus: ArrayLike, g_minus: ArrayLike, scale: ArrayLike = 1.0) -> NDArray[np.float64]:
        """Weights of pairs of conductances (µS), ``scale (levels - 1) (g_plus - g_minus) / (g_max - g_min)``.

        Parameters
        ----------
        g_plus, g_minus : array_like
            Conductances (µS), also faulty ones.
        scale : array_like
            Weight per level, shape (targets,) or one number. The three broadcast.

        Raises
        ------
        DeviceError
            A value is not finite.
        """
        g_plus, g_minus = (numbers("conductance", g, -HUGE, HUGE, repair="np.nan_to_num") for g in (g_plus, g_minus))
        per_level = numbers("scale", scale, -HUGE, HUGE, repair="np.nan_to_num")
        g_plus, g_minus, per_level = together(g_plus=g_plus, g_minus=g_minus, scale=per_level)
        return per_level * ((g_plus - g_minus) * ((self.levels - 1) / (self.g_max - self.g_min)))

    def quantise(self, weight: ArrayLike, mapping: PairMapping = "one_sided") -> QuantisationReport:
        """Round weights to signed levels, and report what that and the bend of nonlinear devices cost.

        Parameters
        ----------
        weight : array_like, shape (sources, targets)
        mapping : {"one_sided", "symmetric", "offset"}

        Raises
        ------
        DeviceError
            Weights that are no table of finite numbers, or an unknown mapping.
        """
        largest = self.largest(mapping)
        limit = float(np.finfo(np.float32).max)
        w = numbers("weight", weight, -limit, limit, repair="np.nan_to_num(weight)")
        if w.ndim != 2 or not w.size:
            expected = "(sources, targets), neither 0"
            raise DeviceError("The weights are no table.", given=w.shape, expected=expected, repair="np.atleast_2d")
        n, scale = to_levels(w, largest)
        recovered = self.weights(*self.conductances(n, mapping), scale)
        error, full = np.abs(recovered - w), largest * scale.astype(np.float64)
        return QuantisationReport(
            levels=n.astype(np.int16),
            scale=scale,
            weight=recovered,
            rms_error=float(np.sqrt(np.mean(error**2))),
            max_error=float(error.max()),
            rms_relative=float(np.sqrt(np.mean((error / full) ** 2))),
            max_relative=float((error / full).max()),
            zeros=float(np.mean(n == 0)),
        )


@dataclass(frozen=True, eq=False)
class QuantisationReport:
    """Weights rounded to signed levels; prints as a table.

    Parameters
    ----------
    levels, scale : arrays of int16 and float32, shapes (sources, targets) and (targets,)
        Signed levels, and the weight per level.
    weight : array of float64, shape (sources, targets)
        Weights of nominal devices at these levels.
    rms_error, max_error, rms_relative, max_relative : float
        In units of the weights, and relative to the full scale of each target.
    zeros : float
        Share of weights at level 0.
    """

    levels: NDArray[np.int16]
    scale: NDArray[np.float32]
    weight: NDArray[np.float64]
    rms_error: float
    max_error: float
    rms_relative: float
    max_relative: float
    zeros: float

    def __str__(self) -> str:
        sources, targets = self.levels.shape
        rows = [
            ("weights", f"{sources} x {targets}", ""),
            ("levels used", f"{len(np.unique(self.levels))}", f"({self.levels.min()} to {self.levels.max()})"),
            ("rms error", f"{self.rms_error:.3g}", f"({self.rms_relative:.2%} of full scale)"),
            ("largest error", f"{self.max_error:.3g}", f"({self.max_relative:.2%} of full scale)"),
            ("weights at zero", f"{self.zeros:.1%}", ""),
        ]
        return "\n".join(f"{name:<16} {value:>10} {note}".rstrip() for name, value, note in rows)
