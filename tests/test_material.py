"""Equation (2): the drive coefficient from material parameters."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import MTJ, drive_coefficient, drive_velocity
from eventsim.errors import DeviceError
from eventsim.material import DISSIPATION, mobility

MATERIALS = [(0.40, 5.8e5, 3.99e-11), (0.57, 1.1e6, 3.00e-11), (0.65, 1.2e6, 3.14e-11), (0.70, 8.0e5, 5.07e-11)]
"""Polarisation, saturation magnetisation (A/m), and P mu_B/(e M_s) (m**3/C) worked out by hand."""


@pytest.mark.parametrize(("polarisation", "saturation", "wanted"), MATERIALS)
def test_equal_damping_and_nonadiabaticity_give_the_spin_drift(polarisation, saturation, wanted):
    found = drive_coefficient(alpha=0.1, beta=0.1, polarisation=polarisation, saturation=saturation)
    assert found == pytest.approx(wanted, rel=2e-3)


@given(st.floats(0.01, 0.3), st.floats(0, 2))
def test_the_mobility_is_universal(alpha, ratio):
    """Nearly independent of damping, as Iwasaki et al. found."""
    assert 0.8 < mobility(alpha, ratio * alpha, DISSIPATION) < 1.2


def test_as_printed_it_is_not():
    values = [mobility(0.04, beta, DISSIPATION, "as_printed") for beta in (0.0, 0.08)]
    assert values == pytest.approx([0.04 / (0.04**3 * (DISSIPATION**2 + 0.04)), 2 - values[0]])
    assert min(values) < -300
    printed = drive_coefficient(beta=0.0, form="as_printed") / drive_coefficient(beta=0.0)
    assert printed > 100


@given(st.floats(-1e13, 1e13), st.floats(1e-12, 1e-9))
def test_drive_is_current_over_the_current_of_one(j, coefficient):
    neuron = MTJ()
    unit = neuron.threshold / neuron.dt / coefficient  # of this current density, in one tick to the threshold
    assert neuron.drive_of(drive_velocity(j, coefficient)) == pytest.approx(j / unit, rel=1e-12, abs=1e-300)


def test_currents_at_the_rheobase_and_at_one():
    neuron, coefficient = MTJ(threshold="unstable"), drive_coefficient()
    j = neuron.rheobase * neuron.threshold / neuron.dt / coefficient
    assert j == pytest.approx(3.00e10, rel=5e-3)
    assert neuron.threshold / neuron.dt / coefficient == pytest.approx(9.2e11, rel=5e-3)


@pytest.mark.parametrize(
    "changes",
    [{"alpha": 0}, {"alpha": math.nan}, {"beta": -1}, {"polarisation": 1.2}, {"saturation": -1}, {"form": "published"}],
)
def test_impossible_materials_are_refused(changes):
    with pytest.raises(DeviceError, match="Material parameters"):
        drive_coefficient(**changes)


def test_infinite_currents_are_refused():
    with pytest.raises(DeviceError, match="current density"):
        drive_velocity(math.inf, 3e-11)
