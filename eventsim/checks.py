"""Checks of numbers at the boundary: what is no usable number is refused before any work."""

from __future__ import annotations

import math
import reprlib
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.errors import ConfigError, DeviceError, InputError

LIMIT = 1e6
"""Largest magnitude of parameters (in their units), positions (nm) and drives: no arithmetic overflows below it."""

COUNT_LIMIT = 2**63
"""Numbers of chips, ticks and the like stay below it: they key random numbers."""


def is_real(value: object) -> TypeGuard[float]:
    """Whether ``value`` is one real number, not a truth value."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether ``value`` is one whole number, not a truth value."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def as_array(values: ArrayLike) -> NDArray[Any]:
    """``values`` as an array; rows of different lengths make one of objects, which no check of types passes."""
    try:
        return np.asarray(values)
    except ValueError:
        return np.empty((0, 0), object)


def numbers(
    name: str,
    values: ArrayLike,
    least: float = -LIMIT,
    most: float = LIMIT,
    *,
    repair: str,
    kind: type[InputError] = DeviceError,
) -> NDArray[np.float64]:
    """``values`` as an array of float64, each from ``least`` to ``most``; an error of ``kind`` otherwise."""
    expected = f"real numbers from {least:g} to {most:g}"
    array = as_array(values)
    if array.dtype.kind not in "biuf" or isinstance(values, np.ma.MaskedArray):
        raise kind(f"A {name} is impossible.", given=reprlib.repr(values), expected=expected, repair=repair)
    array = array.astype(np.float64)
    if not ((array >= least) & (array <= most)).all():
        given = f"values from {array.min()} to {array.max()}" if array.size > 1 else f"{array.item()}"
        raise kind(f"A {name} is impossible.", given=given, expected=expected, repair=repair)
    return array


def drives(drive: ArrayLike) -> NDArray[np.float64]:
    """Dimensionless drives as an array; :class:`DeviceError` where one is out of range."""
    return numbers("drive", drive, repair="drop those entries")


def one_number(
    name: str, value: float, least: float, most: float, *, repair: str, kind: type[InputError] = DeviceError
) -> float:
    """``value`` as a float if it is one real number from ``least`` to ``most``; an error of ``kind`` otherwise."""
    if not (is_real(value) and least <= value <= most):
        expected = f"one real number from {least:g} to {most:g}"
        raise kind(f"A {name} is impossible.", given=reprlib.repr(value), expected=expected, repair=repair)
    return float(value)


def count(
    name: str, value: int, least: int = 0, most: int = COUNT_LIMIT - 1, *, kind: type[InputError] = DeviceError
) -> int:
    """``value`` if it is a whole number from ``least`` to ``most``; an error of ``kind`` otherwise."""
    if not (is_whole(value) and least <= value <= most):
        raise kind(
            f"The number {name} is impossible.",
            given=reprlib.repr(value),
            expected=f"a whole number from {least} to {most}",
            repair=f"{name}={least}",
        )
    return int(value)


def flag(name: str, value: object, *, kind: type[InputError]) -> bool:
    """``value`` if it is a truth value; an error of ``kind`` otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise kind(
            f"The option {name} is not usable.",
            given=reprlib.repr(value),
            expected="True or False",
            repair=f"{name}=True",
        )
    return bool(value)


def made(name: str, value: object, wanted: Any, *, repair: str, kind: type[InputError] = ConfigError) -> None:
    """Refuse what is not an object of a class (or one of some), or cannot do what a protocol asks for."""
    if isinstance(value, type) or not isinstance(value, wanted):
        raise kind(
            f"The argument {name} is not usable.",
            given=reprlib.repr(value),
            expected=f"an object of {getattr(wanted, '__name__', wanted)}",
            repair=repair,
        )


def together(**arrays: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The arrays stretched to one shape, as copies; :class:`DeviceError` where their shapes do not broadcast."""
    try:
        return [np.array(row) for row in np.broadcast_arrays(*arrays.values())]
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DeviceError(
            "Shapes do not fit together.",
            given=shapes,
            expected="shapes that broadcast",
            repair="x[:, None] for a table",
        ) from None


def finite(value: float) -> bool:
    """Whether a real number is finite, also where it is too long for a float."""
    return abs(value) < math.inf
