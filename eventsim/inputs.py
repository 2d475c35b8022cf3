"""Events of all sources of a network, in memory or in files, stretch by stretch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsim.events import Events
from eventsim.network import Network
from eventsim.stream import EventFile


@dataclass(frozen=True)
class Inputs:
    """Events of all sources, and the numbers of samples and ticks."""

    parts: Mapping[str, Events | EventFile]
    shape: tuple[int, int]

    def until(self, first: int, last: int) -> int:
        """A frame up to which the events that are read from files fit in memory."""
        for part in self.parts.values():
            if isinstance(part, EventFile) and first < last:
                last = part.until(first, last)
        return last

    def merged(self, network: Network, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Events of a stretch of frames by frame and neuron, with the offset of each frame."""
        start = network.frozen.populations["start"]
        frames, neurons = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for name, part in self.parts.items():
            frame, address = part.between(first, last)
            frames.append(frame - first)
            neurons.append(address + start[network.index(name)])
        frame, neuron = np.concatenate(frames), np.concatenate(neurons)
        if len(self.parts) > 1:
            order = np.lexsort((neuron, frame))
            frame, neuron = frame[order], neuron[order]
        offsets = np.searchsorted(frame, np.arange(last - first + 1))
        return offsets.astype(np.int64), neuron.astype(np.int32)
