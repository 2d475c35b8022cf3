"""Distillation of maps: the mean spikes of a student's layer, over ticks, against the map of a teacher.

Maps have shape (batch, ..., channels); gradients have the type of the student's map, sums are in double precision.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from eventsim.training.choices import choice
from eventsim.training.signal import Array

FEATURE_NORMS = ("sample", "batch", "squared")
"""The L2 norm of each sample, mean over the batch; one L2 norm of the whole batch; the mean of squares."""


def feature_distance(student: Array, teacher: Array, *, norm: str = "sample") -> tuple[float, Array]:
    """Distance of two maps, ``||z_t - mean_t z_s(t)||`` (Li et al., equation 7, with gamma = 1).

    Parameters
    ----------
    student, teacher : array, shape (batch, ..., channels)
        The student's map is its mean over the ticks.
    norm : str
        See :data:`FEATURE_NORMS`. The gradient of a norm at 0 is 0.

    Returns
    -------
    value : float
    gradient : array, of the shape and type of ``student``

    Raises
    ------
    ConfigError
        An unknown norm.
    """
    error = student - teacher.astype(student.dtype, copy=False)
    squares = np.square(error).reshape(len(error), -1).sum(axis=1, dtype=np.float64)
    if choice("norm", norm, FEATURE_NORMS) == "squared":
        return float(squares.sum()) / error.size, error * (2 / error.size)
    norms = np.sqrt(squares if norm == "sample" else squares.sum(keepdims=True))
    inverse = np.divide(1 / len(norms), norms, out=np.zeros_like(norms), where=norms > 0).astype(error.dtype)
    return float(norms.mean()), error * inverse.reshape(-1, *(1,) * (error.ndim - 1))


def percentile_scale(maps: Array, percentile: float = 99.9) -> float:
    """The value that a share of all entries lies below; 1 where that is not positive.

    A teacher's map divided by it lies about from 0 to 1, as mean spikes do.

    Parameters
    ----------
    maps : array, of any shape
    percentile : float
        From 0 to 100.
    """
    scale = float(np.percentile(maps, percentile))
    return scale if scale > 0 else 1.0


def partial_l2(student: Array, teacher: Array) -> tuple[float, Array]:
    """Squared distance of maps without the entries where ``student <= teacher <= 0``; a sum, mean over the batch.

    The feature loss of KDSNN (Xu et al.), from the overhaul of feature distillation (Heo et al. 2019): where a teacher
    before its ReLU is not positive, a student may be as low as it likes.

    Parameters
    ----------
    student : array, shape (batch, ..., channels)
        Of any sign: mean spikes through a layer of their own, or mean sums.
    teacher : array of the same shape
        The map before the ReLU, through :func:`margin_relu`.

    Returns
    -------
    value : float
    gradient : array, of the shape and type of ``student``
    """
    teacher = teacher.astype(student.dtype, copy=False)
    error = np.where((student <= teacher) & (teacher <= 0), 0, student - teacher)
    return float(np.square(error).sum(dtype=np.float64)) / len(error), error * (2 / len(error))


def margin_relu(maps: Array, margin: Array) -> Array:
    """``max(maps, margin)``, shape (batch, ..., channels), with a margin of at most 0 for each channel."""
    return np.asarray(np.maximum(maps, margin.astype(maps.dtype, copy=False)))


def margins(maps: Array) -> Array:
    """Mean of the negative entries of each channel; 0 for a channel without any.

    Parameters
    ----------
    maps : array, shape (batch, ..., channels)
        Of a teacher, before its ReLU.

    Returns
    -------
    array, shape (channels,)
    """
    rows = maps.reshape(-1, maps.shape[-1])
    total = np.minimum(rows, 0).sum(axis=0, dtype=np.float64)
    return np.asarray(total / np.maximum(np.count_nonzero(rows < 0, axis=0), 1), maps.dtype)


def normal_margins(shift: Array, scale: Array) -> Array:
    """Margins of channels behind a batch normalisation, without data: ``E[x | x < 0]`` for x of N(shift, scale**2).

    ``shift - |scale| phi(a) / Phi(-a)`` with ``a = shift / |scale|``, and ``-3 |scale|`` for channels that are hardly
    ever negative (probability up to 0.001), as in the code of Heo et al. (2019).

    Parameters
    ----------
    shift, scale : array, shape (channels,)

    Returns
    -------
    array, shape (channels,)
    """
    centre, spread = shift.astype(np.float64), np.abs(scale).astype(np.float64)
    ratio = np.divide(centre, spread, out=np.copysign(np.full_like(centre, np.inf), centre), where=spread > 0)
    often = ndtr(-ratio)
    usual = often > _SELDOM
    density = np.exp(-np.square(ratio) / 2) / np.sqrt(2 * np.pi)
    tail = np.divide(density, often, out=np.zeros_like(often), where=usual)
    return np.where(usual, centre - spread * tail, -3 * spread).astype(shift.dtype)


_SELDOM = 0.001


def stage_weights(stages: int) -> tuple[float, ...]:
    """Weights of stages, first to last: ``2**(l - stages)`` for stage l, the last one 1 (Heo et al. 2019)."""
    return tuple(2.0 ** (stage - stages) for stage in range(1, stages + 1))
