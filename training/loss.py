"""Losses: value and gradient by the logits, each a mean over the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import LIMIT, is_real
from eventsim.errors import ConfigError, DataError
from eventsim.training.label_loss import cross_entropy, squared_error
from eventsim.training.signal import Array
from eventsim.training.softened import log_softmax


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
    log_s = log_softmax(logits / logits.dtype.type(temperature))
    log_t = log_softmax(teacher / logits.dtype.type(temperature))
    p_t = np.exp(log_t)
    value = temperature**2 * float((p_t * (log_t - log_s)).sum(axis=1).mean())
    return value, logits.dtype.type(temperature / len(logits)) * (np.exp(log_s) - p_t)


CLASSIFICATION = ("cross_entropy", "squared_error")


@dataclass(frozen=True)
class Objective:
    """What a model is trained to do: ``L = L_cls + alpha L_KD`` (Li et al., equation 3, without its feature term).

    Parameters
    ----------
    classification : str
        ``cross_entropy`` of ``softmax(gain * outputs)``, or ``squared_error`` of the outputs themselves.
    alpha : float
        Weight of the distillation; 0 for training without a teacher.
    temperature : float
        Of the distillation.
    gain : float
        Logits over outputs. Outputs that aim at 0 and 1 need a gain to express a probability near 1.
    smoothing : float
        Of the labels, for cross-entropy; see :func:`cross_entropy`.

    Raises
    ------
    ConfigError
        An unknown classification, a negative weight, a temperature or gain that is not positive, or a smoothing that is
        not from 0 to less than 1, or not of cross-entropy.
    """

    classification: str = "cross_entropy"
    alpha: float = 0.0
    temperature: float = 1.0
    gain: float = 1.0
    smoothing: float = 0.0

    def __post_init__(self) -> None:
        if self.classification not in CLASSIFICATION:
            raise ConfigError(
                "There is no such classification loss.",
                given=self.classification,
                expected=f"one of {', '.join(CLASSIFICATION)}",
                repair="Objective('cross_entropy')",
            )
        for name in ("alpha", "temperature", "gain", "smoothing"):
            value, positive = getattr(self, name), name in ("temperature", "gain")
            usable = is_real(value) and 0 <= value <= LIMIT
            if not usable or (positive and value == 0) or (name == "smoothing" and value >= 1):
                raise ConfigError(
                    f"The {name} of the objective is not usable.",
                    given=repr(value),
                    expected=f"a weight from 0, a positive temperature and gain, up to {LIMIT:g}; a smoothing below 1",
                    repair=f"Objective({name}={getattr(Objective, name)})",
                )
        if self.smoothing and self.classification != "cross_entropy":
            raise ConfigError(
                "There are no labels to be smoothed.",
                given=f"smoothing {self.smoothing} and {self.classification}",
                expected="smoothing with cross_entropy alone",
                repair=f"Objective('cross_entropy', smoothing={self.smoothing})",
            )

    def __call__(self, outputs: Array, labels: NDArray[np.int64], teacher: Array | None) -> tuple[float, Array]:
        """Value and gradient by the outputs of a batch.

        Parameters
        ----------
        outputs : array, shape (batch, classes)
        labels : array of int, shape (batch,)
        teacher : array, shape (batch, classes), or None
            Logits of the teacher, where the objective wants them.
        """
        gain = outputs.dtype.type(self.gain)
        if self.classification == "squared_error":
            value, grad = squared_error(outputs, labels)
        else:
            value, grad = cross_entropy(gain * outputs, labels, self.smoothing)
            grad = gain * grad
        if self.alpha:
            if teacher is None:
                raise ConfigError(
                    "The objective wants a teacher.",
                    given="no teacher logits",
                    expected=f"logits for each sample, as alpha={self.alpha}",
                    repair="pass teacher=cache.logits, or Objective(alpha=0)",
                )
            teacher = np.asarray(teacher)
            if teacher.shape != outputs.shape or not np.isfinite(teacher).all():
                raise DataError(
                    "The logits of the teacher do not fit the batch.",
                    given=f"shape {teacher.shape}, {np.count_nonzero(~np.isfinite(teacher))} not finite",
                    expected=f"finite logits of shape {outputs.shape}",
                    repair="teacher=cache.logits[ids], for the samples of the batch",
                )
            term, slope = distillation(gain * outputs, teacher.astype(outputs.dtype), self.temperature)
            value, grad = value + self.alpha * term, grad + outputs.dtype.type(self.alpha * self.gain) * slope
        return value, grad
