"""Signals at zero mean and deviation one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import DataError
from eventsim.training.splits import Samples


def standardised(name: str, x: NDArray[np.float32], train: Samples) -> NDArray[np.float32]:
    """Signals less the mean of their channel over the training samples, divided by its deviation there.

    Parameters
    ----------
    name : str
        Of the data set.
    x : array of float32, shape (samples, ticks, channels)
    train : array of int64

    Returns
    -------
    array of float32, shape (samples, ticks * channels)
    """
    known = x[train].reshape(-1, x.shape[2]).astype(np.float64)
    mean, deviation = known.mean(0), known.std(0)
    if not (np.isfinite(deviation) & (deviation > 0)).all():
        raise DataError(
            f"The signals of {name} cannot be standardised.",
            given=f"channels with deviations {deviation.tolist()} over {len(train)} training samples",
            expected="finite values that are not all the same",
            repair="take more training samples, or fetch the files again",
        )
    standard: NDArray[np.float32] = (x - mean.astype(np.float32)) / deviation.astype(np.float32)
    return standard.reshape(len(x), -1)
