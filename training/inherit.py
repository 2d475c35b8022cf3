"""Tables that are like others but for what they say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eventsim.errors import ConfigError

LIKE = "like"


def merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A table with changes: tables of one type are put together, all else takes the place of what was."""
    result = dict(table)
    for name, value in changes.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and value.get("type") in (None, old.get("type")):
            result[name] = merged(old, value)
        else:
            result[name] = value
    return result


def inherited(stages: Any) -> Any:
    """Stages with what they take from an earlier one, which their key ``like`` names.

    Raises
    ------
    ConfigError
        The one that is named is not an earlier stage.
    """
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        return stages  # refused by who wants them as tables
    made: list[dict[str, Any]] = []
    for i, stage in enumerate(stages):
        known = {str(earlier.get("name")): earlier for earlier in made}
        if LIKE in stage and str(stage[LIKE]) not in known:
            raise ConfigError(
                "The recipe is not usable.",
                given=f"stage.{i}.{LIKE} = {stage[LIKE]!r}",
                expected=f"an earlier stage: {', '.join(known) or 'there is none'}",
                repair="correct this entry; the first stage is stage.0",
            )
        own = {name: value for name, value in stage.items() if name != LIKE}
        made.append(merged(known[str(stage[LIKE])], own) if LIKE in stage else own)
    return made
