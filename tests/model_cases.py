"""Neurons of every model with starts, drives and times, for the laws that all of them obey."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eventsim import LIF, MTJ, Oscillator, TaperedDomainWall
from tests.model_oracle import MOVING, WALLS, velocity

ROWS = 4
models = pytest.mark.parametrize("model", MOVING, ids=lambda model: model.__name__)
few = settings(max_examples=settings.default.max_examples // 3)
"""Of each of six models."""
units = arrays(np.float64, (4, ROWS), elements=st.floats(0, 1), fill=st.nothing())
"""Rows of four numbers from 0 to 1, to be stretched to starts, drives, times and thresholds."""


def neurons(model, **fixed):
    """Neurons over a wide range of physical parameters."""
    ranges = {"gain": st.floats(0.3, 3), "dt": st.floats(0.1, 5), "refractory": st.integers(0, 4)}
    if model is Oscillator:
        ranges |= {"threshold": st.floats(0.05, 0.6), "reset": st.floats(1e-6, 0.04), "dt": st.floats(1, 50)}
        ranges |= {"damping": st.floats(1e-3, 0.1), "nonlinearity": st.floats(0, 10).map(lambda value: round(value, 6))}
    elif model in WALLS:
        ranges |= {"threshold": st.floats(50, 400), "leak": st.floats(0.5, 50), "reset": st.floats(0, 40)}
        ranges |= {"taper": st.floats(5e-4, 0.05)} if model is TaperedDomainWall else {}
    else:
        ranges |= {"threshold": st.floats(5, 60), "reset": st.floats(-5, 4)}
        ranges |= {"tau": st.floats(0.5, 50)} if model is LIF else {}
        if model is MTJ:
            ranges |= {"k1": st.floats(50, 500), "k2": st.floats(-60, -10), "allow_self_firing": st.just(True)}
    return st.builds(model, **ranges | {name: st.just(value) for name, value in fixed.items()})


def starts(neuron, u):
    """Starts below and above the threshold from numbers between 0 and 1; walls often at the end of their track."""
    if isinstance(neuron, Oscillator):
        return np.maximum(neuron.reset, 10 ** (-6 * (1 - u)))
    low = 0.3 if isinstance(neuron, WALLS) else 3.0
    x = neuron.threshold * ((low + 1.5) * u - low)
    return np.maximum(x, 0) if isinstance(neuron, WALLS) else x


def drives(neuron, u):
    """Drives of either sign, mostly of the order of 1, sometimes strong."""
    if isinstance(neuron, Oscillator):
        return 9 * u - 3
    return 60 * (2 * u - 1) ** 3


def motions(model, **fixed):
    """A neuron with rows of starts, drives, times and a number between 0 and 1."""

    def stretch(pair):
        neuron, (a, b, c, d) = pair[0], np.where(pair[1] < 1e-9, 0.0, pair[1])
        return neuron, starts(neuron, a), drives(neuron, b), 4 * neuron.dt * c, d

    return st.tuples(neurons(model, **fixed), units).map(stretch)


def far(neuron, x):
    """Whether a position is so far out that a run-away is near."""
    return ~(np.abs(x) <= 1e3 * neuron.threshold)


def sensitivity(neuron, x, drive, time):
    """How far the end of a step moves if start, drive, time and threshold change by their own size: its condition."""
    end = neuron.step(x, drive, time)
    by_start, by_drive = neuron.slopes(x, drive, time)
    with np.errstate(all="ignore"):
        moved = np.abs(by_start * x) + np.abs(by_drive * drive) + np.abs(velocity(neuron, end, drive) * time)
        return np.abs(end) + moved + by_start * neuron.threshold


def assert_close(value, wanted, bound):
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(value - wanted) <= bound)
    assert not wrong.any(), (np.asarray(value)[wrong], np.asarray(wanted)[wrong], np.asarray(bound)[wrong])
