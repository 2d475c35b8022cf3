"""The command ``eventsim reproduce``."""

from __future__ import annotations

from pathlib import Path

import click

from eventsim.cli_data import data_folder
from eventsim.errors import ConfigError

_MOST = 1000


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from a number of them, or from a list."""
    try:
        numbers = tuple(int(part) for part in text.removesuffix(",").split(","))
    except ValueError:
        numbers = ()
    if not numbers or ("," not in text and not 1 <= numbers[0] <= _MOST):
        raise ConfigError(
            "The seeds are not usable.",
            given=text,
            expected=f"a number of seeds from 1 to {_MOST}, or a list of them",
            repair="--seeds 3 for 0, 1 and 2, or --seeds 0,4,7; --seeds 5, for that one",
        )
    return numbers if "," in text else tuple(range(numbers[0]))


@click.command()
@click.argument("name", required=False)
@click.option("--seeds", default="3", show_default=True, help="How many (0, 1, ...), or a list: 0,4,7 or 5,")
@click.option("--epochs", type=int, help="Of every stage.  [default: those of the experiment]")
@click.option("--quick", is_flag=True, help="The form of some minutes.")
@click.option("--out", type=click.Path(path_type=Path), default="runs", show_default=True, help="Where run folders go.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Results file to add to.  [default: docs/results.jsonl; quick.jsonl in --out with --quick]",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with the data sets' files.  [default: EVENTSIM_DATA]"
)
@click.option("--threads", type=int, help="Threads; no number depends on them.  [default: all cores]")
def reproduce(
    name: str | None,
    seeds: str,
    epochs: int | None,
    quick: bool,
    out: Path,
    results: Path | None,
    data: Path | None,
    threads: int | None,
) -> None:
    """Reproduce a published table: teacher, cache, students and their tests, with every seed (docs/results.md).

    NAME is one of the experiments of the program, which are listed where it is left out, or a TOML file. Killed and
    started again, it goes on.
    """
    # Only now, so that help stays quick.
    from eventsim.bars import progress_bars
    from eventsim.parallel import cores
    from eventsim.terminal import print_table
    from eventsim.training.experiment import experiment, known
    from eventsim.training.page import check_page, write_page
    from eventsim.training.reproduce import RunOptions, reproduce
    from eventsim.training.tables import LEGEND, results_table

    if name is None:
        for one in known():
            click.echo(f"{one:<20} {experiment(one).plan.title}")
        return
    asked, options = experiment(name), RunOptions(parse_seeds(seeds), quick, epochs)
    file = results or (out / "quick.jsonl" if quick else Path("docs/results.jsonl"))
    paged = not quick and epochs is None and asked.name in known()
    page = check_page(file) if paged else None
    with progress_bars() as progress:
        found = reproduce(
            asked,
            options,
            out,
            file,
            data=data_folder(asked.recipe(asked.cases[0], 0).data.name, data),
            threads=cores() if threads is None else threads,
            progress=progress,
            report=lambda result: None if page is None else write_page(file),
        )
    if page is not None:
        write_page(file)  # labels may have changed, or the end came between a line and its page
    print_table(results_table(asked, found, quick=quick))
    click.echo(LEGEND)
    click.echo(f"Results: {file}" if page is None else f"Results: {file}, {page}")
