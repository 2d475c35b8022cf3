"""The command ``eventsim data``."""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click


def data_folder(dataset: str, given: Path | None) -> Path | None:
    """Folder of the data set's files: what was given, or what EVENTSIM_DATA names."""
    if given is None and dataset != "digits" and os.environ.get("EVENTSIM_DATA"):
        return Path(os.environ["EVENTSIM_DATA"])
    return given


@click.command()
@click.argument("name", required=False)
@click.option("--into", type=click.Path(path_type=Path), help="Data folder to download it to.")
@click.option("--from", "address", metavar="URL", help="Folder of a mirror.  [default: the publisher's]")
def data(name: str | None, into: Path | None, address: str | None) -> None:
    """List the data sets: their files, where these belong, their options. With --into: download NAME."""
    # Only now, so that help stays quick.
    from eventsim.bars import progress_bars
    from eventsim.errors import ConfigError
    from eventsim.training.data import LOADERS, check_name
    from eventsim.training.download import download
    from eventsim.training.publishers import DOWNLOADS

    if name is not None:
        check_name(name)
    if into is None and address is None:
        for one in LOADERS if name is None else [name]:
            click.echo(_described(one, LOADERS[one], one in DOWNLOADS))
        return
    if name is None or into is None:
        raise ConfigError(
            "A download needs a name and a folder.",
            given=f"name {name}, --into {into}",
            expected="both",
            repair="eventsim data mnist --into FOLDER",
        )
    with progress_bars() as progress:
        place = download(name, into, address, progress)
    click.echo(f"{name}: {place}; use it with --data {into}, or EVENTSIM_DATA={into}")


def _described(name: str, loader: Callable[..., Any], downloaded: bool) -> str:
    """What a data set is, as its loader says, and its options."""
    said = inspect.cleandoc(loader.__doc__ or "").partition("\nParameters\n")[0].strip()
    lines = [f"Options: {', '.join(_options(loader))}."]
    if downloaded:
        lines.append(f"Download: eventsim data {name} --into FOLDER")
    paragraphs = [" ".join(part.split()) for part in said.split("\n\n")]
    body = "\n".join(textwrap.fill(text, 100, break_on_hyphens=False) for text in (*paragraphs, *lines))
    return f"{name}\n{textwrap.indent(body, '    ')}\n"


def _options(loader: Callable[..., Any]) -> list[str]:
    """Options with their values: what is taken if they are left out comes first."""
    hints, options = get_type_hints(loader), []
    for option, parameter in list(inspect.signature(loader).parameters.items())[1:]:
        default = parameter.default
        kinds = (hints[option], *get_args(hints[option]))  # of one that may be left out, those within
        others = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
        values = [default, *(value for value in others if value != default)]
        shown = "|".join(str(value) for value in values if value is not None)
        none = " or none" if shown and default is None else ""
        options.append(f"{option}={shown}{none}" if shown else option)
    return options
