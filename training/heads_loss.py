"""Losses over several outputs for the same labels: the heads of a network, or its ticks.

Enhanced self-distillation (ESD, Zhao et al.) averages the heads that are right into a teacher for all of them; temporal
knowledge sharing (TKS, Dong et al. 2023) and the self term of TWKD do the same over ticks; temporal efficient training
(TET, Deng et al. 2022) asks for the label in every tick.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import ConfigError
from eventsim.training.choices import choice
from eventsim.training.label_loss import cross_entropy
from eventsim.training.signal import Array
from eventsim.training.softened import Double, by_first, by_second, divergence, log_probabilities, probabilities

TEACHER_SPACES = ("logit", "logit_sum", "prob")
"""What of the right heads makes the teacher: the mean of logits, their sum, or the mean of softened probabilities."""

NORMS = ("valid", "batch")
"""Distillation is a mean over the samples that have a teacher, or over the whole batch."""

REGULARISERS = ("uniform", "entropy")
"""What is done to heads where none is right: KL(uniform || p), or KL(p || uniform), which is log(classes) - H(p)."""

_NO_TEACHER = 1e-6
"""Below it the magnitudes of a teacher, summed, count as none, as in the authors' code."""


def reliable_teacher(
    heads: Array | Sequence[Array], labels: NDArray[np.int64], temperature: float = 1.0, *, teacher_space: str = "logit"
) -> tuple[Double, NDArray[np.bool_]]:
    """Average of the heads that are right.

    Parameters
    ----------
    heads : array, shape (heads, batch, classes), or a sequence of arrays, shape (batch, classes)
        Logits.
    labels : array of int, shape (batch,)
    temperature : float
        Positive.
    teacher_space : str
        See :data:`TEACHER_SPACES`.

    Returns
    -------
    log_teacher : array of float64, shape (batch, classes)
        Logarithms of the teacher's softened probabilities; uniform where there is no teacher.
    valid : array of bool, shape (batch,)
        Whether there is a teacher: a head is right, and not all its logits are 0.

    Raises
    ------
    ConfigError
        An unknown ``teacher_space``.
    """
    logits = _stacked(heads)
    right = logits.argmax(axis=-1) == labels
    space = choice("teacher_space", teacher_space, TEACHER_SPACES)
    voices = probabilities(logits, temperature) if space == "prob" else logits
    teacher = np.where(right[..., None], voices, 0.0).sum(axis=0)
    if space != "logit_sum":
        teacher /= np.maximum(right.sum(axis=0), 1)[:, None]
    valid = np.abs(teacher).sum(axis=-1) > _NO_TEACHER
    if space == "prob":
        log_teacher = np.log(np.maximum(teacher, np.finfo(np.float64).tiny))
    else:
        log_teacher = log_probabilities(teacher, temperature)
    log_teacher[~valid] = -np.log(logits.shape[-1])
    return log_teacher, valid


def self_distillation(
    heads: Array | Sequence[Array],
    labels: NDArray[np.int64],
    temperature: float = 3.0,
    *,
    teacher_space: str = "logit",
    norm: str = "valid",
    eta: float = 0.0,
    regulariser: str = "uniform",
) -> tuple[float, Array]:
    """Distillation of all heads from those that are right, ``L_esd`` of Zhao et al.

    ``tau**2`` times the sum over heads of ``KL(teacher || p_head)``, mean over the samples that have a teacher, and of
    ``eta R(p_head)``, mean over the batch, for those that have none. No gradient goes through the teacher.

    Parameters
    ----------
    heads : array, shape (heads, batch, classes), or a sequence of arrays, shape (batch, classes)
        Logits.
    labels : array of int, shape (batch,)
    temperature : float
        Positive.
    teacher_space : str
        See :data:`TEACHER_SPACES`.
    norm : str
        See :data:`NORMS`.
    eta : float
        Weight of R, at least 0.
    regulariser : str
        R; see :data:`REGULARISERS`.

    Returns
    -------
    value : float
        In nats; without any teacher and with ``eta = 0`` it is 0.
    gradient : array, shape (heads, batch, classes)

    Raises
    ------
    ConfigError
        An unknown option.
    """
    log_t, valid = reliable_teacher(heads, labels, temperature, teacher_space=teacher_space)
    log_p = log_probabilities(_stacked(heads), temperature)
    rows, slopes = divergence(log_t, log_p), by_second(log_t, log_p)
    if choice("regulariser", regulariser, REGULARISERS) == "entropy":
        rows = np.where(valid, rows, divergence(log_p, log_t))
        slopes = np.where(valid[:, None], slopes, by_first(log_p, log_t))
    batch = len(valid)
    taught = max(1, int(valid.sum())) if choice("norm", norm, NORMS) == "valid" else batch
    share = np.where(valid, 1 / taught, eta / batch)
    value = temperature**2 * float((share * rows).sum())
    return value, (temperature * share[:, None] * slopes).astype(np.result_type(*heads))


def heads_cross_entropy(
    heads: Array | Sequence[Array],
    labels: NDArray[np.int64],
    weights: Sequence[float] | None = None,
    smoothing: float = 0.0,
) -> tuple[float, Array]:
    """Sum over heads of weight times cross-entropy, ``L_ce`` of Zhao et al.

    Parameters
    ----------
    heads : array, shape (heads, batch, classes), or a sequence of arrays, shape (batch, classes)
        Logits.
    labels : array of int, shape (batch,)
    weights : sequence of float, optional
        One for each head; all 1 otherwise.
    smoothing : float
        Of the labels.

    Returns
    -------
    value : float
        In nats.
    gradient : array, shape (heads, batch, classes)

    Raises
    ------
    ConfigError
        More or fewer weights than heads.
    """
    weights = [1.0] * len(heads) if weights is None else weights
    if len(weights) != len(heads):
        raise ConfigError(
            "The weights do not fit the heads.",
            given=f"{len(weights)} weights and {len(heads)} heads",
            expected="one weight for each head",
            repair="weights=None",
        )
    value, slopes = 0.0, []
    for head, weight in zip(heads, weights, strict=True):
        term, slope = cross_entropy(head, labels, smoothing)
        value += weight * term
        slopes.append(weight * slope)
    return value, np.stack(slopes)


def temporal_self_distillation(
    outputs: Array,
    labels: NDArray[np.int64],
    temperature: float = 3.0,
    *,
    teacher_space: str = "logit",
    norm: str = "valid",
    eta: float = 0.0,
    regulariser: str = "uniform",
) -> tuple[float, Array]:
    """:func:`self_distillation` of ticks instead of heads, mean over the ticks (TKS).

    The self term of TWKD is the one with ``norm="batch", eta=1``: samples that no tick has right are drawn towards the
    uniform distribution.

    Parameters
    ----------
    outputs : array, shape (batch, ticks, classes)
        Logits of every tick.
    labels, temperature, teacher_space, norm, eta, regulariser
        As in :func:`self_distillation`.

    Returns
    -------
    value : float
        In nats.
    gradient : array, shape (batch, ticks, classes)
    """
    value, grad = self_distillation(
        outputs.swapaxes(0, 1),
        labels,
        temperature,
        teacher_space=teacher_space,
        norm=norm,
        eta=eta,
        regulariser=regulariser,
    )
    ticks = outputs.shape[1]
    return value / ticks, grad.swapaxes(0, 1) / ticks


def temporal_cross_entropy(
    outputs: Array, labels: NDArray[np.int64], regularisation: float = 0.05, potential: float = 1.0
) -> tuple[float, Array]:
    """``(1 - lambda) mean_t CE(o_t) + lambda mean (o - phi)**2`` (TET).

    Parameters
    ----------
    outputs : array, shape (batch, ticks, classes)
        Logits of every tick.
    labels : array of int, shape (batch,)
    regularisation : float
        lambda, from 0 to 1.
    potential : float
        phi, which all outputs are drawn to.

    Returns
    -------
    value : float
    gradient : array, shape (batch, ticks, classes)
    """
    rows = outputs.reshape(-1, outputs.shape[2])
    value, grad = cross_entropy(rows, np.repeat(labels, outputs.shape[1]))
    error = outputs - outputs.dtype.type(potential)
    value = (1 - regularisation) * value + regularisation * float(np.square(error).mean(dtype=np.float64))
    return value, (1 - regularisation) * grad.reshape(error.shape) + 2 * regularisation / error.size * error


def _stacked(heads: Array | Sequence[Array]) -> Double:
    return np.stack([np.asarray(head, np.float64) for head in heads])
