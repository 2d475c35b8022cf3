"""RateBP: kappa against finite differences, and the layer against a naive loop."""

import math

import numpy as np
import pytest
from eventsim.kernels.ratebp import mtj_forward, time_mean
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsim import MTJ, Variation
from tests import oracle
from tests.strategies import mtj, seeds


def run(drive, devices, *, smooth=False, detach=True, sharpness=4.0):
    spikes, kappa = np.empty_like(drive), np.empty((drive.shape[0], drive.shape[2]), drive.dtype)
    mtj_forward(drive, devices.arrays(drive.dtype), sharpness, detach, smooth, spikes, kappa)
    return spikes, kappa


def drives(seed, ticks, scale=1.5):
    return np.random.default_rng(seed % 2**32).normal(0.3, scale, (2, ticks, 3))


@given(seeds(), st.integers(1, 6), mtj(), st.floats(0.5, 8))
def test_kappa_is_the_derivative_of_the_smooth_rate(seed, ticks, neuron, sharpness):
    """Not detached and smooth, kappa is a plain derivative: the mean spike by a shift of the drive of all ticks."""
    devices = neuron.draw(3, Variation.all(0.05), seed=seed)
    drive = drives(seed, ticks)

    def rate(shifted):
        return run(shifted, devices, smooth=True, detach=False, sharpness=sharpness)[0].mean(axis=1)

    e = 1e-6
    wanted = (rate(drive + e) - rate(drive - e)) / (2 * e)
    middle = (rate(drive + 2 * e) - rate(drive - 2 * e)) / (4 * e)
    # near the clamp at twice the threshold the rate has a kink
    assume(np.allclose(wanted, middle, rtol=1e-4, atol=1e-7))
    _, kappa = run(drive, devices, smooth=True, detach=False, sharpness=sharpness)
    assert kappa == pytest.approx(wanted, rel=1e-4, abs=1e-6)


@given(seeds(), st.integers(1, 8), mtj())
def test_spikes_are_those_of_the_naive_loop(seed, ticks, neuron):
    drive = drives(seed, ticks)
    spikes, _ = run(drive, neuron.identical(3))
    for b in range(2):
        for i in range(3):
            x = 0.0
            for t in range(ticks):
                q = neuron.k1 * neuron.gain * drive[b, t, i] * neuron.threshold / neuron.dt
                x = oracle.step(x, q, -neuron.k2 / 2, neuron.dt / neuron.k1)
                assume(abs(x - neuron.threshold) > 1e-6)
                assert spikes[b, t, i] == (x >= neuron.threshold)
                x = neuron.reset if x >= neuron.threshold else x


def test_one_tick_by_hand():
    neuron = MTJ()
    drive = np.array([[[0.7]]])
    _, kappa = run(drive, neuron.identical(1))
    x = float(neuron.step(0, 0.7))
    by_drive = float(neuron.step(0, 0.7 + 1e-6) - neuron.step(0, 0.7 - 1e-6)) / 2e-6
    p = 1 / (1 + math.exp(-4 * (x / 20 - 1)))
    assert kappa[0, 0] == pytest.approx(4 / 20 * p * (1 - p) * by_drive, rel=1e-8)


def test_a_run_away_has_slope_zero_and_no_nan():
    drive = np.array([[[60.0], [-60.0], [1e6], [0.5]]])
    for detach in (True, False):
        spikes, kappa = run(drive, MTJ().identical(1), detach=detach)
        assert spikes[0, :, 0].tolist() == [1, 0, 1, 0]
        assert np.isfinite(kappa).all()
    _, kappa = run(drive[:, :1], MTJ().identical(1))
    assert kappa[0, 0] == 0


def test_detaching_the_reset_leaves_it_out():
    """A neuron that fires in every tick carries nothing over, unless its reset is part of the derivative."""
    drive = np.full((1, 3, 1), 1.2)
    detached, attached = (run(drive, MTJ().identical(1), detach=detach)[1] for detach in (True, False))
    assert detached != attached
    one_tick = run(drive[:, :1], MTJ().identical(1))[1]
    assert detached == pytest.approx(one_tick)


@given(seeds())
def test_single_precision_follows_double(seed):
    drive = drives(seed, 5)
    spikes, kappa = run(drive.astype(np.float32), MTJ().identical(3))
    wanted_spikes, wanted = run(drive.astype(np.float32).astype(float), MTJ().identical(3))
    assume(np.array_equal(spikes, wanted_spikes))
    assert kappa == pytest.approx(wanted, rel=1e-3, abs=1e-4)


def test_time_mean_is_the_mean():
    drive = np.random.default_rng(0).normal(size=(4, 7, 3))
    mean = np.empty((4, 3))
    time_mean(drive, mean)
    assert mean == pytest.approx(drive.mean(axis=1), rel=1e-13)
