"""Slow, obvious networks: every connection as a list of synapses, every spike and every neuron one at a time."""

from __future__ import annotations

import itertools
import math
import struct
from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

import eventsim as ev
from tests.oracle import neuron_step

SYNAPSE = np.dtype([("source", int), ("target", int), ("weight", float), ("delay", int)])


def single(values):
    """What is left of numbers in single precision, as float64."""
    return np.asarray(values, np.float32).astype(np.float64)


def stored(network, name):
    """Synapses of a sparse projection, read back byte by byte from the tables that the engine reads."""
    projection, out = next(p for p in network.projections if p.name == name), []
    record, targets = network.frozen.populations[network.index(projection.target)], network[projection.target].size
    for owner, _, way in network.plan.ways:
        if owner != name:
            continue
        width = {3: 3, 4: 6}[way.form]
        for source in range(network[projection.source].size):
            for block in range(record["blocks"]):
                group = source * way.groups + way.group + block
                begin = network.frozen.blocks[record["first_block"] + block]["first"] - record["start"]
                for e in range(way.rows[group], way.rows[group + 1]):
                    row = bytes(way.data[width * e : width * (e + 1)])
                    target = begin + row[0] + 256 * row[1]
                    weight = way.table[row[2]] if width == 3 else struct.unpack("<f", row[2:])[0]
                    assert 0 <= target < targets
                    out.append((source, int(target), float(weight), way.delay))
    return np.array(out, SYNAPSE)


def stored_quickly(network, name):
    """:func:`stored` in another order, with arrays, for many synapses."""
    projection = next(p for p in network.projections if p.name == name)
    population, parts = network.frozen.populations[network.index(projection.target)], []
    blocks = network.frozen.blocks[population["first_block"] :][: population["blocks"]]["first"] - population["start"]
    for owner, _, way in network.plan.ways:
        if owner != name:
            continue
        bounds = way.rows.astype(np.int64)
        width = {3: 3, 4: 6}[way.form]
        lengths = np.diff(bounds).reshape(-1, way.groups)
        mine = np.zeros_like(lengths, bool)
        mine[:, way.group : way.group + len(blocks)] = True
        keep = np.repeat(mine.ravel(), lengths.ravel())
        source = np.repeat(np.repeat(np.arange(len(lengths)), way.groups), lengths.ravel())[keep]
        block = np.repeat(np.tile(np.arange(way.groups), len(lengths)), lengths.ravel())[keep] - way.group
        rows = way.data[: width * bounds[-1]].reshape(-1, width)[keep]
        part = np.zeros(len(rows), SYNAPSE)
        part["source"], part["delay"] = source, way.delay
        part["target"] = blocks[block] + rows[:, 0] + 256 * rows[:, 1].astype(int)
        weight = way.table[rows[:, 2]] if width == 3 else np.ascontiguousarray(rows[:, 2:]).view("<f4").ravel()
        part["weight"] = weight
        parts.append(part)
    return np.concatenate(parts)


def _convolved(convolution):
    """The synapses of a convolution from its definition."""
    shape = tuple(convolution.shape)
    flat = len(shape) == 2
    kernel = np.asarray(convolution.kernel, float)
    kernel = single(kernel[:, :, None, :] if flat else kernel)
    _, height, width = (shape[0], 1, shape[1]) if flat else shape

    def both(value):
        return (*((0,) if flat else ()), *np.broadcast_to(value, 1 if flat else 2).tolist())

    stride, pad = both(convolution.stride), both(convolution.padding)
    stride = (1, stride[1]) if flat else stride
    pool = (1, convolution.pool) if flat else (convolution.pool, convolution.pool)
    outputs, inputs, ky, kx = kernel.shape
    high, wide = height // pool[0], width // pool[1]
    out_y, out_x = (high + 2 * pad[0] - ky) // stride[0] + 1, (wide + 2 * pad[1] - kx) // stride[1] + 1
    scale = np.broadcast_to(single(1.0 if convolution.scale is None else convolution.scale), (outputs,))
    for o, oy, ox in itertools.product(range(outputs), range(out_y), range(out_x)):
        group = o // (outputs // convolution.groups)
        for i, a, b in itertools.product(range(inputs), range(ky), range(kx)):
            y, x = oy * stride[0] + a - pad[0], ox * stride[1] + b - pad[1]
            if not (0 <= y < high and 0 <= x < wide):
                continue
            for dy, dx in itertools.product(range(pool[0]), range(pool[1])):
                source = ((group * inputs + i) * height + y * pool[0] + dy) * width + x * pool[1] + dx
                yield source, (o * out_y + oy) * out_x + ox, kernel[o, i, a, b] * scale[o]


def _given(pairs):
    """Weights of given pairs."""
    if isinstance(pairs.weight, ev.Levels):
        return single(pairs.weight.table)[np.asarray(pairs.weight.index, int)].tolist()
    return np.broadcast_to(single(pairs.weight), np.shape(pairs.source)).tolist()


def expand(network, projection):
    """All synapses of a projection; random ones as they were drawn, everything else from what was asked for."""
    connection = projection.synapses
    n, m = network[projection.source].size, network[projection.target].size
    if isinstance(connection, ev.Dense):
        weight = np.asarray(connection.weight, float)
        weight = single(weight) if connection.scale is None else weight * single(connection.scale)
        found = [(i, j, weight[i, j]) for i in range(n) for j in range(m)]
    elif isinstance(connection, ev.OneToOne):
        row = np.broadcast_to(single(connection.weight), (n,))
        found = [(i, i, row[i]) for i in range(n)]
    elif isinstance(connection, ev.Convolution):
        found = list(_convolved(connection))
    elif isinstance(connection, ev.Pairs):
        found = list(zip(connection.source, connection.target, _given(connection), strict=True))
        late = np.broadcast_to(projection.delay, (len(found),)).tolist()
        return np.array([(*synapse, delay) for synapse, delay in zip(found, late, strict=True)], SYNAPSE)
    else:
        return stored(network, projection.name)
    return np.array([(*synapse, projection.delay) for synapse in found], SYNAPSE)


@dataclass
class Run:
    """What the oracle saw of one sample."""

    spikes: dict = field(default_factory=lambda: defaultdict(set))
    """By population: {(tick, neuron)}."""
    membrane: dict = field(default_factory=dict)
    drive: dict = field(default_factory=dict)
    """By population, shape (ticks, n)."""
    readout: dict = field(default_factory=dict)
    synops: dict = field(default_factory=lambda: defaultdict(int))
    reads: dict = field(default_factory=lambda: defaultdict(int))
    margin: float = math.inf
    """How close (relative) anything came to deciding otherwise."""


def order_of(network, synapses):
    """Populations, each after those from which spikes reach it in the same tick."""
    before = {p.name: set() for p in network.populations}
    for p in network.projections:
        if (synapses[p.name]["delay"] == 0).any():
            before[p.target].add(p.source)
    order = []
    while len(order) < len(before):
        order += [name for name in before if name not in order and before[name] <= set(order)]
    return order


def simulate(network, given, ticks):
    """Run one sample; populations in ``given`` spike as it says, {name: {(tick, neuron)}}."""
    run, populations = Run(), {p.name: p for p in network.populations}
    synapses = {p.name: expand(network, p) for p in network.projections}
    leaving = {p.name: defaultdict(list) for p in network.projections}
    for name, rows in synapses.items():
        for source, target, weight, delay in rows.tolist():
            leaving[name][source].append((target, weight, delay))
    due = {name: defaultdict(list) for name in populations}
    bias = {
        name: np.zeros(p.size) if getattr(p, "bias", None) is None else single(p.bias)
        for name, p in populations.items()
    }
    x = {n: list(p.devices.rest) if isinstance(p, ev.Population) else [0.0] * p.size for n, p in populations.items()}
    wait = {name: [0] * p.size for name, p in populations.items()}
    run.membrane = {name: np.zeros((ticks, p.size)) for name, p in populations.items()}
    run.drive = {name: np.zeros((ticks, p.size)) for name, p in populations.items()}
    order = order_of(network, synapses)
    for tick, name in itertools.product(range(ticks), order):
        population = populations[name]
        drive = run.drive[name][tick]
        drive[:] = bias[name]
        arrivals = due[name].pop(tick, [])
        for way, target, weight in arrivals:
            drive[target] += weight
            run.synops[way] += 1
        run.reads[name] += len({target for _, target, _ in arrivals})
        if name in given:
            fired = sorted(j for when, j in given[name] if when == tick)
        elif isinstance(population, ev.Relay):
            fired = [j for j in range(population.size) if drive[j] >= 1]
            gap = np.abs(drive - 1)  # sums of whole numbers are exact, and may be 1
            run.margin = min(run.margin, gap[gap > 0].min(initial=math.inf))
        elif isinstance(population, ev.Readout):
            x[name], fired = [a + b for a, b in zip(x[name], drive, strict=True)], []
        else:
            fired = _step(population.devices, x[name], wait[name], drive, run.membrane[name][tick], run)
        run.spikes[name] |= {(tick, j) for j in fired}
        for projection in network.projections:
            if projection.source == name:
                for j in fired:
                    for target, weight, delay in leaving[projection.name][j]:
                        due[projection.target][tick + delay].append((projection.name, target, weight))
    run.readout = {r.name: np.array(x[r.name]) / ticks for r in network.of_kind(ev.Readout)}
    return run


def _step(devices, x, wait, drive, membrane, run):
    """One tick of neurons one by one; returns who fired."""
    nominal, fired = devices.nominal, []
    for j in range(len(devices)):
        device = {name: float(devices[name][j]) for name in devices}
        if wait[j]:
            wait[j] -= 1
            membrane[j] = x[j]
            continue
        reached = membrane[j] = neuron_step(device, nominal, x[j], float(drive[j]))
        threshold, way = device["threshold"], device["threshold"] - device["reset"]
        run.margin = min(run.margin, abs(reached - threshold) / threshold)
        if reached >= threshold:
            fired.append(j)
            wait[j] = nominal.refractory
            reached = reached - way if nominal.reset_mode == "soft" else device["reset"]
            if isinstance(nominal, ev.MTJ) or nominal.refractory:
                reached = min(reached, threshold - way / 1024)
        x[j] = reached
    return fired


def _step_all(devices, x, drive):
    """One tick of many MTJ, LIF or IF neurons."""
    nominal = devices.nominal
    t, push = nominal.dt, devices["gain"] * drive * nominal.threshold / nominal.dt
    if isinstance(nominal, ev.IF):
        return x + push * t
    if isinstance(nominal, ev.LIF):
        far = devices["tau"] * push
        return far + (x - far) * np.exp(-t / devices["tau"])
    k1, h = devices["k1"], -devices["k2"] / 2
    s, q = t / k1, k1 * push
    root = np.sqrt((h * h - q).astype(complex))
    root = np.where(np.abs(root) < 1e-9, 1e-9, root)
    c, sine = np.cosh(root * s).real, (np.sinh(root * s) / root).real
    below = c - sine * (x - h)
    gone = (below <= 0) | ((root.imag > 0) & (root.imag * s >= np.arctan2(root.imag, x - h)))
    return np.where(gone, np.inf, ((c - h * sine) * x + sine * q) / np.where(gone, 1, below))


def simulate_many(network, given, ticks):
    """:func:`simulate` with arrays, for thousands of MTJ, LIF or IF neurons behind sparse projections."""
    run, populations = Run(), {p.name: p for p in network.populations}
    synapses = {p.name: stored_quickly(network, p.name) for p in network.projections}
    matrices = defaultdict(list)
    for p in network.projections:
        shape = (populations[p.target].size, populations[p.source].size)
        delays = synapses[p.name]["delay"]
        for delay in range(delays.min(), delays.max() + 1):
            rows = synapses[p.name][delays == delay]
            ends = (rows["target"], rows["source"])
            weight, count = (sparse.csr_array((v, ends), shape) for v in (rows["weight"], np.ones(len(rows))))
            matrices[p.target].append((p, delay, weight, count))
    fired = {name: np.zeros((ticks, p.size)) for name, p in populations.items()}
    for name, spikes in given.items():
        for tick, j in spikes:
            fired[name][tick, j] = 1
    x = {n: np.array(p.devices.rest) for n, p in populations.items() if isinstance(p, ev.Population)}
    wait = {name: np.zeros(p.size, int) for name, p in populations.items()}
    run.membrane = {name: np.zeros((ticks, p.size)) for name, p in populations.items()}
    for tick, name in itertools.product(range(ticks), order_of(network, synapses)):
        p = populations[name]
        if name in given:
            continue
        drive, count = np.zeros(p.size) if p.bias is None else single(p.bias), np.zeros(p.size)
        for projection, delay, weight, number in matrices[name]:
            if tick >= delay:
                spikes = fired[projection.source][tick - delay]
                drive, arrived = drive + weight @ spikes, number @ spikes
                run.synops[projection.name] += int(arrived.sum())
                count += arrived
        run.reads[name] += int((count > 0).sum())
        d = p.devices
        way, held = d["threshold"] - d["reset"], wait[name] > 0
        reached = np.where(held, x[name], _step_all(d, x[name], drive))
        run.membrane[name][tick] = reached
        run.margin = min(run.margin, np.abs(reached / d["threshold"] - 1)[~held].min(initial=math.inf))
        spikes = ~held & (reached >= d["threshold"])
        fired[name][tick] = spikes
        wait[name] = np.where(spikes, d.nominal.refractory, np.maximum(wait[name] - 1, 0))
        left = reached - way if d.nominal.reset_mode == "soft" else d["reset"]
        if isinstance(d.nominal, ev.MTJ) or d.nominal.refractory:
            left = np.minimum(left, d["threshold"] - way / 1024)
        x[name] = np.where(spikes, left, reached)
    run.spikes = {name: {(int(t), int(j)) for t, j in np.argwhere(rows)} for name, rows in fired.items()}
    return run


SELF_FIRING = ev.MTJ(threshold=40.0, allow_self_firing=True)
SPARSE = ("one", "pairs", "fan-out", "fan-in", "bernoulli")
WAYS = [
    ("in", "a", 0), ("g", "a", 0), ("in", "b", 0), ("a", "b", 0), ("b", "a", 1), ("a", "a", 1), ("b", "b", 1),
    ("b", "r", 0), ("r", "a", 1), ("r", "out", 0), ("b", "out", 0), ("a", "out", 0),
]  # fmt: skip


def connection(kind, rng, n, m, least):
    """A random connection and its delay, at least ``least``."""
    seed, delay = int(rng.integers(2**63)), int(least + rng.integers(0, 4))

    def real(*shape):
        return rng.normal(0.3, 0.7, shape)

    levels = ev.Levels(real(rng.integers(1, 6)))
    if kind == "dense":
        return ev.Dense(real(n, m)), delay
    if kind == "levels" or (kind == "one" and n != m):
        return ev.Dense(rng.integers(-9, 10, (n, m)), rng.uniform(0.01, 0.1, m)), delay
    if kind == "one":
        return ev.OneToOne(real(n) if rng.random() < 0.5 else 0.7), delay
    late = (least, delay) if rng.random() < 0.5 else delay
    if kind == "pairs":
        size = int(rng.integers(0, 3 * max(n, m)))
        index = ev.Levels(levels.table, index=rng.integers(0, len(levels.table), size))
        weight = (0.6, real(size), index)[rng.integers(3)]
        late = rng.integers(least, delay + 1, size) if size and rng.random() < 0.5 else delay
        return ev.Pairs(rng.integers(0, n, size), rng.integers(0, m, size), weight), late
    if kind == "bernoulli":
        return ev.Bernoulli(rng.uniform(0.05, 1.0), (0.6, levels)[rng.integers(2)], seed), late
    fan = int(rng.integers(1, 6))
    if kind == "fan-out":
        return ev.FixedFanOut(fan, (0.6, levels, real(n, fan))[rng.integers(3)], seed), late
    return ev.FixedFanIn(fan, (0.6, levels, real(m, fan))[rng.integers(3)], seed), late


def convolution(rng, shape):
    """A random convolution over a shape of sources."""
    pool, groups = int(rng.integers(1, 3)), int(rng.choice([1, shape[0]]))
    kernel = [int(rng.integers(1, 4)) for _ in shape[1:]]
    pad = [k // 2 + int(rng.integers(0, 2)) for k in kernel]
    pool = 1 if min(shape[1:]) < pool else pool
    stride = [int(s) for s in rng.integers(1, 3, len(kernel))]
    size = (groups * int(rng.integers(1, 3)), shape[0] // groups, *kernel)
    if rng.random() < 0.5:
        return ev.Convolution(rng.normal(0.1, 0.5, size), shape, None, stride, pad, groups, pool)
    scale = rng.uniform(0.02, 0.1, size[0])
    return ev.Convolution(rng.integers(-3, 6, size), shape, scale, stride, pad, groups, pool)


@st.composite
def neurons(draw, lazy=False):
    """Nominal neurons; only those that may be left alone if ``lazy``."""
    common = {"reset_mode": draw(st.sampled_from(["hard", "soft"])), "refractory": draw(st.integers(0, 3))}
    kinds = [ev.MTJ(**common), ev.LIF(**common), ev.IF(**common), replace(SELF_FIRING, **common)]
    return draw(st.sampled_from(kinds if lazy else [*kinds, ev.DomainWall(**common), ev.Oscillator(damping=0.05)]))


@st.composite
def networks(draw, chance=True, quiet=False):
    """Random recurrent networks of all kinds of population and connection; without generators or biases if asked."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(int(k) for k in rng.integers(1, 5, draw(st.integers(2, 3))))
    sizes = rng.integers(1, 7, 5).tolist() if draw(st.booleans()) else [draw(st.integers(1, 6))] * 5
    sizes = dict(zip(("g", "a", "b", "r", "out"), sizes, strict=True))
    projections, populations = [], [ev.Source("in", math.prod(shape))]
    populations.append(ev.Generator("g", sizes["g"], 0.3) if chance else ev.Source("g", sizes["g"]))
    if draw(st.booleans()):
        convolved = convolution(rng, shape)
        window = 1 + (min(convolved.out_shape[1:]) > 1)
        pooled = ev.pooling(convolved.out_shape, window, 1, scale=1 if rng.random() < 0.5 else None)
        sizes["a"], sizes["r"] = (math.prod(made.out_shape) for made in (convolved, pooled))
        projections.append(ev.Projection("in", "a", convolved, 1, "convolved"))
        projections.append(ev.Projection("a", "r", pooled, 0, "pooled"))
    for name in ("a", "b"):
        neuron, n = draw(neurons()), sizes[name]
        if draw(st.booleans()) and not isinstance(neuron, ev.DomainWall):  # whose reset is the end of its track
            devices = neuron.draw(n, ev.Variation(gain=0.1, threshold=0.05, reset=0.01), seed=3, name=name)
        else:
            devices = neuron.identical(n)
        populations.append(
            ev.Population(name, devices, None if quiet or draw(st.booleans()) else rng.normal(0, 0.2, n))
        )
    populations += [ev.Relay("r", sizes["r"]), ev.Readout("out", sizes["out"], rng.normal(0, 1, sizes["out"]))]
    size = {p.name: p.size for p in populations}
    kinds = st.sampled_from((*SPARSE, "dense", "levels"))
    for k, (source, target, least) in enumerate(draw(st.lists(st.sampled_from(WAYS), min_size=3, max_size=8))):
        made, delay = connection(draw(kinds), rng, size[source], size[target], least)
        projections.append(ev.Projection(source, target, made, delay, f"way {k}"))
    return ev.Network([populations[i] for i in rng.permutation(len(populations))], projections)


@st.composite
def spikes(draw, network, samples=3, ticks=16):
    """Events for all sources of a network."""
    shape = (draw(st.integers(1, samples)), draw(st.integers(3, ticks)))
    rng, rate = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.floats(0.1, 1))
    return {s.name: ev.Events.from_frames(rng.random((*shape, s.size)) < rate) for s in network.of_kind(ev.Source)}


def as_set(events, sample=0):
    """Events of a sample as {(tick, neuron)}."""
    rows = events.sample == sample
    return set(zip(events.tick[rows].tolist(), events.address[rows].tolist(), strict=True))
