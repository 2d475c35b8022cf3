"""A student that is fed with real values, cut in two: layers that encode, and what the engine can simulate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import NetworkError
from eventsim.training.encode import Encoder
from eventsim.training.layer import Layer, Mode, Params, Shape
from eventsim.training.model import Chain, Model, check_ticks, joined, split
from eventsim.training.signal import Array, Signal, signal, size_of
from eventsim.training.spiking import Spiking
from eventsim.variation import Variation


@dataclass(frozen=True, eq=False)
class Front:
    """The first layers of a model, up to neurons, as an encoder: their spikes are what it gives.

    Parameters
    ----------
    encoder : Encoder
        Of the model, e.g. :class:`~eventsim.training.Direct`.
    chain : Chain
    params : dict of str to array
        Of the chain.
    inputs : tuple of int
        Shape of a sample.
    """

    encoder: Encoder
    chain: Chain
    params: Params
    inputs: Shape

    @property
    def ticks(self) -> int:
        """Ticks that a sample lasts."""
        return self.encoder.ticks

    def prepare(self, x: Array) -> Array:
        """Samples as the model's encoder wants to see them."""
        return self.encoder.prepare(x)

    def drive(self, prepared: Array, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Drive of the neurons; static where that of the encoder is."""
        return self._through(self.chain.layers[:-1], prepared, ids, epoch)

    def __call__(self, prepared: Array, ids: NDArray[np.int64], epoch: int) -> Signal:
        """Spikes, in evaluation; see :class:`~eventsim.training.encode.Encoder`."""
        return self._through(self.chain.layers, prepared, ids, epoch)

    def _through(self, layers: Sequence[Layer], prepared: Array, ids: NDArray[np.int64], epoch: int) -> Signal:
        x, chain = signal(self.encoder(prepared, ids, epoch), self.inputs), Chain(layers)
        mode = Mode(check_ticks(x, self.ticks), kind=np.result_type(np.float32, *self.params.values()))
        own = {name: value for name, value in self.params.items() if name.split("/", 1)[0] in chain.names}
        return chain.forward(own, x, mode).signal

    def on_chip(self, variation: Variation, *, seed: int, chip: int = 0) -> Front:
        """The same layers with drawn neurons; see :meth:`eventsim.Network.on_chip`."""
        *before, last = self.chain.layers
        assert isinstance(last, Spiking)  # where models are cut
        size = size_of(self.chain.shape(self.inputs))
        drawn = last.nominal.draw(size, variation, seed=seed, chip=chip, name="front")
        return replace(self, chain=Chain([*before, replace(last, neurons=drawn)]))


class Parts(NamedTuple):
    """A model, cut in two."""

    encoder: Front
    """What makes spikes of samples."""
    model: Model
    """What makes logits of those spikes."""
    params: Params
    """Of that model."""


def cut(model: Model, params: Params, encoder: Encoder) -> Parts:
    """Cut a model behind its first layer of neurons, so that what follows can be simulated: :func:`to_network`.

    Both parts together are the model: on the encoder's spikes, the second one emits what ``model`` emits in evaluation.

    Parameters
    ----------
    model : Model
    params : dict of str to array
    encoder : Encoder
        That ``model`` was trained with.

    Returns
    -------
    Parts

    Raises
    ------
    NetworkError
        The model has no layer of neurons outside its residual connections, or nothing behind it; or the parameters are
        not those of the model.
    """
    model.check(params)
    first = next((i + 1 for i, layer in enumerate(model.layers) if isinstance(layer, Spiking)), len(model.layers))
    if first == len(model.layers):
        raise NetworkError(
            "The model cannot be cut.",
            given=", ".join(type(layer).__name__ for layer in model.layers),
            expected="neurons as a layer of its own, and a layer behind them",
            repair="Spiking(...) behind the first layer with weights",
        )
    front = Chain(model.layers[:first])
    behind = Model(model.layers[first:], front.shape(model.inputs))
    parts = split(params, model.chain.names)
    own, rest = (joined({str(i): part for i, part in enumerate(some)}) for some in (parts[:first], parts[first:]))
    return Parts(Front(encoder, front, own, model.inputs), behind, rest)
