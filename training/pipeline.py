"""The whole way once: teacher, cache, students with and without it, chips."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import eventsim
from eventsim import store
from eventsim.config import DemoConfig
from eventsim.events import Events
from eventsim.network import Network
from eventsim.parallel import Workers, check_threads
from eventsim.progress import Progress
from eventsim.training import checkpoint
from eventsim.training.builders import mtj_mlp, relu_mlp
from eventsim.training.cache import TeacherCache
from eventsim.training.cachewriter import cached
from eventsim.training.data import load
from eventsim.training.dataset import Dataset
from eventsim.training.deploy import Deployment, deploy, spikes_that_differ
from eventsim.training.encode import EVALUATION, Direct, Encoder, GaussianThreshold
from eventsim.training.fit import Fitted, fit
from eventsim.training.label_objective import CrossEntropy, SquaredError
from eventsim.training.layer import Params
from eventsim.training.lessons import Lessons
from eventsim.training.metrics import MetricsFile
from eventsim.training.model import Model
from eventsim.training.monitor import Epoch
from eventsim.training.network import to_network
from eventsim.training.objective import Objective
from eventsim.training.optim import AdamW
from eventsim.training.plan import FitConfig
from eventsim.training.predict import accuracy, predict
from eventsim.training.signal import Array, Signal
from eventsim.training.soft_objective import SoftTargets
from eventsim.training.teachers import ModelTeacher
from eventsim.variation import Variation

CACHE = "teacher_cache.h5"
TEACHER, PLAIN, DISTILLED = "teacher", "student without distillation", "student with distillation"


@dataclass(frozen=True)
class Scores:
    """A trained model: accuracy on validation (by which its epoch was chosen) and on test."""

    validation_accuracy: float
    test_accuracy: float
    best_epoch: int
    parameters_sha256: str


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demonstration found.

    Attributes
    ----------
    dataset : Dataset
    scores : dict of str to Scores
        Of teacher, student without and student with distillation.
    curves : dict of str to list of Epoch
        Of the models that were trained; a teacher from a cache has none.
    deployments : list of Deployment
        The distilled student on the chips of each spread.
    differences : int
        Spikes and logits on the test samples in which engine and training forward pass differ.
    network : Network
        The distilled student on nominal devices.
    events : Events
        The test samples as spikes.
    """

    dataset: Dataset
    scores: dict[str, Scores]
    curves: dict[str, list[Epoch]]
    deployments: list[Deployment]
    differences: int
    network: Network
    events: Events

    def results(self) -> dict[str, Any]:
        """Every number, as JSON values; the same settings give the same numbers."""
        data = self.dataset
        compared = {"samples": len(data.test), "chips": 2, "spikes_and_logits_that_differ": self.differences}
        return {
            "dataset": data.name,
            "dataset_sha256": data.fingerprint,
            "samples": {name: len(getattr(data, name)) for name in ("train", "validation", "test")},
            "models": {name: asdict(scores) for name, scores in self.scores.items()},
            "engine_against_training_forward": compared,
            "chips": [asdict(deployment) for deployment in self.deployments],
        }


class _Log:
    """What a run leaves behind while it works."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.metrics = folder, MetricsFile(folder / "metrics.jsonl")
        self.curves: dict[str, list[Epoch]] = {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Note how long a stage takes."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 2)


class _Task(NamedTuple):
    """One training."""

    name: str
    model: Model
    start: Params
    encoder: Encoder
    objective: Objective
    config: FitConfig


class Pipeline:
    """The demonstration with all its inputs checked; calling it with a folder does the work.

    Raises
    ------
    InputError
        Data, cache, settings or number of threads are not usable.
    """

    def __init__(
        self, config: DemoConfig, data: Path | None, cache: Path | None, threads: int, progress: Progress
    ) -> None:
        c, self.config, self.cache = config, config, cache
        self.threads, self.progress = check_threads(threads), progress
        self.dataset = load(c.dataset, data)
        self.judged = {"validation": self.dataset.validation, "test": self.dataset.test}
        inputs, classes = self.dataset.x.shape[1], self.dataset.classes
        teacher = relu_mlp((inputs, c.teacher_hidden, classes))
        student = mtj_mlp((inputs, c.hidden, classes), levels=c.levels, sharpness=c.sharpness)
        self.encoder = GaussianThreshold(c.ticks, c.seed, c.encoder_mean, c.encoder_std)
        squared = c.classification == "squared_error"
        plain: Objective = SquaredError() if squared else CrossEntropy(c.gain)
        distilled = plain + c.alpha * SoftTargets(c.temperature, c.gain)
        taught = FitConfig(c.teacher_epochs, c.batch, c.teacher_rate, AdamW(decay=c.teacher_decay), seed=c.seed)
        studied = FitConfig(c.student_epochs, c.batch, c.student_rate, AdamW(decay=c.student_decay), seed=c.seed)
        start = student.initial(c.seed, "student")
        self.teacher = _Task(TEACHER, teacher, teacher.initial(c.seed, "teacher"), Direct(), CrossEntropy(), taught)
        self.plain = _Task(PLAIN, student, start, self.encoder, plain, studied)
        self.distilled = _Task(DISTILLED, student, start, self.encoder, distilled, studied)
        self.cached = None if cache is None else TeacherCache.read(cache, self.dataset, recipe=self.recipe())

    def recipe(self) -> dict[str, Any]:
        """Everything that decides the teacher's parameters."""
        config, dataset = self.config, self.dataset
        return {
            "model": "relu_mlp",
            "sizes": [dataset.x.shape[1], config.teacher_hidden, dataset.classes],
            "epochs": config.teacher_epochs,
            "batch": config.batch,
            "rate": config.teacher_rate,
            "decay": config.teacher_decay,
            "seed": config.seed,
        }

    def __call__(self, folder: Path) -> Demo:
        """Train, distil and simulate; write settings, curves, checkpoints, teacher cache and results to ``folder``."""
        dataset, log = self.dataset, _Log(folder)
        store.write_json(folder / "config.json", self.config.model_dump(mode="json"))
        cache = self.teach(log) if self.cached is None else self.copy(self.cached, log)
        rows = {name: cache.batch(ids).logits for name, ids in self.judged.items()}
        scores = {TEACHER: self.scores(rows, cache.recipe["best_epoch"], cache.attributes["teacher_sha256"])}
        _, scores[PLAIN] = self.study(log, self.plain, None)
        params, scores[DISTILLED] = self.study(log, self.distilled, cache if self.config.alpha else None)
        network = to_network(self.distilled.model, params)
        signal = self.encoder(self.encoder.prepare(dataset.x[dataset.test]), dataset.test, EVALUATION)
        differences = self.compare(params, network, signal)
        events = Events.from_frames(signal.values)
        with log.timed("simulate chips"):
            deployments = self.deploy(network, events)
        demo = Demo(dataset, scores, log.curves, deployments, differences, network, events)
        store.write_json(folder / "results.json", demo.results())
        store.write_json(folder / "provenance.json", self.provenance(log))
        return demo

    def teach(self, log: _Log) -> TeacherCache:
        """Train the teacher and ask it about every sample."""
        task, fitted = self.teacher, self.fit(log, self.teacher, None)
        recipe = {**self.recipe(), "best_epoch": fitted.best.epoch}
        with Workers(self.threads) as workers:
            teacher = ModelTeacher(task.model, fitted.params, task.encoder, name="relu_mlp", workers=workers)
            return cached(log.folder / CACHE, teacher, self.dataset, recipe=recipe)

    def copy(self, cache: TeacherCache, log: _Log) -> TeacherCache:
        """Keep the cache of an earlier run in this one."""
        shutil.copyfile(cache.path, log.folder / CACHE)
        return cache

    def study(self, log: _Log, task: _Task, teacher: Lessons | None) -> tuple[Params, Scores]:
        """Train a student and score it."""
        fitted = self.fit(log, task, teacher)
        logits = {name: self.predict(task, fitted.params, ids) for name, ids in self.judged.items()}
        return fitted.params, self.scores(logits, fitted.best.epoch, store.fingerprint(**fitted.params))

    def fit(self, log: _Log, task: _Task, teacher: Lessons | None) -> Fitted:
        """Train a model, write its learning curve and its checkpoint."""

        def report(epoch: Epoch) -> None:
            log.metrics.write(model=task.name, **epoch.numbers())
            self.progress(f"train {task.name}", epoch.epoch, task.config.epochs)

        self.progress(f"train {task.name}", 0, task.config.epochs)
        with log.timed(f"train {task.name}"):
            given = (task.model, task.start, self.dataset, task.encoder, task.objective, task.config)
            fitted = fit(*given, teacher=teacher, threads=self.threads, report=report)
        log.curves[task.name] = fitted.history
        about = {"model": task.name, "config": self.config.model_dump(mode="json"), "best": fitted.best.numbers()}
        checkpoint.save(log.folder / f"{task.name.replace(' ', '_')}.h5", fitted.params, about)
        return fitted

    def predict(self, task: _Task, params: Params, ids: NDArray[np.int64]) -> Array:
        """Logits of samples."""
        with Workers(self.threads) as workers:
            return predict(task.model, params, self.dataset, ids, task.encoder, workers=workers)

    def scores(self, logits: dict[str, Array], best_epoch: int, sha256: str) -> Scores:
        """Accuracies of the logits on both splits that judge."""
        labels = self.dataset.labels
        right = {f"{name}_accuracy": accuracy(logits[name], labels[ids]) for name, ids in self.judged.items()}
        return Scores(**right, best_epoch=best_epoch, parameters_sha256=sha256)

    def compare(self, params: Params, network: Network, signal: Signal) -> int:
        """Hold the engine against the training forward pass, on the nominal chip and on the most varied one."""
        worst = network.on_chip(Variation.all(max(self.config.variation)), seed=self.config.seed, chip=0)
        model = self.distilled.model
        return sum(spikes_that_differ(model, params, signal, chip, self.threads) for chip in (network, worst))

    def deploy(self, network: Network, events: Events) -> list[Deployment]:
        """Measure the network on drawn chips of every spread."""
        c, labels = self.config, self.dataset.labels[self.dataset.test]
        deployments = []
        for i, spread in enumerate(c.variation):

            def report(chip: int, before: int = i * c.chips) -> None:
                self.progress("simulate chips", before + chip + 1, c.chips * len(c.variation))

            chips = deploy(
                network, events, labels, spread, chips=c.chips, seed=c.seed, threads=self.threads, report=report
            )
            deployments.append(chips)
        return deployments

    def provenance(self, log: _Log) -> dict[str, Any]:
        """What ran, where, on what, and how long it took."""
        packages = ("h5py", "numba", "numpy", "scikit-learn", "scipy")
        cache = None
        if self.cache is not None:
            cache = {"path": str(self.cache), "sha256": hashlib.sha256(self.cache.read_bytes()).hexdigest()}
        return {
            "command": sys.argv,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "eventsim": eventsim.__version__,
            "python": platform.python_version(),
            "packages": {name: version(name) for name in packages},
            "machine": f"{platform.system()} {platform.machine()}",
            "threads": self.threads,
            "teacher_cache": cache,
            "seconds": log.seconds,
        }
