"""Devices: their laws of variation, their independence, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import MTJ, Devices, Variation
from eventsim.errors import DeviceError
from eventsim.variation import TRUNCATION
from tests.strategies import seeds, variation

PARAMETERS = ("k1", "k2", "threshold", "gain")


def test_pulses_of_the_default_device():
    """One tick from rest, figures worked out independently for threshold 20 nm."""
    assert MTJ().step(0, [0.25, 0.5, 0.75, 1.0]) == pytest.approx([4.7, 9.5, 14.4, 19.3], abs=0.05)
    assert MTJ().step(0, [1.0338, 1.0339]) == pytest.approx([20, 20], abs=2e-3)
    assert MTJ().step(10, 0, [1, 5, 10, 20, 40]) == pytest.approx([9.19, 6.31, 3.69, 1.11, 0.086], abs=0.006)


def test_step_broadcasts_and_keeps_shape():
    out = MTJ().step(np.zeros((3, 1)), np.ones(4), 0.5)
    assert out.shape == (3, 4)
    assert np.ptp(out) == 0


@given(seeds(), variation(), st.integers(0, 100), st.integers(1, 30))
def test_device_i_of_chip_c_is_always_the_same(seed, spread, chip, n):
    many = MTJ().draw(60, spread, seed=seed, chip=chip, name="hidden")
    few = MTJ().draw(n, spread, seed=seed, chip=chip, name="hidden")
    for name in PARAMETERS:
        assert np.array_equal(few[name], many[name][:n])


@given(seeds(), st.floats(0.01, 0.3))
def test_turning_one_spread_on_leaves_the_others(seed, cv):
    alone = MTJ().draw(20, Variation(threshold=cv), seed=seed)
    both = MTJ().draw(20, Variation(threshold=cv, k1=cv), seed=seed)
    assert np.array_equal(alone["threshold"], both["threshold"])
    assert (alone["k1"] == 212).all()
    assert not (both["k1"] == 212).any()


def test_chips_populations_and_seeds_differ():
    draws = [
        MTJ().draw(5, Variation.all(0.1), seed=seed, chip=chip, name=name)
        for seed in (0, 1)
        for chip in (0, 1)
        for name in ("a", "b")
    ]
    values = np.concatenate([draw["gain"] for draw in draws])
    assert len(np.unique(values)) == len(values)


@pytest.mark.parametrize("cv", [0.05, 0.2])
@pytest.mark.parametrize("name", PARAMETERS)
def test_mean_and_spread_of_draws(name, cv):
    n = 100_000
    drawn = MTJ().draw(n, Variation.all(cv), seed=3)[name] / getattr(MTJ(), name)
    truncated = cv * 0.9866  # cutting at three standard deviations takes 1.3 %
    assert drawn.mean() == pytest.approx(1, abs=5 * cv / math.sqrt(n) + 0.002 * cv)
    assert drawn.std() == pytest.approx(truncated, rel=5 / math.sqrt(2 * n) + 0.02)
    relative = (
        (np.log(drawn) + np.log1p(cv * cv) / 2) / math.sqrt(np.log1p(cv * cv))
        if name != "threshold"
        else (drawn - 1) / cv
    )
    assert np.abs(relative).max() <= TRUNCATION * (1 + 1e-12)
    assert np.abs(relative).max() > 2.9


def test_self_firing_devices_are_counted():
    assert MTJ().identical(10).self_firing == 0
    assert MTJ(threshold="unstable").identical(10).self_firing == 10
    assert MTJ(threshold=40.0, allow_self_firing=True).identical(10).self_firing == 10
    assert 30 < MTJ(threshold=27.6).draw(100, Variation.all(0.1), seed=0).self_firing < 70


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k1": 0}, "positive"),
        ({"k1": -212}, "positive"),
        ({"k1": math.nan}, "finite"),
        ({"k2": 27.6}, r"negative number .*\n.*MTJ\(k2=-27.6\)"),
        ({"k2": 0}, "negative"),
        ({"threshold": math.inf}, "finite"),
        ({"threshold": -1}, "positive"),
        ({"reset": 20.0}, "below the threshold"),
        ({"gain": 0}, "positive"),
        ({"dt": -1}, "positive"),
        ({"k1": "212"}, "finite number"),
        ({"k1": 1e7}, "between 1e-06 and 1e"),
        ({"k2": -1e-9}, "between"),
        ({"reset": -1e7}, "between -1e"),
        ({"threshold": 27.7}, r"beyond the unstable point(.*\n)*.*allow_self_firing=True"),
        ({"threshold": "stable"}, "finite number"),
        ({"reset_mode": "none"}, "'hard' or 'soft'"),
        ({"refractory": -1}, "whole number from 0"),
        ({"refractory": 1.5}, "whole number from 0"),
    ],
)
def test_impossible_devices_are_refused(arguments, message):
    with pytest.raises(DeviceError, match=message):
        MTJ(**arguments)


@pytest.mark.parametrize("cv", [-0.1, math.nan, 1 / 3, 5, math.inf])
def test_impossible_spreads_are_refused(cv):
    with pytest.raises(DeviceError, match="relative standard deviation"):
        MTJ().draw(2, Variation(threshold=cv), seed=0)


def test_spreads_that_reach_the_reset_are_refused():
    with pytest.raises(DeviceError, match="above every reset"):
        MTJ(reset=15).draw(3, Variation(threshold=0.1), seed=0)


@pytest.mark.parametrize("arguments", [(math.nan, 1), (0, math.inf), (0, 1, -1), (0, 1, math.nan)])
def test_unusable_steps_are_refused(arguments):
    with pytest.raises(DeviceError):
        MTJ().step(*arguments)


def test_shapes_that_do_not_broadcast_are_refused():
    with pytest.raises(DeviceError, match=r"x \(2,\), drive \(3,\), time \(\)"):
        MTJ().step(np.zeros(2), np.zeros(3))


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None])
def test_unusable_numbers_of_devices_are_refused(n):
    for call in (lambda: MTJ().identical(n), lambda: MTJ().draw(n, Variation(), seed=0)):
        with pytest.raises(DeviceError, match="whole number from 1"):
            call()


@pytest.mark.parametrize(
    "changes",
    [
        {"k1": np.ones(3)},
        {"gain": np.array([1, np.nan])},
        {"k2": np.array([-1, 1])},
        {"threshold": np.array([-1, 1])},
        {"threshold": [[1, 1]]},
        {"threshold": np.array([20, -1])},
        {"mass": np.ones(2)},
    ],
)
def test_impossible_arrays_of_devices_are_refused(changes):
    with pytest.raises(DeviceError, match="impossible"):
        Devices(MTJ(), {**MTJ().identical(2).values, **changes})


def test_devices_cannot_be_changed_behind_the_back_of_a_network():
    with pytest.raises(ValueError, match="read-only"):
        MTJ().identical(2)["gain"][0] = 3
