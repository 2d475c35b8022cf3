"""Distillation of logits: divergences between the softened probabilities of a student and of a teacher.

All of it is reckoned in double precision; gradients are rounded once, to the type of the logits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsim.training.choices import choice
from eventsim.training.signal import Array

Double = NDArray[np.float64]

DIRECTIONS = ("forward", "reverse")
"""KL(teacher || student) and KL(student || teacher)."""


def log_softmax(logits: Array) -> Array:
    """Logarithm of the softmax over the last axis; scipy's takes ten times as long for a batch."""
    far = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(far - np.log(np.exp(far).sum(axis=-1, keepdims=True)))


def log_probabilities(logits: Array, temperature: float = 1.0) -> Double:
    """Natural logarithm of :func:`probabilities`."""
    return np.asarray(log_softmax(np.asarray(logits, np.float64) / temperature), np.float64)


def probabilities(logits: Array, temperature: float = 1.0) -> Double:
    """``softmax(logits / temperature)`` over the last axis (Li et al., equation 6)."""
    return np.asarray(np.exp(log_probabilities(logits, temperature)))


def through_softmax(gradient: Array, p: Double) -> Double:
    """Gradient by the logits from that by their probabilities ``p``, both of shape (..., classes)."""
    return np.asarray(p * (gradient - (p * gradient).sum(axis=-1, keepdims=True)))


def divergence(log_p: Double, log_q: Double) -> Double:
    """KL(p || q) in nats of distributions over the last axis, from their logarithms."""
    return np.asarray((np.exp(log_p) * (log_p - log_q)).sum(axis=-1))


def by_first(log_p: Double, log_q: Double) -> Double:
    """Gradient of :func:`divergence` by the logits of p."""
    return np.exp(log_p) * (log_p - log_q - divergence(log_p, log_q)[..., None])


def by_second(log_p: Double, log_q: Double) -> Double:
    """Gradient of :func:`divergence` by the logits of q."""
    return np.exp(log_q) - np.exp(log_p)


def kl_divergence(
    logits: Array,
    teacher: Array,
    temperature: float = 1.0,
    *,
    direction: str = "forward",
    tau2: bool = True,
    double_softmax: bool = False,
    weights: Array | None = None,
) -> tuple[float, Array]:
    """Kullback-Leibler divergence between softened probabilities, mean over the batch.

    ``tau**2 KL(p_teacher || p_student)`` with ``p = softmax(logits / tau)`` (Li et al., equations 5 and 6; Hinton et
    al. 2015). With the arguments exchanged it trains a teacher towards its student (Li et al., equation 8).

    Parameters
    ----------
    logits : array, shape (batch, ..., classes)
        Of the one who is trained; with further axes (ticks, heads) the mean is over them too.
    teacher : array that broadcasts to ``logits``
        Logits of the one who stands still.
    temperature : float
        Positive.
    direction : str
        ``"forward"``, or ``"reverse"`` for KL(p_student || p_teacher); see :data:`DIRECTIONS`.
    tau2 : bool
        Whether the factor tau**2 stands before the divergence, which keeps gradients comparable between temperatures.
    double_softmax : bool
        Whether the softened logits of the teacher are its probabilities, as equation 6 of Li et al. reads word by word.
    weights : array that broadcasts to shape (batch, ...), optional
        A constant factor for each row, such as :func:`soft_label_weights`.

    Returns
    -------
    value : float
        In nats.
    gradient : array, of the shape and type of ``logits``

    Raises
    ------
    ConfigError
        An unknown direction.
    """
    log_s, log_t = _softened(logits, teacher, temperature, double_softmax)
    if choice("direction", direction, DIRECTIONS) == "forward":
        rows, slopes = divergence(log_t, log_s), by_second(log_t, log_s)
    else:
        rows, slopes = divergence(log_s, log_t), by_first(log_s, log_t)
    return _mean(rows, slopes, temperature, tau2, weights, logits)


def soft_cross_entropy(
    logits: Array,
    teacher: Array,
    temperature: float = 1.0,
    *,
    tau2: bool = True,
    double_softmax: bool = False,
    weights: Array | None = None,
) -> tuple[float, Array]:
    """Cross-entropy of softened probabilities against those of a teacher, as Hinton et al. (2015) write it.

    It is :func:`kl_divergence` and the entropy of the teacher: the gradients are the same. Parameters and returns as
    there.
    """
    log_s, log_t = _softened(logits, teacher, temperature, double_softmax)
    rows = -np.asarray((np.exp(log_t) * log_s).sum(axis=-1))
    return _mean(rows, by_second(log_t, log_s), temperature, tau2, weights, logits)


def soft_label_weights(logits: Array, teacher: Array, labels: NDArray[np.int64]) -> Double:
    """Weights ``1 - exp(-CE_student / CE_teacher)`` of the samples: more where a student lags behind its teacher.

    Weighted soft labels (Zhou et al. 2021), as BKDSNN (Xu et al. 2024) uses them with temperature 2. No gradient
    goes through them.

    Parameters
    ----------
    logits, teacher : array, shape (batch, classes)
    labels : array of int, shape (batch,)

    Returns
    -------
    array of float64, shape (batch,)
        From 0 to 1.
    """
    rows = np.arange(len(labels))
    student, other = (-log_probabilities(z)[rows, labels] for z in (logits, teacher))
    return np.asarray(-np.expm1(-student / (other + _NO_LOSS)))


_NO_LOSS = 1e-7
"""Added to the cross-entropy of a teacher, which may be 0; the constant of the authors' code."""


def _softened(logits: Array, teacher: Array, temperature: float, double: bool) -> tuple[Double, Double]:
    """Logarithms of the probabilities of both."""
    first = probabilities(teacher) if double else teacher
    return log_probabilities(logits, temperature), log_probabilities(first, temperature)


def _mean(
    rows: Double, slopes: Double, temperature: float, tau2: bool, weights: Array | None, logits: Array
) -> tuple[float, Array]:
    """Mean over rows, and the gradient by the logits; slopes are by the softened ones."""
    share = np.full(rows.shape, (temperature**2 if tau2 else 1.0) / rows.size)
    if weights is not None:
        share *= weights
    return float((share * rows).sum()), (share[..., None] / temperature * slopes).astype(logits.dtype)
