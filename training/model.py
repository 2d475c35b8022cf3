"""Models as chains of layers; students become networks of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from eventsim import connection
from eventsim.device import Devices
from eventsim.errors import NetworkError
from eventsim.kernels.ratebp import time_mean
from eventsim.models import MTJ
from eventsim.network import Network, Projection
from eventsim.population import AnyPopulation, Population, Readout, Source
from eventsim.training.layers import Array, Crossbar, Dense, Layer, Params, ReLU, Spiking


class Pass(NamedTuple):
    """One forward pass: the logits, shape (batch, classes), and what each layer kept for the backward pass."""

    logits: Array
    kept: list[Any]


@dataclass(frozen=True, eq=False)
class Model:
    """A chain of layers; parameters are a value beside it, named ``<position>/<parameter>``.

    Parameters
    ----------
    layers : sequence of Layer
        The last one gives the logits, as their mean over the ticks.
    """

    layers: Sequence[Layer]

    def initial(self, seed: int, name: str = "model") -> Params:
        """Parameters at the start of training; models of other names start from other numbers."""
        return _joined([layer.initial(seed, f"initial/{name}/{i}") for i, layer in enumerate(self.layers)])

    def split(self, params: Params) -> list[Params]:
        """Parameters of each layer."""
        parts: list[Params] = [{} for _ in self.layers]
        for name, value in params.items():
            layer, own = name.split("/")
            parts[int(layer)][own] = value
        return parts

    def forward(self, params: Params, x: Array) -> Pass:
        """Logits of a batch of signals, shape (batch, ticks, n)."""
        kept = []
        for layer, own in zip(self.layers, self.split(params), strict=True):
            x, keep = layer.forward(own, x)
            kept.append(keep)
        logits = np.empty((x.shape[0], x.shape[2]), x.dtype)
        time_mean(np.ascontiguousarray(x), logits)
        return Pass(logits, kept)

    def backward(self, params: Params, kept: list[Any], grad: Array) -> Params:
        """Gradient by the parameters, from the gradient by the logits."""
        parts = self.split(params)
        grads: list[Params] = [{} for _ in self.layers]
        for i in reversed(range(len(self.layers))):
            grads[i] = self.layers[i].gradients(parts[i], kept[i], grad)
            if i:
                grad = self.layers[i].backward(parts[i], kept[i], grad)
        return _joined(grads)

    def spikes(self, params: Params, x: Array) -> list[Array]:
        """Output of every spiking layer for a batch of signals, each of shape (batch, ticks, n)."""
        outputs = []
        for layer, own in zip(self.layers, self.split(params), strict=True):
            x, _ = layer.forward(own, x)
            if isinstance(layer, Spiking):
                outputs.append(x)
        return outputs


def _joined(parts: list[Params]) -> Params:
    return {f"{i}/{name}": value for i, part in enumerate(parts) for name, value in part.items()}


def relu_mlp(sizes: Sequence[int]) -> Model:
    """Fully connected network of ReLU units, ``sizes`` from inputs to classes."""
    layers: list[Layer] = []
    for sources, targets in pairwise(sizes):
        layers += [Dense(sources, targets), ReLU()]
    return Model(layers[:-1])


def mtj_mlp(
    sizes: Sequence[int],
    *,
    neuron: MTJ | None = None,
    devices: Sequence[Devices] | None = None,
    levels: int | None = None,
    sharpness: float = 4.0,
) -> Model:
    """Fully connected network of MTJ neurons with a readout of column currents.

    Parameters
    ----------
    sizes : sequence of int
        From inputs to classes.
    neuron : MTJ, optional
        The device, where ``devices`` are left out.
    devices : sequence of Devices, optional
        Devices of each hidden layer; all like ``neuron`` if left out.
    levels : int, optional
        Conductance levels per device; the fine grid if left out.
    sharpness : float
        Of the surrogate, in units of 1/threshold.

    Raises
    ------
    NetworkError
        Sizes, levels or sharpness that are not usable.
    """
    if len(sizes) < 2 or min(sizes) < 1 or (devices is not None and [len(row) for row in devices] != [*sizes[1:-1]]):
        raise NetworkError(
            "The sizes do not make a network.",
            given=f"sizes {tuple(sizes)}" + ("" if devices is None else f", rows of {[len(row) for row in devices]}"),
            expected="inputs, hidden sizes and classes, each at least 1, and devices for each hidden neuron",
            repair="mtj_mlp((784, 100, 10))",
        )
    if devices is None:
        devices = [(neuron or MTJ()).identical(size) for size in sizes[1:-1]]
    layers: list[Layer] = []
    for sources, row in zip(sizes[:-2], devices, strict=True):
        layers += [Crossbar(sources, len(row), levels), Spiking(row, sharpness)]
    return Model([*layers, Crossbar(sizes[-2], sizes[-1], levels)])


def to_network(model: Model, params: Params) -> Network:
    """The network that the engine runs: it emits, spike for spike, what ``model`` emits in its forward pass.

    Populations are named ``input``, ``hidden1``, ``hidden2``, ... and ``readout``.

    Raises
    ------
    NetworkError
        The model is no chain of crossbars with MTJ neurons between them.
    """
    crossbars, neurons = model.layers[::2], model.layers[1::2]
    if not all(isinstance(layer, Crossbar) for layer in crossbars) or not all(
        isinstance(layer, Spiking) for layer in neurons
    ):
        raise NetworkError(
            "The model cannot be deployed.",
            given=" - ".join(type(layer).__name__ for layer in model.layers),
            expected="Crossbar - Spiking - ... - Crossbar",
            repair="build it with eventsim.training.mtj_mlp",
        )
    names = ["input", *(f"hidden{i + 1}" for i in range(len(neurons))), "readout"]
    populations: list[AnyPopulation] = [Source("input", crossbars[0].sources)]  # type: ignore[attr-defined]
    projections = []
    parts = model.split(params)
    for i, (crossbar, name) in enumerate(zip(crossbars, names[1:], strict=True)):
        assert isinstance(crossbar, Crossbar)
        levels, scale = crossbar.deployed(parts[2 * i])
        bias = parts[2 * i]["bias"]
        layer = neurons[i] if i < len(neurons) else None
        if isinstance(layer, Spiking):
            populations.append(Population(name, layer.devices, bias, update="sweep"))
        else:
            populations.append(Readout(name, crossbar.targets, bias))
        projections.append(Projection(names[i], name, connection.Dense(levels, scale)))
    return Network(populations, projections)
