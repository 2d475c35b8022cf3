"""Recipes: chains of trainings, each the teacher of a later one, as a file says them; ``docs/distillation.md``."""

from __future__ import annotations

import json
import tomllib
from functools import reduce
from operator import add
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from eventsim.errors import ConfigError, InputError
from eventsim.keys import SEED_LIMIT
from eventsim.training.branches import branches, with_heads
from eventsim.training.catalogue import ENCODERS, FORM, HEAD, MODELS, OBJECTIVES, TRAINING, VIEWS
from eventsim.training.data import SOURCES, Source
from eventsim.training.encode import Encoder
from eventsim.training.entries import Entry, Table, fault, place_of
from eventsim.training.form import Form
from eventsim.training.inherit import inherited
from eventsim.training.model import Model
from eventsim.training.objective import Objective
from eventsim.training.plan import FitConfig
from eventsim.training.views import Views


class Asked(Table):
    """What a stage is asked as a teacher, and how its answers are kept."""

    features: tuple[str, ...] = ()
    spikes: bool = False
    views: Annotated[Entry, VIEWS] | None = None
    form: Annotated[Entry, FORM] | None = None

    def seen(self) -> Views:
        """The views it is asked about."""
        return Views() if self.views is None else self.views.make()

    def kept(self) -> Form:
        """How its answers are kept."""
        return Form() if self.form is None else self.form.make()


class Stage(Table):
    """A training, and what its model is asked afterwards."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
    teacher: str | None = None
    start: str | None = None
    """Stage that ends where this one begins, instead of drawn parameters."""
    seed: Annotated[int, Field(ge=0, lt=SEED_LIMIT)] = 0
    model: Annotated[Entry, MODELS]
    heads: dict[str, Annotated[Entry, HEAD]] = Field(default={})
    branches: bool | tuple[str, ...] = False
    """Branches behind the ends of its stages, or behind these layers: heads ``branch_1``, ``branch_2``, ..."""
    encoder: Annotated[Entry, ENCODERS]
    objective: tuple[Annotated[Entry, OBJECTIVES], ...]
    training: Annotated[Entry, TRAINING]
    cache: Asked | None = None

    @model_validator(mode="after")
    def _fits(self) -> Stage:
        if not self.objective:
            raise fault("at least one", "objective")
        for place, make in (("heads", self._headed), ("branches", self.network)):
            try:
                make()
            except InputError as error:
                raise fault(f"{error.what} {error.given}. Expected: {error.expected}", place) from None
        return self

    def _headed(self) -> Model:
        """The model with the heads that are written out."""
        model: Model = self.model.make()
        return with_heads(model, {name: head.make() for name, head in self.heads.items()})

    def network(self) -> Model:
        """The model, with the heads of the stage beside its own."""
        model = self._headed()
        if self.branches is False:
            return model
        return with_heads(model, branches(model, None if self.branches is True else self.branches))

    def encoding(self) -> Encoder:
        """The encoder."""
        return self.encoder.make()  # type: ignore[no-any-return]

    def aim(self) -> Objective:
        """The sum of its objectives."""
        terms: list[Objective] = [term.make() for term in self.objective]
        return reduce(add, terms)

    def plan(self) -> FitConfig:
        """How it is trained."""
        return self.training.make(seed=self.seed)  # type: ignore[no-any-return]


class Recipe(Table):
    """A data set, and the stages in their order."""

    data: Annotated[Source, SOURCES]
    stage: tuple[Stage, ...]

    @model_validator(mode="after")
    def _chained(self) -> Recipe:
        if not self.stage:
            raise fault("at least one", "stage")
        names = [stage.name for stage in self.stage]
        for i, stage in enumerate(self.stage):
            if stage.name.lower() in [name.lower() for name in names[:i]]:
                raise fault("a name that no stage before has", f"stage.{i}.name")
            for key, named in (("teacher", stage.teacher), ("start", stage.start)):
                if named is not None and named not in names[:i]:
                    raise fault(f"an earlier stage: {', '.join(names[:i]) or 'there is none'}", f"stage.{i}.{key}")
        return self

    def asked(self, stage: Stage) -> Asked | None:
        """What a stage is asked: what it says, or its logits if it is the teacher of another."""
        taught = any(other.teacher == stage.name for other in self.stage)
        return Asked() if taught and stage.cache is None else stage.cache


def read(path: Path) -> Recipe:
    """Read a recipe, a TOML file.

    Raises
    ------
    ConfigError
        There is no such file, it is no TOML, or entries are unknown, missing or unusable; each is named by its path.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise unreadable(path, cause) from None
    return checked(table)


def unreadable(path: Path, cause: Exception) -> ConfigError:
    """What is said of a file that is no TOML."""
    return ConfigError(
        "The recipe cannot be read.",
        given=f"{path}: {cause}",
        expected="a TOML file",
        repair="a recipe like examples/li.toml",
    )


def checked(table: dict[str, Any]) -> Recipe:
    """A recipe from its table, if all of it is usable; raises :class:`ConfigError` otherwise."""
    table = {**table, "stage": inherited(table["stage"])} if "stage" in table else table
    try:
        return Recipe.model_validate(frozen(table))
    except ValidationError as error:
        raise faults_of("recipe", table, error) from None


def faults_of(what: str, table: dict[str, Any], error: ValidationError) -> ConfigError:
    """What is said of a table that is not usable: every fault, by its path."""
    found = [(place_of(one), one["msg"]) for one in error.errors()]
    # A list is short only for want of its faulty entries, which are named themselves.
    inner = {tuple(path[:depth]) for path, _ in found for depth in range(len(path))}
    faults = [(path, text) for path, text in found if tuple(path) not in inner]
    return ConfigError(
        f"The {what} is not usable.",
        given="; ".join(f"{'.'.join(path)} = {_at(table, path)}" for path, _ in faults),
        expected="; ".join(f"{'.'.join(path)}: {text}" for path, text in faults),
        repair="correct these entries; the first stage is stage.0",
    )


def frozen(value: Any) -> Any:
    """Lists as tuples, at any depth."""
    if isinstance(value, dict):
        return {name: frozen(part) for name, part in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def _at(table: Any, path: list[str]) -> str:
    """What stands at a path."""
    for part in path:
        try:
            table = table[int(part)] if isinstance(table, (list, tuple)) else table[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return "missing"
    return json.dumps(table, default=str)
