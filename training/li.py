"""The losses of Li et al. (a spin-based student) with everything that the paper leaves open as an option.

``docs/distillation.md`` lists what is open. Weights and temperature are not in the paper: they are ours.
"""

from __future__ import annotations

from typing import Any

from eventsim.errors import ConfigError
from eventsim.training.choices import choice
from eventsim.training.feature_objective import FeatureDistance
from eventsim.training.label_objective import BrierScore, CrossEntropy, SquaredError
from eventsim.training.objective import Objective
from eventsim.training.soft_objective import SoftTargets

PRESETS: dict[str, dict[str, Any]] = {
    "recommended": {"alpha": 0.5, "tau2": True, "double_softmax": False, "norm": "sample"},
    "literal": {"alpha": 1.0, "tau2": False, "double_softmax": True, "norm": "batch"},
}
"""What the presets of :func:`li_ssnn_kd` differ in."""


def li_ssnn_kd(
    preset: str = "recommended",
    *,
    student: str | None = None,
    teacher: str | None = None,
    gain: float = 1.0,
    classification: float = 1.0,
    alpha: float | None = None,
    beta: float = 0.1,
    temperature: float = 4.0,
    direction: str = "forward",
    tau2: bool | None = None,
    double_softmax: bool | None = None,
    norm: str | None = None,
    rectified: bool = True,
    scale: float = 1.0,
) -> Objective:
    """``L_s = L_cls + alpha L_KD + beta L_FL``, equation 3.

    Parameters
    ----------
    preset : str
        ``"recommended"``: one softmax, the factor temperature**2, a norm for each sample; ``"literal"``: two softmaxes,
        no factor, one norm for the batch. Options that are given go before it.
    student, teacher : str, optional
        Layers that equation 7 compares; without them there is no L_FL.
    gain : float
        q^s over mean outputs: the number of ticks for counts of spikes.
    classification : float
        Weight of L_cls; the number of classes makes equation 4 a mean over samples alone.
    alpha, beta, temperature : float
    direction, tau2, double_softmax
        As for :class:`~eventsim.training.soft_objective.SoftTargets`.
    norm, rectified, scale
        As for :class:`~eventsim.training.feature_objective.FeatureDistance`; gamma is 1.

    Raises
    ------
    ConfigError
        An unknown preset, one layer without the other, or an option outside its range.
    """
    given = {"alpha": alpha, "tau2": tau2, "double_softmax": double_softmax, "norm": norm}
    chosen = PRESETS[choice("preset", preset, tuple(PRESETS))]
    chosen = chosen | {name: value for name, value in given.items() if value is not None}
    if (student is None) != (teacher is None):
        raise ConfigError(
            "The layers of the feature loss are not usable.",
            given=f"student={student!r}, teacher={teacher!r}",
            expected="a layer of each, or none",
            repair='li_ssnn_kd(student="1", teacher="1")',
        )
    softened = SoftTargets(temperature, gain, direction, chosen["tau2"], chosen["double_softmax"])
    alpha, norm = float(chosen["alpha"]), str(chosen["norm"])
    total: Objective = classification * SquaredError() + alpha * softened
    if student is None or teacher is None:
        return total
    return total + beta * FeatureDistance(student, teacher, norm, rectified, scale)


def li_teacher(
    delta: float = 0.01,
    *,
    classification: str = "cross_entropy",
    temperature: float = 4.0,
    direction: str = "forward",
    tau2: bool = True,
) -> Objective:
    """``L_t = L_cls + delta L_KD``, equation 8: what a teacher that is trained along learns from its student.

    Parameters
    ----------
    delta : float
        0 for a teacher that does not listen.
    classification : str
        ``"cross_entropy"``, or ``"brier_score"``: equation 4, of probabilities.
    temperature : float
    direction : str
        ``"forward"``: the teacher follows its student; ``"reverse"``: equation 5 as printed.
    tau2 : bool
        The factor temperature**2.

    Raises
    ------
    ConfigError
        An option outside its range.
    """
    kinds: dict[str, type[Objective]] = {"cross_entropy": CrossEntropy, "brier_score": BrierScore}
    own = kinds[choice("classification", classification, tuple(kinds))]()
    return own + delta * SoftTargets(temperature, direction=direction, tau2=tau2)
