"""Pictures of every device model: its response to pulses, its rate against the drive, and what is characteristic of it.

Lines are closed forms, points are what :func:`eventsim.respond` does tick by tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from eventsim.conductance import MTJSynapse
from eventsim.device import Neuron
from eventsim.errors import ConfigError, OutputError
from eventsim.keys import check_seed
from eventsim.models import IF, LIF, MTJ, DomainWall, Oscillator, TaperedDomainWall
from eventsim.moving import MovingNeuron
from eventsim.panels import (
    Paths,
    Scene,
    draw_burst,
    draw_counts,
    draw_dwell,
    draw_facilitation,
    draw_membrane,
    draw_pulses,
    draw_rates,
    draw_switching,
    draw_trials,
)
from eventsim.plot import QUIET, new_figure, styled
from eventsim.stochastic import BackHoppingMTJ, StochasticNeuron, SuperparamagneticMTJ, SwitchingMTJ
from eventsim.store import new_folder, write_text
from eventsim.variation import Normal

_FREE = Paths((0.18, 0.36, 0.72, 0.9, 0.995, 1.0145, 1.087, 1.45), (0,) * 8, lambda m: -7 * m.k1 / m.k2, 2.6, True)
_LEAK = Paths((1, 0, 0, 0, 0, 0), (0, 0.05, 0.1, 0.13, 0.15, 0.25), lambda m: 4 * m.tau)
_KEEP = Paths((0.5,) * 6, (-0.02, 0, 0.02, 0.05, 0.1, 0.2), lambda m: 20 * m.dt)
_WALL = Paths((0.5,) * 6, (0, 0.03, 0.05, 0.07, 0.1, 0.2), lambda m: 2 * m.threshold / m.leak)
_TAPER = Paths((0.5,) * 6, (0, 0.05, 0.08, 0.1, 0.12, 0.2), lambda m: 2 * m.threshold / m.leak)
_GROW = Paths((0,) * 6, (1, 1.2, 1.5, 2, 3, 5), lambda m: 5 / m.damping, 15)
_CRITICAL, _VOLTS = "drive / critical (1)", (0.55, 0.6, 0.65, 0.7, 0.75)

MODELS: dict[str, Scene] = {
    "mtj": Scene(MTJ, (0.4,) * 10, 1, 4, (0, 1.5), _FREE),
    "lif": Scene(LIF, (0.4,) * 5 + (0.6,) * 5, 1, 4, (0, 1.5), _LEAK),
    "if": Scene(IF, (0.3,) * 9, 1, 2, (0, 1.5), _KEEP),
    "domain-wall": Scene(DomainWall, (0.4,) * 9, 1, 3, (0, 1.5), _WALL),
    "tapered-domain-wall": Scene(TaperedDomainWall, (0.5,) * 9, 1, 3, (0, 2.4), _TAPER),
    "oscillator": Scene(Oscillator, (4,) * 6, 10, 5, (0, 10), _GROW, "current / critical (1)"),
    "switching-mtj": Scene(SwitchingMTJ, (0.8, 0.85, 0.9, 0.95, 1), 6, 3, (0.6, 1.75), draw_switching, _CRITICAL),
    "superparamagnetic-mtj": Scene(SuperparamagneticMTJ, (0.2, -0.2, 0.6, -0.6), 10, 6, (-1, 1), draw_dwell, _CRITICAL),
    "back-hopping-mtj": Scene(BackHoppingMTJ, _VOLTS, 10, 5, (0.4, 1.5), draw_counts, "voltage (V)"),
}
"""Neuron models by the names of the command line."""

KINDS: dict[str, type[Any]] = {name: scene.kind for name, scene in MODELS.items()} | {"mtj-synapse": MTJSynapse}
"""Everything that can be drawn."""


def draw_neuron(figure: Figure, model: Neuron, scene: Scene, seed: int) -> None:
    """Draw the three panels of a neuron."""
    drive = scene.train()
    columns = figure.add_gridspec(1, 3, width_ratios=(1.2, 1, 1), wspace=0.1)
    heights = (1, 4) if isinstance(model, MovingNeuron) else (1, 2.6, 1.4)
    cells = columns[0].subgridspec(len(heights), 1, height_ratios=heights)
    rows = [figure.add_subplot(cells[i]) for i in range(len(heights))]
    rows[0].stairs(drive, np.arange(len(drive) + 1) * model.dt, fill=True, color=QUIET)
    rows[0].set(ylabel=f"drive {scene.drive[scene.drive.rindex('(') :]}", title="Response to pulses")
    if isinstance(model, MovingNeuron):
        draw_membrane(rows[1], model, drive)
    elif isinstance(model, StochasticNeuron):
        draw_trials(rows[1], rows[2], model, drive, seed)
    for axes in rows:
        axes.set_xlim(0, len(drive) * model.dt)
        axes.tick_params(labelbottom=axes is rows[-1])
    figure.align_ylabels(rows)
    draw_rates(figure.add_subplot(columns[1]), model, scene, seed)
    scene.own(figure.add_subplot(columns[2]), model, scene, seed)


def draw_synapse(figure: Figure, synapse: MTJSynapse) -> None:
    """Draw the three panels of the synapse."""
    columns = figure.add_gridspec(1, 3, wspace=0.1)
    for i, panel in enumerate((draw_pulses, draw_burst, draw_facilitation)):
        panel(figure.add_subplot(columns[i]), synapse)


def draw_model(model: Any, name: str, seed: int, file: Path) -> None:
    """Draw a model into a PNG file, under a line of its parameters."""
    figure, about = new_figure(12, 3.4), list(parameters_of(model).items())[:8]
    values = (f"{parameter} {getattr(model, parameter):g} {a['unit']}".removesuffix(" 1") for parameter, a in about)
    figure.suptitle(f"{type(model).__name__}: {', '.join(values)}", x=0.005, ha="left", fontsize=9)
    if name in MODELS:
        draw_neuron(figure, model, MODELS[name], seed)
    else:
        draw_synapse(figure, model)
    figure.savefig(file)
    with Image.open(file) as picture:  # a palette takes a quarter of the space
        small = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


def parameters_of(model: Any) -> Mapping[str, Mapping[str, Any]]:
    """Parameters with unit, default and law; the laws of a synapse belong to a chip."""
    if isinstance(model, Neuron):
        return model.parameters()
    units = {"g_max": "µS", "tau_st": "ns", "attempt_time": "ns"}
    return {
        f.name: {"unit": units.get(f.name, "1"), "default": f.default, "law": None, "source": "docs/devices.md"}
        for f in fields(model)
    }


def build(models: Sequence[str] = tuple(KINDS), settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Models by name; ``settings`` change parameters of a single one.

    Raises
    ------
    ConfigError
        A model or parameter is unknown, or settings are given for several models.
    DeviceError
        A value is impossible.
    """
    names, changed = list(dict.fromkeys(models)), dict(settings or {})
    if not names or not set(names) <= set(KINDS):
        given = ", ".join(name for name in names if name not in KINDS) or "none"
        raise ConfigError("A model is unknown.", given=given, expected=", ".join(KINDS), repair="--model mtj")
    if changed and len(names) > 1:
        given, repair = f"{', '.join(changed)} for {len(names)} models", "--model mtj --set k1=180"
        raise ConfigError("Settings belong to one model.", given=given, expected="one model", repair=repair)
    known = [field.name for field in fields(KINDS[names[0]])]
    if unknown := [name for name in changed if name not in known]:
        what, given = f"The model {names[0]} has no such parameter.", ", ".join(unknown)
        raise ConfigError(what, given=given, expected=", ".join(known), repair=f"--set {known[0]}=1.1")
    return {name: KINDS[name](**changed) for name in names}


PARAMETER_COLUMNS = ("model", "parameter", "value", "default", "unit", "varies", "source of the default")


def parameter_rows(models: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Every physical parameter with value, default, unit and law of variation, under ``PARAMETER_COLUMNS``."""
    rows: list[tuple[str, ...]] = []
    for name, model in models.items():
        for parameter, about in parameters_of(model).items():
            law = "-" if about["law"] is None else "normal" if about["law"] is Normal else "log-normal"
            law += f", relative to {about['relative_to']}" if about.get("relative_to") else ""
            value, default = (f"{number:g}" for number in (getattr(model, parameter), about["default"]))
            rows.append((name, parameter, value, default, about["unit"], law, about["source"]))
    return rows


def draw_gallery(
    folder: Path | str, models: Sequence[str] = tuple(KINDS), settings: Mapping[str, Any] | None = None, seed: int = 0
) -> list[Path]:
    """Draw a picture of each model into a new folder, beside the table ``parameters.md``.

    Parameters
    ----------
    folder : path
        Folder to make.
    models : sequence of str
        Names of :data:`KINDS`.
    settings : mapping of str to value, optional
        Parameters other than the defaults, for a single model.
    seed : int
        Of drawn devices and trials.

    Returns
    -------
    list of Path
        The pictures, in the order of ``models``.

    Raises
    ------
    InputError
        An unknown model or parameter, an impossible value or seed, or a folder that exists; nothing is written then.
    """
    found, folder = build(models, settings), Path(folder)
    check_seed(seed)
    lines = [PARAMETER_COLUMNS, ("---",) * len(PARAMETER_COLUMNS), *parameter_rows(found)]
    with new_folder(folder, OutputError) as part, styled():
        for name, model in found.items():
            draw_model(model, name, seed, part / f"{name}.png")
        write_text(part / "parameters.md", "".join(f"| {' | '.join(line)} |\n" for line in lines))
    return [folder / f"{name}.png" for name in found]
