"""What a step of training costs: time, and what it keeps for the backward pass."""

from __future__ import annotations

import time

from eventsim.parallel import ALONE, Workers
from eventsim.training.dataset import Dataset
from eventsim.training.gradient import gradient
from eventsim.training.layer import Params
from eventsim.training.results import StepCost
from eventsim.training.stages import Task

_STEPS = 5


def step_cost(task: Task, params: Params, dataset: Dataset, workers: Workers = ALONE) -> StepCost | None:
    """Cost of the gradient of a batch; None for a stage with a teacher, whose answers would be needed.

    Parameters
    ----------
    task : Task
    params : dict of str to array
        Trained, those of heads among them: sums of spikes take the time of the spikes that there are.
    dataset : Dataset
    workers : Workers
    """
    if task.teacher is not None:
        return None
    config, encoder = task.config, task.encoder
    ids = dataset.train[: config.batch]
    signal, labels = encoder(encoder.prepare(dataset.x[ids]), ids, 1), dataset.labels[ids]
    seconds = []
    for _ in range(_STEPS):
        begin = time.process_time()
        found = gradient(
            task.model,
            params,
            signal,
            labels,
            task.objective,
            ticks=encoder.ticks,
            method=config.method,
            scale=config.scale,
            workers=workers,
        )
        seconds.append(time.process_time() - begin)
    return StepCost(samples=len(ids), cpu_seconds=min(seconds), backward_bytes=found.backward_bytes)
