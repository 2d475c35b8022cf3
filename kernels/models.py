"""Neurons other than the skyrmion: their flow over one tick, its derivatives and first passage, in closed form.

Every model is a scalar state x, a dimensionless drive I and three constants ``a``, ``b``, ``gain`` that belong to the
length of the tick. What they mean stands with each model; ``eventsim.models`` computes them from physical parameters.
A first passage is the time in ticks until x reaches the threshold from below under constant drive: 0 at or above it,
``inf`` if never. ``docs/devices.md`` gives the equations and their sources.
"""

from __future__ import annotations

import math

from eventsim.kernels._jit import inline, jit
from eventsim.kernels.decay import decay

_ROUNDS = 60


@jit
def leaky_step(x, drive, a, gain):
    """LIF and IF: ``x a + gain I`` with a = exp(-dt/tau), 1 without leak."""
    return x * a + gain * drive


@inline
def leaky_rest(x, ticks, b):
    """Position after any number of ticks without drive; ``b`` = dt/tau, 0 without leak."""
    left, _ = decay(b * ticks)
    return x * left


@jit
def leaky_passage(x, drive, b, gain, threshold):
    """``b`` as for :func:`leaky_rest`."""
    f = type(x)
    if x >= threshold:
        return f(0.0)
    push = gain * drive
    if b == f(0.0):
        return (threshold - x) / push if push > f(0.0) else f(math.inf)
    limit = push / -math.expm1(-b)
    return math.log1p((threshold - x) / (limit - threshold)) / b if limit > threshold else f(math.inf)


@jit
def wall_step(x, drive, a, gain):
    """Domain wall with constant leak a (nm per tick) that rests against the end of its track, x = 0."""
    return max(type(x)(0.0), x + gain * drive - a)


@jit
def wall_slopes(x, drive, a, gain):
    """Derivatives of :func:`wall_step` by position and drive, 0 at the end of the track."""
    f = type(x)
    free = x + gain * drive - a > f(0.0)
    return (f(1.0), gain) if free else (f(0.0), f(0.0))


@jit
def wall_passage(x, drive, a, gain, threshold):
    """First passage of the domain wall with constant leak."""
    f = type(x)
    if x >= threshold:
        return f(0.0)
    push = gain * drive - a
    return (threshold - x) / push if push > f(0.0) else f(math.inf)


@jit
def _log_rest(y):
    """log1p(y) - y for y > -1, without cancellation: log1p(y) is 2 artanh(s) with s = y/(2 + y)."""
    f = type(y)
    if abs(y) > f(0.4):
        return math.log1p(y) - y
    s = y / (f(2.0) + y)
    square, term, total = s * s, f(2.0) * s, f(0.0)
    for k in range(3, 33, 2):
        term *= square
        total += term / f(k)
    return total - y * s


@jit
def _exp_rest(y):
    """expm1(y) - y, without cancellation."""
    f = type(y)
    if abs(y) > f(0.5):
        return math.expm1(y) - y
    term, total = f(0.5) * y * y, f(0.0)
    for k in range(3, 18):
        total += term
        term *= y / f(k)
    return total


@jit
def _taper_time(before, after, velocity, a, b):
    """Ticks in which the relative width of the track at the wall goes from ``before`` to ``after``, if it does."""
    gap = velocity - b * before
    y = -b * (after - before) / gap
    rest = _log_rest(y)
    return -(gap * rest + b * before * (y + rest)) / (a * b * b)


@jit
def _taper_log(width, c, shrink):
    """Root l <= 0 of ``c l + (width - c) expm1(l) + shrink = 0``: Lambert's W without over- or underflow.

    Newton approaches it from one side, because the left-hand side is convex or concave.
    """
    f = type(width)
    root = -shrink / width
    if c > f(0.0):  # a weak leak leaves a parabola
        root = -f(2.0) * shrink / (width + math.sqrt(width * width + f(2.0) * c * shrink))
    for _ in range(_ROUNDS):
        change = math.expm1(root)
        value = width * change + shrink - c * _exp_rest(root)
        step = value / (width * math.exp(root) - c * change)
        root -= step
        if abs(step) <= f(4.0) * abs(root) * _epsilon(root):
            break
    return root


@jit
def _epsilon(x):
    f = type(x)
    return f(1.2e-7) if f(1.0) + f(1e-9) == f(1.0) else f(2.2e-16)


@jit
def _taper_flow(x, drive, a, b, gain):
    """Relative width at the start, the drift over the leak c, and l; the wall has not met the end of its track."""
    f = type(x)
    width, c = f(1.0) + a * x, gain * drive / b
    return width, c, _taper_log(width, c, a * b)


@jit
def _taper_ends(x, drive, a, b, gain):
    """Whether the wall is back at the end of its track, x = 0, before the tick is over."""
    f = type(x)
    velocity = gain * drive
    if velocity >= b:
        return False
    return x <= f(0.0) or _taper_time(f(1.0) + a * x, f(1.0), velocity, a, b) <= f(1.0)


@jit
def taper_step(x, drive, a, b, gain):
    """Domain wall on a track that widens as 1 + a x, with leak b (nm per tick): dx/dt = gain I/(1 + a x) - b."""
    if _taper_ends(x, drive, a, b, gain):
        return type(x)(0.0)
    width, c, log = _taper_flow(x, drive, a, b, gain)
    return x + (width - c) * math.expm1(log) / a


@jit
def taper_slopes(x, drive, a, b, gain):
    """Derivatives of :func:`taper_step` by position and drive, 0 at the end of the track."""
    f = type(x)
    if _taper_ends(x, drive, a, b, gain):
        return f(0.0), f(0.0)
    width, c, log = _taper_flow(x, drive, a, b, gain)
    decay, change = math.exp(log), math.expm1(log)
    after = width + (width - c) * change
    by_c = -change + (width - c) * decay * _exp_rest(log) / after
    return decay * width / after, gain * by_c / (a * b)


@jit
def taper_passage(x, drive, a, b, gain, threshold):
    """First passage of the domain wall on a track that widens."""
    f = type(x)
    if x >= threshold:
        return f(0.0)
    velocity = gain * drive
    width, wanted = f(1.0) + a * x, f(1.0) + a * threshold
    return _taper_time(width, wanted, velocity, a, b) if velocity > b * wanted else f(math.inf)


@jit
def _growth(r):
    """expm1(r)/r and its derivative."""
    f = type(r)
    if abs(r) < f(1e-2):
        bend = f(0.5) + r * (f(1 / 3) + r * (f(1 / 8) + r * (f(1 / 30) + r * (f(1 / 144) + r * f(1 / 840)))))
        return (math.expm1(r) / r if r != f(0.0) else f(1.0)), bend
    growth = math.expm1(r) / r
    return growth, (math.exp(r) - growth) / r


@jit
def _oscillator(p, r, m):
    """Power one tick later and its derivatives by p, r and m; exponentials of negative numbers only."""
    f = type(p)
    one = f(1.0)
    sign = one if r <= f(0.0) else -one
    growth, bend = _growth(sign * r)
    decay = math.exp(sign * r)
    before, after = (one, decay) if r <= f(0.0) else (decay, one)
    den = before + m * p * growth
    if not den > f(0.0):
        return f(math.inf), f(0.0), f(0.0), f(0.0)
    reached = p * after / den
    by_r = (reached if r <= f(0.0) else reached * decay / den) - sign * reached * m * p * bend / den
    return reached, decay / (den * den), by_r, -reached * p * growth / den


@jit
def oscillator_step(p, drive, a, b, gain, floor):
    """Power of a spin-torque oscillator, logistic: dp/dt = r p - m p**2 with r = gain I - a, m = gain I + a b.

    Thermal noise keeps it at ``floor`` at least; motion is monotone, so that this is exact too.
    """
    reached, _, _, _ = _oscillator(p, gain * drive - a, gain * drive + a * b)
    return max(floor, reached)


@jit
def oscillator_slopes(p, drive, a, b, gain, floor):
    """Derivatives of :func:`oscillator_step` by power and drive, 0 at the thermal level."""
    f = type(p)
    reached, by_p, by_r, by_m = _oscillator(p, gain * drive - a, gain * drive + a * b)
    return (by_p, gain * (by_r + by_m)) if reached > floor else (f(0.0), f(0.0))


@jit
def oscillator_passage(p, drive, a, b, gain, threshold):
    """First passage of the power."""
    f = type(p)
    if p >= threshold:
        return f(0.0)
    r, m = gain * drive - a, gain * drive + a * b
    if not (p > f(0.0) and r - m * p > f(0.0)):
        return f(math.inf)
    if threshold == f(math.inf):
        z = -f(1.0) / (p * m) if m < f(0.0) else f(-1.0)
    else:
        z = (threshold - p) / (p * (r - m * threshold))
    if not z > f(0.0):
        return f(math.inf)
    return math.log1p(r * z) / r if r != f(0.0) else z


@jit
def switching_probability(drive, a, b, gain):
    """Neel-Arrhenius: p = 1 - exp(-b exp(-a (1 - gain I))), barrier a, b = dt/tau0; the barrier does not go below 0.

    Returns p and dp/dI.
    """
    f = type(drive)
    height = f(1.0) - gain * drive
    hazard = b * math.exp(-a * max(f(0.0), height))
    slope = gain * a * hazard * math.exp(-hazard) if height > f(0.0) else f(0.0)
    return -math.expm1(-hazard), slope


@jit
def telegraph_probability(state, drive, a, b, gain):
    """Two-state telegraph: probability of state 1 (parallel) one tick after ``state`` (0 to 1), and its slope by I.

    Rates b exp(-a (1 + gain I)) out of state 1 and b exp(-a (1 - gain I)) into it, barriers not below 0; b = dt/tau0.
    """
    f = type(drive)
    zero, one = f(0.0), f(1.0)
    down, up = max(zero, one + gain * drive), max(zero, one - gain * drive)
    leave, enter = b * math.exp(-a * down), b * math.exp(-a * up)
    by_down, by_up = (gain if down > zero else zero), (-gain if up > zero else zero)
    left, moved = math.exp(-(leave + enter)), -math.expm1(-(leave + enter))
    settled = one / (one + math.exp(a * (up - down)))
    by_settled = settled * (one - settled) * a * (by_down - by_up)
    by_total = -a * (leave * by_down + enter * by_up)
    return state + (settled - state) * moved, by_settled * moved + (settled - state) * left * by_total


@jit
def poisson_probability(drive, a, b, gain, top):
    """Back-hopping: one or more events, p = 1 - exp(-b expm1(e)) with e = gain I - a cut to 0 ... ``top``; dp/dI."""
    f = type(drive)
    exponent = gain * drive - a
    cut = min(max(exponent, f(0.0)), top)
    hazard = b * math.expm1(cut)
    slope = gain * b * math.exp(cut - hazard) if f(0.0) < exponent < top else f(0.0)
    return -math.expm1(-hazard), slope
