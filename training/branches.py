"""Heads for models: the branches of enhanced self-distillation (ESD, Zhao et al.), and regressors for feature maps.

They see mean spikes, take part in training only, and hand their gradient on to the layer that they look at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from eventsim.errors import NetworkError
from eventsim.training.layer import Layer, Shape
from eventsim.training.linear import Conv, Dense
from eventsim.training.model import Chain, Head, Model
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import GlobalPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import ReLU
from eventsim.training.spiking import Spiking


def with_heads(model: Model, heads: Mapping[str, Head]) -> Model:
    """The model with more heads; those that it has stay.

    Raises
    ------
    NetworkError
        A head of that name is there, or one does not fit the model.
    """
    twice = sorted(heads.keys() & model.heads.keys())
    if twice:
        raise NetworkError(
            "The model has such a head.",
            given=", ".join(twice),
            expected="names of new heads",
            repair="with_heads(model.bare(params)[0], heads), or another name",
        )
    return replace(model, heads={**model.heads, **heads})


def branches(model: Model, ends: Sequence[str] | None = None) -> dict[str, Head]:
    """Branches of ESD, which judge samples by what comes out of the stages of a model: ``branch_1``, ``branch_2``, ...

    A branch is an artificial network. Blocks halve the places and double the channels until both are those of the last
    stage, a pooling over all places and a dense layer to the classes follow. Behind rows it is Dense - BatchNorm - ReLU
    - Dense, as wide as the last stage.

    Parameters
    ----------
    model : Model
    ends : sequence of str, optional
        Places of the layers in which stages end; :func:`stage_ends` if left out.

    Raises
    ------
    NetworkError
        The model has a single stage, there is no such layer, or one is named twice.

    Notes
    -----
    A block is ``relu(main + shortcut)``, without biases (code of the authors): main is a depthwise 3 x 3 of stride 2, a
    pointwise one, normalisation, ReLU, a depthwise 3 x 3, a pointwise one to the new channels, normalisation, ReLU; the
    shortcut is a 1 x 1 of stride 2 and its normalisation. In one dimension kernels have 3 places.
    """
    places = stage_ends(model) if ends is None else ends
    if isinstance(places, str) or not places or len(set(places)) < len(places):
        raise NetworkError(
            "The ends of the stages are not usable.",
            given=repr(ends),
            expected="places of layers, at least one, each once",
            repair='branches(model, ends=["5", "9"])',
        )
    return {f"branch_{i}": Head(at, _branch(model, model.shape_at(at))) for i, at in enumerate(places, 1)}


def stage_ends(model: Model) -> tuple[str, ...]:
    """Places in which the stages of a model end, but for the last one: its last units before places become fewer.

    Where there are no places but rows alone, each layer of units is a stage.

    Raises
    ------
    NetworkError
        The model has a single stage.
    """
    units = _units(model)
    axes = max((len(shape) for shape in units.values()), default=0)
    stages: dict[Shape | str, str] = {}
    for place, shape in units.items():
        if len(shape) == axes:
            stages[shape[:-1] if axes > 1 else place] = place
    ends = tuple(stages.values())[:-1]
    if not ends:
        raise NetworkError(
            "The model has no stage before its last one.",
            given=f"layers of units {', '.join(units) or 'nowhere'}",
            expected="units before and behind a change of resolution, or two hidden layers of units",
            repair='branches(model, ends=["2"]), the places after which a branch is wanted',
        )
    return ends


def regressor(model: Model, at: str, channels: int) -> Head:
    """A linear map of a layer's mean spikes to the channels of a teacher's map, normalised.

    It stands between student and teacher in the feature loss of KDSNN, after Heo et al. (2019): an image of mean spikes
    can be negative, as the map of a teacher before its ReLU is.

    Parameters
    ----------
    model : Model
    at : str
        Place of the layer.
    channels : int
        Of the teacher's map.

    Raises
    ------
    NetworkError
        There is no such layer, or no channel.
    """
    *places, sources = model.shape_at(at)
    linear: Layer = Conv(sources, channels, (1,) * len(places)) if places else Dense(sources, channels, bias=False)
    return Head(at, (linear, BatchNorm(channels)))


def _units(model: Model) -> dict[str, Shape]:
    """Shapes of what comes out of layers that end in units, by their place; output neurons are left out."""
    places = (str(i) for i, layer in enumerate(model.layers[:-1]) if _ends_in_units(layer))
    return {place: model.shape_at(place) for place in places}


def _ends_in_units(layer: Layer) -> bool:
    if isinstance(layer, Residual):
        return layer.add == "spike"
    if isinstance(layer, Chain):
        return _ends_in_units(layer.layers[-1])
    return isinstance(layer, Spiking | ReLU)


def _branch(model: Model, shape: Shape) -> list[Layer]:
    """Layers from a sample of this shape to the classes."""
    last = [other for other in _units(model).values() if len(other) == len(shape)][-1:] or [shape]
    *places, channels = shape
    *fewer, width = last[0]
    if not places:
        return [Dense(channels, width, bias=False), BatchNorm(width), ReLU(), Dense(width, model.classes)]
    blocks = max(0, round(math.log2(max(places) / max(fewer))))
    layers: list[Layer] = []
    for k in range(1, blocks + 1):
        targets = width if k == blocks else min(2 * channels, width)
        layers += _block(channels, targets, len(places))
        channels = targets
    return [*layers, GlobalPool(), Dense(channels, model.classes)]


def _block(sources: int, targets: int, axes: int) -> list[Layer]:
    """Half as many places, in so many dimensions."""
    wide, point = (3,) * axes, (1,) * axes
    main: list[Layer] = [
        Conv(sources, sources, wide, stride=2, padding=1, groups=sources),
        Conv(sources, sources, point),
        BatchNorm(sources),
        ReLU(),
        Conv(sources, sources, wide, padding=1, groups=sources),
        Conv(sources, targets, point),
        BatchNorm(targets),
        ReLU(),
    ]
    shortcut: list[Layer] = [Conv(sources, targets, point, stride=2), BatchNorm(targets)]
    return [Residual(main, shortcut), ReLU()]
