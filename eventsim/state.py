"""Where the samples of a run stand between two ticks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim.checks import is_whole
from eventsim.errors import NetworkError
from eventsim.kernels import frozen
from eventsim.kernels.cycle import GROUP
from eventsim.kernels.lazy import NEVER, WHEEL
from eventsim.kernels.neuron import OSCILLATOR, DeviceArrays
from eventsim.kernels.sweep import STRIP
from eventsim.kernels.team import SYNC

KEPT = ("x", "wait", "last", "waiting", "activity", "fired", "n_fired")
"""Arrays of the engine that all others follow from."""

LATEST = 2**62
"""Ticks that a state may have behind it stay below it."""

_BUSIEST = 2**53
"""No memory holds as many synapses as would load a block that much."""

_LINE = 64

_MOST_ON_THEIR_WAY = 2**31
"""Places of spikes that wait for their delay, 4 bytes each."""

_REPAIR = "simulate(..., record=Record(state=True)).state of the run that is to be continued"


@dataclass(frozen=True, eq=False)
class NetworkState:
    """State of a network in every sample: what a run is continued from, bit for bit.

    Parameters
    ----------
    tick : int
        Ticks since the samples were at rest; keys the random numbers.
    arrays : mapping of str to array, first axis the sample
        As the engine keeps them: positions ``x`` in kernel units, refractory ticks ``wait``, spikes that are on their
        way in ``fired``, and when each neuron was last brought up to date in ``last``.
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
    some, ring = bool(net.blocks["waits"].any()), int((slots * net.populations["size"]).sum())
    if ring > _MOST_ON_THEIR_WAY:
        late, many = int(slots.max()) - 1, int(net.populations["size"][slots.argmax()])
        raise NetworkError(
            "The spikes on their way need too much room.",
            given=f"{ring:,} places: delays up to {late} ticks from {many:,} neurons, of which all might fire in each",
            expected=f"at most {_MOST_ON_THEIR_WAY:,}, which are 8 GiB for each sample that is run at a time",
            repair="shorter delays, or those neurons that have long ones in a population of their own",
        )
    return frozen.State(
        x=np.zeros(n, net.rest.dtype),
        wait=np.zeros(n, np.int32),
        lone=_on_lines(n if some else 0, frozen.lone_type(net.rest.dtype)),
        waiting=np.zeros(n if some else 0, frozen.WAITING),
        activity=np.zeros(blocks, frozen.ACTIVITY),
        fired=np.zeros(ring, np.int32),
        n_fired=np.zeros((int(slots.max()), blocks), np.int64),
        wheel=np.zeros((blocks if some else 1, WHEEL), np.int64),
        sync=np.zeros(SYNC, np.int64),
    )


def _on_lines(n: int, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Zeros that begin with a line of memory."""
    room = np.zeros(n * dtype.itemsize + _LINE, np.uint8)
    skip = -room.ctypes.data % _LINE
    return room[skip : skip + n * dtype.itemsize].view(dtype)


def scratch(net: frozen.Frozen) -> frozen.Scratch:
    """Room for a thread to work in."""
    size, dtype = int((net.blocks["last"] - net.blocks["first"]).max()), net.rest.dtype
    return frozen.Scratch(
        total=np.zeros(size, dtype),
        drive=np.zeros(size, dtype),
        marks=np.zeros(size + 64, np.uint8),
        touched=np.empty(size + 3, np.int32),
        reached=np.empty(size, dtype),
        x=np.empty(STRIP, dtype),
        wait=np.empty(STRIP, np.int32),
        ticks=np.empty(STRIP, dtype),
        push=np.empty(size, dtype),
        devices=DeviceArrays(*(np.empty(STRIP, dtype) for _ in DeviceArrays._fields)),
        factor=np.empty(STRIP, np.float32),
        words=np.empty(STRIP + 2 * GROUP, np.uint32),
    )


def many(net: frozen.Frozen, samples: int) -> dict[str, NDArray[np.generic]]:
    """Room for the states of some samples."""
    one = blank(net)
    return {name: np.zeros((samples, *array.shape), array.dtype) for name, array in kept(one).items()}


def kept(state: frozen.State) -> dict[str, NDArray[np.generic]]:
    """The arrays of one sample that all others follow from."""
    return {name: state.lone["last"] if name == "last" else getattr(state, name) for name in KEPT}


def fill(state: frozen.State, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Copy what :func:`kept` gave into the arrays of the engine."""
    for name, array in kept(state).items():
        array[...] = arrays[name]


def load(state: frozen.State, arrays: Mapping[str, NDArray[np.generic]], sample: int) -> None:
    """Copy the state of a sample into the arrays of the engine."""
    fill(state, {name: arrays[name][sample] for name in KEPT})


def save(state: frozen.State, arrays: Mapping[str, NDArray[np.generic]], sample: int) -> None:
    """Copy the arrays of the engine into the state of a sample."""
    for name, array in kept(state).items():
        arrays[name][sample] = array


def check(net: frozen.Frozen, state: NetworkState, samples: int) -> None:
    """Refuse a state of another network, precision or number of samples, and values that no run leaves.

    Compiled code takes some of them for places in memory, unseen.
    """
    if not isinstance(state, NetworkState):
        repair = "simulate(..., record=Record(state=True)).state"
        raise NetworkError("The state is none.", given=type(state).__name__, expected="a NetworkState", repair=repair)
    wanted = {name: (room.shape, room.dtype) for name, room in many(net, samples).items()}
    found = {name: (np.shape(array), np.asarray(array).dtype) for name, array in state.arrays.items()}
    whole = is_whole(state.tick) and 0 <= state.tick < LATEST
    if found != wanted or not whole:
        at = next((name for name in wanted if found.get(name) != wanted[name]), "tick")
        raise NetworkError(
            "The state does not fit the run.",
            given=f"{at}: {found.get(at, state.tick)}",
            expected=f"{wanted.get(at, 'a whole number')}: the same network, precision and number of samples",
            repair=_REPAIR,
        )
    arrays = {name: np.asarray(array) for name, array in state.arrays.items()}
    _check_neurons(net, arrays)
    _check_waiting(net, arrays, int(state.tick))
    _check_spikes(net, arrays)


def _within(
    name: str,
    values: NDArray[Any],
    least: ArrayLike,
    most: ArrayLike,
    meaning: str,
    read: NDArray[np.bool_] | np.bool_ = np.True_,
) -> None:
    """Refuse values outside a range, NaN among them, where they are ``read``."""
    good = (values >= least) & (values <= most)
    if good.all() or (good | ~read).all():
        return
    at = tuple(i[0] for i in (~good & read).nonzero())
    low, high = (np.broadcast_to(limit, values.shape)[at] for limit in (least, most))
    some = values[np.broadcast_to(read, values.shape)]
    raise NetworkError(
        "The state holds values that no run leaves.",
        given=f"{name} from {some.min()} to {some.max()}, with {values[at]} in one place",
        expected=f"{low} to {high} there: {meaning}",
        repair=_REPAIR,
    )


def _check_neurons(net: frozen.Frozen, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse positions that are not finite, and refractory ticks that are too many.

    A soft reset leaves an oscillator that ran away where it is.
    """
    populations, largest = net.populations, np.finfo(net.rest.dtype).max
    runs_away = (populations["kind"] == OSCILLATOR) & (populations["soft"] != 0)
    read, hold = (np.repeat(of, populations["size"]) for of in (~runs_away, populations["hold"]))
    _within("x", arrays["x"], -largest, largest, "a finite position of each neuron in each sample", read)
    _within("wait", arrays["wait"], 0, hold, "the refractory ticks of the population")


def _check_waiting(net: frozen.Frozen, arrays: Mapping[str, NDArray[Any]], tick: int) -> None:
    """Refuse neurons that were left alone since ever, or that should have fired; of blocks that are swept none is read.

    The lists of who is due are made anew, so that neighbours on them are not read either.
    """
    swept = arrays["activity"]["swept"]
    _within("activity['swept']", swept, 0, 1, "whether the block is swept")
    _within("activity['load']", arrays["activity"]["load"], 0, _BUSIEST, "a running sum of arrivals")
    alone = (net.blocks["waits"] != 0) & (swept == 0)
    if not alone.any():
        return
    read = np.repeat(alone, net.blocks["last"] - net.blocks["first"], axis=1)
    last, due = arrays["last"], arrays["waiting"]["due"]
    _within("last", last, -1, tick - 1, "a tick before that of the state", read)
    late = "a tick from that of the state on, or NEVER"
    _within("waiting['due']", due, tick, np.iinfo(np.int64).max, late, read & (due != NEVER))


def _check_spikes(net: frozen.Frozen, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse spikes of neurons that are not there; what stands behind the last one of a list is not read."""
    blocks, fired, number = net.blocks, arrays["fired"], arrays["n_fired"]
    size, slot = blocks["last"] - blocks["first"], np.arange(number.shape[1])[:, None]
    of = np.repeat(net.populations, net.populations["blocks"])
    most = np.where(slot < of["slots"], size, 0)
    _within("n_fired", number, 0, most, "neurons of the block, none where its population keeps no spikes")
    first = blocks["first"] - of["start"]
    sample, slot, block = number.nonzero()
    count = number[sample, slot, block]
    ends = np.cumsum(count)
    place = sample * fired.shape[1] + of["ring"][block] + slot * of["size"][block] + first[block] - (ends - count)
    spikes = fired.reshape(-1)[np.repeat(place, count) + np.arange(count.sum())]
    low, high = np.append(0, spikes)[:-1] + 1, np.repeat((first + size)[block], count) - 1
    low[ends - count] = first[block]
    _within("fired", spikes, low, high, "neurons of the block in ascending order, counted within its population")
