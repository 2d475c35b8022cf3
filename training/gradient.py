"""Gradient of an objective by the parameters of a model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.training.layers import Array, Params
from eventsim.training.loss import Objective
from eventsim.training.model import Model


class Gradient(NamedTuple):
    """Value of the objective, logits of the batch, and the gradient by every parameter."""

    value: float
    logits: Array
    params: Params


def gradient(
    model: Model,
    params: Params,
    x: Array,
    labels: NDArray[np.int64],
    objective: Objective,
    teacher: Array | None = None,
) -> Gradient:
    """One-step rate backpropagation: a forward pass over all ticks, a backward pass without a time axis.

    Parameters
    ----------
    model : Model
    params : dict of str to array
    x : array, shape (batch, ticks, inputs)
        Spikes, or one tick of real values for a teacher.
    labels : array of int, shape (batch,)
    objective : Objective
    teacher : array, shape (batch, classes), optional
        Cached logits of the teacher.

    Returns
    -------
    Gradient
    """
    logits, kept = model.forward(params, x)
    value, grad = objective(logits, labels, teacher)
    return Gradient(value, logits, model.backward(params, kept, grad))
