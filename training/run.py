"""Running a recipe: its stages one after the other, each kept on disk, in a folder that can be gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import eventsim
from eventsim import store
from eventsim.columns import locked, writing
from eventsim.errors import CacheError, CheckpointError, InputError, OutputError
from eventsim.parallel import Workers, check_threads
from eventsim.progress import Progress, silent
from eventsim.training.cache import TeacherCache
from eventsim.training.dataset import Dataset
from eventsim.training.describe import difference
from eventsim.training.fit import Fitted, fit
from eventsim.training.layer import Params
from eventsim.training.recipe import Recipe
from eventsim.training.stages import Reached, Task, tasks

RECIPE, RESULTS = "recipe.json", "results.json"


class Done(NamedTuple):
    """A stage that is done."""

    task: Task
    params: Params
    dataset: Dataset
    results: Reached
    """Accuracies, epochs, weights, firing rates."""
    seconds: float
    """Training time, over all calls."""


class Ran(NamedTuple):
    """What a run found."""

    results: list[Reached]
    """For each stage: accuracies, epochs, weights, firing rates."""
    seconds: list[float]
    """Training time of each stage, over all calls."""
    new: bool
    """Whether anything was left to train."""


def run_recipe(
    recipe: Recipe,
    out: Path,
    *,
    data: Path | None = None,
    threads: int = 1,
    progress: Progress = silent,
    told: Callable[[Done], None] | None = None,
) -> Ran:
    """Train the stages of a recipe in their order, each with the cache of its teacher.

    Whatever ends it, the same call goes on from what is in the folder, and ends with the bits of a run in one go. So
    does the call with a recipe that has more stages, or others of the same stages.

    Parameters
    ----------
    recipe : Recipe
    out : path
        Run folder (``docs/formats.md``), made if it is not there.
    data : path, optional
        Folder with the data set, where it needs one.
    threads : int
        No number depends on it.
    progress : callable, optional
    told : callable, optional
        Called with each stage when it is done, also if it was done before.

    Returns
    -------
    Ran

    Raises
    ------
    InputError
        Data or stages do not fit together, before any training; the folder is that of another run, or a training
        diverged.
    """
    check_threads(threads)
    dataset = recipe.data.load(data)
    identity = _identity(recipe, dataset)
    found = _check_folder(out, identity)
    known = _known(out)
    names = [stage.name for stage in recipe.stage]
    new = not all(name in known for name in names)
    if new or told is not None:
        chain = tasks(recipe, dataset)
        with writing(out, "nothing was touched"):
            out.mkdir(parents=True, exist_ok=True)
        with locked(out / RESULTS, str(out)), Workers(threads) as workers:
            found = _check_folder(out, identity)  # another run may have begun it in the meantime
            for left in out.glob(".*.part"):
                left.unlink()  # of a process that was killed
            if found != identity:
                stages = found.get("stage", {}) | identity["stage"]
                store.write_json(out / RECIPE, identity | {"stage": stages})
            known = _Run(out, dataset, {task.name: task for task in chain}, workers, threads, progress, told)()
    return Ran([known[name] for name in names], [_seconds(out, name) for name in names], new)


def check_folder(out: Path, recipe: Recipe, dataset: Dataset) -> None:
    """Raise :class:`CheckpointError` for the folder of another run, :class:`OutputError` for that of something else."""
    _check_folder(out, _identity(recipe, dataset))


class _Run(NamedTuple):
    """A run in its folder."""

    out: Path
    dataset: Dataset
    tasks: dict[str, Task]
    workers: Workers
    threads: int
    progress: Progress
    told: Callable[[Done], None] | None

    def __call__(self) -> dict[str, Reached]:
        """Results of all stages, by their names."""
        trained: dict[str, Params] = {}
        known = _known(self.out)
        for name, task in self.tasks.items():
            fitted = self.fit(task, trained)
            trained[name] = fitted.params
            if task.asked is not None:
                total = task.asked.seen().count * len(self.dataset.train)
                show = partial(self.tell, f"{name}, cache", total)
                self.cached(task, fitted.params, memory=0, show=show).close()
            if name not in known:
                known[name] = task.results(fitted, self.dataset, self.workers)
                store.write_json(self.out / RESULTS, [*known.values()])
            if self.told is not None:
                self.told(Done(task, fitted.params, self.dataset, known[name], _seconds(self.out, name)))
        return known

    def fit(self, task: Task, trained: dict[str, Params]) -> Fitted:
        """Train a stage, or go on with it, or read it."""
        epochs = task.config.epochs
        self.progress(task.name, 0, epochs)
        teacher = None if task.teacher is None else self.cached(self.tasks[task.teacher], trained[task.teacher])
        try:
            with (
                _made_again(self.out / task.name, CheckpointError),
                _made_again(self.cache_of(task.teacher), CacheError),
            ):
                fitted = fit(
                    task.model,
                    task.start if task.origin is None else trained[task.origin],
                    self.dataset,
                    task.encoder,
                    task.objective,
                    task.config,
                    teacher=teacher,
                    folder=self.out / task.name,
                    threads=self.threads,
                    report=lambda epoch: self.progress(task.name, epoch.epoch, epochs),
                )
        finally:
            if teacher is not None:
                teacher.close()
        self.progress(task.name, len(fitted.history), len(fitted.history))
        return fitted

    def tell(self, what: str, total: int, done: int) -> None:
        """Show how far something is."""
        self.progress(what, done, total)

    def cached(self, task: Task, params: Params, **more: Any) -> TeacherCache:
        """The cache of a stage."""
        path = self.cache_of(task.name)
        with _made_again(path, CacheError):
            return task.cached(path, params, self.dataset, self.workers, **more)

    def cache_of(self, stage: str | None) -> Path:
        """Where the cache of a stage is."""
        return self.out / f"{stage}.h5"


def _identity(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """All that decides the numbers of a run, as JSON values; stages by their names."""
    given = json.loads(recipe.model_dump_json(exclude_unset=True, serialize_as_any=True))
    stages = {stage.pop("name"): stage for stage in given["stage"]}
    for stage in stages.values():
        stage["training"].pop("checkpoint_every", None)
    return {"version": eventsim.__version__, "data": {**given["data"], "sha256": dataset.fingerprint}, "stage": stages}


def _known(out: Path) -> dict[str, Reached]:
    """Results so far, by the names of their stages."""
    if not (out / RESULTS).exists():
        return {}
    with _whole(out, RESULTS) as text:
        stages = json.loads(text)
        if any(found.keys() != Reached.__required_keys__ for found in stages):
            raise ValueError(f"not {', '.join(Reached.__annotations__)} of each stage")
        return {found["stage"]: found for found in stages}


def _check_folder(out: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """What the folder says of itself; refused if it is that of another run, or of something else."""
    if not out.exists() or (out.is_dir() and all(_passing(path.name) for path in out.iterdir())):
        return {}
    try:
        found = json.loads((out / RECIPE).read_text("utf-8"))
        both = found["stage"].keys() & identity["stage"].keys()
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise OutputError(
            "The folder holds something else than a run.",
            given=f"{out}, without a {RECIPE} that can be read",
            expected="a folder that is not there yet, or one of an earlier run of this recipe",
            repair="name another",
        ) from None
    old, new = (one | {"stage": {name: one["stage"][name] for name in sorted(both)}} for one in (found, identity))
    differs = difference(old, new)
    if differs is not None:
        raise CheckpointError(
            "The folder is that of another run.",
            given=f"{out}, where {differs.place} = {json.dumps(differs.found)}",
            expected=f"{differs.place} = {json.dumps(differs.wanted)}",
            repair="name another folder, or give the recipe that it was begun with",
        )
    return dict(found)


def _passing(name: str) -> bool:
    """Whether a file says nothing of its folder: hidden, as what a killed process has left, or a lock."""
    return name.startswith(".") or name == f"{RESULTS}.lock"


def _seconds(out: Path, stage: str) -> float:
    """Training time of a stage."""
    with _whole(out, f"{stage}/metrics.jsonl") as text:
        return float(sum(json.loads(line)["seconds"] for line in text.splitlines()))


@contextmanager
def _made_again(path: Path, kind: type[InputError]) -> Iterator[None]:
    """Errors of a kind, of what a run keeps at a place, say that it is made again where it is missing."""
    try:
        yield
    except kind as error:
        if not path.exists():
            raise
        raise error.repaired(f"remove {path}: the run makes it again, with the same bits") from None


@contextmanager
def _whole(out: Path, name: str) -> Iterator[str]:
    """The text of a file of the folder, which is refused if it is missing or damaged."""
    try:
        yield (out / name).read_text("utf-8")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise CheckpointError(
            "The run folder is damaged.",
            given=f"{out / name}: {type(cause).__name__}, {cause}",
            expected="what the run has written there",
            repair=f"remove {out / RESULTS}: then what is missing is trained again, and what is there only tested",
        ) from None
