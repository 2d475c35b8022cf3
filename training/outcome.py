"""What a stage of an experiment has reached, does and costs, as a line of results says it."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from eventsim.parallel import Workers
from eventsim.training.builders import multiplications
from eventsim.training.dataset import Dataset
from eventsim.training.measured import FEW, SAMPLES, OnEngine
from eventsim.training.predict import accuracy, predict
from eventsim.training.run import Done
from eventsim.training.step_cost import step_cost


def outcome(
    done: Done, tests: Mapping[str, Dataset], seed: int, threads: int, *, chips: bool, quick: bool
) -> dict[str, Any]:
    """Measure a stage.

    Parameters
    ----------
    done : Done
    tests : mapping of str to Dataset
        Further data sets, whose test splits it is tested on.
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
    engine = OnEngine(model, params, task.encoder, dataset, threads, FEW if quick else SAMPLES) if rates else None
    activity, drawn = (None, ()) if engine is None else engine.measure(seed, chips=chips)
    with Workers(threads) as workers:
        step = step_cost(task, done.params, dataset, workers)
        shares = {}
        for name, test in tests.items():
            logits = predict(model, params, test, test.test, task.encoder, workers=workers)
            shares[name] = accuracy(logits, test.labels[test.test])
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
