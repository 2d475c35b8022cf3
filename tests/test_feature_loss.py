"""Losses between maps against naive sums and finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training.feature_loss import (
    FEATURE_NORMS,
    feature_distance,
    margin_relu,
    margins,
    normal_margins,
    partial_l2,
    percentile_scale,
    stage_weights,
)
from tests import loss_oracle as oracle
from tests.oracle import difference

norms = st.sampled_from(FEATURE_NORMS)


@st.composite
def maps(draw):
    """Maps of student and teacher, of both signs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=2, max_size=4)))
    return rng.normal(0, 1, shape), rng.normal(0, 1, shape)


@given(maps(), norms)
def test_distances_are_the_naive_ones(pair, norm):
    student, teacher = pair
    value, grad = feature_distance(student, teacher, norm=norm)
    assert value == pytest.approx(oracle.feature_distance(student, teacher, norm))
    naive = difference(lambda z: feature_distance(z, teacher, norm=norm)[0], student)
    assert grad == pytest.approx(naive, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("norm", FEATURE_NORMS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_maps_that_agree_cost_nothing(norm, kind):
    silent = np.zeros((3, 2, 2, 4), kind)
    for teacher in (silent, silent.astype(np.float64)):
        value, grad = feature_distance(silent, teacher, norm=norm)
        assert value == 0
        assert not grad.any()
        assert grad.dtype == kind


def test_one_sample_that_agrees_leaves_the_others_their_slope():
    student = np.array([[0.5, 0.5], [3.0, 4.0]])
    value, grad = feature_distance(student, np.array([[0.5, 0.5], [0.0, 0.0]]))
    assert value == 2.5
    assert grad == pytest.approx(np.array([[0, 0], [0.3, 0.4]]))


@given(maps())
def test_samples_do_not_touch_each_other_but_in_the_norm_of_the_batch(pair):
    student, teacher = pair
    moved = teacher.copy()
    moved[0] += 1
    for norm in ("sample", "squared"):
        before, after = (feature_distance(student, t, norm=norm)[1][1:] for t in (teacher, moved))
        assert (before == after).all()


@given(maps())
def test_one_sample_has_the_same_norm_either_way(pair):
    student, teacher = pair[0][:1], pair[1][:1]
    one, other = (feature_distance(student, teacher, norm=norm) for norm in ("sample", "batch"))
    assert one[0] == pytest.approx(other[0])
    assert one[1] == pytest.approx(other[1])
    squared, slope = feature_distance(student, teacher, norm="squared")
    assert squared * student.size == pytest.approx(one[0] ** 2)
    assert slope * student.size == pytest.approx(2 * one[0] * one[1])


@given(maps())
def test_a_partial_distance_is_the_naive_one(pair):
    student, teacher = pair
    value, grad = partial_l2(student, teacher)
    assert value == pytest.approx(oracle.partial_l2(student, teacher))
    assert grad == pytest.approx(difference(lambda z: partial_l2(z, teacher)[0], student), rel=1e-5, abs=1e-6)


@given(maps())
def test_a_partial_distance_forgives_only_below_what_is_not_positive(pair):
    student, teacher = pair
    low = np.minimum(teacher, 0) - np.abs(student)
    value, grad = partial_l2(low, np.minimum(teacher, 0))
    assert (value, grad.any()) == (0, False)
    whole = feature_distance(student, np.abs(teacher), norm="squared")[0] * student.size / len(student)
    assert partial_l2(student, np.abs(teacher))[0] == pytest.approx(whole)
    assert partial_l2(student, teacher)[0] <= np.square(student - teacher).sum() / len(student) + 1e-12


@given(maps())
def test_rates_are_never_forgiven(pair):
    """Mean spikes are not negative: the zero branch then costs nothing that a full distance would not."""
    rates, teacher = np.abs(pair[0]), pair[1]
    full = feature_distance(rates, teacher, norm="squared")[0] * rates.size / len(rates)
    assert partial_l2(rates, teacher)[0] == pytest.approx(full)


@given(maps())
def test_margins_are_the_naive_ones(pair):
    teacher, _ = pair
    margin = margins(teacher)
    assert margin == pytest.approx(np.array(oracle.margins(teacher)))
    assert (margin <= 0).all()
    lifted = margin_relu(teacher, margin)
    assert (lifted >= margin).all()
    assert (lifted[teacher >= 0] == teacher[teacher >= 0]).all()
    assert not margins(np.abs(teacher)).any()


def test_margins_of_normal_channels_are_those_of_many_draws():
    shift, scale = np.array([0.0, 1, -2, 0.5, 2.5]), np.array([1.0, -2, 0.5, 3, 1])
    drawn = shift + scale * np.random.default_rng(0).normal(size=(400_000, 5))
    assert normal_margins(shift, scale) == pytest.approx(margins(drawn), rel=0.03)


def test_margins_of_channels_that_are_hardly_ever_negative():
    shift, scale = np.array([9.0, 1, -1, 0], np.float32), np.array([2.0, 0, 0, 0], np.float32)
    margin = normal_margins(shift, scale)
    assert margin.tolist() == [-6, 0, -1, 0]
    assert margin.dtype == np.float32


def test_later_stages_weigh_more():
    assert stage_weights(3) == (0.25, 0.5, 1.0)
    assert stage_weights(1) == (1.0,)


def test_a_scale_brings_most_entries_below_one():
    rng = np.random.default_rng(0)
    relu = np.maximum(rng.normal(0, 5, (64, 8, 8)), 0)
    scaled = relu / percentile_scale(relu)
    assert np.mean(scaled <= 1) == pytest.approx(0.999, abs=1e-3)
    assert percentile_scale(relu, 100) == relu.max()
    assert percentile_scale(np.zeros((2, 3))) == 1


@given(maps(), norms)
def test_single_precision_is_close(pair, norm):
    student, teacher = (array.astype(np.float32) for array in pair)
    for loss in (lambda z: feature_distance(z, teacher, norm=norm), lambda z: partial_l2(z, teacher)):
        value, grad = loss(student)
        exact, slope = loss(student.astype(np.float64))
        assert value == pytest.approx(exact, rel=1e-5, abs=1e-10)
        assert grad == pytest.approx(slope, rel=1e-5, abs=1e-6)
        assert grad.dtype == np.float32
        assert grad.shape == student.shape


def test_an_unknown_norm_is_refused():
    with pytest.raises(ConfigError, match="no such norm"):
        feature_distance(np.ones((1, 2)), np.ones((1, 2)), norm="huber")
