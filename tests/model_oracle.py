"""Slow, obvious second implementations of the neurons: their equations, textbook flows, and a run as a plain loop.

Nothing here calls the kernels. Parameters are those of the dataclasses, in their physical units.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
from scipy.integrate import solve_ivp

from eventsim import IF, LIF, MTJ, DomainWall, Oscillator, TaperedDomainWall
from tests import oracle

MOVING = (MTJ, LIF, IF, DomainWall, TaperedDomainWall, Oscillator)
WALLS = (DomainWall, TaperedDomainWall)


def lowest(neuron):
    """Where a state that is pushed down stops: the end of the track, or the thermal level of an oscillator."""
    if isinstance(neuron, WALLS):
        return 0.0
    return neuron.reset if isinstance(neuron, Oscillator) else -math.inf


def velocity(neuron, x, drive):
    """Right-hand side of the neuron's equation (nm/ns or 1/ns), without the lowest state; broadcasts."""
    v = neuron.gain * drive * neuron.threshold / neuron.dt
    match neuron:
        case MTJ():
            return x * (x + neuron.k2) / neuron.k1 + v
        case LIF():
            return v - x / neuron.tau
        case IF():
            return v + 0 * x
        case DomainWall():
            return v - neuron.leak + 0 * x
        case TaperedDomainWall():
            return v / (1 + neuron.taper * x) - neuron.leak
        case Oscillator():
            current = neuron.gain * drive
            return 2 * x * neuron.damping * (current * (1 - x) - 1 - neuron.nonlinearity * x)
    raise TypeError(neuron)


def integrate(neuron, x, drive, time, top=math.inf):
    """Solve the equation numerically; a state that comes to its lowest value stays, because it is pushed against it.

    Returns infinity where the state went beyond ``top`` on the way.
    """

    floor = lowest(neuron)

    def below(_, state):
        return state[0] - floor

    def above(_, state):
        return state[0] - top

    if x <= floor and velocity(neuron, floor, drive) <= 0:
        return floor
    events = []
    for event, direction, wanted in ((below, -1, floor > -math.inf), (above, 1, bool(top < math.inf))):
        event.terminal, event.direction = True, direction
        events += [event] * wanted
    size = neuron.threshold + abs(x)
    found = solve_ivp(
        lambda _, state: velocity(neuron, state, drive),
        (0.0, time),
        [x],
        "DOP853",
        rtol=1e-12,
        atol=1e-13 * size,
        events=events or None,
    )
    for event, times in zip(events, found.t_events or [], strict=True):
        if len(times):
            return floor if event is below else math.inf
    return float(found.y[0, -1])


def tapered_wall(x, v, leak, taper, time):
    """Tapered track by Lambert's W: ``w = c (1 + W((w0/c - 1) exp(w0/c - 1 - leak taper time/c)))``.

    Here c = v/leak and w = 1 + taper x. The branch is -1 where the current pushes the wall back.
    """
    with mpmath.workdps(40):
        x, v, leak, taper, time = (mpmath.mpf(float(value)) for value in (x, v, leak, taper, time))
        start = 1 + taper * x
        if v == 0:
            return float(max(mpmath.mpf(0), x - leak * time))
        c = v / leak
        if v < leak and time >= (start - 1 - c * mpmath.log((v - leak) / (v - leak * start))) / (leak * taper):
            return 0.0
        y = start / c
        argument = (y - 1) * mpmath.exp(y - 1 - leak * taper * time / c)
        width = c * (1 + mpmath.lambertw(argument, 0 if v > 0 else -1).real)
        return float((width - 1) / taper)


def flow(model, values, nominal_threshold, dt, x, drive, time):
    """Textbook flow of one neuron of a model with these parameters; its drive is scaled by the nominal threshold."""
    v = values["gain"] * drive * nominal_threshold / dt
    if model is MTJ:
        return oracle.step(x, values["k1"] * v, -values["k2"] / 2, time / values["k1"])
    if model is LIF:
        left = math.exp(-time / values["tau"])
        return x * left + v * values["tau"] * (1 - left)
    if model is IF:
        return x + v * time
    if model is DomainWall:
        return max(0.0, x + (v - values["leak"]) * time)
    if model is TaperedDomainWall:
        return tapered_wall(x, v, values["leak"], values["taper"], time)
    loss, current = 2 * values["damping"], values["gain"] * drive
    r, m = loss * (current - 1), loss * (current + values["nonlinearity"])
    if r == 0:
        return max(values["reset"], x / (1 + m * x * time))
    if r > 0:
        return max(values["reset"], x / (math.exp(-r * time) - m / r * x * math.expm1(-r * time)))
    return max(values["reset"], x * math.exp(r * time) / (1 + m / r * x * math.expm1(r * time)))


def respond(devices, drive, first_tick=0):
    """Step, threshold, reset and refractory time as one would write them down, neuron by neuron.

    Parameters
    ----------
    devices : Devices
    drive : array, shape (ticks, n)

    Returns
    -------
    position before reset (nm) and spikes, both (ticks, n), and how close any neuron came to its threshold (relative)
    """
    nominal = devices.nominal
    ticks, n = drive.shape
    position, spikes, margin = np.empty((ticks, n)), np.zeros((ticks, n), bool), math.inf
    for j in range(n):
        x, wait = float(devices.rest[j]), 0
        for t in range(ticks):
            now = devices.in_tick(first_tick + t)
            values = {name: float(now[name][j]) for name in now}
            threshold, reset = values["threshold"], values["reset"]
            if wait:
                wait -= 1
                x = min(x, threshold - (threshold - reset) / 1024)  # what is held must not fire
            else:
                x = flow(type(nominal), values, nominal.threshold, nominal.dt, x, drive[t, j], nominal.dt)
                margin = min(margin, abs(x - threshold) / threshold)
                spikes[t, j] = x >= threshold
            position[t, j] = x
            if spikes[t, j]:
                wait = nominal.refractory
                way = threshold - reset
                x = x - way if nominal.reset_mode == "soft" else reset
                if isinstance(nominal, MTJ):
                    x = min(x, threshold - way / 1024)
    return position, spikes, margin
