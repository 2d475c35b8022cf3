"""Strips of neurons, and the desk that each of them is worked on: what all their ticks need, in the nearest cache."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut
from eventsim.kernels.neuron import DeviceArrays

STRIP = 512
"""Neurons, at most, whose ticks are run together: what they need stays in the first-level cache."""
# A strip's rows lie in one array at distances that are known when this is compiled: LLVM can tell them apart, and
# vectorises loops over many of them. Those of a desk serve all ticks,
X, START, DRIVE, REACHED, SPIKE, CARRIED, STEEP, A, B, GAIN, THRESHOLD, RESET = range(0, 12 * STRIP, STRIP)
DESK = 12 * STRIP
# those of a sheet are of one tick: derivatives of the spike by u, of u by start and drive, and of v by u.
SLOPE, BY_START, BY_DRIVE, KEPT = range(0, 4 * STRIP, STRIP)
SHEET = 4 * STRIP


class Strip(NamedTuple):
    """A strip of neurons; its devices lie on its desk too."""

    low: int
    """Its first neuron."""
    size: int
    column: int
    """Of its first neuron in rows of scale and bias."""


@jit
def period_of(layer):
    """Neurons after which scale and bias repeat, a strip at least."""
    channels = max(layer.scale.shape[1], layer.bias.shape[1])
    return channels * -(-STRIP // channels)


@jit
def spread(rows, width):
    """Repeat rows along the neurons."""
    out = np.empty((rows.shape[0], width), rows.dtype)
    for t in range(rows.shape[0]):
        for j in range(width):
            out[t, j] = rows[t, j % rows.shape[1]]
    return out


@jit
def next_strip(low, n, period):
    """The strip that begins with a neuron; strips are equal parts of a period."""
    column = low % period
    most = -(-period // -(-period // STRIP))
    return Strip(low, min(most, period - column, n - low), column)


@jit
def row(desk, begin, size):
    """A row of a desk or sheet, as long as the strip."""
    return cut(desk, begin, begin + size)


@jit
def devices_on(desk, size):
    """The devices of a strip, where they lie on its desk."""
    return DeviceArrays(
        row(desk, A, size),
        row(desk, B, size),
        row(desk, GAIN, size),
        row(desk, THRESHOLD, size),
        row(desk, RESET, size),
    )


@jit
def lay_out(devices, rule, strip, desk):
    """Put the devices of a strip onto its desk."""
    for j in range(strip.size):
        desk[A + j] = devices.a[strip.low + j]
        desk[B + j] = devices.b[strip.low + j]
        desk[GAIN + j] = devices.gain[strip.low + j]
        desk[THRESHOLD + j] = devices.threshold[strip.low + j]
        desk[RESET + j] = devices.reset[strip.low + j]
        desk[STEEP + j] = type(desk[0])(rule.sharpness) / devices.threshold[strip.low + j]


@jit
def put_to_rest(rest, desk, wait):
    """Put a strip to rest."""
    for j in range(rest.size):
        desk[X + j], desk[CARRIED + j], wait[j] = rest[j], type(desk[0])(0.0), 0
