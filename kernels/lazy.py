"""Neurons that are left alone until something reaches them: motion over many ticks at once, and who fires by itself.

A neuron that nothing reached moves under its constant bias; where it stands n ticks later is one evaluation of the
closed form, and so is the tick in which it would fire by itself. Those ticks are kept on a wheel: a list of neurons for
each tick modulo :data:`WHEEL`, each neuron on one list at most.
"""

from __future__ import annotations

import math

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels.frozen import model_of
from eventsim.kernels.models import leaky_rest
from eventsim.kernels.neuron import LEAKY, SKYRMION, below, passage
from eventsim.kernels.riccati import riccati_rest, riccati_step

WHEEL = 256
"""Lists of a wheel."""

NEVER = -1

_RELATIVE, _ABSOLUTE = 2.0**-8, 2.0**-5
"""A neuron is looked at that much before it should fire: rounding must not make it late, and early costs one look."""


def can_wait(kind: int) -> bool:
    """Whether neurons of a model have a closed form for many ticks here."""
    return kind in (SKYRMION, LEAKY)


@jit
def rest_sweep(kind, x, ticks, devices):
    """Let a row of skyrmions or leaky neurons move for some ``ticks`` each, a float array, without drive."""
    if kind == SKYRMION:
        for j in range(x.size):
            x[j] = riccati_rest(x[j], ticks[j], devices.a[j])
    else:
        for j in range(x.size):
            x[j] = leaky_rest(x[j], ticks[j], devices.b[j])


@jit
def advance(kind, x, ticks, drive, a, b, gain):
    """Position of a skyrmion or leaky neuron after some ticks of constant drive; without, that of :func:`rest_sweep`.

    For the skyrmion by its scaling law x(n t) = X(t)/n.
    """
    f = type(x)
    n = f(ticks)
    if kind == SKYRMION:
        if drive == f(0.0) and a > f(0.0):
            return riccati_rest(x, n, a)
        return riccati_step(n * x, n * n * gain * drive, n * a) / n
    if drive == f(0.0):
        return leaky_rest(x, n, b)
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
def idle_until(model, row, j, now):
    """:func:`idle` of neuron j of a block until the end of tick ``now``."""
    d, wait = row.lone[j], row.wait[j] if model.hold else np.int32(0)
    return idle(model, d.x, wait, now - d.last, row.bias[j], d.a, d.b, d.gain, d.threshold, d.reset)


@jit
def catch_up(model, row, now):
    """Bring all neurons of a row to the end of tick ``now``, after which they are not left alone any more."""
    for j in range(row.x.size):
        row.x[j], row.wait[j] = idle_until(model, row, j, now)


@jit
def leave(row):
    """Leave all neurons of a row alone, as they are."""
    x, d, lone = row.x, row.devices, row.lone
    for j in range(x.size):
        lone[j].x, lone[j].a, lone[j].b, lone[j].gain = x[j], d.a[j], d.b[j], d.gain[j]
        lone[j].threshold, lone[j].reset = d.threshold[j], d.reset[j]


@jit
def show(row):
    """Write down where the neurons of a row that is left alone were when something reached them last."""
    for j in range(row.x.size):
        row.x[j] = row.lone[j].x


@jit
def next_firing(model, row, j, now):
    """The tick after ``now`` in which neuron j is to be looked at because it may fire by itself, or NEVER."""
    d, f = row.lone[j], type(row.x[j])
    ticks = passage(model.kind, d.x, row.bias[j], d.a, d.b, d.gain, d.reset, d.threshold)
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
    if row.restless[j] or row.lone[j].x >= row.lone[j].threshold:
        link(row, j, next_firing(model, row, j, now))


@jit
def settle(pop, row, now):
    """Make ready to be left alone: all neurons stand at the end of tick ``now``."""
    for i in range(WHEEL):
        row.wheel[i] = -1
    leave(row)
    for j in range(row.x.size):
        row.waiting[j].due = NEVER
        row.lone[j].last = now
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
