"""A spiking layer over all ticks of a batch: forward, the slope of its rate, and backpropagation through time.

The forward pass emits the spikes that the engine emits: both step their neurons by :func:`neuron.tick`. With ``u`` the
position before reset, ``v`` the one after, ``sg`` the surrogate of ds/du and ``du/dI``, ``du/dv`` the derivatives of the
exact step, RateBP keeps one number per neuron (Yu et al. 2024, "Advancing Training Efficiency of Deep Spiking Neural
Networks through Rate-based Backpropagation"), the derivative of the firing rate by a shift of the drive of all ticks::

    eps_t = du_t/dI_t + du_t/dv_(t-1) * dv_(t-1)/du * eps_(t-1),      kappa = mean_t sg_t eps_t

and BPTT carries ``dL/dv`` from the last tick to the first::

    dL/du_t = dL/ds_t sg_t + dL/dv_t dv_t/du,      dL/dI_t = dL/du_t du_t/dI_t,      dL/dv_(t-1) = dL/du_t du_t/dv_(t-1)

where ``dv/du`` is 1 - s (hard reset) or 1 (soft), less sg times the way of the reset unless that is detached. Where the
membrane of a neuron that runs away passes twice its threshold it counts as twice the threshold, with slope 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels.neuron import (
    OSCILLATOR,
    SKYRMION,
    Key,
    Model,
    below,
    device_row,
    readout_tick,
    reset_sweep,
    slopes_sweep,
    tick,
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
    """Shape (1 or ticks, strip): repeated along the neurons, strip by strip."""
    bias: np.ndarray


class _Strip(NamedTuple):
    """Buffers of a strip of neurons, one row per tick."""

    x: np.ndarray
    """Position before the tick; one row more."""
    drive: np.ndarray
    reached: np.ndarray
    spike: np.ndarray
    slope: np.ndarray
    by_start: np.ndarray
    by_drive: np.ndarray
    wait: np.ndarray
    held: np.ndarray
    """Refractory ticks that are left before the tick."""


@jit
def _buffers(layer, ticks, size):
    like = layer.scale
    rows = (ticks, size)
    real = (np.empty(rows, like.dtype), np.empty(rows, like.dtype), np.empty(rows, like.dtype))
    more = (np.empty(rows, like.dtype), np.empty(rows, like.dtype), np.empty(rows, like.dtype))
    wait, held = np.empty(size, np.int32), np.empty(rows, np.int32)
    return _Strip(np.empty((ticks + 1, size), like.dtype), *real, *more, wait, held)


@jit
def _row(buffer, t, size):
    return buffer[t, :size]


@jit
def _drive(layer, values, low, t, drive):
    """Drive of a tick for the neurons from ``low`` on; ``values`` of one tick last for all."""
    rows = layer.scale.shape[0]
    scale, bias, own = layer.scale[t % rows], layer.bias[t % rows], values[t % values.shape[0], low : low + drive.size]
    for j in range(drive.size):
        drive[j] = add_drive(bias[j], scale[j], own[j])


@jit
def _one_tick(layer, devices, values, low, rule, t, at, size, s):
    """Tick t of a strip, kept in row ``at``; the position goes on to the next row, or to the same one."""
    x, drive, reached, spike = (
        _row(s.x, at, size),
        _row(s.drive, at, size),
        _row(s.reached, at, size),
        _row(s.spike, at, size),
    )
    after = _row(s.x, at + 1, size)
    zero = np.uint64(0)
    _drive(layer, values, low, t, drive)
    if layer.model.hold:
        s.held[at, :size] = s.wait[:size]
    tick(layer.model, x, s.wait[:size], drive, devices, Key(zero, zero, zero, zero), reached)
    threshold, reset = devices.threshold, devices.reset
    f = type(reached[0])
    one, two = f(1.0), f(2.0)
    if rule.smooth:
        if layer.model.kind == SKYRMION or layer.model.kind == OSCILLATOR:
            for j in range(size):
                reached[j] = min(reached[j], two * threshold[j])
        smooth_sweep(rule.surrogate, reached, threshold, rule.sharpness, spike)
        if layer.model.hold:
            for j in range(size):
                spike[j] = f(0.0) if s.held[at, j] > 0 else spike[j]
        for j in range(size):
            way = threshold[j] - reset[j] if layer.model.soft else reached[j] - reset[j]
            after[j] = reached[j] - spike[j] * way
    else:
        for j in range(size):
            spike[j] = one if reached[j] >= threshold[j] else f(0.0)
        reset_sweep(layer.model, reached, threshold, reset, after)


@jit
def _copy(source, to, size):
    for j in range(size):
        to[j] = source[j]


@jit
def _begin(layer, low, size, s, carried):
    """Put a strip to rest."""
    x, wait, zero = s.x[0], s.wait, type(carried[0])(0.0)
    for j in range(size):
        x[j], wait[j], carried[j] = layer.rest[low + j], 0, zero


@jit
def _emit(spike, smooth, out):
    half = type(spike[0])(0.5)
    if smooth:
        for j in range(spike.size):
            out[j] = spike[j]
    else:
        for j in range(spike.size):
            out[j] = spike[j] > half


@jit
def _slopes(layer, devices, rule, at, size, s):
    """Derivatives of a tick that is kept in row ``at``: of the spike by u, and of u by start and drive."""
    reached, slope = _row(s.reached, at, size), _row(s.slope, at, size)
    by_start, by_drive = _row(s.by_start, at, size), _row(s.by_drive, at, size)
    f = type(reached[0])
    kind = layer.model.kind
    slopes_sweep(kind, _row(s.x, at, size), _row(s.drive, at, size), devices, by_start, by_drive)
    if kind == SKYRMION or kind == OSCILLATOR:
        for j in range(size):
            far = reached[j] >= f(2.0) * devices.threshold[j]
            reached[j] = min(reached[j], f(2.0) * devices.threshold[j])
            by_start[j] = f(0.0) if far else by_start[j]
            by_drive[j] = f(0.0) if far else by_drive[j]
    slope_sweep(rule.surrogate, reached, devices.threshold, rule.sharpness, slope)
    if layer.model.hold:
        for j in range(size):
            if s.held[at, j] > 0:  # stands still, cut where it would fire
                slope[j], by_start[j], by_drive[j] = f(0.0), f(reached[j] == s.x[at, j]), f(0.0)


@jit
def _kept_by_reset(layer, devices, rule, at, size, s, kept):
    """dv/du of a tick that is kept in row ``at``."""
    reached, spike, slope = _row(s.reached, at, size), _row(s.spike, at, size), _row(s.slope, at, size)
    threshold, reset = devices.threshold, devices.reset
    f = type(reached[0])
    one, zero = f(1.0), f(0.0)
    attached = zero if rule.detach else one
    if not layer.model.soft:
        for j in range(size):
            kept[j] = one - spike[j] - attached * slope[j] * (reached[j] - reset[j])
    else:
        cut = layer.model.kind == SKYRMION and not rule.smooth
        for j in range(size):
            way = threshold[j] - reset[j]
            kept[j] = one - attached * slope[j] * way
            if cut and reached[j] - way >= below(f(math.inf), threshold[j], reset[j]):
                kept[j] = zero


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
    ticks, n, strip = spikes.shape[1], spikes.shape[2], layer.scale.shape[1]
    s = _buffers(layer, 1, strip)
    f = type(layer.scale[0, 0])
    carried, kept = np.empty(strip, layer.scale.dtype), np.empty(strip, layer.scale.dtype)
    for b in range(first, last):
        for low in range(0, n, strip):
            high = min(low + strip, n)
            size = high - low
            devices = device_row(layer.devices, low, high)
            _begin(layer, low, size, s, carried)
            for t in range(ticks):
                _one_tick(layer, devices, values[b], low, rule, t, 0, size, s)
                _emit(s.spike[0, :size], rule.smooth, spikes[b, t, low:high])
                if kappa.size:
                    _slopes(layer, devices, rule, 0, size, s)
                    _accumulate(layer, devices, rule, size, t, ticks, s, carried, kept, kappa[b, low:high])
                _copy(s.x[1], s.x[0], size)


@jit
def _accumulate(layer, devices, rule, size, t, ticks, s, carried, kept, kappa):
    """One tick of the recursion for kappa; ``carried`` is dv/dI so far."""
    slope, by_start, by_drive = s.slope[0, :size], s.by_start[0, :size], s.by_drive[0, :size]
    _kept_by_reset(layer, devices, rule, 0, size, s, kept)
    f = type(slope[0])
    for j in range(size):
        eps = by_drive[j] + by_start[j] * carried[j]
        before = f(0.0) if t == 0 else kappa[j]
        kappa[j] = before + slope[j] * eps
        carried[j] = eps * kept[j]
    if t == ticks - 1:
        for j in range(size):
            kappa[j] /= f(ticks)


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
    ticks, n, strip = grad.shape[1], grad.shape[2], layer.scale.shape[1]
    s = _buffers(layer, ticks, strip)
    f = type(layer.scale[0, 0])
    carried, kept = np.empty(strip, layer.scale.dtype), np.empty(strip, layer.scale.dtype)
    for b in range(first, last):
        for low in range(0, n, strip):
            high = min(low + strip, n)
            size = high - low
            devices = device_row(layer.devices, low, high)
            _begin(layer, low, size, s, carried)
            by_drive[b, :, low:high] = f(0.0)
            for t in range(ticks):
                _one_tick(layer, devices, values[b], low, rule, t, t, size, s)
            for t in range(ticks - 1, -1, -1):
                _slopes(layer, devices, rule, t, size, s)
                _kept_by_reset(layer, devices, rule, t, size, s, kept)
                out = by_drive[b, t % by_drive.shape[1], low:high]
                _back(grad[b, t, low:high], s.slope[t], s.by_start[t], s.by_drive[t], kept, carried, out)


@jit
def _back(grad, slope, by_start, by_drive, kept, carried, out):
    """One tick backwards; ``carried`` is dL/dv."""
    for j in range(grad.size):
        by_reached = grad[j] * slope[j] + carried[j] * kept[j]
        out[j] += by_reached * by_drive[j]
        carried[j] = by_reached * by_start[j]


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
