"""Layers with an explicit forward and backward pass and no state of their own.

A signal is an array of shape (batch, ticks, n). The forward pass sees it tick by tick; the backward pass has no time
axis (RateBP): it carries ``dL/dr``, shape (batch, n), the gradient by the mean of the signal over the ticks. With one
tick and analogue activations this is ordinary backpropagation, and teachers are trained by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsim import keys
from eventsim.device import Devices
from eventsim.errors import NetworkError
from eventsim.kernels.neuron import SKYRMION
from eventsim.kernels.ratebp import mtj_forward
from eventsim.kernels.synapse import drive_from_sums
from eventsim.synapse import largest_level, to_levels

Array = NDArray[np.floating[Any]]
Params = dict[str, Array]


class Layer(Protocol):
    """What a layer of a model does. ``kept`` is whatever its backward pass needs, and nothing else."""

    def initial(self, seed: int, name: str) -> Params:
        """Parameters at the start of training."""

    def forward(self, params: Params, x: Array) -> tuple[Array, Any]:
        """Signal out and ``kept``, from the signal in."""

    def gradients(self, params: Params, kept: Any, grad: Array) -> Params:
        """Gradient by the parameters, from the gradient by the mean output."""

    def backward(self, params: Params, kept: Any, grad: Array) -> Array:
        """Gradient by the mean input, from the gradient by the mean output."""


@dataclass(frozen=True)
class _Affine:
    """A weight of shape (sources, targets) and a bias; He-uniform start."""

    sources: int
    targets: int

    def initial(self, seed: int, name: str) -> Params:
        bound = np.sqrt(6 / self.sources)
        u = keys.uniform(seed, f"{name}/weight", self.sources * self.targets)
        weight = (bound * (2 * u - 1)).reshape(self.sources, self.targets)
        return {"weight": weight.astype(np.float32), "bias": np.zeros(self.targets, np.float32)}


@dataclass(frozen=True)
class Dense(_Affine):
    """Real weights, for teachers: ``y = x W + b``."""

    def forward(self, params: Params, x: Array) -> tuple[Array, Array]:
        return x @ params["weight"] + params["bias"], x.mean(axis=1)

    def gradients(self, params: Params, kept: Array, grad: Array) -> Params:
        return {"weight": kept.T @ grad, "bias": grad.sum(axis=0)}

    def backward(self, params: Params, kept: Array, grad: Array) -> Array:
        return grad @ params["weight"].T


@dataclass(frozen=True)
class Crossbar(_Affine):
    """Weights as conductance levels, for students: ``I = bias + scale * (s @ levels)`` for spikes s.

    The forward pass sees the weights as the devices hold them; the gradient passes straight through the rounding.
    Sums of levels are whole numbers below 2**24, so the matrix product equals the engine's sum over events exactly.

    Parameters
    ----------
    sources, targets : int
    levels : int, optional
        Conductance levels per device of a pair; a fine grid of 14 bits if left out.
    """

    levels: int | None = None

    def __post_init__(self) -> None:
        largest_level(self.sources, self.levels)

    def deployed(self, params: Params) -> tuple[Array, Array]:
        """Levels and scale of the weights as the devices hold them."""
        return to_levels(params["weight"], largest_level(self.sources, self.levels))

    def forward(self, params: Params, x: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        levels, scale = self.deployed(params)
        sums = x.reshape(-1, self.sources) @ levels
        drive = np.empty_like(sums)
        drive_from_sums(sums, scale, params["bias"], drive)
        return drive.reshape(*x.shape[:2], self.targets), (x.mean(axis=1), levels, scale)

    def gradients(self, params: Params, kept: tuple[Array, Array, Array], grad: Array) -> Params:
        return {"weight": kept[0].T @ grad, "bias": grad.sum(axis=0)}

    def backward(self, params: Params, kept: tuple[Array, Array, Array], grad: Array) -> Array:
        _, levels, scale = kept
        return (grad * scale) @ levels.T


class _Parameterless:
    def initial(self, seed: int, name: str) -> Params:
        return {}

    def gradients(self, params: Params, kept: Array, grad: Array) -> Params:
        return {}

    def backward(self, params: Params, kept: Array, grad: Array) -> Array:
        """Multiply by the slope that the forward pass kept."""
        return grad * kept


@dataclass(frozen=True)
class ReLU(_Parameterless):
    """``max(x, 0)``, for teachers."""

    def forward(self, params: Params, x: Array) -> tuple[Array, Array]:
        return np.maximum(x, 0), (x > 0).mean(axis=1, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Spiking(_Parameterless):
    """MTJ neurons with hard reset; keeps ``kappa``, the derivative of the firing rate by a constant shift of drive.

    Parameters
    ----------
    devices : Devices
    sharpness : float
        Of the sigmoid surrogate in units of 1/threshold; its peak slope is a quarter of it.
    detach_reset : bool
        Leave the reset out of the derivative.
    """

    devices: Devices
    sharpness: float = 4.0
    detach_reset: bool = True

    def __post_init__(self) -> None:
        if not 1e-3 <= self.sharpness <= 1e3:
            raise NetworkError(
                "The sharpness of the surrogate is not usable.",
                given=self.sharpness,
                expected="0.001 to 1000",
                repair="sharpness=4.0",
            )
        model = self.devices.nominal.model
        if model != (SKYRMION, False, 0) or self.devices.varies:
            raise NetworkError(
                "These neurons cannot be trained.",
                given=f"{self.devices.nominal}" + " with cycle-to-cycle variation" * self.devices.varies,
                expected="MTJ neurons with hard reset, no refractory time and no cycle-to-cycle variation",
                repair="MTJ().identical(n)",
            )

    def forward(self, params: Params, x: Array) -> tuple[Array, Array]:
        spikes = np.empty_like(x)
        kappa = np.empty((x.shape[0], x.shape[2]), x.dtype)
        devices = self.devices.arrays(x.dtype)
        mtj_forward(np.ascontiguousarray(x), devices, self.sharpness, self.detach_reset, False, spikes, kappa)
        return spikes, kappa
