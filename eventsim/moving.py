"""What neurons whose state moves have in common: step, slopes, first passage and rate, threshold and reset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from eventsim.checks import LIMIT, drives, numbers, together
from eventsim.device import Constants, Neuron, Real, parameter, refuse
from eventsim.errors import DeviceError
from eventsim.kernels import neuron as kernel
from eventsim.variation import Normal

NONE, ONE = np.zeros(1), np.ones(1)
"""Rows of constants that are the same for all devices."""

SHORTEST = 1e-290
"""Times up to this one (ns) are no time: their inverse would overflow."""


@dataclass(frozen=True, kw_only=True)
class MovingNeuron(Neuron):
    """A neuron whose state moves under its drive and fires at a threshold.

    Parameters
    ----------
    threshold : float
        Position of the read head (nm); reaching it fires.
    reset : float
        Position after a spike (nm), below the threshold; its spread is relative to the threshold.
    reset_mode : {"hard", "soft"}
        Go to the reset, or back by the way from reset to threshold. What is left of a skyrmion's run-away, and what a
        refractory neuron holds, is cut just below the threshold.
    gain, dt, refractory
        As for :class:`eventsim.device.Neuron`; a refractory neuron stays where the reset left it.
    """

    threshold: float = parameter(20.0, "nm", Normal, source="our choice, below the unstable point of the MTJ")
    reset: float = parameter(
        0.0, "nm", Normal, least=-LIMIT, relative_to="threshold", source="Li et al.: decay to the rest"
    )
    reset_mode: Literal["hard", "soft"] = "hard"

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = type(self).__name__
        if not self.reset < self.threshold:
            raise refuse("reset", self.reset, f"below the threshold {self.threshold}", f"{kind}(reset=...)")
        if self.reset_mode not in ("hard", "soft"):
            raise refuse("reset_mode", repr(self.reset_mode), "'hard' or 'soft'", f"{kind}(reset_mode='hard')")

    @property
    def model(self) -> kernel.Model:
        return kernel.Model(self.KIND, self.reset_mode == "soft", self.refractory)

    def check_reach(self, reach: Mapping[str, tuple[float, float]]) -> None:
        lowest, highest = reach["threshold"][0], reach["reset"][1]
        if lowest <= highest:
            raise DeviceError(
                "The spread of the threshold yields impossible devices.",
                given=f"thresholds down to {lowest:g} with resets up to {highest:g}",
                expected="every threshold above every reset",
                repair="smaller spreads of threshold and reset, or a lower reset",
            )

    def pack(self, values: Mapping[str, Real], a: Real, b: Real, gain: Real, unit: Real) -> Constants:
        """Constants with threshold and reset in kernel units; rows that are one number are stretched."""
        rows = (a, b, gain, unit, values["threshold"] / unit, values["reset"] / unit)
        return Constants(*(np.array(row) for row in np.broadcast_arrays(*rows)))

    @property
    def rest(self) -> float:
        """State of the nominal neuron before the first tick, in the unit of the model (nm)."""
        return float(self.identical(1).rest[0])

    @property
    def lowest(self) -> float:
        """Lowest position there is (nm)."""
        return -math.inf

    @property
    def unstable_point(self) -> float:
        """Position beyond which the state runs away without drive (nm); ``inf`` if there is none."""
        return math.inf

    def _positions(self, x: ArrayLike) -> Real:
        return numbers("position x", x, max(self.lowest, -LIMIT), repair="drop those entries, or np.maximum(x, lowest)")

    def _motion(self, x: ArrayLike, drive: ArrayLike, time: ArrayLike | None) -> list[Real]:
        t = numbers("time", self.dt if time is None else time, 0.0, repair="times of at least 0 ns: abs(time)")
        return together(x=self._positions(x), drive=drives(drive), time=t)

    @property
    def time_unit(self) -> float:
        """Time in which first passages are computed (ns)."""
        return self.dt

    def _stretch(self, time: Real) -> Constants:
        return self.constants(self.nominal_values(time.size), time)

    def step(self, x: ArrayLike, drive: ArrayLike, time: ArrayLike | None = None) -> Real:
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
            Positions at the end (nm); ``inf`` where the state ran away through infinity.

        Raises
        ------
        DeviceError
            A value is not finite or larger than 1e6, a time is negative, or the shapes do not broadcast.
        """
        start, i, t = self._motion(x, drive, time)
        c = self._stretch(_long(t).ravel())
        out = np.empty(start.size)
        kernel.flow_of(self.KIND, start.ravel() / c.unit, i.ravel(), c.a, c.b, c.gain, c.reset, out)
        return np.where(t > SHORTEST, (out * c.unit).reshape(t.shape), start)

    def decay(self, x: ArrayLike, time: ArrayLike | None = None) -> Real:
        """Position after ``time`` without drive; arguments and errors as for :meth:`step`."""
        return self.step(x, 0.0, time)

    def slopes(self, x: ArrayLike, drive: ArrayLike, time: ArrayLike | None = None) -> tuple[Real, Real]:
        """Derivatives of :meth:`step` by the position (1) and by the drive (nm), both 0 after a run-away.

        Parameters and errors as for :meth:`step`.
        """
        start, i, t = self._motion(x, drive, time)
        c = self._stretch(_long(t).ravel())
        out = np.empty((2, start.size))
        kernel.slopes_of(self.KIND, start.ravel() / c.unit, i.ravel(), c.a, c.b, c.gain, c.reset, out)
        by_start, by_drive = out[0].reshape(t.shape), (out[1] * c.unit).reshape(t.shape)
        return np.where(t > SHORTEST, by_start, 1.0), np.where(t > SHORTEST, by_drive, 0.0)

    def first_passage(self, x: ArrayLike, drive: ArrayLike, threshold: ArrayLike | None = None) -> Real:
        """Time until the position first reaches the threshold under constant drive, exact within a tick.

        Parameters
        ----------
        x, drive : array_like
            As for :meth:`step`.
        threshold : array_like, optional
            Position to reach (nm), the threshold of the neuron if left out; ``inf`` asks for the run-away.

        Returns
        -------
        array of float64
            Time (ns): 0 at or above the threshold, ``inf`` where it is never reached.

        Raises
        ------
        DeviceError
            A value is NaN or out of range, or the shapes do not broadcast.
        """
        to = numbers("threshold", self.threshold if threshold is None else threshold, most=math.inf, repair="math.inf")
        start, i, wanted = together(x=self._positions(x), drive=drives(drive), threshold=to)
        unit = self.time_unit
        c = self._stretch(np.full(start.size, unit))
        out = np.empty(start.size)
        at, goal = start.ravel() / c.unit, wanted.ravel() / c.unit
        kernel.passage_of(self.KIND, at, i.ravel(), c.a, c.b, c.gain, c.reset, goal, out)
        return (out * unit).reshape(start.shape)

    def rate(self, drive: ArrayLike) -> Real:
        """Firing rate under constant drive (MHz): one over first passage from the reset plus refractory time.

        A simulation in ticks fires at most once in a tick, so its rate saturates at 1/dt.
        """
        return 1e3 / (self.first_passage(self.reset, drive) + self.refractory * self.dt)


def _long(time: Real) -> Real:
    """No time is handled by the callers; constants only have to stay finite for it."""
    return np.where(time > SHORTEST, time, 1.0)
