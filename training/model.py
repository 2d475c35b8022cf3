"""Models: chains of layers, and chains within chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import is_whole, made
from eventsim.errors import ConfigError, NetworkError
from eventsim.kernels.spiking import time_mean
from eventsim.parallel import ALONE, Workers
from eventsim.training.layer import Back, Layer, Method, Mode, Params, Shape, Step, into
from eventsim.training.produced import Produced, Slopes
from eventsim.training.signal import Array, Signal, signal

_HEADS = "heads/"


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
                raise error.within(f"layer {i}, {before}") from None
        return shape

    def initial(self, seed: int, name: str) -> Params:
        return joined({str(i): layer.initial(seed, f"{name}/{i}") for i, layer in enumerate(self.layers)})

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        kept, moved, rates, spikes, tapped = [], {}, {}, {}, {}
        for i, (layer, own) in enumerate(zip(self.layers, split(params, self.names), strict=True)):
            within = mode.within(str(i))
            if into(within.place) in mode.taps:
                tapped[into(within.place)] = mode.rate(x)
            step = layer.forward(own, x, within)
            x = step.signal
            tapped.update(step.tapped)
            if within.place in mode.taps:
                tapped[within.place] = mode.rate(x)
            kept.append(step.kept)
            moved[str(i)] = step.moved
            rates.update(step.rates)
            spikes.update(step.spikes)
        return Step(x, kept, joined(moved), rates, spikes, tapped)

    def backward(self, params: Params, kept: list[Any], grad: Array, mode: Mode, inner: bool) -> Back:
        parts, grads = split(params, self.names), {}
        back = Back(grad)
        for i in reversed(range(len(self.layers))):
            assert back.grad is not None
            within, slope = mode.within(str(i)), back.grad
            more = mode.slopes.get(within.place)
            if more is not None:  # each tick has its share of the mean
                slope = slope + (more / more.dtype.type(slope.shape[1]))[:, None]
            back = self.layers[i].backward(parts[i], kept[i], slope, within, inner or i > 0)
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

    produced: Produced
    kept: Any
    moved: Params
    """Running statistics as the batch moved them."""
    rates: dict[str, float]
    """Mean spikes per neuron and tick, of each spiking layer."""
    spikes: dict[str, NDArray[np.uint8]]
    """Spikes of each, where the mode asks for them."""

    @property
    def logits(self) -> Array:
        """Shape (batch, classes): means over the ticks."""
        return self.produced.logits


class _Kept(NamedTuple):
    chain: list[Any]
    heads: dict[str, Any]


@dataclass(frozen=True)
class Head:
    """Layers that see the mean over the ticks of a layer of the model, in training only.

    What they give is an output for objectives: the logits of a branch, or a map to be compared with a teacher's.

    Parameters
    ----------
    at : str
        Place of the layer that they look at, such as ``"5"``.
    layers : sequence of Layer
    """

    at: str
    layers: Sequence[Layer]

    @property
    def chain(self) -> Chain:
        """The layers."""
        return Chain(self.layers)


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
    heads : mapping of str to Head
        Layers beside the chain that take part in training only; :meth:`bare` takes them off.

    Raises
    ------
    NetworkError
        Two layers that do not fit; both are named. A head that looks at no layer.
    """

    layers: Sequence[Layer]
    inputs: Shape
    heads: Mapping[str, Head] = field(default_factory=dict)
    classes: int = field(init=False)

    def __post_init__(self) -> None:
        layers = tuple(self.layers) if isinstance(self.layers, Sequence) else ()
        inputs = tuple(self.inputs) if isinstance(self.inputs, Sequence) else ()
        whole = all(is_whole(n) and n >= 1 for n in inputs)
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
        made("heads", self.heads, Mapping, repair='heads={"branch_1": Head("5", layers)}', kind=NetworkError)
        object.__setattr__(self, "heads", dict(self.heads))
        for name, head in self.heads.items():
            formed = isinstance(head, Head) and isinstance(head.layers, Sequence)
            if not (isinstance(name, str) and name.isidentifier() and formed):
                raise NetworkError(
                    "A head is not usable.",
                    given=f"{name!r}: {head!r}",
                    expected="a name of letters, digits and underscores, and a Head with its layers in a list",
                    repair='heads={"branch_1": Head("5", layers)}',
                )
            head.chain.shape(self.shape_at(head.at))

    def shape_at(self, place: str) -> Shape:
        """Shape of what a layer gives for a sample; raises :class:`NetworkError` if there is no such layer."""
        shape = self.inputs
        for i, layer in enumerate(self.layers):
            shape = layer.shape(shape)
            if place == str(i):
                return shape
        raise NetworkError(
            "There is no such layer.",
            given=repr(place),
            expected=f'its number in the chain, "0" to "{len(self.layers) - 1}"',
            repair="the number of the last layer of a stage",
        )

    @property
    def chain(self) -> Chain:
        """The layers."""
        return Chain(self.layers)

    def initial(self, seed: int, name: str = "model") -> Params:
        """Parameters and running statistics at the start; models of other names start from other numbers."""
        params = self.chain.initial(seed, f"initial/{name}")
        for head, one in self.heads.items():
            params |= joined({_path(head): one.chain.initial(seed, f"initial/{name}/{head}")})
        return params

    def outputs(self, names: Iterable[str]) -> frozenset[str]:
        """Places of layers among names of outputs; raises :class:`NetworkError` for one that is no head's either."""
        places = frozenset(name for name in names if name not in self.heads)
        for place in sorted(places):
            self.shape_at(place)
        return places

    def signal(self, x: ArrayLike | Signal) -> Signal:
        """Return a batch as a signal if it fits; see :func:`eventsim.training.signal.signal`."""
        return signal(x, self.inputs)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        """Shape of every parameter and running statistic."""
        return {name: value.shape for name, value in self.initial(0).items()}

    def check(self, params: Params) -> None:
        """Refuse parameters that are not those of the model, or not of one type, with :class:`NetworkError`."""
        made("params", params, Mapping, repair="params=model.initial(seed)", kind=NetworkError)
        wanted = self._shapes
        unlike = [
            name
            for name in {**wanted, **params}
            if name not in wanted or wanted[name] != getattr(params.get(name), "shape", None)
        ]
        kinds = {value.dtype for value in params.values() if isinstance(value, np.ndarray)}
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
        """A pass in any mode; heads take part in training."""
        mode = mode._replace(kind=np.result_type(np.float32, *params.values()))
        if not x.whole:
            x = x._replace(values=x.values.astype(mode.kind, copy=False))
        heads = self.heads if mode.training else {}
        own, others = self._split(params)
        asked = mode.taps | {head.at for head in heads.values()}
        step = self.chain.forward(own, x, mode._replace(taps=frozenset(asked)))
        rows = np.ascontiguousarray(step.signal.plain(mode.kind))
        logits = np.empty((len(rows), rows.shape[2]), rows.dtype)
        time_mean(rows, logits)
        outputs, kept, moved, rates = dict(step.tapped), {}, dict(step.moved), dict(step.rates)
        for name, head in heads.items():
            part = head.chain.forward(others[name], Signal(step.tapped[head.at][:, None]), self._beside(mode, name))
            outputs[name] = part.signal.plain(mode.kind)[:, 0]
            kept[name] = part.kept
            rates |= part.rates
            moved |= joined({_path(name): part.moved})
        return Pass(Produced(logits, rows, outputs), _Kept(step.kept, kept), moved, rates, step.spikes)

    def backward(self, params: Params, forward: Pass, slopes: Slopes, mode: Mode) -> Params:
        """Gradient by the parameters, from that by what the model produced."""
        own, others = self._split(params)
        by_tap = {name: slope for name, slope in slopes.outputs.items() if name not in self.heads}
        grads: Params = {}
        for name, head in self.heads.items():
            slope = slopes.outputs.get(name)
            if slope is None:
                slope = np.zeros_like(forward.produced.outputs[name])
            back = head.chain.backward(
                others[name], forward.kept.heads[name], slope[:, None], self._beside(mode, name), True
            )
            assert back.grad is not None
            grads |= joined({_path(name): back.params})
            by_tap[head.at] = back.grad[:, 0] + by_tap.get(head.at, back.grad.dtype.type(0))
        each = self._by_tick(forward.produced, slopes, mode)
        return self.chain.backward(own, forward.kept.chain, each, mode._replace(slopes=by_tap), False).params | grads

    def _by_tick(self, produced: Produced, slopes: Slopes, mode: Mode) -> Array:
        """Gradient by the output of every tick, or by its mean."""
        kind, ticks = produced.logits.dtype, 1 if mode.rates else produced.steps.shape[1]
        logits = np.zeros_like(produced.logits) if slopes.logits is None else slopes.logits
        each = np.repeat((logits / kind.type(ticks))[:, None], ticks, axis=1)
        return each if slopes.steps is None else each + slopes.steps

    def _split(self, params: Params) -> tuple[Params, dict[str, Params]]:
        """Parameters of the chain, and of each head."""
        own = {name: value for name, value in params.items() if not name.startswith(_HEADS)}
        begins = {head: f"{_path(head)}/" for head in self.heads}
        others = {
            head: {name[len(begin) :]: value for name, value in params.items() if name.startswith(begin)}
            for head, begin in begins.items()
        }
        return own, others

    def _beside(self, mode: Mode, name: str) -> Mode:
        """Mode of a head: a single tick, which is the mean of all; DSR has no slope there."""
        method: Method | None = "ratebp" if mode.method == "dsr" else mode.method
        return mode._replace(method=method, ticks=1, place=_path(name), taps=frozenset(), slopes={})

    def bare(self, params: Params) -> tuple[Model, Params]:
        """The model without its heads, as it is deployed, and its parameters."""
        return self._bare, self._split(params)[0]

    @cached_property
    def _bare(self) -> Model:
        """Made once, for what it finds out about its parameters takes as long as drawing them."""
        return Model(self.layers, self.inputs) if self.heads else self


def _path(head: str) -> str:
    """What the parameters of a head begin with."""
    return f"{_HEADS}{head}"
