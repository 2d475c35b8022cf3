"""Objectives over several outputs for the same labels: the heads of a network, or its ticks."""

from __future__ import annotations

from dataclasses import dataclass

from eventsim.checks import one_number
from eventsim.errors import ConfigError, DataError
from eventsim.training.choices import choice
from eventsim.training.heads_loss import (
    NORMS,
    REGULARISERS,
    TEACHER_SPACES,
    heads_cross_entropy,
    self_distillation,
    temporal_cross_entropy,
    temporal_self_distillation,
)
from eventsim.training.objective import Labels, Needs, Objective, Value
from eventsim.training.produced import Produced, Slopes
from eventsim.training.signal import Array
from eventsim.training.taught import Taught


@dataclass(frozen=True, kw_only=True)
class _FromTheRight(Objective):
    """Options of distillation from those heads, or ticks, that are right."""

    temperature: float = 3.0
    teacher_space: str = "logit"
    norm: str = "valid"
    eta: float = 0.0
    regulariser: str = "uniform"

    def __post_init__(self) -> None:
        one_number("temperature", self.temperature, 1e-9, 1e9, repair="temperature=3.0", kind=ConfigError)
        choice("teacher_space", self.teacher_space, TEACHER_SPACES)
        choice("norm", self.norm, NORMS)
        one_number("eta", self.eta, 0, 1e9, repair="eta=0.1", kind=ConfigError)
        choice("regulariser", self.regulariser, REGULARISERS)


@dataclass(frozen=True)
class SelfDistillation(_FromTheRight):
    """``alpha L_ce + beta L_esd`` of Zhao et al.: all heads learn from the labels and from those heads that are right.

    The heads are the branches, in their order, and the logits of the student.

    Parameters
    ----------
    branches : tuple of str
        Names of heads of the model that give logits; see :func:`eventsim.training.branches.branches`.
    alpha_branch, alpha_final : float
        Weights of the cross-entropy of each branch, and of the logits.
    beta : float
        Weight of the distillation.
    temperature, teacher_space, norm, eta, regulariser
        As in :func:`eventsim.training.heads_loss.self_distillation`.

    Raises
    ------
    ConfigError
        No branch, one that is named twice or cannot be a name, a weight that is negative, an unknown option.
    """

    branches: tuple[str, ...]
    alpha_branch: float = 1.0
    alpha_final: float = 1.0
    beta: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "branches", _names(self.branches))
        for name in ("alpha_branch", "alpha_final", "beta"):
            one_number(name, getattr(self, name), 0, 1e9, repair=f"{name}=1.0", kind=ConfigError)

    @property
    def needs(self) -> Needs:
        return Needs(outputs=frozenset(self.branches))

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        heads = [*(_logits(produced, name) for name in self.branches), produced.logits]
        weights = [self.alpha_branch] * len(self.branches) + [self.alpha_final]
        label, by_label = heads_cross_entropy(heads, labels, weights)
        esd, by_esd = self_distillation(
            heads,
            labels,
            self.temperature,
            teacher_space=self.teacher_space,
            norm=self.norm,
            eta=self.eta,
            regulariser=self.regulariser,
        )
        *slopes, final = by_label + self.beta * by_esd
        return Value(label + self.beta * esd, Slopes(final, outputs=dict(zip(self.branches, slopes, strict=True))))


@dataclass(frozen=True)
class TemporalSelfDistillation(_FromTheRight):
    """All ticks learn from those that are right: TKS (Dong et al. 2023), from whose code it parts as the docs say.

    The self term of TWKD is the one with ``norm="batch", eta=1``.

    Parameters
    ----------
    temperature, teacher_space, norm, eta, regulariser
        As in :func:`eventsim.training.heads_loss.temporal_self_distillation`.

    Raises
    ------
    ConfigError
        A temperature that is not positive, an eta that is negative, an unknown option.
    """

    @property
    def needs(self) -> Needs:
        return Needs(steps=True)

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        value, slope = temporal_self_distillation(
            produced.steps,
            labels,
            self.temperature,
            teacher_space=self.teacher_space,
            norm=self.norm,
            eta=self.eta,
            regulariser=self.regulariser,
        )
        return Value(value, Slopes(steps=slope))


@dataclass(frozen=True)
class TemporalEfficient(Objective):
    """``(1 - lambda) mean_t CE(o_t) + lambda mean (o - phi)**2``: TET (Deng et al. 2022).

    Parameters
    ----------
    regularisation : float
        lambda, from 0 to 1.
    potential : float
        phi, which all outputs are drawn to.

    Raises
    ------
    ConfigError
        A lambda out of range, or a phi that is not finite.
    """

    regularisation: float = 0.05
    potential: float = 1.0

    def __post_init__(self) -> None:
        one_number("regularisation", self.regularisation, 0, 1, repair="regularisation=0.05", kind=ConfigError)
        one_number("potential", self.potential, -1e9, 1e9, repair="potential=1.0", kind=ConfigError)

    @property
    def needs(self) -> Needs:
        return Needs(steps=True)

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        value, slope = temporal_cross_entropy(produced.steps, labels, self.regularisation, self.potential)
        return Value(value, Slopes(steps=slope))


def _names(branches: tuple[str, ...]) -> tuple[str, ...]:
    """Names of branches, if each can be that of a head and none comes twice."""
    names = tuple(branches) if isinstance(branches, tuple | list) else ()
    usable = all(isinstance(name, str) and name.isidentifier() for name in names)
    if not names or not usable or len(set(names)) < len(names):
        raise ConfigError(
            "The branches are not usable.",
            given=repr(branches),
            expected="names of heads of the model, at least one, each once",
            repair='SelfDistillation(("branch_1", "branch_2"))',
        )
    return names


def _logits(produced: Produced, name: str) -> Array:
    """Logits of a branch; :class:`DataError` where it gives something else."""
    found = produced.outputs[name]
    if found.shape != produced.logits.shape:
        raise DataError(
            "The branch gives no logits.",
            given=f"{name}, shape {found.shape}",
            expected=f"shape {produced.logits.shape}, as the student",
            repair="a head that ends in Dense(..., classes), such as one of branches(model)",
        )
    return found
