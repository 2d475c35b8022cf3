"""What augmentation does to a batch of images; a signal is an image of height 1."""

from __future__ import annotations

import math

import numpy as np

from eventsim.kernels import cycle, rng
from eventsim.kernels._jit import inline, jit
from eventsim.kernels._memory import cut


@jit
def uniforms(seed, stream, counters, out):
    """Draw ``out[b, k]``, the uniform number of key (seed, stream, k, ``counters[b]``).

    Parameters
    ----------
    seed, stream : uint64
    counters : uint64 array, shape (batch,)
    out : float64 array, shape (batch, draws)
    """
    samples, draws = out.shape
    for b in range(samples):
        for k in range(draws):
            r0, r1, _, _ = rng.block(seed, stream, np.uint64(k), counters[b])
            out[b, k] = rng.unit(r0, r1)


@jit
def shift(x, down, right, out):
    """Move the content of each image, and fill with zeros.

    Parameters
    ----------
    x, out : contiguous float array, shape (batch, height, width, channels)
    down, right : int array, shape (batch,)
        Less than height and width either way.
    """
    samples, height, width, channels = x.shape
    line, source, target = width * channels, x.reshape(-1), out.reshape(-1)
    for b in range(samples):
        dy, dx = down[b], right[b] * channels
        _wipe(cut(target, b * height * line, (b + 1) * height * line))
        for row in range(max(dy, 0), min(height + dy, height)):
            old, new = (b * height + row - dy) * line, (b * height + row) * line
            _copy(
                cut(source, old + max(-dx, 0), old + line - max(dx, 0)),
                cut(target, new + max(dx, 0), new + line - max(-dx, 0)),
            )


@jit
def flip(x, flipped, out):
    """Mirror left and right in the images that are ``flipped``.

    Parameters
    ----------
    x, out : contiguous float array, shape (batch, height, width, channels)
    flipped : bool array, shape (batch,)
    """
    samples, height, width, channels = x.shape
    line, source, target = width * channels, x.reshape(-1), out.reshape(-1)
    for b in range(samples):
        for row in range(height):
            at = (b * height + row) * line
            old, new = cut(source, at, at + line), cut(target, at, at + line)
            if flipped[b]:
                _mirror(old, channels, new)
            else:
                _copy(old, new)


@jit
def rotate(x, cosine, sine, out):
    """Turn each image about its middle, and fill with zeros; values between pixels are bilinear.

    A point (y, x) from the middle goes to (cosine y - sine x, sine y + cosine x).

    Parameters
    ----------
    x, out : contiguous float array, shape (batch, height, width, channels)
    cosine, sine : float array, shape (batch,)
    """
    samples, height, width, channels = x.shape
    y0, x0 = 0.5 * (height - 1), 0.5 * (width - 1)
    for b in range(samples):
        c, s = cosine[b], sine[b]
        for i in range(height):
            for j in range(width):
                y, z = c * (i - y0) + s * (j - x0) + y0, -s * (i - y0) + c * (j - x0) + x0
                top, left = math.floor(y), math.floor(z)
                for k in range(channels):
                    above = _between(x, b, top, left, k, z - left)
                    below = _between(x, b, top + 1, left, k, z - left)
                    out[b, i, j, k] = above + (y - top) * (below - above)


@jit
def wipe(x, row, column, size):
    """Wipe a square of each image, what there is of it.

    Parameters
    ----------
    x : contiguous float array, shape (batch, height, width, channels)
        Changed.
    row, column : int array, shape (batch,)
        Upper left corner of each square; may lie outside.
    size : int
        Side of the squares.
    """
    samples, height, width, channels = x.shape
    line, target = width * channels, x.reshape(-1)
    for b in range(samples):
        left, right = max(column[b], 0), min(column[b] + size, width)
        for i in range(max(row[b], 0), min(row[b] + size, height)):
            at = (b * height + i) * line
            _wipe(cut(target, at + left * channels, at + right * channels))


@inline
def _between(x, b, row, left, k, share):
    """Value of a row of an image, ``share`` of the way from one column to the next; zero outside."""
    one = two = 0.0
    if 0 <= row < x.shape[1]:
        if 0 <= left < x.shape[2]:
            one = np.float64(x[b, row, left, k])
        if 0 <= left + 1 < x.shape[2]:
            two = np.float64(x[b, row, left + 1, k])
    return one + share * (two - one)


@inline
def _copy(old, new):
    for i in range(new.size):
        new[i] = old[i]


@inline
def _wipe(new):
    for i in range(new.size):
        new[i] = 0


@inline
def _mirror(old, channels, new):
    for i in range(0, new.size, channels):
        for c in range(channels):
            new[i + c] = old[new.size - channels - i + c]


@jit
def normals(table, seed, stream, counters, words, out):
    """Draw ``out[b, i]``, the normal number of key (seed, stream, i, ``counters[b]``).

    Parameters
    ----------
    table : float32 array
        :func:`eventsim.kernels.cycle.table` of the normal law.
    seed, stream : uint64
    counters : uint64 array, shape (batch,)
    words : uint32 array, shape (at least n + 128,)
        Scratch.
    out : float32 array, shape (batch, n)
    """
    for b in range(out.shape[0]):
        cycle.fill(table, seed, stream, np.uint64(0), counters[b], words, out[b])
