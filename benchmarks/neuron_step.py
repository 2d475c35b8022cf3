"""One tick of skyrmion-MTJ neurons without synapses: the exact step against forward Euler and classical Runge-Kutta.

    python benchmarks/neuron_step.py [--neurons 10000 --neurons 1000000] [--jax PYTHON]

All three step the same arrays in float32 on one thread, every device with its own parameters, threshold and reset. The
exact step is the sweep that the engine calls; the other two are the same loop with their formula in its place. A tick
is a sweep and then the reset of those that fired, which is the same pass for all three. Runs are interleaved, and
medians of times and of the ratios of neighbouring runs are given. ``--jax`` times the closed form as a user of JAX
would write it, on as many identical devices, in that Python, and compares the exact tick with it.

Prints one JSON line last: nanoseconds per neuron of a tick and of its sweep alone, ``exact_over_euler`` of both by
number of neurons, and what exactness buys at a step of one tick: the error in position (nm, root mean square) after
one tick and after a free decay of 20, and the share of spikes in a train of random pulses that fall into the right
tick. The reference is the exact step in float64.
"""

import json
import math
import statistics
import subprocess
import time
from collections.abc import Callable

import click
import numpy as np

from eventsim import MTJ, Variation
from eventsim.kernels._intrinsic import fma
from eventsim.kernels._jit import inline, jit
from eventsim.kernels.neuron import after_reset, skyrmion_sweep


@jit
def go_on(reached, devices, x):
    for j in range(x.size):
        x[j] = after_reset(reached[j], devices.threshold[j], devices.reset[j], False, True)


@jit
def euler_sweep(x, drive, devices, reached):
    for j in range(x.size):
        h, q = devices.a[j], devices.gain[j] * drive[j]
        reached[j] = x[j] + fma(x[j] - h - h, x[j], q)


@inline
def rk4(x, h, q):
    f = type(x)
    half = f(0.5)
    a = fma(x - h - h, x, q)
    y = x + half * a
    b = fma(y - h - h, y, q)
    y = x + half * b
    c = fma(y - h - h, y, q)
    y = x + c
    d = fma(y - h - h, y, q)
    return x + (a + (b + b) + (c + c) + d) * f(1 / 6)


@jit
def rk4_sweep(x, drive, devices, reached):
    for j in range(x.size):
        reached[j] = rk4(x[j], devices.a[j], devices.gain[j] * drive[j])


@jit
def exact_ticks(x, reached, drive, devices, ticks, whole):
    for _ in range(ticks):
        skyrmion_sweep(x, drive, devices, reached)
        if whole:
            go_on(reached, devices, x)


@jit
def euler_ticks(x, reached, drive, devices, ticks, whole):
    for _ in range(ticks):
        euler_sweep(x, drive, devices, reached)
        if whole:
            go_on(reached, devices, x)


@jit
def rk4_ticks(x, reached, drive, devices, ticks, whole):
    for _ in range(ticks):
        rk4_sweep(x, drive, devices, reached)
        if whole:
            go_on(reached, devices, x)


TICKS = {"exact": exact_ticks, "euler": euler_ticks, "rk4": rk4_ticks}
SWEEPS = {"exact": skyrmion_sweep, "euler": euler_sweep, "rk4": rk4_sweep}

JAX = """
import statistics, sys, time, jax, jax.numpy as jnp
n, ticks = int(sys.argv[1]), int(sys.argv[2])
x = jnp.linspace(0, 0.07, n, dtype=jnp.float32)
q = jnp.linspace(0, 0.03, n, dtype=jnp.float32)
h, threshold = jnp.float32(13.8 / 212), jnp.float32(20 / 212)
def tick(i, x):
    d = h * h - (q + jnp.float32(1e-6) * x)  # depends on x, or the transcendentals leave the loop
    w = jnp.sqrt(jnp.abs(d)) + jnp.float32(1e-7)
    g = jnp.where(d > 0, jnp.tanh(w), jnp.tan(w)) / w
    y = x - h
    y = h + (y - d * g) / (1 - y * g)
    return jnp.where(y >= threshold, 0, y)
run = jax.jit(lambda x: jax.lax.fori_loop(0, ticks, tick, x))
jax.block_until_ready(run(x))
times = []
for _ in range(5):
    begin = time.perf_counter()
    jax.block_until_ready(run(x))
    times.append(time.perf_counter() - begin)
print(1e9 * statistics.median(times) / ticks / n)
"""


def timings(neurons: int, repeats: int, work: int, whole: bool) -> dict[str, list[float]]:
    """Nanoseconds per neuron of ticks, or of their sweeps alone; the first of the interleaved runs compiles."""
    devices = MTJ().draw(neurons, Variation.all(0.05), seed=0).arrays(np.float32)
    rng = np.random.default_rng(0)
    drive = rng.exponential(0.1, neurons).astype(np.float32)
    start = (rng.uniform(0, 0.7, neurons) * devices.threshold).astype(np.float32)
    ticks = max(4, work // neurons)
    found: dict[str, list[float]] = {name: [] for name in TICKS}
    for run in range(repeats + 1):
        for name, call in TICKS.items():
            x, reached = start.copy(), np.empty_like(start)
            begin = time.perf_counter()
            call(x, reached, drive, devices, ticks, whole)
            if run:
                found[name].append(1e9 * (time.perf_counter() - begin) / ticks / neurons)
    return found


def follow(sweep: Callable, start: np.ndarray, drive: np.ndarray, devices) -> np.ndarray:
    """Positions before reset, shape (ticks, n)."""
    reached = np.empty((len(drive), len(start)), start.dtype)
    x = start.copy()
    for t, current in enumerate(drive):
        sweep(x, current, devices, reached[t])
        go_on(reached[t], devices, x)
    return reached


def accuracy(neurons: int = 2000, ticks: int = 200) -> dict[str, dict[str, float]]:
    """Errors of each method at a step of one tick, on drawn devices; pulses of mean 0.25 in 30 % of the ticks."""
    drawn = MTJ().draw(neurons, Variation.all(0.05), seed=1)
    rng = np.random.default_rng(1)
    drive = np.where(rng.random((ticks, neurons)) < 0.3, rng.normal(0.25, 0.25, (ticks, neurons)), 0.0)
    start = rng.uniform(0, 19, neurons)
    runs = {}
    for name, sweep in SWEEPS.items():
        for kind in (np.float64, np.float32) if name == "exact" else (np.float32,):
            devices, x = drawn.arrays(kind), (start / drawn.unit).astype(kind)
            pulse = follow(sweep, x, np.full((1, neurons), 0.5, kind), devices) * drawn.unit
            decay = follow(sweep, x, np.zeros((20, neurons), kind), devices) * drawn.unit
            spikes = follow(sweep, np.zeros(neurons, kind), drive.astype(kind), devices) >= devices.threshold
            runs[name, kind] = pulse[0], decay[-1], spikes
    true = runs.pop(("exact", np.float64))
    found = {}
    for (name, _), (pulse, decay, spikes) in runs.items():
        resting = true[0] < drawn["threshold"]  # errors of positions that a threshold would have ended mean nothing
        found[name] = {
            "one_pulse_nm": float(f"{rms(pulse[resting] - true[0][resting]):.3g}"),
            "free_decay_20_ticks_nm": float(f"{rms(decay - true[1]):.3g}"),
            "spikes_in_the_right_tick": round(float((spikes & true[2]).sum() / true[2].sum()), 5),
        }
    return found


def rms(errors: np.ndarray) -> float:
    return math.sqrt(float(np.mean(errors**2)))


def medians(times: dict[str, dict[str, list[float]]]) -> dict[str, dict[str, float]]:
    return {n: {name: round(statistics.median(runs), 4) for name, runs in found.items()} for n, found in times.items()}


def over_euler(times: dict[str, dict[str, list[float]]], name: str) -> dict[str, float]:
    pairs = {n: zip(found[name], found["euler"], strict=True) for n, found in times.items()}
    return {n: round(statistics.median(a / b for a, b in both), 3) for n, both in pairs.items()}


@click.command()
@click.option(
    "--neurons", multiple=True, type=click.IntRange(8), default=(10_000, 100_000, 1_000_000), show_default=True
)
@click.option("--repeats", default=9, show_default=True, type=click.IntRange(1))
@click.option("--work", default=40_000_000, show_default=True, type=click.IntRange(1), help="Neuron steps in a run.")
@click.option("--jax", "jax_python", metavar="PYTHON", help="A Python that has JAX.")
def main(neurons: tuple[int, ...], repeats: int, work: int, jax_python: str | None) -> None:
    times, sweeps = ({str(n): timings(n, repeats, work, whole) for n in neurons} for whole in (True, False))
    median = medians(times)
    result = {
        "ns_per_neuron": median,
        "exact_over_euler": over_euler(times, "exact"),
        "rk4_over_euler": over_euler(times, "rk4"),
        "sweep_ns_per_neuron": medians(sweeps),
        "sweep_exact_over_euler": over_euler(sweeps, "exact"),
        "accuracy": accuracy(),
    }
    if jax_python:
        ask = [[jax_python, "-c", JAX, n, str(max(4, work // int(n)))] for n in times]
        found = [float(subprocess.run(call, check=True, capture_output=True, text=True).stdout) for call in ask]
        result["jax_ns_per_neuron"] = {n: round(ns, 4) for n, ns in zip(times, found, strict=True)}
        result["exact_over_jax"] = {n: round(median[n]["exact"] / ns, 3) for n, ns in zip(times, found, strict=True)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
