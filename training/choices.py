"""Options that are chosen by name."""

from __future__ import annotations

from eventsim.errors import ConfigError


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """``value`` if it is one of the ``allowed`` ones; :class:`ConfigError` otherwise."""
    if value not in allowed:
        raise ConfigError(
            f"There is no such {name}.",
            given=repr(value),
            expected=f"one of {', '.join(allowed)}",
            repair=f"{name}={allowed[0]!r}",
        )
    return value
