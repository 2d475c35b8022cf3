"""Augmentation of samples, drawn anew for each sample and epoch.

A draw is keyed by the seed, the name of the augmentation, the sample and the epoch, and by nothing else: batches of
another size or order see the same samples, and so does a training that goes on from a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from eventsim.checks import count, one_number
from eventsim.errors import ConfigError
from eventsim.kernels import augment as kernels
from eventsim.kernels import cycle
from eventsim.training.keyed import Augmentation, Ints, Key, Keyed, check_room
from eventsim.training.signal import Array

__all__ = ["Augmentation", "Chain", "Crop", "Cutout", "Flip", "Noise", "Rotation", "Shift"]

_MOST_PIXELS = 2**15


@dataclass(frozen=True)
class Shift(Keyed):
    """Move a sample by up to ``by`` steps, in time or along both axes of an image; zeros move in.

    Parameters
    ----------
    by : int
        Largest distance; all distances are equally likely.
    name : str
        Of the draws.

    Raises
    ------
    ConfigError
        A distance of less than 1.

    Notes
    -----
    Samples must be larger than the distance along both axes, unless one is of a single pixel.
    """

    by: int
    name: str = field(default="shift", kw_only=True)

    def __post_init__(self) -> None:
        count("by", self.by, 1, _MOST_PIXELS, kind=ConfigError)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        _shift(self.by, images, key, out)


@dataclass(frozen=True)
class Crop(Keyed):
    """Pad with zeros on all sides, and crop to the old size anywhere: a :class:`Shift` by another name.

    Parameters
    ----------
    padding : int
        Pixels on each side.
    name : str
        Of the draws.

    Raises
    ------
    ConfigError
        A padding of less than 1.
    """

    padding: int = 4
    name: str = field(default="crop", kw_only=True)

    def __post_init__(self) -> None:
        count("padding", self.padding, 1, _MOST_PIXELS, kind=ConfigError)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        _shift(self.padding, images, key, out)


@dataclass(frozen=True)
class Flip(Keyed):
    """Mirror an image left and right. A signal that runs backwards is another signal, and is refused.

    Parameters
    ----------
    p : float
        Probability.
    name : str
        Of the draws.

    Raises
    ------
    ConfigError
        A probability that is not from 0 to 1.
    """

    p: float = 0.5
    name: str = field(default="flip", kw_only=True)
    signals: ClassVar[bool] = False

    def __post_init__(self) -> None:
        one_number("probability", self.p, 0, 1, repair="Flip(p=0.5)", kind=ConfigError)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        kernels.flip(images, key.uniforms(1)[:, 0] < self.p, out)


@dataclass(frozen=True)
class Rotation(Keyed):
    """Turn an image about its middle by an angle, uniform from ``-degrees`` to ``degrees``; zeros come in.

    A signal has no middle to be turned about, and is refused.

    Parameters
    ----------
    degrees : float
        Largest angle, 0 to 180; 180 is the whole circle.
    name : str
        Of the draws.

    Raises
    ------
    ConfigError
        An angle that is not from 0 to 180.
    """

    degrees: float = 180.0
    name: str = field(default="rotation", kw_only=True)
    signals: ClassVar[bool] = False

    def __post_init__(self) -> None:
        one_number("rotation in degrees", self.degrees, 0, 180, repair="Rotation(degrees=15)", kind=ConfigError)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        angle = math.radians(self.degrees) * (2 * key.uniforms(1)[:, 0] - 1)
        kernels.rotate(images, np.cos(angle), np.sin(angle), out)


@dataclass(frozen=True)
class Cutout(Keyed):
    """Set a square to 0 whose centre is anywhere in the image, or a stretch of a signal (DeVries and Taylor 2017).

    Parameters
    ----------
    size : int
        Side in pixels, at most that of the samples; what hangs over the edge is cut off.
    name : str
        Of the draws.

    Raises
    ------
    ConfigError
        A side of less than 1.
    """

    size: int = 16
    name: str = field(default="cutout", kw_only=True)

    def __post_init__(self) -> None:
        count("size", self.size, 1, _MOST_PIXELS, kind=ConfigError)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        check_room(images, self.size, 0)
        centre = _whole(key.uniforms(2), np.array(images.shape[1:3]))
        out[:] = images
        row, column = (centre - self.size // 2).T
        kernels.wipe(out, row, column, self.size)


@dataclass(frozen=True)
class Noise(Keyed):
    """Add Gaussian noise to each value.

    Parameters
    ----------
    std : float
        Standard deviation, in the unit of the samples.
    name : str
        Of the draws.

    Raises
    ------
    ConfigError
        A deviation that is negative or too large.
    """

    std: float
    name: str = field(default="noise", kw_only=True)

    def __post_init__(self) -> None:
        one_number("standard deviation", self.std, 0, 1e6, repair="Noise(std=0.1)", kind=ConfigError)

    def _draw(self, images: Array, key: Key, out: Array) -> None:
        noise = np.empty((len(images), math.prod(images.shape[1:])), np.float32)
        kernels.normals(_normal_table(), *key, np.empty(noise.shape[1] + 2 * cycle.GROUP, np.uint32), noise)
        noise *= np.float32(self.std)
        np.add(images, noise.reshape(images.shape), out=out)


@dataclass(frozen=True)
class Chain:
    """Several augmentations, one after the other.

    Parameters
    ----------
    steps : tuple of Augmentation

    Raises
    ------
    ConfigError
        Something else than augmentations, or two of one name, which would share their draws.
    """

    steps: tuple[Augmentation, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.steps, tuple) or any(isinstance(s, type) or not callable(s) for s in self.steps):
            raise ConfigError(
                "These are no augmentations.",
                given=repr(self.steps),
                expected="a tuple of augmentations",
                repair="Chain((Crop(4), Flip()))",
            )
        names = list(_names(self))
        if len(set(names)) != len(names):
            raise ConfigError(
                "Two augmentations would share their draws.",
                given=", ".join(names),
                expected="each name once",
                repair="Shift(2, name='second shift')",
            )

    def __call__(self, x: Array, ids: Ints, epoch: int, seed: int) -> Array:
        """Samples after all steps; see :class:`Augmentation`."""
        for step in self.steps:
            x = step(x, ids, epoch, seed)
        return x


def _names(step: Augmentation) -> Iterator[str]:
    """Names that draws are keyed by, also in chains of chains."""
    if isinstance(step, Chain):
        for part in step.steps:
            yield from _names(part)
    elif isinstance(step, Keyed):
        yield step.name


def _shift(most: int, images: Array, key: Key, out: Array) -> None:
    """Move images by up to ``most`` along their axes; along the one axis of a signal."""
    check_room(images, most, 1)
    each = np.where(np.array(images.shape[1:3]) > 1, most, 0)
    down, right = (_whole(key.uniforms(2), 2 * each + 1) - each).T
    kernels.shift(images, down, right, out)


def _whole(u: NDArray[np.float64], n: Ints) -> Ints:
    """Whole numbers below ``n`` from uniform ones, the largest of which may round to 1."""
    return np.minimum((u * n).astype(np.int64), n - 1)


@cache
def _normal_table() -> NDArray[np.float32]:
    """Quantiles of the normal law for :func:`kernels.normals`, to 1e-4 and out to 6.3 deviations."""
    low = ndtri(cycle.knots())
    return cycle.table(low, -low, -np.inf, np.inf)
