"""First passages, run-aways and rates, for all models whose state moves."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import IF, LIF, MTJ, DomainWall, Oscillator, TaperedDomainWall
from eventsim.checks import LIMIT
from tests.model_cases import assert_close, drives, few, models, motions, neurons, sensitivity, starts, units
from tests.model_oracle import velocity


@models
@few
@given(data=st.data())
def test_a_first_passage_ends_on_the_threshold(model, data):
    neuron, x, drive, _, u = data.draw(motions(model))
    threshold = neuron.threshold * (0.05 + u)
    time = neuron.first_passage(x, drive, threshold)
    assert (time[x >= threshold] == 0).all()
    assert (time[x < threshold] > 0).all()
    use = (time > 0) & (time < LIMIT)
    x, drive, threshold, time = (row[use] for row in (x, drive, threshold, time))
    bound = 1e-11 * sensitivity(neuron, x, drive, time)
    assert_close(neuron.step(x, drive, time), threshold, bound)
    for part in (0.0, 0.3, 0.9, 0.999):
        assert (neuron.step(x, drive, part * time) <= threshold + bound).all()
    clear = np.abs(velocity(neuron, threshold, drive)) * 1e-3 * time > 10 * bound
    assert (neuron.step(x, drive, 0.999 * time) < threshold)[clear].all()


@models
@few
@given(data=st.data())
def test_where_there_is_no_first_passage_the_threshold_is_never_reached(model, data):
    neuron, x, drive, _, u = data.draw(motions(model))
    threshold = neuron.threshold * (0.05 + u)
    never = neuron.first_passage(x, drive, threshold) == math.inf
    for ticks in (0.1, 1.0, 10.0, 1e3, 1e5):
        end = neuron.step(x[never], drive[never], min(ticks * neuron.dt, LIMIT))
        assert (end <= threshold[never] * (1 + 1e-12)).all()


@models
@few
@given(data=st.data())
def test_first_passage_is_the_default_of_the_threshold(model, data):
    neuron, x, drive, _, _ = data.draw(motions(model))
    assert np.array_equal(neuron.first_passage(x, drive), neuron.first_passage(x, drive, neuron.threshold))


@models
@few
@given(data=st.data())
def test_first_passages_are_earlier_under_a_stronger_drive_and_to_a_nearer_threshold(model, data):
    neuron, x, drive, _, u = data.draw(motions(model))
    x = np.minimum(x, 1.0) if model is Oscillator else x
    time = neuron.first_passage(x, drive)
    assert (neuron.first_passage(x, drive + 1e-3 + u) <= time * (1 + 1e-12)).all()
    assert (neuron.first_passage(x, drive, neuron.threshold * u) <= time * (1 + 1e-12)).all()
    assert (neuron.first_passage(x + 0.1 * u * neuron.threshold, drive) <= time * (1 + 1e-12)).all()


@models
@few
@given(data=st.data())
def test_a_passage_is_the_sum_of_its_parts(model, data):
    neuron, x, drive, _, u = data.draw(motions(model))
    whole = neuron.first_passage(x, drive)
    use = (whole > 0) & (whole < 1e3 * neuron.dt)
    x, drive, whole, u = x[use], drive[use], whole[use], u[use]
    between = x + u * (neuron.threshold - x)
    parts = neuron.first_passage(x, drive, between) + neuron.first_passage(between, drive)
    slowest = np.minimum(np.abs(velocity(neuron, x, drive)), np.abs(velocity(neuron, neuron.threshold, drive)))
    if model is MTJ:
        lowest = np.clip(-neuron.k2 / 2, x, neuron.threshold)
        slowest = np.minimum(slowest, np.abs(velocity(neuron, lowest, drive)))
    speed = np.abs(velocity(neuron, neuron.threshold, drive)) + np.abs(velocity(neuron, x, drive))
    push = np.abs(velocity(neuron, x, drive) - velocity(neuron, x, 0.0)) + speed
    room = np.abs(x) + neuron.threshold
    with np.errstate(divide="ignore", over="ignore"):
        bound = 1e-12 * (whole * (1 + push / slowest) + room / slowest)
    assert_close(parts, whole, bound)


@given(neurons(MTJ), units)
def test_blow_up_is_when_the_step_becomes_infinite(neuron, rows):
    x, drive = starts(neuron, rows[0]), drives(neuron, rows[1])
    time = neuron.first_passage(x, drive, math.inf)
    goes = time < 1e4
    # a tiny part of the way before, the position is (time left)**-1 * k1
    assert (neuron.step(x[goes], drive[goes], time[goes] * (1 + 1e-7)) == math.inf).all()
    left = 1e-4 * np.minimum(time[goes], neuron.dt * 1e-3)
    before = neuron.step(x[goes], drive[goes], time[goes] - left)
    assert before == pytest.approx(neuron.k1 / left, rel=2e-2)
    never = time == math.inf
    assert (neuron.step(x[never], drive[never], 1e4) < math.inf).all()
    assert (neuron.first_passage(x, drive) <= time).all()


@pytest.mark.parametrize("model", [LIF, IF, DomainWall, TaperedDomainWall, Oscillator])
@few
@given(data=st.data())
def test_only_an_mtj_runs_away(model, data):
    neuron, x, drive, _, _ = data.draw(motions(model))
    assert (neuron.first_passage(x, drive, math.inf) == math.inf).all()
    assert np.isfinite(neuron.step(x, drive)).all()


@pytest.mark.parametrize("drive", [-1.5, -5.0, -20.0])
def test_a_damped_oscillator_never_reaches_a_power_above_one(drive):
    neuron = Oscillator(nonlinearity=1.0)
    assert neuron.first_passage(0.5, drive, math.inf) == math.inf
    assert neuron.first_passage(0.5, drive, 2.0) == math.inf


@given(neurons(MTJ))
def test_an_mtj_fires_from_its_rheobase(neuron):
    assert neuron.first_passage(0.0, neuron.rheobase * (1 - 1e-9)) == math.inf
    above = neuron.first_passage(0.0, neuron.rheobase * (1 + 1e-9))
    assert 0 < above < math.inf
    assert above > neuron.first_passage(0.0, neuron.rheobase * 1.1)


def test_passages_of_the_default_mtj():
    """From 27.7 nm, beyond the unstable point, without input: figures worked out independently."""
    neuron = MTJ()
    assert neuron.first_passage(27.7, 0.0, 29.0) == pytest.approx(19.92, abs=0.005)
    wanted = [43.2, 32.6, 19.4, 9.0, 4.7, 2.5]
    assert neuron.first_passage([27.7, 28, 30, 40, 60, 100], 0.0, math.inf) == pytest.approx(wanted, abs=0.06)
    speeds = np.array([0.89, 0.90, 0.92, 0.95, 1.0, 1.25, 1.5, 2, 3, 5, 10, 20, 27.6, 50, 100])
    rates = [0, 0.94, 3.81, 6.46, 10.1, 24.9, 38.4, 64.4, 115, 216, 466, 966, 1346, 2466, 4966]
    assert neuron.rate(speeds / 20) == pytest.approx(rates, rel=1e-2)
    rates = [0, 0.93, 3.57, 5.85, 8.79, 20.1, 30.1, 49.1, 86.0, 159, 340, 703, 978, 1790, 3601]
    assert MTJ(threshold="unstable").rate(speeds / 27.6) == pytest.approx(rates, rel=1e-2)


@models
@few
@given(data=st.data())
def test_rate_is_one_over_passage_and_refractory_time(model, data):
    neuron, _, drive, _, _ = data.draw(motions(model))
    drive = drive[neuron.rate(drive) > 1e-2]  # periods that a step can be asked for
    period = 1e3 / neuron.rate(drive)
    rise = period - neuron.refractory * neuron.dt
    use = rise > 1e-3 * period
    bound = sensitivity(neuron, neuron.reset, drive, np.maximum(rise, 0)) + np.abs(
        velocity(neuron, neuron.threshold, drive) * period
    )
    end = neuron.step(neuron.reset, drive[use], rise[use])
    assert_close(end, neuron.threshold + 0 * end, 1e-11 * bound[use])
    without = replace(neuron, refractory=0)
    assert 1e3 / without.rate(drive) == pytest.approx(1e3 / neuron.rate(drive) - neuron.refractory * neuron.dt)
