"""Progress bars and tables in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from eventsim.report import Table


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function ``show(stage, done, total)`` that draws a bar for each stage."""
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as bars:
        stages: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total)
            bars.update(stages[stage], completed=done, total=total)

        yield show


def print_table(table: Table) -> None:
    """Print a table at its full width, so that no column is cut where the terminal is narrow."""
    grid = Grid(show_edge=False)
    for i, name in enumerate(table.columns):
        grid.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in table.rows:
        grid.add_row(*row)
    terminal = Console()
    Console(width=max(terminal.width, Console(width=1000).measure(grid).maximum)).print(grid)
    terminal.print(table.caption, highlight=False)
