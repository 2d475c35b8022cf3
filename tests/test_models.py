"""Laws of the neurons whose state moves, for all models: their flow and its slopes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eventsim import IF, LIF, MTJ, DomainWall, Oscillator, TaperedDomainWall
from eventsim.checks import LIMIT
from tests import model_oracle
from tests.model_cases import assert_close, far, few, models, motions, neurons, sensitivity
from tests.model_oracle import WALLS, lowest, velocity


@models
@few
@given(data=st.data())
def test_a_step_solves_the_equation(model, data):
    neuron, x, drive, time, _ = data.draw(motions(model))
    x, drive, time = x[:2], drive[:2], time[:2]
    top = float(5 * max(neuron.threshold, *np.abs(x)))
    end = neuron.step(x, drive, time)
    for k in range(len(x)):
        wanted = model_oracle.integrate(neuron, x[k], drive[k], time[k], top)
        if wanted == math.inf:
            assert end[k] > top * (1 - 1e-9)
        else:
            assert_close(end[k], wanted, 1e-9 * sensitivity(neuron, x[k], drive[k], time[k]))


@models
@few
@given(data=st.data())
def test_a_step_is_the_textbook_flow(model, data):
    neuron, x, drive, time, _ = data.draw(motions(model))
    values = {name: getattr(neuron, name) for name in neuron.laws()}
    arguments = (model, values, neuron.threshold, neuron.dt)
    wanted = np.array([model_oracle.flow(*arguments, *row) for row in zip(x, drive, time, strict=True)])
    end = neuron.step(x, drive, time)
    out = far(neuron, wanted) | far(neuron, end)
    assert (far(neuron, end[out]) & far(neuron, wanted[out])).all() or (end[out] > 500 * neuron.threshold).all()
    assert_close(end[~out], wanted[~out], 1e-12 * sensitivity(neuron, x, drive, time)[~out])


@given(st.floats(-6, -2), st.floats(-2, 2), st.floats(0, 1), st.floats(0.01, 3))
def test_a_tapered_wall_with_a_weak_leak_is_the_textbook_flow(magnitude, drive, part, time):
    neuron = TaperedDomainWall(leak=10**magnitude)
    values = {name: getattr(neuron, name) for name in neuron.laws()}
    wanted = model_oracle.flow(TaperedDomainWall, values, 200.0, 1.0, 200 * part, drive, time)
    end = neuron.step(200 * part, drive, time)
    assert_close(end, wanted, 1e-12 * sensitivity(neuron, 200 * part, drive, time))


@models
@few
@given(data=st.data())
def test_two_steps_are_one(model, data):
    """Semigroup, across the end of the track and through run-away too."""
    neuron, x, drive, time, part = data.draw(motions(model))
    middle = neuron.step(x, drive, part * time)
    whole = neuron.step(x, drive, time)
    gone = far(neuron, middle)
    parts = neuron.step(np.where(gone, 0.0, middle), drive, (1 - part) * time)
    assert far(neuron, whole[middle == math.inf]).all()
    out = gone | far(neuron, whole) | far(neuron, parts)
    assert (far(neuron, whole) == far(neuron, parts))[out & ~gone].all() or (
        whole[out & ~gone] > neuron.threshold
    ).all()
    bound = sensitivity(neuron, np.where(gone, 0.0, middle), drive, (1 - part) * time)
    bound = bound + sensitivity(neuron, x, drive, time)
    assert_close(parts[~out], whole[~out], 1e-12 * bound[~out])


@models
@few
@given(data=st.data())
def test_no_time_no_motion(model, data):
    neuron, x, drive, _, _ = data.draw(motions(model))
    assert np.array_equal(neuron.step(x, drive, 0.0), x)
    by_start, by_drive = neuron.slopes(x, drive, 0.0)
    assert (by_start == 1).all()
    assert (by_drive == 0).all()
    moved = neuron.step(x, drive, 1e-9 * neuron.dt) - x
    assert (np.abs(moved) <= 2e-9 * neuron.dt * np.abs(velocity(neuron, x, drive)) + 1e-14 * neuron.threshold).all()


@models
@pytest.mark.parametrize("time", [5e-324, 1e-310, 1e-300, 1e-200, 1e-100])
def test_the_shortest_times_do_not_move_a_neuron(model, time):
    neuron = model()
    x = np.array([neuron.reset, 0.5 * neuron.threshold])
    assert neuron.step(x, 1.0, time) == pytest.approx(x, rel=1e-15)


@models
@few
@given(data=st.data())
def test_a_step_without_time_takes_one_tick(model, data):
    neuron, x, drive, _, _ = data.draw(motions(model))
    assert np.array_equal(neuron.step(x, drive), neuron.step(x, drive, neuron.dt))
    assert np.array_equal(neuron.slopes(x, drive), neuron.slopes(x, drive, neuron.dt))
    assert np.array_equal(neuron.decay(x), neuron.step(x, 0.0))


@models
@few
@given(data=st.data())
def test_a_step_is_monotone_in_start_and_drive(model, data):
    neuron, x, drive, time, u = data.draw(motions(model))
    more = 1e-6 + u
    end = neuron.step(x, drive, time)
    later = neuron.step(x + more * neuron.threshold * (0.1 if model is Oscillator else 1.0), drive, time)
    harder = neuron.step(x, drive + more, time)
    slack = np.where(np.isfinite(end), 1e-13 * sensitivity(neuron, x, drive, time), 0.0)
    assert (later >= end - slack).all()
    assert (harder[x <= 1] >= (end - slack)[x <= 1] if model is Oscillator else harder >= end - slack).all()


@models
@few
@given(data=st.data())
def test_a_stronger_drive_moves_a_neuron_further(model, data):
    """The gain is a factor of the drive."""
    neuron, x, drive, time, _ = data.draw(motions(model))
    plain = replace(neuron, gain=1.0)
    end, wanted = neuron.step(x, drive, time), plain.step(x, neuron.gain * drive, time)
    near = ~far(neuron, wanted)
    assert_close(end[near], wanted[near], 1e-13 * sensitivity(neuron, x, drive, time)[near])


@models
@few
@given(data=st.data())
def test_fixed_points_stay(model, data):
    neuron, _, drive, time, u = data.draw(motions(model))
    v = neuron.gain * drive * neuron.threshold / neuron.dt
    if model is MTJ:
        drive = neuron.rheobase * np.where(u < 0.5, 2 * u, -20 * u)
        x = neuron.equilibria(drive)[0]
    elif model is LIF:
        x = neuron.tau * v
    elif model is IF:
        x, drive = neuron.threshold * u, 0.0 * drive
    elif model is DomainWall:
        x, drive = 0.0 * u, np.where(v <= neuron.leak, drive, -drive)
    elif model is TaperedDomainWall:
        x = np.maximum(0.0, (v / neuron.leak - 1) / neuron.taper)
    else:
        r, m = neuron.gain * drive - 1, neuron.gain * drive + neuron.nonlinearity
        x = np.maximum(neuron.reset, r / np.where(r > 0, m, np.inf))
    near = np.abs(x) < LIMIT
    x, drive, time = x[near], drive[near], time[near]
    assert_close(neuron.step(x, drive, time), x, 1e-12 * sensitivity(neuron, x, drive, time))


@given(neurons(MTJ), st.floats(0, 0.99), st.floats(1e-6, 4))
def test_the_unstable_point_of_an_mtj_stays(neuron, part, time):
    bias = part * neuron.k2**2 / 4 * neuron.dt / (neuron.k1 * neuron.gain * neuron.threshold)
    _, unstable = neuron.equilibria(bias)
    end = neuron.step(unstable, bias, time)
    assert_close(end, unstable, 1e-13 * sensitivity(neuron, unstable, bias, time))


@given(neurons(MTJ), st.floats(0.1, 40))
def test_without_drive_an_mtj_stands_at_zero_and_at_its_unstable_point(neuron, time):
    """As long as rounding, which grows there by a factor e in every k1/|k2|, is small."""
    growth = math.exp(-neuron.k2 * time / neuron.k1)
    assert neuron.step(0.0, 0.0, time) == 0
    if growth < 1e10:
        assert neuron.step(-neuron.k2, 0.0, time) == pytest.approx(-neuron.k2, rel=1e-14 * growth)
    assert neuron.equilibria() == pytest.approx((0.0, -neuron.k2), rel=1e-14, abs=1e-14)


@given(neurons(MTJ), arrays(np.float64, 5, elements=st.floats(-50, 1)))
def test_equilibria_have_no_velocity_and_end_at_the_rheobase(neuron, part):
    top = neuron.k2**2 / 4 * neuron.dt / (neuron.k1 * neuron.gain * neuron.threshold)
    stable, unstable = neuron.equilibria(top * part * (1 - 1e-9))
    scale = (stable**2 + unstable**2) / neuron.k1
    for x in (stable, unstable):
        assert_close(velocity(neuron, x, top * part * (1 - 1e-9)), 0 * x, 1e-13 * scale)
    assert (stable <= unstable).all()
    assert np.isnan(neuron.equilibria(top * (1 + 1e-9))).all()


@models
@few
@given(data=st.data())
def test_a_neuron_without_drive_comes_to_rest(model, data):
    neuron, x, _, time, _ = data.draw(motions(model))
    limit = -neuron.k2 if model is MTJ else math.inf
    x = np.minimum(x, 0.999 * limit)
    end = neuron.decay(x, time)
    assert (np.abs(end) <= np.abs(x) * (1 + 1e-14)).all()
    assert (end * x >= 0).all()
    assert (neuron.decay(np.zeros(1)) == lowest(neuron)).all() or lowest(neuron) == -math.inf


@models
@few
@given(data=st.data())
def test_slopes_are_those_of_central_differences(model, data):
    """Fourth order; left out where the stencil comes near a run-away or straddles the end of the track."""
    neuron, x, drive, time, _ = data.draw(motions(model))
    e = 3e-4 * (np.abs(x) if model is Oscillator else neuron.threshold + 0 * x)
    x = x + 2 * e  # stencils on the track
    size = np.maximum(np.abs(x), e / 3e-4)
    for by, (dx, di) in zip(neuron.slopes(x, drive, time), ((e, 0.0), (0.0, 3e-4)), strict=True):
        ends = np.array([neuron.step(x + k * dx, drive + k * di, time) for k in (-2, -1, 1, 2)])
        good = (np.abs(ends) < 3 * neuron.threshold + 3 * np.abs(x)).all(axis=0)
        floor = lowest(neuron)
        good &= (ends > floor).all(axis=0) | (ends == floor).all(axis=0)
        with np.errstate(invalid="ignore"):
            wanted = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * (dx + di))
        with np.errstate(invalid="ignore"):
            bound = 1e-6 * np.abs(wanted) + 3e-9 * size / (e / 3e-4 if di == 0.0 else 1.0)
        assert_close(by[good], wanted[good], bound[good])


@models
@few
@given(data=st.data())
def test_slope_by_start_is_the_ratio_of_velocities(model, data):
    neuron, x, drive, time, _ = data.draw(motions(model))
    end, (by_start, _) = neuron.step(x, drive, time), neuron.slopes(x, drive, time)
    use = ~far(neuron, end) & (end > lowest(neuron))
    x, drive, time, end, by_start = (row[use] for row in (x, drive, time, end, by_start))
    before, after = velocity(neuron, x, drive), velocity(neuron, end, drive)
    # rounding of either velocity: its terms may cancel
    noise = np.abs(velocity(neuron, x, 0.0)) + np.abs(velocity(neuron, x, 0.0) - before)
    noise = noise * by_start + np.abs(velocity(neuron, end, 0.0)) + np.abs(velocity(neuron, end, 0.0) - after)
    noise = noise + sensitivity(neuron, x, drive, time) / neuron.dt
    stiff = 1 + np.abs(velocity(neuron, end * 1.001, drive) - after) * neuron.dt / (1e-3 * np.abs(end) + 1e-300)
    assert_close(before * by_start, after, 1e-12 * noise * stiff)


@given(neurons(MTJ), st.floats(1.01, 30), st.floats(0, 4))
def test_slopes_are_zero_after_a_run_away(neuron, push, later):
    drive = push * neuron.k2**2 / 4 * neuron.dt / (neuron.k1 * neuron.gain * neuron.threshold)
    gone = neuron.first_passage(0.0, drive, math.inf)
    for time in (gone * (1 + 1e-9) + later, gone * (1 + 1e-9)):
        assert neuron.step(0.0, drive, time) == math.inf
        assert neuron.slopes(0.0, drive, time) == (0, 0)


@pytest.mark.parametrize("model", [*WALLS, Oscillator])
@few
@given(data=st.data())
def test_slopes_are_zero_at_the_lowest_state(model, data):
    neuron, x, drive, time, _ = data.draw(motions(model))
    floor = lowest(neuron)
    drive = np.where(velocity(neuron, floor, drive) < 0, drive, -drive)
    drive = drive[velocity(neuron, floor, drive) < 0]
    x, time = x[: len(drive)], 1.001 * time[: len(drive)] + 1e-3
    for rows in ((floor + 0.0 * x, drive, time), (x, drive, time)):
        end, (by_start, by_drive) = neuron.step(*rows), neuron.slopes(*rows)
        assert (by_start[end == floor] == 0).all()
        assert (by_drive[end == floor] == 0).all()
        assert (by_start[end > floor] > 0).all()
    assert (neuron.step(floor + 0.0 * x, drive, time) == floor).all()


@models
@few
@given(data=st.data())
def test_slopes_are_not_negative(model, data):
    neuron, x, drive, time, _ = data.draw(motions(model))
    by_start, by_drive = neuron.slopes(x, drive, time)
    assert (by_start >= 0).all()
    assert (by_drive >= -1e-15).all()
