"""A small model and settings that use everything a training can be asked for, and files of a training."""

import json

from eventsim import MTJ
from eventsim.training import AdamW, FitConfig, Model
from eventsim.training.augment import Noise, Shift
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.monitor import TIMES
from eventsim.training.norm import BatchNorm
from eventsim.training.schedule import OneCycle
from eventsim.training.shaping import Dropout, Flatten
from eventsim.training.spiking import Spiking


def conv_net():
    """With running statistics and random masks."""
    layers = [
        Conv(1, 4, (3, 3), stride=2, padding=1, grid=Grid()),
        BatchNorm(4),
        Spiking(MTJ()),
        Flatten(),
        Dropout(0.1),
        Dense(64, 10),
    ]
    return Model(layers, (8, 8, 1))


def every_setting(epochs, **changed):
    settings = {
        "batch": 64,
        "rate": 1e-2,
        "optimiser": AdamW(decay=0.1),
        "schedule": OneCycle(),
        "clip": 1.0,
        "average": 0.9,
        "augment": [Shift(1), Noise(0.05)],
    }
    return FitConfig(epochs, **{**settings, **changed})


def without_times(epochs):
    """Numbers of epochs, or of lines of metrics, that are the same every time."""
    lines = [epoch if isinstance(epoch, dict) else epoch._asdict() for epoch in epochs]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def metrics(folder):
    """Lines of a folder's metrics."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
