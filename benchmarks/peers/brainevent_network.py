"""The network of ``sparse_network.py`` with brainevent (on JAX): neurons fanout rate ticks mtj|lif threads."""

import json
import os
import sys
import time

import numpy as np

n, fanout, rate, ticks, model, threads = (
    kind(a) for kind, a in zip((int, int, float, int, str, int), sys.argv[1:], strict=True)
)
os.environ["NUMBA_NUM_THREADS"] = str(threads)

import brainevent  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

if threads > 1:
    brainevent.config.set_numba_parallel(True)
rng = np.random.default_rng(0)
weight = jnp.asarray(1e-6 * rng.standard_normal((n, fanout)).astype(np.float32))
target = jnp.asarray(rng.integers(0, n, (n, fanout), dtype=np.int32))
synapses = brainevent.FixedNumPerPre(weight, target, shape=(n, n))
leak, threshold = np.float32(np.exp(-0.1)), 1.0 if model == "lif" else 20.0


def tick(_, carry):
    v, fired, key, count = carry
    key, now = jax.random.split(key)
    arrived = brainevent.BinaryArray(fired) @ synapses
    v = v * leak + arrived if model == "lif" else v + arrived
    if model == "mtj":
        v = v + (v * v - 27.6 * v) / 212
    v = v + 1000.0 * (jax.random.uniform(now, (n,)) < rate)
    fired = v > threshold
    return jnp.where(fired, 0.0, v).astype(jnp.float32), fired, key, count + fired.sum()


run = jax.jit(lambda carry: jax.lax.fori_loop(0, ticks, tick, carry))
carry = jax.block_until_ready(run((jnp.zeros(n, jnp.float32), jnp.zeros(n, bool), jax.random.PRNGKey(0), jnp.int32(0))))
times, events = [], 0
for _ in range(5):
    carry = (*carry[:3], jnp.int32(0))
    start = time.perf_counter()
    carry = jax.block_until_ready(run(carry))
    times.append(time.perf_counter() - start)
    events += int(carry[3]) * fanout
seconds = float(np.median(times))
print(json.dumps({"ns_per_event": 1e9 * seconds / max(events / 5, 1), "us_per_tick": 1e6 * seconds / ticks}))
