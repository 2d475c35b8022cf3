"""Parameters and unfinished trainings on disk; ``docs/formats.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim import store
from eventsim.columns import check_room, writing
from eventsim.errors import CheckpointError
from eventsim.training.describe import difference
from eventsim.training.layer import Params
from eventsim.training.standing import Standing, restored

FORMAT = "eventsim checkpoint 1"
TRAINING = "eventsim training 1"


def save(path: Path, params: Params, about: Mapping[str, Any]) -> None:
    """Write parameters, and ``about`` (JSON values) beside them; the file appears when it is whole."""
    store.write_h5(path, dict(params), {"format": FORMAT, "about": json.dumps(about, sort_keys=True)})


def load(path: Path) -> tuple[Params, dict[str, Any]]:
    """Read parameters and what is said about them.

    Raises
    ------
    CheckpointError
        The file is missing, damaged or no checkpoint.
    """
    params, attributes = _read(path, FORMAT)
    return params, json.loads(attributes["about"])


def save_training(path: Path, standing: Standing, identity: Mapping[str, Any]) -> None:
    """Write where a training stands, and what decides its numbers; the file is replaced when the new one is whole.

    Raises
    ------
    OutputError
        The disk is full or gone; the file that was there still is.
    """
    about = json.dumps({"identity": identity, **standing.numbers()}, allow_nan=False)
    arrays = standing.arrays() | {"about": np.frombuffer(about.encode(), np.uint8)}  # attributes end at 64 KiB
    with writing(path, "the checkpoint before can be gone on with"):
        check_room(path, sum(array.nbytes for array in arrays.values()))
        store.write_h5(path, arrays, {"format": TRAINING})


def load_training(path: Path, start: Standing, identity: Mapping[str, Any]) -> Standing:
    """Read where a training stands that must be the one that begins at ``start`` and has this ``identity``.

    Raises
    ------
    CheckpointError
        The file is damaged, no checkpoint of a training, or of another one; it is not touched.
    """
    arrays, _ = _read(path, TRAINING)
    about = json.loads(arrays.pop("about").tobytes())
    other = difference(about.pop("identity"), json.loads(json.dumps(identity)))
    if other is not None:
        raise CheckpointError(
            "The checkpoint is of another training.",
            given=f"{path}, {other.place} = {other.found!r}",
            expected=f"{other.place} = {other.wanted!r}",
            repair="fit with what that training was begun with, or name another folder",
        )
    return restored(arrays, about, list(start.params))


def _read(path: Path, form: str) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    arrays, attributes = store.read_h5(path, "checkpoint", CheckpointError)
    if attributes.get("format") != form:
        raise CheckpointError(
            "The file is no checkpoint.",
            given=f"{path}, format {attributes.get('format', 'not there')!r}",
            expected=f"format {form!r}",
            repair="name a checkpoint that this version wrote",
        )
    return arrays, attributes
