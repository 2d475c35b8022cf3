"""One-page HTML reports that carry their figures with them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from eventsim.store import write_text


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_report(
    path: Path,
    title: str,
    lead: str,
    tables: Sequence[Table],
    figures: Mapping[Path, str],
    listings: Mapping[str, str],
) -> None:
    """Write a page of tables, figures (PNG file: caption) and listings (heading: text), which needs no other file."""
    environment = Environment(
        loader=PackageLoader("eventsim", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    drawn = [
        {"caption": caption, "data": base64.b64encode(file.read_bytes()).decode("ascii")}
        for file, caption in figures.items()
    ]
    page = environment.get_template("report.html.j2").render(
        title=title, lead=lead, tables=tables, figures=drawn, listings=listings
    )
    write_text(path, page)
