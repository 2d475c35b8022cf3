"""Settings of a run, validated as a whole before it starts."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eventsim.errors import ConfigError
from eventsim.keys import SEED_LIMIT

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1 / 3)]


class DemoConfig(BaseModel):
    """Everything that decides the numbers of ``eventsim demo``; the number of threads does not."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: Literal["digits", "mnist"] = "digits"
    seed: Annotated[int, Field(ge=0, lt=SEED_LIMIT)] = 0
    teacher_hidden: Count = 100
    hidden: Count = 64
    ticks: Annotated[int, Field(ge=1, le=2**16)] = 8
    levels: Annotated[int, Field(ge=2, le=2**13)] = 16
    sharpness: Positive = 4.0
    encoder_mean: float = 0.5
    encoder_std: Positive = 0.25
    batch: Count = 32
    teacher_epochs: Count = 60
    teacher_rate: Positive = 2e-3
    teacher_decay: Annotated[float, Field(ge=0)] = 0.1
    student_epochs: Count = 80
    student_rate: Positive = 6e-3
    student_decay: Annotated[float, Field(ge=0)] = 0.3
    classification: Literal["cross_entropy", "squared_error"] = "squared_error"
    gain: Positive = 10.0
    alpha: Annotated[float, Field(ge=0)] = 1.0
    temperature: Positive = 1.0
    variation: tuple[Share, ...] = (0.0, 0.05, 0.10)
    chips: Annotated[int, Field(ge=2)] = 8


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "mnist": {
        "hidden": 100,
        "ticks": 1,
        "batch": 128,
        "teacher_epochs": 20,
        "student_epochs": 40,
        "student_rate": 3e-3,
    },
}
"""What differs from the defaults for each data set."""


def parse_setting(text: str) -> tuple[str, Any]:
    """Split ``name=value``; the value is read as JSON where it is JSON, as text elsewhere.

    Raises
    ------
    ConfigError
        There is no ``=`` with a name before it.
    """
    name, separator, value = text.partition("=")
    if not (separator and name):
        raise ConfigError(
            "A setting cannot be read.", given=text, expected="NAME=VALUE", repair="--set student_epochs=20"
        )
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def demo_config(dataset: str, seed: int = 0, /, **settings: Any) -> DemoConfig:
    """Settings of the demonstration on ``dataset``: its presets, changed by ``settings``.

    Raises
    ------
    ConfigError
        A setting is unknown or outside its range; every such setting is named.
    """
    fixed = {"dataset": dataset, "seed": seed}
    if fixed.keys() & settings.keys():
        raise ConfigError(
            "A setting is given twice.",
            given=", ".join(sorted(fixed.keys() & settings.keys())),
            expected="data set and seed through their own options",
            repair="--dataset NAME --seed N",
        )
    try:
        return DemoConfig(**{**PRESETS.get(dataset, {}), **settings, **fixed})
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])), fault) for fault in error.errors()]
        raise ConfigError(
            "The settings are not usable.",
            given="; ".join(f"{name} = {fault['input']!r}" for name, fault in faults),
            expected="; ".join(f"{name}: {fault['msg']}" for name, fault in faults),
            repair=f"correct them; the settings are {', '.join(DemoConfig.model_fields)}",
        ) from None
