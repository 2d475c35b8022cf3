"""Losses against labels: value and gradient by the outputs, each a mean over the batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsim.training.signal import Array
from eventsim.training.softened import log_softmax, probabilities, through_softmax


def cross_entropy(logits: Array, labels: NDArray[np.int64], smoothing: float = 0.0) -> tuple[float, Array]:
    """Cross-entropy of ``softmax(logits)`` against labels.

    Parameters
    ----------
    logits : array, shape (batch, classes)
    labels : array of int, shape (batch,)
    smoothing : float
        Share of the target that is spread evenly over all classes (Szegedy et al. 2016).

    Returns
    -------
    value : float
        In nats.
    gradient : array, shape (batch, classes)
    """
    rows = np.arange(len(labels))
    log_p = log_softmax(logits)
    grad = np.exp(log_p)
    grad[rows, labels] -= 1 - smoothing
    value = -float(log_p[rows, labels].mean())
    if smoothing:
        grad -= smoothing / logits.shape[1]
        value = (1 - smoothing) * value - smoothing * float(log_p.mean())
    return value, grad / len(labels)


def squared_error(outputs: Array, labels: NDArray[np.int64]) -> tuple[float, Array]:
    """Mean squared error against one-hot labels, over classes too (Li et al., equation 4).

    Parameters
    ----------
    outputs : array, shape (batch, classes)
    labels : array of int, shape (batch,)

    Returns
    -------
    value : float
    gradient : array, shape (batch, classes)
    """
    error = outputs.copy()
    error[np.arange(len(labels)), labels] -= 1
    return float(np.square(error).mean()), error * outputs.dtype.type(2 / error.size)


def brier_score(logits: Array, labels: NDArray[np.int64]) -> tuple[float, Array]:
    """Mean squared error of ``softmax(logits)`` against one-hot labels, over classes too.

    Equation 4 of Li et al. for a teacher, whose output is a probability (Brier 1950).

    Parameters
    ----------
    logits : array, shape (batch, classes)
    labels : array of int, shape (batch,)

    Returns
    -------
    value : float
    gradient : array, shape (batch, classes)
    """
    p = probabilities(logits)
    value, grad = squared_error(p, labels)
    return value, through_softmax(grad, p).astype(logits.dtype)
