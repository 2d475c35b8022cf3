"""A random recurrent network, simulated event by event on chips whose devices differ.

python examples/02_drawn_chips.py
"""

import numpy as np

from eventsim import (
    MTJ,
    Dense,
    Events,
    Network,
    Population,
    Projection,
    Record,
    Source,
    Variation,
    energy,
    largest_level,
    simulate,
    to_levels,
)


def network(rng: np.random.Generator, inputs: int = 50, neurons: int = 200) -> Network:
    """Inputs drive a population that inhibits and excites itself two ticks later."""
    forward = to_levels(rng.normal(0.15, 0.2, (inputs, neurons)), largest_level(inputs, levels=16))
    back = to_levels(rng.normal(-0.02, 0.1, (neurons, neurons)), largest_level(neurons, levels=16))
    return Network(
        [Source("input", inputs), Population("reservoir", MTJ().identical(neurons))],
        [
            Projection("input", "reservoir", Dense(*forward)),
            Projection("reservoir", "reservoir", Dense(*back), delay=2),
        ],
    )


def main() -> None:
    rng = np.random.default_rng(0)
    nominal = network(rng)
    events = Events.from_frames(rng.random((20, 100, 50)) < 0.05)  # 20 samples of 100 ticks
    print("variation  self-firing  spikes/sample  SynOps/sample  energy/sample (with periphery)")
    for cv in (0.0, 0.05, 0.1, 0.2):
        chip = nominal.on_chip(Variation.all(cv), seed=0, chip=0)
        recording = simulate(chip, events, record=Record(energy=True))
        reservoir = chip["reservoir"]
        assert isinstance(reservoir, Population)
        joule = sum(line.energy.default for line in energy(recording)) / 1000
        synops = sum(counts.mean() for counts in recording.synops.values())
        print(
            f"{100 * cv:7.0f} %  {reservoir.devices.self_firing:11d}  {recording.spikes['reservoir'].mean():13.1f}"
            f"  {synops:13,.0f}  {joule:10.1f} pJ"
        )


if __name__ == "__main__":
    main()
