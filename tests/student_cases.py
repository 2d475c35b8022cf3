"""Hypothesis strategies for students of every kind that can be deployed, with their parameters."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from eventsim import Variation
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.model import Model
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import AvgPool, GlobalPool, MaxPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import Dropout, Flatten
from eventsim.training.signal import size_of
from eventsim.training.spiking import Spiking
from tests.strategies import neurons, seeds


@dataclass
class Growing:
    """Layers so far, the shape behind them, and what decides the next ones."""

    draw: object
    grid: Grid
    neuron: object
    seed: int
    shape: tuple
    layers: list = field(default_factory=list)

    def add(self, *layers):
        for layer in layers:
            self.shape = layer.shape(self.shape)
            self.layers.append(layer)

    def branch(self):
        return Growing(self.draw, self.grid, self.neuron, self.seed + 1, self.shape)

    def fire(self):
        """Nominal neurons, or devices of their own."""
        neurons, name = self.neuron, f"layer{len(self.layers)}"
        if self.draw(st.booleans()):
            neurons = neurons.draw(size_of(self.shape), Variation.all(0.05), seed=self.seed, name=name)
        self.add(Spiking(neurons))

    def conv(self, targets, kernel, stride=1, groups=1):
        padding = self.draw(st.integers(0, kernel - 1)) if stride == 1 else kernel // 2
        size = (kernel,) * (len(self.shape) - 1)
        bias = self.draw(st.booleans())
        self.add(Conv(self.shape[-1], targets, size, stride, padding, groups, bias, self.grid))
        if self.draw(st.booleans()):
            self.add(BatchNorm(targets))

    def plain(self):
        """A convolution of any kind."""
        groups = self.draw(st.sampled_from([g for g in (1, 2, self.shape[-1]) if self.shape[-1] % g == 0]))
        kernel = self.draw(st.integers(1, min(3, *self.shape[:-1])))
        self.conv(groups * self.draw(st.integers(1, 3)), kernel, self.draw(st.integers(1, 2)), groups)
        self.fire()

    def residual(self):
        """A block: convolutions or nothing on the shortcut, added on currents or on spikes."""
        changes = self.draw(st.booleans())
        pooled = bool(self.layers) and isinstance(self.layers[-1], AvgPool)
        add = self.draw(st.sampled_from(["current", "spike"])) if changes or not pooled else "current"
        targets, stride = (
            (self.draw(st.integers(1, 4)), self.draw(st.integers(1, 2))) if changes else (self.shape[-1], 1)
        )
        main, shortcut = self.branch(), self.branch()
        size = (3,) * (len(self.shape) - 1)
        main.add(Conv(self.shape[-1], targets, size, stride, 1, grid=self.grid), BatchNorm(targets))
        main.fire()
        main.add(Conv(targets, targets, size, padding=1, bias=self.draw(st.booleans()), grid=self.grid))
        if changes:
            shortcut.add(Conv(self.shape[-1], targets, (1,) * len(size), stride, grid=self.grid), BatchNorm(targets))
        if add == "spike":
            main.fire()
            if changes:
                shortcut.fire()
        self.add(Residual(main.layers, shortcut.layers, add))
        if add == "current":
            self.fire()

    def pool(self):
        """A pooling, where there is room for it."""
        able = [AvgPool(2), AvgPool(3)]
        if not self.layers or isinstance(self.layers[-1], Spiking):
            able += [MaxPool(2), MaxPool(2, 1)]
        size = min(self.shape[:-1])
        able = [None, *(pool for pool in able if pool.size <= size)]
        if (pool := self.draw(st.sampled_from(able))) is not None:
            self.add(pool)

    def head(self):
        self.add(self.draw(st.sampled_from([Flatten(), GlobalPool()])), Dropout(0.5))
        if self.draw(st.booleans()):
            self.add(Dense(self.shape[0], 5, self.draw(st.booleans()), self.grid))
            self.fire()
        if self.draw(st.booleans()):
            self.add(Residual([Dense(self.shape[0], self.shape[0], True, self.grid)]))
            self.fire()
        if self.draw(st.integers(0, 4)):
            self.add(Dense(self.shape[0], 3, self.draw(st.booleans()), self.grid))


def randomised(model, seed, gain):
    """Parameters off their start, statistics included; float32."""
    rng = np.random.default_rng(seed % 2**32)
    params = {}
    for name, value in model.initial(seed).items():
        kind, noise = name.rsplit("/", 1)[-1], rng.normal(0, 0.5, value.shape)
        moved = {"weight": gain * value, "variance": value * np.exp(noise)}.get(kind, value + noise)
        params[name] = np.asarray(moved, np.float32)
    return params


@st.composite
def students(draw):
    """A convolutional student in one or two dimensions and its parameters."""
    flat = draw(st.booleans())
    space = draw(st.tuples(st.integers(3, 9))) if flat else draw(st.tuples(st.integers(3, 7), st.integers(3, 7)))
    grid = Grid(draw(st.one_of(st.none(), st.integers(2, 64))))
    inputs = (*space, draw(st.integers(1, 4)))
    net = Growing(draw, grid, draw(neurons()), draw(seeds()) // 2, inputs)
    for _ in range(draw(st.integers(1, 3))):
        net.pool()
        net.plain() if draw(st.booleans()) else net.residual()
    net.pool()
    net.head()
    model = Model(net.layers, inputs)
    return model, randomised(model, net.seed, draw(st.floats(0.5, 8)))


@st.composite
def spikes_for(draw, model):
    """Spikes of a batch for a model."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 5)), *model.inputs)
    return (rng.random(shape) < draw(st.floats(0, 1))).astype(np.uint8)
