"""From material parameters and current to the drive of a skyrmion: equation (2) of Li et al.

Of that equation the paper prints ``alpha**3 ((D/G)**2 + alpha)`` where the law of Iwasaki, Mochizuki and Nagaosa 2013
(Nature Commun. 4, 1463), from which it is taken, has ``alpha**3 (D/G)**2 + alpha``. The law itself is the default here.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants

from eventsim.checks import is_real, numbers
from eventsim.errors import DeviceError

BOHR_MAGNETON = constants.physical_constants["Bohr magneton"][0]

DISSIPATION = 5.577 / 4
"""D/G of a skyrmion of unit charge: dissipative tensor 5.577 pi over gyrovector 4 pi."""


def mobility(alpha: float, beta: float, dissipation: float, form: Literal["law", "as_printed"] = "law") -> float:
    """Velocity along the current over the drift of spins, ``beta/alpha + (alpha - beta)/(alpha**3 (D/G)**2 + alpha)``.

    Between 0.85 and 1.15 for all usual materials, 1 for alpha = beta ("universal"); as printed it is not.
    """
    square = dissipation * dissipation
    below = alpha**3 * square + alpha if form == "law" else alpha**3 * (square + alpha)
    return beta / alpha + (alpha - beta) / below


def drive_coefficient(
    *,
    alpha: float = 0.04,
    beta: float = 0.04,
    polarisation: float = 0.57,
    saturation: float = 1.1e6,
    dissipation: float = DISSIPATION,
    form: Literal["law", "as_printed"] = "law",
) -> float:
    """Coefficient of the drive, ``theta = mobility P mu_B / (e M_s)``: drift velocity per current density.

    Parameters
    ----------
    alpha, beta : float
        Gilbert damping and non-adiabaticity (1).
    polarisation : float
        Spin polarisation P, 0 to 1.
    saturation : float
        Saturation magnetisation M_s (A/m); the default is CoFeB.
    dissipation : float
        D/G (1).
    form : {"law", "as_printed"}
        The law of Iwasaki et al., or what Li et al. print.

    Returns
    -------
    float
        m**3/C, the magnitude: positive drive moves the skyrmion towards the read head.

    Raises
    ------
    DeviceError
        A parameter is no number or far from any material, or the form is unknown.
    """
    ranges: dict[str, tuple[float, float, float]] = {
        "alpha": (alpha, 1e-6, 10),
        "beta": (beta, 0, 10),
        "polarisation": (polarisation, 1e-6, 1),
        "saturation": (saturation, 1, 1e8),
        "dissipation": (dissipation, 1e-3, 1e3),
    }
    wrong = [f"{name}={v!r}" for name, (v, least, most) in ranges.items() if not (is_real(v) and least <= v <= most)]
    if wrong or form not in ("law", "as_printed"):
        raise DeviceError(
            "Material parameters are impossible.",
            given=", ".join(wrong) or f"form={form!r}",
            expected=", ".join(f"{name} {least:g} to {most:g}" for name, (_, least, most) in ranges.items())
            + ", form 'law' or 'as_printed'",
            repair="drive_coefficient(alpha=0.04, beta=0.04, polarisation=0.57, saturation=1.1e6)",
        )
    drift = polarisation * BOHR_MAGNETON / (constants.e * saturation)
    return abs(mobility(alpha, beta, dissipation, form)) * drift


def drive_velocity(current_density: ArrayLike, coefficient: float) -> NDArray[np.float64]:
    """Drift velocity (m/s, the same number in nm/ns) of a current density (A/m**2): ``v = theta j``.

    Raises
    ------
    DeviceError
        A current density is not finite, or the coefficient is none.
    """
    theta = numbers("coefficient", coefficient, 0.0, 1.0, repair="drive_coefficient()")
    return theta * numbers("current density", current_density, -1e18, 1e18, repair="A/m**2: j=1e11")
