"""The command ``eventsim distil``."""

from __future__ import annotations

from pathlib import Path

import click

from eventsim.cli_data import data_folder


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder to make, or to go on with.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with the data set's files.  [default: EVENTSIM_DATA]"
)
@click.option("--threads", type=int, help="Threads; no number depends on them.  [default: all cores]")
def distil(recipe: Path, out: Path, data: Path | None, threads: int | None) -> None:
    """Train the stages of a recipe (TOML), each the teacher of a later one: teacher, assistant, student."""
    # Only now, so that help stays quick.
    from eventsim.bars import progress_bars
    from eventsim.parallel import cores
    from eventsim.terminal import print_table
    from eventsim.training.recipe import read
    from eventsim.training.run import run_recipe
    from eventsim.training.scores import scores_table

    asked = read(recipe)
    threads = cores() if threads is None else threads
    with progress_bars() as progress:
        ran = run_recipe(asked, out, data=data_folder(asked.data.name, data), threads=threads, progress=progress)
    print_table(scores_table(ran))
    said = "" if ran.new else "; the run was finished before, nothing was changed"
    click.echo(f"Results: {out / 'results.json'}{said}")
