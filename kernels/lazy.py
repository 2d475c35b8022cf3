"""Neurons that are left alone until something reaches them: motion over many ticks at once, and who fires by itself.

A neuron that nothing reached moves under its constant bias; where it stands n ticks later is one evaluation of the
closed form, and so is the tick in which it would fire by itself. Those ticks are kept on a wheel: a list of neurons for
each tick modulo :data:`WHEEL`, each neuron on one list at most.
"""

from __future__ import annotations

import math

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels.neuron import LEAKY, SKYRMION, below, passage
from eventsim.kernels.riccati import riccati_step

WHEEL = 256
"""Lists of a wheel."""

NEVER = -1

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
def idle(model, row, j, x, wait, ticks):
    """Position and refractory ticks of neuron j, from ``x`` and ``wait``, after ticks in which nothing reached it."""
    devices, held = row.devices, min(ticks, np.int64(wait))
    if held > 0:
        x = below(x, devices.threshold[j], devices.reset[j])
    if ticks > held:
        x = advance(model.kind, x, ticks - held, row.bias[j], devices.a[j], devices.b[j], devices.gain[j])
    return x, np.int32(wait - held)


@jit
def catch_up(model, row, now):
    """Bring all neurons of a row to the end of tick ``now``."""
    for j in range(row.x.size):
        row.x[j], row.wait[j] = idle(model, row, j, row.x[j], row.wait[j], now - row.waiting[j].last)
        row.waiting[j].last = now


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
def settle(model, row, now):
    """Make ready to be left alone: all neurons stand at the end of tick ``now``."""
    for i in range(WHEEL):
        row.wheel[i] = -1
    for j in range(row.x.size):
        row.waiting[j].due = NEVER
        row.waiting[j].last = now
        look_ahead(model, row, j, now)


@jit
def relink(row):
    """Make the wheel from the ticks that are due."""
    for i in range(WHEEL):
        row.wheel[i] = -1
    for j in range(row.waiting.size):
        link(row, j, row.waiting[j].due)


@jit
def add_due(row, now, marks, touched, count):
    """List the neurons whose tick is ``now`` behind ``touched[:count]`` and mark them; returns how many are listed."""
    j = row.wheel[now % WHEEL]
    while j >= 0:
        if row.waiting[j].due == now and not marks[j]:
            marks[j] = True
            touched[count] = j
            count += 1
        j = row.waiting[j].after
    return count
