"""The training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from eventsim import keys
from eventsim.errors import CacheError, ConfigError, TrainingError
from eventsim.training.data import Dataset
from eventsim.training.encode import EVALUATION, Encoder
from eventsim.training.gradient import gradient
from eventsim.training.layer import Params
from eventsim.training.loss import Objective
from eventsim.training.model import Model
from eventsim.training.optim import Adam
from eventsim.training.schedule import Cosine
from eventsim.training.signal import Array


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train.

    Parameters
    ----------
    epochs : int
    batch : int
        Samples per step.
    rate : float
        Learning rate of Adam at the start; it falls to 0 along a cosine.
    decay : float
        Decoupled weight decay.
    seed : int
        Of the order of the samples.

    Raises
    ------
    ConfigError
        A number outside its range.
    """

    epochs: int
    batch: int = 64
    rate: float = 1e-3
    decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        keys.check_seed(self.seed)
        whole = isinstance(self.epochs, int) and isinstance(self.batch, int)
        if not (whole and 1 <= self.epochs < 2**16 and self.batch >= 1 and 0 < self.rate <= 1 and 0 <= self.decay <= 1):
            raise ConfigError(
                "The training is not usable.",
                given=f"{self.epochs} epochs, batch {self.batch}, rate {self.rate}, decay {self.decay}",
                expected="1 to 65535 epochs, batches of at least 1, a rate up to 1, a decay from 0 to 1",
                repair="FitConfig(epochs=10)",
            )


class Epoch(NamedTuple):
    """One line of a learning curve: mean loss and accuracy over the epoch's batches, accuracy on validation."""

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float


class Fitted(NamedTuple):
    """Parameters of the epoch with the best validation accuracy (the latest such), and the learning curve."""

    params: Params
    best: Epoch
    history: list[Epoch]


def predict(
    model: Model, params: Params, dataset: Dataset, ids: NDArray[np.int64], encoder: Encoder, batch: int = 1024
) -> Array:
    """Logits of the samples ``ids``, shape (len(ids), classes), each encoded by its one evaluation draw."""
    logits = []
    with threadpool_limits(1, user_api="blas"):
        for part in np.split(ids, range(batch, len(ids), batch)):
            signal = encoder(encoder.prepare(dataset.x[part]), part, EVALUATION)
            logits.append(model.logits(params, signal, encoder.ticks))
    return np.concatenate(logits)


def accuracy(logits: Array, labels: NDArray[np.int64]) -> float:
    """Share of rows whose largest logit is that of the label."""
    return float((logits.argmax(axis=1) == labels).mean())


def fit(
    model: Model,
    params: Params,
    dataset: Dataset,
    encoder: Encoder,
    objective: Objective,
    config: FitConfig,
    *,
    teacher: Array | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
) -> Fitted:
    """Train a model on the training split, and keep the parameters that validate best.

    BLAS runs on one thread meanwhile, so that the result does not depend on their number.

    Parameters
    ----------
    model : Model
    params : dict of str to array
        Start; not changed.
    dataset : Dataset
    encoder : Encoder
    objective : Objective
    config : FitConfig
    teacher : array, shape (samples, classes), optional
        Logits of the teacher for every sample of the data set.
    report : callable, optional
        Called with each epoch when it is done.

    Returns
    -------
    Fitted

    Raises
    ------
    CacheError
        The teacher's logits do not fit the data set.
    TrainingError
        The objective is no longer finite.
    """
    if teacher is not None and (len(teacher) != len(dataset.labels) or not np.isfinite(teacher).all()):
        raise CacheError(
            "The logits of the teacher are not usable.",
            given=f"shape {teacher.shape}, {np.count_nonzero(~np.isfinite(teacher))} not finite",
            expected=f"finite logits for each of the {len(dataset.labels)} samples",
            repair="teacher=TeacherCache.read(...).logits",
        )
    adam = Adam(decay=config.decay)
    state, falling = adam.start(params), Cosine()
    prepared = encoder.prepare(dataset.x)
    steps = -(-len(dataset.train) // config.batch)
    history: list[Epoch] = []
    best, best_params = Epoch(0, np.inf, 0.0, -1.0), params
    for epoch in range(1, config.epochs + 1):
        order = dataset.train[keys.permutation(config.seed, "batches", len(dataset.train), epoch)]
        loss, right = 0.0, 0
        with threadpool_limits(1, user_api="blas"):
            for ids in np.split(order, range(config.batch, len(order), config.batch)):
                labels = dataset.labels[ids]
                signal = encoder(prepared[ids], ids, epoch)
                rows = None if teacher is None else teacher[ids]
                step = gradient(model, params, signal, labels, objective, rows, ticks=encoder.ticks)
                if not np.isfinite(step.value):
                    raise TrainingError(
                        f"The training diverged in step {state.steps + 1}, epoch {epoch}.",
                        given=f"objective {step.value} at rate {config.rate}",
                        expected="a finite objective",
                        repair=f"a lower rate, e.g. {config.rate / 10:g}",
                    )
                rate = config.rate * falling(state.steps / (steps * config.epochs))
                params, state = adam.step(params, step.params, state, rate)
                params = {**params, **step.moved}
                loss += step.value * len(ids)
                right += int((step.logits.argmax(axis=1) == labels).sum())
        logits = predict(model, params, dataset, dataset.validation, encoder)
        validation = accuracy(logits, dataset.labels[dataset.validation])
        history.append(Epoch(epoch, loss / len(order), right / len(order), validation))
        if validation >= best.validation_accuracy:
            best, best_params = history[-1], params
        report(history[-1])
    return Fitted(best_params, best, history)
