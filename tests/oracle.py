"""Slow, obvious second implementations that the fast code is tested against."""

from __future__ import annotations

import math
from collections import defaultdict

import mpmath
import numpy as np

from eventsim.models import MTJ
from eventsim.population import Population, Readout, Source


def flow(x, q, h, s, digits=60):
    """Riccati flow in high precision, equation (2) of the closed form with complex functions; None after a run-away."""
    with mpmath.workdps(digits):
        x, q, h, s = (mpmath.mpf(float(value)) for value in (x, q, h, s))
        d = h * h - q
        if d < 0:
            omega = mpmath.sqrt(-d)
            if omega * s >= mpmath.atan2(omega, x - h):
                return None
        root = mpmath.sqrt(mpmath.mpc(d))
        c = mpmath.cosh(root * s).real
        sine = s if d == 0 else (mpmath.sinh(root * s) / root).real
        den = c - sine * (x - h)
        return None if den <= 0 else ((c - h * sine) * x + sine * q) / den


def slopes(x, q, h, s):
    """Derivatives of :func:`flow` by central differences in high precision."""
    with mpmath.workdps(60):
        out = []
        for dx, dq in ((1, 0), (0, 1)):
            e = mpmath.mpf(10) ** -25
            ends = []
            for sign in (1, -1):
                ends.append(_flow_mp(mpmath.mpf(float(x)) + sign * e * dx, mpmath.mpf(float(q)) + sign * e * dq, h, s))
            out.append((ends[0] - ends[1]) / (2 * e))
        return tuple(float(value) for value in out)


def _flow_mp(x, q, h, s):
    h, s = mpmath.mpf(float(h)), mpmath.mpf(float(s))
    root = mpmath.sqrt(mpmath.mpc(h * h - q))
    c = mpmath.cosh(root * s).real
    sine = s if root == 0 else (mpmath.sinh(root * s) / root).real
    return ((c - h * sine) * x + sine * q) / (c - sine * (x - h))


def step(x, q, h, s):
    """One step in double precision, straight from the three cases of the textbook."""
    d, y = h * h - q, x - h
    if d > 0:
        root = math.sqrt(d)
        c, sine = math.cosh(root * s), math.sinh(root * s) / root
    elif d < 0:
        omega = math.sqrt(-d)
        if omega * s >= math.atan2(omega, y):
            return math.inf
        c, sine = math.cos(omega * s), math.sin(omega * s) / omega
    else:
        c, sine = 1.0, s
    den = c - sine * y
    return ((c - h * sine) * x + sine * q) / den if den > 0 else math.inf


def neuron_step(device, nominal, x, drive):
    """One tick of one device of any moving model, by the textbook."""
    velocity = device["gain"] * drive * nominal.threshold / nominal.dt
    kind, t = type(nominal).__name__, nominal.dt
    if kind == "MTJ":
        return step(x, device["k1"] * velocity, -device["k2"] / 2, t / device["k1"])
    if kind == "LIF":
        far = device["tau"] * velocity
        return far + (x - far) * math.exp(-t / device["tau"])
    if kind == "IF":
        return x + velocity * t
    if kind == "DomainWall":
        return max(0.0, x + (velocity - device["leak"]) * t)
    if kind == "TaperedDomainWall":
        return tapered(x, velocity, device["leak"], device["taper"], t)
    push, loss = drive * device["gain"], device["damping"]
    r, m = 2 * loss * (push - 1), 2 * loss * (push + device["nonlinearity"])
    growth = math.exp(r * t)
    return max(device["reset"], x * growth / (1 + m * x * (t if r == 0 else (growth - 1) / r)))


def tapered(x, velocity, leak, taper, t):
    """Lambert's W on the width of the track, with the wall resting at x = 0."""
    width, end = mpmath.mpf(1 + taper * x), mpmath.mpf(velocity) / leak
    if velocity < leak:
        gap = velocity - leak * width  # time until the wall is back at 0
        back = (-(1 - width) / leak - velocity / mpmath.mpf(leak) ** 2 * mpmath.log((velocity - leak) / gap)) / taper
        if back <= t:
            return 0.0
    if velocity == 0:
        return max(0.0, x - leak * t)
    if end == width:
        return x
    y = width / end
    argument = (y - 1) * mpmath.exp(y - 1 - leak * taper / end * t)
    w = mpmath.lambertw(argument, 0 if velocity > 0 else -1).real
    return float((end * (1 + w) - 1) / taper)


def difference(value, x, e=1e-6):
    """Gradient of a scalar function by central differences."""
    grad = np.empty_like(x)
    for i in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[i] += sign * e
            ends.append(value(moved))
        grad[i] = (ends[0] - ends[1]) / (2 * e)
    return grad


def philox(counter, key, rounds=10):
    """Philox4x32 on Python integers."""
    c, k = list(counter), list(key)
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return tuple(c)


def simulate(network, inputs, ticks):
    """Run one sample of a network tick by tick, neuron by neuron, spike by spike, in double precision.

    Projections are :class:`eventsim.Dense`, with levels and a scale.

    Returns the spikes {population: set of (tick, neuron)}, readout means, synaptic operations by projection, and how
    close (relative) any membrane came to its threshold, below which single precision could decide otherwise.
    """
    populations = {p.name: p for p in network.populations}
    spikes = defaultdict(set, {name: set(events) for name, events in inputs.items()})
    rest = {p.name: p.devices.rest if isinstance(p, Population) else np.zeros(p.size) for p in populations.values()}
    x = {name: list(row) for name, row in rest.items()}
    wait = {name: [0] * p.size for name, p in populations.items()}
    synops, margin = defaultdict(int), math.inf
    done = defaultdict(lambda: -1, {p.name: ticks for p in populations.values() if isinstance(p, Source)})

    def advance(name, tick):
        """Step population ``name`` to the end of ``tick``, its sources first."""
        nonlocal margin
        if done[name] >= tick:
            return
        advance(name, tick - 1) if tick else None
        population = populations[name]
        bias = np.zeros(population.size) if population.bias is None else np.asarray(population.bias, np.float32)
        drive = [float(b) for b in bias]
        for projection in network.projections:
            if projection.target != name or tick < projection.delay:
                continue
            advance(projection.source, tick - projection.delay)
            levels, scale = np.asarray(projection.synapses.weight), np.asarray(projection.synapses.scale, np.float32)
            for when, source in sorted(spikes[projection.source]):
                if when == tick - projection.delay:
                    synops[projection.name] += population.size
                    for j in range(population.size):
                        drive[j] += float(scale[j]) * int(levels[source, j])
        for j in range(population.size):
            if isinstance(population, Readout):
                x[name][j] += drive[j]
                continue
            d = population.devices
            if wait[name][j]:
                wait[name][j] -= 1
                continue
            reached = neuron_step({key: d[key][j] for key in d}, d.nominal, x[name][j], drive[j])
            threshold, reset = d["threshold"][j], d["reset"][j]
            margin = min(margin, abs(reached - threshold) / threshold)
            if reached >= threshold:
                spikes[name].add((tick, j))
                wait[name][j] = d.nominal.refractory
                soft = d.nominal.reset_mode == "soft"
                way = threshold - reset
                reached = reached - way if soft else reset
                if isinstance(d.nominal, MTJ) or d.nominal.refractory:
                    reached = min(reached, threshold - way / 1024)
            x[name][j] = reached
        done[name] = tick

    for tick in range(ticks):
        for name in populations:
            advance(name, tick)
    readout = {name: np.array(x[name]) / ticks for name, p in populations.items() if isinstance(p, Readout)}
    fired = {name: spikes[name] for name, p in populations.items() if isinstance(p, Population)}
    return fired, readout, dict(synops), margin
