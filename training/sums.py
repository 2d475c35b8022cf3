"""Sums over windows and their gradients, shared out over threads.

Sums, and gradients by weights, have the same bits whichever kernel does them. Gradients by the inputs of some
convolutions are summed by :mod:`eventsim.kernels.winograd`, which rounds otherwise; their shape decides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim.kernels import additions, linear, winograd
from eventsim.kernels.linear import Plan
from eventsim.parallel import Workers
from eventsim.training.signal import Array, Signal, as_images
from eventsim.training.window import Phase, Window, filling, forward_plan, phases

_ADDED, _FOUND, _LOOKED, _BEGUN, _LAID = 1.4, 130.0, 20.0, 400.0, 1000.0
"""What it costs to add a weight, to find a spike, to look at an input, to begin a list of spikes, and to lay out a
stripe of a window's gradient, in multiplications."""
_PER_OPERATION = 8
"""Multiplications that a vector does at once."""
_SPIKING = 8
"""One input in so many has a spike, about."""
_PATCHED = 32
"""Channels come in multiples of this where sums of patches pay: whole panels in the registers of every machine."""
_AT_ONCE = 2**25
"""Inputs of the canvases that the gradient by the weights works on at a time."""


def _sparse(images: NDArray[Any], plan: Plan, weight: Array, begun: float) -> bool:
    """Whether it is faster to find the spikes and add their weights than to multiply all inputs.

    ``begun`` is what a stripe of targets costs before the first spike is added.
    """
    if images.dtype != np.uint8:
        return False
    spikes, inputs = np.count_nonzero(images), images.size
    own = weight.shape[1] // plan.groups
    sums = len(images) * plan.windows * len(weight) * plan.groups / inputs  # that an input is part of, target by target
    wide, columns = linear.panel_columns(weight.dtype, own), additions.stripe_columns(weight.dtype)
    stripes = -(-own // columns)
    added = spikes * (_ADDED * sums * stripes * columns + _FOUND) + inputs * _LOOKED + begun * stripes * plan.groups
    return bool(added < inputs * sums * -(-own // wide) * wide)


def _sums_begun(images: NDArray[Any], plan: Plan) -> float:
    """A list of spikes for each run of each window."""
    return _BEGUN * len(images) * plan.windows * len(plan.offset)


def _gradient_begun(images: NDArray[Any], plan: Plan) -> float:
    """For each row of a window all gradients, and a list of spikes for each of its inputs and each strip of pixels."""
    lists: int = linear.blocks(len(images), plan) * additions.strips(plan) * plan.size[1] * plan.depth
    return plan.size[0] * (_LAID * len(images) * plan.windows + _BEGUN * lists)


def _packed(rows: Array, groups: int, columns: int, workers: Workers) -> Array:
    """Weights, or a gradient by sums, in panels."""
    panels = np.empty((groups * -(-(rows.shape[1] // groups) // columns), len(rows), columns), rows.dtype)
    rows = np.ascontiguousarray(rows)
    workers(lambda a, z: linear.pack(rows, groups, a, z, panels), len(rows), panels.size)
    return panels


def _multiplied(images: NDArray[Any], plan: Plan, weight: Array, workers: Workers) -> Array:
    """Sums of real inputs, shape (images * windows, targets)."""
    out = np.empty((len(images) * plan.windows, weight.shape[1]), weight.dtype)
    columns = linear.panel_columns(weight.dtype, weight.shape[1] // plan.groups)
    panels = _packed(weight, plan.groups, columns, workers)
    count, operations = linear.blocks(len(images), plan), len(out) * weight.size // _PER_OPERATION
    workers(lambda a, z: linear.products(images, a, z, plan, panels, out), count, operations)
    return out


def _added(images: NDArray[np.uint8], plan: Plan, weight: Array, workers: Workers, *, counted: bool) -> Array:
    """Sums of spikes."""
    out = np.empty((len(images) * plan.windows, weight.shape[1]), weight.dtype)
    panels = _packed(weight, plan.groups, additions.stripe_columns(weight.dtype), workers)
    operations = images.size + len(out) * weight.size // (_SPIKING * _PER_OPERATION)
    count = linear.blocks(len(images), plan)
    workers(lambda a, z: additions.additions(images, a, z, plan, panels, counted, out), count, operations)
    return out


def _filled(images: NDArray[Any], weight: Array, groups: int) -> tuple[NDArray[Any], Array]:
    """Images and weights with channels of zeros, if theirs are of a bad number: zeros do not change a sum."""
    depth = images.shape[3] // groups
    more = (0, filling(depth))
    if not more[1]:
        return images, weight
    apart = np.pad(images.reshape(*images.shape[:3], groups, depth), (*[(0, 0)] * 4, more))
    rows = np.pad(weight.reshape(-1, depth, weight.shape[1]), ((0, 0), more, (0, 0)))
    return apart.reshape(*images.shape[:3], -1), rows.reshape(-1, weight.shape[1])


def sums_of(x: Signal, weight: Array, window: Window, workers: Workers) -> Array:
    """Sums of a signal's values over windows.

    Parameters
    ----------
    x : Signal
        Values of shape (batch, ticks, ..., channels); its line is left aside.
    weight : array, shape (inputs of a window, targets)
    window : Window
    workers : Workers

    Returns
    -------
    array, shape (batch, ticks, ..., targets)
    """
    images, weight = _filled(as_images(x.values), weight, window.groups)
    plan = forward_plan(window, *images.shape[1:])
    if _sparse(images, plan, weight, _sums_begun(images, plan)):
        out = _added(images, plan, weight, workers, counted=x.most > 1)
    else:
        out = _multiplied(images, plan, weight, workers)
    return out.reshape(*x.values.shape[:2], *plan.out[5 - x.values.ndim :], weight.shape[1])


def by_input_of(grad: Array, weight: Array, window: Window, shape: tuple[int, ...], workers: Workers) -> Array:
    """Gradient by the inputs, of a shape, from that by the sums: sums over the windows that an input is in."""
    images = as_images(grad.astype(weight.dtype, copy=False))
    (ky, kx), groups = window.size, window.groups
    own = weight.shape[1] // groups
    turned = weight.reshape(ky, kx, -1, groups, own)[::-1, ::-1].transpose(0, 1, 4, 3, 2)
    height, width = (1, 1, *shape[2:-1])[-2:]
    if _suits_patches(window, images.shape[3], shape[-1]):
        kernel = turned.reshape(ky, kx, own, -1)
        return _patched(images, kernel, window, (height, width), workers).reshape(shape)
    images, rows = _filled(images, turned.reshape(ky * kx * own, -1), groups)
    kernel = rows.reshape(ky, kx, -1, rows.shape[1])
    parts = phases(window, height, width, images.shape[3])
    if window.stride == (1, 1):
        return _of_phase(parts[0], images, kernel, workers).reshape(shape)
    out = np.zeros((len(images), height, width, shape[-1]), kernel.dtype)
    for phase in parts:
        out[:, *phase.inputs] = _of_phase(phase, images, kernel, workers)
    return out.reshape(shape)


def _of_phase(phase: Phase, images: Array, kernel: Array, workers: Workers) -> Array:
    """Gradient by the inputs of a phase, from a turned kernel."""
    images, taps = np.ascontiguousarray(images[:, *phase.outputs]), kernel[phase.taps]
    sums = _multiplied(images, phase.plan, taps.reshape(-1, kernel.shape[3]), workers)
    return sums.reshape(len(images), *phase.plan.out, -1)


def _suits_patches(window: Window, channels: int, targets: int) -> bool:
    """Whether fewer multiplications pay, and the kernels for them fit."""
    plain = window.size == (3, 3) and window.stride == (1, 1) and window.groups == 1
    return plain and channels % _PATCHED == 0 and targets % _PATCHED == 0


def _patched(images: Array, kernel: Array, window: Window, size: tuple[int, int], workers: Workers) -> Array:
    """Gradient by inputs of a size, by :mod:`eventsim.kernels.winograd`."""
    channels, targets = kernel.shape[2:]
    columns = linear.panel_columns(kernel.dtype, targets)
    operations = images.size * targets // _PER_OPERATION
    panels = np.empty((winograd.POSITIONS, targets // columns, channels, columns), kernel.dtype)
    workers(lambda a, z: winograd.kernel_sums(kernel, columns, a, z, panels), targets // columns, operations)
    plan = phases(window, *(n + n % 2 for n in size), channels)[0].plan
    dense = forward_plan(Window((1, 1)), 1, 1, channels)
    out = np.empty((len(images), *size, targets), kernel.dtype)
    workers(lambda a, z: winograd.convolve(images, a, z, plan, dense, panels, out), len(images), operations)
    return out


def by_weight_of(x: Signal, grad: Array, weight: Array, window: Window, workers: Workers) -> Array:
    """Gradient by the weights, shape (inputs of a window, targets), from the input and the gradient by the sums."""
    depth = x.values.shape[-1] // window.groups
    images, weight = _filled(as_images(x.values), weight, window.groups)
    rows = np.ascontiguousarray(grad, weight.dtype).reshape(-1, grad.shape[-1])
    plan = forward_plan(window, *images.shape[1:])
    sparse = _sparse(images, plan, weight, _gradient_begun(images, plan))
    out: Array = np.zeros(weight.shape, weight.dtype) if sparse else np.empty(weight.shape, weight.dtype)
    together = max(1, _AT_ONCE // (plan.images * math.prod(plan.canvas))) * plan.images
    for start in range(0, len(images), together):
        some = images[start : start + together]
        own = rows[start * plan.windows : (start + len(some)) * plan.windows]
        if sparse:
            _add_of_spikes(some, own, plan, out, workers, counted=x.most > 1)
        else:
            _add_of_reals(some, own, plan, out, workers, fresh=start == 0)
    if len(weight) // math.prod(window.size) > depth:
        out = out.reshape(*window.size, -1, weight.shape[1])[:, :, :depth].reshape(-1, weight.shape[1])
    unit = x.unit
    return out if unit == 1.0 else out * weight.dtype.type(unit)


def _add_of_reals(images: NDArray[Any], grad: Array, plan: Plan, out: Array, workers: Workers, *, fresh: bool) -> None:
    count, columns = linear.blocks(len(images), plan), linear.panel_columns(grad.dtype, grad.shape[1] // plan.groups)
    canvases = np.zeros((count, plan.images * math.prod(plan.canvas) + linear.ROWS), grad.dtype)
    workers(lambda a, z: linear.paint_blocks(images, a, z, plan, canvases), count, canvases.size)
    slopes = _packed(grad, plan.groups, columns, workers)
    operations = len(grad) * out.size // _PER_OPERATION
    workers(lambda a, z: linear.by_weight(canvases, slopes, plan, a, z, fresh, out), len(slopes), operations)


def _add_of_spikes(
    images: NDArray[np.uint8], grad: Array, plan: Plan, out: Array, workers: Workers, *, counted: bool
) -> None:
    count, columns = linear.blocks(len(images), plan), additions.stripe_columns(grad.dtype)
    size = plan.images * math.prod(plan.canvas)
    spikes, counts = np.empty((count, size), np.int32), np.empty((count, size if counted else 0), grad.dtype)
    starts = np.empty((count, additions.strips(plan) * plan.canvas[2] + 1), np.int32)
    workers(lambda a, z: additions.list_channels(images, a, z, plan, spikes, counts, starts), count, images.size)
    tasks = plan.groups * -(-(grad.shape[1] // plan.groups) // columns) * plan.size[0]

    def some(first: int, last: int) -> None:
        additions.by_weight_of_spikes(spikes, counts, starts, grad, plan, first, last, columns, out)

    workers(some, tasks, images.size + len(grad) * out.size // (_SPIKING * _PER_OPERATION))
