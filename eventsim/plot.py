"""Figures. Each function draws one thing on axes that it is given; units stand on the axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from eventsim.events import Events
from eventsim.moving import MovingNeuron
from eventsim.recording import Trace

INK, ACCENT, QUIET, WARM = "#1f2933", "#2563eb", "#9aa5b1", "#d9480f"
STYLE: Any = {
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.size": 9,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this project's style, whatever the user's own settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure (inches) that belongs to no window system."""
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def image(axes: Axes, pixels: NDArray[np.floating], title: str) -> None:
    """One sample as a picture."""
    axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_title(title)


def learning_curves(
    loss: Axes, accuracy: Axes, curves: Mapping[str, Sequence[tuple[float, float]]], colours: Mapping[str, str]
) -> None:
    """Training loss and validation accuracy of each model against the epoch."""
    for name, curve in curves.items():
        colour = colours[name]
        epochs = np.arange(1, len(curve) + 1)
        loss.plot(epochs, [point[0] for point in curve], color=colour, label=name)
        accuracy.plot(epochs, [100 * point[1] for point in curve], color=colour, label=name)
    loss.set(xlabel="epoch", ylabel="training objective", yscale="log", title="Training objective")
    accuracy.set(xlabel="epoch", ylabel="accuracy (%)", title="Validation accuracy")
    accuracy.legend(loc="lower right")


def raster(axes: Axes, groups: Mapping[str, Events], dt: float) -> None:
    """Spikes of one sample, populations above each other; a spike is drawn at the end of its tick."""
    base, ticks = 0, 1
    middles, labels = [], []
    for (name, events), colour in zip(groups.items(), (QUIET, ACCENT, WARM), strict=False):
        _, ticks, size = events.shape
        axes.plot((events.tick + 1) * dt, base + events.address, "|", color=colour, markersize=4, markeredgewidth=1.2)
        axes.axhline(base - 0.5, color=QUIET, linewidth=0.5)
        middles.append(base + size / 2)
        labels.append(f"{name}\n{size} neurons\n{len(events)} spikes")
        base += size
    axes.set(xlim=(0, (ticks + 0.5) * dt), ylim=(-0.5, base), xlabel="time (ns)")
    axes.set_yticks(middles, labels)
    axes.set_title("Spikes of one image")


def _path(
    neuron: MovingNeuron, trace: Trace, column: int, fired: set[int], points: int = 24
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Position within every tick, from the closed form; cut where it reaches the threshold."""
    times, positions = [0.0], [0.0]
    start = 0.0
    for tick, drive in enumerate(trace.drive[0, :, column]):
        within = np.linspace(0, neuron.dt, points)[1:]
        x = np.minimum(neuron.step(start, float(drive), within), neuron.threshold)
        times += list(tick * neuron.dt + within)
        positions += list(x)
        start = float(trace.membrane[0, tick, column])
        if tick in fired:
            start = neuron.reset
            times.append((tick + 1) * neuron.dt)
            positions.append(start)
    return np.array(times), np.array(positions)


def membrane(axes: Axes, neuron: MovingNeuron, trace: Trace, spikes: Events, neurons: Sequence[int]) -> None:
    """Exact membrane traces of some neurons of one sample, with threshold and unstable point."""
    columns = np.searchsorted(trace.neurons, neurons)
    colours = (ACCENT, WARM, "#0f766e", "#7c3aed", QUIET)
    for index, column, colour in zip(neurons, columns.tolist(), colours, strict=False):
        fired = spikes.tick[spikes.address == index]
        path = _path(neuron, trace, column, set(fired.tolist()))
        axes.plot(*path, color=colour, linewidth=1.2, label=f"neuron {index}")
        axes.plot((fired + 1) * neuron.dt, np.full(len(fired), neuron.threshold), "^", color=colour, markersize=5)
    axes.axhline(neuron.threshold, color=INK, linestyle="--", linewidth=1)
    axes.annotate("threshold", (0, neuron.threshold), xytext=(2, 3), textcoords="offset points")
    top = neuron.threshold
    if neuron.unstable_point < math.inf:
        top = max(top, neuron.unstable_point)
        axes.axhline(neuron.unstable_point, color=QUIET, linestyle=":", linewidth=1)
        at = (0, neuron.unstable_point)
        axes.annotate("unstable point", at, xytext=(2, 3), textcoords="offset points", color=QUIET)
    ticks = neuron.dt * np.arange(trace.drive.shape[1] + 1)
    axes.set(xlabel="time (ns)", ylabel="skyrmion position (nm)", xticks=ticks)
    lowest = min(0.0, float(trace.membrane[0][:, columns].min(initial=0.0)))
    axes.set_ylim(lowest - 9, top + 6)  # the legend stands below the traces
    axes.set_title("Membranes (exact within each tick)")
    axes.legend(loc="lower left", ncols=2, fontsize=8)


def accuracy_against_variation(
    axes: Axes, accuracies: Mapping[float, Sequence[float]], lines: Mapping[str, float]
) -> None:
    """Accuracy of every chip, their mean, and reference lines, against device-to-device variation."""
    spreads = np.array(list(accuracies))
    for spread, values in accuracies.items():
        axes.plot(np.full(len(values), 100 * spread), 100 * np.array(values), "o", color=ACCENT, alpha=0.35)
    means = [100 * float(np.mean(values)) for values in accuracies.values()]
    axes.plot(100 * spreads, means, "-", color=ACCENT, label="chips, mean")
    for (name, value), style in zip(lines.items(), ("--", ":"), strict=False):
        axes.axhline(100 * value, color=INK, linestyle=style, linewidth=1, label=name)
    axes.set(xlabel="device-to-device variation (%)", ylabel="test accuracy (%)", xticks=100 * spreads)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom - 0.35 * (top - bottom), top)  # the legend stands below the points
    axes.set_title("Accuracy on drawn chips")
    axes.legend(loc="lower left")
