"""One step of an optimiser over one flat parameter: everything is read once and written once, in a single pass.

The scalars of a rule come in the type of the parameter, so that arithmetic in single precision stays in it. Results are
written to arrays of the caller's, which share no memory with what is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from eventsim.kernels._jit import jit


class SGDRule(NamedTuple):
    """Scalars of :func:`sgd`."""

    rate: Any
    momentum: Any
    decay: Any


class AdamRule(NamedTuple):
    """Scalars of :func:`adam`: shares that are kept of the running means and of the weight, and shares of the new."""

    keep_mean: Any
    new_mean: Any
    keep_square: Any
    new_square: Any
    size: Any
    epsilon: Any
    keep: Any


@jit
def sgd(param, grad, velocity, rule, nesterov, out, out_velocity):
    """``g = grad + decay param``, ``velocity' = momentum velocity + g``, ``param' = param - rate velocity'``.

    Nesterov's variant goes along ``g + momentum velocity'``.

    Parameters
    ----------
    param, grad, velocity, out, out_velocity : float array, shape (n,)
    rule : SGDRule
    nesterov : bool
    """
    for i in range(param.size):
        g = grad[i] + rule.decay * param[i]
        v = rule.momentum * velocity[i] + g
        out_velocity[i] = v
        way = g + rule.momentum * v if nesterov else v
        out[i] = param[i] - rule.rate * way


@jit
def adam(param, grad, mean, square, rule, out, out_mean, out_square):
    """Running means of gradient and square, and ``param' = keep param - size mean' / (sqrt(square') + epsilon)``.

    Parameters
    ----------
    param, grad, mean, square, out, out_mean, out_square : float array, shape (n,)
    rule : AdamRule
    """
    for i in range(param.size):
        g = grad[i]
        m = rule.keep_mean * mean[i] + rule.new_mean * g
        s = rule.keep_square * square[i] + rule.new_square * g * g
        out_mean[i] = m
        out_square[i] = s
        out[i] = rule.keep * param[i] - rule.size * m / (np.sqrt(s) + rule.epsilon)


@jit
def approach(mean, param, share, out):
    """``out = mean + share (param - mean)``, for float arrays of shape (n,): exact where both are equal."""
    for i in range(mean.size):
        out[i] = mean[i] + share * (param[i] - mean[i])
