"""Progress bars in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from eventsim.progress import Progress


class _Rate(ProgressColumn):
    """Units per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} {self.unit}/s")


@contextmanager
def progress_bar(total: int, unit: str = "ticks") -> Iterator[Callable[[int], None]]:
    """Give a function ``show(done)`` that draws a bar on the error stream: units, their rate and the time left."""
    columns = (TextColumn(unit), BarColumn(), MofNCompleteColumn(), _Rate(unit), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)

        def show(done: int) -> None:
            bar.update(task, completed=done)

        yield show


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Give a function ``show(stage, done, total)`` that draws a bar for each stage."""
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns) as bars:
        stages: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bars.add_task(stage, total=total)
            bars.update(stages[stage], completed=done, total=total)

        yield show
