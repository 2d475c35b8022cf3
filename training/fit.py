"""The training loop."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

from eventsim.interrupt import Interrupts
from eventsim.parallel import Workers, check_threads
from eventsim.training.dataset import Dataset
from eventsim.training.encode import Encoder
from eventsim.training.fit_checks import check_fit, check_kinds
from eventsim.training.keeper import Keeper, keeping
from eventsim.training.layer import Params
from eventsim.training.lessons import Lessons
from eventsim.training.model import Model
from eventsim.training.monitor import Epoch, FiringWarning
from eventsim.training.objective import Objective
from eventsim.training.plan import FitConfig
from eventsim.training.standing import Standing
from eventsim.training.step import Training


class Fitted(NamedTuple):
    """What a training found."""

    params: Params
    """Of the epoch that is kept; averaged ones where an average is kept."""
    best: Epoch
    """That epoch: the one with the best validation accuracy, the latest such, unless the last is asked for."""
    history: list[Epoch]
    """The learning curve."""


def fit(
    model: Model,
    params: Params,
    dataset: Dataset,
    encoder: Encoder,
    objective: Objective,
    config: FitConfig,
    *,
    teacher: Lessons | None = None,
    folder: str | os.PathLike[str] | None = None,
    threads: int = 1,
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: bool = False,
) -> Fitted:
    """Train a model on the training split, and keep the parameters that validate best, or the last.

    With a ``folder`` the training can be interrupted, killed, or run out of its time: the same call goes on from the
    last checkpoint, and ends with the same bits as a training in one go.

    Parameters
    ----------
    model : Model
    params : dict of str to array
        Start; not changed.
    dataset : Dataset
    encoder : Encoder
    objective : Objective
    config : FitConfig
    teacher : Lessons, optional
        A :class:`TeacherCache`, or a teacher that is asked as the training goes, :class:`Online`. Where it has seen
        augmented views, the student sees the same ones, epoch e view ``(e - 1) % views.count``.
    folder : path, optional
        Where to keep ``checkpoint.h5`` and ``metrics.jsonl`` (``docs/formats.md``); made if it is not there.
    threads : int
        No number depends on it.
    report : callable, optional
        Called with each epoch when it is done.
    progress : bool
        Show samples, their rate and the time left on the error stream.

    Returns
    -------
    Fitted

    Raises
    ------
    ConfigError
        More threads than cores, labels beyond the classes of the model, augmentations that do not fit the samples, an
        objective without its teacher, or a teacher that it leaves aside.
    CacheError
        The teacher's answers are for other samples or classes.
    DataError
        Samples that do not fit the model, or none to train or validate with.
    TrainingError
        Something is no longer finite; the layer and the step are named, and the last checkpoint stays as it is.
    CheckpointError
        The folder's checkpoint is of another training, or damaged; it stays as it is.
    OutputError
        The folder cannot be written to, or another training writes to it.
    KeyboardInterrupt
        After Ctrl-C, between two steps; with a folder a checkpoint of that moment is kept.

    Warns
    -----
    FiringWarning
        A layer fires in less than 0.1 % or more than 95 % of ticks over an epoch; once for each layer, with the folder.
    """
    check_kinds(folder=folder, report=report)
    check_fit(model, params, dataset, encoder, objective, config, teacher)
    check_threads(threads)
    place, total = None if folder is None else Path(folder), config.epochs * len(dataset.train)
    where = "" if place is None else f", in {place}"
    with Workers(threads) as workers:
        training = Training(model, dataset, encoder, objective, config, teacher, workers)
        kept = keeping(place, lambda: training.identity(params), config.checkpoint_every)
        with kept as keeper, Interrupts() as interrupts, _bar(total, progress) as show:
            at = keeper.begin(training.begin(params))
            while not training.over(at):
                for ids in training.batches(at):
                    at = training.step(at, ids)
                    show(len(at.history) * len(dataset.train) + at.tally.samples)
                    keeper.step(at)
                    _pause(interrupts, keeper, at)
                at = training.validated(at, partial(_pause, interrupts, keeper, at))
                keeper.epoch(at)
                for note in at.history[-1].warnings:
                    warnings.warn(f"{note}, epoch {len(at.history)}{where}", FiringWarning, stacklevel=2)
                report(at.history[-1])
    return fitted(training, at)


def _pause(interrupts: Interrupts, keeper: Keeper, at: Standing) -> None:
    """Let Ctrl-C take effect, if there was one, behind a checkpoint."""
    if interrupts.noted is not None:
        keeper.save(at)
        interrupts.let()


def fitted(training: Training, at: Standing) -> Fitted:
    """What a training that stands here has found."""
    return Fitted(at.best, training.kept(at.history), list(at.history))


def _bar(total: int, progress: bool) -> AbstractContextManager[Callable[[int], None]]:
    """A progress bar, if one is asked for: only then is it imported."""
    if not progress:
        return nullcontext(lambda done: None)
    from eventsim.bars import progress_bar

    return progress_bar(total, "samples")
