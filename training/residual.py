"""Residual connections: two branches from one input, whose results are added (He et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from eventsim.errors import NetworkError
from eventsim.training.layer import Back, Layer, Mode, Params, Shape, Step
from eventsim.training.model import Chain, joined, split
from eventsim.training.signal import Array, Signal, along_ticks, counts_type

Add = Literal["current", "spike"]
BRANCHES = ("main", "shortcut")
_AT_ONCE = 2**14
"""Values of some samples that are added while they are in the cache."""


class _Kept(NamedTuple):
    main: Any
    shortcut: Any
    ticks: tuple[int, int]
    """Ticks that each branch told apart."""


@dataclass(frozen=True)
class Residual:
    """Results of two branches, added; parameters are named ``main/<position>/...`` and ``shortcut/<position>/...``.

    Parameters
    ----------
    main, shortcut : sequence of Layer
        Branches; an empty one hands on its input.
    add : "current" or "spike"
        Currents, on which neurons behind this layer act, ``spike(bn2(conv2) + shortcut)``; or spikes, as in SEW-ResNet
        (Fang et al. 2021), which stay whole numbers where both branches end in spikes of one unit.

    Raises
    ------
    NetworkError
        Two empty branches, or an unknown kind of addition; in :meth:`shape`, branches whose shapes differ.

    Notes
    -----
    The sum is ``(scale1 * values1 + scale2 * values2) + (bias1 + bias2)``, in training and in evaluation: the order in
    which the engine adds two projections, main branch first, and then the bias of the neurons.
    """

    main: Sequence[Layer]
    shortcut: Sequence[Layer] = ()
    add: Add = "current"

    def __post_init__(self) -> None:
        layers = isinstance(self.main, list | tuple) and isinstance(self.shortcut, list | tuple)
        if self.add not in ("current", "spike") or not layers or not (self.main or self.shortcut):
            raise NetworkError(
                "The residual connection is not usable.",
                given=f"add={self.add!r}, main {self.main!r}, shortcut {self.shortcut!r}",
                expected='"current" or "spike", and lists of layers with at least one together',
                repair="Residual([Conv(64, 64, padding=1)])",
            )

    @property
    def chains(self) -> tuple[Chain, Chain]:
        """The two branches."""
        return Chain(self.main), Chain(self.shortcut)

    def shape(self, shape: Shape) -> Shape:
        main, shortcut = (chain.shape(shape) for chain in self.chains)
        if main != shortcut:
            raise NetworkError(
                "The branches of a residual connection do not fit.",
                given=f"samples of shape {main} from main, {_last(self.main)}, and {shortcut} from shortcut, "
                f"{_last(self.shortcut)}",
                expected="one shape",
                repair=f"a shortcut that ends in {main}, such as [Conv({shape[-1]}, {main[-1]}, (1, 1), stride=...)]",
            )
        return main

    def initial(self, seed: int, name: str) -> Params:
        pairs = zip(BRANCHES, self.chains, strict=True)
        return joined({branch: chain.initial(seed, f"{name}/{branch}") for branch, chain in pairs})

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        """Both branches, main first."""
        parts = split(params, BRANCHES)
        steps = [
            chain.forward(own, x, mode.within(branch))
            for branch, chain, own in zip(BRANCHES, self.chains, parts, strict=True)
        ]
        one, two = (step.signal for step in steps)
        kept = _Kept(steps[0].kept, steps[1].kept, (one.ticks, two.ticks)) if mode.training else None
        moved = joined({branch: step.moved for branch, step in zip(BRANCHES, steps, strict=True)})
        rates, spikes = ({**getattr(steps[0], what), **getattr(steps[1], what)} for what in ("rates", "spikes"))
        tapped = {**steps[0].tapped, **steps[1].tapped}
        return Step(self.added(one, two, mode), kept, moved, rates, spikes, tapped)

    def added(self, one: Signal, two: Signal, mode: Mode) -> Signal:
        """Sum of what two signals stand for; a static one is added in every tick."""
        if self.add == "spike" and one.whole and two.whole and one.unit is not None and one.unit == two.unit:
            most = one.most + two.most
            return one._replace(values=np.add(one.values, two.values, dtype=counts_type(most)), most=most)
        real = [x.values.dtype for x in (one, two) if not x.whole]
        kind: np.dtype[Any] = np.result_type(*real) if real else np.dtype(mode.kind)
        first, second = (None if x.bias is None else x.bias.astype(kind) for x in (one, two))
        bias = second if first is None else first if second is None else first + second
        return Signal(_sum(one, two, kind, mode), bias=bias)

    def backward(self, params: Params, kept: _Kept, grad: Array, mode: Mode, inner: bool) -> Back:
        """The gradient goes into both branches, and what comes out is added."""
        grads: dict[str, Params] = {}
        by_input: list[Array] = []
        branches = zip(BRANCHES, self.chains, split(params, BRANCHES), kept[:2], kept.ticks, strict=True)
        for branch, chain, own, held, ticks in branches:
            back = chain.backward(own, held, _as_static(grad, ticks), mode.within(branch), inner)
            grads[branch] = back.params
            if back.grad is not None:
                by_input.append(back.grad)
        if not inner:
            return Back(None, joined(grads))
        ticks = min(len(g[0]) for g in by_input)
        one, two = (_as_static(g, ticks) for g in by_input)
        return Back(one + two, joined(grads))


def _sum(one: Signal, two: Signal, kind: np.dtype[Any], mode: Mode) -> Array:
    """Values of two signals, each times its scale: products are rounded before they are added."""
    ndim = one.values.ndim
    scales = [None if x.scale is None else along_ticks(x.scale.astype(kind), ndim) for x in (one, two)]
    shape = np.broadcast_shapes(one.values.shape, two.values.shape, *(s.shape for s in scales if s is not None))
    out = np.empty(shape, kind)
    few = max(1, _AT_ONCE // out[0].size)

    def some(first: int, last: int) -> None:
        for low in range(first, last, few):  # what is made of a few samples stays in the cache
            which = slice(low, min(low + few, last))
            parts = (x.values[which].astype(kind, copy=False) for x in (one, two))
            a, b = (v if s is None else s * v for v, s in zip(parts, scales, strict=True))
            np.add(a, b, out=out[which])

    mode.workers(some, len(out), out.size)
    return out


def _as_static(grad: Array, ticks: int) -> Array:
    """Gradient by a signal of a single tick: the sum of those of all ticks that it lasts."""
    return grad.sum(axis=1, keepdims=True) if ticks == 1 < grad.shape[1] else grad


def _last(layers: Sequence[Layer]) -> str:
    return str(layers[-1]) if layers else "which is empty"
