"""The whole way once: teacher, cache, students with and without it, chips, report."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import eventsim
from eventsim import store
from eventsim.config import DemoConfig
from eventsim.device import Variation
from eventsim.errors import OutputError
from eventsim.events import Events
from eventsim.network import Network
from eventsim.parallel import check_threads
from eventsim.training import checkpoint
from eventsim.training.data import Dataset, load
from eventsim.training.deploy import Deployment, deploy, spikes_that_differ
from eventsim.training.encode import EVALUATION, Direct, Encoder, GaussianThreshold
from eventsim.training.fit import Epoch, FitConfig, Fitted, accuracy, fit, predict
from eventsim.training.layers import Array, Params
from eventsim.training.loss import Objective
from eventsim.training.metrics import MetricsFile
from eventsim.training.model import Model, fingerprint, mtj_mlp, relu_mlp, to_network
from eventsim.training.teacher import TeacherCache

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``."""

TEACHER, PLAIN, DISTILLED = "teacher", "student without distillation", "student with distillation"


@dataclass(frozen=True)
class Scores:
    """A trained model: accuracy on validation (by which its epoch was chosen) and on test."""

    validation_accuracy: float
    test_accuracy: float
    best_epoch: int | None
    parameters_sha256: str


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demonstration found."""

    dataset: Dataset
    scores: dict[str, Scores]
    curves: dict[str, list[Epoch]]
    deployments: list[Deployment]
    compared_samples: int
    network: Network
    events: Events

    def results(self) -> dict[str, Any]:
        """Every number, as JSON values; the same settings give the same numbers."""
        data = self.dataset
        return {
            "dataset": data.name,
            "dataset_sha256": data.fingerprint,
            "samples": {name: len(getattr(data, name)) for name in ("train", "validation", "test")},
            "models": {name: asdict(scores) for name, scores in self.scores.items()},
            "engine_equals_training_forward": {"samples": self.compared_samples, "spikes_and_logits_that_differ": 0},
            "chips": [asdict(deployment) for deployment in self.deployments],
        }


def teacher_recipe(config: DemoConfig, dataset: Dataset) -> dict[str, Any]:
    """Everything that decides the teacher's parameters."""
    return {
        "model": "relu_mlp",
        "sizes": [dataset.x.shape[1], config.teacher_hidden, dataset.classes],
        "epochs": config.teacher_epochs,
        "batch": config.batch,
        "rate": config.teacher_rate,
        "decay": config.teacher_decay,
        "seed": config.seed,
    }


def check_out(out: Path) -> None:
    """Refuse a run folder that exists or cannot be made."""
    if out.exists():
        raise OutputError(
            "The run folder exists already.",
            given=out,
            expected="a folder that is not there yet",
            repair="--out with another name, or delete that folder",
        )
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir():
        raise OutputError(
            "The run folder cannot be made.", given=f"{parent} is a file", expected="a folder", repair="--out elsewhere"
        )


class _Run:
    """One run of the demonstration: its inputs, all checked, and the folder it writes to."""

    def __init__(
        self, config: DemoConfig, out: Path, data: Path | None, cache: Path | None, threads: int, progress: Progress
    ) -> None:
        self.config, self.out, self.threads, self.progress = config, out, check_threads(threads), progress
        self.dataset = load(config.dataset, data)
        self.recipe = teacher_recipe(config, self.dataset)
        self.cached = None if cache is None else TeacherCache.read(cache, self.dataset, self.recipe)
        check_out(out)
        self.encoder = GaussianThreshold(config.ticks, config.seed, config.encoder_mean, config.encoder_std)
        self.metrics = MetricsFile(out / "metrics.jsonl")
        self.curves: dict[str, list[Epoch]] = {}
        self.seconds: dict[str, float] = {}

    def fit(
        self,
        name: str,
        model: Model,
        encoder: Encoder,
        objective: Objective,
        fit_config: FitConfig,
        teacher: Array | None,
    ) -> Fitted:
        """Train ``model``, write its learning curve and its checkpoint."""
        start = time.perf_counter()

        def report(epoch: Epoch) -> None:
            self.metrics.write(model=name, **epoch._asdict())
            self.progress(f"train {name}", epoch.epoch, fit_config.epochs)

        self.progress(f"train {name}", 0, fit_config.epochs)
        initial = model.initial(self.config.seed)
        fitted = fit(model, initial, self.dataset, encoder, objective, fit_config, teacher=teacher, report=report)
        self.curves[name] = fitted.history
        about = {"model": name, "config": self.config.model_dump(mode="json"), "best": fitted.best._asdict()}
        checkpoint.save(self.out / f"{name.replace(' ', '_')}.h5", fitted.params, about)
        self.seconds[f"train {name}"] = time.perf_counter() - start
        return fitted

    def teach(self) -> tuple[TeacherCache, Scores]:
        """The teacher's outputs, from the cache or from a teacher trained now; either way they are written."""
        config, dataset = self.config, self.dataset
        cache, best_epoch = self.cached, None
        if cache is None:
            model = relu_mlp(self.recipe["sizes"])
            fit_config = FitConfig(
                config.teacher_epochs, config.batch, config.teacher_rate, config.teacher_decay, config.seed
            )
            fitted = self.fit(TEACHER, model, Direct(), Objective(), fit_config, None)
            logits = predict(model, fitted.params, dataset, np.arange(len(dataset.labels)), Direct())
            cache, best_epoch = TeacherCache(logits, self.recipe, fingerprint(fitted.params)), fitted.best.epoch
        cache.write(self.out / "teacher_cache.h5", dataset)
        return cache, self.scores(
            cache.logits[dataset.validation], cache.logits[dataset.test], best_epoch, cache.parameters
        )

    def scores(self, validation: Array, test: Array, best_epoch: int | None, sha256: str) -> Scores:
        data = self.dataset
        return Scores(
            accuracy(validation, data.labels[data.validation]),
            accuracy(test, data.labels[data.test]),
            best_epoch,
            sha256,
        )

    def study(self, name: str, model: Model, objective: Objective, cache: TeacherCache) -> tuple[Params, Scores]:
        """Train a student and score it."""
        config, dataset = self.config, self.dataset
        fit_config = FitConfig(
            config.student_epochs, config.batch, config.student_rate, config.student_decay, config.seed
        )
        fitted = self.fit(name, model, self.encoder, objective, fit_config, cache.logits)
        logits = [
            predict(model, fitted.params, dataset, ids, self.encoder) for ids in (dataset.validation, dataset.test)
        ]
        return fitted.params, self.scores(logits[0], logits[1], fitted.best.epoch, fingerprint(fitted.params))

    def compare(self, model: Model, params: Params, network: Network, signal: Array) -> None:
        """Hold the engine against the training forward pass, on the nominal chip and on the most varied one."""
        worst = network.on_chip(Variation.all(max(self.config.variation)), seed=self.config.seed, chip=0)
        for chip in (network, worst):
            differ = spikes_that_differ(model, params, signal, chip, self.threads)
            if differ:
                raise RuntimeError(f"engine and training forward pass differ in {differ} spikes or logits")

    def deploy(self, network: Network, events: Events) -> list[Deployment]:
        """Measure the network on drawn chips of every spread."""
        start, config = time.perf_counter(), self.config
        chips, total = config.chips, config.chips * len(config.variation)
        labels = self.dataset.labels[self.dataset.test]
        deployments = []
        for i, spread in enumerate(config.variation):

            def report(chip: int, i: int = i) -> None:
                self.progress("simulate chips", i * chips + chip + 1, total)

            deployments.append(
                deploy(
                    network, events, labels, spread, chips=chips, seed=config.seed, threads=self.threads, report=report
                )
            )
        self.seconds["simulate chips"] = time.perf_counter() - start
        return deployments

    def provenance(self) -> dict[str, Any]:
        """What ran, where, on what, and how long it took."""
        packages = ("h5py", "numba", "numpy", "scikit-learn", "scipy")
        return {
            "command": sys.argv,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "eventsim": eventsim.__version__,
            "python": platform.python_version(),
            "packages": {name: version(name) for name in packages},
            "machine": f"{platform.system()} {platform.machine()}",
            "threads": self.threads,
            "seconds": {stage: round(seconds, 2) for stage, seconds in self.seconds.items()},
        }


def run_demo(
    config: DemoConfig,
    out: Path,
    *,
    data: Path | None = None,
    cache: Path | None = None,
    threads: int = 1,
    progress: Progress = lambda stage, done, total: None,
) -> Demo:
    """Train a teacher, cache it, distil a student of MTJ neurons, and measure it on drawn chips.

    Parameters
    ----------
    config : DemoConfig
    out : path
        Run folder, made here: settings, provenance, learning curves, checkpoints, teacher cache and results.
    data : path, optional
        Folder with the data set, where it needs one.
    cache : path, optional
        Teacher cache of an earlier run with the same data and teacher; the teacher is then not trained again.
    threads : int
        For the simulation of chips; no number depends on it.
    progress : callable, optional

    Returns
    -------
    Demo

    Raises
    ------
    InputError
        Data, cache, run folder or number of threads are not usable; nothing was written.
    """
    run = _Run(config, out, data, cache, threads, progress)
    out.mkdir(parents=True)
    store.write_json(out / "config.json", config.model_dump(mode="json"))
    dataset, scores = run.dataset, {}
    teacher, scores[TEACHER] = run.teach()
    sizes = (dataset.x.shape[1], config.hidden, dataset.classes)
    model = mtj_mlp(sizes, levels=config.levels, sharpness=config.sharpness)
    plain = Objective(config.classification, gain=config.gain)
    distilled = Objective(config.classification, config.alpha, config.temperature, config.gain)
    _, scores[PLAIN] = run.study(PLAIN, model, plain, teacher)
    params, scores[DISTILLED] = run.study(DISTILLED, model, distilled, teacher)
    network = to_network(model, params)
    signal = run.encoder(run.encoder.prepare(dataset.x[dataset.test]), dataset.test, EVALUATION)
    run.compare(model, params, network, signal)
    events = Events.from_frames(signal)
    deployments = run.deploy(network, events)
    demo = Demo(dataset, scores, run.curves, deployments, len(signal), network, events)
    store.write_json(out / "results.json", demo.results())
    store.write_json(out / "provenance.json", run.provenance())
    return demo
