"""Settings of a run, validated as a whole before it starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from eventsim.errors import ConfigError
from eventsim.keys import SEED_LIMIT

Whole = Annotated[int, Field(strict=True)]
Size = Annotated[Whole, Field(ge=1, le=2**16)]
Epochs = Annotated[Whole, Field(ge=1, lt=2**16)]
Real = Annotated[float, Field(strict=True)]
Rate = Annotated[Real, Field(gt=0, le=1)]
Decay = Annotated[Real, Field(ge=0, le=1)]
Share = Annotated[Real, Field(ge=0, lt=1 / 3)]


class DemoConfig(BaseModel):
    """Everything that decides the numbers of ``eventsim demo``; the number of threads does not."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: Literal["digits", "mnist"] = "digits"
    seed: Annotated[Whole, Field(ge=0, lt=SEED_LIMIT)] = 0
    teacher_hidden: Size = 100
    hidden: Size = 64
    ticks: Size = 8
    levels: Annotated[Whole, Field(ge=2, le=2**13)] = 16
    sharpness: Annotated[Real, Field(ge=1e-3, le=1e3)] = 4.0
    encoder_mean: Annotated[Real, Field(ge=-1e6, le=1e6)] = 0.5
    encoder_std: Annotated[Real, Field(ge=1e-6, le=1e6)] = 0.25
    batch: Size = 32
    teacher_epochs: Epochs = 60
    teacher_rate: Rate = 2e-3
    teacher_decay: Decay = 0.1
    student_epochs: Epochs = 80
    student_rate: Rate = 6e-3
    student_decay: Decay = 0.3
    classification: Literal["cross_entropy", "squared_error"] = "squared_error"
    gain: Annotated[Real, Field(gt=0, le=1e4)] = 10.0
    alpha: Annotated[Real, Field(ge=0, le=1e4)] = 1.0
    temperature: Annotated[Real, Field(ge=1e-2, le=1e3)] = 1.0
    variation: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.0, 0.05, 0.10)
    chips: Annotated[Whole, Field(ge=2, le=10_000)] = 8

    @field_validator("variation")
    @classmethod
    def _distinct(cls, spreads: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(spreads)) != len(spreads):
            raise ValueError("every spread once")
        return spreads


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


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Split texts ``name=value``; a value is read as JSON where it is JSON, as text elsewhere.

    Raises
    ------
    ConfigError
        There is no ``=`` with a name before it, or a name comes twice.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not (separator and name) or name in settings:
            raise ConfigError(
                "A setting is given twice." if name in settings else "A setting cannot be read.",
                given=text,
                expected="NAME=VALUE, each name once",
                repair="--set student_epochs=20",
            )
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


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
