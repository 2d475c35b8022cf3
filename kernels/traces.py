"""Measured traces of a skyrmion, followed with the exact step for a fit of its parameters."""

from __future__ import annotations

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels.riccati import riccati_slopes, riccati_step


@jit
def _follow(first, last, start, flow, x, by):
    """Positions of one trace from its start, and their derivatives by start, log k1, log -k2 and log gain."""
    q, h, s, wall = flow
    x[first], by[first, 0], by[first, 1:] = start, 1.0, 0.0
    for i in range(first + 1, last):
        a, b, c = x[i - 1] * s[i], q[i] * s[i] * s[i], h * s[i]
        x[i] = riccati_step(a, b, c) / s[i]
        if not x[i] < wall:
            x[i], by[i] = wall, 0.0
            continue
        by_start, by_q = riccati_slopes(a, b, c)
        by_q *= s[i]
        by[i] = by_start * by[i - 1]
        by[i, 1] += q[i] * by_q - s[i] * (x[i] * (x[i] - 2 * h) + q[i])
        by[i, 2] += h * (1 - by_start) - 2 * h * h * by_q
        by[i, 3] += q[i] * by_q


@jit
def settle(table, flow, x, by):
    """Positions at the best start of every trace for given parameters: Gauss-Newton steps, halved where too long.

    Parameters
    ----------
    table : named tuple of arrays
        Rows of measurements, :class:`eventsim.measurement.Table`.
    flow : tuple
        q (nm**2), h (nm), t/k1 (1/nm) and wall (nm); q and t/k1 of shape (rows,), the others numbers.
    x : float64 array, shape (rows,)
        Written: positions (nm).
    by : float64 array, shape (rows, 4)
        Written: derivatives by start, log k1, log -k2 and log gain.
    """
    for first, last in zip(table.bounds[:-1], table.bounds[1:]):  # noqa: B905 - compiled
        start, step, lowest = table.position[first], 0.0, np.inf
        for _ in range(100):
            _follow(first, last, start + step, flow, x, by)
            rest = (table.position[first:last] - x[first:last]) / table.sigma[first:last]
            by_start = by[first:last, 0] / table.sigma[first:last]
            misfit = (rest * rest).sum()
            if misfit <= lowest * (1 + 1e-12):  # the last good steps are lost in rounding
                start, step, lowest = start + step, (rest * by_start).sum() / (by_start * by_start).sum(), misfit
            else:
                step /= 2
            if abs(step) <= 1e-13 * (1 + abs(start)):
                break
        _follow(first, last, start, flow, x, by)
