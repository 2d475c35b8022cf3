"""Files of the idx format, in which MNIST and its relatives are published."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import DataError


def read_idx(path: Path, sha256: str | None = None) -> NDArray[np.uint8]:
    """Read an idx file of bytes (the format of MNIST), plain or packed with gzip.

    Parameters
    ----------
    path : path
    sha256 : str, optional
        Of its content, unpacked, for what is refused.

    Raises
    ------
    DataError
        It is damaged or truncated, or no idx file.
    """
    known = f", SHA-256 of its content, unpacked, {sha256}" if sha256 else ""
    expected = f"an idx file of unsigned bytes{known}"
    repair = f"fetch {path.name} again from its publisher"
    raw = path.read_bytes()
    try:
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(
            "A data file is damaged.", given=f"{path} ({len(raw)} bytes): {cause}", expected=expected, repair=repair
        ) from None
    if len(content) < 4 or content[:3] != b"\0\0\x08" or len(content) < 4 + 4 * content[3]:
        given = f"{path}, beginning with {content[:4].hex() or 'nothing'}"
        raise DataError("A data file is no idx file.", given=given, expected=expected, repair=repair)
    shape = tuple(np.frombuffer(content, ">u4", count=content[3], offset=4).tolist())
    header = 4 + 4 * content[3]
    if len(content) - header != math.prod(shape):
        raise DataError(
            "A data file is truncated or too long.",
            given=f"{path} with {len(content) - header} bytes of data",
            expected=f"{math.prod(shape)} bytes, as its header says: {shape}{known}",
            repair=repair,
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
