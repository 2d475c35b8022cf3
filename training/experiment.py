"""Experiments: a recipe, the published figures that its stages are held against, and its variants."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from eventsim.errors import ConfigError
from eventsim.training.entries import Table
from eventsim.training.inherit import inherited, merged
from eventsim.training.recipe import Recipe, checked, faults_of, frozen, unreadable

_BEFORE = ("teacher", "start")
"""Keys of a stage that name an earlier one."""
FOLDER = "experiments"
"""Of the package, where the experiments are."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Percent = Annotated[float, Field(ge=0, le=100)]


class Row(Table):
    """A line of a table: a stage, and what is said of it."""

    stage: str
    label: str = Field(pattern=r"\S")
    case: str = ""
    published: Percent | None = None
    """Accuracy."""
    baseline: str | None = None
    """Stage whose mean accuracy this one is to exceed."""
    test: str = ""
    """Name of a further test set; that of the data if left out."""
    quick_minimum: Percent | None = None
    """Accuracy that the quick form reaches, and a broken program does not."""


class Case(Table):
    """A variant: what it changes in the recipe."""

    name: Name
    data: dict[str, Any] = Field(default={})


class Test(Table):
    """A further test set: what it changes in the data."""

    __test__ = False

    name: Name
    data: dict[str, Any]


class Quick(Table):
    """The form of some minutes: what it changes."""

    epochs: dict[str, int] = Field(default={})
    """Epochs by stage."""
    batch: int | None = None
    """Samples per step, of all stages."""
    data: dict[str, Any] = Field(default={})
    cases: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    """Those that are trained, with their teachers; all if left out."""


class Plan(Table):
    """What an experiment says, its recipe as tables."""

    title: str
    source: str
    data: dict[str, Any]
    stage: tuple[dict[str, Any], ...] = Field(min_length=1)
    row: tuple[Row, ...] = Field(min_length=1)
    case: tuple[Case, ...] = ()
    test: tuple[Test, ...] = ()
    chips: tuple[str, ...] = ()
    """Stages that are put on drawn chips."""
    quick: Quick = Quick()


@dataclass(frozen=True)
class Experiment:
    """An experiment, read.

    Parameters
    ----------
    name : str
    plan : Plan
    """

    name: str
    plan: Plan

    @property
    def cases(self) -> tuple[Case, ...]:
        """Variants; a nameless one that changes nothing, where there are none."""
        return self.plan.case or (Case.model_construct(name="", data={}),)

    @cached_property
    def stages(self) -> list[dict[str, Any]]:
        """Tables of the stages, each with what it takes from others."""
        return list(inherited(list(self.plan.stage)))

    def asked(self, quick: bool) -> list[Case]:
        """Variants that a form goes through."""
        some = self.plan.quick.cases if quick else ()
        return [case for case in self.cases if not some or case.name in some]

    def rows(self, quick: bool) -> list[Row]:
        """Rows that a form fills."""
        cases = {case.name for case in self.asked(quick)}
        some = self.plan.quick.stages if quick else ()
        return [row for row in self.plan.row if row.case in cases and (not some or row.stage in some)]

    def recipe(
        self, case: Case, seed: int, *, quick: bool = False, epochs: int | None = None, only: set[str] | None = None
    ) -> Recipe:
        """Recipe of a variant and seed.

        Parameters
        ----------
        case : Case
        seed : int
            Added to all seeds: of starts, order of samples, augmentation and encoders. Splits and noisy images stay.
        quick : bool
            The form of some minutes.
        epochs : int, optional
            Of every stage, instead of those that are written down.
        only : set of str, optional
            Stages that are wanted; those that they learn from or start with come along.

        Raises
        ------
        ConfigError
            The recipe is not usable.
        """
        form, stages = self.plan.quick, self.stages
        wanted = {str(stage.get("name")) for stage in stages} if only is None else set(only)
        if quick and form.stages and only is None:
            wanted &= set(form.stages)
        for stage in reversed(stages):
            if stage.get("name") in wanted:
                wanted |= {str(stage.get(key)) for key in _BEFORE}
        made = [_seeded(stage, seed) for stage in stages if stage.get("name") in wanted]
        for stage in made:
            asked = form.epochs.get(str(stage["name"])) if quick and epochs is None else epochs
            changes = {"epochs": asked, "batch": form.batch if quick else None}
            own = {name: value for name, value in changes.items() if value is not None}
            if own:
                stage["training"] = {**stage.get("training", {}), **own}
        data = merged(merged(self.plan.data, case.data), form.data if quick else {})
        return checked({"data": data, "stage": made})

    def tests(self, stage: str) -> list[Test]:
        """Further test sets of the rows of a stage, and of those that are to exceed it."""
        wanted = {row.test for row in self.plan.row if stage in (row.stage, row.baseline)}
        return [test for test in self.plan.test if test.name in wanted]

    def digest(self, recipe: Recipe, stage: str) -> str:
        """SHA-256 of what decides a result: data, the stage, those it learns from or starts with, how it is tested."""
        given = json.loads(recipe.model_dump_json(exclude_unset=True, serialize_as_any=True))
        by_name = {part["name"]: part for part in given["stage"]}
        tests = {test.name: test.data for test in self.tests(stage)}
        chain: list[Any] = [given["data"], tests, stage in self.plan.chips]
        ahead: list[str | None] = [stage]
        while ahead:
            at = by_name.get(ahead.pop(0))
            if at is not None and at not in chain:
                at["training"].pop("checkpoint_every", None)
                chain.append(at)
                ahead += [at.get(key) for key in _BEFORE]
        return hashlib.sha256(json.dumps(chain, sort_keys=True).encode()).hexdigest()


def _seeded(stage: dict[str, Any], seed: int) -> dict[str, Any]:
    """A stage with a number added to its seeds, also to those of its training and views that are not written down."""

    def within(part: Any) -> Any:
        if isinstance(part, dict):
            found = {name: within(inner) for name, inner in part.items()}
            return found | {"seed": part["seed"] + seed} if isinstance(part.get("seed"), int) else found
        return [within(inner) for inner in part] if isinstance(part, list | tuple) else part

    made = {"seed": seed, **within(stage)}
    cache = made.get("cache")
    if isinstance(cache, dict) and isinstance(cache.get("views"), dict):
        made["cache"] = cache | {"views": {"seed": seed, **cache["views"]}}
    return made


def known() -> dict[str, Path]:
    """Experiments that come with the program, by name."""
    folder = Path(str(files("eventsim"))) / FOLDER
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def experiment(name: str) -> Experiment:
    """Read an experiment: one that comes with the program, by its name, or a TOML file.

    Raises
    ------
    ConfigError
        There is no such experiment (those that there are, are named), or it is not usable.
    """
    there = known()
    path = there.get(name, Path(name))
    if name not in there and not (path.suffix == ".toml" and path.is_file()):
        raise ConfigError(
            "There is no such experiment.",
            given=name,
            expected=f"one of {', '.join(there)}, or a TOML file",
            repair="correct the name",
        )
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
        own = there.get(path.stem, path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise unreadable(path, cause) from None
    if own != text:
        raise ConfigError(
            "The name of the experiment is taken.",
            given=f"{path}, which is not the {path.stem} of the program",
            expected="another name: run folders and results go by it",
            repair=f"call the file my_{path.name}",
        )
    try:
        plan = Plan.model_validate(frozen(table))
    except ValidationError as error:
        raise faults_of("experiment", table, error) from None
    found = Experiment(path.stem, plan)
    for text, given in _misfits(found):
        raise ConfigError(
            "The experiment is not usable.", given=given, expected=text, repair=f"correct this entry of {path}"
        )
    for case in found.cases:
        for changes in ({}, *(test.data for test in plan.test)):
            checked({"data": merged(merged(plan.data, case.data), changes), "stage": found.stages})
        for quick in (False, True):
            found.recipe(case, 0, quick=quick)
    return found


def _misfits(found: Experiment) -> Iterator[tuple[str, str]]:
    """Entries that name what is not there: what is expected, and what is given."""
    plan, stages = found.plan, [str(stage.get("name")) for stage in found.stages]
    cases, tests = [case.name for case in found.cases], [test.name for test in plan.test]
    for place, every in (("case", cases), ("test", tests)):
        if len(set(every)) < len(every):
            yield f"{place}: names that differ", f"{place}: {', '.join(every)}"
    changes = [(f"{place}.{i}", part.data) for place in ("case", "test") for i, part in enumerate(getattr(plan, place))]
    for place, data in (*changes, ("quick", plan.quick.data)):
        name = data.get("name", plan.data.get("name"))
        if name != plan.data.get("name"):
            yield f"{place}.data.name: the data set of the experiment, or none", f"{place}.data.name = {name!r}"
    for i, row in enumerate(plan.row):
        for key, name, there in (
            ("stage", row.stage, stages),
            ("baseline", row.baseline or row.stage, stages),
            ("case", row.case, cases),
            ("test", row.test, ["", *tests]),
        ):
            if name not in there:
                yield f"row.{i}.{key}: one of {', '.join(filter(None, there))}", f"row.{i}.{key} = {name!r}"
        if row.baseline == row.stage:
            yield f"row.{i}.baseline: another stage than that of the row", f"row.{i}.baseline = {row.baseline!r}"
    for place, names, there in (
        ("chips", plan.chips, stages),
        ("quick.stages", plan.quick.stages, stages),
        ("quick.epochs", tuple(plan.quick.epochs), stages),
        ("quick.cases", plan.quick.cases, cases),
    ):
        for name in names:
            if name not in there:
                yield f"{place}: some of {', '.join(there)}", f"{place}: {name!r}"
