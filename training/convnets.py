"""Convolutional models by name: those of the published students, as far as they are known.

Convolutions have no biases and stand before a batch normalisation and a unit; samples are shaped channels last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eventsim.training.builders import Pool, Stack, pooling
from eventsim.training.layer import Layer, Shape
from eventsim.training.linear import Conv, Grid
from eventsim.training.model import Model
from eventsim.training.norm import BatchNorm
from eventsim.training.shaping import Flatten

_P: Literal["P"] = "P"
_TWO = (128, _P, 128, _P)
_SIX = (32, 32, _P, 64, 64, _P, 128, 128, _P)
_FIVE = (16, 32, _P, 32, 64, _P, 64, _P)
_VGG11 = (64, _P, 128, _P, 256, 256, _P, 512, 512, _P, 512, 512, _P)


def two_conv(
    unit: Layer,
    *,
    inputs: Shape = (28, 28, 1),
    classes: int = 10,
    width: float = 1.0,
    grid: Grid | None = None,
    pool: Pool = "avg",
) -> Model:
    """The "2conv" net of KDSNN (Xu et al. 2023): 128-P-128-P, FC 1152, FC classes, and no biases.

    Its 7,385,984 weights on samples of (28, 28, 1) are those behind the 7.39 M that the authors print. They pool by the
    maximum; the average, the default here, keeps RateBP free of a choice.

    Parameters
    ----------
    unit : Layer
        ``Spiking(neuron)`` for a student, ``ReLU()`` for a teacher.
    inputs : tuple of int
        (height, width, channels).
    classes : int
    width : float
        Factor for all hidden channels.
    grid : Grid, optional
        Conductance levels of the weights; real weights if left out.
    pool : "avg" or "max"

    Raises
    ------
    NetworkError
        Shapes, a unit, a width or a pooling that are not usable.
    """
    return _net(_TWO, (1152,), (3, 3), unit, inputs, classes, width, grid, pool)


def six_conv(
    unit: Layer,
    *,
    inputs: Shape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    grid: Grid | None = None,
    pool: Pool = "avg",
) -> Model:
    """Six convolutions and two dense layers, for CIFAR-10: 32-32-P-64-64-P-128-128-P, FC 256, FC classes.

    Li et al. (spin-based SNN distillation) name such a net, "6Conv+2FC", without its channels: these are ours, as is
    the batch normalisation. ``width=2`` is the wide option. Parameters as for :func:`two_conv`.
    """
    return _net(_SIX, (256,), (3, 3), unit, inputs, classes, width, grid, pool)


def five_conv_1d(
    unit: Layer,
    *,
    inputs: Shape = (128, 9),
    classes: int = 6,
    width: float = 1.0,
    grid: Grid | None = None,
    pool: Pool = "avg",
) -> Model:
    """Five convolutions of 5 in one dimension and two dense layers: 16-32-P-32-64-P-64-P, FC 64, FC classes.

    Li et al. name it, "5Conv+2FC", without its channels: these are ours. ``inputs`` are (length, channels):
    (128, 9) and 6 classes for UCI-HAR; (187, 1) and 4 classes, or the like, for beats of MIT-BIH. Parameters as for
    :func:`two_conv`.
    """
    return _net(_FIVE, (64,), (5,), unit, inputs, classes, width, grid, pool)


def vgg11(
    unit: Layer,
    *,
    inputs: Shape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    grid: Grid | None = None,
    pool: Pool = "avg",
) -> Model:
    """VGG-11: 64-P-128-P-256-256-P-512-512-P-512-512-P, FC 512, FC 512, FC classes; 9.75 M weights.

    Parameters as for :func:`two_conv`; at least 32 by 32 places, as five poolings halve them.
    """
    return _net(_VGG11, (512, 512), (3, 3), unit, inputs, classes, width, grid, pool)


def conv_norm(sources: int, targets: int, size: tuple[int, ...], grid: Grid | None, stride: int = 1) -> list[Layer]:
    """A convolution that keeps the places (or divides them by its stride), and its normalisation."""
    conv = Conv(sources, targets, size, stride=stride, padding=(size[0] - 1) // 2, grid=grid)
    return [conv, BatchNorm(targets)]


def _net(
    features: Sequence[int | Literal["P"]],
    dense: Sequence[int],
    size: tuple[int, ...],
    unit: Layer,
    inputs: Shape,
    classes: int,
    width: float,
    grid: Grid | None,
    pool: Pool,
) -> Model:
    """Convolutions of a size by their channels and poolings, dense layers by their targets."""
    stack = Stack(inputs, unit, width, axes=len(size) + 1)
    for entry in features:
        if isinstance(entry, str):
            stack.add(pooling(pool))
        else:
            stack.add(*conv_norm(stack.channels, stack.wide(entry), size, grid), stack.unit)
    stack.add(Flatten())
    for targets in dense:
        stack.dense(stack.wide(targets), grid)
        stack.add(stack.unit)
    stack.dense(classes, grid)
    return stack.model()
