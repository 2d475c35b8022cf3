"""Tables, figures and report of the demonstration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from eventsim import plot
from eventsim.config import DemoConfig
from eventsim.energy import PERIPHERY, total
from eventsim.events import Events
from eventsim.moving import MovingNeuron
from eventsim.population import Population
from eventsim.recording import Record, Trace
from eventsim.report import Table, write_report
from eventsim.simulate import simulate
from eventsim.training.pipeline import DISTILLED, PLAIN, TEACHER, Demo

COLOURS = {TEACHER: plot.QUIET, PLAIN: plot.WARM, DISTILLED: plot.ACCENT}


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _picojoule(femtojoule: float) -> str:
    return f"{femtojoule / 1000:{',.0f' if femtojoule > 1e6 else '.3g'}} pJ"


def results_table(demo: Demo) -> Table:
    """Models, then the distilled student on chips of every spread, with its activity and energy per inference."""
    blank = [""] * 5
    rows = [
        [name, _percent(scores.validation_accuracy), _percent(scores.test_accuracy), *blank]
        for name, scores in demo.scores.items()
    ]
    for d in demo.deployments:
        devices, everything = total(d.energy, devices_only=True), total(d.energy, devices_only=False)
        rows.append(
            [
                f"  on {len(d.accuracies)} chips, {100 * d.variation:g} % variation",
                "",
                f"{100 * np.mean(d.accuracies):.2f} ± {100 * np.std(d.accuracies, ddof=1):.2f} %",
                _percent(min(d.accuracies)),
                f"{d.spikes:.1f}",
                f"{d.synops:,.0f}",
                _picojoule(devices.default),
                _picojoule(everything.default),
            ]
        )
    columns = ("", "validation", "test", "worst chip", "spikes", "SynOps", "energy*", "energy**")
    data = demo.dataset
    caption = (
        f"{data.name}: accuracy on {len(data.validation):,} validation and {len(data.test):,} test samples "
        "(chips: mean ± standard deviation); spikes, synaptic operations and energy per inference "
        "(* devices only, without periphery; ** with periphery)"
    )
    return Table(caption, columns, rows)


def energy_table(demo: Demo) -> Table:
    """Energy per inference by class of event, on the chips of the first spread."""
    lines = demo.deployments[0].energy
    sums = [("total, devices only, without periphery", True), ("total with periphery", False)]
    rows = [[line.event, f"{line.count:,.1f}", *(_picojoule(value) for value in line.energy)] for line in lines]
    rows += [[name, "", *(_picojoule(v) for v in total(lines, devices_only=only))] for name, only in sums]
    spread = f"{100 * demo.deployments[0].variation:g} % variation"
    caption = f"Energy per inference at {spread}: neuron drive counts the sum of I², {PERIPHERY} reads of a column"
    return Table(caption, ("event", "count", "low", "default", "high"), rows)


def _telling(trace: Trace, spikes: Events, number: int = 4) -> list[int]:
    """Neurons to show: half of them fire in about half of the ticks, the others came closest without a spike."""
    _, ticks, size = spikes.shape
    fired = np.bincount(spikes.address, minlength=size)
    active, silent = np.flatnonzero(fired > 0), np.flatnonzero(fired == 0)
    active = active[np.argsort(np.abs(fired[active] - ticks / 2), kind="stable")]
    silent = silent[np.argsort(-trace.membrane[0].max(axis=0)[silent], kind="stable")]
    return [*active[: number // 2].tolist(), *silent[: number - number // 2].tolist()]


def _sample(events: Events, number: int) -> Events:
    kept = events.sample == number
    return Events(np.zeros(kept.sum(), np.int64), events.tick[kept], events.address[kept], (1, *events.shape[1:]))


def draw(demo: Demo, folder: Path) -> dict[Path, str]:
    """Draw the figures of the run folder and return them with their captions."""
    folder.mkdir()
    first = _sample(demo.events, 0)
    recording = simulate(demo.network, first, record=Record(spikes=["hidden1"], membrane=["hidden1"]))
    trace, spikes = recording.traces["hidden1"], recording.events["hidden1"]
    hidden = demo.network["hidden1"]
    assert isinstance(hidden, Population)
    neuron = hidden.devices.nominal
    assert isinstance(neuron, MovingNeuron)
    pixels = demo.dataset.x[demo.dataset.test[0]].reshape(demo.dataset.image)
    shown = _telling(trace, spikes)
    groups = {"input": first, "hidden1": spikes}
    curves = {name: [(e.loss, e.validation_accuracy) for e in curve] for name, curve in demo.curves.items()}
    accuracies = {d.variation: d.accuracies for d in demo.deployments}
    lines = {name: demo.scores[name].test_accuracy for name in (TEACHER, PLAIN)}
    with plot.styled():
        figures = {name: plot.new_figure(9, 3.6) for name in ("learning_curves", "spikes", "membranes", "variation")}
        left, right = figures["learning_curves"].subplots(1, 2)
        plot.learning_curves(left, right, curves, COLOURS)
        left, right = figures["spikes"].subplots(1, 2, width_ratios=[1, 2.5])
        plot.image(left, pixels, f"Test image, label {demo.dataset.labels[demo.dataset.test[0]]}")
        plot.raster(right, groups, neuron.dt)
        plot.membrane(figures["membranes"].subplots(), neuron, trace, spikes, shown)
        plot.accuracy_against_variation(figures["variation"].subplots(), accuracies, lines)
        overview = figures["overview"] = plot.new_figure(12, 3.4)
        a, b, c, d = overview.subplots(1, 4, width_ratios=[1, 1.5, 2, 1.6])
        plot.image(a, pixels, "Test image")
        plot.raster(b, groups, neuron.dt)
        plot.membrane(c, neuron, trace, spikes, shown)
        plot.accuracy_against_variation(d, accuracies, lines)
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png")
    return {
        folder / "learning_curves.png": "Learning curves: objective on the training split, accuracy on validation.",
        folder / "spikes.png": "The first test image and the spikes it causes on the nominal chip.",
        folder / "membranes.png": f"Membranes of {len(shown)} hidden neurons for this image: positions within a tick "
        "from the closed form, a triangle where the neuron fired; drive is constant within a tick, reset at its end.",
        folder / "variation.png": "Test accuracy of each drawn chip against the spread of its device parameters.",
    }


def publish(demo: Demo, config: DemoConfig, out: Path) -> Path:
    """Draw the figures and write the report of a finished run; returns the report."""
    figures = draw(demo, out / "figures")
    student = "-".join(map(str, (demo.dataset.x.shape[1], config.hidden, demo.dataset.classes)))
    ticks = f"{config.ticks} tick{'s' if config.ticks > 1 else ''}"
    lead = (
        f"A {student} student of skyrmion-MTJ neurons, {ticks} per image, {config.levels} conductance levels per "
        "device, distilled from a cached teacher with RateBP and simulated event by event on drawn chips. Engine and "
        f"training forward pass were compared on all {len(demo.dataset.test):,} test images, on the nominal chip and "
        f"on a varied one: {demo.differences} spikes or logits differ."
    )
    listings = {
        "Settings": json.dumps(config.model_dump(mode="json"), indent=2),
        "Provenance": (out / "provenance.json").read_text(encoding="utf-8"),
    }
    report = out / "report.html"
    tables = [results_table(demo), energy_table(demo)]
    write_report(report, f"eventsim demo: {demo.dataset.name}, seed {config.seed}", lead, tables, figures, listings)
    return report
