"""From a trained model to the network that the engine runs."""

from __future__ import annotations

from eventsim import connection
from eventsim.errors import NetworkError
from eventsim.network import Network, Projection
from eventsim.population import AnyPopulation, Population, Readout, Source
from eventsim.training.layer import Params
from eventsim.training.linear import Dense
from eventsim.training.model import Model, split
from eventsim.training.spiking import Spiking


def to_network(model: Model, params: Params) -> Network:
    """The network that the engine runs: it emits, spike for spike, what ``model`` emits in its forward pass.

    Populations are named ``input``, ``hidden1``, ``hidden2``, ... and ``readout``.

    Raises
    ------
    NetworkError
        The model is no chain of dense layers of conductance levels with spiking layers between them.
    """
    weighted, neurons = model.layers[::2], model.layers[1::2]
    fits = all(isinstance(layer, Dense) and layer.grid is not None and layer.bias for layer in weighted)
    if not fits or not all(isinstance(layer, Spiking) for layer in neurons):
        raise NetworkError(
            "The model cannot be deployed.",
            given=" - ".join(type(layer).__name__ for layer in model.layers),
            expected="Dense - Spiking - ... - Dense, with a grid of conductance levels",
            repair="build it with eventsim.training.mtj_mlp",
        )
    names = ["input", *(f"hidden{i + 1}" for i in range(len(neurons))), "readout"]
    populations: list[AnyPopulation] = [Source("input", model.inputs[0])]
    projections = []
    parts = split(params, len(model.layers))
    for i, (dense, name) in enumerate(zip(weighted, names[1:], strict=True)):
        assert isinstance(dense, Dense)
        levels, scale = dense.deployed(parts[2 * i])
        bias = parts[2 * i]["bias"]
        layer = neurons[i] if i < len(neurons) else None
        if isinstance(layer, Spiking):
            populations.append(Population(name, layer.devices(dense.targets), bias, update="sweep"))
        else:
            populations.append(Readout(name, dense.targets, bias))
        projections.append(Projection(names[i], name, connection.Dense(levels, scale)))
    return Network(populations, projections)
