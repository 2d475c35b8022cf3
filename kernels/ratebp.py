"""Spiking layer for one-step rate backpropagation.

RateBP: Yu et al. 2024, "Advancing Training Efficiency of Deep Spiking Neural Networks through Rate-based
Backpropagation".

The forward pass emits the spikes that the engine emits, and keeps one number per neuron for the backward pass:
``kappa``, the derivative of the firing rate by a shift of the drive that is common to all ticks. With ``u`` the
position before reset, ``v`` the one after and ``sg`` the surrogate of ds/du::

    eps_t = du_t/dI_t + du_t/dv_(t-1) * (dv/du + dv/ds sg)_(t-1) * eps_(t-1),      kappa = mean_t sg_t eps_t
"""

from __future__ import annotations

import math

import numpy as np

from eventsim.kernels._jit import inline, jit
from eventsim.kernels.neuron import after_reset, readout_tick
from eventsim.kernels.riccati import riccati_slopes, riccati_step


@inline
def sigmoid_surrogate(reached, threshold, sharpness):
    """Smooth spike sigma(sharpness (x/threshold - 1)) and its derivative by x."""
    f = type(reached)
    one = f(1.0)
    p = one / (one + math.exp(-sharpness * (reached / threshold - one)))
    return p, sharpness / threshold * p * (one - p)


@jit
def mtj_forward(drive, devices, sharpness, detach_reset, smooth, spikes, kappa):
    """Run MTJ neurons from rest over all ticks of a batch.

    A membrane beyond twice its threshold (a run-away among them) counts as twice the threshold, with slope 0.

    Parameters
    ----------
    drive : float array, shape (batch, ticks, n)
    devices : DeviceArrays, n of them, of the same float type
    sharpness : float
        Of the sigmoid surrogate, in units of 1/threshold.
    detach_reset : bool
        Leave the reset out of the derivative.
    smooth : bool
        Emit the smooth spike instead of the step: the mode in which ``kappa`` is a derivative in the plain sense.
    spikes : float array, shape (batch, ticks, n)
        Written.
    kappa : float array, shape (batch, n)
        Written.
    """
    samples, ticks, n = drive.shape
    f = type(drive[0, 0, 0])
    one, zero = f(1.0), f(0.0)
    x = np.empty(n, drive.dtype)
    carried = np.empty(n, drive.dtype)
    for b in range(samples):
        x[:] = zero
        carried[:] = zero
        kappa[b] = zero
        for t in range(ticks):
            for i in range(n):
                threshold, reset = devices.threshold[i], devices.reset[i]
                h, q = devices.a[i], devices.gain[i] * drive[b, t, i]
                u = riccati_step(x[i], q, h)
                by_start, by_q = riccati_slopes(x[i], q, h)
                fired, left = u >= threshold, after_reset(u, threshold, reset, False, True)
                if u > f(2.0) * threshold:
                    u, by_start, by_q = f(2.0) * threshold, zero, zero
                p, surrogate = sigmoid_surrogate(u, threshold, f(sharpness))
                spike = p if smooth else f(fired)
                eps = devices.gain[i] * by_q + by_start * carried[i]
                kappa[b, i] += surrogate * eps
                carried[i] = eps * (one - spike)
                if not detach_reset:
                    carried[i] -= eps * (u - reset) * surrogate
                x[i] = u + spike * (reset - u) if smooth else left
                spikes[b, t, i] = spike
        for i in range(n):
            kappa[b, i] /= f(ticks)


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
