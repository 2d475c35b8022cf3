"""What a layer is: a forward and a backward pass, with everything they need as arguments and results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eventsim.checks import count
from eventsim.errors import NetworkError
from eventsim.kernels import norm
from eventsim.parallel import ALONE, Workers
from eventsim.training.signal import Array, Signal, counts_type

Params = dict[str, Array]
Shape = tuple[int, ...]
Method = Literal["bptt", "ratebp", "dsr"]

_BYTES_AT_ONCE = 16
"""Of what is added up over ticks, in the time of an operation."""


class Mode(NamedTuple):
    """How a pass is made.

    Parameters
    ----------
    ticks : int
        Ticks that a static signal lasts.
    method : "bptt", "ratebp" or "dsr", optional
        What the backward pass will be; None for evaluation, where nothing is kept and no statistic moves.
    workers : Workers
        Threads; no number depends on them.
    smooth : bool
        Neurons emit the smooth spike: gradients are derivatives in the plain sense then (for tests).
    seed, step : int
        Key of random masks.
    watch : bool
        Hand out the spikes of every spiking layer.
    place : str
        Where in the model the layer stands.
    kind : dtype
        Type of real numbers that are made of whole ones: that of the parameters.
    taps : frozenset of str
        Places of layers that hand out the mean of their output over the ticks; :func:`into` a place, of their input.
    slopes : mapping of str to array
        Gradient by what was handed out, for the backward pass.
    """

    ticks: int = 1
    method: Method | None = None
    workers: Workers = ALONE
    smooth: bool = False
    seed: int = 0
    step: int = 0
    watch: bool = False
    place: str = ""
    kind: DTypeLike = np.float32
    taps: frozenset[str] = frozenset()
    slopes: Mapping[str, Array] = {}

    @property
    def training(self) -> bool:
        """Whether there will be a backward pass."""
        return self.method is not None

    @property
    def rates(self) -> bool:
        """Whether the backward pass has no time axis: it goes through rates and means over the ticks."""
        return self.method in ("ratebp", "dsr")

    def within(self, name: str) -> Mode:
        """The mode of a layer inside this one."""
        return self._replace(place=f"{self.place}/{name}" if self.place else name)

    def keep(self, x: Signal) -> Signal:
        """What a layer keeps of its input: all of it, or its mean over the ticks (RateBP, DSR)."""
        return x if not self.rates else self._mean(x)

    def rate(self, x: Signal) -> Array:
        """Mean of what a signal stands for over its ticks, shape (batch, ...)."""
        if max((len(row) for row in (x.scale, x.bias) if row is not None), default=1) > 1:
            return np.asarray(x.plain(self.kind).mean(axis=1))
        return self._mean(x).plain(self.kind)[:, 0]

    def _mean(self, x: Signal) -> Signal:
        """Mean over the ticks."""
        if x.ticks == 1:
            return x
        batch, ticks = x.values.shape[:2]
        rows = x.values.reshape(batch, ticks, -1)
        mean = np.empty((batch, rows.shape[2]), counts_type(x.most * ticks) if x.whole else rows.dtype)
        factor = mean.dtype.type(1) if x.whole else mean.dtype.type(1 / ticks)
        operations = rows.nbytes // _BYTES_AT_ONCE
        self.workers(lambda first, last: norm.over_ticks(rows, first, last, factor, mean), batch, operations)
        mean = mean.reshape(batch, 1, *x.values.shape[2:])
        if not x.whole:
            return x._replace(values=mean)
        scale = np.full((1, 1), 1 / ticks, np.float64) if x.scale is None else x.scale.astype(np.float64) / ticks
        return Signal(mean, scale, x.bias, x.most * ticks)


def into(place: str) -> str:
    """Name of the input of a layer, among what is handed out."""
    return f"into {place}"


class Step(NamedTuple):
    """What a layer's forward pass gives."""

    signal: Signal
    kept: Any = None
    """What its backward pass needs, and nothing else."""
    moved: Params = {}  # noqa: RUF012 - never written to
    """Running statistics as the batch has moved them."""
    rates: dict[str, float] = {}  # noqa: RUF012 - never written to
    """Mean spikes per neuron and tick, of each spiking layer in it."""
    spikes: dict[str, NDArray[np.uint8]] = {}  # noqa: RUF012 - never written to
    """Spikes of each, where the mode asks for them."""
    tapped: dict[str, Array] = {}  # noqa: RUF012 - never written to
    """Mean over the ticks of what is handed out in it, by name."""


class Back(NamedTuple):
    """What a layer's backward pass gives."""

    grad: Array | None
    """Gradient by the layer's input: of every tick, or by its mean (RateBP). None if it was not wanted."""
    params: Params = {}  # noqa: RUF012 - never written to


class Layer(Protocol):
    """What a layer does. Layers hold their description only: parameters, statistics and state are arguments."""

    def shape(self, shape: Shape) -> Shape:
        """Shape of a sample of the output; raises :class:`NetworkError` if the input's does not fit."""

    def initial(self, seed: int, name: str) -> Params:
        """Parameters and running statistics at the start of training."""

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        """Signal out."""

    def backward(self, params: Params, kept: Any, grad: Array, mode: Mode, inner: bool) -> Back:
        """Gradients, from the gradient by the output; that by the input if there is a layer ``inner`` to this one."""


class Parameterless:
    """A layer that learns nothing and leaves the shape as it is."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def shape(self, shape: Shape) -> Shape:
        return shape

    def initial(self, seed: int, name: str) -> Params:
        return {}


def whole(layer: object, *names: str) -> None:
    """Take settings of a layer as whole numbers from 1; :class:`NetworkError` where one is something else."""
    for name in names:
        object.__setattr__(layer, name, count(name, getattr(layer, name), 1, kind=NetworkError))
