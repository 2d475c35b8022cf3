"""Convolutions of size 3 x 3 by fewer multiplications: 16 for 2 x 2 outputs instead of 36.

Winograd's minimal filtering (Lavin and Gray 2016, "Fast algorithms for convolutional neural networks"). Patches of
4 x 4 inputs become 16 sums, whose products with the 16 sums of a kernel are added over the channels, and become 2 x 2
outputs. It rounds otherwise than a plain sum (relative differences of 1e-6 in float32), which is why it serves
gradients only: what a student computes forwards is what the engine computes.
"""

from __future__ import annotations

import numpy as np

from eventsim.kernels._jit import jit
from eventsim.kernels._vector import REGISTER, patch_in, patch_out
from eventsim.kernels.linear import multiply_block, paint

POSITIONS = 16


@jit
def kernel_sums(weight, columns, first, last, out):
    """Sums of kernels, as panels ``first .. last - 1`` of ``columns`` targets.

    Parameters
    ----------
    weight : float array, shape (3, 3, inputs, targets)
    out : float array, shape (16, panels, inputs, columns)
        Written; targets are a multiple of ``columns``.
    """
    half = type(weight[0, 0, 0, 0])(0.5)
    lines = np.empty((4, 3), weight.dtype)
    for n in range(first, last):
        for i in range(weight.shape[2]):
            for c in range(columns):
                for x in range(3):
                    top, low = weight[0, x, i, n * columns + c], weight[2, x, i, n * columns + c]
                    middle = weight[1, x, i, n * columns + c]
                    lines[0, x], lines[3, x] = top, low
                    lines[1, x], lines[2, x] = half * (top + middle + low), half * (top - middle + low)
                for y in range(4):
                    left, middle, right = lines[y, 0], lines[y, 1], lines[y, 2]
                    out[4 * y, n, i, c], out[4 * y + 3, n, i, c] = left, right
                    out[4 * y + 1, n, i, c] = half * (left + middle + right)
                    out[4 * y + 2, n, i, c] = half * (left - middle + right)


@jit
def convolve(images, first, last, plan, dense, panels, out):
    """Convolve images ``first .. last - 1`` with kernels of 3 x 3, stride 1.

    Parameters
    ----------
    images : float array, shape (images, height, width, channels)
    plan : Plan
        Of the convolution; its canvas has room for a last patch in each direction.
    dense : Plan
        Of a dense layer from as many channels: a patch is one of its images.
    panels : float array, shape (16, panels, channels, columns)
        From :func:`kernel_sums`.
    out : float array, shape (images, height, width, targets)
        Written. Channels and targets are multiples of a register.
    """
    channels, targets = images.shape[3], out.shape[3]
    canvas = np.zeros(plan.canvas[0] * plan.canvas[1] * channels, panels.dtype)
    block = dense.images
    sums = np.empty((POSITIONS, block, channels), panels.dtype)
    products = np.empty((POSITIONS, block, targets), panels.dtype)
    patch = np.empty((4, targets), panels.dtype)
    item, made, scratch = panels.itemsize, out.ctypes.data, patch.ctypes.data
    across = -(-out.shape[2] // 2)
    patches = -(-out.shape[1] // 2) * across
    for i in range(first, last):
        paint(images[i], plan, canvas)
        for low in range(0, patches, block):
            number = min(block, patches - low)
            _sum_patches(canvas, plan.canvas[1], across, low, number, sums)
            for n in range(POSITIONS):
                multiply_block(sums[n].reshape(-1), dense, panels[n], products[n, :number])
            for p in range(number):
                y, x = (low + p) // across * 2, (low + p) % across * 2
                if y + 1 < out.shape[1] and x + 1 < out.shape[2]:
                    to = ((i * out.shape[1] + y) * out.shape[2] + x) * targets
                    _finish(products, p, made + item * to, out.shape[2] * targets)
                else:
                    _finish(products, p, scratch, 2 * targets)
                    for k in range(4):
                        if y + k // 2 < out.shape[1] and x + k % 2 < out.shape[2]:
                            out[i, y + k // 2, x + k % 2] = patch[k]


@jit
def _sum_patches(canvas, width, across, low, number, sums):
    """The 16 sums of patches ``low .. low + number - 1``."""
    zero, item, channels = type(canvas[0])(0), canvas.itemsize, sums.shape[2]
    apart = sums.shape[1] * channels
    x, out = canvas.ctypes.data, sums.ctypes.data
    for p in range(number):
        corner = ((low + p) // across * 2 * width + (low + p) % across * 2) * channels
        for c in range(0, channels, REGISTER // item):
            start, to = x + item * (corner + c), out + item * (p * channels + c)
            patch_in(zero, start, width * channels, channels, to, 4 * apart, apart)


@jit
def _finish(products, p, to, down):
    """The 2 x 2 outputs of patch p, whose rows are ``down`` entries apart."""
    zero, item, targets = type(products[0, 0, 0])(0), products.itemsize, products.shape[2]
    apart = products.shape[1] * targets
    x = products.ctypes.data
    for c in range(0, targets, REGISTER // item):
        patch_out(zero, x + item * (p * targets + c), 4 * apart, apart, to + item * c, down, targets)
