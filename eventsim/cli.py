"""The command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import eventsim
from eventsim.errors import InputError

REFUSED = 2
"""Exit code of input that was refused."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(eventsim.__version__, message="eventsim %(version)s")
def program() -> None:
    """Spiking networks of magnetic tunnel junctions on an ordinary CPU, from device physics to accuracy."""


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
    from eventsim.config import demo_config, parse_settings
    from eventsim.parallel import cores
    from eventsim.terminal import print_table, progress_bars
    from eventsim.training.demo import run_demo
    from eventsim.training.showcase import results_table

    if data is None and dataset != "digits" and os.environ.get("EVENTSIM_DATA"):
        data = Path(os.environ["EVENTSIM_DATA"])
    config = demo_config(dataset, seed, **parse_settings(settings))
    out = Path("runs") / f"{dataset}-seed-{seed}" if out is None else out
    threads = cores() if threads is None else threads
    with progress_bars() as progress:
        found = run_demo(config, out, data=data, cache=cache, threads=threads, progress=progress)
    print_table(results_table(found))
    click.echo(f"Engine against training forward pass: {found.differences} spikes or logits differ.")
    click.echo(f"Report: {out / 'report.html'}")


def main() -> None:
    """Run the command line; input that is refused ends in a message and exit code 2."""
    try:
        program(prog_name="eventsim")
    except InputError as error:
        click.echo(f"eventsim: {error}", err=True)
        sys.exit(REFUSED)
