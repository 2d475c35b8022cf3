"""Draws of every tick: the table against exact quantiles, the rows against one word at a time."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import MTJ, LogNormal, Normal, Variation, keys
from eventsim.kernels import cycle
from tests import oracle

CUTS = (0.1, 1.0, 3.0, 6.0, math.inf)
LAST = 2**32 - 1
law_kinds = st.sampled_from([Normal, LogNormal])


@numba.njit
def read(words, table, out):
    for i in range(words.size):
        out[i] = cycle.factor(words[i], table)


def looked_up(law, words):
    out = np.empty(words.size, np.float32)
    read(words, law.table(), out)
    return out.astype(np.float64)


def telling_words():
    """Both ends, the middle, an even grid and one that is even in the logarithm, ascending."""
    some = [np.arange(3000), np.linspace(0, 2**31 - 1, 40_000), np.geomspace(1, 2**31 - 1, 60_000)]
    lower = np.unique(np.concatenate(some).astype(np.uint32))
    return np.concatenate([lower, LAST - lower[::-1]]).astype(np.uint32)


def uniform(words):
    return (words + 0.5) / 2.0**32


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("cv", [0.0, 1e-7, 1e-3, 0.05, 0.3, 1.0, 10.0])
@pytest.mark.parametrize("kind", [Normal, LogNormal])
def test_the_table_is_the_quantile_function(kind, cv, cut):
    law, words = kind(cv, truncation=cut), telling_words()
    value, exact = looked_up(law, words), law.factors(uniform(words))
    deviation = law.factors((np.arange(20_000) + 0.5) / 20_000).std()
    share = 2e-4 if kind is LogNormal and cv > 1 else 1e-4
    size = deviation if kind is Normal else np.maximum(deviation, exact)
    rounding = 2.0**-23 * np.maximum(1, np.abs(exact))
    assert (np.abs(value - exact) <= share * size + rounding).all()
    assert (np.diff(value) >= 0).all()
    assert law.support[0] <= value[0] <= value[-1] <= law.support[1]


@pytest.mark.parametrize("kind", [Normal, LogNormal])
def test_the_extreme_words_are_exact(kind):
    law, words = kind(0.1, truncation=math.inf), np.array([0, LAST, 2**31 - 1, 2**31], np.uint32)
    assert looked_up(law, words) == pytest.approx(law.factors(np.array([2.0**-33, 1 - 2.0**-33, 0.5, 0.5])), rel=1e-7)


@given(law_kinds, st.floats(0, 10), st.floats(0.1, 40), st.lists(st.integers(0, LAST), min_size=1))
def test_factors_never_leave_the_support(kind, cv, cut, words):
    law = kind(cv, truncation=cut)
    value = looked_up(law, np.array([0, LAST, *words], np.uint32))
    assert ((law.support[0] <= value) & (value <= law.support[1])).all()


def test_tables_are_made_once_and_cannot_be_written():
    assert Normal(0.25).table() is Normal(0.25).table()
    assert Normal(0.25).table() is not LogNormal(0.25).table()
    with pytest.raises(ValueError, match="read-only"):
        Normal(0.25).table()[0, 0] = 0


def filled(law, seed, stream, first, counter, n):
    key = [np.uint64(part) for part in (seed, stream, first, counter)]
    words, out = np.empty(n + 128, np.uint32), np.empty(n, np.float32)
    cycle.fill(law.table(), *key, words, out)
    return out


laws = st.sampled_from([Normal(0.1), LogNormal(0.5), Normal(0.2, truncation=1.0), LogNormal(0.0)])


@given(
    laws,
    st.integers(0, 2**63 - 1),
    st.integers(0, LAST),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**31 - 300),
    st.data(),
)
def test_rows_are_words_of_blocks_one_at_a_time(law, seed, stream, counter, first, data):
    n = data.draw(st.integers(1, 200))
    out = filled(law, seed, stream, first, counter, n)
    words = []
    for d in range(first, first + n):
        place = (counter & LAST, counter >> 32, d // 64 * 16 + d % 16, stream)
        block = oracle.philox(place, (seed & LAST, seed >> 32), rounds=7)
        words.append(block[d // 16 % 4])
    assert np.array_equal(out, looked_up(law, np.array(words, np.uint32)))
    cut = data.draw(st.integers(0, n - 1))
    assert np.array_equal(filled(law, seed, stream, first + cut, counter, n - cut), out[cut:])
    those = np.flatnonzero(np.random.default_rng(cut).random(n) < 0.5).astype(np.int32)
    few, scratch = np.empty(those.size, np.float32), np.empty(those.size, np.uint32)
    key = [np.uint64(part) for part in (seed, stream, counter)]
    cycle.some(law.table(), *key[:2], those + np.int32(first), key[2], scratch, few)
    assert np.array_equal(few, out[those])


def test_devices_in_a_tick_have_a_stream_for_each_parameter():
    """Numbered as the model lists them: gain 0, threshold 1, reset 2, k1 3, k2 4."""
    spreads = {"k2": LogNormal(0.1), "gain": LogNormal(0.05), "threshold": Normal(0.02), "k1": LogNormal(0.03)}
    devices = MTJ().draw(10, Variation(gain=0.1, c2c=spreads), seed=4, chip=2, name="hidden")
    now = devices.in_tick(99)
    for name, number in (("gain", 0), ("threshold", 1), ("k1", 3), ("k2", 4)):
        row = filled(spreads[name], 4, keys.stream(f"hidden/2/cycle/{number}"), 6, 99, 4)
        assert np.array_equal(now[name][6:], devices[name][6:] * row)
