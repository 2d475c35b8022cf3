"""Stratified draws of encoders: each tick's probability stays, and the number of spikes hardly strays."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.kernels import rng
from eventsim.training import GaussianThreshold, Rate
from tests import oracle


@given(st.integers(0, 2**40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32))
def test_stratified_spikes_are_the_oracle(counter, ticks, inputs, seed):
    """Knuth's Algorithm S, with exact fractions."""
    probability = np.linspace(0, 1, inputs)[None]
    spikes = np.empty((1, ticks, inputs), np.uint8)
    counters = np.array([counter], np.uint64)
    rng.stratified_spikes(np.uint64(seed), np.uint64(9), np.uint64(8), counters, probability, spikes)

    def word(i, c, stream):
        block = oracle.philox((c & 0xFFFFFFFF, c >> 32, i // 4, stream), (seed & 0xFFFFFFFF, seed >> 32))
        return Fraction(int(block[i % 4]), 2**32)

    for i in range(inputs):
        mean = Fraction(int(Fraction(float(probability[0, i])) * ticks * 2**32), 2**32)
        left = math.floor(mean + word(i, counter, 8))
        for t in range(ticks):
            spike = word(i, counter << 16 | t, 9) * (ticks - t) < left
            assert spikes[0, t, i] == spike
            left -= spike
        assert left == 0


@pytest.mark.parametrize("ticks", [1, 2, 5, 8])
@pytest.mark.parametrize("kind", [GaussianThreshold, Rate])
def test_stratified_ticks_spike_alike_and_their_number_hardly_strays(kind, ticks):
    encoder = kind(ticks, seed=2, stratified=True)
    n, x = 40_000, np.linspace(0, 1, 9, dtype=np.float32)
    p = encoder.prepare(x[None])[0].astype(float)
    spikes = encoder(encoder.prepare(np.tile(x, (n, 1))), np.arange(n), 1).values.astype(int)
    number = spikes.sum(axis=1)
    assert (np.abs(number - ticks * p) < 1).all()
    part = ticks * p % 1
    assert (np.abs(number.mean(axis=0) - ticks * p) <= 5 * np.sqrt(part * (1 - part) / n) + 1e-9).all()
    assert (np.abs(spikes.mean(axis=0) - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-9).all()  # in every tick
    if ticks > 2:  # all places of a number of spikes are equally likely
        one = spikes[number[:, 4] == number[0, 4], :, 4]
        share = number[0, 4] / ticks
        assert (np.abs(one.mean(axis=0) - share) < 5 * math.sqrt(share * (1 - share) / len(one))).all()
        both = number[0, 4] * (number[0, 4] - 1) / (ticks * (ticks - 1))
        assert abs((one[:, 0] * one[:, 2]).mean() - both) < 5 * 0.5 / math.sqrt(len(one))
    inputs = (spikes[:, 0, 3] - p[3]) * (spikes[:, 0, 4] - p[4])
    assert abs(inputs.mean()) < 5 * 0.25 / math.sqrt(n)  # inputs are independent


@pytest.mark.parametrize("stratified", [1, "yes", None, 0.0])
@pytest.mark.parametrize("kind", [GaussianThreshold, Rate])
def test_stratified_is_true_or_false(kind, stratified):
    with pytest.raises(ConfigError, match=r"(?s)stratified=.*True or False"):
        kind(3, seed=0, stratified=stratified)
