"""Philox against its published vectors, and the laws of keyed draws."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import keys
from eventsim.errors import ConfigError
from eventsim.kernels import rng
from tests import oracle

words = st.integers(0, 2**32 - 1)


@numba.njit
def philox(a, b, c, d, e, f, rounds):
    return rng.philox(a, b, c, d, e, f, rounds)


@pytest.mark.parametrize(
    ("rounds", "counter", "key", "wanted"),
    [
        (7, "00000000 00000000 00000000 00000000", "00000000 00000000", "5f6fb709 0d893f64 4f121f81 4f730a48"),
        (10, "00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (10, "ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (10, "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_published_vectors(rounds, counter, key, wanted):
    """Known answers of the authors' own Random123 library."""
    arguments = [np.uint64(int(word, 16)) for word in (counter + " " + key).split()]
    assert [f"{word:08x}" for word in philox(*arguments, rounds)] == wanted.split()


@given(st.tuples(*[words] * 4), st.tuples(*[words] * 2), st.sampled_from([7, 10]))
def test_philox_is_the_oracle(counter, key, rounds):
    assert philox(*(np.uint64(w) for w in counter + key), rounds) == oracle.philox(counter, key, rounds)


@given(st.integers(0, 2**63 - 1), st.text(max_size=8), st.integers(0, 2**63), st.integers(1, 40), st.integers(0, 39))
def test_draws_do_not_depend_on_how_many(seed, name, counter, size, first):
    whole = keys.uniform(seed, name, 40, counter)
    assert np.array_equal(keys.uniform(seed, name, size, counter), whole[:size])
    part = np.empty(40 - first)
    key = (np.uint64(seed), np.uint64(keys.stream(name)))
    rng.uniforms(*key, np.uint64(first), np.uint64(counter), part)
    assert np.array_equal(part, whole[first:])


def test_uniform_numbers_are_uniform():
    n = 200_000
    u = keys.uniform(7, "statistics", n)
    assert u.min() > 0
    assert u.max() < 1
    bound = 5 / math.sqrt(12 * n)
    assert abs(u.mean() - 0.5) < bound
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 5 / math.sqrt(n)
    counts = np.histogram(u, 100, (0, 1))[0]
    chi2 = ((counts - n / 100) ** 2 / (n / 100)).sum()
    assert abs(chi2 - 99) < 5 * math.sqrt(2 * 99)


def test_other_keys_give_other_numbers():
    base = keys.uniform(1, "a", 50, 3)
    for other in (keys.uniform(2, "a", 50, 3), keys.uniform(1, "b", 50, 3), keys.uniform(1, "a", 50, 4)):
        assert not np.intersect1d(base, other).size


@given(st.integers(0, 1000), st.integers(1, 300))
def test_permutation_holds_everything_once(counter, size):
    assert sorted(keys.permutation(5, "order", size, counter)) == list(range(size))


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, True, "0", None])
def test_unusable_seeds_are_refused(seed):
    with pytest.raises(ConfigError, match="whole number from 0"):
        keys.uniform(seed, "a", 1)


@given(st.integers(0, 2**40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_threshold_spikes_are_the_oracle(counter, ticks, inputs, seed):
    probability = np.linspace(0, 1, inputs)[None]
    spikes = np.empty((1, ticks, inputs), np.float32)
    counters = np.array([counter], np.uint64)
    rng.threshold_spikes(np.uint64(seed), np.uint64(9), counters, probability, spikes)
    for t in range(ticks):
        for i in range(inputs):
            c = counter << 16 | t
            block = oracle.philox((c & 0xFFFFFFFF, c >> 32, i // 4, 9), (seed & 0xFFFFFFFF, seed >> 32))
            assert spikes[0, t, i] == (block[i % 4] < int(probability[0, i] * 2**32))
