"""Files: written beside their target and moved into place when whole; fingerprints of what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsim.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a file beside ``path`` to write to; it takes the place of ``path`` if all went well."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in one piece."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def fingerprint(**parts: NDArray[Any]) -> str:
    """SHA-256 over named arrays, their types and shapes included."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        array = np.ascontiguousarray(parts[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def write_h5(path: Path, arrays: dict[str, NDArray[Any]], attributes: dict[str, str]) -> None:
    """Write arrays and texts as one HDF5 file that knows the SHA-256 of its content.

    Tables are chunked by 256 rows and not compressed.
    """
    with replacing(path) as part, h5py.File(part, "w") as file:
        for name, array in arrays.items():
            chunks = (min(256, len(array)), *array.shape[1:]) if array.ndim > 1 and array.size else None
            file.create_dataset(name, data=array, chunks=chunks)
        file.attrs.update(attributes)
        file.attrs["content_sha256"] = content(arrays, attributes)


def read_h5(path: Path, what: str, error: type[InputError]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read a file of :func:`write_h5` whole.

    Raises
    ------
    InputError
        Of the type ``error``: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise error(f"There is no {what}.", given=path, expected="an HDF5 file", repair="correct the path")
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, item: arrays.update({name: item[()]}) if hasattr(item, "shape") else None)
            attributes = {str(name): str(value) for name, value in file.attrs.items()}
        claimed = attributes.pop("content_sha256", "no content_sha256")
        found = content(arrays, attributes)
    except Exception as cause:  # a damaged file makes h5py raise nearly anything
        found, claimed, attributes = f"{type(cause).__name__}: {cause}", "a readable HDF5 file", {}
    if found != claimed:
        raise error(
            f"The {what} is damaged, or this program did not write it.",
            given=f"{path} ({path.stat().st_size} bytes), content {found}",
            expected=claimed,
            repair="name a whole file, or have it written again",
        )
    return arrays, attributes


def content(arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, str]) -> str:
    """SHA-256 over named arrays and texts."""
    texts = json.dumps(dict(attributes), sort_keys=True)
    return hashlib.sha256((fingerprint(**arrays) + texts).encode()).hexdigest()


@contextmanager
def new_folder(path: Path, error: type[InputError]) -> Iterator[Path]:
    """Give a folder beside ``path`` to fill; it becomes ``path`` if all went well and vanishes otherwise.

    Raises
    ------
    InputError
        Of the type ``error``: ``path`` exists, or cannot be made.
    """
    check_new(path, error)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
    except OSError as cause:
        raise error("The folder cannot be made.", given=cause, expected="a new folder", repair="name another") from None
    try:
        yield part
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_new(path: Path, error: type[InputError]) -> None:
    """Refuse a path that exists, or below which nothing can be made."""
    if os.path.lexists(path):
        raise error(
            "The folder exists already.",
            given=path,
            expected="a folder that is not there yet",
            repair="name another, or delete that one",
        )
    parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise error(
            "The folder cannot be made.",
            given=f"{parent}, not a folder to write to",
            expected="one",
            repair="name another place",
        )
