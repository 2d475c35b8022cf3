"""Where a training went wrong that is no longer finite."""

from __future__ import annotations

import numpy as np

from eventsim.training.layer import Mode, Params
from eventsim.training.model import Model, split
from eventsim.training.signal import Signal
from eventsim.training.slots import State


def blamed(model: Model, params: Params, state: State | None, grads: Params, x: Signal, mode: Mode) -> str:
    """Name the first layer, in forward order, that is not finite, and what of it is not.

    The optimiser's slots come first: they are stepped only with gradients that are finite, and are what makes
    parameters infinite, or stops them. Then layers are asked one after the other for their parameters and for what they
    give to the next one, for which the forward pass is made once more; then all of them for their gradients.

    Parameters
    ----------
    model : Model
    params, grads : dict of str to array
    state : State, optional
        Of the optimiser.
    x : Signal
        The batch.
    mode : Mode
        Of the step that went wrong.
    """
    for slot, values in ({} if state is None else state.slots).items():
        if bad := _unusable({name: values[name] for name in params if name in values}):
            return f"{_place(model, bad[0])}, whose {slot} of {_last(bad[0])} in the optimiser is not finite"
    chain = enumerate(zip(model.layers, split(params, model.chain.names), strict=True))
    for i, (layer, own) in chain:
        bad = _unusable({f"{i}/{name}": value for name, value in own.items()})
        if bad:
            return f"{_place(model, bad[0])}, whose {_last(bad[0])} is not finite"
        x = layer.forward(own, x, mode.within(str(i))).signal
        if not _finite(x):
            return f"{_place(model, f'{i}/')}, whose output is not finite"
    bad = _unusable({name: grads[name] for name in params if name in grads})
    if not bad:
        return "the objective, which is not finite"
    places = list(dict.fromkeys(name.rpartition("/")[0] for name in bad))
    more = f", as in {', '.join(places[1:])}" if places[1:] else ""
    return f"{_place(model, bad[0])}, whose gradient by {_last(bad[0])} is not finite{more}"


def _unusable(values: Params) -> list[str]:
    return [name for name, value in values.items() if not np.isfinite(value).all()]


def _finite(x: Signal) -> bool:
    parts = [part for part in (x.values, x.scale, x.bias) if part is not None]
    return all(np.isfinite(part).all() for part in parts) and bool(np.isfinite(x.plain()).all())


def _place(model: Model, name: str) -> str:
    """A layer by its place and kind, from the name of one of its parameters."""
    kind = type(model.layers[int(name.split("/", 1)[0])]).__name__
    return f"layer {name.rpartition('/')[0]} ({kind})"


def _last(name: str) -> str:
    return name.rpartition("/")[2]
