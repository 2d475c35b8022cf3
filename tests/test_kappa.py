"""Spiking layers: spikes, the slope of the rate and backpropagation through time against textbook loops."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsim import IF, LIF, MTJ, Devices, DomainWall, Variation
from eventsim.kernels.spiking import time_mean
from eventsim.training.layer import Mode
from eventsim.training.signal import Signal
from eventsim.training.spiking import SURROGATES, Spiking
from tests import layer_oracle
from tests.strategies import mtj, neurons, seeds

models = pytest.mark.parametrize("model", [MTJ, LIF, IF, DomainWall], ids=lambda model: model.__name__)
resets = st.fixed_dictionaries({"reset_mode": st.sampled_from(["hard", "soft"]), "refractory": st.integers(0, 2)})
surrogates = st.sampled_from(list(SURROGATES))


def drives(seed, ticks, neurons=4, samples=2):
    return np.random.default_rng(seed % 2**32).normal(0.5, 1.2, (samples, ticks, neurons))


def run(layer, x, method, *, smooth=False, grad=None):
    """Spikes with kappa (RateBP), or with the gradient by the drive (BPTT)."""
    x = Signal(x) if isinstance(x, np.ndarray) else x
    mode = Mode(x.ticks, method, smooth=smooth)
    step = layer.forward({}, x, mode)
    if method == "ratebp":
        return step.signal.values, step.kept.kappa[:, 0]
    return step.signal.values, layer.backward({}, step.kept, grad, mode, True).grad


@given(neurons(), surrogates, st.booleans(), st.booleans(), st.integers(1, 8), seeds())
def test_kappa_is_the_sum_of_what_backpropagation_gives_each_tick(neuron, surrogate, detach, smooth, ticks, seed):
    """For every model, reset, refractory time and surrogate, with dL/ds = 1/T in all ticks."""
    layer, drive = Spiking(neuron, surrogate, detach_reset=detach), drives(seed, ticks)
    _, kappa = run(layer, drive, "ratebp", smooth=smooth)
    _, by_drive = run(layer, drive, "bptt", smooth=smooth, grad=np.full(drive.shape, 1 / ticks))
    assert kappa == pytest.approx(by_drive.sum(axis=1), rel=1e-9, abs=1e-12)


@models
@given(resets, st.sampled_from([0.0, 0.5, 0.9]), surrogates, st.booleans(), st.integers(1, 8), seeds())
def test_spikes_kappa_and_gradient_are_those_of_the_textbook(model, reset, share, surrogate, detach, ticks, seed):
    """With a reset to rest, or to a share of the way to the threshold."""
    neuron, drive = model(**reset, reset=share * model().threshold), drives(seed, ticks)
    layer, grad = Spiking(neuron, surrogate, detach_reset=detach), drives(seed + 1, ticks)
    alpha = layer.alpha
    spikes, kappa = run(layer, drive, "ratebp")
    again, by_drive = run(layer, drive, "bptt", grad=grad)
    assert np.array_equal(spikes, again)
    for b in range(len(drive)):
        found = layer_oracle.run(neuron, drive[b], surrogate, alpha, detach)
        assume(_clear(found.u, neuron.threshold, alpha))
        assert np.array_equal(spikes[b], found.s)
        assert kappa[b] == pytest.approx(layer_oracle.kappa(found), rel=1e-8, abs=1e-10)
        assert by_drive[b] == pytest.approx(layer_oracle.bptt(found, grad[b]), rel=1e-8, abs=1e-9)


def _clear(u, threshold, alpha):
    """Whether no position is so near a threshold, the edge of a rectangle or a run-away that rounding could decide."""
    z = u / threshold - 1
    return min(np.abs(z - edge).min() for edge in (-0.5 / alpha, 0, 0.5 / alpha, 1)) > 1e-9


@pytest.mark.parametrize("mode", ["hard", "soft"])
@pytest.mark.parametrize("tau", [2.0, 7.68, None], ids=lambda tau: f"tau={tau}")
@given(st.booleans(), st.integers(1, 8), seeds())
def test_leaky_neurons_obey_the_published_recursions(mode, tau, detach, ticks, seed):
    """For ``u_t = leak v_(t-1) + I_t``; here a unit of drive moves by ``gain``, which multiplies every slope."""
    neuron = IF(reset_mode=mode) if tau is None else LIF(tau=tau, reset_mode=mode)
    drive, grad = drives(seed, ticks, samples=1), drives(seed + 1, ticks, samples=1)
    layer = Spiking(neuron, detach_reset=detach)
    _, kappa = run(layer, drive, "ratebp")
    _, by_drive = run(layer, drive, "bptt", grad=grad)
    ticks_of = layer_oracle.run(neuron, drive[0], detach=detach)
    leak, gain = ticks_of.by_start[0, 0], ticks_of.by_drive[0, 0]
    rule = ticks_of.u, ticks_of.s, ticks_of.sg, leak, neuron.threshold, mode, detach
    assert kappa[0] == pytest.approx(gain * layer_oracle.published_kappa(*rule), rel=1e-9)
    assert by_drive[0] == pytest.approx(gain * layer_oracle.published_bptt(*rule, grad[0]), rel=1e-9, abs=1e-12)


@given(
    seeds(),
    st.integers(1, 6),
    st.one_of(mtj(), neurons()),
    st.floats(0.5, 8),
    st.sampled_from(["sigmoid", "triangle", "arctan"]),
)
def test_kappa_is_the_derivative_of_the_smooth_rate(seed, ticks, neuron, sharpness, surrogate):
    """Not detached and smooth, kappa is a plain derivative: the mean spike by a shift of the drive of all ticks."""
    devices = neuron.draw(4, Variation.all(0.05), seed=seed)
    layer, drive = Spiking(devices, surrogate, sharpness, detach_reset=False), drives(seed, ticks)

    def rate(shift):
        return run(layer, drive + shift, "ratebp", smooth=True)[0].mean(axis=1)

    e = 1e-6
    wanted = (rate(e) - rate(-e)) / (2 * e)
    # the rate has kinks: at the clamp at twice the threshold, at the end of a track, where a refractory time begins
    assume(np.allclose(wanted, (rate(2 * e) - rate(-2 * e)) / (4 * e), rtol=1e-4, atol=1e-7))
    _, kappa = run(layer, drive, "ratebp", smooth=True)
    assert kappa == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_one_tick_by_hand():
    neuron = MTJ()
    _, kappa = run(Spiking(neuron), np.array([[[0.7]]]), "ratebp")
    x = float(neuron.step(0, 0.7))
    by_drive = float(neuron.step(0, 0.7 + 1e-6) - neuron.step(0, 0.7 - 1e-6)) / 2e-6
    p = 1 / (1 + math.exp(-4 * (x / 20 - 1)))
    assert kappa[0, 0] == pytest.approx(4 / 20 * p * (1 - p) * by_drive, rel=1e-8)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_a_run_away_has_slope_zero_and_no_nan(kind, detach, mode):
    drive = np.array([[[60.0], [-60.0], [1e6], [0.5]]], kind)
    layer = Spiking(MTJ(reset_mode=mode), detach_reset=detach)
    spikes, kappa = run(layer, drive, "ratebp")
    _, by_drive = run(layer, drive, "bptt", grad=np.ones_like(drive))
    assert spikes[0, :3, 0].tolist() == [1, 0, 1]
    assert np.isfinite(kappa).all()
    assert np.isfinite(by_drive).all()
    assert by_drive[0, 0, 0] == by_drive[0, 2, 0] == 0


def test_detaching_the_reset_leaves_it_out():
    """A neuron that fires in every tick carries nothing over, unless its reset is part of the derivative."""
    drive = np.full((1, 3, 1), 1.2)
    detached, attached = (run(Spiking(MTJ(), detach_reset=detach), drive, "ratebp")[1] for detach in (True, False))
    assert detached != attached
    assert detached == pytest.approx(run(Spiking(MTJ()), drive[:, :1], "ratebp")[1])


@given(neurons(), st.sampled_from([(490, 5), (350, 7), (3, 700)]), seeds(), st.booleans())
def test_a_line_beside_the_values_is_the_drive_that_it_stands_for(neuron, shape, seed, static):
    """Also in a layer of several strips whose last one is shorter, with a line for each tick."""
    rng, ticks = np.random.default_rng(seed % 2**32), 3
    values = rng.normal(size=(2, 1 if static else ticks, *shape))
    line = rng.normal(1, 0.3, (ticks, shape[1])), rng.normal(0, 0.3, (ticks, shape[1]))
    layer, x = Spiking(neuron), Signal(values, *line)
    drive = np.repeat(x.plain(), ticks // x.plain().shape[1], axis=1).reshape(2, ticks, -1)
    mode = Mode(ticks, "ratebp")
    step, plain = layer.forward({}, x, mode), layer.forward({}, Signal(drive), mode)
    assert np.array_equal(step.signal.values.reshape(drive.shape), plain.signal.values)
    assert np.array_equal(step.kept.kappa.ravel(), plain.kept.kappa.ravel())


@given(st.one_of(mtj(), neurons()), surrogates, st.sampled_from(["ratebp", "bptt"]), seeds())
def test_each_device_is_differentiated_by_itself(neuron, surrogate, method, seed):
    """Drawn devices side by side, and each of them in a layer of its own: the same bits."""
    devices, drive = neuron.draw(4, Variation.all(0.05), seed=seed), drives(seed, 4)
    grad = drives(seed + 1, 4)
    together = run(Spiking(devices, surrogate), drive, method, grad=grad)
    for j in range(4):
        lone = Spiking(Devices(neuron, {name: devices[name][[j]] for name in devices}), surrogate)
        alone = run(lone, drive[..., [j]], method, grad=grad[..., [j]])
        assert all(np.array_equal(mine, other[..., [j]]) for mine, other in zip(alone, together, strict=True))


@given(neurons(), seeds())
def test_single_precision_follows_double(neuron, seed):
    layer, drive = Spiking(neuron), drives(seed, 5).astype(np.float32)
    spikes, kappa = run(layer, drive, "ratebp")
    wanted_spikes, wanted = run(layer, drive.astype(float), "ratebp")
    assume(np.array_equal(spikes, wanted_spikes))
    assert kappa == pytest.approx(wanted, rel=1e-3, abs=1e-3 * np.abs(wanted).max())


def test_time_mean_is_the_mean():
    drive = np.random.default_rng(0).normal(size=(4, 7, 3))
    mean = np.empty((4, 3))
    time_mean(drive, mean)
    assert mean == pytest.approx(drive.mean(axis=1), rel=1e-13)
