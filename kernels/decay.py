"""exp(-y) without branches or calls, so that rows of it vectorise, in float32 and float64.

y = n log 2 - r with |r| <= log(2)/2; e**r - 1 is its series, and 2**-n is put together from bits.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from eventsim.kernels._intrinsic import fma, power_of_two
from eventsim.kernels._jit import inline

_SINGLE_LOG2, _DOUBLE_LOG2 = (0.6931471824645996, -1.9046542121259336e-9), (math.log(2), 2.3190468138462996e-17)
"""log 2 in one number, and the rest of it."""
_SINGLE_FAR, _DOUBLE_FAR = 87.0, 708.0
"""From here on exp(-y) is 0."""
_C = tuple(1 / math.factorial(k) for k in range(14))


def _parts(y):
    """What is to be shifted into the exponent, the same as a number, r, and the y from which the result is 0."""


def _series(r):
    """e**r - 1; what is left out is below a tenth of a unit in the last place."""


@overload(_parts, inline="always")
def _parts_of(y):
    def single(y):
        far, shift = np.float32(_SINGLE_FAR), np.float32(1.5 * 2**23)
        x = -min(y, far)
        shifted = fma(x, np.float32(1 / _SINGLE_LOG2[0]), shift)
        n = shifted - shift
        return shifted, fma(n, np.float32(-_SINGLE_LOG2[1]), fma(n, np.float32(-_SINGLE_LOG2[0]), x)), far

    def double(y):
        x = -min(y, _DOUBLE_FAR)
        shifted = fma(x, 1 / _DOUBLE_LOG2[0], 1.5 * 2**52)
        n = shifted - 1.5 * 2**52
        return shifted, fma(n, -_DOUBLE_LOG2[1], fma(n, -_DOUBLE_LOG2[0], x)), _DOUBLE_FAR

    return single if y == types.float32 else double


@overload(_series, inline="always")
def _series_of(r):
    def single(r):
        f = np.float32
        p = fma(r, fma(r, fma(r, f(_C[7]), f(_C[6])), f(_C[5])), f(_C[4]))
        return r * fma(r, fma(r, fma(r, p, f(_C[3])), f(_C[2])), f(1.0))

    def double(r):
        p = fma(r, fma(r, fma(r, fma(r, _C[13], _C[12]), _C[11]), _C[10]), _C[9])
        p = fma(r, fma(r, fma(r, fma(r, p, _C[8]), _C[7]), _C[6]), _C[5])
        return r * fma(r, fma(r, fma(r, fma(r, p, _C[4]), _C[3]), _C[2]), 1.0)

    return single if r == types.float32 else double


@inline
def decay(y):
    """exp(-y) and 1 - exp(-y) for y >= 0, each within a unit in the last place."""
    f = type(y)
    shifted, r, far = _parts(y)
    series, scale = _series(r), power_of_two(shifted)
    left = fma(scale, series, scale)
    return left if y < far else f(0.0), fma(-scale, series, f(1.0) - scale)
