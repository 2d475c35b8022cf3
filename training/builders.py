"""Models by name: networks of MTJ neurons for students, of rectified units for teachers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from eventsim.device import Devices, Neuron
from eventsim.errors import NetworkError
from eventsim.models import MTJ
from eventsim.training.layer import Layer
from eventsim.training.linear import Dense, Grid
from eventsim.training.model import Model
from eventsim.training.shaping import ReLU
from eventsim.training.spiking import Spiking


def relu_mlp(sizes: Sequence[int]) -> Model:
    """Fully connected network of ReLU units, ``sizes`` from inputs to classes."""
    layers: list[Layer] = []
    for sources, targets in pairwise(sizes):
        layers += [Dense(sources, targets), ReLU()]
    return Model(layers[:-1], (sizes[0],))


def mtj_mlp(
    sizes: Sequence[int],
    *,
    neuron: Neuron | None = None,
    devices: Sequence[Devices] | None = None,
    levels: int | None = None,
    sharpness: float = 4.0,
) -> Model:
    """Fully connected network of MTJ neurons with a readout of column currents.

    Parameters
    ----------
    sizes : sequence of int
        From inputs to classes.
    neuron : Neuron, optional
        The device, where ``devices`` are left out.
    devices : sequence of Devices, optional
        Devices of each hidden layer; all like ``neuron`` if left out.
    levels : int, optional
        Conductance levels per device; the fine grid if left out.
    sharpness : float
        Of the sigmoid surrogate, in units of 1/threshold.

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
    grid = Grid(levels)
    layers: list[Layer] = []
    for i, (sources, targets) in enumerate(pairwise(sizes[:-1])):
        neurons = (neuron or MTJ()) if devices is None else devices[i]
        layers += [Dense(sources, targets, grid=grid), Spiking(neurons, "sigmoid", sharpness)]
    return Model([*layers, Dense(sizes[-2], sizes[-1], grid=grid)], (sizes[0],))
