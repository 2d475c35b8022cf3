"""Layers without neurons and weights: rectification, flattening, dropout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eventsim import keys
from eventsim.checks import is_real
from eventsim.errors import NetworkError
from eventsim.kernels.rectify import rectify
from eventsim.training.layer import Back, Mode, Parameterless, Shape, Step
from eventsim.training.signal import Array, Signal, size_of


class ReLU(Parameterless):
    """``max(x, 0)``, for teachers."""

    def forward(self, params: object, x: Signal, mode: Mode) -> Step:
        if x.whole:
            x = Signal(x.plain(mode.kind))
        values, channels = np.ascontiguousarray(x.values), x.values.shape[-1]
        rows = values.reshape(*values.shape[:2], -1, channels)
        scale, bias = (np.broadcast_to(row, (len(row), channels)).copy() for row in x.line(values.dtype))
        shape = (len(rows), max(rows.shape[1], len(scale), len(bias)), *rows.shape[2:])
        out, positive = np.empty(shape, values.dtype), np.empty(shape, np.uint8)
        mode.workers(lambda a, z: rectify(rows, a, z, scale, bias, out, positive), len(rows), out.size)
        positive, out = (made.reshape(*shape[:2], *values.shape[2:]) for made in (positive, out))
        return Step(Signal(out), mode.keep(Signal(positive, most=1)) if mode.training else None)

    def backward(self, params: object, kept: Signal, grad: Array, mode: Mode, inner: bool) -> Back:
        """Multiply by the slope, or by its mean over the ticks (RateBP)."""
        return Back(grad * kept.plain(grad.dtype) if inner else None)


class Flatten(Parameterless):
    """Samples of any shape become rows, channels last."""

    def shape(self, shape: Shape) -> Shape:
        return (size_of(shape),)

    def forward(self, params: object, x: Signal, mode: Mode) -> Step:
        shape = x.values.shape
        rows = x.values.reshape(*shape[:2], -1)
        times = (1, rows.shape[2] // shape[-1])
        scale, bias = (row if row is None or row.shape[1] == 1 else np.tile(row, times) for row in (x.scale, x.bias))
        return Step(Signal(rows, scale, bias, x.most), shape[2:])

    def backward(self, params: object, kept: Shape, grad: Array, mode: Mode, inner: bool) -> Back:
        return Back(grad.reshape(*grad.shape[:2], *kept) if inner else None)


@dataclass(frozen=True)
class Dropout(Parameterless):
    """Drop inputs with a probability in training; the same ones in all ticks of a sample.

    Parameters
    ----------
    rate : float
        Probability; what is left is divided by 1 - rate.

    Raises
    ------
    NetworkError
        A rate that is not from 0 to less than 1.
    """

    rate: float

    def __post_init__(self) -> None:
        if not (is_real(self.rate) and 0 <= self.rate < 1):
            raise NetworkError(
                "The rate of a dropout is not usable.",
                given=repr(self.rate),
                expected="0 up to below 1",
                repair="Dropout(0.5)",
            )

    def forward(self, params: object, x: Signal, mode: Mode) -> Step:
        if not mode.training or self.rate == 0:
            return Step(x)
        if x.bias is not None:
            x = Signal(x.plain(mode.kind))
        shape = (len(x.values), 1, *x.values.shape[2:])
        u = keys.uniform(mode.seed, f"dropout/{mode.place}", size_of(shape), mode.step)
        kept = (u >= self.rate).reshape(shape)
        scale = x.line(np.float64 if x.whole else x.values.dtype)[0] / (1 - self.rate)
        return Step(x._replace(values=x.values * kept.astype(x.values.dtype), scale=scale), kept)

    def backward(self, params: object, kept: Array | None, grad: Array, mode: Mode, inner: bool) -> Back:
        if kept is None or not inner:
            return Back(grad if inner else None)
        return Back(grad * (kept.astype(grad.dtype) / grad.dtype.type(1 - self.rate)))
