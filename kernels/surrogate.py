"""Surrogates: the slope that the backward pass gives to the step of a spike, and the smooth spike it is the slope of.

All are functions of ``z = reached / threshold - 1`` with a sharpness alpha; slopes are by the position, hence over the
threshold. Peaks and shapes are those of the literature: sigmoid (alpha = 4: peak 1), rectangle of width 1 / alpha
(STBP, Wu et al. 2018), triangle (TET, Deng et al. 2022) and arctangent (Fang et al. 2021; alpha = 2: peak 1).
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from eventsim.kernels._intrinsic import fma, power_of_two
from eventsim.kernels._jit import inline, jit

SIGMOID, RECTANGLE, TRIANGLE, ARCTAN = range(4)

_SHIFT = np.float32(1.5 * 2**23)
_LOG2, _LN2 = np.float32(1 / math.log(2)), np.float32(math.log(2))
_FAR = np.float32(87.0)
# e**r = sum of c_k r**k with a relative error of at most 1.1e-7 for |r| <= log(2)/2 (Remez' algorithm).
_EXP = tuple(np.float32(c) for c in (1.00000007, 0.99999969, 0.49998894, 0.16667575, 0.04191543, 0.00829765))


def _decay(z):
    """e**-|z|; in float32 a polynomial without branches, so that rows of it vectorise (relative error 3e-7)."""


@overload(_decay, inline="always")
def _decay_of(z):
    def single(z):
        x = -min(abs(z), _FAR)
        shifted = fma(x, _LOG2, _SHIFT)
        r = fma(shifted - _SHIFT, -_LN2, x)
        p = fma(r, fma(r, fma(r, _EXP[5], _EXP[4]), _EXP[3]), _EXP[2])
        return fma(r, fma(r, p, _EXP[1]), _EXP[0]) * power_of_two(shifted)

    def double(z):
        return math.exp(-abs(z))

    return single if z == types.float32 else double


@inline
def _sigmoid(z):
    one, decay = type(z)(1.0), _decay(z)
    return (one if z >= type(z)(0.0) else decay) / (one + decay)


@jit
def slope_sweep(kind, reached, threshold, steep, slope):
    """Write the surrogate slope of a row of neurons that reached these positions; ``steep`` is alpha over threshold."""
    f = type(reached[0])
    one, half, zero = f(1.0), f(0.5), f(0.0)
    if kind == SIGMOID:
        for j in range(reached.size):
            decay = _decay(steep[j] * (reached[j] - threshold[j]))
            slope[j] = steep[j] * decay / ((one + decay) * (one + decay))
    elif kind == RECTANGLE:
        for j in range(reached.size):
            slope[j] = steep[j] if abs(steep[j] * (reached[j] - threshold[j])) <= half else zero
    elif kind == TRIANGLE:
        for j in range(reached.size):
            slope[j] = steep[j] * max(zero, one - abs(steep[j] * (reached[j] - threshold[j])))
    else:
        for j in range(reached.size):
            w = f(math.pi) * half * steep[j] * (reached[j] - threshold[j])
            slope[j] = half * steep[j] / (one + w * w)


@jit
def smooth_sweep(kind, reached, threshold, steep, spike):
    """Write the smooth spike of a row of neurons, between 0 and 1: what :func:`slope_sweep` is the derivative of."""
    f = type(reached[0])
    one, half, zero = f(1.0), f(0.5), f(0.0)
    for j in range(reached.size):
        z = steep[j] * (reached[j] - threshold[j])
        if kind == SIGMOID:
            spike[j] = _sigmoid(z)
        elif kind == RECTANGLE:
            spike[j] = min(max(z + half, zero), one)
        elif kind == TRIANGLE:
            z = min(max(z, -one), one)
            spike[j] = half + z - half * z * abs(z)
        else:
            spike[j] = half + f(math.atan(f(math.pi) * half * z)) / f(math.pi)
