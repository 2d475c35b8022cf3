"""Distillation of spikes from a spiking teacher (Kushawaha et al., "Distilling Spikes").

Both nets give the spikes of their last layer in every tick. Gradients are by the student's spikes; what stands for the
derivative of a spike is the trainer's business.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import ConfigError
from eventsim.training.choices import choice
from eventsim.training.signal import Array
from eventsim.training.softened import Double, kl_divergence

Spikes = NDArray[np.uint8]

ENDS = ("valid", "clipped")
"""Windows lie within the ticks, or one begins in every tick and the last ones are cut off."""

REDUCTIONS = ("sum", "mean")
"""The sum over batch, ticks and classes, as printed, or that divided by their number."""


def spike_l1(student: NDArray[Any], teacher: Spikes, *, reduction: str = "sum") -> tuple[float, Array]:
    """Full L1: number of spikes that differ, ``sum |s - t|``.

    Parameters
    ----------
    student : array, shape (batch, ticks, classes)
        Spikes, 0 or 1, of any type, or real values.
    teacher : array of uint8, shape (batch, ticks, classes)
    reduction : str
        See :data:`REDUCTIONS`.

    Returns
    -------
    value : float
    gradient : array, shape (batch, ticks, classes)
        Of the student's type if that is real, of float32 otherwise; 0 where both agree.

    Raises
    ------
    ConfigError
        An unknown reduction.
    """
    return sliding_l1(student, teacher, 1, reduction=reduction)


def spike_l2(
    student: NDArray[Any], teacher: Spikes, *, root: bool = False, reduction: str = "sum"
) -> tuple[float, Array]:
    """Full L2: ``sum (s - t)**2``, or its root.

    Parameters
    ----------
    student, teacher, reduction
        As in :func:`spike_l1`.
    root : bool
        Whether the root is taken, one for the whole batch (before it is reduced). Its gradient at 0 is 0.

    Returns
    -------
    value : float
    gradient : array, shape (batch, ticks, classes)

    Raises
    ------
    ConfigError
        An unknown reduction.
    """
    error = _error(student, teacher)
    value = float(np.square(error, dtype=np.float64).sum())
    factor = 2.0
    if root:
        value = float(np.sqrt(value))
        factor = 1 / value if value else 0.0
    scale = _scale(error, reduction)
    return scale * value, scale * factor * error


def spike_kl(
    student: NDArray[Any], teacher: Spikes, temperature: float = 1.0, *, direction: str = "forward"
) -> tuple[float, Array]:
    """Full KL: divergence between softmaxes over classes of spikes summed over ticks, mean over the batch.

    Parameters
    ----------
    student, teacher
        As in :func:`spike_l1`.
    temperature, direction
        As in :func:`eventsim.training.softened.kl_divergence`, with its factor tau**2.

    Returns
    -------
    value : float
        In nats.
    gradient : array, shape (batch, ticks, classes)
        The same in every tick.
    """
    counts, target = (spikes.sum(axis=1, dtype=np.float64) for spikes in (student, teacher))
    value, grad = kl_divergence(counts, target, temperature, direction=direction)
    kind = student.dtype if student.dtype.kind == "f" else np.float32
    return value, np.repeat(grad[:, None].astype(kind), student.shape[1], axis=1)


def sliding_l1(
    student: NDArray[Any], teacher: Spikes, window: int = 5, *, ends: str = "valid", reduction: str = "sum"
) -> tuple[float, Array]:
    """Sliding L1: sum over windows of ticks of the L1 distance within each.

    It is :func:`spike_l1` with every tick weighted by the number of windows that it lies in.

    Parameters
    ----------
    student, teacher, reduction
        As in :func:`spike_l1`.
    window : int
        Ticks of a window, from 1 to all.
    ends : str
        See :data:`ENDS`.

    Returns
    -------
    value : float
    gradient : array, shape (batch, ticks, classes)

    Raises
    ------
    ConfigError
        A window longer than all ticks, or an unknown option.
    """
    error = _error(student, teacher)
    weight = _scale(error, reduction) * coverage(error.shape[1], window, ends)[:, None]
    value = float((weight * np.abs(error)).sum())
    return value, weight.astype(error.dtype) * np.sign(error)


def sliding_l2(
    student: NDArray[Any], teacher: Spikes, window: int = 5, *, ends: str = "valid", reduction: str = "sum"
) -> tuple[float, Array]:
    """Sliding L2: sum over windows of ticks, classes and samples of the L2 norm (not squared) of the difference.

    The gradient of a norm at 0 is 0. Parameters, returns and errors as in :func:`sliding_l1`.
    """
    error = _error(student, teacher)
    ticks = error.shape[1]
    _check(ticks, window, ends)
    squares = np.square(error, dtype=np.float64)
    if ends == "clipped":
        squares = np.pad(squares, ((0, 0), (0, window - 1), (0, 0)))
    windows = squares.shape[1] - window + 1
    norms = np.zeros((len(squares), windows, squares.shape[2]))
    for k in range(window):
        norms += squares[:, k : k + windows]
    np.sqrt(norms, out=norms)
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    slopes = np.zeros_like(squares)
    for k in range(window):
        slopes[:, k : k + windows] += inverse
    scale = _scale(error, reduction)
    return scale * float(norms.sum()), (scale * slopes[:, :ticks] * error).astype(error.dtype)


def spike_distillation(
    student: NDArray[Any],
    teacher: Spikes,
    window: int = 5,
    *,
    weight: float = 0.1,
    ends: str = "valid",
    temperature: float = 1.0,
) -> tuple[float, Array]:
    """The losses together: ``KL + weight (sliding L1 + sliding L2) / (batch ticks classes)``.

    Kushawaha et al. name the parts of their proposed loss; the weights are ours. Parameters, returns and errors as in
    :func:`spike_kl` and :func:`sliding_l1`; ``weight`` is at least 0.
    """
    value, grad = spike_kl(student, teacher, temperature)
    for sliding in (sliding_l1, sliding_l2):
        term, slope = sliding(student, teacher, window, ends=ends, reduction="mean")
        value, grad = value + weight * term, grad + weight * slope
    return value, grad


def coverage(ticks: int, window: int, ends: str = "valid") -> Double:
    """Windows that each tick lies in, shape (ticks,); :class:`ConfigError` where a window is longer than all ticks."""
    _check(ticks, window, ends)
    tick = np.arange(ticks)
    last = np.minimum(tick, ticks - window) if ends == "valid" else tick
    return (last - np.maximum(tick - window + 1, 0) + 1).astype(np.float64)


def _check(ticks: int, window: int, ends: str) -> None:
    choice("ends", ends, ENDS)
    if not 1 <= window <= ticks:
        raise ConfigError(
            "The window does not fit the ticks.",
            given=f"a window of {window} and {ticks} ticks",
            expected=f"from 1 to {ticks} ticks; a window longer than all of them is refused",
            repair=f"window={max(1, ticks // 2)}",
        )


def _error(student: NDArray[Any], teacher: Spikes) -> Array:
    """Student minus teacher, as real numbers."""
    kind = student.dtype if student.dtype.kind == "f" else np.float32
    return np.asarray(np.subtract(student, teacher, dtype=kind))


def _scale(error: Array, reduction: str) -> float:
    return 1 / error.size if choice("reduction", reduction, REDUCTIONS) == "mean" else 1.0
