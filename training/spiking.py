"""Layers of spiking neurons."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from eventsim.checks import flag, is_real
from eventsim.device import Devices, Neuron
from eventsim.errors import NetworkError
from eventsim.kernels import spiking, surrogate
from eventsim.kernels.neuron import SWITCHING, DeviceArrays
from eventsim.training.layer import Back, Mode, Parameterless, Params, Shape, Step
from eventsim.training.signal import Array, Signal, size_of

Surrogate = Literal["sigmoid", "rectangle", "triangle", "arctan"]
SURROGATES: dict[str, tuple[int, float]] = {
    "sigmoid": (surrogate.SIGMOID, 4.0),
    "rectangle": (surrogate.RECTANGLE, 1.0),
    "triangle": (surrogate.TRIANGLE, 1.0),
    "arctan": (surrogate.ARCTAN, 2.0),
}
"""Number of each surrogate in the kernels, and the sharpness at which its peak is 1."""


_PER_TICK = 8
"""Operations that a neuron takes in a tick."""


class _Kept(NamedTuple):
    x: Signal | None
    """The drive (BPTT)."""
    kappa: Array | None
    """Derivative of the rate by a shift of the drive of all ticks (RateBP), or of a clipped line in its place (DSR)."""


@dataclass(frozen=True, eq=False)
class Spiking(Parameterless):
    """Neurons, each with its own device, that run from rest over all ticks.

    Parameters
    ----------
    neurons : Neuron or Devices
        A model, for devices without any difference, or the devices themselves, in the order of the flattened sample.
    surrogate : "sigmoid", "rectangle", "triangle" or "arctan"
        Slope that the backward pass gives to a spike (``eventsim.kernels.surrogate``).
    sharpness : float, optional
        In units of 1/threshold; a peak slope of 1 if left out.
    detach_reset : bool
        Leave the reset out of the derivative.

    Raises
    ------
    NetworkError
        Neurons that draw their spikes, vary from cycle to cycle, or an unknown surrogate.
    """

    neurons: Neuron | Devices
    surrogate: Surrogate = "sigmoid"
    sharpness: float | None = None
    detach_reset: bool = True

    def __post_init__(self) -> None:
        if self.surrogate not in list(SURROGATES) or not (is_real(self.alpha) and 1e-3 <= self.alpha <= 1e3):
            raise NetworkError(
                "The surrogate is not usable.",
                given=f"{self.surrogate!r} of sharpness {self.sharpness!r}",
                expected=f"one of {', '.join(SURROGATES)}, and 0.001 to 1000",
                repair='Spiking(MTJ(), "sigmoid", 4.0)',
            )
        flag("detach_reset", self.detach_reset, kind=NetworkError)
        known = isinstance(self.neurons, Neuron | Devices)
        varies = isinstance(self.neurons, Devices) and self.neurons.varies
        if not known or varies or self.nominal.KIND >= SWITCHING:
            raise NetworkError(
                "These neurons cannot be trained.",
                given=f"{self.neurons!r}"
                if not known
                else f"{self.nominal}" + " with cycle-to-cycle variation" * varies,
                expected="neurons whose state moves (MTJ, LIF, IF, ...), without cycle-to-cycle variation",
                repair="Spiking(MTJ())",
            )

    @property
    def nominal(self) -> Neuron:
        """The model of neuron."""
        return self.neurons.nominal if isinstance(self.neurons, Devices) else self.neurons

    @property
    def alpha(self) -> float:
        """Sharpness of the surrogate."""
        return SURROGATES[self.surrogate][1] if self.sharpness is None else self.sharpness

    def shape(self, shape: Shape) -> Shape:
        if isinstance(self.neurons, Devices) and len(self.neurons) != size_of(shape):
            raise NetworkError(
                "Spiking does not fit its input.",
                given=f"{len(self.neurons)} devices for samples of shape {shape}",
                expected=f"{size_of(shape)} devices",
                repair=f"neuron.draw({size_of(shape)}, ...)",
            )
        return shape

    def devices(self, size: int) -> Devices:
        """Devices of a layer of this size."""
        return self.neurons if isinstance(self.neurons, Devices) else _identical(self.neurons, size)

    def rule(self, mode: Mode) -> spiking.Rule:
        """How the kernels differentiate it."""
        return spiking.Rule(SURROGATES[self.surrogate][0], float(self.alpha), self.detach_reset, mode.smooth)

    def forward(self, params: Params, x: Signal, mode: Mode) -> Step:
        """Spikes of every tick, in bytes."""
        if x.whole:
            x = Signal(x.plain(mode.kind))
        x = x._replace(values=np.ascontiguousarray(x.values))  # the kernels read rows by address
        ticks = max(mode.ticks, x.ticks)
        shape = x.values.shape
        spikes = np.empty((shape[0], ticks, *shape[2:]), x.values.dtype if mode.smooth else np.uint8)
        size = size_of(shape[2:])
        kappa = np.empty((shape[0], size) if mode.method == "ratebp" else (0, 0), x.values.dtype)
        values, out = x.values.reshape(*shape[:2], size), spikes.reshape(shape[0], ticks, size)
        layer, rule = self._layer(x), self.rule(mode)
        operations = spikes.size * _PER_TICK
        mode.workers(lambda a, z: spiking.forward(values, a, z, layer, rule, out, kappa), len(values), operations)
        if mode.method == "dsr":
            rates = out.mean(axis=1, dtype=kappa.dtype)
            kappa = ((rates > 0) & (rates < 1)).astype(kappa.dtype)
        kept = _Kept(None, kappa.reshape(shape[0], 1, *shape[2:])) if mode.rates else _Kept(x, None)
        rate = float(spikes.mean() if mode.smooth else np.count_nonzero(spikes) / spikes.size)
        signal = Signal(spikes) if mode.smooth else Signal(spikes, most=1)
        watched = {mode.place: spikes} if mode.watch else {}
        return Step(signal, kept if mode.training else None, rates={mode.place: rate}, spikes=watched)

    def backward(self, params: Params, kept: _Kept, grad: Array, mode: Mode, inner: bool) -> Back:
        """RateBP and DSR multiply by kappa; BPTT goes back through the ticks."""
        if not inner:
            return Back(None)
        if kept.kappa is not None:
            return Back(grad * kept.kappa)
        assert kept.x is not None
        x = kept.x
        out = np.empty(x.values.shape, x.values.dtype)
        batch, ticks = grad.shape[:2]
        values, by_drive = (row.reshape(*row.shape[:2], -1) for row in (x.values, out))
        by_spike = np.ascontiguousarray(grad).reshape(batch, ticks, -1)
        layer, rule = self._layer(x), self.rule(mode)
        operations = by_spike.size * _PER_TICK
        mode.workers(lambda a, z: spiking.backward(values, a, z, layer, rule, by_spike, by_drive), batch, operations)
        return Back(out)

    def _layer(self, x: Signal) -> spiking.Layer:
        """Neurons and drive as the kernels want them."""
        kind = x.values.dtype
        arrays, rest = _rows(self.devices(size_of(x.values.shape[2:])), kind.name)
        return spiking.Layer(self.nominal.model, arrays, rest, *x.line(kind))


@lru_cache(maxsize=64)
def _identical(neuron: Neuron, size: int) -> Devices:
    return neuron.identical(size)


@lru_cache(maxsize=64)
def _rows(devices: Devices, kind: DTypeLike) -> tuple[DeviceArrays, Array]:
    """Constants of devices, and where they rest, in the kernels' unit of position."""
    return devices.arrays(kind), (devices.rest / devices.unit).astype(kind)
