"""Pooling over windows of images, channels last, and its gradient."""

from __future__ import annotations

from eventsim.kernels._jit import jit


@jit
def sums(images, first, last, size, stride, out):
    """Sum over windows, for images ``first .. last - 1``.

    Parameters
    ----------
    images : array, shape (images, height, width, channels)
    size, stride : tuple of int
        (y, x).
    out : array, shape (images, rows, columns, channels)
        Written.
    """
    _, rows, columns, channels = out.shape
    for i in range(first, last):
        for y in range(rows):
            for x in range(columns):
                to = out[i, y, x]
                to[:] = 0
                for dy in range(size[0]):
                    for dx in range(size[1]):
                        own = images[i, y * stride[0] + dy, x * stride[1] + dx]
                        for c in range(channels):
                            to[c] += own[c]


@jit
def spread(grad, first, last, size, stride, factor, out):
    """Gradient of :func:`sums` times a factor: every window hands its gradient to all its places."""
    _, rows, columns, channels = grad.shape
    for i in range(first, last):
        out[i] = 0
        for y in range(rows):
            for x in range(columns):
                own = grad[i, y, x]
                for dy in range(size[0]):
                    for dx in range(size[1]):
                        to = out[i, y * stride[0] + dy, x * stride[1] + dx]
                        for c in range(channels):
                            to[c] += own[c] * factor


@jit
def largest(images, first, last, size, stride, out, winner):
    """Largest of every window, and its place in the window (the first of equals)."""
    _, rows, columns, channels = out.shape
    for i in range(first, last):
        for y in range(rows):
            for x in range(columns):
                to, who = out[i, y, x], winner[i, y, x]
                for dy in range(size[0]):
                    for dx in range(size[1]):
                        own = images[i, y * stride[0] + dy, x * stride[1] + dx]
                        for c in range(channels):
                            if (dy == 0 and dx == 0) or own[c] > to[c]:
                                to[c] = own[c]
                                who[c] = dy * size[1] + dx


@jit
def route(grad, first, last, size, stride, winner, out):
    """Gradient of :func:`largest`: every window hands its gradient to its winner."""
    _, rows, columns, channels = grad.shape
    for i in range(first, last):
        out[i] = 0
        for y in range(rows):
            for x in range(columns):
                own, who = grad[i, y, x], winner[i, y, x]
                for c in range(channels):
                    dy, dx = who[c] // size[1], who[c] % size[1]
                    out[i, y * stride[0] + dy, x * stride[1] + dx, c] += own[c]


@jit
def route_shares(grad, first, last, size, stride, share, out):
    """Every window hands all its places their share, shape (images, places, rows, columns, channels)."""
    _, rows, columns, channels = grad.shape
    for i in range(first, last):
        out[i] = 0
        for y in range(rows):
            for x in range(columns):
                own = grad[i, y, x]
                for dy in range(size[0]):
                    for dx in range(size[1]):
                        to, part = out[i, y * stride[0] + dy, x * stride[1] + dx], share[i, dy * size[1] + dx, y, x]
                        for c in range(channels):
                            to[c] += own[c] * part[c]
