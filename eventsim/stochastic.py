"""Neurons that switch by chance: thermally activated MTJs, the p-bit, the back-hopping Poisson neuron.

In every tick a keyed draw decides whether such a neuron fires, with a probability in closed form. Equations, defaults
and sources stand in ``docs/devices.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from eventsim.checks import drives, numbers, together
from eventsim.device import Constants, Neuron, Real, parameter, refuse
from eventsim.kernels import neuron as kernel
from eventsim.variation import LogNormal, Normal


@dataclass(frozen=True, kw_only=True)
class StochasticNeuron(Neuron):
    """A neuron that a draw lets fire; see the models below it."""

    def _at(self, drive: ArrayLike, time: ArrayLike | None, state: ArrayLike) -> Real:
        length = numbers("time", self.dt if time is None else time, 0.0, repair="times of at least 0 ns: abs(time)")
        before = numbers("state", state, 0.0, 1.0, repair="a probability: state=0.0")
        i, t, x = together(drive=drives(drive), time=length, state=before)
        flat = np.where(t > 0, t, 1.0).ravel()
        c = self.constants(self.nominal_values(flat.size), flat)
        out = np.empty((2, i.size))
        kernel.probability_of(self.KIND, x.ravel(), i.ravel(), c.a, c.b, c.gain, c.threshold, out)
        before = x if self.KIND == kernel.TELEGRAPH else np.zeros(i.shape)
        return np.where(t > 0, out.reshape(2, *i.shape), np.stack([before, np.zeros(i.shape)]))

    def probability(self, drive: ArrayLike, time: ArrayLike | None = None, state: ArrayLike = 0.0) -> Real:
        """Probability of a spike within ``time`` (of state 1 at its end, for the superparamagnetic MTJ).

        Parameters
        ----------
        drive : array_like
            Dimensionless drive.
        time : array_like, optional
            Length of the interval (ns); one tick if left out.
        state : array_like
            Probability of state 1 before; matters to the superparamagnetic MTJ only.

        Raises
        ------
        DeviceError
            A value is not finite or out of range, or the shapes do not broadcast.
        """
        p: Real = self._at(drive, time, state)[0]
        return p

    def slope(self, drive: ArrayLike, time: ArrayLike | None = None, state: ArrayLike = 0.0) -> Real:
        """Derivative of :meth:`probability` by the drive: the expectation trains without a surrogate."""
        slope: Real = self._at(drive, time, state)[1]
        return slope

    def rate(self, drive: ArrayLike) -> Real:
        """Mean rate of spikes in a simulation in ticks (MHz): one over the refractory time and the mean wait."""
        p = self.probability(drive)
        return 1e3 * p / (self.dt * (1 + p * self.refractory))

    def _pack(self, a: Real, b: Real, gain: Real, top: Real | float = 0.5) -> Constants:
        return Constants(*(np.array(row) for row in np.broadcast_arrays(a, b, gain, 1.0, top, 0.0)))


@dataclass(frozen=True, kw_only=True)
class SwitchingMTJ(StochasticNeuron):
    """STT- or SOT-MTJ that switches by thermal activation (Neel-Arrhenius) and is reset after reading.

    ``p = 1 - exp(-dt/tau)``, ``tau = attempt_time exp(barrier (1 - I/critical))``; I is the voltage or current in
    units of the nominal critical one. At and above it the barrier is gone and the attempt time alone is left; there
    (precessional regime) a fit to measured data would be needed.

    Parameters
    ----------
    barrier : float
        Thermal stability Delta (1).
    attempt_time : float
        tau0 (ns).
    critical : float
        Critical voltage or current relative to the nominal one (1).
    """

    dt: float = parameter(10.0, "ns", source="our choice")
    barrier: float = parameter(45.0, "1", Normal, most=500.0, source="our choice, of 20 to 60")
    attempt_time: float = parameter(1.0, "ns", LogNormal, source="usual assumption")
    critical: float = parameter(1.0, "1", LogNormal, source="by definition")

    KIND: ClassVar[int] = kernel.SWITCHING

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        return self._pack(values["barrier"], time / values["attempt_time"], values["gain"] / values["critical"])


@dataclass(frozen=True, kw_only=True)
class SuperparamagneticMTJ(StochasticNeuron):
    """Low-barrier MTJ, a telegraph between antiparallel (0) and parallel (1); it is read, not reset (p-bit).

    Rates ``exp(-barrier (1 + I/critical))/attempt_time`` out of the parallel state, and with a minus into it.
    Read far apart, it is parallel with probability ``(1 + tanh(barrier I/critical))/2``.

    Parameters
    ----------
    barrier, attempt_time, critical
        As for :class:`SwitchingMTJ`.
    """

    dt: float = parameter(100.0, "ns", source="our choice")
    barrier: float = parameter(5.0, "1", Normal, most=500.0, source="our choice: dwell times of 150 ns")
    attempt_time: float = parameter(1.0, "ns", LogNormal, source="usual assumption")
    critical: float = parameter(1.0, "1", LogNormal, source="by definition")

    KIND: ClassVar[int] = kernel.TELEGRAPH

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refractory:
            raise refuse("refractory", self.refractory, "0: a telegraph is read, not reset", "refractory=0")

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        return self._pack(values["barrier"], time / values["attempt_time"], values["gain"] / values["critical"])

    def stationary(self, drive: ArrayLike) -> Real:
        """Probability of the parallel state; ``(1 + tanh(barrier gain I/critical))/2`` up to the critical drive."""
        push = self.gain / self.critical * drives(drive)
        ways = np.maximum(0.0, 1 + push) - np.maximum(0.0, 1 - push)
        return np.asarray(expit(self.barrier * ways))

    def rate(self, drive: ArrayLike) -> Real:
        """Mean rate of reads that find it parallel (MHz), one read in a tick."""
        return 1e3 * self.stationary(drive) / self.dt

    def dwell_times(self, drive: ArrayLike) -> tuple[Real, Real]:
        """Mean time in the antiparallel and in the parallel state (ns); the dwell times are exponential."""
        push = self.gain / self.critical * drives(drive)
        with np.errstate(over="ignore"):
            antiparallel, parallel = (np.exp(self.barrier * np.maximum(0.0, way)) for way in (1 - push, 1 + push))
        return self.attempt_time * antiparallel, self.attempt_time * parallel


@dataclass(frozen=True, kw_only=True)
class BackHoppingMTJ(StochasticNeuron):
    """Back-hopping MTJ, a Poisson neuron: ``rate = slow_rate (exp((V - onset)/scale) - 1)`` up to ``top_rate``.

    The drive is the voltage V (V); no events below the onset. A tick holds at most one spike, with probability
    ``1 - exp(-rate dt)``; :meth:`event_rate` is that of all events.

    Parameters
    ----------
    onset, scale : float
        Voltage from which it hops, and scale of the exponential rise (V).
    slow_rate, top_rate : float
        Scale of the rate, and where it saturates (MHz).
    """

    dt: float = parameter(100.0, "ns", source="our choice")
    onset: float = parameter(0.5, "V", LogNormal, source="our choice")
    scale: float = parameter(0.05, "V", LogNormal, source="our choice")
    slow_rate: float = parameter(0.1, "MHz", LogNormal, source="our choice")
    top_rate: float = parameter(10.0, "MHz", LogNormal, source="up to 10 MHz: NYCU group 2022, Phys. Rev. Applied")

    KIND: ClassVar[int] = kernel.POISSON

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        hazard, scale = values["slow_rate"] * time * 1e-3, values["scale"]
        top = np.log1p(values["top_rate"] / values["slow_rate"])
        return self._pack(values["onset"] / scale, hazard, values["gain"] / scale, top)

    def event_rate(self, drive: ArrayLike) -> Real:
        """Rate of all events (MHz), several in a tick included."""
        exponent = (self.gain * drives(drive) - self.onset) / self.scale
        return np.minimum(self.slow_rate * np.expm1(np.clip(exponent, 0, 700)), self.top_rate)
