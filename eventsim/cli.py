"""The command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import eventsim
from eventsim.errors import InputError

REFUSED = 2
"""Exit code of input that was refused."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"eventsim {eventsim.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    """Spiking networks of magnetic tunnel junctions on an ordinary CPU, from device physics to accuracy."""


@app.command()
def demo(
    out: Annotated[Path | None, typer.Option(help="Run folder to make. [default: runs/DATASET-seed-N]")] = None,
    seed: Annotated[int, typer.Option(help="Decides every random number.")] = 0,
    threads: Annotated[int | None, typer.Option(help="Threads; no result depends on it. [default: all cores]")] = None,
    dataset: Annotated[str, typer.Option(help="digits (comes with the program) or mnist.")] = "digits",
    data: Annotated[Path | None, typer.Option(help="Folder with the data set. [default: EVENTSIM_DATA]")] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Teacher cache of an earlier run, instead of training one.")
    ] = None,
) -> None:
    """Teacher, cache, distilled MTJ student, drawn chips: the whole way on real images, with a report."""
    from eventsim.config import demo_config
    from eventsim.parallel import cores
    from eventsim.terminal import print_table, progress_bars
    from eventsim.training.demo import run_demo
    from eventsim.training.showcase import publish, results_table

    if data is None and dataset != "digits" and "EVENTSIM_DATA" in os.environ:
        data = Path(os.environ["EVENTSIM_DATA"])
    config = demo_config(dataset, seed=seed)
    out = Path("runs") / f"{dataset}-seed-{seed}" if out is None else out
    with progress_bars() as progress:
        found = run_demo(
            config, out, data=data, cache=cache, threads=cores() if threads is None else threads, progress=progress
        )
        progress("report", 0, 1)
        report = publish(found, config, out)
        progress("report", 1, 1)
    print_table(results_table(found))
    typer.echo(f"Report: {report}")


def main() -> None:
    """Run the command line; input that is refused ends in a message and exit code 2."""
    try:
        app()
    except InputError as error:
        typer.echo(f"eventsim: {error}", err=True)
        sys.exit(REFUSED)
