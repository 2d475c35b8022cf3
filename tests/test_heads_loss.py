"""Losses over heads and ticks against naive sums and finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training.heads_loss import (
    NORMS,
    REGULARISERS,
    TEACHER_SPACES,
    heads_cross_entropy,
    reliable_teacher,
    self_distillation,
    temporal_cross_entropy,
    temporal_self_distillation,
)
from eventsim.training.label_loss import cross_entropy
from tests import loss_oracle as oracle
from tests.oracle import difference

temperatures = st.floats(0.5, 6)


@st.composite
def cases(draw):
    """Logits of heads, and labels that are often right."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    heads, batch, classes = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    labels = rng.integers(0, classes, batch)
    return rng.normal(0, 2, (heads, batch, classes)), labels


@st.composite
def options(draw):
    return {
        "teacher_space": draw(st.sampled_from(TEACHER_SPACES)),
        "norm": draw(st.sampled_from(NORMS)),
        "eta": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "regulariser": draw(st.sampled_from(REGULARISERS)),
    }


def naive(heads, labels, tau, teacher_space, norm, eta, regulariser, still=None):
    """Self-distillation, with the teachers of the heads ``still`` where others move."""
    teachers = oracle.reliable_teachers(heads if still is None else still, labels, tau, teacher_space)
    return oracle.towards(heads, teachers, tau, norm, eta, regulariser)


@given(cases(), temperatures, st.sampled_from(TEACHER_SPACES))
def test_the_teacher_is_the_naive_one(case, tau, space):
    heads, labels = case
    log_teacher, valid = reliable_teacher(heads, labels, tau, teacher_space=space)
    for row, known, p in zip(log_teacher, valid, oracle.reliable_teachers(heads, labels, tau, space), strict=True):
        assert known == (p is not None)
        assert np.exp(row) == pytest.approx(p if known else np.full(len(row), 1 / len(row)))


@given(cases(), temperatures, options())
def test_self_distillation_is_the_naive_one(case, tau, options):
    """Finite differences move the heads and leave their teacher where it was."""
    heads, labels = case
    value, grad = self_distillation(heads, labels, tau, **options)
    assert value == pytest.approx(naive(heads, labels, tau, **options), abs=1e-11)
    slope = difference(lambda z: naive(z, labels, tau, **options, still=heads), heads)
    assert grad == pytest.approx(slope, rel=1e-5, abs=1e-6)


@given(cases(), st.booleans())
def test_cross_entropies_add_up(case, weighted):
    heads, labels = case
    weights = [0.5 * k for k in range(len(heads))] if weighted else None
    value, grad = heads_cross_entropy(heads, labels, weights)
    each = [w * oracle.cross_entropy(h, labels) for w, h in zip(weights or [1] * len(heads), heads, strict=True)]
    assert value == pytest.approx(sum(each))
    assert grad == pytest.approx(difference(lambda z: heads_cross_entropy(z, labels, weights)[0], heads), abs=1e-7)


@given(cases(), temperatures, options())
def test_ticks_are_heads(case, tau, options):
    heads, labels = case
    value, grad = self_distillation(heads, labels, tau, **options)
    other, slope = temporal_self_distillation(heads.swapaxes(0, 1), labels, tau, **options)
    assert other == pytest.approx(value / len(heads))
    assert slope == pytest.approx(grad.swapaxes(0, 1) / len(heads))
    outputs = np.ascontiguousarray(heads.swapaxes(0, 1))
    assert temporal_self_distillation(outputs, labels, tau, **options)[0] == other


@given(cases())
def test_the_self_term_of_twkd_draws_what_no_tick_has_right_towards_uniform(case):
    """The published ensemble has no mask: a sample without any right tick has a teacher of logits 0."""
    heads, labels = case
    value = 0.0
    for b, y in enumerate(labels):
        right = [head[b] for head in heads if np.argmax(head[b]) == y]
        teacher = oracle.softmax(list(sum(right) / (len(right) + 1e-8)) if right else [0.0] * heads.shape[2], 3.0)
        value += sum(9 * oracle.kl(teacher, oracle.softmax(list(head[b]), 3.0)) for head in heads)
    term, _ = temporal_self_distillation(heads.swapaxes(0, 1), labels, 3.0, norm="batch", eta=1.0)
    assert term == pytest.approx(value / heads[..., 0].size, rel=1e-6, abs=1e-9)


@given(cases(), st.floats(0, 1), st.floats(-1, 2))
def test_temporal_cross_entropy_is_the_naive_one(case, lam, phi):
    heads, labels = case
    outputs = np.ascontiguousarray(heads.swapaxes(0, 1))
    value, grad = temporal_cross_entropy(outputs, labels, lam, phi)
    assert value == pytest.approx(oracle.temporal_cross_entropy(outputs, labels, lam, phi))
    assert grad == pytest.approx(
        difference(lambda z: temporal_cross_entropy(z, labels, lam, phi)[0], outputs), abs=1e-7
    )


@given(cases())
def test_one_tick_without_regularisation_is_plain_cross_entropy(case):
    heads, labels = case
    value, grad = temporal_cross_entropy(heads[0][:, None], labels, 0.0)
    plain, slope = cross_entropy(heads[0], labels)
    assert value == plain
    assert (grad[:, 0] == slope).all()


@given(cases(), temperatures, options(), st.randoms(use_true_random=False))
def test_heads_in_another_order_have_their_gradients_in_that_order(case, tau, options, random):
    heads, labels = case
    order = list(range(len(heads)))
    random.shuffle(order)
    value, grad = self_distillation(heads, labels, tau, **options)
    other, slope = self_distillation(heads[order], labels, tau, **options)
    assert other == pytest.approx(value)
    assert slope == pytest.approx(grad[order], abs=1e-12)


@given(cases(), temperatures, st.sampled_from(["logit", "prob"]), st.sampled_from(NORMS))
def test_equal_heads_that_are_right_have_nothing_to_learn(case, tau, space, norm):
    heads, labels = case
    heads[:] = heads[0]
    heads[:, np.arange(len(labels)), labels] += 20
    value, grad = self_distillation(heads, labels, tau, teacher_space=space, norm=norm)
    assert value == pytest.approx(0, abs=1e-12)
    assert grad == pytest.approx(np.zeros_like(grad), abs=1e-12)


@given(cases(), temperatures, options())
def test_self_distillation_is_never_negative(case, tau, options):
    heads, labels = case
    value, grad = self_distillation(heads, labels, tau, **options)
    assert value >= -1e-12
    assert grad.sum(axis=-1) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("space", TEACHER_SPACES)
def test_a_batch_that_no_head_has_right_is_not_distilled(norm, space):
    heads = np.array([[[1.0, 0], [2, 0]], [[3, 0], [4, 0]]])
    labels = np.array([1, 1])
    value, grad = self_distillation(heads, labels, teacher_space=space, norm=norm)
    assert (value, grad.any()) == (0, False)
    value, grad = self_distillation(heads, labels, 1.0, teacher_space=space, norm=norm, eta=0.1)
    assert value == pytest.approx(0.1 * sum(oracle.kl([0.5, 0.5], oracle.softmax(r)) for r in heads.reshape(4, 2)) / 2)
    assert (grad[..., 0] > 0).all()  # less sure of what is wrong


def test_samples_without_a_teacher_do_not_dilute_the_others():
    heads, labels = np.random.default_rng(0).normal(0, 2, (3, 1, 4)), np.array([2])
    heads[0, 0, 2] = 9
    more = np.concatenate([heads, np.tile([5.0, 0, 0, 0], (3, 1, 1))], axis=1)
    value, grad = self_distillation(heads, labels)
    other, slope = self_distillation(more, np.array([2, 1]))
    assert other == pytest.approx(value)
    assert slope[:, :1] == pytest.approx(grad)
    assert not slope[:, 1].any()
    assert self_distillation(more, np.array([2, 1]), norm="batch")[0] == pytest.approx(value / 2)


def test_entropies_are_counted_from_that_of_the_uniform_distribution():
    heads = np.array([[[2.0, 0, -1]]])
    p = oracle.softmax([2.0, 0, -1])
    value, _ = self_distillation(heads, np.array([1]), 1.0, eta=1.0, regulariser="entropy")
    assert value == pytest.approx(math.log(3) + sum(v * math.log(v) for v in p))


@pytest.mark.parametrize("space", TEACHER_SPACES)
def test_a_silent_student_is_no_teacher_of_logits(space):
    """All outputs are 0: the first class is the largest, but its head has said nothing."""
    heads, labels = np.zeros((2, 3, 4), np.float32), np.array([0, 0, 1])
    _, valid = reliable_teacher(heads, labels, teacher_space=space)
    assert valid.tolist() == ([True, True, False] if space == "prob" else [False] * 3)
    value, grad = self_distillation(heads, labels, teacher_space=space, eta=1.0)
    assert value == pytest.approx(0, abs=1e-12)
    assert grad == pytest.approx(np.zeros_like(grad), abs=1e-7)


@pytest.mark.parametrize("space", TEACHER_SPACES)
def test_heads_that_are_sure_stay_finite(space):
    heads = np.array([[[2e3, 0, -2e3]], [[-2e3, 0, 2e3]]])
    value, grad = self_distillation(heads, np.array([0]), 1.0, teacher_space=space)
    assert np.isfinite(value)
    assert np.isfinite(grad).all()


def test_a_single_class_costs_nothing():
    value, grad = self_distillation(np.ones((2, 3, 1)), np.zeros(3, np.int64), eta=1.0)
    assert (value, grad.any()) == (0, False)


@given(cases(), temperatures, options())
def test_single_precision_is_double_precision_rounded_and_a_list_will_do(case, tau, options):
    heads, labels = case[0].astype(np.float32), case[1]
    value, grad = self_distillation(list(heads), labels, tau, **options)
    exact, slope = self_distillation(heads.astype(np.float64), labels, tau, **options)
    assert value == exact
    assert grad.dtype == np.float32
    assert grad.shape == heads.shape
    assert (grad == slope.astype(np.float32)).all()
    outputs = heads.swapaxes(0, 1)
    assert temporal_self_distillation(outputs, labels, tau, **options)[1].dtype == np.float32
    value, grad = temporal_cross_entropy(outputs, labels)
    exact, slope = temporal_cross_entropy(outputs.astype(np.float64), labels)
    assert value == pytest.approx(exact, rel=1e-5)
    assert grad == pytest.approx(slope, abs=1e-6)
    assert grad.dtype == np.float32
    assert heads_cross_entropy(list(heads), labels)[1].dtype == np.float32


@pytest.mark.parametrize(
    ("name", "match"), [("teacher_space", "teacher_space"), ("norm", "norm"), ("regulariser", "regul")]
)
def test_unknown_options_are_refused(name, match):
    with pytest.raises(ConfigError, match=f"no such {match}"):
        self_distillation(np.ones((1, 2, 3)), np.array([0, 1]), **{name: "other"})


def test_as_many_weights_as_heads():
    with pytest.raises(ConfigError, match="2 weights and 3 heads"):
        heads_cross_entropy(np.ones((3, 2, 3)), np.array([0, 1]), [1.0, 1.0])
