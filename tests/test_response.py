"""Laws of neurons that run tick by tick: a plain loop, continuation, order, reset, refractory time, bias."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsim import IF, MTJ, DomainWall, Oscillator, TaperedDomainWall, Variation, respond
from eventsim.checks import LIMIT
from eventsim.device import Devices
from eventsim.errors import DeviceError
from eventsim.response import State, rest
from tests import model_oracle
from tests.model_oracle import WALLS
from tests.strategies import seeds
from tests.test_models import few, models, neurons


@st.composite
def runs(draw, model, cycle=True, **fixed):
    """Drawn devices and a drive that makes some of them fire: (devices, drive of shape (ticks, n), generator)."""
    neuron = draw(neurons(model, **fixed))
    if model is MTJ:
        neuron = replace(neuron, threshold=min(neuron.threshold, 0.7 * -neuron.k2), reset=min(neuron.reset, 1.0))
    neuron = replace(neuron, reset=min(neuron.reset, 0.4 * neuron.threshold))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = draw(st.floats(0, 0.08))
    names = [name for name in neuron.laws() if name != "reset"]
    c2c = dict.fromkeys(names, 0.03) if cycle and draw(st.booleans()) else {}
    variation = Variation(c2c=c2c, **dict.fromkeys(names, spread))
    devices = neuron.draw(draw(st.integers(1, 5)), variation, seed=draw(seeds()))
    shape = (draw(st.integers(2, 25)), len(devices))
    drive = draw(st.sampled_from([0.5, 1.0, 3.0])) * rng.exponential(1, shape) * (rng.random(shape) < 0.7)
    drive -= 0.5 * (rng.random(shape) < 0.2)
    return devices, np.minimum(4 * drive, 20) if model is Oscillator else drive, rng


def same(one, other):
    """Bit for bit."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("drive", "position", "spikes")
    ) and all(
        np.array_equal(getattr(one.state, name), getattr(other.state, name)) for name in ("position", "refractory")
    )


# ------------------------------------------------------------------------------------------------------------ the run


@models
@pytest.mark.parametrize("mode", ["hard", "soft"])
@few
@given(data=st.data())
def test_a_run_is_a_plain_loop(model, mode, data):
    hold = data.draw(st.integers(0, 3))
    devices, drive, _ = data.draw(runs(model, hold == 0 or mode == "hard", reset_mode=mode, refractory=hold))
    drive = drive[:12] if model is TaperedDomainWall else drive
    bias = data.draw(st.floats(-0.3, 0.3))
    out = respond(devices, drive, bias=bias)
    position, spikes, margin = model_oracle.respond(devices, drive + bias)
    assume(margin > 1e-7)  # closer than that, rounding may decide
    assert np.array_equal(out.spikes, spikes)
    near = np.abs(position) < 100 * devices["threshold"]
    assert out.position[near] == pytest.approx(position[near], rel=1e-9, abs=1e-9 * devices.nominal.threshold)
    assert (out.position[~near] >= devices["threshold"].max()).all()
    assert out.rate == pytest.approx(1e3 * spikes.sum(axis=0) / (len(drive) * devices.nominal.dt))
    assert out.state.tick == len(drive)


@models
@few
@given(data=st.data())
def test_a_run_cut_in_two_is_one_run(model, data):
    mode = data.draw(st.sampled_from(["hard", "soft"]))
    devices, drive, _ = data.draw(runs(model, reset_mode=mode, refractory=data.draw(st.integers(0, 3))))
    cut = data.draw(st.integers(1, len(drive) - 1))
    whole = respond(devices, drive, trial=3)
    first = respond(devices, drive[:cut], trial=3)
    kept = first.state.position.copy(), first.state.refractory.copy()
    second = respond(devices, drive[cut:], trial=3, state=first.state)
    assert np.array_equal(np.concatenate([first.position, second.position]), whole.position)
    assert np.array_equal(np.concatenate([first.spikes, second.spikes]), whole.spikes)
    assert np.array_equal(second.state.position, whole.state.position)
    assert np.array_equal(second.state.refractory, whole.state.refractory)
    assert (first.state.tick, second.state.tick) == (cut, len(drive))
    assert np.array_equal(kept[0], first.state.position)  # what a run goes on from is left alone
    assert np.array_equal(kept[1], first.state.refractory)


@models
@few
@given(data=st.data())
def test_a_run_does_not_know_what_time_it_is(model, data):
    devices, drive, _ = data.draw(runs(model, cycle=False))
    later = State(rest(devices).position, rest(devices).refractory, data.draw(st.integers(1, 2**31)))
    one, other = respond(devices, drive), respond(devices, drive, state=later, trial=5)
    assert same(one, other)
    assert other.state.tick == later.tick + len(drive)


@models
@few
@given(data=st.data())
def test_a_late_drive_is_a_late_response(model, data):
    """Rest is rest: ticks without drive before the first pulse do nothing."""
    devices, drive, _ = data.draw(runs(model, cycle=False))
    wait = data.draw(st.integers(1, 10))
    one, other = respond(devices, drive), respond(devices, np.concatenate([np.zeros((wait, len(devices))), drive]))
    assert not other.spikes[:wait].any()
    if model is Oscillator:  # its level at rest is the device's, not the nominal one
        return
    assert np.array_equal(other.spikes[wait:], one.spikes)
    assert np.array_equal(other.position[wait:], one.position)


@models
@few
@given(data=st.data())
def test_neurons_do_not_know_each_other(model, data):
    mode = data.draw(st.sampled_from(["hard", "soft"]))
    devices, drive, rng = data.draw(runs(model, cycle=False, reset_mode=mode))
    order = rng.permutation(len(devices))
    bias = rng.normal(0, 0.1, len(devices))
    whole = respond(devices, drive, bias=bias)
    mixed = Devices(devices.nominal, {name: devices[name][order] for name in devices})
    out = respond(mixed, drive[:, order], bias=bias[order])
    assert np.array_equal(out.spikes, whole.spikes[:, order])
    assert np.array_equal(out.position, whole.position[:, order])
    alone = Devices(devices.nominal, {name: devices[name][:1] for name in devices})
    assert np.array_equal(respond(alone, drive[:, :1], bias=bias[:1]).position, whole.position[:, :1])


@models
@few
@given(data=st.data())
def test_one_drive_for_all_is_that_drive_for_each(model, data):
    devices, drive, _ = data.draw(runs(model))
    each = np.repeat(drive[:, :1], len(devices), axis=1)
    wanted = respond(devices, each)
    assert same(respond(devices, drive[:, 0]), wanted)
    assert same(respond(devices, drive[:, :1]), wanted)


@models
@few
@given(data=st.data())
def test_a_nominal_neuron_is_one_device_without_difference(model, data):
    devices, drive, _ = data.draw(runs(model))
    nominal = devices.nominal
    assert same(respond(nominal, drive[:, 0]), respond(nominal.identical(1), drive[:, 0]))
    unvaried = nominal.draw(3, Variation(), seed=4)
    assert np.array_equal(respond(unvaried, drive[:, 0]).position[:, :1], respond(nominal, drive[:, 0]).position)


@models
@few
@given(data=st.data())
def test_bias_is_drive(model, data):
    devices, drive, rng = data.draw(runs(model))
    bias = rng.normal(0, 0.3, len(devices))
    assert same(respond(devices, drive, bias=bias), respond(devices, drive + bias))
    assert same(respond(devices, drive, bias=0.25), respond(devices, drive + 0.25))
    assert np.array_equal(respond(devices, drive, bias=bias).drive, drive + bias)


# --------------------------------------------------------------------------------------------------- reset, refractory


@models
@few
@given(data=st.data())
def test_after_a_hard_reset_a_neuron_starts_from_its_reset(model, data):
    devices, drive, _ = data.draw(runs(model, cycle=False, reset_mode="hard", refractory=0))
    out = respond(devices, drive)
    for t, j in np.argwhere(out.spikes[:-1]):
        fresh = State(devices["reset"] / devices.unit, np.zeros(len(devices), np.int32))
        again = respond(devices, drive[t + 1 :], state=fresh)
        assert again.position[:, j] == pytest.approx(out.position[t + 1 :, j], rel=1e-12, abs=1e-12)
    last = out.spikes[-1]
    assert (out.state.position * devices.unit)[last] == pytest.approx(devices["reset"][last], abs=1e-12)


@models
@few
@given(data=st.data())
def test_a_soft_reset_takes_the_way_from_reset_to_threshold(model, data):
    devices, drive, _ = data.draw(runs(model, cycle=False, reset_mode="soft", refractory=0))
    out = respond(devices, drive)
    after, before = out.state.position * devices.unit, out.position[-1]
    way = devices["threshold"] - devices["reset"]
    left = before - way
    if model is MTJ:  # what a run-away leaves is cut
        left = np.minimum(left, devices["threshold"] - way / 1024)
    assert after == pytest.approx(np.where(out.spikes[-1], left, before), rel=1e-12, abs=1e-12)


def test_a_soft_reset_loses_no_charge():
    """Two and a half thresholds at once are two spikes, one in each tick, and a half that stays."""
    out = respond(IF(reset_mode="soft"), [2.5, 0, 0, 0])
    assert out.spikes[:, 0].tolist() == [True, True, False, False]
    assert out.state.position[0] == pytest.approx(10.0)


@models
@pytest.mark.parametrize("mode", ["hard", "soft"])
@few
@given(data=st.data())
def test_a_refractory_neuron_neither_fires_nor_moves(model, mode, data):
    hold = data.draw(st.integers(1, 3))
    devices, drive, rng = data.draw(runs(model, cycle=False, reset_mode=mode, refractory=hold))
    out = respond(devices, 3 * drive)
    other = 3 * drive
    for t, j in np.argwhere(out.spikes):
        wait = slice(t + 1, t + 1 + hold)
        assert not out.spikes[wait, j].any()
        assert (np.ptp(out.position[wait, j]) == 0) if t + 1 < len(drive) else True
        if mode == "hard":
            assert out.position[wait, j] == pytest.approx(devices["reset"][j], abs=1e-12)
        other[wait, j] = rng.uniform(-LIMIT / 4, LIMIT / 4)
    again = respond(devices, other)
    assert np.array_equal(again.spikes, out.spikes)
    assert np.array_equal(again.position, out.position)
    expected = np.zeros(len(devices), np.int32)
    for t, j in np.argwhere(out.spikes):
        expected[j] = max(0, hold - (len(drive) - 1 - t))
    assert np.array_equal(out.state.refractory, expected)


@pytest.mark.parametrize("mode", ["hard", "soft"])
@pytest.mark.parametrize("hold", [1, 3])
@models
def test_a_single_pulse_of_any_strength_fires_once(model, mode, hold):
    for strength in (20.0, 60.0, 200.0):
        neuron = model(reset_mode=mode, refractory=hold)
        drive = np.zeros(hold + 2)
        drive[0] = strength * (5 if model is Oscillator else 1)
        spikes = respond(neuron, drive).spikes[:, 0]
        assert spikes[0]
        assert not spikes[1 : hold + 1].any()


@models
@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_a_refractory_neuron_stays_silent_while_its_threshold_varies(model, mode):
    """From one tick to the next, so that a soft reset may leave it above the threshold of the next tick."""
    neuron = model(reset_mode=mode, refractory=2)
    devices = neuron.draw(100, Variation(c2c={"threshold": 0.05}), seed=0)
    drive = np.zeros((3, 100))
    drive[0] = 200.0
    spikes = respond(devices, drive).spikes
    assert spikes[0].all()
    assert not spikes[1:].any()


@models
@few
@given(data=st.data())
def test_a_neuron_without_refractory_time_never_waits(model, data):
    devices, drive, _ = data.draw(runs(model, refractory=0))
    assert (respond(devices, drive).state.refractory == 0).all()


# ------------------------------------------------------------------------------------------------- firing, silence


@models
@few
@given(data=st.data())
def test_a_constant_drive_fires_at_the_ticks_of_its_first_passages(model, data):
    """Every interval is the first passage from the reset, rounded up to whole ticks, and the refractory time."""
    neuron = data.draw(neurons(model, reset_mode="hard"))
    drive = data.draw(st.floats(0.05, 3)) * (3 if model is Oscillator else 1)
    ticks = np.array([neuron.first_passage(x, drive) for x in (neuron.rest, neuron.reset)]) / neuron.dt
    some = ticks[np.isfinite(ticks)]
    assume((np.abs(some - np.round(some)) > 1e-7 * some).all())
    span = 60
    wanted, at = np.zeros(span, bool), ticks[0]
    now = math.ceil(at) - 1 if at < span else span
    while now < span:
        wanted[now] = True
        now = now + neuron.refractory + math.ceil(ticks[1]) if ticks[1] < span else span
    assert np.array_equal(respond(neuron, np.full(span, drive)).spikes[:, 0], wanted)


@given(neurons(MTJ), st.floats(0.01, 1), st.floats(0.001, 0.99))
def test_a_self_firing_mtj_fires_by_itself_at_the_predicted_tick(neuron, beyond, part):
    unstable = -neuron.k2
    neuron = replace(neuron, threshold=unstable * (1 + beyond), refractory=0, reset_mode="hard")
    start = unstable + part * (neuron.threshold - unstable)
    devices = neuron.identical(1)
    assert devices.self_firing == 1
    ticks = float(neuron.first_passage(start, 0.0)) / neuron.dt
    assume(ticks < 500 and abs(ticks - round(ticks)) > 1e-7 * ticks)
    out = respond(devices, np.zeros(math.ceil(ticks) + 3), state=State(start / devices.unit, np.zeros(1, np.int32)))
    assert np.flatnonzero(out.spikes).tolist() == [math.ceil(ticks) - 1]


@models
@few
@given(data=st.data())
def test_nothing_comes_from_nothing(model, data):
    """Without drive nobody fires who starts below the threshold and below the unstable point."""
    devices, _, rng = data.draw(runs(model))
    limit = 0.8 * devices["threshold"]
    if model is MTJ:
        limit = np.minimum(limit, 0.8 * -devices["k2"])
    start = State(limit * rng.random(len(devices)) / devices.unit, np.zeros(len(devices), np.int32))
    out = respond(devices, np.zeros(25), state=start)
    assert not out.spikes.any()
    assert not respond(devices, np.zeros(25)).spikes.any()


@models
@few
@given(data=st.data())
def test_an_instant_is_a_spike_where_the_position_reached_the_threshold(model, data):
    devices, drive, _ = data.draw(runs(model, cycle=False))
    out = respond(devices, drive)
    above = out.position - devices["threshold"]
    clear = np.abs(above) > 1e-12 * devices["threshold"]
    assert np.array_equal(out.spikes[clear], (above >= 0)[clear])
    assert not np.isnan(out.position).any()
    if model in WALLS:
        assert (out.position >= 0).all()


def test_a_drive_on_the_threshold_fires():
    """IF by name of a domain wall: 200 nm in one tick against a leak of 10 nm."""
    assert respond(DomainWall(), [1.05]).spikes.all()
    assert not respond(DomainWall(), [1.05 - 1e-12]).spikes.any()


# --------------------------------------------------------------------------------------------------------- refusals


def refused(action, *words):
    with pytest.raises(DeviceError) as caught:
        action()
    for part in ("given:", "expected:", "repair:", *words):
        assert part in str(caught.value)


@models
def test_drives_that_are_impossible_are_refused(model):
    three = model().identical(3)
    for drive in (1.0, [], [[]], [math.nan], [0.1, math.inf], [LIMIT], np.zeros((4, 2)), np.zeros((2, 3, 1))):
        refused(lambda drive=drive: respond(three, drive, seed=0), "drive")
    for bias in (math.nan, math.inf, LIMIT, [0.1, 0.2], np.zeros((1, 3))):
        refused(lambda bias=bias: respond(three, [0.1], bias=bias), "bias")


@models
def test_states_that_do_not_fit_are_refused(model):
    three = model().identical(3)
    for state in (rest(model().identical(2)), 5, respond(three, [0.1])):
        refused(lambda state=state: respond(three, [0.1], state=state), "state", "3 neurons")


@pytest.mark.parametrize(
    "arguments",
    [
        ([0.0, math.nan], [0, 0]),
        ([0.0, -math.inf], [0, 0]),
        ([0.0, 1.0], [0]),
        ([0.0, 1.0], [0, -1]),
        ([0.0, 1.0], [0, 0.5]),
        ([[0.0, 1.0]], [[0, 0]]),
        ("ab", [0, 0]),
        ([0.0, 1.0], [0, 0], -1),
        ([0.0, 1.0], [0, 0], 2**70),
        ([0.0, 1.0], [0, 0], 1.5),
    ],
)
def test_states_that_are_impossible_are_refused(arguments):
    with pytest.raises(DeviceError, match="repair"):
        State(*arguments)


@pytest.mark.parametrize("neurons", [MTJ, None, 3, "mtj"])
def test_what_is_no_neuron_is_refused(neurons):
    with pytest.raises(DeviceError, match="a Neuron or Devices"):
        respond(neurons, [0.1])


@models
def test_trials_that_are_impossible_are_refused(model):
    for trial in (-1, 2**31, 0.5, True):
        refused(lambda trial=trial: respond(model(), [0.1], trial=trial), "trial")
