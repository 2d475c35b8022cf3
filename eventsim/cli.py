"""The command line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

import eventsim
from eventsim.cli_cache import cache
from eventsim.cli_data import data, data_folder
from eventsim.cli_distil import distil
from eventsim.cli_reproduce import reproduce
from eventsim.errors import InputError, OutputError

REFUSED = 2
"""Exit code of input that was refused."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(eventsim.__version__, message="eventsim %(version)s")
def program() -> None:
    """Spiking networks of magnetic tunnel junctions on an ordinary CPU, from device physics to accuracy."""


program.add_command(cache)
program.add_command(data)
program.add_command(distil)
program.add_command(reproduce)


@program.command()
@click.option("--out", type=click.Path(path_type=Path), help="Run folder to make.  [default: runs/DATASET-seed-SEED]")
@click.option("--seed", type=int, default=0, help="Decides every random number.")
@click.option("--threads", type=int, help="Threads; no number depends on them.  [default: all cores]")
@click.option("--dataset", default="digits", help="digits (comes with the program) or mnist.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with the data set's files.  [default: EVENTSIM_DATA]"
)
@click.option("--cache", type=click.Path(path_type=Path), help="Teacher cache of an earlier run, instead of a teacher.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a setting of config.json.")
def demo(
    out: Path | None,
    seed: int,
    threads: int | None,
    dataset: str,
    data: Path | None,
    cache: Path | None,
    settings: tuple[str, ...],
) -> None:
    """Teacher, cache, distilled MTJ student, drawn chips: the whole way on real images, with a report."""
    # Only now, so that help stays quick.
    from eventsim.bars import progress_bars
    from eventsim.config import demo_config, parse_settings
    from eventsim.parallel import cores
    from eventsim.terminal import print_table
    from eventsim.training.demo import run_demo
    from eventsim.training.showcase import results_table

    data = data_folder(dataset, data)
    config = demo_config(dataset, seed, **parse_settings(settings))
    out = Path("runs") / f"{dataset}-seed-{seed}" if out is None else out
    threads = cores() if threads is None else threads
    with progress_bars() as progress:
        found = run_demo(config, out, data=data, cache=cache, threads=threads, progress=progress)
    print_table(results_table(found))
    click.echo(f"Engine against training forward pass: {found.differences} spikes or logits differ.")
    click.echo(f"Report: {out / 'report.html'}")


@program.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Model to draw, also several.  [default: all]")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a parameter of the one model.")
@click.option("--seed", type=int, default=0, help="Decides every random number.")
def devices(out: Path, models: tuple[str, ...], settings: tuple[str, ...], seed: int) -> None:
    """Draw every device model: response to pulses, rate against drive, and what is characteristic of it."""
    from eventsim.config import parse_settings
    from eventsim.gallery import KINDS, PARAMETER_COLUMNS, build, draw_gallery, parameter_rows
    from eventsim.report import Table
    from eventsim.terminal import print_table

    names, changed = models or tuple(KINDS), parse_settings(settings)
    pictures = draw_gallery(out, names, changed, seed)
    caption = "Parameters of the models; devices differ in those with a law of variation."
    print_table(Table(caption, PARAMETER_COLUMNS, parameter_rows(build(names, changed))))
    for picture in pictures:
        click.echo(picture)


@program.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make, with the fit as text, JSON and picture.")
@click.option("--parameters", default="k1,k2,gain", help="What to fit; the others keep their values.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Change a parameter of the nominal MTJ.")
def fit(table: Path, out: Path | None, parameters: str, settings: tuple[str, ...]) -> None:
    """Fit MTJ parameters to measured positions: a CSV table of time_ns, drive, position_nm [, trace, sigma_nm]."""
    from eventsim.config import parse_settings
    from eventsim.gallery import build
    from eventsim.measurement import fit, write_report
    from eventsim.store import check_new

    nominal = build(["mtj"], parse_settings(settings))["mtj"]
    if out is not None:
        check_new(out, OutputError)
    found = fit(table, parameters=[name.strip() for name in parameters.split(",")], nominal=nominal)
    click.echo(found)
    if out is not None:
        write_report(found, out)
        click.echo(f"Report: {out / 'fit.txt'}, fit.json, fit.png")


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Say what we warn of as a line, without the place in the code: who reads it wants to know about the data."""
    usual = warnings.formatwarning

    def line(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> str:
        ours = category.__module__.startswith("eventsim.")
        return f"eventsim: {message}\n" if ours else usual(message, category, *place, **more)

    warnings.formatwarning = line
    try:
        yield
    finally:
        warnings.formatwarning = usual


def main() -> None:
    """Run the command line; input that is refused ends in a message and exit code 2."""
    try:
        with _plain_warnings():
            program(prog_name="eventsim")
    except InputError as error:
        click.echo(f"eventsim: {error}", err=True)
        sys.exit(REFUSED)
