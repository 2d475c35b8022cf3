"""Gradient of an objective by the parameters of a model: backpropagation through time, or one-step RateBP."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import as_array, count, made, one_number
from eventsim.errors import ConfigError, DataError
from eventsim.parallel import ALONE, Workers
from eventsim.training.layer import Method, Mode, Params
from eventsim.training.model import Model, check_ticks
from eventsim.training.objective import Objective
from eventsim.training.signal import Array, Signal, bytes_kept
from eventsim.training.taught import Taught

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
    teacher: Taught | None = None,
    *,
    ticks: int | None = None,
    method: Method = "ratebp",
    scale: Scale = "exact",
    workers: Workers = ALONE,
    smooth: bool = False,
    seed: int = 0,
    step: int = 0,
    done: float = 1.0,
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
    teacher : Taught, optional
        What the teacher says about the batch, such as ``cache.batch(ids)``.
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
    done : float
        Share of the training that is over, for objectives that are ramped.

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
    made("workers", workers, Workers, repair="with Workers(2) as workers: ...")
    one_number("share of the training", done, 0, 1, repair="done=1.0", kind=ConfigError)
    count("step", step, kind=ConfigError)
    places = check_objective(objective, model, method, teacher is not None)
    x = check_batch(model, x, labels)
    ticks = check_ticks(x, ticks)
    if method not in get_args(Method) or scale not in get_args(Scale) or (method == "dsr" and ticks == 1):
        raise ConfigError(
            "The gradient is not known.",
            given=f"method {method!r}, scale {scale!r}, {ticks} ticks",
            expected='method "ratebp", "bptt" or (of several ticks) "dsr", scale "exact" or "author"',
            repair='gradient(..., method="bptt")',
        )
    mode = Mode(ticks, method, workers, smooth, seed, step, taps=places)
    forward = model.forward(params, x, mode)
    value, slopes = objective(forward.produced, np.asarray(labels, np.int64), teacher, done)
    if mode.rates and scale == "author":
        slopes = slopes.times(1 / ticks)
    kept = bytes_kept(forward.kept, params)
    return Gradient(
        value, forward.logits, model.backward(params, forward, slopes, mode), forward.moved, forward.rates, kept
    )


def check_objective(objective: Objective, model: Model, method: Method, taught: bool) -> frozenset[str]:
    """Places of the layers that an objective looks at, if model, method and teacher give it all that it needs.

    Raises
    ------
    ConfigError
        It is no objective, wants a teacher that is not there, or there is one to whom nobody listens; it wants every
        tick, by which RateBP and DSR have no gradient.
    NetworkError
        It wants an output that the model has not.
    """
    if not isinstance(objective, Objective):
        raise ConfigError(
            "The objective is not usable.", given=repr(objective), expected="an objective", repair="CrossEntropy()"
        )
    needs = objective.needs
    if needs.teacher != taught:
        raise ConfigError(
            "The objective and the teacher do not fit together.",
            given=f"{objective} and {'a' if taught else 'no'} teacher",
            expected="a teacher for an objective that listens to one, and only there",
            repair="CrossEntropy() + 1.0 * SoftTargets()" if taught else "teacher=cache, or CrossEntropy() alone",
        )
    if needs.steps and method != "bptt":
        raise ConfigError(
            "The objective wants a gradient by every tick.",
            given=f"method {method!r}",
            expected='method "bptt"',
            repair='method="bptt", or an objective of rates',
        )
    return model.outputs(needs.outputs)


def check_batch(model: Model, x: ArrayLike | Signal, labels: NDArray[np.integer]) -> Signal:
    """Return a batch as a signal if it fits the model, raise :class:`DataError` otherwise."""
    x = model.signal(x)
    labels = as_array(labels)
    fits = labels.shape == (len(x.values),) and labels.dtype.kind in "iu"
    if not fits or not ((labels >= 0) & (labels < model.classes)).all():
        span = f", from {labels.min()} to {labels.max()}" if labels.size and labels.dtype.kind in "iuf" else ""
        raise DataError(
            "The labels do not fit the batch.",
            given=f"labels of {labels.dtype}, shape {labels.shape}{span}, for {len(x.values)} samples",
            expected=f"a whole number from 0 to {model.classes - 1} for each sample",
            repair=f"a model of {int(labels.max()) + 1} classes"
            if fits and labels.min() >= 0
            else f"labels from 0 to {model.classes - 1}, as np.unique(labels, return_inverse=True)[1] has them",
        )
    return x
