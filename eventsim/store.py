"""Files: written beside their target and moved into place when whole; fingerprints of what they hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
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
    write_text(path, json.dumps(value, indent=2) + "\n")


def fingerprint(**parts: NDArray[Any]) -> str:
    """SHA-256 over named arrays, their types and shapes included."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        array = np.ascontiguousarray(parts[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def write_h5(path: Path, arrays: dict[str, NDArray[Any]], attributes: dict[str, Any]) -> None:
    """Write arrays and attributes as one HDF5 file; tables are chunked by 256 rows and not compressed."""
    with replacing(path) as part, h5py.File(part, "w") as file:
        for name, array in arrays.items():
            chunks = (min(256, len(array)), *array.shape[1:]) if array.ndim > 1 and array.size else None
            file.create_dataset(name, data=array, chunks=chunks)
        file.attrs.update(attributes)


def read_h5(path: Path, what: str, error: type[InputError]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read an HDF5 file of :func:`write_h5` whole.

    Raises
    ------
    InputError
        Of the type ``error``: there is no such file, or it is damaged.
    """
    if not path.is_file():
        raise error(f"There is no {what}.", given=path, expected="an HDF5 file", repair="correct the path")
    try:
        with h5py.File(path, "r") as file:
            arrays: dict[str, NDArray[Any]] = {}
            file.visititems(lambda name, item: arrays.update({name: item[()]}) if hasattr(item, "shape") else None)
            return arrays, dict(file.attrs)
    except (OSError, RuntimeError, KeyError) as cause:
        raise error(
            f"The {what} is damaged or no HDF5 file.",
            given=f"{path} ({path.stat().st_size} bytes): {cause}",
            expected="an HDF5 file written by this program",
            repair="delete it and have it written again",
        ) from None
