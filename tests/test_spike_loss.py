"""Losses between spikes against naive sums and finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training.softened import DIRECTIONS
from eventsim.training.spike_loss import (
    ENDS,
    REDUCTIONS,
    coverage,
    sliding_l1,
    sliding_l2,
    spike_distillation,
    spike_kl,
    spike_l1,
    spike_l2,
)
from tests import loss_oracle as oracle
from tests.oracle import difference

ends = st.sampled_from(ENDS)
reductions = st.sampled_from(REDUCTIONS)


@st.composite
def trains(draw, binary=False):
    """Spikes of student and teacher, and a window; the student's are real values off 0 and 1 unless binary."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    teacher = rng.integers(0, 2, shape, np.uint8)
    student = rng.integers(0, 2, shape, np.uint8)
    if not binary:
        student = student + rng.choice([-1, 1], shape) * rng.uniform(0.05, 0.4, shape)
    return student, teacher, draw(st.integers(1, shape[1]))


def share(student, reduction):
    return 1 if reduction == "sum" else 1 / student.size


@given(trains(), reductions)
def test_full_losses_are_the_naive_ones(case, reduction):
    student, teacher, _ = case
    naive = oracle.squares(student, teacher)
    for loss, expected in (
        (lambda s: spike_l1(s, teacher, reduction=reduction), oracle.sliding(student, teacher, 1, "valid", 1)),
        (lambda s: spike_l2(s, teacher, reduction=reduction), naive),
        (lambda s: spike_l2(s, teacher, root=True, reduction=reduction), naive**0.5),
    ):
        value, grad = loss(student)
        assert value == pytest.approx(share(student, reduction) * expected)
        assert grad == pytest.approx(difference(lambda s: loss(s)[0], student), abs=1e-6)  # noqa: B023


@given(trains(), st.floats(0.5, 4), st.sampled_from(DIRECTIONS))
def test_the_divergence_of_counts_is_the_naive_one(case, tau, direction):
    student, teacher, _ = case
    value, grad = spike_kl(student, teacher, tau, direction=direction)
    counts = (spikes.sum(axis=1, dtype=float) for spikes in (student, teacher))
    assert value == pytest.approx(oracle.kl_divergence(*counts, tau, direction), abs=1e-12)
    assert grad == pytest.approx(
        difference(lambda s: spike_kl(s, teacher, tau, direction=direction)[0], student), abs=1e-7
    )


@pytest.mark.parametrize(("loss", "m"), [(sliding_l1, 1), (sliding_l2, 2)])
@given(case=trains(), ends=ends, reduction=reductions)
def test_sliding_losses_are_the_naive_ones(loss, m, case, ends, reduction):
    student, teacher, window = case
    value, grad = loss(student, teacher, window, ends=ends, reduction=reduction)
    assert value == pytest.approx(share(student, reduction) * oracle.sliding(student, teacher, window, ends, m))
    naive = difference(lambda s: loss(s, teacher, window, ends=ends, reduction=reduction)[0], student)
    assert grad == pytest.approx(naive, abs=1e-6)


@given(st.integers(1, 12).flatmap(lambda ticks: st.tuples(st.just(ticks), st.integers(1, ticks))), ends)
def test_every_window_covers_its_ticks(size, ends):
    ticks, window = size
    naive = np.zeros(ticks)
    for span in oracle.windows(ticks, window, ends):
        naive[list(span)] += 1
    assert (coverage(ticks, window, ends) == naive).all()


@given(trains(binary=True), ends)
def test_sliding_l1_is_full_l1_weighted_by_coverage(case, ends):
    """It is no new loss: only the norm of m = 2 looks at several ticks together."""
    student, teacher, window = case
    per_tick = np.abs(student.astype(float) - teacher).sum(axis=(0, 2))
    assert sliding_l1(student, teacher, window, ends=ends)[0] == per_tick @ coverage(student.shape[1], window, ends)


@given(trains(binary=True), ends)
def test_on_spikes_the_full_losses_are_one(case, ends):
    student, teacher, window = case
    mismatches = np.count_nonzero(student != teacher)
    assert spike_l1(student, teacher)[0] == spike_l2(student, teacher)[0] == mismatches
    assert spike_l2(student, teacher, root=True)[0] == pytest.approx(mismatches**0.5)
    assert (
        sliding_l2(student, teacher, window, ends=ends)[0] <= sliding_l1(student, teacher, window, ends=ends)[0] + 1e-9
    )


@given(trains(), ends)
def test_windows_of_one_tick_make_both_sliding_losses_full_l1(case, ends):
    student, teacher, _ = case
    value, grad = spike_l1(student, teacher)
    for loss in (sliding_l1, sliding_l2):
        other, slope = loss(student, teacher, 1, ends=ends)
        assert other == pytest.approx(value)
        assert slope == pytest.approx(grad)


@given(trains())
def test_a_window_of_all_ticks_is_one_norm_for_each_class(case):
    student, teacher, _ = case
    value, _ = sliding_l2(student, teacher, student.shape[1])
    assert value == pytest.approx(np.sqrt(np.square(student - teacher).sum(axis=1)).sum())
    assert sliding_l1(student, teacher, student.shape[1])[0] == pytest.approx(spike_l1(student, teacher)[0])


@given(trains(), ends, st.floats(0, 2), st.floats(0.5, 4))
def test_the_proposed_loss_is_the_sum_of_its_parts(case, ends, weight, tau):
    student, teacher, window = case
    value, grad = spike_distillation(student, teacher, window, weight=weight, ends=ends, temperature=tau)
    sliding = sum(oracle.sliding(student, teacher, window, ends, m) for m in (1, 2)) / student.size
    counts = (spikes.sum(axis=1, dtype=float) for spikes in (student, teacher))
    assert value == pytest.approx(oracle.kl_divergence(*counts, tau) + weight * sliding, abs=1e-12)
    naive = difference(
        lambda s: spike_distillation(s, teacher, window, weight=weight, ends=ends, temperature=tau)[0], student
    )
    assert grad == pytest.approx(naive, abs=1e-6)


def losses(window):
    """Every loss, with a window where it wants one."""
    yield spike_l1
    yield spike_l2
    yield lambda s, t: spike_l2(s, t, root=True)
    yield spike_kl
    for ends in ENDS:
        yield lambda s, t, ends=ends: sliding_l1(s, t, window, ends=ends)
        yield lambda s, t, ends=ends: sliding_l2(s, t, window, ends=ends)
        yield lambda s, t, ends=ends: spike_distillation(s, t, window, ends=ends)


@given(trains(binary=True))
def test_equal_spikes_cost_nothing(case):
    _, teacher, window = case
    for loss in losses(window):
        value, grad = loss(teacher, teacher)
        assert (value, grad.any()) == (0, False)


@given(trains(binary=True))
def test_a_silent_student_has_a_slope_towards_its_teacher(case):
    _, teacher, window = case
    for loss in losses(window):
        value, grad = loss(np.zeros(teacher.shape, np.float32), teacher)
        assert np.isfinite(value)
        assert np.isfinite(grad).all()
    _, grad = sliding_l2(np.zeros(teacher.shape), teacher, window, ends="clipped")
    assert ((grad < 0) == (teacher == 1)).all()


@given(trains(binary=True))
def test_bytes_booleans_and_reals_are_the_same_spikes(case):
    student, teacher, window = case
    for loss in losses(window):
        value, grad = loss(student.astype(np.float64), teacher)
        for kind in (np.uint8, np.bool_, np.float32):
            other, slope = loss(student.astype(kind), teacher)
            assert other == pytest.approx(value)
            assert slope == pytest.approx(grad, rel=1e-5, abs=1e-6)
            assert slope.dtype == np.float32
            assert slope.shape == student.shape
        assert grad.dtype == np.float64


@given(trains(binary=True), st.randoms(use_true_random=False))
def test_samples_and_classes_in_another_order_change_nothing(case, random):
    student, teacher, window = case
    rows, columns = list(range(student.shape[0])), list(range(student.shape[2]))
    random.shuffle(rows)
    random.shuffle(columns)
    turn = np.ix_(rows, range(student.shape[1]), columns)
    for loss in losses(window):
        value, grad = loss(student, teacher)
        other, slope = loss(student[turn], teacher[turn])
        assert other == pytest.approx(value)
        assert slope == pytest.approx(grad[turn], abs=1e-7)


def test_a_spike_one_tick_late_costs_as_much_as_one_that_is_missing_twice():
    """No loss forgives a shift; a window sees both mismatches together, as the root of 2."""
    teacher, late = np.zeros((1, 4, 1), np.uint8), np.zeros((1, 4, 1), np.uint8)
    teacher[0, 1], late[0, 2] = 1, 1
    assert spike_l1(late, teacher)[0] == 2
    assert sliding_l2(late, teacher, 4)[0] == pytest.approx(2**0.5)
    assert spike_kl(late, teacher)[0] == 0


@pytest.mark.parametrize("loss", [sliding_l1, sliding_l2, spike_distillation])
@pytest.mark.parametrize("window", [0, -1, 5])
def test_a_window_that_does_not_fit_is_refused(loss, window):
    spikes = np.zeros((2, 4, 3), np.uint8)
    with pytest.raises(ConfigError, match="a window longer than all of them is refused"):
        loss(spikes, spikes, window)


def test_unknown_options_are_refused():
    spikes = np.zeros((2, 4, 3), np.uint8)
    for loss in (sliding_l1, sliding_l2):
        with pytest.raises(ConfigError, match="no such ends"):
            loss(spikes, spikes, 2, ends="open")
    for loss in (spike_l1, spike_l2, sliding_l2):
        with pytest.raises(ConfigError, match="no such reduction"):
            loss(spikes, spikes, reduction="none") if loss is not sliding_l2 else loss(
                spikes, spikes, 2, reduction="none"
            )
