"""Where a training has the answers of its teacher from: the teacher itself, or a cache of what it said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import CacheError
from eventsim.training.dataset import Dataset
from eventsim.training.describe import described
from eventsim.training.form import Form
from eventsim.training.keyed import Ints
from eventsim.training.taught import Taught
from eventsim.training.teachers import Teacher
from eventsim.training.views import Views


@runtime_checkable
class Lessons(Protocol):
    """What a training asks about its batches."""

    @property
    def views(self) -> Views:
        """Which views of each sample the teacher has seen."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the answers, as JSON values."""

    def check(self, dataset: Dataset) -> None:
        """Raise :class:`CacheError` unless there are answers for all samples of the training split."""

    def batch(self, ids: Ints, view: int = 0) -> Taught:
        """What the teacher says about a view of samples."""


@dataclass(frozen=True, eq=False)
class Online:
    """A teacher that is asked as the training goes: bit for bit what a cache of the same form would say.

    Parameters
    ----------
    teacher : Teacher
    dataset : Dataset
    views : Views
    form : Form
        What it says is rounded as in a cache of this form.

    Raises
    ------
    CacheError
        A teacher for other samples or classes.
    ConfigError
        A form for more classes.
    """

    teacher: Teacher
    dataset: Dataset
    views: Views = field(default_factory=Views)
    form: Form = field(default_factory=Form)

    def __post_init__(self) -> None:
        self.form.check(self.dataset.classes)
        self.teacher.check(self.dataset)

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name and parameters of the teacher, views and form."""
        teacher = self.teacher
        about = {"network": teacher.network, "preprocessing": teacher.preprocessing, "views": self.views}
        return described({"teacher": teacher.name, "sha256": teacher.fingerprint, **about, "form": self.form})  # type: ignore[no-any-return]

    def check(self, dataset: Dataset) -> None:
        if dataset is not self.dataset and dataset.fingerprint != self.dataset.fingerprint:
            raise CacheError(
                "The teacher is asked about another data set.",
                given=f"{self.dataset.name}, SHA-256 {self.dataset.fingerprint}",
                expected=f"{dataset.name}, SHA-256 {dataset.fingerprint}",
                repair="Online(teacher, dataset), with the data set of the training",
            )

    def rows(self, ids: Ints, view: int) -> dict[str, NDArray[Any]]:
        """Answers as they are kept."""
        x = self.views(self.dataset.x[ids], ids, view, self.dataset.image)
        taught = self.teacher(x, ids, self.views.draw(view))
        return self.form.pack(_checked(taught, ids, self.dataset.classes, self.teacher.name))

    def batch(self, ids: Ints, view: int = 0) -> Taught:
        """What the teacher says about a view of samples."""
        return self.form.unpack(self.rows(ids, view), self.dataset.classes)


def _checked(taught: Taught, ids: Ints, classes: int, name: str) -> Taught:
    """What a teacher said, if it is usable."""
    logits = np.asarray(taught.logits)
    if logits.shape != (len(ids), classes) or logits.dtype.kind not in "fiu":
        raise CacheError(
            f"The teacher {name} gives logits of another shape.",
            given=f"{logits.dtype} of shape {logits.shape} for {len(ids)} samples",
            expected=f"real numbers of shape {(len(ids), classes)}: a logit for each class of the data set",
            repair="a teacher of these classes, which answers with one row for each sample",
        )
    spikes = taught.spikes
    if spikes is not None and (spikes.ndim != 3 or spikes.shape[::2] != logits.shape or spikes.max(initial=0) > 1):
        raise CacheError(
            f"The teacher {name} gives no spikes.",
            given=f"{spikes.dtype} of shape {spikes.shape}",
            expected=f"0 and 1, shape ({len(ids)}, ticks, {classes})",
            repair="spikes of the output layer, or none",
        )
    for what, values in (("logits", logits), *taught.features.items()):
        fits = len(values) == len(ids)
        bad = ~np.isfinite(values.reshape(len(ids), -1)).all(axis=1) if fits else np.ones(len(ids), bool)
        if bad.any():
            raise CacheError(
                f"The teacher {name} gives values that are not usable.",
                given=f"{what}: not finite, or missing, for samples {ids[bad][:5].tolist()}, {bad.sum()} of {len(ids)}",
                expected="finite numbers for every sample",
                repair="a teacher whose training did not diverge; leave out samples it cannot judge",
            )
    return taught
