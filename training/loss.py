"""Losses: value and gradient by the logits, each a mean over the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from eventsim.errors import ConfigError
from eventsim.training.layers import Array


def cross_entropy(logits: Array, labels: NDArray[np.int64]) -> tuple[float, Array]:
    """Cross-entropy of ``softmax(logits)`` against labels.

    Parameters
    ----------
    logits : array, shape (batch, classes)
    labels : array of int, shape (batch,)

    Returns
    -------
    value : float
        In nats.
    gradient : array, shape (batch, classes)
    """
    rows = np.arange(len(labels))
    log_p = log_softmax(logits, axis=1)
    grad = np.exp(log_p)
    grad[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), grad / len(labels)


def distillation(logits: Array, teacher: Array, temperature: float) -> tuple[float, Array]:
    """Softened Kullback-Leibler divergence ``tau**2 KL(p_teacher || p_student)``, ``p = softmax(logits / tau)``.

    Li et al., equations (5) and (6), with the teacher as the target, and the factor tau**2 that keeps gradients
    comparable between temperatures (Hinton et al. 2015).

    Parameters
    ----------
    logits, teacher : array, shape (batch, classes)
    temperature : float

    Returns
    -------
    value : float
        In nats.
    gradient : array, shape (batch, classes)
    """
    log_s = log_softmax(logits / np.float32(temperature), axis=1)
    log_t = log_softmax(teacher / np.float32(temperature), axis=1)
    p_t = np.exp(log_t)
    value = temperature**2 * float((p_t * (log_t - log_s)).sum(axis=1).mean())
    return value, np.float32(temperature / len(logits)) * (np.exp(log_s) - p_t)


@dataclass(frozen=True)
class Objective:
    """What a model is trained to do: ``L = labels * cross_entropy + teacher * distillation``.

    Parameters
    ----------
    labels : float
        Weight of the cross-entropy.
    teacher : float
        Weight of the distillation; 0 for training without a teacher.
    temperature : float

    Raises
    ------
    ConfigError
        A negative weight, or a temperature that is not positive.
    """

    labels: float = 1.0
    teacher: float = 0.0
    temperature: float = 4.0

    def __post_init__(self) -> None:
        for name, value, usable in (
            ("labels", self.labels, self.labels >= 0),
            ("teacher", self.teacher, self.teacher >= 0),
            ("temperature", self.temperature, self.temperature > 0),
        ):
            if not (math.isfinite(value) and usable):
                raise ConfigError(
                    f"The {name} of the objective is not usable.",
                    given=value,
                    expected="a positive temperature and weights of at least 0",
                    repair=f"Objective({name}={getattr(Objective, name)})",
                )

    def __call__(self, logits: Array, labels: NDArray[np.int64], teacher: Array | None) -> tuple[float, Array]:
        """Value and gradient for a batch; ``teacher`` are the teacher's logits, where the objective wants them."""
        value, grad = cross_entropy(logits, labels)
        value, grad = self.labels * value, np.float32(self.labels) * grad
        if self.teacher:
            if teacher is None:
                raise ConfigError(
                    "The objective wants a teacher.",
                    given="no teacher logits",
                    expected=f"logits for each sample, as teacher={self.teacher}",
                    repair="pass teacher=cache.logits, or Objective(teacher=0)",
                )
            term, slope = distillation(logits, teacher, self.temperature)
            value, grad = value + self.teacher * term, grad + np.float32(self.teacher) * slope
        return value, grad
