"""Weights as conductance levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eventsim import largest_level, to_levels
from eventsim.errors import NetworkError
from eventsim.synapse import EXACT_LIMIT

weights = st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-100, 100, width=32))
)


@given(weights, st.integers(2, 64))
def test_no_weight_moves_by_more_than_half_a_level(weight, levels):
    n, scale = to_levels(weight, largest_level(len(weight), levels))
    assert (n == np.rint(n)).all()
    assert np.abs(n).max() <= levels - 1
    assert (np.abs(n * scale - weight) <= 0.5 * scale * (1 + 1e-5)).all()


@given(weights)
def test_the_largest_weight_of_each_target_has_the_largest_level(weight):
    largest = largest_level(len(weight), 16)
    n, _ = to_levels(weight, largest)
    normal = np.abs(weight).max(axis=0) > 1e-30
    assert (np.abs(n).max(axis=0)[normal] == largest).all()


@given(st.integers(1, 2**24 - 1), st.one_of(st.none(), st.integers(2, 300)))
def test_sums_stay_exact(sources, levels):
    try:
        largest = largest_level(sources, levels)
    except NetworkError:
        assert levels is not None
        assert sources * (levels - 1) >= EXACT_LIMIT
    else:
        assert sources * largest < EXACT_LIMIT
        assert levels is None or largest == levels - 1


def test_fine_grid_has_14_bits():
    assert largest_level(784, None) == 8191
    assert largest_level(10_000, None) == 1677


@pytest.mark.parametrize("levels", [1, 0, -3, 8193, 2.5, "16"])
def test_unusable_numbers_of_levels_are_refused(levels):
    with pytest.raises(NetworkError, match="2 to 8192"):
        largest_level(10, levels)


@pytest.mark.parametrize("sources", [0, -1, 2.5])
def test_unusable_numbers_of_sources_are_refused(sources):
    with pytest.raises(NetworkError, match="number of sources"):
        largest_level(sources, 16)


@pytest.mark.parametrize("weight", [np.ones(3), [[np.nan]], [[np.inf]], "a", [[1], [1, 2]]])
def test_unusable_weights_are_refused(weight):
    with pytest.raises(NetworkError, match="cannot be rounded"):
        to_levels(weight, 15)


@pytest.mark.parametrize("largest", [0, 1.5, "a"])
def test_unusable_largest_levels_are_refused(largest):
    with pytest.raises(NetworkError, match="cannot be rounded"):
        to_levels([[1.0]], largest)


def test_weights_of_zero_and_below_resolution_become_zero():
    for tiny in (0.0, 1e-40):
        levels, scale = to_levels(np.array([[tiny, 1.0]]), 15)
        assert levels.tolist() == [[0, 15]]
        assert np.isfinite(scale).all()


def test_too_many_sources_are_refused():
    with pytest.raises(NetworkError, match="not exact"):
        largest_level(2**24, None)
