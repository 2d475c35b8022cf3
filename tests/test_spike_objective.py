"""Objectives on output spikes: against the naive losses and finite differences, and in training."""

import numpy as np
import pytest

from eventsim import LIF
from eventsim.errors import ConfigError, DataError
from eventsim.training import (
    Adam,
    CrossEntropy,
    FitConfig,
    GaussianThreshold,
    Model,
    Online,
    SlidingL1,
    SlidingL2,
    SpikeDistillation,
    SpikeKL,
    SpikeL1,
    SpikeL2,
    Taught,
    fit,
    gradient,
)
from eventsim.training.linear import Dense
from eventsim.training.produced import Produced
from eventsim.training.spiking import Spiking
from tests import loss_oracle as oracle
from tests.cache_cases import few, spiking_teacher
from tests.nets import CLASSES, batch, differences, moving, spiking

TICKS = 4
SAMPLES = 4


def naive_kl(student, teacher, tau=1.0, direction="forward"):
    counts = (spikes.sum(axis=1, dtype=float) for spikes in (student, teacher))
    return oracle.kl_divergence(*counts, tau, direction)


def naive_distillation(student, teacher, window, weight, ends, tau):
    sliding = sum(oracle.sliding(student, teacher, window, ends, m) for m in (1, 2))
    return naive_kl(student, teacher, tau) + weight * sliding / student.size


CASES = [
    (SpikeL1(), lambda s, t: oracle.sliding(s, t, 1, "valid", 1)),
    (SpikeL1("mean"), lambda s, t: oracle.sliding(s, t, 1, "valid", 1) / s.size),
    (SpikeL2(), oracle.squares),
    (SpikeL2(root=True, reduction="mean"), lambda s, t: oracle.squares(s, t) ** 0.5 / s.size),
    (SpikeKL(), naive_kl),
    (SpikeKL(2.5, "reverse"), lambda s, t: naive_kl(s, t, 2.5, "reverse")),
    (SlidingL1(2), lambda s, t: oracle.sliding(s, t, 2, "valid", 1)),
    (SlidingL1(3, "clipped", "mean"), lambda s, t: oracle.sliding(s, t, 3, "clipped", 1) / s.size),
    (SlidingL2(2), lambda s, t: oracle.sliding(s, t, 2, "valid", 2)),
    (SlidingL2(4, "clipped"), lambda s, t: oracle.sliding(s, t, 4, "clipped", 2)),
    (SpikeDistillation(2), lambda s, t: naive_distillation(s, t, 2, 0.1, "valid", 1.0)),
    (SpikeDistillation(3, 0.7, "clipped", 2.0), lambda s, t: naive_distillation(s, t, 3, 0.7, "clipped", 2.0)),
]
every = pytest.mark.parametrize(("objective", "naive"), CASES, ids=[repr(objective) for objective, _ in CASES])


def net():
    """Two layers of neurons; the second one is the output."""
    return Model([Dense(5, 6), spiking(), Dense(6, CLASSES), spiking()], (5,))


def trains(seed, ticks=TICKS, samples=SAMPLES):
    return np.random.default_rng(seed).integers(0, 2, (samples, ticks, CLASSES), np.uint8)


def taught(spikes):
    return Taught(spikes.mean(axis=1, dtype=np.float32), {}, spikes)


@every
def test_the_value_is_the_naive_one_and_slopes_are_by_every_tick(objective, naive):
    student, teacher = trains(0), trains(1)
    steps = student.astype(np.float32)
    value, slopes = objective(Produced(steps.mean(axis=1), steps), np.zeros(SAMPLES, int), taught(teacher))
    assert value == pytest.approx(naive(student, teacher), rel=1e-5)
    assert slopes.steps.shape == steps.shape
    assert slopes.steps.dtype == np.float32
    assert (slopes.logits, slopes.outputs) == (None, {})


@every
def test_gradients_go_through_output_neurons(objective, naive):
    """Finite differences, with smooth spikes."""
    model = net()
    params, (x, labels), teacher = moving(model, 1), batch(model, 1, TICKS), taught(trains(2))
    how = {"ticks": TICKS, "method": "bptt", "smooth": True}
    found = gradient(model, params, x, labels, objective, teacher, **how)
    wanted = differences(lambda p: gradient(model, p, x, labels, objective, teacher, **how).value, params, 1)
    size = max(abs(slope) for _, slope, _ in wanted.values())
    assert size > 0
    for name, (way, slope, _) in wanted.items():
        assert (way * found.params[name]).sum() == pytest.approx(slope, rel=1e-5, abs=1e-6 * size), name


@every
def test_a_student_that_is_its_teacher_is_left_alone(objective, naive):
    spikes = trains(3)
    steps = spikes.astype(np.float64)
    value, slopes = objective(Produced(steps.mean(axis=1), steps), np.zeros(SAMPLES, int), taught(spikes))
    assert value == pytest.approx(0, abs=1e-12)
    assert slopes.steps == pytest.approx(0, abs=1e-12)


@every
def test_a_silent_student_is_told_to_fire_where_its_teacher_does(objective, naive):
    teacher, steps = trains(4), np.zeros((SAMPLES, TICKS, CLASSES))
    value, slopes = objective(Produced(steps.mean(axis=1), steps), np.zeros(SAMPLES, int), taught(teacher))
    assert value > 0
    assert np.isfinite(slopes.steps).all()
    if not isinstance(objective, SpikeKL | SpikeDistillation):
        assert ((slopes.steps < 0) == (teacher == 1)).all()


@pytest.mark.parametrize("objective", [SpikeL1(), SpikeL2(), SpikeKL(), SlidingL1(1), SlidingL2(1)])
def test_a_single_tick_is_enough(objective):
    model = net()
    params, (x, labels) = moving(model, 5), batch(model, 5, 1)
    found = gradient(model, params, x, labels, objective, taught(trains(5, 1)), method="bptt")
    assert np.isfinite(found.value)
    assert any(part.any() for part in found.params.values())


@pytest.mark.parametrize("objective", [SpikeKL(), SpikeDistillation(window=2), SpikeL2(reduction="mean")])
def test_a_student_learns_the_spikes_of_its_teacher(objective):
    dataset = few()
    student = Model([Dense(64, 20), Spiking(LIF()), Dense(20, 10), Spiking(LIF())], (64,))
    config = FitConfig(epochs=6, batch=25, rate=3e-3, method="bptt", optimiser=Adam())
    params = {name: 3 * value for name, value in student.initial(1).items()}
    encoder, teacher = GaussianThreshold(5, seed=2), Online(spiking_teacher(), dataset)
    history = fit(student, params, dataset, encoder, objective, config, teacher=teacher).history
    assert history[-1].loss < 0.9 * history[0].loss


@pytest.mark.parametrize(
    "make",
    [
        lambda: SpikeL1("most"),
        lambda: SpikeL2(reduction="most"),
        lambda: SpikeKL(0),
        lambda: SpikeKL(-1.0),
        lambda: SpikeKL(np.nan),
        lambda: SpikeKL(direction="sideways"),
        lambda: SlidingL1(0),
        lambda: SlidingL1(2.0),
        lambda: SlidingL1(True),
        lambda: SlidingL1(ends="open"),
        lambda: SlidingL2(reduction="most"),
        lambda: SlidingL2(-3),
        lambda: SpikeDistillation(0),
        lambda: SpikeDistillation(weight=-0.1),
        lambda: SpikeDistillation(ends="open"),
        lambda: SpikeDistillation(temperature=0),
    ],
)
def test_options_that_are_not_usable_are_refused(make):
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize(
    ("kind", "message", "objective", "teacher", "method"),
    [
        (ConfigError, "window of 5 and 4 ticks", SlidingL1(5), taught(trains(0)), "bptt"),
        (ConfigError, "window of 5 and 4 ticks", SlidingL2(), taught(trains(0)), "bptt"),
        (ConfigError, "window of 9 and 4 ticks", SpikeDistillation(9), taught(trains(0)), "bptt"),
        (ConfigError, "every tick", SpikeL1(), taught(trains(0)), "ratebp"),
        (ConfigError, "every tick", CrossEntropy() + SpikeKL(), taught(trains(0)), "dsr"),
        (ConfigError, "do not fit together", SpikeL1(), None, "bptt"),
        (ConfigError, "no spikes", SpikeL1(), Taught(np.zeros((SAMPLES, CLASSES), np.float32)), "bptt"),
        (DataError, "spikes of the teacher", SpikeL1(), taught(trains(0, TICKS + 1)), "bptt"),
        (DataError, "spikes of the teacher", SpikeL1(), taught(trains(0, samples=2)), "bptt"),
    ],
)
def test_what_does_not_fit_together_is_refused(kind, message, objective, teacher, method):
    model = net()
    params, (x, labels) = moving(model, 0), batch(model, 0, TICKS)
    with pytest.raises(kind, match=message):
        gradient(model, params, x, labels, objective, teacher, method=method)
