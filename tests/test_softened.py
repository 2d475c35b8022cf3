"""Divergences of softened probabilities against naive sums and finite differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training.label_loss import brier_score
from eventsim.training.softened import (
    DIRECTIONS,
    kl_divergence,
    log_probabilities,
    probabilities,
    soft_cross_entropy,
    soft_label_weights,
    through_softmax,
)
from tests import loss_oracle as oracle
from tests.oracle import difference

directions = st.sampled_from(DIRECTIONS)
temperatures = st.floats(0.5, 8)


@st.composite
def batches(draw, scale=3.0):
    """Logits of student and teacher, and labels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return rng.normal(0, scale, shape), rng.normal(0, scale, shape), rng.integers(0, shape[1], shape[0])


@given(batches(), temperatures)
def test_probabilities_are_the_naive_ones(batch, tau):
    logits, *_ = batch
    assert probabilities(logits, tau) == pytest.approx(np.array([oracle.softmax(row, tau) for row in logits]))
    assert np.exp(log_probabilities(logits, tau)) == pytest.approx(probabilities(logits, tau))


@given(batches())
def test_the_way_back_through_a_softmax(batch):
    logits, slope, _ = batch
    grad = through_softmax(slope, probabilities(logits))
    assert grad == pytest.approx(difference(lambda z: (slope * probabilities(z)).sum(), logits), abs=1e-7)
    assert grad.sum(axis=1) == pytest.approx(0, abs=1e-12)


@given(batches(), temperatures, directions, st.booleans(), st.booleans(), st.booleans())
def test_the_divergence_is_the_naive_one(batch, tau, direction, tau2, double_softmax, weighted):
    logits, teacher, _ = batch
    weights = np.linspace(0, 1, len(logits)) if weighted else None
    options = {"direction": direction, "tau2": tau2, "double_softmax": double_softmax, "weights": weights}
    value, grad = kl_divergence(logits, teacher, tau, **options)
    assert value == pytest.approx(oracle.kl_divergence(logits, teacher, tau, **options), abs=1e-12)
    assert grad == pytest.approx(difference(lambda z: kl_divergence(z, teacher, tau, **options)[0], logits), abs=1e-7)


@given(batches(), temperatures)
def test_the_cross_entropy_is_the_naive_one(batch, tau):
    logits, teacher, _ = batch
    value, grad = soft_cross_entropy(logits, teacher, tau)
    assert value == pytest.approx(oracle.soft_cross_entropy(logits, teacher, tau))
    assert grad == pytest.approx(difference(lambda z: soft_cross_entropy(z, teacher, tau)[0], logits), abs=1e-7)


@given(batches(), temperatures, st.booleans(), st.booleans())
def test_cross_entropy_and_divergence_differ_by_the_entropy_of_the_teacher(batch, tau, tau2, double_softmax):
    logits, teacher, _ = batch
    options = {"tau2": tau2, "double_softmax": double_softmax}
    value, grad = kl_divergence(logits, teacher, tau, **options)
    other, same = soft_cross_entropy(logits, teacher, tau, **options)
    p = probabilities(probabilities(teacher) if double_softmax else teacher, tau)
    entropy = -(p * np.log(p)).sum(axis=1).mean()
    assert other - value == pytest.approx((tau**2 if tau2 else 1) * entropy)
    assert (grad == same).all()


@given(batches(), temperatures, directions)
def test_a_divergence_is_positive_and_0_only_between_equals(batch, tau, direction):
    logits, teacher, _ = batch
    value, _ = kl_divergence(logits, teacher, tau, direction=direction)
    equal = np.allclose(probabilities(logits, tau), probabilities(teacher, tau))
    assert value == pytest.approx(0, abs=1e-12) if equal else value > 0
    value, grad = kl_divergence(logits, logits.copy(), tau, direction=direction)
    assert value == 0
    assert not grad.any()
    value, grad = kl_divergence(logits, logits + 7, tau, direction=direction)
    assert value == pytest.approx(0, abs=1e-12)
    assert grad == pytest.approx(np.zeros_like(grad), abs=1e-12)


@given(batches(), temperatures, directions)
def test_gradients_of_a_row_add_up_to_nothing(batch, tau, direction):
    logits, teacher, _ = batch
    assert kl_divergence(logits, teacher, tau, direction=direction)[1].sum(axis=1) == pytest.approx(0, abs=1e-12)


@given(batches(), directions)
def test_hot_divergences_become_squares_of_centred_logits(batch, direction):
    """tau**2 KL tends to the sum over classes of squared differences of centred logits over twice their number."""
    logits, teacher, _ = batch
    difference = (logits - logits.mean(axis=1, keepdims=True)) - (teacher - teacher.mean(axis=1, keepdims=True))
    value, grad = kl_divergence(logits, teacher, 1e4, direction=direction)
    assert value == pytest.approx(np.square(difference).sum(axis=1).mean() / (2 * logits.shape[1]), rel=1e-2, abs=1e-6)
    assert grad == pytest.approx(difference / logits.size, rel=1e-2, abs=2e-3)


@given(batches(), directions)
def test_the_factor_tau2_is_one(batch, direction):
    logits, teacher, _ = batch
    with_it, without = (kl_divergence(logits, teacher, 4.0, tau2=tau2, direction=direction) for tau2 in (True, False))
    assert with_it[0] == pytest.approx(16 * without[0])
    assert with_it[1] == pytest.approx(16 * without[1])


def test_softening_twice_flattens():
    logits, teacher = np.array([[3.0, -1, 0]]), np.array([[9.0, 1, -4]])
    assert (
        kl_divergence(logits * 0, teacher, 4.0, double_softmax=True)[0] < kl_divergence(logits * 0, teacher, 4.0)[0] / 9
    )


@given(batches(), temperatures)
def test_a_teacher_in_training_follows_its_student_through_both_softmaxes(batch, tau):
    """Equation 8 of Li et al. word by word: softmax(softmax(f_t) / tau), with either net as the target."""
    student, logits, _ = batch
    for direction in DIRECTIONS:
        options = {"tau2": False, "direction": direction}
        p = probabilities(logits)
        value, grad = kl_divergence(p, student, tau, **options)
        grad = through_softmax(grad, p)
        if direction == "reverse":  # KL(teacher || student), as equation 5 is printed
            assert value == pytest.approx(
                oracle.kl_divergence(student, logits, tau, tau2=False, double_softmax=True), abs=1e-12
            )
        naive = difference(lambda z: kl_divergence(probabilities(z), student, tau, **options)[0], logits)  # noqa: B023
        assert grad == pytest.approx(naive, abs=1e-7)


@given(batches(), temperatures, directions)
def test_ticks_are_rows_like_others(batch, tau, direction):
    """A loss over ticks with one teacher is the mean of the losses of the ticks."""
    logits, teacher, _ = batch
    ticks = np.stack([logits, 2 * logits, -logits], axis=1)
    value, grad = kl_divergence(ticks, teacher[:, None], tau, direction=direction, weights=np.ones((len(logits), 1)))
    each = [kl_divergence(ticks[:, t], teacher, tau, direction=direction) for t in range(3)]
    assert value == pytest.approx(np.mean([v for v, _ in each]))
    assert grad == pytest.approx(np.stack([g for _, g in each], axis=1) / 3)


@given(batches())
def test_weights_of_soft_labels_are_the_naive_ones(batch):
    logits, teacher, labels = batch
    weights = soft_label_weights(logits, teacher, labels)
    assert weights == pytest.approx(oracle.soft_label_weights(logits, teacher, labels))
    assert ((weights >= 0) & (weights <= 1)).all()


def test_weights_of_soft_labels_at_their_ends():
    sure, wrong = np.array([[500.0, 0]]), np.array([[0, 500.0]])
    label = np.array([0])
    assert soft_label_weights(sure, wrong, label) == 0
    assert soft_label_weights(wrong, sure, label) == 1
    assert soft_label_weights(sure, sure, label) == 0
    assert soft_label_weights(wrong, wrong, label) == pytest.approx(1 - math.exp(-1))


@given(batches())
def test_the_brier_score_is_the_naive_one(batch):
    logits, _, labels = batch
    value, grad = brier_score(logits, labels)
    assert value == pytest.approx(oracle.brier_score(logits, labels))
    assert grad == pytest.approx(difference(lambda z: brier_score(z, labels)[0], logits), abs=1e-8)
    assert brier_score(logits.astype(np.float32), labels)[1].dtype == np.float32


@given(batches(), temperatures, directions)
def test_single_precision_is_double_precision_rounded(batch, tau, direction):
    logits, teacher, _ = (array.astype(np.float32) for array in batch)
    for loss in (
        lambda z: kl_divergence(z, teacher, tau, direction=direction),
        lambda z: soft_cross_entropy(z, teacher),
    ):
        value, grad = loss(logits)
        exact, slope = loss(logits.astype(np.float64))
        assert value == exact
        assert grad.dtype == np.float32
        assert (grad == slope.astype(np.float32)).all()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_logits_far_apart_stay_finite(kind, direction):
    far, other = np.array([[2e3, 0, -2e3]], kind), np.array([[-2e3, 0, 2e3]], kind)
    value, grad = kl_divergence(far, other, direction=direction)
    assert value == pytest.approx(4e3)
    assert np.isfinite(grad).all()
    assert np.isfinite(soft_cross_entropy(far, other)[0])


def test_a_single_class_costs_nothing():
    value, grad = kl_divergence(np.ones((3, 1)), np.zeros((3, 1)))
    assert (value, grad.any()) == (0, False)


def test_an_unknown_direction_is_refused():
    with pytest.raises(ConfigError, match="no such direction"):
        kl_divergence(np.ones((1, 2)), np.ones((1, 2)), direction="sideways")
