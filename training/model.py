"""Models: chains of layers, and chains within chains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.errors import ConfigError, NetworkError
from eventsim.kernels.spiking import time_mean
from eventsim.parallel import ALONE, Workers
from eventsim.training.layer import Back, Layer, Mode, Params, Shape, Step
from eventsim.training.signal import Array, Signal, signal


@dataclass(frozen=True)
class Chain:
    """Layers one after the other; their parameters are named ``<position>/<parameter>``.

    Parameters
    ----------
    layers : sequence of Layer
    """

    layers: Sequence[Layer]

    @property
    def names(self) -> list[str]:
        """What the parameters of each layer begin with."""
        return [str(i) for i in range(len(self.layers))]

    def shape(self, shape: Shape) -> Shape:
        for i, layer in enumerate(self.layers):
            try:
                shape = layer.shape(shape)
            except NetworkError as error:
                before = f"after {self.layers[i - 1]}" if i else "first in its chain"
                error.add_note(f"layer {i}, {before}")
                raise
        return shape

    def initial(self, seed: int, name: str) -> Params:
        return joined({str(i): layer.initial(seed, f"{name}/{i}") for i, layer in enumerate(self.layers)})

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        kept, moved, rates, spikes = [], {}, {}, {}
        for i, (layer, own) in enumerate(zip(self.layers, split(params, self.names), strict=True)):
            step = layer.forward(own, x, mode.within(str(i)))
            x = step.signal
            kept.append(step.kept)
            moved[str(i)] = step.moved
            rates.update(step.rates)
            spikes.update(step.spikes)
        return Step(x, kept, joined(moved), rates, spikes)

    def backward(self, params: Params, kept: list[Any], grad: Array, mode: Mode, inner: bool) -> Back:
        parts, grads = split(params, self.names), {}
        back = Back(grad)
        for i in reversed(range(len(self.layers))):
            assert back.grad is not None
            back = self.layers[i].backward(parts[i], kept[i], back.grad, mode.within(str(i)), inner or i > 0)
            grads[str(i)] = back.params
        return Back(back.grad, joined(grads))


def split(params: Params, names: Sequence[str]) -> list[Params]:
    """Parameters of each of the parts that have these names."""
    parts: dict[str, Params] = {name: {} for name in names}
    for name, value in params.items():
        part, own = name.split("/", 1)
        parts[part][own] = value
    return list(parts.values())


def joined(parts: dict[str, Params]) -> Params:
    """Parameters of a whole, from those of its parts."""
    return {f"{layer}/{name}": value for layer, part in parts.items() for name, value in part.items()}


class Pass(NamedTuple):
    """A forward pass of a model."""

    logits: Array
    """Shape (batch, classes): means over the ticks."""
    ticks: int
    """Ticks that the last layer tells apart."""
    kept: list[Any]
    moved: Params
    """Running statistics as the batch moved them."""
    rates: dict[str, float]
    """Mean spikes per neuron and tick, of each spiking layer."""
    spikes: dict[str, NDArray[np.uint8]]
    """Spikes of each, where the mode asks for them."""


def check_ticks(x: Signal, ticks: int | None) -> int:
    """Number of ticks of a pass; raises :class:`ConfigError` if it is none, or not that of the signal."""
    wanted = x.ticks if ticks is None else ticks
    if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer) or wanted < 1 or x.ticks not in (1, wanted):
        raise ConfigError(
            "The number of ticks is not usable.",
            given=f"ticks={ticks} for a signal of {x.ticks}",
            expected="at least 1, and as many as the signal has unless it is static",
            repair=f"ticks={max(x.ticks, 4) if x.ticks == 1 else x.ticks}",
        )
    return int(wanted)


@dataclass(frozen=True)
class Model:
    """A chain of layers for samples of one shape; parameters are a value beside it.

    Parameters
    ----------
    layers : sequence of Layer
        The last one gives the logits, as their mean over the ticks.
    inputs : tuple of int
        Shape of a sample: (n,), (length, channels) or (height, width, channels).

    Raises
    ------
    NetworkError
        Two layers that do not fit; both are named.
    """

    layers: Sequence[Layer]
    inputs: Shape
    classes: int = field(init=False)

    def __post_init__(self) -> None:
        layers = tuple(self.layers) if isinstance(self.layers, Sequence) else ()
        inputs = tuple(self.inputs) if isinstance(self.inputs, Sequence) else ()
        whole = all(isinstance(n, int | np.integer) and n >= 1 for n in inputs)
        if (
            not layers
            or not whole
            or not inputs
            or any(isinstance(x, type) or not hasattr(x, "forward") for x in layers)
        ):
            raise NetworkError(
                "The model is not usable.",
                given=f"layers {self.layers!r}, inputs {self.inputs!r}",
                expected="layers in a list, at least one, and the shape of a sample: whole numbers from 1",
                repair="Model([Dense(784, 10)], (784,))",
            )
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "inputs", tuple(int(n) for n in inputs))
        shape = self.chain.shape(self.inputs)
        if len(shape) != 1:
            raise NetworkError(
                "The model gives no logits.",
                given=f"samples of shape {shape} from {self.layers[-1]}",
                expected="(classes,)",
                repair="Flatten() and Dense(...) behind it",
            )
        object.__setattr__(self, "classes", shape[0])

    @property
    def chain(self) -> Chain:
        """The layers."""
        return Chain(self.layers)

    def initial(self, seed: int, name: str = "model") -> Params:
        """Parameters and running statistics at the start; models of other names start from other numbers."""
        return self.chain.initial(seed, f"initial/{name}")

    def signal(self, x: ArrayLike | Signal) -> Signal:
        """Return a batch as a signal if it fits; see :func:`eventsim.training.signal.signal`."""
        return signal(x, self.inputs)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        """Shape of every parameter and running statistic."""
        return {name: value.shape for name, value in self.initial(0).items()}

    def check(self, params: Params) -> None:
        """Refuse parameters that are not those of the model, or not of one type, with :class:`NetworkError`."""
        wanted = self._shapes
        unlike = [name for name in {**wanted, **params} if name not in params or wanted.get(name) != params[name].shape]
        kinds = {value.dtype for value in params.values()}
        if unlike or len(kinds) > 1 or not kinds <= {np.dtype(np.float32), np.dtype(np.float64)}:
            raise NetworkError(
                "The parameters are not those of the model.",
                given=f"{', '.join(unlike[:3])}: missing, not known, or of another shape"
                if unlike
                else f"types {kinds}",
                expected=f"{len(wanted)} arrays of one float type, named and shaped as in model.initial(seed)",
                repair="the parameters that were trained with this model",
            )

    def logits(
        self, params: Params, x: ArrayLike | Signal, ticks: int | None = None, workers: Workers = ALONE
    ) -> Array:
        """Logits of a batch in evaluation, shape (batch, classes)."""
        self.check(params)
        x = self.signal(x)
        return self.forward(params, x, Mode(check_ticks(x, ticks), workers=workers)).logits

    def spikes(self, params: Params, x: ArrayLike | Signal, ticks: int | None = None) -> list[NDArray[np.uint8]]:
        """Output of every spiking layer in evaluation, shape (batch, ticks, ...) each."""
        self.check(params)
        x = self.signal(x)
        return list(self.forward(params, x, Mode(check_ticks(x, ticks), watch=True)).spikes.values())

    def forward(self, params: Params, x: Signal, mode: Mode) -> Pass:
        """A pass in any mode."""
        mode = mode._replace(kind=np.result_type(np.float32, *params.values()))
        step = self.chain.forward(params, x, mode)
        rows = np.ascontiguousarray(step.signal.plain(mode.kind))
        logits = np.empty((len(rows), rows.shape[2]), rows.dtype)
        time_mean(rows, logits)
        return Pass(logits, rows.shape[1], step.kept, step.moved, step.rates, step.spikes)

    def backward(self, params: Params, forward: Pass, grad: Array, mode: Mode) -> Params:
        """Gradient by the parameters, from the gradient by the logits."""
        ticks = forward.ticks if mode.method == "bptt" else 1
        each = np.repeat((grad / grad.dtype.type(ticks))[:, None], ticks, axis=1)
        return self.chain.backward(params, forward.kept, each, mode, False).params
