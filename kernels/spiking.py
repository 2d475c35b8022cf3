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
from typing import NamedTuple

import numpy as np

from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import cut, line
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
    """Buffers of a strip of neurons, one row per tick: as few as the first-level cache holds."""

    x: np.ndarray
    """Position before the tick; one row more."""
    drive: np.ndarray
    reached: np.ndarray
    held: np.ndarray
    """Refractory ticks that are left before the tick."""
    slope: np.ndarray
    """Of these there is one row: derivatives of the spike by u, of u by start and drive, and what is carried on."""
    by_start: np.ndarray
    by_drive: np.ndarray
    carried: np.ndarray
    spike: np.ndarray
    steep: np.ndarray
    """Sharpness of the surrogate over threshold."""
    wait: np.ndarray


@jit
def _buffers(layer, ticks, size):
    like = layer.scale
    deep, flat = (ticks, size), size
    x, held = np.empty((ticks + 1, size), like.dtype), np.empty(deep, np.int32)
    return _Strip(
        x,
        np.empty(deep, like.dtype),
        np.empty(deep, like.dtype),
        held,
        np.empty(flat, like.dtype),
        np.empty(flat, like.dtype),
        np.empty(flat, like.dtype),
        np.empty(flat, like.dtype),
        np.empty(flat, like.dtype),
        np.empty(flat, like.dtype),
        np.empty(flat, np.int32),
    )


@jit
def _steepness(devices, rule, steep):
    f = type(steep[0])
    for j in range(devices.threshold.size):
        steep[j] = f(rule.sharpness) / devices.threshold[j]


@jit
def _begin(layer, low, size, s):
    """Put a strip to rest."""
    x, wait, carried, zero = line(s.x, 0), s.wait, s.carried, type(s.carried[0])(0.0)
    rest = layer.rest
    for j in range(size):
        x[j], wait[j], carried[j] = rest[low + j], 0, zero


@jit
def _reach(layer, devices, values, low, t, at, size, s):
    """Drive of tick t, and where it brings the neurons; kept in row ``at``. Values of one tick last for all."""
    rows = layer.scale.shape[0]
    drive, reached, x = cut(line(s.drive, at), 0, size), cut(line(s.reached, at), 0, size), cut(line(s.x, at), 0, size)
    scale, bias = line(layer.scale, t % rows), line(layer.bias, t % rows)
    own = cut(line(values, t % values.shape[0]), low, low + size)
    for j in range(size):
        drive[j] = add_drive(bias[j], scale[j], own[j])
    if layer.model.hold:
        _copy(s.wait, size, line(s.held, at))
    none = np.uint64(0)
    tick(layer.model, x, cut(s.wait, 0, size), drive, devices, Key(none, none, none, none), reached)


@inline
def _runs_away(model):
    """How many thresholds a membrane counts as, at most: those that run away are cut."""
    if model.kind in (SKYRMION, OSCILLATOR):
        return 2.0
    return math.inf


@jit
def _fire(layer, devices, rule, at, size, s, out):
    """Spikes and reset of the tick in row ``at``: writes the spikes, and the next row of positions."""
    reached, after, spike = cut(line(s.reached, at), 0, size), cut(line(s.x, at + 1), 0, size), cut(s.spike, 0, size)
    threshold, reset = devices.threshold, devices.reset
    if not rule.smooth:
        for j in range(size):
            out[j] = reached[j] >= threshold[j]
        reset_sweep(layer.model, reached, threshold, reset, after)
        return
    most = type(reached[0])(_runs_away(layer.model))
    for j in range(size):
        reached[j] = min(reached[j], most * threshold[j])
    smooth_sweep(rule.surrogate, reached, threshold, cut(s.steep, 0, size), spike)
    if layer.model.hold:
        for j in range(size):
            spike[j] = type(spike[j])(0.0) if s.held[at, j] > 0 else spike[j]
    for j in range(size):
        way = threshold[j] - reset[j] if layer.model.soft else reached[j] - reset[j]
        after[j] = reached[j] - spike[j] * way
        out[j] = spike[j]


@jit
def _slopes(layer, devices, rule, at, size, s):
    """Derivatives of the tick in row ``at``: of the spike by u, and of u by start and drive."""
    reached, x, drive = cut(line(s.reached, at), 0, size), cut(line(s.x, at), 0, size), cut(line(s.drive, at), 0, size)
    slope, by_start, by_drive = cut(s.slope, 0, size), cut(s.by_start, 0, size), cut(s.by_drive, 0, size)
    f = type(reached[0])
    slopes_sweep(layer.model.kind, x, drive, devices, by_start, by_drive)
    slope_sweep(rule.surrogate, reached, devices.threshold, cut(s.steep, 0, size), slope)
    if layer.model.hold:
        for j in range(size):
            if s.held[at, j] > 0:  # stands still, cut where it would fire
                slope[j], by_start[j], by_drive[j] = f(0.0), f(reached[j] == s.x[at, j]), f(0.0)


@inline
def _kept_by_reset(reached, spike, slope, threshold, reset, attached, soft, limited):
    """dv/du; nothing where a soft reset was ``limited`` below the threshold."""
    f = type(reached)
    way = threshold - reset if soft else reached - reset
    rest = f(1.0) if soft else f(1.0) - f(spike)
    kept = rest - attached * slope * way
    if soft and limited and reached - way >= below(f(math.inf), threshold, reset):
        kept = f(0.0)
    return kept


@jit
def _onward(reached, slope, by_start, by_drive, spike, devices, attached, most, soft, limited, carried, kappa):
    """One tick of the recursion for kappa; ``carried`` is dv/dI so far."""
    f = type(slope[0])
    for j in range(slope.size):
        top = most * devices.threshold[j]
        eps = by_drive[j] + by_start[j] * carried[j]
        eps = f(0.0) if reached[j] >= top else eps
        u = min(reached[j], top)
        kept = _kept_by_reset(u, spike[j], slope[j], devices.threshold[j], devices.reset[j], attached, soft, limited)
        kappa[j] += slope[j] * eps
        carried[j] = eps * kept


@jit
def _back(reached, slope, by_start, by_drive, spike, devices, attached, most, soft, limited, carried, grad, out):
    """One tick of BPTT; ``carried`` is dL/dv. The gradient by the drive is added to ``out``."""
    f = type(slope[0])
    for j in range(slope.size):
        top = most * devices.threshold[j]
        u = min(reached[j], top)
        kept = _kept_by_reset(u, spike[j], slope[j], devices.threshold[j], devices.reset[j], attached, soft, limited)
        by_reached = grad[j] * slope[j] + carried[j] * kept
        by_reached = f(0.0) if reached[j] >= top else by_reached
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
    ticks, n, strip = spikes.shape[1], spikes.shape[2], layer.scale.shape[1]
    row = np.int64(0)
    s = _buffers(layer, row + 1, strip)
    f = type(layer.scale[0, 0])
    for low in range(0, n, strip):  # the devices of a strip stay in the cache for all samples
        size = min(strip, n - low)
        devices = device_row(layer.devices, low, low + size)
        _steepness(devices, rule, s.steep)
        for b in range(first, last):
            mine, own = values[b], spikes[b]
            _begin(layer, low, size, s)
            for t in range(ticks):
                out = cut(line(own, t), low, low + size)
                _reach(layer, devices, mine, low, t, row, size, s)
                _fire(layer, devices, rule, row, size, s, out)
                if kappa.size:
                    total = cut(line(kappa, b), low, low + size)
                    if t == 0:
                        total[:] = f(0.0)
                    _slopes(layer, devices, rule, row, size, s)
                    _onward_any(layer, devices, rule, size, s, out, total)
                _copy(line(s.x, 1), size, line(s.x, 0))
            if kappa.size:
                total = cut(line(kappa, b), low, low + size)
                for j in range(size):
                    total[j] /= f(ticks)


@jit
def _onward_any(layer, devices, rule, size, s, spike, kappa):
    """:func:`_onward` of the layer's kind of reset."""
    f = type(s.slope[0])
    attached = f(not rule.detach)
    most = f(_runs_away(layer.model))
    row = (
        cut(line(s.reached, 0), 0, size),
        cut(s.slope, 0, size),
        cut(s.by_start, 0, size),
        cut(s.by_drive, 0, size),
        spike,
        devices,
        attached,
        most,
    )
    if layer.model.soft:
        limited = layer.model.kind == SKYRMION and not rule.smooth
        _onward(*row, True, limited, cut(s.carried, 0, size), kappa)
    else:
        _onward(*row, False, False, cut(s.carried, 0, size), kappa)


@jit
def _copy(source, size, to):
    for j in range(size):
        to[j] = source[j]


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
    spikes = np.empty((ticks, strip), layer.scale.dtype)
    f = type(layer.scale[0, 0])
    for low in range(0, n, strip):
        size = min(strip, n - low)
        devices = device_row(layer.devices, low, low + size)
        _steepness(devices, rule, s.steep)
        for b in range(first, last):
            mine, slope, gradient = values[b], grad[b], by_drive[b]
            _begin(layer, low, size, s)
            for t in range(ticks):
                _reach(layer, devices, mine, low, t, t, size, s)
                _fire(layer, devices, rule, t, size, s, cut(line(spikes, t), 0, size))
            for t in range(by_drive.shape[1]):
                gradient[t, low : low + size] = f(0.0)
            for t in range(ticks - 1, -1, -1):
                _slopes(layer, devices, rule, t, size, s)
                out = cut(line(gradient, t % gradient.shape[0]), low, low + size)
                _back_any(
                    layer,
                    devices,
                    rule,
                    t,
                    size,
                    s,
                    cut(line(spikes, t), 0, size),
                    cut(line(slope, t), low, low + size),
                    out,
                )


@jit
def _back_any(layer, devices, rule, at, size, s, spike, grad, out):
    """:func:`_back` of the layer's kind of reset."""
    f = type(s.slope[0])
    attached = f(not rule.detach)
    most = f(_runs_away(layer.model))
    row = (
        cut(line(s.reached, at), 0, size),
        cut(s.slope, 0, size),
        cut(s.by_start, 0, size),
        cut(s.by_drive, 0, size),
        spike,
        devices,
        attached,
        most,
    )
    if layer.model.soft:
        limited = layer.model.kind == SKYRMION and not rule.smooth
        _back(*row, True, limited, cut(s.carried, 0, size), grad, out)
    else:
        _back(*row, False, False, cut(s.carried, 0, size), grad, out)


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
