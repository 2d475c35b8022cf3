"""Event-driven simulation of a deployed student against the training's forward pass of the same student.

    python benchmarks/student.py [--hidden 100] [--inputs 784] [--ticks 1] [--activity 0.15] [--threads 1]

Prints one JSON line last, medians of interleaved runs: microseconds per sample of the engine, of the training forward
pass (sums of spikes and the same exact neuron step, one thread) and of its first matrix product alone (the
bound of any dense method); nanoseconds per synaptic operation of the engine; and the ratios.
"""

import json
import statistics
import time

import click
import numpy as np
from threadpoolctl import threadpool_limits

from eventsim import Events, simulate
from eventsim.parallel import cores
from eventsim.training import mtj_mlp, to_network


def timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@click.command()
@click.option("--inputs", default=784, show_default=True)
@click.option("--hidden", default=100, show_default=True)
@click.option("--ticks", default=1, show_default=True)
@click.option("--activity", default=0.15, show_default=True, help="Share of inputs that spike in a tick.")
@click.option("--samples", default=5000, show_default=True)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, cores()))
@click.option("--repeats", default=7, show_default=True)
def main(inputs: int, hidden: int, ticks: int, activity: float, samples: int, threads: int, repeats: int) -> None:
    model = mtj_mlp((inputs, hidden, 10), levels=16)
    params = model.initial(0)
    signal = (np.random.default_rng(0).random((samples, ticks, inputs)) < activity).astype(np.uint8)
    events, network = Events.from_frames(signal), to_network(model, params)
    levels, _ = model.layers[0].deployed({"weight": params["0/weight"]})
    rows = signal.reshape(-1, inputs).astype(np.float32)
    calls = {
        "engine": lambda: simulate(network, events, threads=threads),
        "forward": lambda: model.logits(params, signal),
        "matmul": lambda: rows @ levels,
    }
    with threadpool_limits(1, user_api="blas"):
        for call in calls.values():
            call()
        runs = [{name: timed(call) for name, call in calls.items()} for _ in range(repeats)]
    recording = simulate(network, events)
    synops = sum(int(counts.sum()) for counts in recording.synops.values())
    median = {name: statistics.median(run[name] for run in runs) for name in calls}
    result = {
        "us_per_sample": {name: round(1e6 * seconds / samples, 3) for name, seconds in median.items()},
        "ns_per_synop": round(1e9 * median["engine"] / synops, 4),
        "synops_per_sample": synops / samples,
        "forward_over_engine": round(statistics.median(run["forward"] / run["engine"] for run in runs), 2),
        "matmul_over_engine": round(statistics.median(run["matmul"] / run["engine"] for run in runs), 2),
        "threads": threads,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
