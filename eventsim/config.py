"""Settings of a run, validated as a whole before it starts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eventsim.errors import ConfigError
from eventsim.keys import SEED_LIMIT

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1 / 3)]


class DemoConfig(BaseModel):
    """Everything that decides the numbers of ``eventsim demo``; the number of threads does not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Literal["digits", "mnist"] = "digits"
    seed: Annotated[int, Field(ge=0, lt=SEED_LIMIT)] = 0
    teacher_hidden: Count = 100
    hidden: Count = 100
    ticks: Annotated[int, Field(ge=1, le=2**16)] = 8
    levels: Annotated[int, Field(ge=2, le=2**13)] = 16
    sharpness: Positive = 1.0
    encoder_mean: float = 0.5
    encoder_std: Positive = 0.25
    batch: Count = 32
    teacher_epochs: Count = 60
    teacher_rate: Positive = 1e-3
    student_epochs: Count = 100
    student_rate: Positive = 3e-3
    distillation: Annotated[float, Field(ge=0)] = 0.5
    temperature: Positive = 4.0
    variation: tuple[Share, ...] = (0.0, 0.05, 0.10)
    chips: Annotated[int, Field(ge=2)] = 8


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "mnist": {"ticks": 1, "batch": 128, "teacher_epochs": 15, "student_epochs": 40},
}
"""What differs from the defaults for each data set."""


def demo_config(dataset: str, **settings: Any) -> DemoConfig:
    """Settings of the demonstration on ``dataset``.

    Raises
    ------
    ConfigError
        A setting is unknown or outside its range; every such setting is named.
    """
    try:
        return DemoConfig(**{"dataset": dataset, **PRESETS.get(dataset, {}), **settings})
    except ValidationError as error:
        faults = error.errors()
        raise ConfigError(
            "The settings are not usable.",
            given="; ".join(f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}" for fault in faults),
            expected="; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults),
            repair="correct these settings",
        ) from None
