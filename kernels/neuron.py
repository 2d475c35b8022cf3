"""Neurons of every model behind one door: what the engine, the trainer and the device classes step.

A tick of a population: each neuron starts from its position after the last reset, is stepped exactly under the drive of
the tick, and fires where it reached its threshold; :func:`left_by` is where it goes on from.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels._intrinsic import bits, lowest
from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import cut, nan_of_16
from eventsim.kernels.models import (
    leaky_passage,
    leaky_step,
    oscillator_passage,
    oscillator_slopes,
    oscillator_step,
    poisson_probability,
    switching_probability,
    taper_passage,
    taper_slopes,
    taper_step,
    telegraph_probability,
    wall_passage,
    wall_slopes,
    wall_step,
)
from eventsim.kernels.riccati import (
    far_slopes,
    far_step,
    near_limit,
    near_slopes,
    near_step,
    riccati_passage,
    riccati_slopes,
    riccati_step,
)
from eventsim.kernels.rng import block, unit

SKYRMION, LEAKY, WALL, TAPER, OSCILLATOR, SWITCHING, TELEGRAPH, POISSON = range(8)
"""Models. Up to OSCILLATOR the state moves and fires at a threshold, from SWITCHING on a draw decides."""


SOFT_CUT = 2.0**-10
"""A soft reset goes at least this share of the way from threshold to reset below the threshold."""


class DeviceArrays(NamedTuple):
    """Neurons as arrays of one float type, shape (n,): what a tick needs to know of each device.

    Positions are in the unit of the model: k1/dt of the device for the skyrmion, nm for the others.
    """

    a: NDArray[np.floating]
    """Constant of the model; for the skyrmion h = -k2/2 dt/k1."""
    b: NDArray[np.floating]
    """Second constant of the model; none for the skyrmion."""
    gain: NDArray[np.floating]
    """What one unit of drive adds to the right-hand side of the model's equation in a tick."""
    threshold: NDArray[np.floating]
    """Position of the read head."""
    reset: NDArray[np.floating]
    """Position after a spike."""


class Model(NamedTuple):
    """What all neurons of a population share."""

    kind: int
    """One of SKYRMION ... POISSON."""
    soft: bool
    """Reset by subtraction of the distance from reset to threshold."""
    hold: int
    """Refractory ticks after a spike, in which the neuron neither integrates nor fires."""


class Key(NamedTuple):
    """Where the random numbers of a tick come from, all uint64; read by stochastic models only."""

    seed: np.uint64
    stream: np.uint64
    counter: np.uint64
    first: np.uint64
    """Number of the first neuron of the row."""


@jit
def device_row(devices, first, last):
    """Devices ``first .. last - 1``, as views."""
    return DeviceArrays(
        cut(devices.a, first, last),
        cut(devices.b, first, last),
        cut(devices.gain, first, last),
        cut(devices.threshold, first, last),
        cut(devices.reset, first, last),
    )


@inline
def below(x, threshold, reset):
    """``x``, but by a share of the way from threshold to reset below the threshold: what must not fire."""
    return min(x, threshold - (threshold - reset) * type(x)(SOFT_CUT))


@inline
def after_reset(reached, threshold, reset, soft, cut):
    """Position that a neuron goes on from: reset where it reached the threshold; ``cut`` for models that run away.

    A soft reset subtracts the way from reset to threshold; what a run-away leaves is cut just below the threshold.
    """
    left = reached - (threshold - reset) if soft else reset
    if soft and cut:
        left = below(left, threshold, reset)
    return left if reached >= threshold else reached


@jit
def skyrmion_sweep(x, drive, devices, reached):
    """:func:`riccati_step` for a row of devices, arranged so that it vectorises; arguments as for :func:`tick`.

    The steps that the quotient does not serve, few and far between, are marked by NaN and done one by one.
    """
    f = type(x[0])
    zero, inf, nan = f(0.0), f(math.inf), f(math.nan)
    largest = bits(zero)
    for j in range(x.size):
        y, den, d = near_step(x[j], devices.gain[j] * drive[j], devices.a[j])
        y = y if den > zero else inf
        reached[j] = y if abs(d) <= near_limit(d) else nan
        largest = max(largest, bits(abs(d)))
    if largest <= bits(near_limit(zero)):
        return
    whole = x.size & ~15
    for first in range(0, whole, 16):
        found = nan_of_16(reached, first)
        while found:
            _far(x, drive, devices, first + lowest(found), reached)
            found &= found - np.uint64(1)
    for j in range(whole, x.size):
        if math.isnan(reached[j]):
            _far(x, drive, devices, j, reached)


@inline
def _far(x, drive, devices, j, reached):
    """The step of device j, which is a long one."""
    h, q = devices.a[j], devices.gain[j] * drive[j]
    _, _, d = near_step(x[j], q, h)
    reached[j] = far_step(x[j], q, h, d)


@jit
def leaky_sweep(x, drive, devices, reached):
    """:func:`leaky_step` for a row of devices; arguments as for :func:`tick`."""
    for j in range(x.size):
        reached[j] = leaky_step(x[j], drive[j], devices.a[j], devices.gain[j])


@jit
def flow(kind, x, drive, a, b, gain, reset):
    """Position one tick later, of the models that move; ``reset`` is the thermal level of the oscillator."""
    if kind == SKYRMION:
        return riccati_step(x, gain * drive, a)
    if kind == LEAKY:
        return leaky_step(x, drive, a, gain)
    if kind == WALL:
        return wall_step(x, drive, a, gain)
    if kind == TAPER:
        return taper_step(x, drive, a, b, gain)
    return oscillator_step(max(x, reset), drive, a, b, gain, reset)


@jit
def slopes(kind, x, drive, a, b, gain, reset):
    """Derivatives of :func:`flow` by the position and by the drive."""
    if kind == SKYRMION:
        by_start, by_q = riccati_slopes(x, gain * drive, a)
        return by_start, gain * by_q
    if kind == LEAKY:
        return a, gain
    if kind == WALL:
        return wall_slopes(x, drive, a, gain)
    if kind == TAPER:
        return taper_slopes(x, drive, a, b, gain)
    by_start, by_drive = oscillator_slopes(max(x, reset), drive, a, b, gain, reset)
    return (by_start if x >= reset else type(x)(0.0)), by_drive


@jit
def _skyrmion_slopes(x, drive, devices, by_start, by_drive):
    """:func:`slopes_sweep` of the skyrmion: the few long steps are marked by NaN and done one by one."""
    zero, nan = type(x[0])(0.0), type(x[0])(math.nan)
    largest = bits(zero)
    for j in range(x.size):
        start, push, d = near_slopes(x[j], devices.gain[j] * drive[j], devices.a[j])
        by_start[j] = start if abs(d) <= near_limit(d) else nan
        by_drive[j] = devices.gain[j] * push
        largest = max(largest, bits(abs(d)))
    if largest <= bits(near_limit(zero)):
        return
    for j in range(x.size):
        if math.isnan(by_start[j]):
            h, q = devices.a[j], devices.gain[j] * drive[j]
            _, _, d = near_step(x[j], q, h)
            start, push = far_slopes(x[j], q, h, d)
            by_start[j], by_drive[j] = start, devices.gain[j] * push


@jit
def slopes_sweep(kind, x, drive, devices, by_start, by_drive):
    """:func:`slopes` for a row of devices: writes the derivatives of their step by position and by drive."""
    if kind == SKYRMION:
        _skyrmion_slopes(x, drive, devices, by_start, by_drive)
    elif kind == LEAKY:
        for j in range(x.size):
            by_start[j], by_drive[j] = devices.a[j], devices.gain[j]
    else:
        for j in range(x.size):
            by_start[j], by_drive[j] = slopes(
                kind, x[j], drive[j], devices.a[j], devices.b[j], devices.gain[j], devices.reset[j]
            )


@jit
def passage(kind, x, drive, a, b, gain, reset, threshold):
    """First passage of the models that move (ticks)."""
    if kind == SKYRMION:
        return riccati_passage(x, gain * drive, a, threshold)
    if kind == LEAKY:
        return leaky_passage(x, drive, b, gain, threshold)
    if kind == WALL:
        return wall_passage(x, drive, a, gain, threshold)
    if kind == TAPER:
        return taper_passage(x, drive, a, b, gain, threshold)
    return oscillator_passage(max(x, reset), drive, a, b, gain, threshold)


@jit
def probability(kind, x, drive, a, b, gain, threshold):
    """Probability that a stochastic model is found switched at the end of a tick, and its slope by the drive."""
    if kind == SWITCHING:
        return switching_probability(drive, a, b, gain)
    if kind == TELEGRAPH:
        return telegraph_probability(x, drive, a, b, gain)
    return poisson_probability(drive, a, b, gain, threshold)


@jit
def _draw_sweep(kind, x, drive, devices, key, reached):
    """Stochastic models: 1 and, where the state does not outlive the tick, infinity for a spike."""
    f = type(x[0])
    for j in range(x.size):
        p, _ = probability(kind, x[j], drive[j], devices.a[j], devices.b[j], devices.gain[j], devices.threshold[j])
        word, more, _, _ = block(key.seed, key.stream, key.first + np.uint64(j), key.counter)
        spike = unit(word, more) < p
        reached[j] = (f(1.0) if kind == TELEGRAPH else f(math.inf)) if spike else f(0.0)


@jit
def tick(model, x, wait, drive, devices, key, reached):
    """One tick of a row of neurons, without its reset.

    Parameters
    ----------
    model : Model
    x : float array, shape (n,)
        Positions at the end of the last tick, after reset.
    wait : int32 array, shape (n,)
        Refractory ticks that are left; updated, and not read where the model has none.
    drive : float array, shape (n,)
        Dimensionless drive of the tick.
    devices : DeviceArrays, n of them
    key : Key
    reached : float array, shape (n,)
        Written: positions at the end of the tick, before reset; a neuron fired where ``reached >= threshold``.
    """
    if model.kind == SKYRMION:
        skyrmion_sweep(x, drive, devices, reached)
    elif model.kind == LEAKY:
        leaky_sweep(x, drive, devices, reached)
    elif model.kind < SWITCHING:
        for j in range(x.size):
            reached[j] = flow(model.kind, x[j], drive[j], devices.a[j], devices.b[j], devices.gain[j], devices.reset[j])
    else:
        _draw_sweep(model.kind, x, drive, devices, key, reached)
    if model.hold:
        for j in range(x.size):
            if wait[j] > 0:
                wait[j] -= np.int32(1)
                reached[j] = below(x[j], devices.threshold[j], devices.reset[j])
            elif reached[j] >= devices.threshold[j]:
                wait[j] = np.int32(model.hold)


@jit
def left_by(model, reached, threshold, reset):
    """Position that a neuron goes on from; a superparamagnetic one stays in the state that it was found in."""
    if model.kind == TELEGRAPH:
        return reached
    return after_reset(reached, threshold, reset, model.soft, model.kind == SKYRMION)


@inline
def readout_tick(x, drive):
    """One tick of a readout column: it integrates its current, without leak, threshold or reset."""
    return x + drive


@jit
def respond(model, x, wait, drive, devices, key, reached):
    """Run neurons, each under a drive of its own, tick by tick.

    Parameters
    ----------
    x, wait : float and int32 arrays, shape (n,)
        State: position after reset, and refractory ticks that are left; both updated.
    drive : float array, shape (ticks, n)
    key : Key
        Of the first tick; the counter goes up by one with each.
    reached : float array, shape (ticks, n)
        Written: positions before reset.
    """
    for t in range(drive.shape[0]):
        now = Key(key.seed, key.stream, key.counter + np.uint64(t), key.first)
        tick(model, x, wait, drive[t], devices, now, reached[t])
        for j in range(x.size):
            x[j] = left_by(model, reached[t, j], devices.threshold[j], devices.reset[j])


@jit
def flow_of(kind, x, drive, a, b, gain, reset, out):
    """:func:`flow` over arrays of one shape (n,); ``out`` is written."""
    for i in range(x.size):
        out[i] = flow(kind, x[i], drive[i], a[i], b[i], gain[i], reset[i])


@jit
def slopes_of(kind, x, drive, a, b, gain, reset, out):
    """:func:`slopes` over arrays of one shape (n,); ``out``, shape (2, n), is written."""
    for i in range(x.size):
        out[0, i], out[1, i] = slopes(kind, x[i], drive[i], a[i], b[i], gain[i], reset[i])


@jit
def passage_of(kind, x, drive, a, b, gain, reset, threshold, out):
    """:func:`passage` over arrays of one shape (n,); ``out`` is written."""
    for i in range(x.size):
        out[i] = passage(kind, x[i], drive[i], a[i], b[i], gain[i], reset[i], threshold[i])


@jit
def probability_of(kind, x, drive, a, b, gain, threshold, out):
    """:func:`probability` over arrays of one shape (n,); ``out``, shape (2, n), is written."""
    for i in range(x.size):
        out[0, i], out[1, i] = probability(kind, x[i], drive[i], a[i], b[i], gain[i], threshold[i])
