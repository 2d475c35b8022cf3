"""Neurons whose state moves: the skyrmion MTJ, LIF, IF, domain walls and the spin-torque oscillator.

Their steps, slopes and first passages are closed forms (``eventsim.kernels.riccati``, ``eventsim.kernels.models``);
equations, defaults and sources stand in ``docs/devices.md``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import drives, is_real, numbers
from eventsim.device import Constants, Real, parameter, refuse
from eventsim.errors import OutputError
from eventsim.kernels import neuron as kernel
from eventsim.moving import NONE, ONE, MovingNeuron
from eventsim.variation import LogNormal, Normal


@dataclass(frozen=True, kw_only=True)
class MTJ(MovingNeuron):
    """A skyrmion-MTJ neuron, ``k1 dx/dt = x**2 + k2 x + k1 gain v`` (Li et al., equation 1).

    The drive velocity ``v = I threshold / dt`` belongs to the dimensionless drive I: I = 1 brings a resting neuron
    to its threshold within one tick, to first order (a single tick fires from I = 1.0338 at the defaults).

    Parameters
    ----------
    k1 : float
        Inverse mobility (nm ns).
    k2 : float
        Minus the distance from rest to the unstable point (nm).
    threshold : float or "unstable"
        Position of the read head (nm); "unstable" puts it onto the unstable point.
    allow_self_firing : bool
        Allow a threshold beyond the unstable point: a skyrmion between the two runs on and fires without input.
    reset, reset_mode
        As for :class:`eventsim.moving.MovingNeuron`: position after a spike (nm), "hard" or "soft".
    gain, dt, refractory
        As for :class:`eventsim.device.Neuron`.

    Raises
    ------
    DeviceError
        A parameter is not finite or outside its range, or the threshold lies beyond the unstable point.
    """

    k1: float = parameter(212.0, "nm ns", LogNormal, source="Li et al., equation (1); unit our reading")
    k2: float = parameter(-27.6, "nm", LogNormal, source="Li et al., equation (1); unit our reading")
    allow_self_firing: bool = False

    KIND: ClassVar[int] = kernel.SKYRMION

    def __post_init__(self) -> None:
        if isinstance(self.threshold, str) and self.threshold == "unstable":
            known = is_real(self.k2) and -math.inf < self.k2 < 0
            object.__setattr__(self, "threshold", -self.k2 if known else type(self).threshold)  # k2 is refused below
        super().__post_init__()
        if not isinstance(self.allow_self_firing, bool):
            raise refuse("allow_self_firing", repr(self.allow_self_firing), "True or False", "allow_self_firing=False")
        if self.threshold > -self.k2 and not self.allow_self_firing:
            raise refuse(
                "threshold",
                f"{self.threshold} nm, beyond the unstable point at {-self.k2} nm",
                "a neuron that does not fire without input",
                'MTJ(threshold="unstable"), or MTJ(threshold=..., allow_self_firing=True) where this is wanted',
            )

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        s = time / values["k1"]
        push = values["k1"] * values["gain"] * (self.threshold / self.dt)
        return self.pack(values, -values["k2"] / 2 * s, NONE, push * s * s, 1 / s)

    def self_firing(self, values: Mapping[str, Real]) -> NDArray[np.bool_]:
        return values["threshold"] >= -values["k2"]

    @property
    def unstable_point(self) -> float:
        return -self.k2

    def equilibria(self, drive: ArrayLike = 0.0) -> tuple[Real, Real]:
        """Stable and unstable position (nm) under a constant drive or bias; NaN above the rheobase, where none is.

        A bias moves the unstable point down: a neuron that starts between the two runs on to its threshold by itself.
        """
        h, q = -self.k2 / 2, self.k1 * self.gain * self.threshold / self.dt * drives(drive)
        with np.errstate(invalid="ignore"):
            root = np.sqrt(h * h - q)
        return q / (h + root), h + root

    def drive_of(self, velocity: ArrayLike) -> Real:
        """Dimensionless drive of a drift velocity (nm/ns), ``I = v dt / threshold``; see :mod:`eventsim.material`."""
        return numbers("velocity", velocity, -1e12, 1e12, repair="drop those entries") * (self.dt / self.threshold)

    @property
    def time_unit(self) -> float:
        """Here positions need no scaling, so that a double root stays one."""
        return self.k1

    @property
    def rheobase(self) -> float:
        """Least constant drive that fires from rest."""
        h = -self.k2 / 2
        q = h * h if self.threshold >= h else -self.threshold * (self.threshold + self.k2)
        return q / (self.k1 * self.gain * self.threshold / self.dt)

    @classmethod
    def from_measurement(cls, csv: Path | str, *, nominal: MTJ | None = None, report: Path | str | None = None) -> MTJ:
        """Fit k1, k2 and gain to a measured table; :func:`eventsim.measurement.fit` offers more.

        Parameters
        ----------
        csv : path
            Table with columns time_ns, drive, position_nm and optionally trace and sigma_nm.
        nominal : MTJ, optional
            Gives threshold, reset and tick, which a table of positions cannot tell; the default device if left out.
        report : path, optional
            Folder to make, with the fit as text, JSON and figure.

        Raises
        ------
        DataError
            The table is missing, damaged, or does not determine the parameters.
        DeviceError
            The threshold of ``nominal`` lies beyond the unstable point that was measured.
        """
        from eventsim.measurement import fit, write_report
        from eventsim.store import check_new

        nominal = MTJ() if nominal is None else nominal
        if report is not None:
            check_new(Path(report), OutputError)
        found = fit(csv, nominal=nominal)
        device = replace(found.device, allow_self_firing=nominal.allow_self_firing)
        if report is not None:
            write_report(found, report)
        return device


@dataclass(frozen=True, kw_only=True)
class LIF(MovingNeuron):
    """Leaky integrate-and-fire, ``tau dx/dt = -x + tau gain v``, with v as for :class:`MTJ`.

    The default time constant is that of the skyrmion near its rest, k1/|k2|.

    Parameters
    ----------
    tau : float
        Time constant (ns).
    """

    tau: float = parameter(7.68, "ns", LogNormal, source="k1/|k2| of the MTJ")

    KIND: ClassVar[int] = kernel.LEAKY

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        s = time / values["tau"]
        push = values["tau"] * values["gain"] * (self.threshold / self.dt)
        return self.pack(values, np.exp(-s), s, -push * np.expm1(-s), ONE)


@dataclass(frozen=True, kw_only=True)
class IF(MovingNeuron):
    """Integrate-and-fire without leak, ``dx/dt = gain v``, with v as for :class:`MTJ`."""

    KIND: ClassVar[int] = kernel.LEAKY

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        push = values["gain"] * (self.threshold / self.dt) * time
        return self.pack(values, ONE, NONE, push, ONE)


@dataclass(frozen=True, kw_only=True)
class _Wall(MovingNeuron):
    threshold: float = parameter(200.0, "nm", Normal, source="Leonard et al. 2023, arXiv 2304.04794")
    leak: float = parameter(10.0, "nm/ns", LogNormal, source="our choice: 20 ns from threshold to rest")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset < 0:
            raise refuse("reset", self.reset, "on the track, from 0 nm", f"{type(self).__name__}(reset=0.0)")

    @property
    def lowest(self) -> float:
        return 0.0

    def check_reach(self, reach: Mapping[str, tuple[float, float]]) -> None:
        super().check_reach(reach)
        if reach["reset"][0] < 0:
            given = f"resets down to {reach['reset'][0]:g} nm"
            raise refuse("reset", given, "on the track, from 0 nm", "a reset further up, or a smaller spread")


@dataclass(frozen=True, kw_only=True)
class DomainWall(_Wall):
    """Domain-wall MTJ with constant leak, ``dx/dt = gain v - leak``; the wall rests at the end of its track, x = 0.

    Parameters
    ----------
    leak : float
        Velocity at which the wall drifts back (nm/ns).
    """

    KIND: ClassVar[int] = kernel.WALL

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        push = values["gain"] * (self.threshold / self.dt) * time
        return self.pack(values, values["leak"] * time, NONE, push, ONE)


@dataclass(frozen=True, kw_only=True)
class TaperedDomainWall(_Wall):
    """Domain-wall MTJ on a track that widens, ``dx/dt = gain v / (1 + taper x) - leak``, wall at rest at x = 0.

    The current density, and with it the velocity, falls as the track widens.

    Parameters
    ----------
    taper : float
        Relative widening (1/nm): (w2/w1 - 1)/length for a track of widths w1 to w2.
    leak : float
        Velocity at which the wall drifts back (nm/ns).
    """

    taper: float = parameter(0.005, "1/nm", LogNormal, source="our choice: 25 nm widen to 50 nm over 200 nm")

    KIND: ClassVar[int] = kernel.TAPER

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        push = values["gain"] * (self.threshold / self.dt) * time
        return self.pack(values, values["taper"], values["leak"] * time, push, ONE)


@dataclass(frozen=True, kw_only=True)
class Oscillator(MovingNeuron):
    """Spin-torque oscillator, ``dp/dt = 2 damping p (gain I (1 - p) - 1 - nonlinearity p)`` for the power p.

    The drive is the current over the critical current, I = 1 just compensates the damping. The power rests at the
    thermal level ``reset`` and does not fall below it.

    Parameters
    ----------
    damping : float
        Positive damping rate Gamma_G (1/ns).
    nonlinearity : float
        Coefficient Q of the nonlinear damping (1), not negative.
    threshold, reset : float
        Powers between 0 and 1 (1).
    """

    threshold: float = parameter(0.2, "1", Normal, most=1.0, source="our choice")
    reset: float = parameter(1e-3, "1", Normal, least=1e-12, most=1.0, source="our choice: thermal level")
    dt: float = parameter(10.0, "ns", source="our choice")
    damping: float = parameter(0.005, "1/ns", LogNormal, source="our choice: relaxes within 100 ns")
    nonlinearity: float = parameter(1.0, "1", LogNormal, least=0.0, source="our choice")

    KIND: ClassVar[int] = kernel.OSCILLATOR

    @property
    def lowest(self) -> float:
        return 0.0

    def resting(self, values: Mapping[str, Real]) -> Real:
        return values["reset"]

    def constants(self, values: Mapping[str, Real], time: Real) -> Constants:
        loss = 2 * values["damping"] * time
        return self.pack(values, loss, values["nonlinearity"], loss * values["gain"], ONE)
