"""What a stage of an experiment has reached, does and costs, as a line of results says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from eventsim.parallel import Workers
from eventsim.training.builders import multiplications
from eventsim.training.dataset import Dataset
from eventsim.training.encode import EVALUATION, Encoder
from eventsim.training.layer import Params
from eventsim.training.measured import FEW, SAMPLES, OnEngine
from eventsim.training.model import Model
from eventsim.training.predict import accuracy, predict
from eventsim.training.run import Done
from eventsim.training.stages import Task
from eventsim.training.step_cost import step_cost


def on_engine(task: Task, params: Params, dataset: Dataset, threads: int, *, quick: bool) -> OnEngine | None:
    """A stage in the engine; None for one without neurons.

    Raises
    ------
    NetworkError
        The engine cannot simulate it.
    """
    model, own = task.model.bare(params)
    ids, encoder = dataset.test[:1], task.encoder
    sample = encoder(encoder.prepare(dataset.x[ids]), ids, EVALUATION)
    if not model.spikes(own, sample, encoder.ticks):
        return None
    return OnEngine(model, own, encoder, dataset, threads, FEW if quick else SAMPLES)


def outcome(
    done: Done, tests: Mapping[str, Callable[[], Dataset]], seed: int, threads: int, *, chips: bool, quick: bool
) -> dict[str, Any]:
    """Measure a stage.

    Parameters
    ----------
    done : Done
    tests : mapping of str to function
        Each gives a further data set, whose test split it is tested on; one is held at a time.
    seed : int
        Of drawn chips.
    threads : int
        No number but times depends on it.
    chips : bool
        Whether it is put on drawn chips.
    quick : bool
        Whether a few samples in the engine are enough.

    Returns
    -------
    dict
        Fields of a :class:`~eventsim.training.results.Result`.
    """
    task, dataset, reached = done.task, done.dataset, done.results
    model, params = task.model.bare(done.params)
    rates = reached["firing_rates"]
    engine = on_engine(task, done.params, dataset, threads, quick=quick)
    activity, drawn = (None, ()) if engine is None else engine.measure(seed, chips=chips)
    with Workers(threads) as workers:
        step = step_cost(task, done.params, dataset, workers)
        shares = {}
        for name, loaded in tests.items():
            shares[name] = _tested(model, params, loaded(), task.encoder, workers)
    return {
        "samples": (len(dataset.train), len(dataset.validation), len(dataset.test)),
        "ticks": task.encoder.ticks,
        "validation": reached["validation_accuracy"],
        "test": reached["test_accuracy"],
        "tests": shares,
        "epochs": reached["epochs"],
        "best_epoch": reached["best_epoch"],
        "weights": reached["weights"],
        "macs": multiplications(model),
        "firing_rate": fmean(rates.values()) if rates else None,
        "firing_rates": rates,
        "seconds": round(done.seconds, 3),
        "step": step,
        "activity": activity,
        "chips": drawn,
    }


def _tested(model: Model, params: Params, dataset: Dataset, encoder: Encoder, workers: Workers) -> float:
    """Accuracy on the test split of a data set."""
    logits = predict(model, params, dataset, dataset.test, encoder, workers=workers)
    return accuracy(logits, dataset.labels[dataset.test])
