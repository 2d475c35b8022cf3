"""Draws for samples of a data set, keyed by the sample and the epoch, and the frame of what is made with them."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eventsim import keys
from eventsim.checks import count
from eventsim.errors import ConfigError
from eventsim.kernels import augment as kernels
from eventsim.training.encode import EVALUATION
from eventsim.training.signal import Array

Ints = NDArray[np.int64]

_WORD = 2**32


class Augmentation(Protocol):
    """Turns samples into others of the same class."""

    def __call__(self, x: Array, ids: Ints, epoch: int, seed: int) -> Array:
        """Samples as an epoch of training sees them.

        Parameters
        ----------
        x : array of float32 or float64, shape (batch, height, width, channels) or (batch, length, channels)
        ids : array of int, shape (batch,)
            Number of each sample in its data set.
        epoch : int
            Epoch of training; at :data:`~eventsim.training.encode.EVALUATION` nothing is changed.
        seed : int

        Returns
        -------
        array
            Of the same shape and type; a new one, except for evaluation.

        Raises
        ------
        ConfigError
            Samples of another shape or type, or too small for the augmentation.
        """


class Key(NamedTuple):
    """What the draws of a batch are keyed by."""

    seed: np.uint64
    stream: np.uint64
    counters: NDArray[np.uint64]

    def uniforms(self, draws: int) -> NDArray[np.float64]:
        """Uniform numbers, shape (batch, draws)."""
        out = np.empty((len(self.counters), draws), np.float64)
        kernels.uniforms(*self, out)
        return out


class Keyed:
    """An augmentation with a name of its own; what it draws, it draws for images, and a signal is one of height 1."""

    name: str
    signals: ClassVar[bool] = True
    """Whether a signal, changed so, is still one of its class."""

    def __call__(self, x: Array, ids: Ints, epoch: int, seed: int) -> Array:
        """Augmented samples; see :class:`Augmentation`."""
        if x.ndim != 4 and not self.signals:
            raise ConfigError(
                f"{type(self).__name__} is for images.",
                given=f"shape {x.shape}",
                expected="shape (batch, height, width, channels)",
                repair="leave it out",
            )
        if epoch == EVALUATION:
            return x
        _check_samples(x, ids, epoch)
        counters = (np.uint64(epoch) << np.uint64(32)) | ids.astype(np.uint64)
        key = Key(np.uint64(keys.check_seed(seed)), np.uint64(keys.stream("augment", self.name)), counters)
        images = np.ascontiguousarray(x if x.ndim == 4 else x[:, None])
        out = np.empty_like(images)
        self._draw(images, key, out)
        return out.reshape(x.shape)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        """Write augmented ``images``, shape (batch, height, width, channels), to ``out``."""
        raise NotImplementedError


def _check_samples(x: Array, ids: Ints, epoch: int) -> None:
    count("epoch", epoch, 1, _WORD - 1, kind=ConfigError)
    numbered = ids.shape == (len(x),) and ids.dtype.kind in "iu" and ((ids >= 0) & (ids < _WORD)).all()
    if x.ndim not in (3, 4) or x.dtype not in (np.float32, np.float64) or not numbered:
        raise ConfigError(
            "These samples cannot be augmented.",
            given=f"{x.dtype} of shape {x.shape}, ids of shape {ids.shape}",
            expected="float32 or float64 of shape (batch, [height,] width, channels), an id from 0 for each",
            repair="x.reshape(-1, 32, 32, 3).astype(np.float32) and np.arange(len(x))",
        )


def check_room(images: Array, size: int, left: int) -> None:
    """Refuse a size that does not leave as many pixels of each axis; an axis of one pixel is none."""
    room = min((n for n in images.shape[1:3] if n > 1), default=1) - left
    if size > room:
        raise ConfigError(
            "The augmentation is too large for the samples.",
            given=f"{size} for samples of shape {images.shape[1:]}",
            expected=f"at most {room}",
            repair=f"{room}" if room else "leave it out",
        )
