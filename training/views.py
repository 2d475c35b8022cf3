"""Views of samples: a fixed number of augmented versions of each, keyed so that anybody can make them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventsim import keys
from eventsim.checks import count
from eventsim.errors import ConfigError
from eventsim.training.augment import Augmentation, Chain
from eventsim.training.encode import EVALUATION
from eventsim.training.keyed import Ints
from eventsim.training.layer import Shape
from eventsim.training.signal import Array, size_of

_MOST = 2**32 - 2


@dataclass(frozen=True)
class Views:
    """Views of each sample, from 0; the one view of the default is the sample as it is.

    View v is what an augmentation makes of the sample in epoch v + 1. A teacher that is asked about as many views as a
    student has epochs, by the same augmentation and seed, has seen every sample that the student sees.

    Parameters
    ----------
    count : int
        How many; epoch e of a training sees view ``(e - 1) % count``.
    augment : sequence of Augmentation
        One after the other.
    seed : int
        Of their draws.
    shape : tuple of int, optional
        Of a sample as they see it, (height, width, channels) or (length, channels); that of the data set's images if
        left out.

    Raises
    ------
    ConfigError
        No view, or something else than augmentations.
    """

    count: int = 1
    augment: Sequence[Augmentation] = ()
    seed: int = 0
    shape: Shape | None = None

    def __post_init__(self) -> None:
        keys.check_seed(self.seed)
        count("count", self.count, 1, _MOST, kind=ConfigError)
        steps = tuple(self.augment) if isinstance(self.augment, Sequence) else self.augment
        object.__setattr__(self, "augment", Chain(steps).steps)

    @property
    def plain(self) -> bool:
        """Whether the only view is the sample as it is."""
        return self.count == 1 and not self.augment

    def of(self, epoch: int) -> int:
        """The view that an epoch of training sees; epochs count from 1."""
        return (epoch - 1) % self.count

    def draw(self, view: int) -> int:
        """Number by which the draws of a view are keyed: that of an epoch."""
        return EVALUATION if self.plain else view + 1

    def __call__(self, x: Array, ids: Ints, view: int, image: Shape) -> Array:
        """Samples of a data set, shape (batch, inputs), as a view has them.

        They are augmented in the shape of the views, or else in that of the data set's images, (height, width) or
        (height, width, channels); what is of height 1 is a signal.

        Raises
        ------
        ConfigError
            Samples of another size, an augmentation that does not fit samples of that shape, or makes something else
            of them.
        """
        if not self.augment:
            return x
        shape = (*image, 1)[:3] if self.shape is None else self.shape
        if x.shape[1] != size_of(shape):
            raise ConfigError(
                "These samples cannot be augmented.",
                given=f"{x.shape[1]} values as images of shape {shape}",
                expected=f"{size_of(shape)} values; recordings, which have a frame for each tick, are not augmented",
                repair="augment=(), or the shape of the samples",
            )
        images = x.reshape(len(x), *(shape[1:] if len(shape) == 3 and shape[0] == 1 else shape))
        changed = Chain(tuple(self.augment))(images, ids, self.draw(view), self.seed)
        if changed.shape != images.shape:
            raise ConfigError(
                "The augmentation changes the shape of the samples.",
                given=f"{changed.shape} from {images.shape}",
                expected="samples of the same shape",
                repair="Crop(4), which pads and crops to the old size",
            )
        return changed.reshape(x.shape)
