"""Where the samples of a run stand between two ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import NetworkError
from eventsim.kernels import frozen
from eventsim.kernels.cycle import GROUP
from eventsim.kernels.lazy import WHEEL
from eventsim.kernels.sweep import STRIP
from eventsim.kernels.team import SYNC

KEPT = ("x", "wait", "waiting", "activity", "fired", "n_fired")
"""Arrays of the engine that all others follow from."""


@dataclass(frozen=True, eq=False)
class NetworkState:
    """State of a network in every sample: what a run is continued from, bit for bit.

    Parameters
    ----------
    tick : int
        Ticks since the samples were at rest; keys the random numbers.
    arrays : mapping of str to array, first axis the sample
        As the engine keeps them: positions ``x`` in kernel units, refractory ticks ``wait``, spikes that are on their
        way in ``fired``, and when each neuron was last brought up to date in ``waiting``.
    """

    tick: int
    arrays: Mapping[str, NDArray[np.generic]]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.arrays["x"])


def blank(net: frozen.Frozen) -> frozen.State:
    """Arrays for one sample of a network, to be filled by the engine."""
    n, blocks, slots = len(net.rest), len(net.blocks), net.populations["slots"]
    some = bool(net.blocks["waits"].any())
    return frozen.State(
        x=np.zeros(n, net.rest.dtype),
        wait=np.zeros(n, np.int32),
        waiting=np.zeros(n if some else 0, frozen.WAITING),
        activity=np.zeros(blocks, frozen.ACTIVITY),
        fired=np.zeros(int((slots * net.populations["size"]).sum()), np.int32),
        n_fired=np.zeros((int(slots.max()), blocks), np.int64),
        wheel=np.zeros((blocks if some else 1, WHEEL), np.int64),
        sync=np.zeros(SYNC, np.int64),
    )


def scratch(net: frozen.Frozen) -> frozen.Scratch:
    """Room for a thread to work in."""
    size, dtype = int((net.blocks["last"] - net.blocks["first"]).max()), net.rest.dtype
    return frozen.Scratch(
        total=np.zeros(size, dtype),
        drive=np.zeros(size, dtype),
        marks=np.zeros(size + 32, np.uint8),
        touched=np.empty(size, np.int32),
        reached=np.empty(size, dtype),
        gain=np.empty(STRIP, dtype),
        threshold=np.empty(STRIP, dtype),
        reset=np.empty(STRIP, dtype),
        factor=np.empty(STRIP, np.float32),
        words=np.empty(STRIP + 2 * GROUP, np.uint32),
    )


def many(net: frozen.Frozen, samples: int) -> dict[str, NDArray[np.generic]]:
    """Room for the states of some samples."""
    one = blank(net)
    return {name: np.zeros((samples, *getattr(one, name).shape), getattr(one, name).dtype) for name in KEPT}


def kept(state: frozen.State) -> dict[str, NDArray[np.generic]]:
    """The arrays of one sample that all others follow from."""
    return {name: getattr(state, name) for name in KEPT}


def fill(state: frozen.State, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Copy what :func:`kept` gave into the arrays of the engine."""
    for name in KEPT:
        getattr(state, name)[...] = arrays[name]


def load(state: frozen.State, arrays: Mapping[str, NDArray[np.generic]], sample: int) -> None:
    """Copy the state of a sample into the arrays of the engine."""
    fill(state, {name: arrays[name][sample] for name in KEPT})


def save(state: frozen.State, arrays: Mapping[str, NDArray[np.generic]], sample: int) -> None:
    """Copy the arrays of the engine into the state of a sample."""
    for name in KEPT:
        arrays[name][sample] = getattr(state, name)


def check(net: frozen.Frozen, state: NetworkState, samples: int) -> None:
    """Refuse a state of another network, precision or number of samples."""
    if not isinstance(state, NetworkState):
        repair = "simulate(..., record=Record(state=True)).state"
        raise NetworkError("The state is none.", given=type(state).__name__, expected="a NetworkState", repair=repair)
    wanted = {name: (room.shape, room.dtype) for name, room in many(net, samples).items()}
    found = {name: (np.shape(array), np.asarray(array).dtype) for name, array in state.arrays.items()}
    whole = isinstance(state.tick, int | np.integer) and not isinstance(state.tick, bool) and state.tick >= 0
    if found != wanted or not whole:
        at = next((name for name in wanted if found.get(name) != wanted[name]), "tick")
        raise NetworkError(
            "The state does not fit the run.",
            given=f"{at}: {found.get(at, state.tick)}",
            expected=f"{wanted.get(at, 'a whole number')}: the same network, precision and number of samples",
            repair="simulate(..., record=Record(state=True)).state of the run that is to be continued",
        )
