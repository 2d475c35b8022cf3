"""Results of experiments, one line of JSON for each stage and seed, in a file that is added to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator

from eventsim import store
from eventsim.columns import locked, writing
from eventsim.errors import ResultsError
from eventsim.training.entries import Table
from eventsim.training.recipe import frozen

HEADER = {"format": "eventsim results", "version": 1}
ENDING = ".jsonl"
WAIT = 60.0
"""Seconds to wait for others who add to the file."""


Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Some = Annotated[int, Field(ge=1)]


class Chips(Table):
    """A student on drawn chips of one spread; counts and energy (pJ) are means per sample."""

    variation: Amount
    accuracies: tuple[Share, ...] = Field(min_length=1)
    spikes: Amount
    synops: Amount
    devices_pj: Amount
    with_periphery_pj: Amount


class Activity(Table):
    """What a student does on nominal devices, per sample, counted by the engine."""

    samples: Some
    spikes: Amount
    """Of all neurons."""
    synops: Amount
    """Of the engine: each spike times its exact fan-out."""
    front_macs: Amount
    """Of the layers in front of the first neurons, over all ticks, where they are fed with real values."""
    differ: Count
    """Spikes and logits in which engine and training forward pass differ."""
    rates: tuple[Amount, ...] = ()
    """Spikes per neuron in each tick: mean over all neurons and samples."""


class StepCost(Table):
    """What a step of training takes, without its optimiser."""

    samples: Some
    """Of the batch."""
    cpu_seconds: Amount
    """Of all threads: the fastest of some steps."""
    backward_bytes: Count
    """Kept by the forward pass for the backward pass."""


class Result(Table):
    """A stage, trained once."""

    experiment: str
    case: str
    stage: str
    seed: Count
    quick: bool
    digest: str
    """SHA-256 of what the recipe says of the stage, those it learns from or starts with, and the data."""
    data: dict[str, Any]
    """What the recipe says of the data."""
    data_sha256: str
    samples: tuple[Some, Some, Some]
    """In training, validation and test."""
    ticks: Some
    validation: Share
    test: Share
    tests: dict[str, Share] = Field(default={})
    """Accuracy on further test sets."""
    epochs: Some
    best_epoch: Some
    weights: Count
    macs: Count
    """Of one pass of one sample, all layers dense."""
    firing_rate: Amount | None = None
    firing_rates: dict[str, Amount] = Field(default={})
    seconds: Amount
    threads: Some
    step: StepCost | None = None
    activity: Activity | None = None
    chips: tuple[Chips, ...] = ()
    command: str
    version: str

    KEY: ClassVar = ("experiment", "case", "stage", "seed", "quick", "digest", "data_sha256")
    """What no two lines share."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not isinstance(self.data.get("name"), str):
            raise ValueError("data: a data set has a name")
        if self.best_epoch > self.epochs:
            raise ValueError(f"best_epoch: none after the last, {self.epochs}")
        if self.activity is not None and len(self.activity.rates) not in (0, self.ticks):
            raise ValueError(f"activity.rates: one for each of {self.ticks} ticks")
        return self

    @property
    def key(self) -> tuple[Any, ...]:
        """Values of :data:`KEY`."""
        return tuple(getattr(self, name) for name in self.KEY)


class ResultsFile:
    """A file of results.

    Parameters
    ----------
    path : path
        Made with the first result.

    Raises
    ------
    ResultsError
        It is no such file, is of another version, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.suffix != ENDING:
            raise self._refused(f"a file called {path.name}")
        self.results = self._read()

    def _lines(self) -> list[str]:
        if not self.path.exists():
            return [json.dumps(HEADER)]
        return self.path.read_text(encoding="utf-8").removesuffix("\n").split("\n")

    def _read(self) -> list[Result]:
        try:
            lines = self._lines()
            header = json.loads(lines[0]) if lines else None
        except (OSError, ValueError, RecursionError) as cause:
            raise self._refused(f"{self.path}: {cause}") from None
        if json.dumps(header) != json.dumps(HEADER):  # for which True is not 1
            raise self._refused(f"{self.path}, beginning with {json.dumps(header)[:80]}")
        found: dict[tuple[Any, ...], Result] = {}
        for number, line in enumerate(lines[1:], 2):
            try:
                result = Result.model_validate(frozen(json.loads(line)))
            except (ValueError, ValidationError, RecursionError) as cause:
                said = str(cause).replace("\n", " ")[:200]
                raise self._refused(f"{self.path}, line {number}: {said}", number) from None
            if result.key in found:
                said = f"seed {result.seed} of {result.stage} once more"
                raise self._refused(f"{self.path}, line {number}: {said}", number)
            found[result.key] = result
        return [*found.values()]

    def _refused(self, given: str, line: int | None = None) -> ResultsError:
        correct = "" if line is None else f"correct line {line} or delete it, or "
        return ResultsError(
            "The results file is not usable.",
            given=given,
            expected=f"{ENDING}, beginning with {json.dumps(HEADER)}, then a result in each line and none twice",
            repair=f"{correct}name another with --results; this one was left as it is",
        )

    def claim(self) -> None:
        """Refuse a place that cannot be written to, with :class:`OutputError`."""
        with writing(self.path, "nothing was touched"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path, str(self.path), wait=WAIT):
                pass

    def add(self, result: Result) -> None:
        """Add a result, also beside other processes that add theirs; the file is replaced in one piece.

        Raises
        ------
        OutputError
            The file cannot be written to.
        """
        with writing(self.path, "nothing was touched"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path, str(self.path), wait=WAIT):
                self.results = [one for one in self._read() if one.key != result.key] + [result]
                lines = [json.dumps(HEADER), *(one.model_dump_json(exclude_defaults=True) for one in self.results)]
                store.write_text(self.path, "\n".join(lines) + "\n")
