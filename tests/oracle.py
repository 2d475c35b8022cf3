"""Slow, obvious second implementations that the fast code is tested against."""

from __future__ import annotations

import math
from collections import defaultdict

import mpmath
import numpy as np

from eventsim.network import Population, Readout, Source


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


def philox(counter, key):
    """Philox4x32-10 on Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return tuple(c)


def simulate(network, inputs, ticks):
    """Run one sample of a network tick by tick, neuron by neuron, spike by spike, in double precision.

    Returns the spikes {population: set of (tick, neuron)}, readout means, synaptic operations by projection, and how
    close (nm) any membrane came to its threshold, below which single precision could decide otherwise.
    """
    populations = {p.name: p for p in network.populations}
    spikes = defaultdict(set, {name: set(events) for name, events in inputs.items()})
    x = {name: [0.0] * p.size for name, p in populations.items()}
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
            levels, scale = np.asarray(projection.levels), np.asarray(projection.scale, np.float32)
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
            q = d.k1[j] * d.gain[j] * drive[j] * d.nominal.threshold / d.nominal.dt
            reached = step(x[name][j], q, -d.k2[j] / 2, d.nominal.dt / d.k1[j])
            margin = min(margin, abs(reached - d.threshold[j]))
            if reached >= d.threshold[j]:
                spikes[name].add((tick, j))
                reached = d.nominal.reset
            x[name][j] = reached
        done[name] = tick

    for tick in range(ticks):
        for name in populations:
            advance(name, tick)
    readout = {name: np.array(x[name]) / ticks for name, p in populations.items() if isinstance(p, Readout)}
    fired = {name: spikes[name] for name, p in populations.items() if isinstance(p, Population)}
    return fired, readout, dict(synops), margin
