"""From a trained model to the network that the engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from eventsim.connection import Connection, pooling
from eventsim.errors import NetworkError
from eventsim.events import Events
from eventsim.network import Network, Projection
from eventsim.population import AnyPopulation, Population, Readout, Relay, Source
from eventsim.training.layer import Layer, Mode, Params, Shape
from eventsim.training.linear import Conv, Dense
from eventsim.training.model import Chain, Model, split
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.residual import BRANCHES, Residual
from eventsim.training.shaping import Dropout, Flatten
from eventsim.training.signal import Signal, size_of
from eventsim.training.spiking import Spiking
from eventsim.training.wiring import Incoming, Wire, channels_first, each_neuron, into_sum, to_engine


def to_network(model: Model, params: Params) -> Network:
    """The network that the engine runs: it emits, spike for spike, what ``model`` emits in evaluation.

    Populations are named ``input``, ``hidden1``, ``hidden2``, ... in the order of :meth:`Model.spikes`, and
    ``readout``; ``pool1``, ... and ``sum1``, ... are relays, for the maximum over windows and for sums of spikes.
    Neurons of an image are numbered (channel, y, x), those of a signal (channel, x): see :func:`to_events`.

    A normalisation becomes the scale of the synapses before it and the bias of the neurons behind it, the share of an
    average a factor of the scale behind it: scale and bias are those of the model's own signals.

    Raises
    ------
    NetworkError
        A layer has no counterpart in the engine; it is named. Or the parameters are not those of the model.
    """
    model.check(params)
    model, params = model.bare(params)
    if any(value.dtype != np.float32 for value in params.values()):
        raise NetworkError(
            "The parameters cannot be deployed.",
            given="arrays of float64",
            expected="float32, in which the engine computes",
            repair="{name: value.astype(np.float32) for name, value in params.items()}",
        )
    return _Deployment(model, params).network


def to_events(model: Model, x: ArrayLike | Signal) -> Events:
    """Spikes of a batch as events of the population ``input`` of :func:`to_network`.

    Raises
    ------
    DataError
        The batch does not fit the model.
    EventsError
        Values other than 0 and 1.
    """
    return Events.from_frames(channels_first(model.signal(x).values))


@dataclass(frozen=True)
class _Spikes:
    """A signal of spikes or counts, of one silent sample, and where it comes from."""

    signal: Signal
    wire: Wire

    @property
    def currents(self) -> _Currents:
        """The same as a current, as neurons or the readout take it."""
        return _Currents(self.signal, (Incoming(self.wire, self.signal),))


@dataclass(frozen=True)
class _Currents:
    """A signal of currents, and what they are the sum of, in the order of addition."""

    signal: Signal
    incoming: tuple[Incoming, ...]


_Stream = _Spikes | _Currents


class _Deployment:
    """Walks through a model with one silent sample, whose signals carry scales and biases, and notes what is needed."""

    def __init__(self, model: Model, params: Params) -> None:
        self.populations: list[AnyPopulation] = [Source("input", size_of(model.inputs))]
        self.projections: list[Projection] = []
        x = self.chain(model.chain, params, _silent("input", model.inputs), "")
        x = x.currents if isinstance(x, _Spikes) else x
        bias = _bias(x.signal, (model.classes,))
        self.arrive(Readout("readout", model.classes, bias), x.incoming, (model.classes,))
        self.network = Network(self.populations, self.projections)

    def chain(self, chain: Chain, params: Params, x: _Stream, place: str) -> _Stream:
        """What a chain makes of its input."""
        for name, layer, own in zip(chain.names, chain.layers, split(params, chain.names), strict=True):
            x = self.through(layer, own, x, f"{place}/{name}" if place else name)
        return x

    def through(self, layer: Layer, params: Params, x: _Stream, place: str) -> _Stream:
        """What a layer makes of its input."""
        match layer:
            case Chain():
                return self.chain(layer, params, x, place)
            case Residual():
                return self.residual(layer, params, x, place)
            case Dense() | Conv():
                return _weighted(layer, params, x, place)
            case BatchNorm():
                return _normalised(layer, params, x, place)
            case Spiking():
                return self.neurons(layer, x)
            case AvgPool() | GlobalPool() | Flatten():
                return _viewed(layer, x, place)
            case MaxPool():
                return self.largest(layer, x, place)
            case Dropout():
                return x
        raise _refusal(
            layer, place, "it has no counterpart in the engine", "layers of the spiking kind", "Spiking(...) instead"
        )

    def neurons(self, layer: Spiking, x: _Stream) -> _Spikes:
        """A population under the currents that have come together."""
        x = x.currents if isinstance(x, _Spikes) else x
        shape = x.signal.values.shape[2:]
        name = f"hidden{sum(isinstance(p, Population) for p in self.populations) + 1}"
        devices = to_engine(layer.devices(size_of(shape)), shape)
        self.arrive(Population(name, devices, _bias(x.signal, shape), update="sweep"), x.incoming, shape)
        return _silent(name, shape)

    def arrive(self, population: Population | Readout, incoming: Sequence[Incoming], shape: Shape) -> None:
        """Add a population and the projections into it, in the order in which the engine adds their drives."""
        self.populations.append(population)
        for part in incoming:
            self.project(part.wire.population, population.name, part.synapses(shape))

    def project(self, source: str, target: str, synapses: Connection) -> None:
        """Add a projection, under a name of its own."""
        name = f"{source} -> {target}"
        twins = sum(p.source == source and p.target == target for p in self.projections)
        self.projections.append(Projection(source, target, synapses, name=f"{name} ({twins + 1})" if twins else name))

    def relay(self, kind: str, size: int) -> str:
        """Add a relay; returns its name."""
        name = f"{kind}{sum(p.name.startswith(kind) for p in self.populations) + 1}"
        self.populations.append(Relay(name, size))
        return name

    def largest(self, layer: MaxPool, x: _Stream, place: str) -> _Spikes:
        """A relay that spikes where there is a spike in its window."""
        if isinstance(x, _Currents) or not x.wire.plain:
            expected, repair = "single spikes as its input", "Spiking(...) right before it, or AvgPool instead"
            raise _refusal(layer, place, "its input is no spike", expected, repair)
        signal = layer.forward({}, x.signal, Mode()).signal
        shape = signal.values.shape[2:]
        name = self.relay("pool", size_of(shape))
        self.project(x.wire.population, name, pooling(x.wire.engine_shape, layer.size, layer.step, scale=1))
        return _Spikes(signal, Wire(name, shape))

    def residual(self, layer: Residual, params: Params, x: _Stream, place: str) -> _Stream:
        """Currents that arrive together, or a relay that holds the spikes of both branches side by side."""
        parts = zip(BRANCHES, layer.chains, split(params, BRANCHES), strict=True)
        main, shortcut = (self.chain(chain, own, x, f"{place}/{branch}") for branch, chain, own in parts)
        signal = layer.added(main.signal, shortcut.signal, Mode())
        if layer.add == "spike" and isinstance(main, _Spikes) and isinstance(shortcut, _Spikes):
            return self.spike_sum(layer, main.wire, shortcut.wire, signal, place)
        main, shortcut = (branch.currents if isinstance(branch, _Spikes) else branch for branch in (main, shortcut))
        if len(shortcut.incoming) > 1:
            expected = "sums within the main branch: the engine adds one projection after the other"
            raise _refusal(layer, place, "its shortcut is a sum of its own", expected, "main and shortcut exchanged")
        return _Currents(signal, main.incoming + shortcut.incoming)

    def spike_sum(self, layer: Residual, one: Wire, two: Wire, signal: Signal, place: str) -> _Spikes:
        """A relay with a part for each of the spikes that are counted together: sums over them stay whole."""
        if not (signal.whole and replace(one, parts=1).plain and replace(two, parts=1).plain):
            expected, repair = "spikes of neurons from both branches", "Spiking(...) behind the pooling"
            raise _refusal(layer, place, "it adds pooled spikes", expected, repair)
        sum_ = Wire("", one.shape, one.parts + two.parts)
        sum_ = replace(sum_, population=self.relay("sum", sum_.parts * size_of(one.shape)))
        self.project(one.population, sum_.population, into_sum(one, 0, sum_.parts))
        self.project(two.population, sum_.population, into_sum(two, one.parts, sum_.parts))
        return _Spikes(signal, sum_)


def _silent(population: str, shape: Shape) -> _Spikes:
    return _Spikes(Signal(np.zeros((1, 1, *shape), np.uint8), most=1), Wire(population, shape))


def _bias(signal: Signal, shape: Shape) -> ArrayLike | None:
    return None if signal.bias is None else each_neuron(signal.line(np.float32)[1][0], shape)


def _weighted(layer: Dense | Conv, params: Params, x: _Stream, place: str) -> _Currents:
    """A sum of levels over a wire."""
    if isinstance(x, _Currents):
        raise _refusal(layer, place, "its input are currents", "spikes as its input", "Spiking(...) before it")
    if layer.grid is None:
        expected, repair = "a grid of conductance levels, whose sums are exact", "grid=Grid(), or Grid(levels=16)"
        raise _refusal(layer, place, "its weights are real numbers", expected, repair)
    signal = layer.forward(params, x.signal, Mode()).signal
    levels, _ = layer.deployed(params, x.signal.most)
    return _Currents(signal, (Incoming(x.wire, signal, layer, levels),))


def _normalised(layer: BatchNorm, params: Params, x: _Stream, place: str) -> _Currents:
    """Another line of the same sum."""
    x = x.currents if isinstance(x, _Spikes) else x
    if len(x.incoming) > 1:
        expected, repair = "a single sum", "BatchNorm(...) as the last layer of each branch"
        raise _refusal(layer, place, "its input has come together from two branches", expected, repair)
    signal = layer.forward(params, x.signal, Mode()).signal
    return _Currents(signal, (x.incoming[0]._replace(signal=signal),))


def _viewed(layer: AvgPool | GlobalPool | Flatten, x: _Stream, place: str) -> _Stream:
    """Another view of the same neurons."""
    shape = x.signal.values.shape[2:]
    if isinstance(layer, Flatten) and len(shape) == 1:
        return x
    if isinstance(x, _Currents):
        raise _refusal(layer, place, "its input are currents", "spikes as its input", "Spiking(...) before it")
    signal = layer.forward({}, x.signal, Mode()).signal
    if not isinstance(layer, AvgPool):
        return _Spikes(signal, replace(x.wire, flat="flatten" if isinstance(layer, Flatten) else "global"))
    if layer.step != layer.size:
        expected = "windows side by side"
        raise _refusal(layer, place, "its windows overlap or leave gaps", expected, f"AvgPool({layer.size})")
    return _Spikes(signal, replace(x.wire, pool=x.wire.pool * layer.size))


def _refusal(layer: object, place: str, why: str, expected: str, repair: str) -> NetworkError:
    return NetworkError(
        f"The model cannot be deployed: layer {place}.", given=f"{layer}: {why}", expected=expected, repair=repair
    )
