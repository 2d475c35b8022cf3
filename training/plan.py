"""How a training goes: its settings, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from eventsim import keys
from eventsim.checks import count, is_real, one_number
from eventsim.errors import ConfigError
from eventsim.training.augment import Augmentation, Chain
from eventsim.training.gradient import Scale
from eventsim.training.layer import Method
from eventsim.training.optim import Adam, Optimiser
from eventsim.training.schedule import Cosine, Schedule

_MOST_EPOCHS = 2**16 - 1
_LOOKS = 64
"""Places at which a schedule is tried."""

Keep = Literal["best", "last"]


@dataclass(frozen=True)
class FitConfig:
    """How to train, and for how long.

    Parameters
    ----------
    epochs : int
        At most.
    batch : int
        Samples per step.
    rate : float
        Largest learning rate.
    optimiser : Optimiser
        :class:`SGD`, :class:`Adam` or :class:`AdamW` with their settings.
    schedule : Schedule
        How the learning rate goes over all epochs.
    clip : float, optional
        Largest norm of a gradient, over all parameters together; longer ones are scaled down.
    average : float, optional
        Share that a step keeps of a running average of the parameters. Validation and result use the average then.
    method : "ratebp", "bptt" or "dsr"
    scale : "exact" or "author"
        Of the gradient; see :func:`eventsim.training.gradient`.
    augment : sequence of Augmentation
        One after the other, on what is trained with.
    patience : int, optional
        Stop after so many epochs without a better accuracy on validation; never if left out.
    keep : "best" or "last"
        Parameters of the epoch that validates best, the latest such; or of the last epoch, where few or unlike samples
        of validation say more about themselves than about the epochs.
    checkpoint_every : int, optional
        Steps from one checkpoint to the next within an epoch; there is one at the end of each epoch anyway. It is the
        one setting that a training which goes on may change: no number depends on it.
    seed : int
        Of the order of samples, of augmentation and of dropout.

    Raises
    ------
    ConfigError
        A setting outside its range.
    """

    epochs: int
    batch: int = 64
    rate: float = 1e-3
    optimiser: Optimiser = field(default_factory=Adam)
    schedule: Schedule = field(default_factory=Cosine)
    clip: float | None = None
    average: float | None = None
    method: Method = "ratebp"
    scale: Scale = "exact"
    augment: Sequence[Augmentation] = ()
    patience: int | None = None
    keep: Keep = "best"
    checkpoint_every: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        keys.check_seed(self.seed)
        count("epochs", self.epochs, 1, _MOST_EPOCHS, kind=ConfigError)
        for name in ("batch", "patience", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None or name == "batch":
                count(name, value, 1, kind=ConfigError)
        if not (is_real(self.rate) and 0 < self.rate <= 1):
            raise _unusable("rate", self.rate, "a number above 0, up to 1", "rate=1e-3")
        if self.clip is not None and not (is_real(self.clip) and 0 < self.clip < math.inf):
            raise _unusable("clip", self.clip, "a positive norm, or None", "clip=1.0")
        if self.average is not None:
            one_number("average", self.average, 0, 1, repair="average=0.999", kind=ConfigError)
        for name, choices in (("method", get_args(Method)), ("scale", get_args(Scale)), ("keep", get_args(Keep))):
            if getattr(self, name) not in choices:
                expected = " or ".join(map(repr, choices))
                raise _unusable(name, getattr(self, name), expected, f"{name}={choices[0]!r}")
        if self.keep == "last" and self.patience is not None:
            raise _unusable("patience", self.patience, "none where the last epoch is kept", 'keep="best"')
        for name, action, repair in (("optimiser", "step", "AdamW(decay=0.01)"), ("schedule", "__call__", "Cosine()")):
            value = getattr(self, name)
            if isinstance(value, type) or not hasattr(value, action):
                raise _unusable(name, value, f"one that is made, like {repair}", f"{name}={repair}")
        _check_shares(self.schedule)
        steps = tuple(self.augment) if isinstance(self.augment, Sequence) else self.augment
        object.__setattr__(self, "augment", Chain(steps).steps)


def _check_shares(schedule: Schedule) -> None:
    """Refuse a schedule that leaves the rates it may give, from 0 to the largest."""
    for i in range(_LOOKS + 1):
        share = schedule(i / _LOOKS)
        if not (is_real(share) and 0 <= share <= 1):
            given = f"{schedule!r}, which gives {share!r} when {i / _LOOKS:g} of the training is over"
            raise _unusable("schedule", given, "a factor of the rate, from 0 to 1", "schedule=Cosine()")


def _unusable(name: str, given: object, expected: str, repair: str) -> ConfigError:
    return ConfigError(
        f"The {name} of the training is not usable.",
        given=repr(given),
        expected=expected,
        repair=f"FitConfig(epochs=10, {repair})",
    )
