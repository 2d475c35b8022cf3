"""Slow, obvious second implementations of the layers and of both gradients, in double precision.

Nothing here calls the kernels. Arrays are as the layers have them: images (images, height, width, channels), weights
(height, width, channels of a group, targets), drives (ticks, neurons).
"""

from __future__ import annotations

import cmath
import math
from typing import NamedTuple

import numpy as np

from eventsim import IF, LIF, MTJ, DomainWall
from tests import oracle


def _places(shape, size, stride, padding):
    """Windows one after the other: their place in the output, and the part of the padded image that they cover."""
    rows, columns = ((shape[k] + 2 * padding[k] - size[k]) // stride[k] + 1 for k in (0, 1))
    for y in range(rows):
        for x in range(columns):
            at = y * stride[0], x * stride[1]
            yield (y, x), (slice(at[0], at[0] + size[0]), slice(at[1], at[1] + size[1]))


def _padded(images, padding):
    return np.pad(images.astype(np.float64), ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))


def _group(channels, groups, g):
    return slice(g * channels // groups, (g + 1) * channels // groups)


def convolve(images, weight, stride=(1, 1), padding=(0, 0), groups=1):
    """Sums over windows."""
    wide = _padded(images, padding)
    found = {}
    for place, window in _places(images.shape[1:], weight.shape, stride, padding):
        sums = []
        for g in range(groups):
            own = wide[:, *window, _group(images.shape[3], groups, g)]
            sums.append(np.einsum("nyxc,yxcj->nj", own, weight[..., _group(weight.shape[3], groups, g)]))
        found[place] = np.concatenate(sums, axis=1)
    rows, columns = np.array(list(found)).max(axis=0) + 1
    return np.stack([np.stack([found[y, x] for x in range(columns)], axis=1) for y in range(rows)], axis=1)


def convolve_back(images, weight, grad, stride=(1, 1), padding=(0, 0), groups=1):
    """Gradient by the images and by the weights."""
    wide = _padded(images, padding)
    by_wide, by_weight = np.zeros_like(wide), np.zeros(weight.shape)
    for (y, x), window in _places(images.shape[1:], weight.shape, stride, padding):
        for g in range(groups):
            sources, targets = _group(images.shape[3], groups, g), _group(weight.shape[3], groups, g)
            own = grad[:, y, x, targets]
            by_weight[..., targets] += np.einsum("nyxc,nj->yxcj", wide[:, *window, sources], own)
            by_wide[:, *window, sources] += np.einsum("nj,yxcj->nyxc", own, weight[..., targets])
    (py, px), (_, height, width, _) = padding, images.shape
    return by_wide[:, py : py + height, px : px + width], by_weight


def pool(images, size, stride, kind):
    """Mean or largest of each window, and the gradient of the sum of all of them."""
    images = images.astype(np.float64)
    rows, columns = ((images.shape[1 + k] - size[k]) // stride[k] + 1 for k in (0, 1))
    out = np.empty((len(images), rows, columns, images.shape[3]))
    back = np.zeros_like(images)
    for (y, x), window in _places(images.shape[1:], size, stride, (0, 0)):
        for n in range(len(images)):
            for c in range(images.shape[3]):
                own = images[n, *window, c]
                if kind == "mean":
                    out[n, y, x, c] = own.mean()
                    back[n, *window, c] += 1 / own.size
                else:
                    out[n, y, x, c] = own.max()
                    dy, dx = np.unravel_index(own.argmax(), own.shape)
                    back[n, window[0].start + dy, window[1].start + dx, c] += 1
    return out, back


def normalise(x, gamma, beta, eps):
    """Batch normalisation over all axes but the last; returns mean and (biased) variance too."""
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    return gamma * (x - mean) / np.sqrt(variance + eps) + beta, mean, variance


def normalise_back(x, mean, inverse, gamma, grad):
    """Gradient by the input, gamma and beta, with a given mean and 1/sqrt(variance + eps)."""
    axes = tuple(range(x.ndim - 1))
    normal, g = (x - mean) * inverse, gamma * grad
    by_x = inverse * (g - g.mean(axis=axes) - normal * (g * normal).mean(axis=axes))
    return by_x, (grad * normal).sum(axis=axes), grad.sum(axis=axes)


def slope(kind, alpha, u, threshold):
    """Surrogate of ds/du."""
    z = alpha * (u / threshold - 1)
    if kind == "sigmoid":
        p = 1 / (1 + math.exp(-z)) if z > -700 else 0.0
        return alpha / threshold * p * (1 - p)
    if kind == "rectangle":
        return alpha / threshold * (abs(z) <= 0.5)
    if kind == "triangle":
        return alpha / threshold * max(0.0, 1 - abs(z))
    return alpha / threshold / 2 / (1 + (math.pi * z / 2) ** 2)


class Ticks(NamedTuple):
    """What neurons did, and the derivatives of their steps; all of shape (ticks, neurons)."""

    u: np.ndarray
    s: np.ndarray
    sg: np.ndarray
    by_start: np.ndarray
    """du_t/dv_(t-1)"""
    by_drive: np.ndarray
    """du_t/dI_t"""
    kept: np.ndarray
    """dv_t/du_t"""


def _moved(neuron, x, drive):
    """Position after a tick and its derivatives by start and drive."""
    push = neuron.gain * neuron.threshold / neuron.dt
    if isinstance(neuron, LIF):
        left = math.exp(-neuron.dt / neuron.tau)
        by_drive = push * neuron.tau * (1 - left)
        return left * x + by_drive * drive, left, by_drive
    if isinstance(neuron, IF):
        return x + push * neuron.dt * drive, 1.0, push * neuron.dt
    if isinstance(neuron, DomainWall):
        end = x + (push * drive - neuron.leak) * neuron.dt
        return (end, 1.0, push * neuron.dt) if end > 0 else (0.0, 0.0, 0.0)
    assert isinstance(neuron, MTJ)
    s, h, q = neuron.dt / neuron.k1, -neuron.k2 / 2, neuron.k1 * push * drive
    end = oracle.step(x, q, h, s)
    if end >= 2 * neuron.threshold:
        return end, 0.0, 0.0  # a run-away counts as twice the threshold, whatever drove it
    e = 1e-30  # of a complex step, from which nothing is subtracted
    by_start = _riccati(complex(x, e), q, h, s).imag / e
    return end, by_start, _riccati(x, complex(q, e), h, s).imag / e * neuron.k1 * push


def _riccati(x, q, h, s):
    root = cmath.sqrt(h * h - q)
    sine = cmath.sinh(root * s) / root
    c = cmath.cosh(root * s)
    return ((c - h * sine) * x + sine * q) / (c - sine * (x - h))


def run(neuron, drive, surrogate="sigmoid", alpha=4.0, detach=True):
    """Neurons from rest over all ticks, each as its equation, threshold and reset say."""
    found = Ticks(*(np.empty(drive.shape) for _ in Ticks._fields))
    way = neuron.threshold - neuron.reset
    ceiling = neuron.threshold - way / 1024
    for j in range(drive.shape[1]):
        v, wait = neuron.rest, 0
        for t in range(len(drive)):
            if wait:
                wait -= 1
                u = min(v, ceiling)
                found.u[t, j], found.s[t, j], found.sg[t, j], found.kept[t, j] = u, 0, 0, 1
                found.by_start[t, j], found.by_drive[t, j] = float(v <= ceiling), 0
                v = u
                continue
            u, by_start, by_drive = _moved(neuron, v, drive[t, j])
            s = float(u >= neuron.threshold)
            seen = min(u, 2 * neuron.threshold) if isinstance(neuron, MTJ) else u
            sg = slope(surrogate, alpha, seen, neuron.threshold)
            if neuron.reset_mode == "hard":
                v, kept = (neuron.reset if s else u), 1 - s - (0 if detach else sg * (seen - neuron.reset))
            else:
                v, kept = u - s * way, 1 - (0 if detach else sg * way)
                if isinstance(neuron, MTJ) and v >= ceiling:
                    v, kept = ceiling, 0.0
            wait = neuron.refractory if s else 0
            for row, value in zip(found, (u, s, sg, by_start, by_drive, kept), strict=True):
                row[t, j] = value
    return found


def kappa(ticks):
    """Derivative of the firing rate by a shift of the drive of all ticks: ``eps`` collects du_t/dI_k over all k."""
    eps, total = np.zeros(ticks.u.shape[1]), np.zeros(ticks.u.shape[1])
    for t in range(len(ticks.u)):
        carried = ticks.kept[t - 1] * eps if t else 0.0
        eps = ticks.by_drive[t] + ticks.by_start[t] * carried
        total += ticks.sg[t] * eps
    return total / len(ticks.u)


def bptt(ticks, grad):
    """Gradient by the drive of every tick, from that by the spikes."""
    out, by_next = np.empty(grad.shape), np.zeros(grad.shape[1])
    for t in reversed(range(len(grad))):
        by_u = grad[t] * ticks.sg[t] + ticks.kept[t] * by_next
        out[t] = by_u * ticks.by_drive[t]
        by_next = by_u * ticks.by_start[t]
    return out


def published_kappa(u, s, sg, leak, threshold, mode, detach):
    """The recursion of rate-based backpropagation for ``u_t = leak v_(t-1) + I_t``, reset to 0, letter for letter."""
    eps, mean = np.ones(u.shape[1]), np.zeros(u.shape[1])
    for t in range(len(u)):
        mean = (t * mean + eps * sg[t]) / (t + 1)
        if mode == "soft":
            eps = 1 + leak * eps if detach else 1 + eps * leak * (1 - threshold * sg[t])
        else:
            eps = 1 + eps * leak * (1 - s[t]) - (0 if detach else eps * leak * u[t] * sg[t])
    return mean


def published_bptt(u, s, sg, leak, threshold, mode, detach, grad):
    """Backpropagation through time for the same neuron, letter for letter."""
    out, after = np.empty(grad.shape), np.zeros(grad.shape[1])
    for t in reversed(range(len(grad))):
        if mode == "soft":
            after = (grad[t] - (0 if detach else threshold * leak * after)) * sg[t] + leak * after
        else:
            by_spike = grad[t] - (0 if detach else leak * u[t] * after)
            after = by_spike * sg[t] + leak * (1 - s[t]) * after
        out[t] = after
    return out
