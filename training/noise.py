"""Noisy variants of data sets of images: one fixed draw for each sample, the same in every epoch and training.

They are those that KDSNN (Xu et al.) is tested with, after the "MNIST variations" of Larochelle et al. (2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import one_number
from eventsim.errors import ConfigError, DataError
from eventsim.training import augment
from eventsim.training.dataset import SPLIT_SEED, Dataset
from eventsim.training.keyed import Augmentation, Key, Keyed
from eventsim.training.signal import Array

Variant = Literal["rotation", "random", "background", "rotation_background"]
Where = Literal["all", "test"]

_BATCH = 1024
_LUMA = (299, 587, 114)
"""Thousandths of red, green and blue in grey."""
_TEXTURE = 20
"""Least standard deviation of a patch, of 255."""


@dataclass(frozen=True)
class RandomBackground(Keyed):
    """Replace each value that is below a random number, uniform from 0 to 1, by that number."""

    name: str = field(default="random", kw_only=True)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        np.maximum(
            images, key.uniforms(math.prod(images.shape[1:])).reshape(images.shape), out=out, casting="same_kind"
        )


@dataclass(frozen=True)
class Background(Keyed):
    """Replace each value that is below that of a patch of a photograph by the patch's.

    Patches are cut from scikit-learn's two sample photographs, in grey from 0 to 1: anywhere, with equal probability,
    where their standard deviation is at least 20/255. Without texture they would hide a digit, or nothing.
    """

    name: str = field(default="background", kw_only=True)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        patches, textured = _patches(*images.shape[1:3])
        which = textured[(key.uniforms(1)[:, 0] * len(textured)).astype(np.int64)]
        behind = patches[np.unravel_index(which, patches.shape[:3])] / np.float32(255)
        np.maximum(images, behind[..., None], out=out)


VARIANTS: dict[str, tuple[Augmentation, ...]] = {
    "rotation": (augment.Rotation(),),
    "random": (RandomBackground(),),
    "background": (Background(),),
    "rotation_background": (augment.Rotation(), Background()),
}
"""Noise by name; draws of one kind are the same in all variants that have it."""


def variant(name: str) -> Augmentation:
    """Noise of that name.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if name not in VARIANTS:
        raise ConfigError(
            "There is no such noise.", given=name, expected=f"one of {', '.join(VARIANTS)}", repair="noise='background'"
        )
    return augment.Chain(VARIANTS[name])


def gaussian(variance: float | None = None, deviation: float | None = None) -> Augmentation:
    """Gaussian noise of a variance or of a standard deviation, on values from 0 to 1.

    Raises
    ------
    ConfigError
        Both or neither, or a number that is negative or too large.
    """
    if (variance is None) == (deviation is None):
        raise ConfigError(
            "The strength of the noise is said twice, or not at all.",
            given=f"variance={variance}, deviation={deviation}",
            expected="one of them",
            repair="variance=0.01, which is deviation=0.1",
        )
    if variance is not None:
        deviation = math.sqrt(one_number("variance", variance, 0, 1e4, repair="variance=0.01", kind=ConfigError))
    given = one_number("deviation", deviation or 0.0, 0, 1e2, repair="deviation=0.1", kind=ConfigError)
    return augment.Noise(given, name="gaussian")


def check_where(noise: object, where: Where) -> None:
    """Refuse a place for noise where there is none, with :class:`ConfigError`."""
    if noise is None and where != "all":
        raise ConfigError(
            "There is a place for noise, but no noise.",
            given=f"noise_in={where!r}",
            expected="noise with it",
            repair="leave noise_in out, or say which noise",
        )


def noisy(dataset: Dataset, noise: Augmentation, where: Where = "all") -> Dataset:
    """The data set with noise on its images, cut to 0..1. Labels and split stay as they are.

    Parameters
    ----------
    dataset : Dataset
        Of real values.
    noise : Augmentation
        Of :func:`variant` or :func:`gaussian`. Its draws are keyed by the number of the sample, and by nothing else.
    where : "all" or "test"
        On all samples, or on the test set alone: whoever trains on clean samples and is tested on noisy ones.

    Raises
    ------
    ConfigError
        Another place.
    DataError
        The samples are recordings.
    """
    if where not in ("all", "test"):
        raise ConfigError("The noise has no such place.", given=where, expected="'all' or 'test'", repair="where='all'")
    if dataset.ticks > 1 or dataset.x.dtype.kind != "f":
        raise DataError(
            f"There is no noise for {dataset.name}.",
            given=f"{dataset.x.dtype}, {dataset.ticks} ticks",
            expected="images of real values without ticks",
            repair="noise for images alone",
        )
    x = np.array(dataset.x)
    ids = np.arange(len(x)) if where == "all" else dataset.test
    for part in np.split(ids, range(_BATCH, len(ids), _BATCH)):
        images = x[part].reshape(len(part), *(*dataset.image, 1)[:3])
        x[part] = np.clip(noise(images, part, 1, SPLIT_SEED), 0, 1).reshape(len(part), -1)
    return replace(dataset, x=x)


@cache
def _photographs() -> NDArray[np.uint8]:
    """Photographs in grey, shape (pictures, height, width)."""
    from sklearn.datasets import load_sample_images  # only now, so that imports stay quick

    pictures = np.stack(load_sample_images().images).astype(np.int64)
    return ((pictures @ _LUMA + 500) // 1000).astype(np.uint8)


@cache
def _patches(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All patches of a size, shape (pictures, rows, columns, height, width), and the numbers of those with texture."""
    pictures = _photographs()
    if height > pictures.shape[1] or width > pictures.shape[2] or height * width == 1:
        raise ConfigError(
            "There is no background for images of this size.",
            given=f"{height} x {width}",
            expected=f"at most {pictures.shape[1]} x {pictures.shape[2]}, and more than a pixel",
            repair="another noise",
        )
    total, squares = (_sums(pictures.astype(np.int64) ** power, height, width) for power in (1, 2))
    n = height * width
    textured = np.flatnonzero(n * squares - total**2 >= (n * _TEXTURE) ** 2)
    return np.lib.stride_tricks.sliding_window_view(pictures, (height, width), axis=(1, 2)), textured


def _sums(pictures: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Sums over all patches of a size."""
    table = np.pad(pictures, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    lines: NDArray[np.int64] = table[:, height:] - table[:, :-height]
    return lines[:, :, width:] - lines[:, :, :-width]
