"""Weights as conductance levels: ``weight = scale[target] * n`` with a whole number ``n`` of levels.

A signed weight is a differential pair of devices of which one stands at its lowest conductance, so L levels per
device give 2 L - 1 signed values. Without a number of levels a fine grid of 14 bits (sign included) serves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import as_array, is_whole
from eventsim.errors import NetworkError

EXACT_LIMIT = 2**24
"""Below this, sums of whole numbers are exact in float32, in any order."""

_FINE_GRID = 2**13 - 1


def largest_level(sources: int, levels: int | None) -> int:
    """Largest n of a grid of weights, such that sums over ``sources`` are exact.

    Parameters
    ----------
    sources : int
    levels : int or None
        Levels per device of a pair, for ``levels - 1``; None for the fine grid, coarser where sources are many.

    Raises
    ------
    NetworkError
        ``levels`` is not between 2 and 8192, or there are too many sources for exact sums.
    """
    if not (is_whole(sources) and sources >= 1):
        raise NetworkError(
            "The number of sources is not usable.", given=sources, expected="at least 1", repair="len(weight)"
        )
    if levels is not None and not (is_whole(levels) and 2 <= levels <= _FINE_GRID + 1):
        raise NetworkError(
            "The number of conductance levels is not usable.",
            given=levels,
            expected=f"2 to {_FINE_GRID + 1} levels per device, or None for the fine grid",
            repair="levels=16",
        )
    wanted = _FINE_GRID if levels is None else levels - 1
    exact = (EXACT_LIMIT - 1) // sources
    if exact < (1 if levels is None else wanted):
        raise NetworkError(
            "Sums over this many sources are not exact.",
            given=f"{sources} sources with levels up to {wanted}",
            expected=f"sources * level below {EXACT_LIMIT}",
            repair="fewer levels, or the sources split into several projections",
        )
    return min(wanted, exact)


def to_levels(weight: NDArray[np.floating], largest: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Round weights to levels, each target with a scale of its own.

    Parameters
    ----------
    weight : array, shape (sources, targets)
    largest : int
        From :func:`largest_level`; reached by the largest weight of each target.

    Returns
    -------
    levels : array of float32, shape (sources, targets)
        Whole numbers from -largest to largest; no weight moves by more than half a level.
    scale : array of float32, shape (targets,)
        Weight per level.

    Raises
    ------
    NetworkError
        Weights of another shape, or not finite; a largest level below 1.
    """
    given = as_array(weight)
    weight = given.astype(np.float32) if given.dtype.kind in "biuf" else np.empty(0, np.float32)
    span = np.abs(weight).max(axis=0, initial=0)
    if weight.ndim != 2 or not np.isfinite(span).all() or not (is_whole(largest) and largest >= 1):
        raise NetworkError(
            "The weights cannot be rounded to levels.",
            given=f"{given.dtype} of shape {given.shape}, at most {span.max(initial=0)}, largest level {largest}",
            expected="finite weights of shape (sources, targets), a largest level of at least 1",
            repair="to_levels(weight, largest_level(len(weight), levels=16))",
        )
    visible = span / np.float32(largest) >= np.finfo(np.float32).tiny
    scale = (np.where(visible, span, 1) / np.float32(largest)).astype(np.float32)
    return np.rint(weight / scale), scale
