"""A recurrent random network whose activity an external Poisson drive sets: the cost of a synaptic event.

    python benchmarks/sparse_network.py [--neurons 100000] [--fanout 1000] [--rate 0.01] [--ticks 100] [--threads 2]
        [--model mtj|lif] [--variation 0.05] [--c2c reset 0.02] [--peer brian2|nest|brainevent PYTHON]

Every neuron has ``fanout`` random targets with a delay of one tick and conductance levels of about zero weight, and is
fired by a generator of its own with probability ``rate`` per tick. ``--peer`` runs the same work in another simulator
(``benchmarks/peers``), installed in that Python, with the same threads, between two measurements of the engine.

Prints one JSON line last: medians of five runs or more. ``scatter_ns_per_event`` is the loop that adds weights to
targets, alone, for the spikes that the run emitted, on the same tables and threads: the bound. ``peers`` has what the
others took for an event, and how many times that is what the engine took.
"""

import json
import resource
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np

from eventsim import (
    LIF,
    MTJ,
    FixedFanOut,
    Generator,
    Levels,
    Network,
    OneToOne,
    Population,
    Projection,
    Record,
    Variation,
    simulate,
)
from eventsim.kernels import sparse
from eventsim.kernels._jit import jit
from eventsim.kernels._memory import cut
from eventsim.kernels.team import share
from eventsim.parallel import cores

PEERS = ("brian2", "nest", "brainevent")


def network(neurons: int, fanout: int, rate: float, model: str, variation: float, c2c: dict[str, float]) -> Network:
    nominal = MTJ() if model == "mtj" else LIF()
    spread = Variation.all(variation, c2c=c2c)
    devices = nominal.draw(neurons, spread, seed=0) if variation or c2c else nominal.identical(neurons)
    weight = Levels(np.linspace(-1e-6, 1e-6, 64))
    return Network(
        [Generator("drive", neurons, rate), Population("neurons", devices)],
        [
            Projection("drive", "neurons", OneToOne(1000.0)),
            Projection("neurons", "neurons", FixedFanOut(fanout, weight, seed=0), delay=1, name="recurrent"),
        ],
    )


@jit
def scatter(data, rows, blocks, table, offsets, spikes, first, last, total, marks):
    """Add the synapses of all spikes to the sums of targets in some blocks, tick by tick; there are no ``marks``."""
    for t in range(offsets.size - 1):
        for block in range(first, last):
            some = cut(spikes, offsets[t], offsets[t + 1])
            sparse.add_levels(data, rows, blocks, block, table, some, total, marks)


def bare(net: Network, ticks: int, threads: int) -> float:
    """Seconds of the scatter loop alone, for the spikes of a run."""
    spikes = simulate(net, ticks=ticks, seed=0, threads=threads, record=Record(spikes=["neurons"])).events["neurons"]
    offsets = np.searchsorted(spikes.tick, np.arange(ticks + 1))
    way = net.plan.ways[-1][2]
    address = spikes.address.astype(np.int32)

    def work(rank: int) -> None:
        first, last = share(way.groups, rank, threads)
        place = (way.data.ctypes.data, way.rows.ctypes.data, way.groups, way.table)
        scatter(*place, offsets, address, first, last, np.zeros(sparse.BLOCK, np.float32), np.zeros(0, np.uint8))

    return timed(work, threads)


def timed(work, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        times = []
        for _ in range(6):
            start = time.perf_counter()
            list(pool.map(work, range(threads)))
            times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def runs(net: Network, ticks: int, threads: int) -> tuple[list[float], int]:
    times, events = [], 0
    for seed in range(5):
        start = time.perf_counter()
        recording = simulate(net, ticks=ticks, seed=seed, threads=threads)
        times.append(time.perf_counter() - start)
        events += int(recording.synops["recurrent"][0])
    return times, events // 5


def peer(name: str, python: str, arguments: list[object]) -> dict[str, float]:
    """Run a peer's script; its last line is a JSON object."""
    script = Path(__file__).parent / "peers" / f"{name}_network.py"
    run = subprocess.run([python, script, *map(str, arguments)], capture_output=True, text=True, check=False)
    if run.returncode:
        raise click.ClickException(f"{script.name} failed in {python}:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


@click.command()
@click.option("--neurons", default=100_000, show_default=True)
@click.option("--fanout", default=1000, show_default=True)
@click.option("--rate", default=0.01, show_default=True, help="Spikes per neuron and tick.")
@click.option("--ticks", default=100, show_default=True)
@click.option("--threads", default=cores(), show_default=True, type=click.IntRange(1, cores()))
@click.option("--model", default="mtj", show_default=True, type=click.Choice(["mtj", "lif"]))
@click.option("--variation", default=0.05, show_default=True, help="From device to device, of every parameter.")
@click.option("--c2c", multiple=True, type=(str, float), help="From cycle to cycle: a parameter and its spread.")
@click.option("--peer", "peers", multiple=True, type=(click.Choice(PEERS), str), help="Simulator and its Python.")
def main(
    neurons: int,
    fanout: int,
    rate: float,
    ticks: int,
    threads: int,
    model: str,
    variation: float,
    c2c: list[tuple[str, float]],
    peers: list[tuple[str, str]],
) -> None:
    start = time.perf_counter()
    simulate(network(10, 2, rate, model, variation, dict(c2c)), ticks=1, seed=0)
    compiled = time.perf_counter() - start
    start = time.perf_counter()
    net = network(neurons, fanout, rate, model, variation, dict(c2c))
    built = time.perf_counter() - start
    runs(net, 1, threads)
    times, events = runs(net, ticks, threads)
    others = {name: peer(name, python, [neurons, fanout, rate, ticks, model, threads]) for name, python in peers}
    if peers:
        times += runs(net, ticks, threads)[0]
    seconds = statistics.median(times)
    ns = 1e9 * seconds / max(events, 1)
    result = {
        "neurons": neurons,
        "fanout": fanout,
        "rate": rate,
        "model": model,
        "threads": threads,
        "ns_per_event": round(ns, 4),
        "scatter_ns_per_event": round(1e9 * bare(net, ticks, threads) / max(events, 1), 4),
        "events_per_second": round(events / seconds),
        "us_per_tick": round(1e6 * seconds / ticks, 2),
        "bytes_per_synapse": round(net.synapse_bytes / net.synapses["recurrent"], 3),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "build_s": round(built, 2),
        "compile_s": round(compiled, 2),
        "peers": {
            name: {
                "ns_per_event": round(other["ns_per_event"], 3),
                "times_ours": round(other["us_per_tick"] / (1e6 * seconds / ticks), 2),
            }
            for name, other in others.items()
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
