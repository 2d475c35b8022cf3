"""Optimisers as pure functions of (parameters, gradient, state)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eventsim.training.layer import Params


class AdamState(NamedTuple):
    """Steps taken, and running means of the gradient and of its square."""

    steps: int
    mean: Params
    square: Params


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), with decoupled weight decay (AdamW, Loshchilov and Hutter 2019).

    Parameters
    ----------
    decay : float
        Share of a weight that one step takes off, over its learning rate; biases are spared. In a network of MTJs it
        keeps the drive, and with it the energy, low.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0

    def start(self, params: Params) -> AdamState:
        """State before the first step."""
        zeros = {name: np.zeros_like(value) for name, value in params.items()}
        return AdamState(0, zeros, {name: np.zeros_like(value) for name, value in params.items()})

    def step(self, params: Params, grads: Params, state: AdamState, rate: float) -> tuple[Params, AdamState]:
        """New parameters and state after one step of the given learning rate."""
        steps = state.steps + 1
        b1, b2 = np.float32(self.beta1), np.float32(self.beta2)
        mean: Params = {k: b1 * state.mean[k] + (1 - b1) * g for k, g in grads.items()}
        square: Params = {k: b2 * state.square[k] + (1 - b2) * g * g for k, g in grads.items()}
        size = np.float32(rate * math.sqrt(1 - self.beta2**steps) / (1 - self.beta1**steps))
        epsilon = np.float32(self.epsilon)
        kept = np.float32(1 - rate * self.decay)
        new: Params = {
            k: (kept * p if p.ndim > 1 else p) - size * mean[k] / (np.sqrt(square[k]) + epsilon)
            for k, p in params.items()
        }
        return new, AdamState(steps, mean, square)


def cosine(done: float) -> float:
    """Learning rate over its start after the fraction ``done`` of training: from 1 to 0 along a cosine."""
    return 0.5 * (1 + math.cos(math.pi * done))
