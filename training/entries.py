"""Tables of a configuration, from the signatures of what they are made into.

A class or function that is listed by a name can be asked for by this name: its parameters are the keys of the table,
their types are held against its annotations, and it refuses values as it does in Python. Every fault has a path.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Union, get_type_hints

from pydantic import BaseModel, ConfigDict, Discriminator, GetCoreSchemaHandler, Tag, create_model, model_validator
from pydantic_core import PydanticCustomError, core_schema

from eventsim.errors import InputError

TAG = "#"
"""Begins the parts of a path that stand for the choice of a type, and not for a key."""


def fault(text: str, under: str | None = None) -> PydanticCustomError:
    """A fault of a table, or of what stands ``under`` a path in it."""
    return PydanticCustomError("refused", "{text}", {"text": text, "under": under})


def unknown(name: object, known: list[str]) -> str:
    """What is said of a name that is not known, with the nearest one that is."""
    near = get_close_matches(str(name), known, 1, 0.5)
    return f"{f'{near[0]}?' if near else 'not known;'} there are {', '.join(known)}"


def place_of(one: Any) -> list[str]:
    """Path of a fault, without the types that were chosen on the way."""
    under = one.get("ctx", {}).get("under")
    parts = [*one["loc"], *([] if under is None else str(under).split("."))]
    return [str(part) for part in parts if not str(part).startswith(TAG)]


class Table(BaseModel):
    """A table of a configuration: its keys are known, its values of their types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, table: Any) -> Any:
        known = list(cls.model_fields)
        for name in table if isinstance(table, dict) else ():
            if name not in known:
                raise fault(unknown(name, known), name)
        return table


class Entry(Table):
    """A table that something is made of."""

    made_by: ClassVar[Callable[..., Any]]
    chosen_by: ClassVar[str] = "type"
    """The key that names what is made, where there is a choice."""
    own: ClassVar[Mapping[str, str]] = {}
    """Parameters of the function whose keys are others, as their names are those of keys that all such tables have."""

    def options(self, without: str = "") -> dict[str, Any]:
        """What was given, as the function wants it."""
        given = [name for name in type(self).model_fields if name in self.model_fields_set - {self.chosen_by, without}]
        return {name: _made(getattr(self, name)) for name in given}

    def make(self, without: str = "", **more: Any) -> Any:
        """What the table asks for, with an option left out."""
        return self.call(self.options(without) | more)

    def call(self, options: Mapping[str, Any]) -> Any:
        """What the function makes of options."""
        own = type(self).own
        return type(self).made_by(**{own.get(name, name): value for name, value in options.items()})

    @model_validator(mode="after")
    def _makes(self) -> Entry:
        try:
            self.make()
        except InputError as error:
            raise fault(f"{error.what} Expected: {error.expected}", self._blamed(error)) from None
        return self

    def _blamed(self, error: InputError) -> str | None:
        """The option without which it could be made, or else the first one that the error speaks of."""
        given = [name for name in type(self).model_fields if name in self.model_fields_set - {self.chosen_by}]
        for name in given:
            if not type(self).model_fields[name].is_required():
                try:
                    self.make(without=name)
                except InputError:
                    continue
                return name
        return next((name for name in given if re.search(rf"\b{name}\b", str(error))), None)


def _made(value: Any) -> Any:
    if isinstance(value, Entry):
        return value.make()
    if isinstance(value, tuple):
        return tuple(map(_made, value))
    return value


def entry(
    function: Callable[..., Any], types: Mapping[str, Any], skipped: tuple[str, ...] = (), base: type[Entry] = Entry
) -> type[Entry]:
    """Table of the parameters of a function or class.

    Parameters
    ----------
    function : callable
    types : mapping of str to type
        What stands in the place of the annotation, by name of the parameter.
    skipped : tuple of str
        Parameters that are not asked for.
    base : type
        With keys that all tables of its kind have.
    """
    hints, options, own = get_type_hints(function), {}, {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in skipped:
            required = parameter.default is inspect.Parameter.empty
            key = f"own_{name}" if name in base.model_fields else name
            own[key] = name
            options[key] = (types.get(name, hints[name]), ... if required else None)
    made: Any = create_model(function.__name__, __base__=base, **options)  # type: ignore[call-overload]
    made.made_by, made.own = staticmethod(function), own
    return made  # type: ignore[no-any-return]


class Made:
    """Annotation of a table for the parameters of one function: ``Annotated[Entry, Made(Views)]``."""

    def __init__(self, function: Callable[..., Any], types: Mapping[str, Any] | None = None, *skipped: str) -> None:
        self.table = entry(function, types or {}, skipped)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return handler.generate_schema(self.table)


class OneOf:
    """Annotation of a table whose key ``type``, or another of its base, names one of several functions.

    Parameters
    ----------
    functions : mapping of str to callable
    types, skipped, base
        As in :func:`entry`.
    """

    def __init__(
        self,
        functions: Mapping[str, Callable[..., Any]],
        types: Mapping[str, Any] | None = None,
        skipped: tuple[str, ...] = (),
        base: type[Entry] = Entry,
    ) -> None:
        self.key = base.chosen_by
        typed = create_model("Typed", __base__=base, **{self.key: (str, ...)})  # type: ignore[call-overload]
        self.tables = {name: entry(made, types or {}, skipped, typed) for name, made in functions.items()}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        tagged = [Annotated[table, Tag(TAG + name)] for name, table in self.tables.items()]
        union: Any = Annotated[Union[tuple(tagged)], Discriminator(lambda table: TAG + table[self.key])]  # noqa: UP007
        return core_schema.no_info_before_validator_function(self._typed, handler.generate_schema(union))

    def _typed(self, table: Any) -> Any:
        known = list(self.tables)
        if not isinstance(table, dict):
            raise fault(f"a table is wanted, with a {self.key}: {', '.join(known)}")
        if table.get(self.key) not in known:
            raise fault(unknown(table.get(self.key), known), self.key)
        return table
