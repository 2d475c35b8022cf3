"""One step of training: forward, backward and optimiser, side by side with torch.

    python benchmarks/training_step.py --net conv|mlp --method bptt|ratebp [--steps 4] [--batch 32] [--threads 2]
        [--model lif|mtj] [--levels 16] [--peer PYTHON]

``conv`` is 64C3-64C3-AP2-128C3-128C3-AP2-256C3-256C3-AP2-256-10 on 32 x 32 x 3 with batch normalisation, ``mlp`` is
784-800-10; inputs are the same in every tick. ``--steps`` are ticks. Neurons are leaky ones with leak 0.2, threshold 1,
soft reset and a sigmoid surrogate, as in the peers, or MTJs. ``--peer`` names the Python of an environment with torch
(and spikingjelly, if that is to be measured too): peers run the same work in turns with ours
(``benchmarks/peers/train_torch.py``).

Prints one JSON line last: medians over all rounds. ``gflops`` counts the operations of the method on dense arrays (two
per weight, place and tick), of which sparse layers and a static input need fewer; ``backward_bytes`` is what the
forward pass keeps for the backward pass; ``peers`` has what the others took, and how many times as many samples per
second we did.
"""

import json
import math
import resource
import statistics
import subprocess
import time
from pathlib import Path

import click
import numpy as np

from eventsim import LIF, MTJ
from eventsim.parallel import Workers, cores
from eventsim.training.builders import multiplications
from eventsim.training.gradient import Gradient, gradient
from eventsim.training.label_objective import CrossEntropy
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.model import Model
from eventsim.training.norm import BatchNorm
from eventsim.training.optim import SGD
from eventsim.training.pooling import AvgPool
from eventsim.training.shaping import Flatten
from eventsim.training.signal import Signal
from eventsim.training.spiking import Spiking

LEAK = 0.2
PEERS = {"bptt": ("bptt", "spikingjelly"), "ratebp": ("ratebp", "ratebp-bfloat16", "spikingjelly")}
ROUNDS = 3


def leaky() -> LIF:
    """U = 0.2 v + I: the time constant that leaks to 0.2 in a tick, and the gain that takes its drive as it is."""
    return LIF(tau=-1 / math.log(LEAK), threshold=1.0, reset=0.0, reset_mode="soft", gain=-math.log(LEAK) / (1 - LEAK))


def network(net: str, neuron: LIF | MTJ, grid: Grid | None) -> Model:
    if net == "mlp":
        return Model([Dense(784, 800, grid=grid), Spiking(neuron), Dense(800, 10, grid=grid)], (784,))
    layers, channels = [], 3
    for width in (64, 128, 256):
        for _ in range(2):
            layers += [Conv(channels, width, padding=1, grid=grid), BatchNorm(width), Spiking(neuron)]
            channels = width
        layers.append(AvgPool(2))
    head = [Flatten(), Dense(4096, 256, grid=grid), Spiking(neuron), Dense(256, 10, grid=grid)]
    return Model([*layers, *head], (32, 32, 3))


def measure(
    model: Model, params: dict, method: str, ticks: int, batch: int, threads: int, rounds: int
) -> tuple[list[float], Gradient]:
    rng = np.random.default_rng(0)
    x = Signal(rng.normal(size=(batch, 1, *model.inputs)).astype(np.float32))
    if len(model.inputs) == 1:
        x = Signal(rng.random((batch, 1, *model.inputs)).astype(np.float32))
    labels = rng.integers(0, 10, batch)
    optimiser, objective, seconds = SGD(momentum=0.9), CrossEntropy(), []
    state = None
    with Workers(threads) as workers:
        for i in range(rounds + 2):
            start = time.perf_counter()
            step = gradient(model, params, x, labels, objective, ticks=ticks, method=method, workers=workers)
            state = state or optimiser.start(params, step.params)
            params, state = optimiser.step(params, step.params, state, 0.1, workers)
            params = {**params, **step.moved}
            if i >= 2:
                seconds.append(time.perf_counter() - start)
    return seconds, step


def peer(python: str, net: str, kind: str, ticks: int, batch: int, threads: int) -> dict:
    script = Path(__file__).parent / "peers" / "train_torch.py"
    command = [python, "-W", "ignore", str(script), net, kind, str(ticks), str(batch), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"failed": done.stderr[-300:]}


@click.command()
@click.option("--net", default="conv", show_default=True, type=click.Choice(["conv", "mlp"]))
@click.option("--method", default="ratebp", show_default=True, type=click.Choice(["bptt", "ratebp"]))
@click.option("--steps", default=4, show_default=True, type=click.IntRange(1), help="Ticks.")
@click.option("--batch", type=click.IntRange(1), help="32 for conv, 128 for mlp, if left out.")
@click.option("--threads", default=min(2, cores()), show_default=True, type=click.IntRange(1, cores()))
@click.option("--model", default="lif", show_default=True, type=click.Choice(["lif", "mtj"]))
@click.option("--levels", type=int, help="Conductance levels of the weights; real weights if left out.")
@click.option("--peer", "python", help="Python with torch.")
def main(
    net: str,
    method: str,
    steps: int,
    batch: int | None,
    threads: int,
    model: str,
    levels: int | None,
    python: str | None,
) -> None:
    batch = batch or (32 if net == "conv" else 128)
    built = network(net, leaky() if model == "lif" else MTJ(), None if levels is None else Grid(levels))
    params = built.initial(0)
    start = time.perf_counter()
    measure(built, params, method, steps, batch, threads, 1)
    first = time.perf_counter() - start
    number = 3 if net == "conv" else 20
    ours, theirs = [], {kind: [] for kind in PEERS[method]} if python else {}
    for _ in range(ROUNDS):
        seconds, last = measure(built, params, method, steps, batch, threads, number)
        ours += seconds
        for kind, runs in theirs.items():
            runs.append(peer(python, net, kind, steps, batch, threads))
    rate = batch / statistics.median(ours)
    passes = 3 * steps if method == "bptt" else steps + 2
    result = {
        "net": net,
        "method": method,
        "ticks": steps,
        "batch": batch,
        "threads": threads,
        "samples_per_second": round(rate, 1),
        "gflops": round(2e-9 * passes * multiplications(built) * rate, 1),
        "backward_bytes": last.backward_bytes,
        "rates": {name: round(value, 3) for name, value in last.rates.items()},
        "first_step_s": round(first, 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "peers": {},
    }
    for kind, runs in theirs.items():
        seconds = [s for run in runs for s in run.get("seconds", [])]
        if not seconds:
            result["peers"][kind] = runs[-1]
            continue
        found = batch / statistics.median(seconds)
        result["peers"][kind] = {
            "samples_per_second": round(found, 1),
            "ours_over_theirs": round(rate / found, 2),
            "peak_rss_mb": max(run["peak_rss_mb"] for run in runs),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
