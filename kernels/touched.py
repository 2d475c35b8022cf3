"""One tick of the neurons of a block that something reached: gathered, stepped side by side, and put back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut, fetch
from eventsim.kernels.collect import list_spikes
from eventsim.kernels.frozen import model_of
from eventsim.kernels.lazy import idle_until, look_ahead, rest_sweep
from eventsim.kernels.neuron import LEAKY, DeviceArrays, Key, below, device_row, left_by, tick
from eventsim.kernels.synapse import lower_bound

_STRIP = 1024
"""Neurons that are gathered in one go: they and the lines that they came from stay in a near cache."""

_AHEAD = 32
"""Neurons that are asked for before they are needed: each one is somewhere in memory."""


class _Strip(NamedTuple):
    """Neurons side by side."""

    x: NDArray[np.floating]
    wait: NDArray[np.int32]
    ticks: NDArray[np.floating]
    """In which only its bias drove a neuron."""
    drive: NDArray[np.floating]
    devices: DeviceArrays
    """``b`` of leaky neurons only, ``reset`` where refractory neurons are held by it."""


@jit
def _strip(room, begin, end):
    """Room for the touched neurons ``begin .. end - 1``."""
    n = end - begin
    devices = device_row(room.devices, 0, n)
    return _Strip(cut(room.x, 0, n), cut(room.wait, 0, n), cut(room.ticks, 0, n), cut(room.push, begin, end), devices)


@jit
def _gather(lone, some, before, drive, strip):
    """Copy neurons as something left them, and for how many ticks until ``before`` nothing reached them since."""
    f, x, ticks, push, d = type(drive[0]), strip.x, strip.ticks, strip.drive, strip.devices
    for i in range(some.size):
        if i + _AHEAD < some.size:
            fetch(lone, np.int64(some[i + _AHEAD]))
        j = np.uint64(some[i])
        x[i], ticks[i], push[i] = lone[j].x, f(before - lone[j].last), drive[j]
        d.a[i], d.gain[i], d.threshold[i] = lone[j].a, lone[j].gain, lone[j].threshold
        drive[j] = 0


@jit
def _bring_up(model, biased, row, some, now, strip):
    """Bring gathered neurons to the end of the tick before ``now``."""
    if model.kind == LEAKY:
        for i in range(some.size):
            strip.devices.b[i] = row.lone[some[i]].b
    if model.hold:
        for i in range(some.size):
            j = np.int64(some[i])
            strip.devices.reset[i], ticks = row.lone[j].reset, now - 1 - row.lone[j].last
            held = min(ticks, np.int64(row.wait[j]))
            if held > 0:
                strip.x[i] = below(strip.x[i], strip.devices.threshold[i], strip.devices.reset[i])
            strip.ticks[i], strip.wait[i] = ticks - held, row.wait[j] - held
    rest_sweep(model.kind, strip.x, strip.ticks, strip.devices)
    if biased:
        for i in range(some.size):
            j = np.int64(some[i])
            if row.bias[j] != 0:
                strip.x[i], strip.wait[i] = idle_until(model, row, j, now - 1)
                strip.drive[i] += row.bias[j]


@jit
def _scatter(model, row, first, some, now, strip, reached, out, fired):
    """Put neurons back and list those that fired behind ``out[:fired]``; returns how many there are then."""
    lone = row.lone
    for i in range(some.size):
        j = np.uint64(some[i])
        lone[j].x, lone[j].last = reached[i], now
    if model.hold:
        for i in range(some.size):
            row.wait[some[i]] = strip.wait[i]
    count = list_spikes(reached, strip.devices.threshold, 0, out, fired)
    for k in range(fired, count):
        i = out[k]
        j = np.int64(some[i])
        lone[j].x = left_by(model, reached[i], strip.devices.threshold[i], lone[j].reset)
        out[k] = first + j
    return count


@jit
def step_touched(pop, row, first, now, touched, room, out):
    """Bring the ``touched`` neurons of a block up to date and step them.

    Parameters
    ----------
    pop : record of POPULATION
    row : Row
    first : int
        Number of the first neuron of the block.
    now : int
        Tick.
    touched : int32 array, shape (n,)
        Ascending.
    room : Scratch
        With the drive of the block, which is zero again afterwards. Written: ``push`` and ``reached``, drive with bias
        and positions before reset, in the order of ``touched``.
    out : int32 array
        Written: who fired, ascending.

    Returns
    -------
    int
        How many fired.
    """
    model, fired, zero = model_of(pop), np.int64(0), np.uint64(0)
    for begin in range(0, touched.size, _STRIP):
        end = min(begin + _STRIP, touched.size)
        some, reached = cut(touched, begin, end), cut(room.reached, begin, end)
        strip = _strip(room, begin, end)
        _gather(row.lone, some, now - 1, room.drive, strip)
        _bring_up(model, pop.biased != 0, row, some, now, strip)
        tick(model, strip.x, strip.wait, strip.drive, strip.devices, Key(zero, zero, zero, zero), reached)
        fired = _scatter(model, row, first, some, now, strip, reached, out, fired)
    if pop.restless:
        for j in touched:
            look_ahead(model, row, np.int64(j), now)
    return fired


@jit
def watch_touched(model, row, first, now, touched, push, reached, probes, watch, end, frame):
    """Write down drive and membrane of the watched neurons of a block, those that were left alone too."""
    for w in range(watch, end):
        j = probes.neuron[w] - first
        i = lower_bound(touched, j)
        if i < touched.size and touched[i] == j:
            probes.drive[frame, w], probes.membrane[frame, w] = push[i], reached[i]
        else:
            probes.drive[frame, w] = row.bias[j]
            probes.membrane[frame, w], _ = idle_until(model, row, j, now)
