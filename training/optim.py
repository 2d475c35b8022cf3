"""Optimisers: pure functions of parameters, gradient and state, and what goes with them: clipping and averaging.

An optimiser is a frozen set of options. What it remembers is one kind of value for all of them, a ``State``: arrays and
a number, which can be written to a checkpoint as they are. No function changes what it is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from eventsim.checks import flag, is_real, one_number
from eventsim.errors import ConfigError
from eventsim.kernels import optim as kernels
from eventsim.kernels.sweep import square as sum_of_squares
from eventsim.training.layer import Params
from eventsim.training.signal import Array
from eventsim.training.slots import Optimiser, Slots, State, flat, misfit

__all__ = ["SGD", "Adam", "AdamW", "Optimiser", "State", "average", "clip"]

_NEARLY_ONE = 1 - 1e-6


@dataclass(frozen=True)
class SGD(Slots):
    """Stochastic gradient descent with momentum (Sutskever et al. 2013, as torch has it).

    ``g += decay w``, ``v = momentum v + g``, ``w -= rate v``; with Nesterov's momentum ``w -= rate (g + momentum v)``.

    Parameters
    ----------
    momentum : float
        Share of the velocity that a step keeps.
    nesterov : bool
        Look ahead along the velocity.
    decay : float
        Weight decay, added to the gradient (L2). Parameters of one axis at most (biases, norms) are spared.

    Raises
    ------
    ConfigError
        A number outside its range.
    """

    momentum: float = 0.9
    nesterov: bool = False
    decay: float = 0.0

    slots: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        one_number("momentum", self.momentum, 0, _NEARLY_ONE, repair="SGD(momentum=0.9)", kind=ConfigError)
        one_number("weight decay", self.decay, 0, 1, repair="SGD(decay=5e-4)", kind=ConfigError)
        if flag("nesterov", self.nesterov, kind=ConfigError) and not self.momentum:
            raise ConfigError(
                "Nesterov's momentum is none.",
                given="SGD(momentum=0, nesterov=True)",
                expected="a momentum above 0 to look ahead along",
                repair="SGD(momentum=0.9, nesterov=True)",
            )

    def _update(self, steps: int, rate: float, decays: bool, read: list[Array], written: list[Array]) -> None:
        scalars = (rate, self.momentum, self.decay * decays)
        rule = kernels.SGDRule(*map(read[0].dtype.type, scalars))
        (param, grad, velocity), (out, out_velocity) = read, written
        kernels.sgd(param, grad, velocity, rule, bool(self.nesterov), out, out_velocity)


@dataclass(frozen=True)
class Adam(Slots):
    """Adam (Kingma and Ba 2015, Algorithm 1), with decoupled weight decay (Loshchilov and Hutter 2019) if any.

    ``w -= rate (m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + epsilon) + decay w)``, with running means m and v
    of the gradient and of its square.

    Parameters
    ----------
    beta1, beta2 : float
        Shares of the running means that a step keeps.
    epsilon : float
    decay : float
        Share of a weight that one step takes off, over its learning rate. Parameters of one axis at most (biases,
        norms) are spared. In a network of MTJs it keeps the drive, and with it the energy, low.

    Raises
    ------
    ConfigError
        A number outside its range.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0

    slots: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        one_number("beta1 of Adam", self.beta1, 0, _NEARLY_ONE, repair="beta1=0.9", kind=ConfigError)
        one_number("beta2 of Adam", self.beta2, 0, _NEARLY_ONE, repair="beta2=0.999", kind=ConfigError)
        one_number("epsilon of Adam", self.epsilon, 1e-16, 1, repair="epsilon=1e-8", kind=ConfigError)
        one_number("weight decay", self.decay, 0, 1, repair="AdamW(decay=0.01)", kind=ConfigError)

    def _update(self, steps: int, rate: float, decays: bool, read: list[Array], written: list[Array]) -> None:
        # Both corrections of the start are taken out of the loop: m / (1 - b1) / (sqrt(v) / root + epsilon)
        # is root / (1 - b1) m / (sqrt(v) + root epsilon).
        root = math.sqrt(1 - self.beta2**steps)
        size = rate * root / (1 - self.beta1**steps)
        kept = 1 - rate * self.decay * decays
        scalars = (self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2, size, root * self.epsilon, kept)
        rule = kernels.AdamRule(*map(read[0].dtype.type, scalars))
        (param, grad, mean, square), (out, out_mean, out_square) = read, written
        kernels.adam(param, grad, mean, square, rule, out, out_mean, out_square)


@dataclass(frozen=True)
class AdamW(Adam):
    """:class:`Adam` with a weight decay to begin with."""

    decay: float = 0.01


def clip(grads: Params, norm: float) -> tuple[Params, float]:
    """Scale a gradient down to a norm, taken over all parameters together (Pascanu et al. 2013).

    Parameters
    ----------
    grads : dict of str to array
    norm : float
        Largest norm that is let through.

    Returns
    -------
    grads : dict of str to array
        As given where the norm is small enough, or not finite: nothing could be saved.
    before : float
        Norm as it was, summed in double precision in the order of the names.

    Raises
    ------
    ConfigError
        The norm is not positive.
    """
    if not is_real(norm) or not norm > 0:
        raise ConfigError(
            "The gradient cannot be clipped.", given=repr(norm), expected="a positive norm", repair="clip(grads, 1.0)"
        )
    before = math.sqrt(sum(sum_of_squares(grads[name].ravel()) for name in sorted(grads)))
    if before <= norm or not math.isfinite(before):
        return grads, before
    return {name: grad * grad.dtype.type(norm / before) for name, grad in grads.items()}, before


def average(mean: Params, params: Params, decay: float, steps: int) -> Params:
    """Exponential moving average of parameters over training: ``mean + (1 - d) (params - mean)``.

    ``d = min(decay, (1 + steps) / (10 + steps))``, so that the start is soon forgotten.

    Parameters
    ----------
    mean, params : dict of str to array
        Average so far, at first the parameters themselves, and parameters after the step.
    decay : float
        Share of the average that a late step keeps.
    steps : int
        Steps taken so far.

    Returns
    -------
    dict of str to array
        The new average.

    Raises
    ------
    ConfigError
        The decay is not from 0 to 1, or the average is not one of these parameters.
    """
    one_number("decay of the average", decay, 0, 1, repair="average(mean, params, 0.999, steps)", kind=ConfigError)
    if mean.keys() != params.keys():
        raise misfit("average", sorted(mean), f"one of {sorted(params)}", "average(params, params, decay, 0)")
    share, new = 1 - min(decay, (1 + steps) / (10 + steps)), {}
    for name, param in params.items():
        new[name] = np.empty(param.shape, param.dtype)
        kernels.approach(flat(name, mean[name], param), param.ravel(), param.dtype.type(share), new[name].reshape(-1))
    return new
