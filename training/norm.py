"""Batch normalisation of signals: over all ticks together or tick by tick, for BPTT and for RateBP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import is_real
from eventsim.errors import NetworkError
from eventsim.kernels import norm
from eventsim.training.layer import Back, Mode, Params, Shape, Step, whole
from eventsim.training.signal import Array, Signal

Statistics = Literal["batch", "tick", "last"]
_Rows = NDArray[np.float64]


class _Kept(NamedTuple):
    x: Array
    """Values of the input: of every tick, or their mean (RateBP)."""
    mean: _Rows
    """Shape (1 or ticks, channels), of the values."""
    width: _Rows
    """What turns a value less its mean into a normalised one."""
    slope: _Rows
    """What turns a gradient by a normalised value into one by the input, but for its mean."""


@dataclass(frozen=True)
class BatchNorm:
    """``gamma (y - mean) / sqrt(variance + eps) + beta``, channel by channel (Ioffe and Szegedy 2015).

    In training mean and variance are those of the batch, in evaluation running ones, which every batch moves by a share
    ``momentum`` (with the unbiased variance). For RateBP the backward pass goes through mean and variance *of the
    rates* with the statistics of the spiking pass, as the published code does.

    Parameters
    ----------
    channels : int
    statistics : "batch", "tick" or "last"
        Over all ticks of the batch ("multi-step"), or of each tick by itself ("single-step": running statistics then
        move once per tick). With "tick" RateBP normalises by the mean of 1/(variance + eps) over the ticks, with "last"
        by that of the last tick, as the released code of its authors does.
    momentum, eps : float

    Raises
    ------
    NetworkError
        No channel, an unknown kind of statistics, a momentum or eps outside its range.
    """

    channels: int
    statistics: Statistics = "batch"
    momentum: float = 0.1
    eps: float = 1e-5

    def __post_init__(self) -> None:
        whole(self, "channels")
        usable = self.statistics in ("batch", "tick", "last") and is_real(self.momentum) and is_real(self.eps)
        if not (usable and 0 < self.momentum <= 1 and 0 < self.eps < 1):
            raise NetworkError(
                "The normalisation is not usable.",
                given=self,
                expected='statistics "batch", "tick" or "last", a momentum up to 1, a positive eps',
                repair="BatchNorm(64)",
            )

    def shape(self, shape: Shape) -> Shape:
        if shape[-1] != self.channels:
            raise NetworkError(
                f"{self} does not fit its input.",
                given=f"samples of shape {shape}",
                expected=f"{self.channels} channels, on the last axis",
                repair=f"BatchNorm({shape[-1]})",
            )
        return shape

    def initial(self, seed: int, name: str) -> Params:
        zero, one = np.zeros(self.channels, np.float32), np.ones(self.channels, np.float32)
        return {"gamma": one, "beta": zero, "mean": zero.copy(), "variance": one.copy()}

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        """Only the line beside the values changes."""
        kind = params["gamma"].dtype
        gamma, beta = params["gamma"].astype(np.float64), params["beta"].astype(np.float64)
        scale, bias = (row.astype(np.float64) for row in x.line(np.float64))
        if not mode.training:
            factor = gamma / np.sqrt(params["variance"].astype(np.float64) + self.eps)
            line = factor * scale, beta + factor * (bias - params["mean"])
            return Step(x._replace(scale=line[0].astype(kind), bias=line[1].astype(kind)))
        moves = max(len(scale), len(bias)) > 1
        if x.whole or moves:  # values of one line, whose moments are those of the values but for that line
            x = Signal(x.plain(kind))
            scale, bias = np.ones((1, 1)), np.zeros((1, 1))
        mean, variance = self._moments(x.values, mode)
        slope = 1 / np.sqrt(variance * scale**2 + self.eps)
        width = scale * slope
        line = gamma * width, beta - gamma * width * mean
        moved = self._moved(params, mean * scale + bias, variance * scale**2, x, mode.ticks)
        kept = _Kept(mode.keep(Signal(x.values)).values, *self._of_rates(mean, scale, slope, mode))
        return Step(Signal(x.values, line[0].astype(kind), line[1].astype(kind)), kept, moved)

    def _moments(self, values: Array, mode: Mode) -> tuple[_Rows, _Rows]:
        """Mean and (biased) variance of the values, shape (1 or ticks, channels)."""
        rows = values.reshape(*values.shape[:2], -1, self.channels)
        origin = np.ascontiguousarray(rows[0, 0, 0])
        sums = np.empty((*rows.shape[:2], 2, self.channels))
        mode.workers(lambda first, last: norm.moments(rows, first, last, origin, sums), len(rows), rows.size)
        axes: tuple[int, ...] = (0, 1) if self.statistics == "batch" else (0,)
        one, two = np.moveaxis(
            sums.sum(axis=axes) / (rows.size / self.channels / (rows.shape[1] if len(axes) == 1 else 1)), -2, 0
        )
        mean, square = np.atleast_2d(one), np.atleast_2d(two)
        return origin + mean, np.maximum(square - mean**2, 0)

    def _moved(self, params: Params, mean: _Rows, variance: _Rows, x: Signal, ticks: int) -> Params:
        """Running statistics after this batch; a static signal counts as many ticks as it lasts."""
        per_tick = x.values.size // self.channels // x.ticks
        lasting = max(ticks, x.ticks)
        together = per_tick * (lasting if self.statistics == "batch" else 1)
        unbiased = variance * (together / max(together - 1, 1))
        times = 1 if self.statistics == "batch" else lasting // len(mean)
        moved = {}
        for name, rows in (("mean", mean), ("variance", unbiased)):
            value = params[name].astype(np.float64)
            for row in np.tile(rows, (times, 1)):
                value = (1 - self.momentum) * value + self.momentum * row
            moved[name] = value.astype(params[name].dtype)
        return moved

    def _of_rates(self, mean: _Rows, scale: _Rows, slope: _Rows, mode: Mode) -> tuple[_Rows, _Rows, _Rows]:
        """Mean, width and slope as the backward pass uses them."""
        if mode.rates and len(mean) > 1:
            mean = mean.mean(axis=0, keepdims=True)
            slope = slope[-1:] if self.statistics == "last" else np.sqrt((slope**2).mean(axis=0, keepdims=True))
        return mean, scale * slope, slope

    def backward(self, params: Params, kept: _Kept, grad: Array, mode: Mode, inner: bool) -> Back:
        """Through mean and variance; see :class:`BatchNorm`."""
        values, mean, width, slope = kept
        kind = values.dtype
        rows = values.reshape(*values.shape[:2], -1, self.channels)
        slopes = np.ascontiguousarray(grad.reshape(rows.shape))
        origin = np.ascontiguousarray(rows[0, 0, 0])
        sums = np.empty((*rows.shape[:2], 2, self.channels))
        mode.workers(lambda a, z: norm.gradient_moments(rows, slopes, a, z, origin, sums), len(rows), rows.size)
        together = sums.sum(axis=0) if len(mean) > 1 else sums.sum(axis=(0, 1))[None]
        by_beta = together[:, 0]
        by_gamma = (together[:, 1] + (origin - mean) * by_beta) * width
        grads: Params = {"gamma": by_gamma.sum(axis=0).astype(kind), "beta": by_beta.sum(axis=0).astype(kind)}
        if not inner:
            return Back(None, grads)
        number = rows.size / self.channels / len(mean)
        gamma = params["gamma"].astype(np.float64)
        factors = np.empty((len(mean), 3, self.channels), kind)
        factors[:, 0] = gamma * slope
        factors[:, 1] = -gamma * slope * width * by_gamma / number
        factors[:, 2] = gamma * slope * (mean * width * by_gamma - by_beta) / number
        out = np.empty_like(slopes)
        mode.workers(lambda a, z: norm.combine(rows, slopes, a, z, factors, out), len(rows), rows.size)
        return Back(out.reshape(grad.shape), grads)
