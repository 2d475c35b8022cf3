"""What flows between layers: values of a batch over its ticks, and the line that gives them their meaning."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from eventsim.checks import as_array
from eventsim.errors import DataError

Array = NDArray[np.floating[Any]]


class Signal(NamedTuple):
    """``bias + scale * values``: the line is kept beside the values and applied once, by whoever needs the result.

    A layer with weights gives its sums this way (they may be whole numbers of conductance levels), a normalisation only
    changes the line, and the neurons apply it. Spikes and counts of spikes are whole numbers, kept in bytes.
    """

    values: NDArray[Any]
    """Shape (batch, ticks, ..., channels); with a single tick the same in every tick."""
    scale: Array | None = None
    """Shape (1 or ticks, 1 or channels); None for 1."""
    bias: Array | None = None
    """Likewise; None for 0."""
    most: int = 0
    """Largest value, where values are whole numbers; 0 for real ones."""

    @property
    def ticks(self) -> int:
        """Ticks that are told apart."""
        return int(self.values.shape[1])

    @property
    def whole(self) -> bool:
        """Whether the values are spikes or counts."""
        return self.most > 0

    @property
    def unit(self) -> float | None:
        """The factor that all values share, where the line is no more than that."""
        if self.bias is not None:
            return None
        if self.scale is None:
            return 1.0
        return float(self.scale[0, 0]) if self.scale.size == 1 else None

    def line(self, dtype: DTypeLike) -> tuple[Array, Array]:
        """Scale and bias as arrays, each of shape (1 or ticks, 1 or channels)."""
        scale = np.ones((1, 1), dtype) if self.scale is None else np.ascontiguousarray(self.scale, dtype)
        bias = np.zeros((1, 1), dtype) if self.bias is None else np.ascontiguousarray(self.bias, dtype)
        return scale, bias

    def plain(self, dtype: DTypeLike = np.float32) -> Array:
        """What the signal stands for, as real numbers of a type (that of the values, if they are real)."""
        dtype = dtype if self.whole else self.values.dtype
        values: Array = self.values.astype(dtype, copy=False)
        if self.scale is None and self.bias is None:
            return values
        scale, bias = (along_ticks(row, self.values.ndim) for row in self.line(dtype))
        return bias + scale * values


def along_ticks(row: Array, ndim: int) -> Array:
    """Shape a row, (ticks, channels), so that it meets values of ``ndim`` axes."""
    return row.reshape(row.shape[0], *(1,) * (ndim - 3), row.shape[1])


def counts_type(most: int) -> type[np.unsignedinteger[Any]]:
    """Smallest type of whole numbers up to ``most``."""
    return np.uint8 if most < 2**8 else np.uint16 if most < 2**16 else np.uint32


def bytes_kept(kept: object, params: dict[str, Array]) -> int:
    """Bytes of the arrays that a backward pass needs besides the parameters, each counted once."""
    known = {id(_owner(value)) for value in params.values()}
    found: dict[int, int] = {}

    def visit(value: object) -> None:
        if isinstance(value, np.ndarray):
            if id(_owner(value)) not in known:
                found[id(_owner(value))] = max(found.get(id(_owner(value)), 0), value.nbytes)
        elif isinstance(value, tuple | list | dict):
            for part in value.values() if isinstance(value, dict) else value:
                visit(part)

    visit(kept)
    return sum(found.values())


def _owner(array: NDArray[Any]) -> NDArray[Any]:
    """The array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def as_images(values: NDArray[Any]) -> NDArray[Any]:
    """Samples and ticks as images, shape (images, height, width, channels); signals and rows have height or size 1."""
    return np.ascontiguousarray(values).reshape(-1, *(1,) * (5 - values.ndim), *values.shape[2:])


def size_of(shape: tuple[int, ...]) -> int:
    """Entries of a sample of this shape."""
    return math.prod(shape)


def signal(x: ArrayLike | Signal, shape: tuple[int, ...]) -> Signal:
    """Make a signal of samples of a shape.

    Parameters
    ----------
    x : array_like, shape (batch, ticks, *shape) or (batch, ticks, inputs), or Signal
        Spikes, 0 or 1, of uint8 or bool; or real values.
    shape : tuple of int
        Of a sample; rows of as many inputs are folded into it.

    Raises
    ------
    DataError
        Another shape, no sample, no tick, values that are not finite, or bytes that are no spikes.
    """
    values = x.values if isinstance(x, Signal) else as_array(x)
    folds = values.ndim >= 3 and values.shape[0] and values.shape[1] and values.shape[2:] in (shape, (size_of(shape),))
    if not folds or values.dtype.kind not in "biuf" or isinstance(x, np.ma.MaskedArray):
        raise DataError(
            "The batch does not fit the model.",
            given=f"{type(x).__name__} of {values.dtype}, shape {values.shape}",
            expected=f"(batch, ticks, {', '.join(map(str, shape))}), at least one sample and one tick",
            repair="x[:, None] for static samples, which have no axis of ticks",
        )
    values = np.ascontiguousarray(values).reshape(*values.shape[:2], *shape)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(
            "The batch has values that are not finite.",
            given=f"{np.count_nonzero(~np.isfinite(values))} of {values.size}",
            expected="finite values",
            repair="drop or replace those samples",
        )
    if isinstance(x, Signal):
        return x._replace(values=values)
    if values.dtype.kind != "f":
        if values.dtype.kind != "b" and not ((values == 0) | (values == 1)).all():
            raise DataError(
                "The batch is not made of spikes.",
                given=f"whole numbers from {values.min()} to {values.max()}",
                expected="0 and 1, or real values",
                repair="x.astype(np.float32)",
            )
        return Signal(values.astype(np.uint8), most=1)
    return Signal(values if values.dtype in (np.float32, np.float64) else values.astype(np.float32))
