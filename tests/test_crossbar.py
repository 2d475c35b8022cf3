"""Spreads of single synapses that show only in time: retention and read noise."""

import numpy as np
import pytest
from hypothesis import given

from eventsim import LogNormal, MTJSynapse, Variation, program
from tests.strategies import seeds

LEVELS = np.tile([[7, -3]], (200, 1))


@given(seeds())
def test_drift_is_that_of_each_devices_own_attempt_time(seed):
    synapse, law = MTJSynapse(barrier=20.0), LogNormal(0.3)
    chip = program(synapse, LEVELS, Variation(attempt_time=law), seed=seed)
    same = program(synapse, LEVELS, seed=seed)
    assert np.array_equal(chip.g_plus, same.g_plus)
    gap, later = chip.g_plus - chip.plus.rest, chip.after(1e8)
    rate = -np.log((later.g_plus - chip.plus.rest) / gap) / 1e8
    attempt = 2 * np.exp(-20.0) / rate
    assert attempt.min() >= law.support[0] * (1 - 1e-6)
    assert attempt.max() <= law.support[1] * (1 + 1e-6)
    assert len(np.unique(attempt.round(6))) > 300


def test_read_noise_is_each_devices_own():
    synapse = MTJSynapse(read_noise=0.02)
    chip = program(synapse, LEVELS, Variation(read_noise=LogNormal(0.5)), seed=0)
    reads = np.array([chip.read(seed=1, counter=counter) for counter in range(2000)])
    span = synapse.g_max - synapse.g_min
    wanted = 15 / span * np.hypot(chip.plus.noise * chip.g_plus, chip.minus.noise * chip.g_minus)
    assert wanted.max() > 2 * wanted.min()
    assert reads.std(axis=0) == pytest.approx(wanted, rel=5 / np.sqrt(2 * 2000))
    assert reads.mean(axis=0) == pytest.approx(chip.weight, abs=6 * wanted.max() / np.sqrt(2000))
