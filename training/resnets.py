"""Residual models by name.

A block is ``unit(bn2(conv2(unit(bn1(conv1 x)))) + shortcut x)``, the shortcut a 1 x 1 convolution with its
normalisation where channels or places change; with ``add="spike"`` it is that of SEW-ResNet (Fang et al. 2021), which
adds what the units of both branches emit.
"""

from __future__ import annotations

from collections.abc import Sequence

from eventsim.training.builders import Stack
from eventsim.training.convnets import conv_norm
from eventsim.training.layer import Layer, Shape
from eventsim.training.linear import Grid
from eventsim.training.model import Model
from eventsim.training.pooling import GlobalPool
from eventsim.training.residual import Add, Residual


def resnet18(
    unit: Layer,
    *,
    inputs: Shape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    grid: Grid | None = None,
    add: Add = "current",
    stride: int = 1,
) -> Model:
    """ResNet-18 for small images, 11.17 M weights: a stem of 3 x 3 without pooling, 64-128-256-512 in two blocks each.

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
    add : "current" or "spike"
        What the branches of a block add.
    stride : int
        Of the stem; 2 leaves a quarter of the places, and of the work, to all that follows.

    Raises
    ------
    NetworkError
        Shapes, a unit, a width, an addition or a stride that are not usable.
    """
    stack = Stack(inputs, unit, width, axes=3)
    _stem(stack, stack.wide(64), grid, stride)
    return _net(stack, ((64, 2), (128, 2), (256, 2), (512, 2)), (), classes, grid, add)


def resnet19(
    unit: Layer,
    *,
    inputs: Shape = (32, 32, 3),
    classes: int = 10,
    width: float = 1.0,
    grid: Grid | None = None,
    add: Add = "current",
    stride: int = 1,
) -> Model:
    """ResNet-19 of spiking networks: 128-256-512 in 3, 3 and 2 blocks, FC 256 with a unit, FC classes; 12.7 M weights.

    Parameters as for :func:`resnet18`.
    """
    stack = Stack(inputs, unit, width, axes=3)
    _stem(stack, stack.wide(128), grid, stride)
    return _net(stack, ((128, 3), (256, 3), (512, 2)), (256,), classes, grid, add)


def wide_resnet16(
    unit: Layer,
    *,
    inputs: Shape = (32, 32, 3),
    classes: int = 10,
    width: float = 2.0,
    grid: Grid | None = None,
    add: Add = "current",
    stride: int = 1,
) -> Model:
    """WRN-16-2 (Zagoruyko and Komodakis 2016), 0.69 M weights: a stem of 16, 16-32-64 times the width in two blocks.

    Units stand behind the normalisations and the addition, as in the other nets, and not before the convolutions: what
    flows from block to block are spikes then, which the engine can deliver. The weights are the same in number.
    Parameters as for :func:`resnet18`.
    """
    stack = Stack(inputs, unit, width, axes=3)
    _stem(stack, 16, grid, stride)
    return _net(stack, ((16, 2), (32, 2), (64, 2)), (), classes, grid, add)


def _stem(stack: Stack, channels: int, grid: Grid | None, stride: int) -> None:
    stack.add(*conv_norm(stack.channels, channels, (3, 3), grid, stride), stack.unit)


def _net(
    stack: Stack,
    stages: Sequence[tuple[int, int]],
    dense: Sequence[int],
    classes: int,
    grid: Grid | None,
    add: Add,
) -> Model:
    """Stages by channels and blocks; all but the first one halve the places."""
    for i, (channels, blocks) in enumerate(stages):
        for j in range(blocks):
            stride = 2 if i and not j else 1
            stack.add(*_block(stack.channels, stack.wide(channels), stride, stack.unit, grid, add))
    stack.add(GlobalPool())
    for targets in dense:
        stack.dense(stack.wide(targets), grid)
        stack.add(stack.unit)
    stack.dense(classes, grid)
    return stack.model()


def _block(sources: int, targets: int, stride: int, unit: Layer, grid: Grid | None, add: Add) -> list[Layer]:
    """Two convolutions and a shortcut."""
    last: list[Layer] = [unit] if add == "spike" else []
    main = [*conv_norm(sources, targets, (3, 3), grid, stride), unit, *conv_norm(targets, targets, (3, 3), grid), *last]
    changes = stride > 1 or sources != targets
    shortcut = [*conv_norm(sources, targets, (1, 1), grid, stride), *last] if changes else []
    return [Residual(main, shortcut, add), *([] if add == "spike" else [unit])]
