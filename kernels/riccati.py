"""The skyrmion-MTJ neuron, solved: the one place in which its equation is stepped.

The membrane is the position of a skyrmion on its track, equation (1) of Li et al., "Novel knowledge distillation to
improve training accuracy of spin-based SNN"::

    k1 dx/dt = x**2 + k2 x + q

Time in ticks dt and position in units of k1/dt give the normal form that is solved here, free of parameters but one::

    dx/dt = x**2 - 2 h x + q,      h = -k2/2 dt/k1,   d = h**2 - q

It is a Riccati equation (the quadratic integrate-and-fire neuron of computational neuroscience) with stable root
h - sqrt(d) and unstable root h + sqrt(d), or none. Its flow over one tick is one quotient in all regimes::

    x' = (x + g (q - h x)) / (1 - g (x - h)),   g = tanh(sqrt d)/sqrt d   (tan(w)/w with w = sqrt(-d) for d < 0)

Functions see scalars of one type, float32 or float64, and return the same type; literals are cast to it. A run-away
through infinity within the step is the value ``inf``, which is above every threshold. ``docs/devices.md`` derives it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from eventsim.kernels._intrinsic import fma
from eventsim.kernels._jit import inline
from eventsim.kernels.decay import decay

# Pade quotients of G(d) = tanh(sqrt d)/sqrt d, numerator A and denominator B with constant term 1, and the largest |d|
# they serve: [2/2] for float32 (relative error 5e-8 there), [4/4] for float64 (9e-17). B is positive for d > -2.46.
_SINGLE_A, _SINGLE_B, _SINGLE_LIMIT = (105 / 945, 1 / 945), (420 / 945, 15 / 945), 0.75
_DOUBLE_A = (4729725 / 34459425, 135135 / 34459425, 990 / 34459425, 1 / 34459425)
_DOUBLE_B = (16216200 / 34459425, 945945 / 34459425, 13860 / 34459425, 45 / 34459425)
_DOUBLE_LIMIT = 1.0
_INF = math.inf


def near_limit(d):
    """Largest |d| that the Pade quotient serves, in the type of d."""


def _pade(d):
    """Numerator and denominator of G(d), |d| below :func:`near_limit`."""


def _pade_slopes(d):
    """Derivatives of numerator and denominator of :func:`_pade`: the exact slope of the map that is stepped."""


@overload(near_limit, inline="always")
def _near_limit(d):
    if d == types.float32:
        return lambda d: np.float32(_SINGLE_LIMIT)
    return lambda d: _DOUBLE_LIMIT


@overload(_pade, inline="always")
def _pade_of(d):
    def single(d):
        one = np.float32(1.0)
        a = fma(d, fma(d, np.float32(_SINGLE_A[1]), np.float32(_SINGLE_A[0])), one)
        b = fma(d, fma(d, np.float32(_SINGLE_B[1]), np.float32(_SINGLE_B[0])), one)
        return a, b

    def double(d):
        a = fma(d, fma(d, fma(d, fma(d, _DOUBLE_A[3], _DOUBLE_A[2]), _DOUBLE_A[1]), _DOUBLE_A[0]), 1.0)
        b = fma(d, fma(d, fma(d, fma(d, _DOUBLE_B[3], _DOUBLE_B[2]), _DOUBLE_B[1]), _DOUBLE_B[0]), 1.0)
        return a, b

    return single if d == types.float32 else double


@overload(_pade_slopes, inline="always")
def _pade_slopes_of(d):
    def single(d):
        a = fma(d, np.float32(2 * _SINGLE_A[1]), np.float32(_SINGLE_A[0]))
        b = fma(d, np.float32(2 * _SINGLE_B[1]), np.float32(_SINGLE_B[0]))
        return a, b

    def double(d):
        a = fma(d, fma(d, fma(d, 4 * _DOUBLE_A[3], 3 * _DOUBLE_A[2]), 2 * _DOUBLE_A[1]), _DOUBLE_A[0])
        b = fma(d, fma(d, fma(d, 4 * _DOUBLE_B[3], 3 * _DOUBLE_B[2]), 2 * _DOUBLE_B[1]), _DOUBLE_B[0])
        return a, b

    return single if d == types.float32 else double


@inline
def near_step(x, q, h):
    """The step where |d| is small: position, its denominator (not positive after a run-away) and d; no branch."""
    d = fma(h, h, -q)
    a, b = _pade(d)
    den = fma(-a, x - h, b)
    return fma(x, b, a * fma(-h, x, q)) / den, den, d


@inline
def _relaxation(x, q, h, root):
    """D > 0, a long step, root = sqrt(d): decay towards the stable root; nothing overflows for any length.

    Returns the stable root, the distance to it, the decay factor E, W = (1 - E)/(2 root) and the denominator.
    """
    f = type(x)
    one, two = f(1.0), f(2.0)
    lower = q / (h + root)
    distance = x - lower
    decay = math.exp(-two * root)
    width = -math.expm1(-two * root) / (two * root)
    return lower, distance, decay, width, one - distance * width


@inline
def _rotation(x, h, omega):
    """D < 0, a long step, omega = sqrt(-d): cosine, sine/omega and the denominator, 0 from the blow-up angle on.

    Beyond a quarter turn the tangent has changed sign, so that the sign of the quotient's denominator says nothing.
    """
    f = type(x)
    y = x - h
    if omega >= math.atan2(omega, y):
        return f(0.0), f(0.0), f(0.0)
    c, sine = math.cos(omega), math.sin(omega) / omega
    return c, sine, c - sine * y


@inline
def far_step(x, q, h, d):
    """The step where |d| is large."""
    f = type(x)
    if d > f(0.0):
        lower, distance, decay, _, den = _relaxation(x, q, h, math.sqrt(d))
        return lower + distance * decay / den if den > f(0.0) else f(_INF)
    c, sine, den = _rotation(x, h, math.sqrt(-d))
    return ((c - h * sine) * x + sine * q) / den if den > f(0.0) else f(_INF)


@inline
def riccati_step(x, q, h):
    """Position one tick later under constant drive q; ``inf`` if it ran away through infinity on the way."""
    f = type(x)
    reached, den, d = near_step(x, q, h)
    if abs(d) <= near_limit(d):
        return reached if den > f(0.0) else f(_INF)
    return far_step(x, q, h, d)


@inline
def riccati_rest(x, ticks, h):
    """Position after any number of ticks without drive, q = 0, for h > 0; ``inf`` if it ran away. No branch."""
    f = type(x)
    unstable = h + h
    left, gone = decay(unstable * ticks)
    den = fma(-x, gone, unstable)
    return x * (unstable * left / den) if den > f(0.0) else f(_INF)


@inline
def near_slopes(x, q, h):
    """Derivatives of :func:`near_step` by x and by q, both 0 where it ran away, and d; no branch."""
    f = type(x)
    one, zero = f(1.0), f(0.0)
    d = fma(h, h, -q)
    a, b = _pade(d)
    slope_a, slope_b = _pade_slopes(d)
    y = x - h
    den = fma(-a, y, b)
    inverse = one / den if den > zero else zero
    square = inverse * inverse
    by_d = slope_a * b - a * slope_b
    return (b * b - d * a * a) * square, (a * den - by_d * (y * y - d)) * square, d


@inline
def far_slopes(x, q, h, d):
    """Derivatives of :func:`far_step` by x and by q; both 0 where it ran away."""
    f = type(x)
    one, two, half = f(1.0), f(2.0), f(0.5)
    if d > f(0.0):
        root = math.sqrt(d)
        _, distance, decay, width, den = _relaxation(x, q, h, root)
        if not den > f(0.0):
            return f(0.0), f(0.0)
        rho = distance / (two * root)
        rest = one - rho
        by_drive = rho * rho * width * decay + two * rho * rest * decay + rest * rest * width
        return decay / (den * den), by_drive / (den * den)
    c, sine, den = _rotation(x, h, math.sqrt(-d))
    if not den > f(0.0):
        return f(0.0), f(0.0)
    y = x - h
    k = (sine * c - one) / (two * d)
    return one / (den * den), (half * (one + sine * c) - y * sine * sine + y * y * k) / (den * den)


@inline
def riccati_slopes(x, q, h):
    """Derivatives of :func:`riccati_step` by x and by q; both 0 where the step ran away."""
    by_x, by_q, d = near_slopes(x, q, h)
    return (by_x, by_q) if abs(d) <= near_limit(d) else far_slopes(x, q, h, d)


@inline
def riccati_passage(x, q, h, threshold):
    """Ticks until the position first reaches ``threshold`` (``inf``: runs away); 0 at or above it, ``inf`` if never."""
    f = type(x)
    zero, one, two = f(0.0), f(1.0), f(2.0)
    if x >= threshold:
        return zero
    d = fma(h, h, -q)
    y = x - h
    if d < zero:
        omega = math.sqrt(-d)
        if threshold == f(_INF):
            return math.atan2(omega, y) / omega
        return math.atan2(omega * (threshold - x), x * threshold - h * (x + threshold) + q) / omega
    root = math.sqrt(d)
    lower, upper = (q / (h + root) if h + root > zero else zero), h + root
    if not (threshold < lower or x > upper):
        return f(_INF)
    z = one / (x - upper)
    if threshold < f(_INF):
        z = (threshold - x) / ((x - upper) * (threshold - lower))
    return math.log1p(two * root * z) / (two * root) if root > zero else z
