"""A spiking layer over all ticks of a batch: forward, the slope of its rate, and backpropagation through time.

The forward pass emits the spikes that the engine emits: both step their neurons by :func:`neuron.tick`. With ``u``
the position before reset, ``v`` the one after, ``sg`` the surrogate of ds/du and ``du/dI``, ``du/dv`` the derivatives
of the exact step, RateBP keeps one number per neuron, the derivative of the firing rate by a shift of the drive of all
ticks (Yu et al. 2024, "Advancing Training Efficiency of Deep Spiking Neural Networks through Rate-based
Backpropagation")::

    eps_t = du_t/dI_t + du_t/dv_(t-1) * dv_(t-1)/du * eps_(t-1),      kappa = mean_t sg_t eps_t

and BPTT carries ``dL/dv`` from the last tick to the first::

    dL/du_t = dL/ds_t sg_t + dL/dv_t dv_t/du,      dL/dI_t = dL/du_t du_t/dI_t,      dL/dv_(t-1) = dL/du_t du_t/dv_(t-1)

where ``dv/du`` is 1 - s (hard reset) or 1 (soft), less sg times the way of the reset unless that is detached. Where the
membrane of a neuron that runs away passes twice its threshold it counts as twice the threshold, with slope 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import cut, line
from eventsim.kernels.neuron import (
    OSCILLATOR,
    SKYRMION,
    Key,
    Model,
    after_reset,
    below,
    readout_tick,
    slopes_sweep,
    tick,
)
from eventsim.kernels.strip import (
    BY_DRIVE,
    BY_START,
    CARRIED,
    DESK,
    DRIVE,
    KEPT,
    REACHED,
    RESET,
    SHEET,
    SLOPE,
    SPIKE,
    START,
    STEEP,
    STRIP,
    THRESHOLD,
    X,
    devices_on,
    lay_out,
    next_strip,
    period_of,
    put_to_rest,
    row,
    spread,
)
from eventsim.kernels.surrogate import slope_sweep, smooth_sweep
from eventsim.kernels.synapse import add_drive


class Rule(NamedTuple):
    """How a spiking layer is differentiated."""

    surrogate: int
    """One of surrogate.SIGMOID ... ARCTAN."""
    sharpness: float
    detach: bool
    """Leave the reset out of the derivative."""
    smooth: bool
    """Emit the smooth spike instead of the step: gradients are then derivatives in the plain sense."""


class Layer(NamedTuple):
    """Neurons of a layer, and how their drive is made of what arrives: ``bias + scale * values``."""

    model: Model
    devices: NamedTuple
    rest: np.ndarray
    """Position before the first tick, shape (n,)."""
    scale: np.ndarray
    """Shape (1 or ticks, 1 or channels): the same for every pixel, whose channels lie side by side."""
    bias: np.ndarray
    """Likewise."""


@jit
def _reach(model, own, scale, bias, desk, wait):
    """Where the drive of a tick, of values ``own``, brings the neurons."""
    size = own.size
    drive, x, start = row(desk, DRIVE, size), row(desk, X, size), row(desk, START, size)
    for j in range(size):
        drive[j] = add_drive(bias[j], scale[j], own[j])
        start[j] = x[j]
    none = np.uint64(0)
    reached = row(desk, REACHED, size)
    tick(model, start, wait, drive, devices_on(desk, size), Key(none, none, none, none), reached)


@inline
def _runs_away(model):
    """How many thresholds a membrane counts as, at most: those that run away are cut."""
    if model.kind in (SKYRMION, OSCILLATOR):
        return 2.0
    return math.inf


@jit
def _fire(model, rule, desk, held, out):
    """Spikes and reset: writes the spikes, and the next positions."""
    if rule.smooth:
        _fire_smoothly(model, rule, desk, held, out)
        return
    size, soft, limited = out.size, model.soft, model.kind == SKYRMION
    reached, x = row(desk, REACHED, size), row(desk, X, size)
    threshold, reset = row(desk, THRESHOLD, size), row(desk, RESET, size)
    if not soft:
        for j in range(size):
            out[j] = reached[j] >= threshold[j]
            x[j] = after_reset(reached[j], threshold[j], reset[j], False, False)
    elif not limited:
        for j in range(size):
            out[j] = reached[j] >= threshold[j]
            x[j] = after_reset(reached[j], threshold[j], reset[j], True, False)
    else:
        for j in range(size):
            out[j] = reached[j] >= threshold[j]
            x[j] = after_reset(reached[j], threshold[j], reset[j], True, True)


@jit
def _fire_smoothly(model, rule, desk, held, out):
    """:func:`_fire` with the smooth spike."""
    size, most = out.size, type(desk[0])(_runs_away(model))
    reached, x, spike = row(desk, REACHED, size), row(desk, X, size), row(desk, SPIKE, size)
    threshold, reset = row(desk, THRESHOLD, size), row(desk, RESET, size)
    for j in range(size):
        reached[j] = min(reached[j], most * threshold[j])
    smooth_sweep(rule.surrogate, reached, threshold, row(desk, STEEP, size), spike)
    for j in range(size):
        if model.hold and held[j] > 0:
            spike[j] = type(spike[j])(0.0)
        way = threshold[j] - reset[j] if model.soft else reached[j] - reset[j]
        x[j] = reached[j] - spike[j] * way
        out[j] = spike[j]


@jit
def _slopes(model, rule, held, desk, sheet):
    """Slopes of a tick: of the spike by where the neurons are, and of that by where they began and by the drive."""
    size = held.size
    start, drive, reached = row(desk, START, size), row(desk, DRIVE, size), row(desk, REACHED, size)
    threshold, steep = row(desk, THRESHOLD, size), row(desk, STEEP, size)
    slope = row(sheet, SLOPE, size)
    by_start, by_drive = row(sheet, BY_START, size), row(sheet, BY_DRIVE, size)
    f = type(desk[0])
    slopes_sweep(model.kind, start, drive, devices_on(desk, size), by_start, by_drive)
    slope_sweep(rule.surrogate, reached, threshold, steep, slope)
    if model.hold:
        for j in range(size):
            if held[j] > 0:  # stands still, cut where it would fire
                slope[j], by_start[j], by_drive[j] = f(0.0), f(reached[j] == start[j]), f(0.0)


class _Way(NamedTuple):
    """How positions before and after a reset hang together, in the type of the neurons."""

    most: Any
    """Thresholds that a membrane counts as, at most."""
    attached: Any
    """1, or 0 where the derivative leaves the reset out."""
    limited: bool
    """A soft reset is cut below the threshold."""
    none: Any


@jit
def _way_of(model, rule, desk):
    f = type(desk[0])
    limited = model.kind == SKYRMION and not rule.smooth
    return _Way(f(_runs_away(model)), f(not rule.detach), limited, f(0.0))


@inline
def _soft_kept(way, reached, threshold, reset, slope):
    """Derivative of the position after a soft reset by the one before."""
    f, apart = type(reached), threshold - reset
    least = below(f(math.inf), threshold, reset)
    stuck = way.limited and reached - apart >= least
    return way.none if stuck else f(1.0) - way.attached * slope * apart


@inline
def _hard_kept(way, reached, threshold, reset, slope, spike):
    """Derivative of the position after a hard reset by the one before."""
    f, u = type(reached), min(reached, way.most * threshold)
    return f(1.0) - f(spike) - way.attached * slope * (u - reset)


@jit
def _onward(model, rule, spike, desk, sheet, kappa):
    """One tick of the recursion for kappa; what is carried is dv/dI so far."""
    size = kappa.size
    reached, threshold, reset, carried = (
        row(desk, REACHED, size),
        row(desk, THRESHOLD, size),
        row(desk, RESET, size),
        row(desk, CARRIED, size),
    )
    slope = row(sheet, SLOPE, size)
    by_start, by_drive = row(sheet, BY_START, size), row(sheet, BY_DRIVE, size)
    way = _way_of(model, rule, desk)
    if model.soft:
        for j in range(size):
            eps = _eps(way, reached[j], threshold[j], by_start[j], by_drive[j], carried[j])
            kappa[j] += slope[j] * eps
            carried[j] = eps * _soft_kept(way, reached[j], threshold[j], reset[j], slope[j])
    else:
        for j in range(size):
            eps = _eps(way, reached[j], threshold[j], by_start[j], by_drive[j], carried[j])
            kappa[j] += slope[j] * eps
            carried[j] = eps * _hard_kept(way, reached[j], threshold[j], reset[j], slope[j], spike[j])


@inline
def _eps(way, reached, threshold, by_start, by_drive, carried):
    """du/dI so far, 0 where the membrane has run away."""
    gone = reached >= way.most * threshold
    return (way.none if gone else by_drive) + (way.none if gone else by_start) * carried


@jit
def _derive(model, rule, spike, held, desk, sheet):
    """Everything that BPTT needs of a tick in which the neurons gave ``spike``."""
    _slopes(model, rule, held, desk, sheet)
    size = spike.size
    reached, threshold, reset = row(desk, REACHED, size), row(desk, THRESHOLD, size), row(desk, RESET, size)
    slope, kept = row(sheet, SLOPE, size), row(sheet, KEPT, size)
    by_start, by_drive = row(sheet, BY_START, size), row(sheet, BY_DRIVE, size)
    way = _way_of(model, rule, desk)
    for j in range(size):
        gone = reached[j] >= way.most * threshold[j]
        by_start[j], by_drive[j] = (way.none, way.none) if gone else (by_start[j], by_drive[j])
    if model.soft:
        for j in range(size):
            kept[j] = _soft_kept(way, reached[j], threshold[j], reset[j], slope[j])
    else:
        for j in range(size):
            kept[j] = _hard_kept(way, reached[j], threshold[j], reset[j], slope[j], spike[j])


@jit
def _back(desk, sheet, grad, out):
    """One tick of BPTT; what is carried is dL/dv. The gradient by the drive is added to ``out``."""
    size = grad.size
    carried, slope, kept = row(desk, CARRIED, size), row(sheet, SLOPE, size), row(sheet, KEPT, size)
    by_start, by_drive = row(sheet, BY_START, size), row(sheet, BY_DRIVE, size)
    for j in range(size):
        by_reached = grad[j] * slope[j] + carried[j] * kept[j]
        out[j] += by_reached * by_drive[j]
        carried[j] = by_reached * by_start[j]


@jit
def forward(values, first, last, layer, rule, spikes, kappa):
    """Run a layer from rest over all ticks of samples ``first .. last - 1``.

    Parameters
    ----------
    values : float array, shape (batch, 1 or ticks, n)
    layer : Layer
    rule : Rule
    spikes : uint8 or float array, shape (batch, ticks, n)
        Written.
    kappa : float array, shape (batch, n)
        Written; of shape (0, 0) where it is not wanted.
    """
    ticks, n, period, model = spikes.shape[1], spikes.shape[2], period_of(layer), layer.model
    scales, biases = spread(layer.scale, period), spread(layer.bias, period)
    desk, sheet = np.empty(DESK, layer.rest.dtype), np.empty(SHEET, layer.rest.dtype)
    waits, helds = np.empty(STRIP, np.int32), np.empty(STRIP, np.int32)
    low = 0
    while low < n:  # the devices of a strip stay in the cache for all samples
        strip = next_strip(low, n, period)
        high = low + strip.size
        wait, held = cut(waits, 0, strip.size), cut(helds, 0, strip.size)
        lay_out(layer.devices, rule, strip, desk)
        for b in range(first, last):
            mine, emitted = values[b], spikes[b]
            put_to_rest(cut(layer.rest, low, high), desk, wait)
            for t in range(ticks):
                out = cut(line(emitted, t), low, high)
                _run(model, rule, line(mine, t % mine.shape[0]), scales, biases, t, strip, desk, wait, held, out)
                if kappa.size:
                    total = cut(line(kappa, b), low, high)
                    if t == 0:
                        _fill(total)
                    _slopes(model, rule, held, desk, sheet)
                    _onward(model, rule, out, desk, sheet, total)
            if kappa.size:
                _divide(cut(line(kappa, b), low, high), ticks)
        low = high


@jit
def _run(model, rule, values, scales, biases, t, strip, desk, wait, held, out):
    """Tick t of a strip, from its row of values to its spikes."""
    own = cut(values, strip.low, strip.low + strip.size)
    scale = cut(line(scales, t % scales.shape[0]), strip.column, strip.column + strip.size)
    bias = cut(line(biases, t % biases.shape[0]), strip.column, strip.column + strip.size)
    if model.hold:
        for j in range(held.size):
            held[j] = wait[j]
    _reach(model, own, scale, bias, desk, wait)
    _fire(model, rule, desk, held, out)


@jit
def _fill(out):
    for j in range(out.size):
        out[j] = type(out[j])(0.0)


@jit
def _divide(out, by):
    for j in range(out.size):
        out[j] /= type(out[j])(by)


@jit
def backward(values, first, last, layer, rule, grad, by_drive):
    """Backpropagation through time of samples ``first .. last - 1``: the ticks are run again, then gone back through.

    Parameters
    ----------
    values, layer, rule :
        As for :func:`forward`.
    grad : float array, shape (batch, ticks, n)
        Gradient by the spikes.
    by_drive : float array, shape (batch, 1 or ticks, n)
        Written: gradient by the drive; of all ticks together where the drive is the same in all.
    """
    ticks, n, period, model = grad.shape[1], grad.shape[2], period_of(layer), layer.model
    scales, biases = spread(layer.scale, period), spread(layer.bias, period)
    desk, sheets = np.empty(DESK, layer.rest.dtype), np.empty((ticks, SHEET), layer.rest.dtype)
    waits, helds = np.empty(STRIP, np.int32), np.empty(STRIP, np.int32)
    emitted = np.empty(STRIP, grad.dtype)
    low = 0
    while low < n:
        strip = next_strip(low, n, period)
        high = low + strip.size
        wait, held, out = cut(waits, 0, strip.size), cut(helds, 0, strip.size), cut(emitted, 0, strip.size)
        lay_out(layer.devices, rule, strip, desk)
        for b in range(first, last):
            mine, slope, gradient = values[b], grad[b], by_drive[b]
            put_to_rest(cut(layer.rest, low, high), desk, wait)
            for t in range(ticks):
                _run(model, rule, line(mine, t % mine.shape[0]), scales, biases, t, strip, desk, wait, held, out)
                _derive(model, rule, out, held, desk, line(sheets, t))
            for t in range(gradient.shape[0]):
                _fill(cut(line(gradient, t), low, high))
            for t in range(ticks - 1, -1, -1):
                total = cut(line(gradient, t % gradient.shape[0]), low, high)
                _back(desk, line(sheets, t), cut(line(slope, t), low, high), total)
        low = high


@jit
def time_mean(drive, mean):
    """Read out a batch: ``mean[b, j]`` is ``drive[b, t, j]``, integrated over all ticks, over their number."""
    samples, ticks, n = drive.shape
    for b in range(samples):
        for j in range(n):
            x = type(drive[b, 0, j])(0.0)
            for t in range(ticks):
                x = readout_tick(x, drive[b, t, j])
            mean[b, j] = x / type(x)(ticks)
