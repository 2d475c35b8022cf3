"""The skyrmion-MTJ neuron, stepped exactly: the one place in which its equation is solved.

The membrane is the position ``x`` (nm) of a skyrmion on its track, equation (1) of Li et al., "Novel knowledge
distillation to improve training accuracy of spin-based SNN"::

    k1 dx/dt = x**2 + k2 x + q,        h = -k2/2,   D = h**2 - q,   s = t/k1,   u = D s**2

a Riccati equation (the quadratic integrate-and-fire neuron of computational neuroscience) whose flow over a time
``t`` of constant drive ``q`` is one quotient in all regimes::

    x' = (x + g (q - h x)) / (1 - g (x - h)),   g = tanh(sqrt(D) s)/sqrt(D)   (tan(w s)/w with w = sqrt(-D) for D < 0)

Functions here see scalars of one type, float32 or float64, and return the same type; literals are cast to it.
A run-away through infinity within the step is the value ``inf``, which is above every threshold.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels._jit import inline, jit

# [4/4] Pade quotient of G(u) = tanh(sqrt u)/sqrt u, numerator A and denominator B, both with constant term 1.
# Relative error at most 9e-17 for |u| <= 1; its denominator is positive for u > -2.46.
_A1, _A2, _A3, _A4 = 4729725 / 34459425, 135135 / 34459425, 990 / 34459425, 1 / 34459425
_B1, _B2, _B3, _B4 = 16216200 / 34459425, 945945 / 34459425, 13860 / 34459425, 45 / 34459425
_PADE_LIMIT = 1.0


class DeviceArrays(NamedTuple):
    """MTJ neurons as arrays of one float type, shape (n,): what a tick needs to know of each device."""

    half: NDArray[np.floating]
    """h = -k2/2 (nm), half the way to the unstable point."""
    time: NDArray[np.floating]
    """s = dt/k1 (1/nm), the length of a tick."""
    gain: NDArray[np.floating]
    """q/I (nm**2), what one unit of drive adds to the right-hand side of the equation."""
    threshold: NDArray[np.floating]
    """Position of the read head (nm)."""
    reset: NDArray[np.floating]
    """Position after a spike (nm)."""


@inline
def device_row(devices, first, last):
    """Devices ``first .. last - 1``, as views."""
    return DeviceArrays(
        devices.half[first:last],
        devices.time[first:last],
        devices.gain[first:last],
        devices.threshold[first:last],
        devices.reset[first:last],
    )


@inline
def _pade(u):
    """Numerator and denominator of G(u), |u| <= 1."""
    f = type(u)
    one = f(1.0)
    a = one + u * (f(_A1) + u * (f(_A2) + u * (f(_A3) + u * f(_A4))))
    b = one + u * (f(_B1) + u * (f(_B2) + u * (f(_B3) + u * f(_B4))))
    return a, b


@inline
def _pade_slopes(u):
    """Derivatives of numerator and denominator of :func:`_pade`: the exact slope of the map that is stepped."""
    f = type(u)
    a = f(_A1) + u * (f(2 * _A2) + u * (f(3 * _A3) + u * f(4 * _A4)))
    b = f(_B1) + u * (f(2 * _B2) + u * (f(3 * _B3) + u * f(4 * _B4)))
    return a, b


@inline
def _relaxation(x, q, h, s, root):
    """D > 0, a long step, root = sqrt(D): decay towards the stable root; nothing overflows for any length.

    Returns the stable root, the distance to it, the decay factor E, W = (1 - E)/(2 root) and the denominator.
    """
    f = type(x)
    one, two = f(1.0), f(2.0)
    lower = q / (h + root)
    distance = x - lower
    decay = math.exp(-two * root * s)
    width = -math.expm1(-two * root * s) / (two * root)
    return lower, distance, decay, width, one - distance * width


@inline
def _rotation(x, h, s, omega):
    """D < 0, a long step, omega = sqrt(-D): cosine, sine/omega and the denominator, 0 from the blow-up angle on."""
    f = type(x)
    angle = omega * s
    y = x - h
    if angle >= math.atan2(omega, y):
        return f(0.0), f(0.0), f(0.0)
    c, sine = math.cos(angle), math.sin(angle) / omega
    return c, sine, c - sine * y


@inline
def _far_step(x, q, h, s, d):
    f = type(x)
    if d > f(0.0):
        lower, distance, decay, _, den = _relaxation(x, q, h, s, math.sqrt(d))
        return lower + distance * decay / den if den > f(0.0) else f(math.inf)
    c, sine, den = _rotation(x, h, s, math.sqrt(-d))
    return ((c - h * sine) * x + sine * q) / den if den > f(0.0) else f(math.inf)


@inline
def _far_slopes(x, q, h, s, d):
    f = type(x)
    one, two, half = f(1.0), f(2.0), f(0.5)
    if d > f(0.0):
        root = math.sqrt(d)
        _, distance, decay, width, den = _relaxation(x, q, h, s, root)
        if not den > f(0.0):
            return f(0.0), f(0.0)
        rho = distance / (two * root)
        rest = one - rho
        by_drive = rho * rho * width * decay + two * rho * rest * s * decay + rest * rest * width
        return decay / (den * den), by_drive / (den * den)
    c, sine, den = _rotation(x, h, s, math.sqrt(-d))
    if not den > f(0.0):
        return f(0.0), f(0.0)
    y = x - h
    k = (sine * c - s) / (two * d)
    return one / (den * den), (half * (s + sine * c) - y * sine * sine + y * y * k) / (den * den)


@inline
def _near_step(x, q, h, s, u):
    """The step where |u| <= 1: one division, no branch."""
    f = type(x)
    a, b = _pade(u)
    g = s * a
    den = b - g * (x - h)
    reached = (x * b + g * (q - h * x)) / den
    return reached if den > f(0.0) else f(math.inf)


@inline
def mtj_step(x, q, h, s):
    """Position after a step of constant drive.

    Parameters
    ----------
    x : float
        Position at the start (nm).
    q : float
        Drive term of the equation (nm**2).
    h : float
        Half the distance to the unstable point, -k2/2 (nm).
    s : float
        Length of the step over k1, t/k1 (1/nm).

    Returns
    -------
    float
        Position at the end (nm); ``inf`` if it ran away through infinity on the way.
    """
    d = h * h - q
    u = d * s * s
    if abs(u) <= type(x)(_PADE_LIMIT):
        return _near_step(x, q, h, s, u)
    return _far_step(x, q, h, s, d)


@inline
def mtj_slopes(x, q, h, s):
    """Derivatives of :func:`mtj_step` by the start and by the drive term, both 0 where the step ran away.

    Returns
    -------
    tuple of float
        dx'/dx (1) and dx'/dq (1/nm).
    """
    f = type(x)
    one = f(1.0)
    d = h * h - q
    u = d * s * s
    if abs(u) <= f(_PADE_LIMIT):
        a, b = _pade(u)
        slope_a, slope_b = _pade_slopes(u)
        g = s * a / b
        y = x - h
        den = one - g * y
        if not den > f(0.0):
            return f(0.0), f(0.0)
        g_by_d = s * s * s * (slope_a * b - a * slope_b) / (b * b)
        return (one - d * g * g) / (den * den), g / den - g_by_d * (y * y - d) / (den * den)
    return _far_slopes(x, q, h, s, d)


@inline
def mtj_sweep(x, drive, devices, reached):
    """Step a row of devices over one tick: :func:`mtj_step` for each, arranged so that it vectorises.

    Parameters
    ----------
    x : float array, shape (n,)
        Positions at the start of the tick (nm).
    drive : float array, shape (n,)
        Dimensionless drive of the tick.
    devices : DeviceArrays
        n of them.
    reached : float array, shape (n,)
        Written: positions at the end of the tick, before reset (nm).
    """
    far = 0
    for j in range(x.size):
        h, s, q = devices.half[j], devices.time[j], devices.gain[j] * drive[j]
        u = (h * h - q) * s * s
        far += abs(u) > type(u)(_PADE_LIMIT)
        reached[j] = _near_step(x[j], q, h, s, u)
    if far:
        for j in range(x.size):
            h, s, q = devices.half[j], devices.time[j], devices.gain[j] * drive[j]
            d = h * h - q
            if abs(d * s * s) > type(d)(_PADE_LIMIT):
                reached[j] = _far_step(x[j], q, h, s, d)


@inline
def mtj_fire(reached, devices, i):
    """Compare with the threshold and reset: whether device ``i`` fires, and the position it goes on from (nm).

    Motion within a tick is monotone, so the comparison at its end misses no crossing.
    """
    spike = reached >= devices.threshold[i]
    return spike, devices.reset[i] if spike else reached


@inline
def readout_tick(x, drive):
    """One tick of a readout column: it integrates its current, without leak, threshold or reset."""
    return x + drive


@jit
def mtj_flow(x, q, h, s, reached):
    """:func:`mtj_step` over arrays of one shape (n,); ``reached`` is written."""
    for i in range(x.size):
        reached[i] = mtj_step(x[i], q[i], h[i], s[i])
