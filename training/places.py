"""Places of the layers of a model."""

from __future__ import annotations

from collections.abc import Sequence

from eventsim.errors import NetworkError
from eventsim.training.layer import Layer
from eventsim.training.model import Chain, Model
from eventsim.training.residual import BRANCHES, Residual


def check_places(model: Model, places: Sequence[str]) -> None:
    """Refuse places where the model has no layer, or that are named twice, with :class:`NetworkError`."""
    known = names(model.layers)
    for i, place in enumerate(places):
        if place not in known or place in places[:i]:
            raise NetworkError(
                "The model has no such layer.",
                given=repr(place),
                expected=f"one of {', '.join(known)}, each once",
                repair="the place of an activation layer, counted from 0",
            )


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
