"""Kinds of teachers: models of this program, and functions of Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from eventsim.errors import CacheError, NetworkError
from eventsim.parallel import ALONE, Workers
from eventsim.store import fingerprint
from eventsim.training.dataset import Dataset
from eventsim.training.delta import check_signals
from eventsim.training.describe import described
from eventsim.training.encode import EVALUATION, Encoder
from eventsim.training.frames import check_frames
from eventsim.training.keyed import Ints
from eventsim.training.layer import Mode, Params, into
from eventsim.training.model import Model
from eventsim.training.places import check_places
from eventsim.training.signal import Array, size_of
from eventsim.training.spiking import Spiking
from eventsim.training.taught import Taught


class Teacher(Protocol):
    """Answers for samples."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its parameters."""

    @property
    def network(self) -> Any:
        """What it does with its parameters, as JSON values."""

    @property
    def preprocessing(self) -> Any:
        """What it does to samples first, as JSON values."""

    def check(self, dataset: Dataset) -> None:
        """Refuse samples or classes that it is not made for, with :class:`CacheError`."""

    def __call__(self, x: Array, ids: Ints, draw: int) -> Taught:
        """What it says about samples.

        Parameters
        ----------
        x : array, shape (batch, inputs)
        ids : array of int, shape (batch,)
            Number of each in its data set.
        draw : int
            Key of what it draws at random: :data:`~eventsim.training.encode.EVALUATION`, or the view's number from 1.
        """


@dataclass(frozen=True, eq=False)
class ModelTeacher:
    """A model of this program, spiking or not; no bit of an answer depends on its batch or on threads.

    Parameters
    ----------
    model : Model
    params : dict of str to array
    encoder : Encoder
    features : sequence of str
        Activation layers, by their places in the model such as ``"2"`` or ``"4/main/2"``, whose inputs are answers too:
        pre-activation feature maps, as their mean over the ticks.
    spikes : bool
        Answer with the spikes of the last layer too.
    name : str
    workers : Workers
        Threads.

    Raises
    ------
    NetworkError
        Parameters of another model, no such layer, or spikes of a model that does not end in neurons.
    """

    model: Model
    params: Params
    encoder: Encoder
    features: Sequence[str] = ()
    spikes: bool = False
    name: str = "model"
    workers: Workers = ALONE

    def __post_init__(self) -> None:
        self.model.check(self.params)
        model, params = self.model.bare(self.params)  # heads have nothing to say
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "params", params)
        check_places(self.model, self.features)
        if self.spikes and not isinstance(self.model.layers[-1], Spiking):
            raise NetworkError(
                "The model has no output spikes.",
                given=f"{type(self.model.layers[-1]).__name__} as the last layer",
                expected="Spiking",
                repair="spikes=False, or a model that ends in Spiking(...)",
            )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its parameters."""
        return fingerprint(**self.params)

    @property
    def network(self) -> Any:
        """The model, and what is asked of it."""
        return described({"model": self.model, "features": self.features, "spikes": self.spikes})

    @property
    def preprocessing(self) -> Any:
        """The encoder."""
        return described({"encoder": self.encoder})

    def check(self, dataset: Dataset) -> None:
        check_frames(self.encoder, dataset)
        check_signals(self.encoder, dataset)
        inputs, one = size_of(self.model.inputs), np.arange(1)
        seen = self.encoder(self.encoder.prepare(dataset.x[one]), one, EVALUATION)
        wanted = size_of(seen.values.shape[2:]), dataset.classes
        if (inputs, self.model.classes) != wanted:
            raise CacheError(
                f"The teacher {self.name} does not fit the data set {dataset.name}.",
                given=f"{inputs} inputs, {self.model.classes} classes",
                expected=f"{wanted[0]} inputs, {wanted[1]} classes",
                repair="a model that was trained on this data set",
            )

    def __call__(self, x: Array, ids: Ints, draw: int) -> Taught:
        signal = self.model.signal(self.encoder(self.encoder.prepare(x), ids, draw))
        taps = {place: into(place) for place in self.features}
        mode = Mode(self.encoder.ticks, workers=self.workers, watch=self.spikes, taps=frozenset(taps.values()))
        found = self.model.forward(self.params, signal, mode)
        spikes = found.spikes[str(len(self.model.layers) - 1)] if self.spikes else None
        features = {place: found.produced.outputs[tap] for place, tap in taps.items()}
        return Taught(found.logits.astype(np.float32, copy=False), features, spikes)


@dataclass(frozen=True, eq=False)
class FunctionTeacher:
    """Any function of samples.

    Parameters
    ----------
    function : callable
        ``function(x)`` with x of shape (batch, inputs) gives logits, shape (batch, classes), or a :class:`Taught`.
    name : str
    fingerprint : str
        SHA-256 of its parameters, e.g. of ``eventsim.store.fingerprint(**arrays)`` or of a file.
    preprocessing : mapping
        What it does to samples first, as JSON values.

    Raises
    ------
    CacheError
        The fingerprint is no SHA-256.
    """

    function: Callable[[Array], ArrayLike | Taught]
    name: str
    fingerprint: str
    preprocessing: Mapping[str, Any] | None = None
    network: Any = "function"

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", str(self.fingerprint)):
            raise CacheError(
                "The fingerprint of the teacher is no SHA-256.",
                given=repr(self.fingerprint),
                expected="64 hexadecimal digits, of all that its answers depend on",
                repair="eventsim.store.fingerprint(weight=..., bias=...)",
            )

    def check(self, dataset: Dataset) -> None:
        """What it is made for shows in its answers."""

    def __call__(self, x: Array, ids: Ints, draw: int) -> Taught:
        found = self.function(x)
        return found if isinstance(found, Taught) else Taught(np.asarray(found))
