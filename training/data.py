"""Data sets by name: each is a loader, a function of a folder and of options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from eventsim.errors import ConfigError, DataError
from eventsim.training.cifar import cifar10, cifar100
from eventsim.training.dataset import Dataset
from eventsim.training.entries import Entry, OneOf, place_of, unknown
from eventsim.training.event_sets import dvs_cifar10, dvs_gesture, shd
from eventsim.training.har import uci_har
from eventsim.training.images import digits, fashion_mnist, mnist
from eventsim.training.mitbih import mitbih
from eventsim.training.nmnist import nmnist

LOADERS: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "uci_har": uci_har,
    "mitbih": mitbih,
    "nmnist": nmnist,
    "shd": shd,
    "dvs_gesture": dvs_gesture,
    "dvs_cifar10": dvs_cifar10,
}
"""Functions ``(folder, *, train, validation, test, ...)``: what follows the folder are the options of the data set."""

_COUNT = Annotated[int, Field(ge=1)] | None


class Source(Entry):
    """A data set by name, with options of its loader."""

    chosen_by: ClassVar[str] = "name"
    name: str

    @model_validator(mode="after")
    def _makes(self) -> Source:
        return self  # when it is loaded

    def load(self, folder: Path | str | None = None) -> Dataset:
        """The data set, from the folder of its files."""
        return self.make(folder=None if folder is None else Path(folder))  # type: ignore[no-any-return]


SOURCES = OneOf(LOADERS, dict.fromkeys(("train", "validation", "test"), _COUNT), ("folder",), Source)
_CHECK: TypeAdapter[Source] = TypeAdapter(Annotated[Source, SOURCES])


def check_name(name: str) -> None:
    """Refuse a name that no data set has."""
    known = list(LOADERS)
    if name not in known:
        raise DataError("There is no such data set.", given=name, expected=unknown(name, known), repair="correct it")


def load(name: str, folder: Path | str | None = None, **options: Any) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of those in ``docs/data.md``, or of ``eventsim data``.
    folder : path, optional
        Where the files are, in the publishers' layout: in it, or in a folder of the data set below it.
    **options
        Of the data set. All have ``train``, ``validation`` and ``test``: numbers of samples. Validation is carved from
        the training set by key, training and test are keyed parts of what there is.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        The name is unknown, or a file is missing, damaged or not the published one.
    ConfigError
        An option is unknown or unusable.
    """
    check_name(name)
    given = {option: tuple(value) if isinstance(value, list) else value for option, value in options.items()}
    try:
        source = _CHECK.validate_python({"name": name, **given})
    except ValidationError as error:
        faults = [(place_of(one), one["msg"]) for one in error.errors()]
        raise ConfigError(
            f"The options of {name} are not usable.",
            given=", ".join(f"{option} = {options.get(option)!r}" for (option, *_), _ in faults),
            expected="; ".join(f"{'.'.join(place)}: {text}" for place, text in faults),
            repair="correct or leave out",
        ) from None
    return source.load(folder)
