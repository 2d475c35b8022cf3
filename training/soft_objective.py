"""Objectives against the logits of a teacher."""

from __future__ import annotations

from dataclasses import dataclass

from eventsim.checks import one_number
from eventsim.errors import ConfigError
from eventsim.training.choices import choice
from eventsim.training.objective import Labels, Needs, Objective, Value, told
from eventsim.training.produced import Produced, Slopes
from eventsim.training.softened import DIRECTIONS, kl_divergence, soft_label_weights
from eventsim.training.taught import Taught


@dataclass(frozen=True)
class SoftTargets(Objective):
    """Kullback-Leibler divergence of softened probabilities; see :func:`eventsim.training.softened.kl_divergence`.

    Parameters
    ----------
    temperature : float
        Above 0.
    gain : float
        Logits over outputs of the student, as for :class:`~eventsim.training.label_objective.CrossEntropy`. The number
        of ticks makes counts of spikes of rates (Li et al.: q^s).
    direction : str
        ``"forward"``: KL(teacher || student); ``"reverse"``: KL(student || teacher).
    tau2 : bool
        The factor temperature**2, which keeps gradients comparable between temperatures.
    double_softmax : bool
        Soften the probabilities of the teacher instead of its logits (Li et al., equation 6, to the letter).
    weighted : bool
        Weigh samples by how far the student is behind its teacher (BKDSNN).

    Raises
    ------
    ConfigError
        A temperature or gain that is not positive, or an unknown direction.
    """

    temperature: float = 4.0
    gain: float = 1.0
    direction: str = "forward"
    tau2: bool = True
    double_softmax: bool = False
    weighted: bool = False

    def __post_init__(self) -> None:
        for name in ("temperature", "gain"):
            one_number(name, getattr(self, name), 1e-9, 1e9, repair=f"SoftTargets({name}=4.0)", kind=ConfigError)
        choice("direction", self.direction, DIRECTIONS)

    @property
    def needs(self) -> Needs:
        return Needs(logits=True)

    def __call__(self, produced: Produced, labels: Labels, taught: Taught | None = None, done: float = 1.0) -> Value:
        teacher = told(self, produced, taught).logits
        gain = produced.logits.dtype.type(self.gain)
        logits = gain * produced.logits
        value, slope = kl_divergence(
            logits,
            teacher,
            self.temperature,
            direction=self.direction,
            tau2=self.tau2,
            double_softmax=self.double_softmax,
            weights=soft_label_weights(logits, teacher, labels) if self.weighted else None,
        )
        return Value(value, Slopes(gain * slope))
