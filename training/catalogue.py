"""What a recipe can ask for by name: classes and functions, in snake case, and every objective of the package."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from eventsim import training
from eventsim.models import IF, LIF, MTJ, DomainWall, Oscillator, TaperedDomainWall
from eventsim.training.asked import AUGMENTATIONS
from eventsim.training.builders import mlp, mtj_mlp, relu_mlp
from eventsim.training.convnets import five_conv_1d, six_conv, two_conv, vgg11
from eventsim.training.delta import SigmaDelta
from eventsim.training.encode import Direct, GaussianThreshold
from eventsim.training.entries import Entry, Made, OneOf
from eventsim.training.form import Form
from eventsim.training.frames import Frames
from eventsim.training.latency import Latency
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.model import Head, Model
from eventsim.training.norm import BatchNorm
from eventsim.training.objective import Objective
from eventsim.training.optim import SGD, Adam, AdamW
from eventsim.training.plan import FitConfig
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.rate import Rate
from eventsim.training.resnets import resnet18, resnet19, wide_resnet16
from eventsim.training.schedule import Constant, Cosine, OneCycle, Steps, WarmUp
from eventsim.training.shaping import Dropout, Flatten, ReLU
from eventsim.training.spiking import Spiking
from eventsim.training.views import Views

_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _named(*made: Callable[..., Any], **others: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Classes and functions by their names in snake case, or by other ones."""
    return others | {_CAPITAL.sub("_", function.__name__).lower(): function for function in made}


def _exported(kind: type) -> list[type]:
    """Classes of a kind that the package exports."""
    found = [getattr(training, name) for name in training.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, kind) and one is not kind]


_SIMPLE = Annotated[Entry, OneOf(_named(Constant, Cosine, OneCycle, Steps))]
SCHEDULES = OneOf(_named(Constant, Cosine, OneCycle, Steps, WarmUp), {"schedule": _SIMPLE})


class Term(Entry):
    """An objective with its weight and ramp."""

    weight: float = 1.0
    ramp: Annotated[Entry, SCHEDULES] | None = None

    def make(self, without: str = "", **more: Any) -> Objective:
        """The objective, weighted if there is something to weigh."""
        options: dict[str, Any] = self.options(without)
        weight, ramp = options.pop("weight", 1.0), options.pop("ramp", None)
        objective: Objective = self.call(options | more)
        objective = objective if weight == 1.0 else weight * objective
        return objective if ramp is None else objective.ramped(ramp)


NEURONS = OneOf(_named(MTJ, LIF, IF, DomainWall, TaperedDomainWall, Oscillator))
_NEURON = Annotated[Entry, NEURONS]
_GRID = Annotated[Entry, Made(Grid)] | None
UNITS = OneOf(_named(Spiking, relu=ReLU), {"neurons": _NEURON})
LAYERS = OneOf(
    _named(Dense, Conv, BatchNorm, Spiking, Flatten, Dropout, AvgPool, MaxPool, GlobalPool, relu=ReLU),
    {"neurons": _NEURON, "grid": _GRID},
)
_LAYERS = tuple[Annotated[Entry, LAYERS], ...]
MODELS = OneOf(
    _named(Model, mlp, relu_mlp, mtj_mlp, two_conv, six_conv, five_conv_1d, vgg11, resnet18, resnet19, wide_resnet16),
    {"unit": Annotated[Entry, UNITS], "grid": _GRID, "neuron": _NEURON, "layers": _LAYERS},
    ("devices", "heads"),
)
HEAD = Made(Head, {"layers": _LAYERS})
ENCODERS = OneOf(_named(Direct, Frames, GaussianThreshold, Latency, Rate, SigmaDelta))
OBJECTIVES = OneOf(_named(*_exported(Objective)), base=Term)
OPTIMISERS = OneOf(_named(SGD, Adam, adamw=AdamW))
_AUGMENT = tuple[Annotated[Entry, OneOf(AUGMENTATIONS)], ...]
VIEWS = Made(Views, {"augment": _AUGMENT})
FORM = Made(Form)
TRAINING = Made(
    FitConfig,
    {"optimiser": Annotated[Entry, OPTIMISERS], "schedule": Annotated[Entry, SCHEDULES], "augment": _AUGMENT},
    "seed",
)
