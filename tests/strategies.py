"""Hypothesis strategies for devices, networks and spikes."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from eventsim import (
    IF,
    LIF,
    MTJ,
    Dense,
    DomainWall,
    Network,
    Oscillator,
    Population,
    Projection,
    Readout,
    Source,
    TaperedDomainWall,
    Variation,
)


def mtj():
    """Nominal devices over a wide range of parameters."""
    return st.builds(
        MTJ,
        k1=st.floats(100, 400),
        k2=st.floats(-50, -10),
        threshold=st.floats(5, 60),
        reset=st.floats(-5, 4),
        gain=st.floats(0.5, 2),
        dt=st.floats(0.1, 5),
        allow_self_firing=st.just(True),
    )


def resets():
    """Reset modes and refractory times of a neuron."""
    return st.fixed_dictionaries({"reset_mode": st.sampled_from(["hard", "soft"]), "refractory": st.integers(0, 3)})


@st.composite
def neurons(draw):
    """Nominal neurons of every moving model, with reset at rest."""
    common = {**draw(resets()), "gain": draw(st.floats(0.5, 2)), "dt": draw(st.floats(0.1, 5))}
    kind = draw(st.sampled_from([MTJ, LIF, IF, DomainWall, TaperedDomainWall, Oscillator]))
    if kind is MTJ:
        return replace(draw(mtj()), reset=0.0, **draw(resets()))
    if kind is Oscillator:
        return Oscillator(threshold=draw(st.floats(0.01, 0.3)), damping=draw(st.floats(0.005, 1)), **common)
    if kind is LIF:
        common["tau"] = draw(st.floats(1, 50))
    if kind in (DomainWall, TaperedDomainWall):
        common["leak"] = draw(st.floats(0.1, 10))
    if kind is TaperedDomainWall:
        common["taper"] = draw(st.floats(0.001, 0.05))
    return kind(threshold=draw(st.floats(5, 60)), **common)


def variation():
    spread = st.floats(0, 0.2)
    return st.builds(Variation, k1=spread, k2=spread, threshold=spread, gain=spread)


def seeds():
    return st.integers(0, 2**63 - 1)


@st.composite
def networks(draw):
    """Random networks of two populations of neurons, recurrent where delays allow, with a readout."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = {name: draw(st.integers(1, 6)) for name in ("in", "a", "b", "out")}
    spread, seed = draw(st.floats(0, 0.1)), draw(seeds())
    neuron = draw(neurons())
    populations = [Source("in", sizes["in"])]
    for name in ("a", "b"):
        devices = neuron.draw(sizes[name], Variation.all(spread), seed=seed, name=name)
        populations.append(Population(name, devices, rng.normal(0, 0.3, sizes[name]).astype(np.float32)))
    populations.append(Readout("out", sizes["out"], rng.normal(0, 1, sizes["out"]).astype(np.float32)))
    ways = draw(
        st.lists(
            st.sampled_from(
                [("in", "a", 0), ("in", "b", 1), ("a", "b", 0), ("b", "a", 1), ("b", "out", 0), ("a", "a", 2)]
            ),
            min_size=1,
            max_size=8,
        )
    )
    projections = [
        Projection(
            source,
            target,
            Dense(
                rng.integers(-9, 10, (sizes[source], sizes[target])),
                rng.uniform(0.05, 0.3, sizes[target]).astype(np.float32),
            ),
            delay + draw(st.integers(0, 2)) * (delay > 0),
            name=f"projection {i}",
        )
        for i, (source, target, delay) in enumerate(ways)
    ]
    order = draw(st.permutations(populations))
    return Network(order, projections)


@st.composite
def frames(draw, size):
    """Spikes of a batch, shape (samples, ticks, size)."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 12)), size)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return (rng.random(shape) < draw(st.floats(0, 1))).astype(draw(st.sampled_from([np.uint8, np.float32])))
