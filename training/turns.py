"""Copies of windows of motion, as a phone that sits otherwise on its wearer would have recorded them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.special import ndtri

from eventsim import keys
from eventsim.checks import count, one_number
from eventsim.errors import ConfigError
from eventsim.training.dataset import SPLIT_SEED

MOST = 100
"""Copies of a window."""


@dataclass(frozen=True)
class Turns:
    """Turned copies of windows of three-axis sensors, which share the turn.

    The rotation vector of a copy has three independent normal components; a window keeps its turn from one end to the
    other.

    Parameters
    ----------
    copies : int
        Of each window, 0 to 100.
    degrees : float
        Standard deviation of each component, 0.1 to 180.

    Raises
    ------
    ConfigError
        Values outside their range.
    """

    copies: int = 0
    degrees: float = 10.0

    def __post_init__(self) -> None:
        count("turned", self.copies, 0, MOST, kind=ConfigError)
        one_number("degrees", self.degrees, 0.1, 180, repair="degrees=10", kind=ConfigError)

    def __call__(self, x: NDArray[np.float32], copy: int) -> NDArray[np.float32]:
        """One copy of each window.

        Parameters
        ----------
        x : array of float32, shape (windows, ticks, channels)
            Channels x, y, z of each sensor side by side, in physical units.
        copy : int
            Which one.
        """
        uniform = keys.uniform(SPLIT_SEED, "turns", 3 * len(x), copy).reshape(-1, 3)
        turns = Rotation.from_rotvec(self.degrees * ndtri(uniform), degrees=True).as_matrix()
        by_sensor = x.reshape(*x.shape[:2], -1, 3)
        turned: NDArray[np.float32] = np.einsum("nij,ntsj->ntsi", turns, by_sensor).astype(np.float32)
        return turned.reshape(x.shape)
