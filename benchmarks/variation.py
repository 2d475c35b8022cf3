"""What devices of their own cost: a tick of networks that differ in nothing but how their devices vary.

    python benchmarks/variation.py [--neurons 100000] [--fanout 100] [--rate 0.01] [--ticks 100] [--rounds 15]

Networks are those of ``sparse_network.py``, of MTJ neurons, on one thread. They take turns, because machines are noisy.
Prints one JSON line last: for each variation the median time of a tick, and how many times that of identical devices.
"""

import json
import statistics
import time

import click
from sparse_network import network

from eventsim import simulate

D2D, C2C = 0.05, 0.02
CASES: dict[str, tuple[float, dict[str, float]]] = {
    "identical": (0.0, {}),
    "from device to device": (D2D, {}),
    "and the reset from cycle to cycle": (D2D, {"reset": C2C}),
    "and the threshold": (D2D, {"reset": C2C, "threshold": C2C}),
    "and the gain": (D2D, {"reset": C2C, "threshold": C2C, "gain": C2C}),
}


@click.command()
@click.option("--neurons", default=100_000, show_default=True)
@click.option("--fanout", default=100, show_default=True)
@click.option("--rate", default=0.01, show_default=True, help="Spikes per neuron and tick.")
@click.option("--ticks", default=100, show_default=True)
@click.option("--rounds", default=15, show_default=True)
def main(neurons: int, fanout: int, rate: float, ticks: int, rounds: int) -> None:
    nets = {name: network(neurons, fanout, rate, "mtj", *case) for name, case in CASES.items()}
    times: dict[str, list[float]] = {name: [] for name in nets}
    for seed in range(rounds + 1):
        for name, net in nets.items():
            start = time.perf_counter()
            simulate(net, ticks=ticks, seed=seed)
            times[name].append(time.perf_counter() - start)
    us = {name: 1e6 * statistics.median(row[1:]) / ticks for name, row in times.items()}
    cost = {name: {"us_per_tick": round(t, 1), "times": round(t / us["identical"], 2)} for name, t in us.items()}
    print(json.dumps({"neurons": neurons, "fanout": fanout, "rate": rate, "variation": cost}))


if __name__ == "__main__":
    main()
