"""What a teacher said about a batch: the value that training hands to its losses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.training.signal import Array


class Taught(NamedTuple):
    """What a teacher said about a batch."""

    logits: Array
    """Shape (batch, classes), float32."""
    features: dict[str, Array] = {}  # noqa: RUF012 - never written to
    """By layer, shape (batch, ...): what the layer's activation was given."""
    spikes: NDArray[np.uint8] | None = None
    """Shape (batch, ticks, classes): output spikes of a spiking teacher."""
