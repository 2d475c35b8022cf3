"""Tables in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Grid

from eventsim.report import Table


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
