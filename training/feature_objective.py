"""Objectives against feature maps of a teacher."""

from __future__ import annotations

from dataclasses import dataclass

from eventsim.checks import one_number
from eventsim.errors import ConfigError
from eventsim.training.choices import choice
from eventsim.training.feature_loss import FEATURE_NORMS, feature_distance, margin_relu, margins, partial_l2
from eventsim.training.objective import Labels, Needs, Objective, Value, output, told
from eventsim.training.produced import Produced, Slopes
from eventsim.training.taught import Taught


@dataclass(frozen=True)
class FeatureDistance(Objective):
    """Distance of a layer's mean spikes from a map of the teacher; Li et al., equation 7.

    Parameters
    ----------
    student : str
        Place of a layer of the student, such as ``"5"``, or name of a head.
    teacher : str
        Layer of the teacher, as its cache names it.
    norm : str
        ``"sample"``, ``"batch"`` or ``"squared"``; see :func:`eventsim.training.feature_loss.feature_distance`.
    rectified : bool
        Compare with the teacher's map behind its ReLU, as the paper does; caches hold what goes into it.
    scale : float
        What the teacher's map is divided by, such as its 99.9th percentile: mean spikes are 1 at most.

    Raises
    ------
    ConfigError
        An unknown norm, or a scale that is not positive.
    """

    student: str
    teacher: str
    norm: str = "sample"
    rectified: bool = True
    scale: float = 1.0

    def __post_init__(self) -> None:
        choice("norm", self.norm, FEATURE_NORMS)
        one_number("scale", self.scale, 1e-9, 1e9, repair="scale=1.0", kind=ConfigError)

    @property
    def needs(self) -> Needs:
        return Needs(outputs=frozenset([self.student]), features=frozenset([self.teacher]))

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        wanted = told(self, produced, taught).features[self.teacher]
        found = output(produced, self.student, wanted)
        wanted = wanted.astype(found.dtype)
        wanted = (wanted.clip(0) if self.rectified else wanted) / found.dtype.type(self.scale)
        value, slope = feature_distance(found, wanted, norm=self.norm)
        return Value(value, Slopes(outputs={self.student: slope}))


@dataclass(frozen=True)
class PartialL2(Objective):
    """Partial squared distance from a teacher's map behind a margin ReLU: the feature loss of KDSNN (Xu et al.).

    Parameters
    ----------
    student : str
        Name of a head that makes maps of the teacher's channels of a layer's mean spikes, or place of a layer.
    teacher : str
        Layer of the teacher, as its cache names it.

    Notes
    -----
    The margin of a channel is the mean of its negative entries in the batch.
    """

    student: str
    teacher: str

    @property
    def needs(self) -> Needs:
        return Needs(outputs=frozenset([self.student]), features=frozenset([self.teacher]))

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        wanted = told(self, produced, taught).features[self.teacher]
        found = output(produced, self.student, wanted)
        wanted = wanted.astype(found.dtype)
        value, slope = partial_l2(found, margin_relu(wanted, margins(wanted)))
        return Value(value, Slopes(outputs={self.student: slope}))
