"""Parameters of a model on disk; ``docs/formats.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eventsim import store
from eventsim.errors import CheckpointError
from eventsim.training.layer import Params

FORMAT = "eventsim checkpoint 1"


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
    params, attributes = store.read_h5(path, "checkpoint", CheckpointError)
    if attributes.get("format") != FORMAT:
        raise CheckpointError(
            "The file is no checkpoint.",
            given=f"{path}, format {attributes.get('format', 'not there')!r}",
            expected=f"format {FORMAT!r}",
            repair="name a checkpoint that this version wrote",
        )
    return params, json.loads(attributes["about"])
