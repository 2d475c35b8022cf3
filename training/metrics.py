"""Learning curves as JSON lines: one object per line, appended as training goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eventsim import store


class MetricsFile:
    """Appends to a file of JSON lines; every line is on disk when :meth:`write` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **values: Any) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(values))

    def rewrite(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Replace the whole file, in one piece."""
        store.write_text(self.path, "".join(map(_line, lines)))


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, allow_nan=False) + "\n"
