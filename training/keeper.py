"""The folder of a training: a checkpoint to go on from, and a line of metrics for each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventsim.columns import locked, writing
from eventsim.errors import OutputError
from eventsim.training import checkpoint
from eventsim.training.metrics import MetricsFile
from eventsim.training.standing import Standing

CHECKPOINT, METRICS = "checkpoint.h5", "metrics.jsonl"


class Keeper:
    """Keeps nothing: a training in memory."""

    def begin(self, start: Standing) -> Standing:
        """Return where the training stands."""
        return start

    def save(self, at: Standing) -> None:
        """Keep a checkpoint."""

    def step(self, at: Standing) -> None:
        """Keep a checkpoint if one is due after this step."""

    def epoch(self, at: Standing) -> None:
        """Keep a checkpoint, and the line of the epoch that is finished."""


class Folder(Keeper):
    """Keeps checkpoint and metrics.

    The checkpoint holds the lines too and is written first: whenever the process ends, the metrics can be written anew.

    Parameters
    ----------
    folder : Path
    identity : mapping
        What decides the numbers of the training, as JSON values.
    every : int, optional
        Steps from one checkpoint to the next.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], every: int | None) -> None:
        self.path, self.metrics = folder / CHECKPOINT, MetricsFile(folder / METRICS)
        self.identity, self.every = identity, every

    def begin(self, start: Standing) -> Standing:
        at = start
        if self.path.exists():
            at = checkpoint.load_training(self.path, start, self.identity)
            with writing(self.metrics.path, "the checkpoint can be gone on with"):
                self.metrics.rewrite(epoch._asdict() for epoch in at.history)
        elif self.metrics.path.exists():
            raise OutputError(
                "The folder holds the metrics of another training.",
                given=f"{self.metrics.path}, without a {CHECKPOINT} beside it",
                expected="a folder without them, or with both",
                repair="name another folder, or delete that file",
            )
        for name in (CHECKPOINT, METRICS):
            for left in self.path.parent.glob(f".{name}.*.part"):
                left.unlink()  # of a process that was killed; nobody else writes while this one is locked
        return at

    def save(self, at: Standing) -> None:
        checkpoint.save_training(self.path, at, self.identity)

    def step(self, at: Standing) -> None:
        if self.every is not None and at.steps % self.every == 0:
            self.save(at)

    def epoch(self, at: Standing) -> None:
        self.save(at)
        with writing(self.metrics.path, "the checkpoint can be gone on with"):
            self.metrics.write(**at.history[-1]._asdict())


@contextmanager
def keeping(folder: Path | None, identity: Callable[[], Mapping[str, Any]], every: int | None) -> Iterator[Keeper]:
    """Give the keeper of a folder, which is made if it is not there, and keep others from writing to it.

    Raises
    ------
    OutputError
        The folder cannot be written to, or another training writes to it.
    """
    if folder is None:
        yield Keeper()
        return
    path, known = folder / CHECKPOINT, identity()
    with writing(path, "nothing was touched"):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(path, str(path)):
        yield Folder(folder, known, every)
