"""Models that hand out what goes into some of their layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eventsim.errors import NetworkError
from eventsim.kernels.spiking import time_mean
from eventsim.training.layer import Layer, Mode, Params, Shape, Step
from eventsim.training.model import Chain, Model
from eventsim.training.residual import BRANCHES, Residual
from eventsim.training.signal import Signal


@dataclass(frozen=True)
class Tap:
    """A layer in evaluation that hands out its input, as its mean over the ticks, under ``into <place>``."""

    layer: Layer

    def shape(self, shape: Shape) -> Shape:
        return self.layer.shape(shape)

    def initial(self, seed: int, name: str) -> Params:
        return self.layer.initial(seed, name)

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        step = self.layer.forward(params, x, mode)
        rows = np.ascontiguousarray(x.plain(mode.kind).reshape(*x.values.shape[:2], -1))
        mean: Any = np.empty((len(rows), rows.shape[2]), rows.dtype)
        time_mean(rows, mean)
        given = mean.reshape(len(rows), *x.values.shape[2:])
        return step._replace(spikes={**step.spikes, f"into {mode.place}": given})

    def backward(self, params: Params, kept: Any, grad: Any, mode: Mode, inner: bool) -> Any:
        raise NotImplementedError("a tapped model is evaluated only")


def tapped(model: Model, places: Sequence[str]) -> Model:
    """The model with a :class:`Tap` at each of these places.

    Raises
    ------
    NetworkError
        There is no such layer.
    """
    layers: Sequence[Layer] = model.layers
    for place in places:
        try:
            layers = _with_tap(layers, place.split("/"))
        except (LookupError, ValueError):
            raise NetworkError(
                "The model has no such layer.",
                given=repr(place),
                expected=f"one of {', '.join(names(model.layers))}",
                repair="the place of an activation layer, counted from 0",
            ) from None
    return Model(layers, model.inputs)


def names(layers: Sequence[Layer], prefix: str = "") -> list[str]:
    """Places of all layers, also of those within others."""
    found = []
    for i, layer in enumerate(layers):
        found.append(f"{prefix}{i}")
        for part, inner in _parts(layer).items():
            found += names(inner, f"{prefix}{i}/{part}/" if part else f"{prefix}{i}/")
    return found


def _parts(layer: Layer) -> dict[str, Sequence[Layer]]:
    """Layers within a layer, by what comes before their position in a place."""
    if isinstance(layer, Residual):
        return {branch: getattr(layer, branch) for branch in BRANCHES}
    return {"": layer.layers} if isinstance(layer, Chain) else {}


def _with_tap(layers: Sequence[Layer], place: list[str]) -> list[Layer]:
    out, at = list(layers), int(place[0])
    if not 0 <= at < len(out) or place[0] != str(at):
        raise LookupError
    layer, rest = out[at], place[1:]
    if isinstance(layer, Tap):
        raise LookupError
    if not rest:
        out[at] = Tap(layer)
        return out
    parts = _parts(layer)
    part, inner = ("", rest) if "" in parts else (rest[0], rest[1:])
    if not inner:
        raise LookupError
    name = part or "layers"
    out[at] = replace(layer, **{name: _with_tap(parts[part], inner)})  # type: ignore[type-var]
    return out
