"""Gradient of an objective by the parameters of a model: backpropagation through time, or one-step RateBP."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.errors import ConfigError, DataError
from eventsim.parallel import ALONE, Workers
from eventsim.training.layer import Method, Mode, Params
from eventsim.training.loss import Objective
from eventsim.training.model import Model, check_ticks
from eventsim.training.signal import Array, Signal, bytes_kept

Scale = Literal["exact", "author"]


class Gradient(NamedTuple):
    """What one step of training computes."""

    value: float
    """Of the objective."""
    logits: Array
    """Of the batch, shape (batch, classes)."""
    params: Params
    """Gradient by every parameter."""
    moved: Params
    """Running statistics as the batch has moved them."""
    rates: dict[str, float]
    """Mean spikes per neuron and tick, of each spiking layer."""
    backward_bytes: int
    """What the forward pass kept for the backward pass, besides the parameters."""


def gradient(
    model: Model,
    params: Params,
    x: ArrayLike | Signal,
    labels: NDArray[np.integer],
    objective: Objective,
    teacher: Array | None = None,
    *,
    ticks: int | None = None,
    method: Method = "ratebp",
    scale: Scale = "exact",
    workers: Workers = ALONE,
    smooth: bool = False,
    seed: int = 0,
    step: int = 0,
) -> Gradient:
    """Value and gradient of an objective on a batch.

    Parameters
    ----------
    model : Model
    params : dict of str to array
        Parameters and running statistics; not changed.
    x : array, shape (batch, ticks, *model.inputs), or Signal
        Spikes (uint8 or bool), or real values; those of a single tick last for all ``ticks``.
    labels : array of int, shape (batch,)
    objective : Objective
    teacher : array, shape (batch, classes), optional
        Cached logits of the teacher.
    ticks : int, optional
        Ticks of a static input; those of ``x`` if left out.
    method : "ratebp", "bptt" or "dsr"
        One-step rate backpropagation (Yu et al. 2024), whose backward pass and memory do not grow with the ticks,
        backpropagation through time, or the same one step with the rate taken for the drive, clipped to 0 and 1
        (differentiation on spike representation, Meng et al. 2022).
    scale : "exact" or "author"
        For RateBP and DSR: the gradient that equals BPTT where that is possible, or divided by the ticks, as the
        published code of RateBP has it.
    workers : Workers
        Threads; no bit depends on their number.
    smooth : bool
        Neurons emit the smooth spike: the gradient is a derivative in the plain sense then.
    seed, step : int
        Key of random masks.

    Returns
    -------
    Gradient

    Raises
    ------
    DataError
        Samples of another shape, an empty batch, values that are not finite, labels out of range.
    NetworkError
        Parameters of another model.
    ConfigError
        No tick, another number of ticks than ``x`` has, an unknown method or scale, DSR of a single tick; an objective
        without its teacher, or a teacher that it leaves aside.
    """
    model.check(params)
    check_teacher(objective, teacher)
    x = check_batch(model, x, labels)
    ticks = check_ticks(x, ticks)
    if method not in get_args(Method) or scale not in get_args(Scale) or (method == "dsr" and ticks == 1):
        raise ConfigError(
            "The gradient is not known.",
            given=f"method {method!r}, scale {scale!r}, {ticks} ticks",
            expected='method "ratebp", "bptt" or (of several ticks) "dsr", scale "exact" or "author"',
            repair='gradient(..., method="bptt")',
        )
    mode = Mode(ticks, method, workers, smooth, seed, step)
    forward = model.forward(params, x, mode)
    value, grad = objective(forward.logits, np.asarray(labels, np.int64), teacher)
    if mode.rates and scale == "author":
        grad = grad / grad.dtype.type(ticks)
    kept = bytes_kept(forward.kept, params)
    return Gradient(
        value, forward.logits, model.backward(params, forward, grad, mode), forward.moved, forward.rates, kept
    )


def check_teacher(objective: Objective, teacher: Array | None) -> None:
    """Refuse a teacher that nobody listens to, and the want of one, with :class:`ConfigError`."""
    if (objective.alpha > 0) != (teacher is not None):
        raise ConfigError(
            "The objective and the teacher do not fit together.",
            given=f"alpha={objective.alpha} and {'no ' if teacher is None else ''}logits of a teacher",
            expected="logits of a teacher where alpha is above 0, and only there",
            repair="teacher=cache.logits, or Objective(alpha=0)" if teacher is None else "Objective(alpha=1.0)",
        )


def check_batch(model: Model, x: ArrayLike | Signal, labels: NDArray[np.integer]) -> Signal:
    """Return a batch as a signal if it fits the model, raise :class:`DataError` otherwise."""
    x = model.signal(x)
    labels = np.asarray(labels)
    fits = labels.shape == (len(x.values),) and labels.dtype.kind in "iu"
    if not fits or not ((labels >= 0) & (labels < model.classes)).all():
        span = f", from {labels.min()} to {labels.max()}" if labels.size and labels.dtype.kind in "iuf" else ""
        raise DataError(
            "The labels do not fit the batch.",
            given=f"labels of {labels.dtype}, shape {labels.shape}{span}, for {len(x.values)} samples",
            expected=f"a whole number from 0 to {model.classes - 1} for each sample",
            repair=f"a model of {int(labels.max()) + 1} classes"
            if fits and labels.min() >= 0
            else "labels.astype(int)",
        )
    return x
