"""One training: its inputs together, and the pure functions that move it on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import eventsim
from eventsim import keys
from eventsim.errors import TrainingError
from eventsim.parallel import Workers
from eventsim.store import fingerprint
from eventsim.training.dataset import Dataset
from eventsim.training.describe import described
from eventsim.training.divergence import blamed
from eventsim.training.encode import Encoder
from eventsim.training.gradient import Gradient, gradient
from eventsim.training.keyed import Ints
from eventsim.training.layer import Mode, Params
from eventsim.training.lessons import Lessons
from eventsim.training.model import Model
from eventsim.training.monitor import Epoch, Tally
from eventsim.training.objective import Objective
from eventsim.training.optim import State, average, clip
from eventsim.training.plan import FitConfig
from eventsim.training.predict import accuracy, predict
from eventsim.training.signal import Array, Signal
from eventsim.training.standing import Standing
from eventsim.training.taught import Taught
from eventsim.training.views import Views


def views_of(model: Model, config: FitConfig, teacher: Lessons | None) -> Views:
    """What is seen of the samples: what the teacher saw, or what augmentation makes of them in each epoch."""
    if teacher is not None and teacher.views.augment:
        return teacher.views
    shape = model.inputs if len(model.inputs) > 1 else None
    return Views(config.epochs, config.augment, config.seed, shape)


@dataclass(frozen=True, eq=False)
class Training:
    """What is trained, on what, to what end and how; see :func:`eventsim.training.fit`."""

    model: Model
    dataset: Dataset
    encoder: Encoder
    objective: Objective
    config: FitConfig
    teacher: Lessons | None
    workers: Workers

    @property
    def steps(self) -> int:
        """Steps of all epochs."""
        return self.config.epochs * -(-len(self.dataset.train) // self.config.batch)

    @cached_property
    def _prepared(self) -> Array:
        """All samples as the encoder wants them, where augmentation does not change them."""
        return self.encoder.prepare(self.dataset.x)

    def identity(self, params: Params) -> dict[str, Any]:
        """All that decides the numbers, as JSON values; ``params`` are those at the start."""
        config = described(self.config)
        del config["checkpoint_every"]
        return {
            "version": eventsim.__version__,
            "dataset": {"name": self.dataset.name, "sha256": self.dataset.fingerprint},
            "model": described(self.model),
            "start": fingerprint(**params),
            "encoder": described(self.encoder),
            "objective": described(self.objective),
            "teacher": None if self.teacher is None else self.teacher.identity,
            "config": config,
        }

    def begin(self, params: Params) -> Standing:
        """Before the first step."""
        return Standing(params, params, mean=None if self.config.average is None else params)

    def over(self, at: Standing) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        done, patience = len(at.history), self.config.patience
        if done == self.config.epochs or patience is None or not done:
            return done == self.config.epochs
        accuracies = [epoch.validation_accuracy for epoch in at.history]
        return done - 1 - accuracies.index(max(accuracies)) >= patience

    def batches(self, at: Standing) -> Iterator[Ints]:
        """Samples of the steps that are left of the epoch."""
        train, batch = self.dataset.train, self.config.batch
        order = train[keys.permutation(self.config.seed, "batches", len(train), at.epoch)]
        for first in range(at.tally.steps * batch, len(order), batch):
            yield order[first : first + batch]

    def step(self, at: Standing, ids: Ints) -> Standing:
        """Where the training stands after a batch, with what its teacher says; see :meth:`learn`."""
        taught = None if self.teacher is None else self.teacher.batch(ids, self.teacher.views.of(at.epoch))
        return self.learn(at, ids, taught)

    def learn(self, at: Standing, ids: Ints, taught: Taught | None) -> Standing:
        """Where the training stands after a batch that somebody said something about.

        Raises
        ------
        TrainingError
            Objective, gradient, parameters or optimiser are no longer finite; it names the layer.
        """
        begin, config = time.perf_counter(), self.config
        signal, labels = self._signal(ids, at.epoch), self.dataset.labels[ids]
        rate = config.rate * config.schedule(at.steps / self.steps)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite is found below
            found = self._gradient(at, signal, labels, taught)
            grads, norm = clip(found.params, math.inf if config.clip is None else config.clip)
            if not (math.isfinite(found.value) and math.isfinite(norm)):
                raise self._diverged(at, at.params, at.state, found, signal)
            state = config.optimiser.start(at.params, grads) if at.state is None else at.state
            params, state = config.optimiser.step(at.params, grads, state, rate, self.workers)
            params = {**params, **found.moved}
            if not all(math.isfinite(clip(part, math.inf)[1]) for part in (params, *state.slots.values())):
                raise self._diverged(at, params, state, found, signal)
        mean = at.mean
        if mean is not None:
            assert config.average is not None
            mean = average(mean, params, config.average, at.steps)
        tally = at.tally.add(found, labels, norm, rate, time.perf_counter() - begin)
        return at._replace(params=params, state=state, mean=mean, tally=tally)

    @cached_property
    def _views(self) -> Views:
        return views_of(self.model, self.config, self.teacher)

    def _signal(self, ids: Ints, epoch: int) -> Signal:
        views = self._views
        if not views.augment:
            return self.encoder(self._prepared[ids], ids, epoch)
        x = views(self.dataset.x[ids], ids, views.of(epoch), self.dataset.image)
        return self.encoder(self.encoder.prepare(x), ids, epoch)

    def _gradient(self, at: Standing, signal: Signal, labels: Ints, taught: Taught | None) -> Gradient:
        return gradient(
            self.model,
            at.params,
            signal,
            labels,
            self.objective,
            taught,
            ticks=self.encoder.ticks,
            method=self.config.method,
            scale=self.config.scale,
            workers=self.workers,
            seed=self.config.seed,
            step=at.steps,
            done=at.steps / self.steps,
        )

    def _diverged(
        self, at: Standing, params: Params, state: State | None, found: Gradient, signal: Signal
    ) -> TrainingError:
        config = self.config
        mode = Mode(self.encoder.ticks, config.method, self.workers, seed=config.seed, step=at.steps)
        place = blamed(self.model, params, state, found.params, self.model.signal(signal), mode)
        return TrainingError(
            f"The training diverged in step {at.steps + 1}, epoch {at.epoch}.",
            given=f"{place}; objective {found.value:g} at rate {config.rate:g}",
            expected="finite objective, parameters, outputs, gradients and state of the optimiser in all layers",
            repair=f"a lower rate, e.g. rate={config.rate / 10:g}, or clip=1.0, in a new folder",
        )

    def validated(self, at: Standing, pause: Callable[[], None]) -> Standing:
        """Where the training stands after validation, at the end of an epoch; ``pause`` is called between batches."""
        begin, ids, batch = time.perf_counter(), self.dataset.validation, self.config.batch
        logits = []
        for part in np.split(ids, range(batch, len(ids), batch)):
            logits.append(predict(self.model, at.judged, self.dataset, part, self.encoder, batch, self.workers))
            pause()
        right = accuracy(np.concatenate(logits), self.dataset.labels[ids])
        epoch = at.tally.epoch(at.history, right, time.perf_counter() - begin)
        history = (*at.history, epoch)
        best = at.judged if self.kept(history) is epoch else at.best
        return at._replace(best=best, history=history, tally=Tally())

    def kept(self, history: Sequence[Epoch]) -> Epoch:
        """The epoch whose parameters are kept."""
        if self.config.keep == "last":
            return history[-1]
        return max(history, key=lambda epoch: (epoch.validation_accuracy, epoch.epoch))
