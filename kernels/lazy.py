"""Neurons that are left alone until something reaches them: motion over many ticks at once, and who fires by itself.

A neuron that nothing reached moves under its constant bias; where it stands n ticks later is one evaluation of the
closed form, and so is the tick in which it would fire by itself. Those ticks are kept on a wheel: a list of neurons for
each tick modulo :data:`WHEEL`, each neuron on one list at most.
"""

from __future__ import annotations

import math

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels._memory import fetch
from eventsim.kernels.frozen import model_of
from eventsim.kernels.neuron import LEAKY, SKYRMION, below, flow, left_by, passage
from eventsim.kernels.riccati import riccati_step
from eventsim.kernels.synapse import lower_bound

WHEEL = 256
"""Lists of a wheel."""

NEVER = -1

_AHEAD = 12
"""Neurons that are asked for before they are needed: each one is somewhere in memory."""

_RELATIVE, _ABSOLUTE = 2.0**-8, 2.0**-5
"""A neuron is looked at that much before it should fire: rounding must not make it late, and early costs one look."""


def can_wait(kind: int) -> bool:
    """Whether neurons of a model have a closed form for many ticks here."""
    return kind in (SKYRMION, LEAKY)


@jit
def advance(kind, x, ticks, drive, a, b, gain):
    """Position after a number of ticks of constant drive; for the skyrmion by its scaling law x(n t) = X(t)/n."""
    f = type(x)
    n = f(ticks)
    if kind == SKYRMION:
        return riccati_step(n * x, n * n * gain * drive, n * a) / n
    push = n if b == f(0.0) else math.expm1(-b * n) / math.expm1(-b)
    return x * math.exp(-b * n) + gain * drive * push


@jit
def idle(model, x, wait, ticks, drive, a, b, gain, threshold, reset):
    """Position and refractory ticks of a neuron after ticks in which nothing but its bias drove it."""
    held = min(ticks, np.int64(wait))
    if held > 0:
        x = below(x, threshold, reset)
    if ticks > held:
        x = advance(model.kind, x, ticks - held, drive, a, b, gain)
    return x, np.int32(wait - held)


@jit
def _idle(model, row, j, ticks):
    """:func:`idle` of neuron j of a block."""
    d, wait = row.devices, row.wait[j] if model.hold else np.int32(0)
    return idle(model, row.x[j], wait, ticks, row.bias[j], d.a[j], d.b[j], d.gain[j], d.threshold[j], d.reset[j])


@jit
def catch_up(model, row, now):
    """Bring all neurons of a row to the end of tick ``now``."""
    for j in range(row.x.size):
        x, wait = _idle(model, row, j, now - row.waiting[j].last)
        row.x[j], row.wait[j], row.waiting[j].last = x, wait, now


@jit
def next_firing(model, row, j, now):
    """The tick after ``now`` in which neuron j is to be looked at because it may fire by itself, or NEVER."""
    d, f = row.devices, type(row.x[j])
    ticks = passage(model.kind, row.x[j], row.bias[j], d.a[j], d.b[j], d.gain[j], d.reset[j], d.threshold[j])
    early = ticks * f(1 - _RELATIVE) - f(_ABSOLUTE)
    if not early < f(2.0**30):
        return np.int64(NEVER)
    return now + row.wait[j] + 1 + (np.int64(early) if early > f(0.0) else 0)


@jit
def unlink(row, j):
    """Take neuron j off its list."""
    if row.waiting[j].due == NEVER:
        return
    after, ahead = row.waiting[j].after, row.waiting[j].ahead
    if ahead < 0:
        row.wheel[row.waiting[j].due % WHEEL] = after
    else:
        row.waiting[ahead].after = after
    if after >= 0:
        row.waiting[after].ahead = ahead
    row.waiting[j].due = NEVER


@jit
def link(row, j, tick):
    """Put neuron j, which is on no list, on the one of ``tick``."""
    row.waiting[j].due = tick
    if tick == NEVER:
        return
    head = row.wheel[tick % WHEEL]
    row.waiting[j].after, row.waiting[j].ahead = head, -1
    if head >= 0:
        row.waiting[head].ahead = j
    row.wheel[tick % WHEEL] = j


@jit
def look_ahead(model, row, j, now):
    """Put neuron j, brought to the end of tick ``now``, on the list of the tick in which it may fire by itself."""
    unlink(row, j)
    if row.restless[j] or row.x[j] >= row.devices.threshold[j]:
        link(row, j, next_firing(model, row, j, now))


@jit
def settle(pop, row, now):
    """Make ready to be left alone: all neurons stand at the end of tick ``now``."""
    for i in range(WHEEL):
        row.wheel[i] = -1
    for j in range(row.x.size):
        row.waiting[j].due = NEVER
        row.waiting[j].last = now
        if pop.restless:
            look_ahead(model_of(pop), row, j, now)


@jit
def relink(row):
    """Make the wheel from the ticks that are due."""
    for i in range(WHEEL):
        row.wheel[i] = -1
    for j in range(row.waiting.size):
        link(row, j, row.waiting[j].due)


@jit
def mark_due(row, now, marks):
    """Mark the neurons whose tick is ``now``; returns whether there are any."""
    j, some = row.wheel[now % WHEEL], False
    while j >= 0:
        if row.waiting[j].due == now:
            marks[j], some = 1, True
        j = row.waiting[j].after
    return some


@jit
def _fetch(x, waiting, bias, d, j):
    """Ask for what is known of neuron j, which stands in as many places as there are arrays."""
    fetch(x, j)
    fetch(waiting, j)
    fetch(bias, j)
    fetch(d.a, j)
    fetch(d.b, j)
    fetch(d.gain, j)
    fetch(d.threshold, j)
    fetch(d.reset, j)


@jit
def step_touched(pop, row, first, now, touched, drive, reached, out):
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
    drive : float array, shape (neurons of the block,)
        Without bias.
    reached : float array, shape (at least n,)
        Written: positions before reset, in the order of ``touched``.
    out : int32 array
        Written: who fired, ascending.

    Returns
    -------
    int
        How many fired.
    """
    model, d, fired, wait = model_of(pop), row.devices, 0, np.int32(0)
    x, waiting, bias, held = row.x, row.waiting, row.bias, row.wait
    for i in range(min(_AHEAD, touched.size)):
        _fetch(x, waiting, bias, d, touched[i])
    for i in range(touched.size):
        if i + _AHEAD < touched.size:
            _fetch(x, waiting, bias, d, touched[i + _AHEAD])
        j = np.int64(touched[i])
        a, b, gain, threshold, reset = d.a[j], d.b[j], d.gain[j], d.threshold[j], d.reset[j]
        if model.hold:
            wait = held[j]
        before, wait = idle(model, x[j], wait, now - 1 - waiting[j].last, bias[j], a, b, gain, threshold, reset)
        if wait > 0:
            y, wait = below(before, threshold, reset), wait - np.int32(1)
        else:
            y = flow(model.kind, before, drive[j] + bias[j], a, b, gain, reset)
            if y >= threshold:
                out[fired] = first + j
                fired += 1
                wait = np.int32(model.hold)
        reached[i], x[j], waiting[j].last = y, left_by(model, y, threshold, reset), now
        if model.hold:
            held[j] = wait
        if pop.restless:
            look_ahead(model, row, j, now)
    return fired


@jit
def watch_touched(model, row, first, now, touched, drive, reached, probes, watch, end, frame):
    """Write down drive and membrane of the watched neurons of a block, those that were left alone too."""
    for w in range(watch, end):
        j = probes.neuron[w] - first
        i = lower_bound(touched, j)
        if i < touched.size and touched[i] == j:
            probes.drive[frame, w], probes.membrane[frame, w] = drive[j] + row.bias[j], reached[i]
        else:
            probes.drive[frame, w] = row.bias[j]
            probes.membrane[frame, w], _ = _idle(model, row, j, now - row.waiting[j].last)
