"""Objectives over heads and ticks: against the naive losses, with teachers that stand still, and finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import LIF
from eventsim.errors import ConfigError, DataError, NetworkError
from eventsim.training import (
    CrossEntropy,
    Direct,
    FitConfig,
    Head,
    Model,
    SelfDistillation,
    SoftTargets,
    Taught,
    TemporalEfficient,
    TemporalSelfDistillation,
    branches,
    fit,
    gradient,
    mlp,
    predict,
    with_heads,
)
from eventsim.training.heads_loss import NORMS, REGULARISERS, TEACHER_SPACES
from eventsim.training.layer import Mode
from eventsim.training.linear import Conv, Dense
from eventsim.training.norm import BatchNorm
from eventsim.training.objective import Objective
from eventsim.training.pooling import AvgPool
from eventsim.training.produced import Produced, Slopes
from eventsim.training.shaping import Flatten
from eventsim.training.spiking import Spiking
from tests import loss_oracle as oracle
from tests.cache_cases import few
from tests.nets import CLASSES, batch, differences, moving, spiking
from tests.strategies import seeds

NAMES = ("branch_1", "branch_2")
ESD = SelfDistillation(NAMES, 0.7, 1.2, 0.4)


def net():
    """Three stages: two branches."""
    layers = [
        Conv(2, 4, (2, 2), bias=True),
        spiking(),
        AvgPool(2),
        Conv(4, 4, (2, 2), padding=1),
        BatchNorm(4),
        spiking(),
        Conv(4, 6, (3, 2)),
        spiking(),
        Flatten(),
        Dense(12, CLASSES),
    ]
    model = Model(layers, (6, 5, 2))
    return with_heads(model, branches(model, ["1", "5"]))


def outputs(objective, produced):
    """Logits of heads or of ticks, shape (outputs, batch, classes)."""
    if isinstance(objective, SelfDistillation):
        return np.stack([*(produced.outputs[name] for name in objective.branches), produced.logits])
    return produced.steps.swapaxes(0, 1)


def teachers(objective, produced, labels):
    """What those that are right say together, for each sample."""
    heads = outputs(objective, produced).tolist()
    return oracle.reliable_teachers(heads, labels, objective.temperature, objective.teacher_space)


def naive(objective, produced, labels, still):
    """Value with these teachers."""
    heads = outputs(objective, produced).tolist()
    options = objective.temperature, objective.norm, objective.eta, objective.regulariser
    value = oracle.towards(heads, still, *options)
    if isinstance(objective, TemporalSelfDistillation):
        return value / len(heads)
    weights = [objective.alpha_branch] * len(objective.branches) + [objective.alpha_final]
    each = [w * oracle.cross_entropy(head, labels) for w, head in zip(weights, heads, strict=True)]
    return sum(each) + objective.beta * value


class Still(Objective):
    """The naive value of an objective, with teachers that do not move."""

    def __init__(self, objective, still):
        self.objective, self.still = objective, still

    @property
    def needs(self):
        return self.objective.needs

    def __call__(self, produced, labels, taught=None, done=1.0):
        return naive(self.objective, produced, labels, self.still), Slopes()


def produced(seed, ticks=3, samples=4):
    rng = np.random.default_rng(seed % 2**32)
    steps = rng.normal(0, 2, (samples, ticks, CLASSES))
    heads = {name: rng.normal(0, 2, (samples, CLASSES)) for name in NAMES}
    return Produced(steps.mean(axis=1), steps, heads), rng.integers(0, CLASSES, samples)


@st.composite
def options(draw):
    return {
        "temperature": draw(st.floats(0.5, 6)),
        "teacher_space": draw(st.sampled_from(TEACHER_SPACES)),
        "norm": draw(st.sampled_from(NORMS)),
        "eta": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "regulariser": draw(st.sampled_from(REGULARISERS)),
    }


@given(seeds(), options(), st.tuples(*[st.floats(0, 2)] * 3))
def test_values_are_the_naive_ones(seed, options, weights):
    student, labels = produced(seed)
    for objective in (SelfDistillation(NAMES, *weights, **options), TemporalSelfDistillation(**options)):
        wanted = naive(objective, student, labels, teachers(objective, student, labels))
        assert objective(student, labels).value == pytest.approx(wanted, abs=1e-10)


@given(seeds(), st.floats(0, 1), st.floats(-1, 2))
def test_tet_is_the_naive_one(seed, lam, phi):
    student, labels = produced(seed)
    value, slopes = TemporalEfficient(lam, phi)(student, labels)
    assert value == pytest.approx(oracle.temporal_cross_entropy(student.steps, labels, lam, phi))
    assert slopes.logits is None
    assert slopes.steps.shape == student.steps.shape


@given(seeds())
def test_branches_have_an_order_and_the_logits_come_last(seed):
    student, labels = produced(seed)
    one, two = (SelfDistillation(names, 0.7, 1.2, 0.4)(student, labels) for names in (NAMES, NAMES[::-1]))
    assert one.value == pytest.approx(two.value)
    for name in NAMES:
        assert one.slopes.outputs[name] == pytest.approx(two.slopes.outputs[name])
    assert one.slopes.logits == pytest.approx(two.slopes.logits)
    plain = SelfDistillation(NAMES, 0.7, 1.2, 0)(student, labels).slopes
    assert plain.logits == pytest.approx(CrossEntropy()(student, labels).slopes.logits * 1.2)


def agree(model, params, x, labels, objective, still, ticks):
    """Gradient against differences of an objective of the same value."""
    how = {"ticks": ticks, "method": "bptt", "smooth": True}
    found = gradient(model, params, x, labels, objective, **how)
    wanted = differences(lambda p: gradient(model, p, x, labels, still, **how).value, params, 1)
    assert found.value == pytest.approx(gradient(model, params, x, labels, still, **how).value)
    size = max(abs(slope) for _, slope, _ in wanted.values())
    for name, (way, slope, _) in wanted.items():
        assert (way * found.params[name]).sum() == pytest.approx(slope, rel=1e-5, abs=1e-6 * size + 1e-9), name


@pytest.mark.parametrize("ticks", [1, 3])
@pytest.mark.parametrize(
    "objective",
    [
        ESD,
        SelfDistillation(NAMES, eta=0.3, norm="batch", teacher_space="prob"),
        TemporalSelfDistillation(),
        TemporalSelfDistillation(norm="batch", eta=1.0, teacher_space="logit_sum", regulariser="entropy"),
    ],
)
def test_gradients_go_through_branches_and_ticks(objective, ticks):
    """Finite differences, with smooth spikes, and with the teachers where they were."""
    model = net()
    params, (x, labels) = moving(model, 1), batch(model, 1, ticks)
    signal = model.signal(x)
    forward = model.forward(params, signal, Mode(ticks, "bptt", smooth=True))
    still = teachers(objective, forward.produced, labels)
    assert any(row is not None for row in still)
    agree(model, params, x, labels, objective, Still(objective, still), ticks)


@pytest.mark.parametrize("ticks", [1, 3])
def test_gradients_of_tet(ticks):
    model = net()
    params, (x, labels) = moving(model, 2), batch(model, 2, ticks)
    agree(model, params, x, labels, TemporalEfficient(0.2, 0.5), TemporalEfficient(0.2, 0.5), ticks)


def test_rates_are_all_there_is_in_a_single_tick():
    model, params = net(), moving(net(), 3)
    x, labels = batch(model, 3, 1)
    one, two = (gradient(model, params, x, labels, ESD, method=method) for method in ("bptt", "ratebp"))
    assert one.value == two.value
    for name in one.params:
        assert one.params[name] == pytest.approx(two.params[name], rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("method", ["bptt", "ratebp", "dsr"])
def test_branches_teach_the_layers_before_them(method):
    """With weights of branches alone, the gradient reaches the first stage and nothing behind the last branch."""
    model = net()
    params, (x, labels) = moving(model, 4), batch(model, 4, 3)
    found = gradient(model, params, x, labels, SelfDistillation(NAMES, 1.0, 0.0, 0.0), method=method).params
    assert found["0/weight"].any()
    assert found["3/weight"].any()
    assert all(part.any() for name, part in found.items() if name.startswith("heads/") and name.endswith("weight"))
    assert not any(part.any() for name, part in found.items() if name.startswith(("6/", "9/")))


def wrong(heads, labels):
    """All heads are sure of another class."""
    student, _ = produced(0, samples=len(labels))
    sure = np.eye(CLASSES)[(labels + 1) % CLASSES] * 5
    return student._replace(logits=sure, steps=np.repeat(sure[:, None], 3, axis=1), outputs=dict.fromkeys(heads, sure))


def test_where_no_head_is_right_only_labels_teach():
    labels = np.array([0, 1, 2])
    student = wrong(NAMES, labels)
    value, slopes = SelfDistillation(NAMES)(student, labels)
    plain = SelfDistillation(NAMES, beta=0)(student, labels)
    assert value == plain.value
    assert np.array_equal(slopes.logits, plain.slopes.logits)
    assert TemporalSelfDistillation()(student, labels).value == 0
    assert not TemporalSelfDistillation()(student, labels).slopes.steps.any()
    softened = SelfDistillation(NAMES, eta=1.0)(student, labels)
    assert softened.value > value


@pytest.mark.parametrize("objective", [ESD, TemporalSelfDistillation(), TemporalEfficient()])
def test_a_silent_student_and_a_class_that_is_absent(objective):
    """Nothing is infinite, and a class without a sample is drawn down."""
    steps, labels = np.zeros((4, 3, CLASSES), np.float32), np.array([0, 1, 0, 1])
    silent = Produced(steps[:, 0], steps, dict.fromkeys(NAMES, steps[:, 0]))
    value, slopes = objective(silent, labels)
    assert np.isfinite(value)
    assert slopes.finite()
    by = slopes.steps if slopes.steps is not None else slopes.logits
    assert by.dtype == np.float32
    if objective is ESD:
        assert (by[:, 2] > 0).all()
        assert value == pytest.approx((2 * 0.7 + 1.2) * np.log(CLASSES))


def test_heads_that_agree_and_are_right_cost_nothing():
    labels = np.array([0, 1, 2, 1])
    right = np.eye(CLASSES)[labels] * 3
    steps = np.repeat(right[:, None], 3, axis=1)
    student = Produced(right, steps, dict.fromkeys(NAMES, right))
    value, slopes = SelfDistillation(NAMES, 0.0, 0.0, 1.0)(student, labels)
    assert value == pytest.approx(0, abs=1e-12)
    assert slopes.logits == pytest.approx(0, abs=1e-12)
    assert TemporalSelfDistillation()(student, labels).slopes.steps == pytest.approx(0, abs=1e-12)


def test_a_single_tick_is_its_own_teacher():
    student, labels = produced(5, ticks=1)
    assert TemporalSelfDistillation()(student, labels).value == pytest.approx(0, abs=1e-12)
    plain = TemporalEfficient(0.0)(student, labels)
    assert plain.value == pytest.approx(CrossEntropy()(student, labels).value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SelfDistillation(()),
        lambda: SelfDistillation("branch_1"),
        lambda: SelfDistillation(("branch_1", "branch_1")),
        lambda: SelfDistillation(("5",)),
        lambda: SelfDistillation((5,)),
        lambda: SelfDistillation(NAMES, alpha_branch=-1),
        lambda: SelfDistillation(NAMES, alpha_final=np.nan),
        lambda: SelfDistillation(NAMES, beta=-0.3),
        lambda: SelfDistillation(NAMES, temperature=0),
        lambda: SelfDistillation(NAMES, teacher_space="probability"),
        lambda: SelfDistillation(NAMES, norm="all"),
        lambda: SelfDistillation(NAMES, eta=-1),
        lambda: SelfDistillation(NAMES, regulariser="none"),
        lambda: TemporalSelfDistillation(temperature=-1),
        lambda: TemporalSelfDistillation(teacher_space="rate"),
        lambda: TemporalSelfDistillation(norm="all"),
        lambda: TemporalSelfDistillation(eta="1"),
        lambda: TemporalSelfDistillation(regulariser="none"),
        lambda: TemporalEfficient(-0.1),
        lambda: TemporalEfficient(1.1),
        lambda: TemporalEfficient(potential=np.inf),
    ],
)
def test_options_that_are_not_usable_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_branches_may_come_in_a_list():
    assert SelfDistillation(list(NAMES)) == SelfDistillation(NAMES)


@pytest.mark.parametrize(
    ("kind", "message", "objective", "method"),
    [
        (NetworkError, "no such layer", SelfDistillation(("branch_1", "branch_9")), "bptt"),
        (DataError, "gives no logits", SelfDistillation(("map",)), "bptt"),
        (ConfigError, "every tick", TemporalSelfDistillation(), "ratebp"),
        (ConfigError, "every tick", CrossEntropy() + TemporalEfficient(), "dsr"),
        (ConfigError, "do not fit together", ESD + SoftTargets(), "bptt"),
    ],
)
def test_what_does_not_fit_together_is_refused(kind, message, objective, method):
    model = with_heads(net(), {"map": Head("1", (Conv(4, 3, (1, 1)),))})
    params, (x, labels) = moving(model, 0), batch(model, 0, 3)
    with pytest.raises(kind, match=message):
        gradient(model, params, x, labels, objective, method=method)


def test_an_objective_of_heads_alone_wants_no_teacher():
    model = net()
    params, (x, labels) = moving(model, 0), batch(model, 0, 3)
    with pytest.raises(ConfigError, match="do not fit together"):
        gradient(model, params, x, labels, ESD, Taught(np.zeros((4, CLASSES))), method="bptt")


@pytest.mark.parametrize("method", ["ratebp", "bptt"])
def test_a_student_with_branches_is_trained_and_deployed_without_them(method):
    dataset = few()
    student = mlp((64, 24, 16, 10), Spiking(LIF()))
    model = with_heads(student, branches(student))
    objective = SelfDistillation(tuple(model.heads))
    config = FitConfig(epochs=15, batch=25, rate=2e-2, method=method)
    fitted = fit(model, model.initial(0), dataset, Direct(4), objective, config)
    assert fitted.history[-1].loss < 0.5 * fitted.history[0].loss
    assert fitted.history[-1].validation_accuracy > 0.7
    bare, params = model.bare(fitted.params)
    assert bare == student
    one, two = (predict(m, p, dataset, dataset.test, Direct(4)) for m, p in ((model, fitted.params), (bare, params)))
    assert np.array_equal(one, two)
