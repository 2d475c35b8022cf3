"""Panels of the pictures of devices: closed forms as lines, what :func:`eventsim.respond` does as points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from eventsim.checks import LIMIT
from eventsim.conductance import MTJSynapse
from eventsim.device import Devices, Neuron
from eventsim.errors import DeviceError
from eventsim.kernels import neuron as kernel
from eventsim.models import MTJ, Oscillator
from eventsim.moving import MovingNeuron
from eventsim.plot import ACCENT, INK, QUIET, WARM
from eventsim.response import respond, rest
from eventsim.stochastic import BackHoppingMTJ, StochasticNeuron, SuperparamagneticMTJ, SwitchingMTJ
from eventsim.variation import Variation

Real = NDArray[np.float64]

COLOURS = (ACCENT, WARM, "#0f766e", "#7c3aed", "#e0a800", INK, "#be185d", QUIET)
TRIALS, DRAWN, SPREAD = 40, 8, 0.1
"""Trials of a raster; devices drawn for the curves, and their relative spread."""


def exact_path(model: MovingNeuron, drive: Real, points: int = 24) -> tuple[Real, Real, Real]:
    """Times (ns), states (nm, 1 for a power) and spike times (ns) of a neuron, exact within its ticks.

    Parameters
    ----------
    model : MovingNeuron
    drive : array of float64, shape (ticks,)
        Dimensionless. From a spike to the end of its tick the neuron stands where the reset puts it.
    points : int
        Points in a tick.
    """
    times, states, spikes = [np.zeros(1)], [np.full(1, model.rest)], []
    devices, now = model.identical(1), rest(model.identical(1))
    for tick, pulse in enumerate(drive):
        begin, start, held = tick * model.dt, float((now.position * devices.unit)[0]), now.refractory[0] > 0
        found = respond(devices, drive[tick : tick + 1], state=now)
        now, end, left = found.state, model.dt, np.zeros(0)
        if found.spikes[0, 0]:
            end, left = min(end, float(model.first_passage(start, pulse))), np.repeat(now.position * devices.unit, 2)
            spikes.append(begin + end)
        within = np.linspace(0.0, end, points)[1:]
        x = np.full(points - 1, start) if held else model.step(start, pulse, within)
        x[-1] = max(start, model.threshold) if len(left) else x[-1]
        times += [begin + within, begin + np.array([end, model.dt])[: len(left)]]
        states += [x, left]
    return np.concatenate(times), np.concatenate(states), np.array(spikes)


def spike_probability(model: StochasticNeuron, drive: Real) -> Real:
    """Probability of a spike in each tick (of state 1, for the superparamagnetic MTJ), refractory ticks included."""
    found = np.zeros(len(drive))
    for tick, pulse in enumerate(drive):
        free = 1 - found[max(0, tick - model.refractory) : tick].sum()
        found[tick] = free * model.probability(pulse, state=found[tick - 1] if tick else 0.0)
    return found


def device_rates(devices: Devices, drives: Real) -> Real:
    """Exact rates (MHz) of devices under constant drives, shape (drives, devices).

    For the superparamagnetic MTJ the probability of state 1 long after (1).
    """
    model, n = devices.nominal, len(devices)
    unit, out = model.time_unit if isinstance(model, MovingNeuron) else model.dt, np.empty((len(drives), n))
    c = model.constants(devices.values, np.full(n, unit))
    for row, drive in zip(out, drives, strict=True):
        current, p, push = np.full(n, drive), np.empty((2, n)), c.gain * drive
        if isinstance(model, MovingNeuron):
            kernel.passage_of(model.KIND, c.reset, current, c.a, c.b, c.gain, c.reset, c.threshold, row)
            row[:] = 1e3 / (row * unit + model.refractory * model.dt)
        elif isinstance(model, SuperparamagneticMTJ):
            row[:] = expit(c.a * (np.maximum(0, 1 + push) - np.maximum(0, 1 - push)))
        else:
            kernel.probability_of(model.KIND, np.zeros(n), current, c.a, c.b, c.gain, c.threshold, p)
            row[:] = 1e3 * p[0] / (model.dt * (1 + p[0] * model.refractory))
    return out


def tick_rates(model: Neuron, drives: Real, seed: int, ticks: int = 1000) -> Real:
    """What a simulation counts under constant drives, shape (drives,); units as for :func:`device_rates`."""
    found = respond(model.identical(len(drives)), np.broadcast_to(drives, (ticks, len(drives))), seed=seed)
    return found.spikes.mean(axis=0) if isinstance(model, SuperparamagneticMTJ) else found.rate


def level(axes: Axes, height: float, text: str, colour: str = INK, *, right: bool = False, below: bool = False) -> None:
    """A dashed level with its name at one end."""
    axes.axhline(height, color=colour, linestyle="--", linewidth=0.9, zorder=1)
    at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    at |= {"ha": "right" if right else "left", "va": "top" if below else "bottom"}
    axes.annotate(
        text, (right, height), xytext=(-3 if right else 3, -2 if below else 2), color=colour, fontsize=8, **at
    )


def label_state(axes: Axes, model: MovingNeuron, low: float, high: float) -> None:
    """Axes of time and state; powers grow by orders of magnitude."""
    axes.set(xlabel="time (ns)", ylabel="position x (nm)", ylim=(low, high))
    if isinstance(model, Oscillator):
        axes.set(ylabel="power p (1)", yscale="log", ylim=(model.rest / 3, max(high, 4 * model.threshold)))


@dataclass(frozen=True)
class Paths:
    """Panel of exact paths under constant drives.

    ``starts`` are relative to the threshold (to the unstable point if ``free``), 0 for the rest, and so is the upper
    end ``top`` of the axis; ``span`` is the time shown (ns), given the model. ``free``: without read head, to where
    the state runs away.
    """

    starts: Sequence[float]
    drives: Sequence[float]
    span: Callable[[Any], float]
    top: float = 1.5
    free: bool = False

    def __call__(self, axes: Axes, model: MovingNeuron, scene: Scene, seed: int) -> None:
        scale = -model.k2 if self.free and isinstance(model, MTJ) else model.threshold
        end, span = np.inf if self.free else model.threshold, min(self.span(model), LIMIT)
        for start, drive, colour in zip(self.starts, self.drives, COLOURS, strict=False):
            x0 = start * scale or model.rest
            passage = float(model.first_passage(x0, drive, end)) if x0 < end else np.inf
            times = np.linspace(0.0, min(span, passage), 400)
            x = model.step(x0, drive, times)
            name = f"I = {drive:g}" if not self.free else f"{passage:.1f} ns" if passage < np.inf else "_"
            axes.plot(times, np.where(np.isfinite(x), x, np.nan), color=colour, linewidth=1.2, label=name)
            if self.free and passage < span:
                axes.axvline(passage, color=colour, linestyle=":", linewidth=0.9)
            elif passage < span:
                axes.plot(passage, end, "o", color=colour, markersize=4, zorder=3)
        level(axes, model.threshold, "threshold", right=self.free)
        if self.free:
            level(axes, scale, "unstable point", WARM, right=True)
        label_state(axes, model, -0.04 * scale, self.top * scale)
        axes.set_xlim(0, span)
        axes.set_title("Free motion, no read head" if self.free else "Paths under constant drive")
        title, columns = ("runs away after", 1) if self.free else (None, 3)
        axes.legend(loc="upper right", fontsize=8, ncols=columns, title=title, title_fontsize=8)


def curves(axes: Axes, x: ArrayLike, named: Mapping[str, Real], place: Any, columns: int = 1, style: str = "-") -> None:
    """Several curves with a legend."""
    for (name, y), colour in zip(named.items(), COLOURS, strict=False):
        axes.plot(x, y, style, color=colour, markersize=2.5, linewidth=1.2, label=name)
    axes.legend(loc=place, fontsize=8, ncols=columns, columnspacing=1, handlelength=1.5)


def draw_switching(axes: Axes, model: SwitchingMTJ, scene: Scene, seed: int) -> None:
    """Probability to switch against the drive, for pulses of several lengths."""
    critical, lengths = model.critical / model.gain, np.minimum(model.dt * np.array([0.1, 1, 10, 100]), LIMIT)
    drives = np.linspace(0.6, 1.1, 301) * critical
    curves(axes, drives, {f"{length:g} ns": model.probability(drives, length) for length in lengths}, "upper left")
    axes.axvline(critical, color=INK, linestyle="--", linewidth=0.9)
    axes.annotate("critical", (critical, 0), xytext=(3, 2), textcoords="offset points", fontsize=8)
    axes.set(xlabel=scene.drive, ylabel="P(switch)", title="One pulse, by its length", xlim=drives[[0, -1]])


def draw_dwell(axes: Axes, model: SuperparamagneticMTJ, scene: Scene, seed: int) -> None:
    """Mean dwell times of both states against the drive."""
    drives = np.linspace(*scene.drives, 301)
    times = dict(zip(("antiparallel", "parallel"), model.dwell_times(drives), strict=True))
    curves(axes, drives, times, "upper center")
    level(axes, model.dt, "tick", QUIET)
    axes.set(yscale="log", xlabel=scene.drive, ylabel="mean dwell time (ns)", title="Dwell times")
    axes.set_ylim(top=min(axes.get_ylim()[1], 1e30))  # beyond this the age of the universe looks short


def draw_counts(axes: Axes, model: BackHoppingMTJ, scene: Scene, seed: int) -> None:
    """Spikes counted in windows, against the binomial law of ticks and the Poisson law of all events."""
    from scipy.stats import binom, poisson

    ticks, windows = 20, 2000
    counts = np.arange(ticks + 1)
    for drive, colour in zip((model.onset + model.scale * np.arange(2, 5)) / model.gain, COLOURS, strict=False):
        p, mean = float(model.probability(drive)), float(model.event_rate(drive)) * ticks * model.dt * 1e-3
        spikes = respond(model.identical(windows), np.full(ticks, drive), seed=seed).spikes.sum(axis=0)
        share = np.bincount(spikes, minlength=ticks + 1) / windows
        axes.plot(counts, share, "o", color=colour, markersize=4, label=f"{drive:.3g} V")
        if not model.refractory:  # else ticks depend on each other
            axes.plot(counts, binom.pmf(counts, ticks, p), color=colour, linewidth=1.2)
        axes.plot(counts, poisson.pmf(counts, mean), color=colour, linestyle=":", linewidth=1.2)
    axes.plot([], [], color=QUIET, label="binomial, ticks")
    axes.plot([], [], ":", color=QUIET, label="Poisson, all events")
    axes.set(xlabel=f"spikes in {ticks * model.dt:g} ns", ylabel=f"share of {windows} windows", title="Spike counts")
    axes.legend(fontsize=8, loc="upper right")


@dataclass(frozen=True)
class Scene:
    """How a model is shown: pulses, their width and gap (ticks), range of the curve of rates, third panel."""

    kind: type[Neuron]
    pulses: Sequence[float]
    width: int
    gap: int
    drives: tuple[float, float]
    own: Callable[[Axes, Any, Scene, int], None]
    drive: str = "drive I (1)"

    def train(self) -> Real:
        """Drive of every tick, shape (ticks,)."""
        on = np.repeat([1.0, 0.0], [self.width, self.gap])
        return np.concatenate([np.zeros(self.gap), *(pulse * on for pulse in self.pulses)])


def draw_membrane(axes: Axes, model: MovingNeuron, drive: Real) -> None:
    """Exact membrane, threshold, reset, and the spikes at their times within the ticks."""
    times, states, spikes = exact_path(model, drive)
    axes.plot(times, states, color=ACCENT, linewidth=1.2)
    axes.plot(spikes, np.full(len(spikes), model.threshold), "o", color=WARM, markersize=4, zorder=3)
    for time in spikes if len(spikes) <= 5 else ():
        at: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 7}
        axes.annotate(f"{time:.4g}", (time, model.threshold), color=WARM, **at)
    level(axes, model.threshold, "threshold")
    level(axes, model.reset, "reset", QUIET, right=True, below=True)
    way, low = model.threshold - model.reset, min(float(states.min()), model.reset)
    label_state(axes, model, low - 0.16 * way, model.threshold + 0.3 * way)


def draw_trials(raster: Axes, curve: Axes, model: StochasticNeuron, drive: Real, seed: int) -> None:
    """Spikes of independent trials, and how many of them spike in each tick against the probability."""
    edges = np.arange(len(drive) + 1) * model.dt
    spikes = respond(model.identical(TRIALS), drive, seed=seed).spikes
    tick, trial = np.nonzero(spikes)
    raster.plot(edges[tick] + model.dt / 2, trial, "|", color=ACCENT, markersize=2.2, markeredgewidth=1.2)
    raster.set(ylim=(-1, TRIALS), yticks=[0, TRIALS], ylabel="trial")
    share = spikes.mean(axis=1)
    curve.plot(edges[1:] - model.dt / 2, share, "o", color=ACCENT, markersize=2.5, label=f"{TRIALS} trials")
    curve.stairs(spike_probability(model, drive), edges, baseline=None, color=WARM, label="exact")
    name = "P(parallel)" if isinstance(model, SuperparamagneticMTJ) else "P(spike)"
    curve.set(xlabel="time (ns)", ylabel=name, ylim=(-0.1, 1.8), yticks=[0, 1])
    curve.legend(loc="upper left", fontsize=7, ncols=2, borderaxespad=0)


def draw_rates(axes: Axes, model: Neuron, scene: Scene, seed: int) -> None:
    """Exact curve, drawn devices as thin lines, simulation in ticks as points; for the p-bit its sigmoid."""
    drives, some = np.linspace(*scene.drives, 301), np.linspace(*scene.drives, 31)
    exact, most = device_rates(model.identical(1), drives)[:, 0], 1e3 / (model.dt * (1 + model.refractory))
    try:
        drawn = device_rates(model.draw(DRAWN, Variation.all(SPREAD), seed=seed), drives)
        names = [f"drawn, {SPREAD:.0%} variation"] + ["_"] * (DRAWN - 1)
        axes.plot(drives, drawn, color=QUIET, linewidth=0.7, label=names)
    except DeviceError:  # possible as one device, but with this spread a threshold meets its reset
        axes.plot([], [], " ", label=f"no {SPREAD:.0%} variation possible")
    axes.plot(drives, exact, color=ACCENT, label="exact")
    axes.plot(some, tick_rates(model, some, seed), "o", color=INK, markersize=3, label="in ticks")
    axes.set(xlabel=scene.drive, ylabel="rate (MHz)", title="Rate under constant drive")
    axes.margins(x=0.02)
    if isinstance(model, SuperparamagneticMTJ):
        bit = (1 + np.tanh(model.barrier * model.gain / model.critical * drives)) / 2
        axes.plot(drives, bit, color=WARM, linestyle="--", label="(1 + tanh)/2")
        axes.set(ylabel="P(parallel)", title="Sigmoid of the p-bit")
    else:
        top = min(1.45 * most, 1.15 * max(float(exact.max()), 1e-9 * most))
        top = max(top, 1.12 * most) if most < top else top  # room for the name of the level
        axes.set_ylim(-0.03 * top, top)
        if most < top:
            level(axes, most, "one spike in every tick" if not model.refractory else "one spike per refractory time")
    axes.legend(loc="lower right", fontsize=8, frameon=True, edgecolor="none")


def draw_pulses(axes: Axes, synapse: MTJSynapse) -> None:
    """Potentiation and depression, pulse by pulse, as the synapse is and with stronger bends."""
    up, down = np.arange(synapse.levels), np.arange(1, synapse.levels)
    bent = {"this one": synapse} | {f"nl {nl}": replace(synapse, nl_ltp=nl, nl_ltd=nl) for nl in (1, 3, 6)}
    g = {name: np.concatenate([one.potentiate(up), one.depress(down)]) for name, one in bent.items()}
    curves(axes, np.arange(2 * synapse.levels - 1), g, "lower center", 4, "o-")
    axes.set(xlabel="pulses up, then down (1)", ylabel="conductance (µS)", title="Potentiation and depression")
    axes.set_ylim(synapse.g_min - 0.2 * (synapse.g_max - synapse.g_min), None)


def draw_burst(axes: Axes, synapse: MTJSynapse) -> None:
    """Short-term conductance through a burst of spikes, and its relaxation."""
    spikes, end = np.arange(8) * 0.4 * synapse.tau_st, 7 * synapse.tau_st
    g, gaps = synapse.short_term(spikes), np.diff(spikes, append=end)
    within = np.linspace(0, 1, 30) * gaps[:, None]
    times, states = (spikes[:, None] + within).ravel(), synapse.relax(g[:, None], within).ravel()
    axes.plot(np.insert(times, 0, 0.0), np.insert(states, 0, 0.0), color=ACCENT, linewidth=1.2)
    axes.plot(spikes, g, "o", color=WARM, markersize=4, zorder=3, label="just after a spike")
    ceiling = synapse.stp_max * (synapse.g_max - synapse.g_min)
    level(axes, ceiling, "ceiling")
    axes.set(
        xlabel="time (ns)", ylabel="on top of the level (µS)", title="Short-term plasticity", ylim=(0, 1.2 * ceiling)
    )
    axes.legend(loc="center right", fontsize=8)


def draw_facilitation(axes: Axes, synapse: MTJSynapse) -> None:
    """Short-term conductance just after each spike of regular trains."""
    spike, gaps = np.arange(16), np.array([0.1, 0.3, 1, 3]) * synapse.tau_st
    g = {f"{gap:g} ns": synapse.short_term(spike * gap) for gap in gaps}
    curves(axes, spike + 1, g, "upper right", 4, "o-")
    ceiling = synapse.stp_max * (synapse.g_max - synapse.g_min)
    level(axes, ceiling, "ceiling")
    axes.set(xlabel="spike (1)", ylabel="just after it (µS)", title="By the distance of the spikes")
    axes.set(xticks=spike[3::4] + 1, ylim=(0, 1.45 * ceiling))
