"""Running an experiment: every variant with every seed, and a line of results for each of its stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import eventsim
from eventsim.checks import is_whole
from eventsim.errors import ConfigError
from eventsim.keys import SEED_LIMIT
from eventsim.parallel import check_threads
from eventsim.progress import Progress, silent
from eventsim.training.dataset import Dataset
from eventsim.training.experiment import Case, Experiment, known
from eventsim.training.outcome import on_engine, outcome
from eventsim.training.recipe import Recipe
from eventsim.training.results import Result, ResultsFile
from eventsim.training.run import Done, check_folder, run_recipe
from eventsim.training.stages import naming, tasks
from eventsim.training.tested import changed, check_fits, check_kept


@dataclass(frozen=True)
class RunOptions:
    """How much of an experiment is run.

    Parameters
    ----------
    seeds : sequence of int
    quick : bool
        The form of some minutes.
    epochs : int, optional
        Of every stage, instead of those that are written down.

    Raises
    ------
    ConfigError
        No seed, one that is repeated, or a number of epochs below 1.
    """

    seeds: Sequence[int] = (0, 1, 2)
    quick: bool = False
    epochs: int | None = None

    def __post_init__(self) -> None:
        whole = all(is_whole(seed) and 0 <= seed < SEED_LIMIT for seed in self.seeds)
        if not self.seeds or not whole or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(
                "The seeds are not usable.",
                given=", ".join(map(str, self.seeds)) or "none",
                expected="at least one whole number from 0 to 2**63 - 1, none of them twice",
                repair="--seeds 3 for 0, 1 and 2, or --seeds 0,4,7",
            )
        if self.epochs is not None and not (is_whole(self.epochs) and self.epochs >= 1):
            raise ConfigError(
                "The number of epochs is not usable.", given=self.epochs, expected="at least 1", repair="--epochs 10"
            )


def reproduce(
    experiment: Experiment,
    options: RunOptions,
    out: Path,
    results: Path,
    *,
    data: Path | None = None,
    threads: int = 1,
    progress: Progress = silent,
    report: Callable[[Result], object] = lambda result: None,
) -> list[Result]:
    """Train and measure what the results file does not hold yet.

    Whatever ends it, the same call goes on: with the next stage that has no line yet and, in the folder, from its last
    checkpoint. On another machine, or without the folder, the teachers that are needed are trained again.

    Parameters
    ----------
    experiment : Experiment
    options : RunOptions
    out : path
        Folder for the run folders of its recipes (``docs/formats.md``).
    results : path
        Results file, made with the first result.
    data : path, optional
        Folder with the data sets.
    threads : int
        No number but times depends on it.
    progress, report : callable, optional
        Called to say how far a stage is, and with each new result.

    Returns
    -------
    list of Result
        All that were asked for, those that were there among them.

    Raises
    ------
    InputError
        Data, recipes or the results file are not usable: before anything is trained. Or a training diverged.
    """
    check_threads(threads)
    file = ResultsFile(results)

    def of(case: Case) -> list[_Run]:
        dataset = experiment.recipe(case, options.seeds[0], quick=options.quick).data.load(data)
        given = (dataset.fingerprint, file, data, threads, report)
        seeds = [_Run(experiment, options, case, seed, *given) for seed in options.seeds]
        _check([run for run in seeds if run.missing()], dataset, out)
        return seeds

    runs = [run for case in experiment.asked(options.quick) for run in of(case)]
    file.claim()
    for run in runs:
        run(out, progress)
    return [result for run in runs for result in run.found()]


@dataclass(frozen=True)
class _Run:
    """A variant with a seed."""

    experiment: Experiment
    options: RunOptions
    case: Case
    seed: int
    data_sha256: str
    file: ResultsFile
    data: Path | None
    threads: int
    report: Callable[[Result], object]

    @property
    def command(self) -> str:
        """By which anybody finds the result."""
        quick = " --quick" if self.options.quick else ""
        epochs = "" if self.options.epochs is None else f" --epochs {self.options.epochs}"
        name = self.experiment.name
        return f"eventsim reproduce {name if name in known() else f'{name}.toml'} --seeds {self.seed},{quick}{epochs}"

    def recipe(self, only: set[str] | None = None) -> Recipe:
        """What is trained."""
        options = self.options
        return self.experiment.recipe(self.case, self.seed, quick=options.quick, epochs=options.epochs, only=only)

    def key(self, recipe: Recipe, stage: str) -> tuple[Any, ...]:
        """By which the result of a stage is found."""
        digest = self.experiment.digest(recipe, stage)
        return (self.experiment.name, self.case.name, stage, self.seed, self.options.quick, digest, self.data_sha256)

    def folder(self, out: Path) -> Path:
        """Where it is run."""
        parts = [self.experiment.name, self.case.name, f"seed-{self.seed}", "quick" if self.options.quick else ""]
        parts.append("" if self.options.epochs is None else f"{self.options.epochs}-epochs")
        return out / "-".join(filter(None, parts))

    def found(self) -> list[Result]:
        """Results of all stages."""
        recipe = self.recipe()
        keys = [self.key(recipe, stage.name) for stage in recipe.stage]
        return [result for result in self.file.results if result.key in keys]

    def missing(self) -> set[str]:
        """Stages that have no result."""
        return {stage.name for stage in self.recipe().stage} - {result.stage for result in self.found()}

    def __call__(self, out: Path, progress: Progress) -> None:
        """Train and measure the stages that have no result."""
        missing, folder = self.missing(), self.folder(out)
        if not missing:
            return
        recipe = self.recipe(missing)

        def note(done: Done) -> None:
            if done.task.name in missing:
                result = self.result(recipe, done)
                self.file.add(result)
                self.report(result)

        def show(stage: str, done: int, total: int) -> None:
            progress(f"{folder.name}, {stage}", done, total)

        run_recipe(recipe, folder, data=self.data, threads=self.threads, progress=show, told=note)

    def result(self, recipe: Recipe, done: Done) -> Result:
        """A stage, measured."""
        plan, name = self.experiment.plan, done.task.name
        key = dict(zip(Result.KEY, self.key(recipe, name), strict=True))
        tests = {test.name: partial(changed, recipe, test, self.data) for test in self.experiment.tests(name)}
        asked = {"chips": name in plan.chips, "quick": self.options.quick}
        found = outcome(done, tests, self.seed, self.threads, **asked)
        given = recipe.data.model_dump(exclude_unset=True)
        return Result(
            **key, **found, data=given, threads=self.threads, command=self.command, version=eventsim.__version__
        )


def _check(runs: Sequence[_Run], dataset: Dataset, out: Path) -> None:
    """Refuse folders of other runs, and try the stages and further tests of a variant, before any of it is run."""
    for run in runs:
        check_folder(run.folder(out), run.recipe(run.missing()), dataset)
    for run in runs[:1]:
        recipe, experiment = run.recipe(), run.experiment
        made = tasks(recipe, dataset)
        for i, task in enumerate(made):
            with naming(i, task.name):
                engine = on_engine(task, task.start, dataset, run.threads, quick=run.options.quick)
                if engine is None and task.name in experiment.plan.chips:
                    raise ConfigError(
                        "A stage without neurons cannot be put on drawn chips.",
                        given=f"chips: {', '.join(experiment.plan.chips)}",
                        expected="stages of spiking neurons",
                        repair=f"leave {task.name} out of chips",
                    )
        for test in experiment.plan.test:
            other = changed(recipe, test, run.data)
            check_kept(test.name, dataset, other)
            for i, task in enumerate(made):
                if test in experiment.tests(task.name):
                    with naming(i, task.name):
                        check_fits(test.name, task, other)
