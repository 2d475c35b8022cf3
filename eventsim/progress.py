"""How far a job is, as whoever has started it is told."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``: a stage and its epochs, a file and its bytes."""


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
