"""What objects are, as JSON values: trainings are the same if all that decides them is described alike."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from eventsim.errors import ConfigError
from eventsim.store import fingerprint


def described(value: Any) -> Any:
    """A value as JSON: arrays by their SHA-256, objects by their type and what they hold.

    Raises
    ------
    ConfigError
        A function: nothing tells it from another one of its name.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return f"SHA-256 {fingerprint(array=value)}"
    if isinstance(value, Mapping):
        return {str(name): described(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [described(part) for part in value]
    if isinstance(value, type):
        return value.__qualname__
    if inspect.isroutine(value) or isinstance(value, partial):
        raise ConfigError(
            "A function cannot be told from others, and what it decides not be gone on with.",
            given=repr(value),
            expected="an object of a class, which is described by what it holds",
            repair="a dataclass with a method __call__, or no folder to keep the training in",
        )
    if is_dataclass(value):
        held = {field.name: getattr(value, field.name) for field in fields(value)}
    else:
        held = getattr(value, "__dict__", {})
    return {"type": getattr(value, "__qualname__", type(value).__qualname__), **described(held)}


class Difference(NamedTuple):
    """Where two descriptions part, e.g. ``config.rate``, and what stands there in each."""

    place: str
    found: Any
    wanted: Any


def difference(found: Any, wanted: Any, place: str = "") -> Difference | None:
    """Return the first place in which two descriptions differ, None if there is none."""
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        found, wanted = (dict(enumerate(part)) for part in (found, wanted))
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        return None if found == wanted else Difference(place, found, wanted)
    for name in wanted | found:
        inner = difference(found.get(name), wanted.get(name), f"{place}.{name}" if place else str(name))
        if inner is not None:
            return inner
    return None
