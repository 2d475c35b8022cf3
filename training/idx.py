"""Files of the idx format, in which MNIST and its relatives are published."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import DataError
from eventsim.training.files import content


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
    raw = content(path)
    try:
        plain = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(
            "A data file is damaged.", given=f"{path} ({len(raw)} bytes): {cause}", expected=expected, repair=repair
        ) from None
    if len(plain) < 4 or plain[:3] != b"\0\0\x08" or len(plain) < 4 + 4 * plain[3]:
        given = f"{path}, beginning with {plain[:4].hex() or 'nothing'}"
        raise DataError("A data file is no idx file.", given=given, expected=expected, repair=repair)
    shape = tuple(np.frombuffer(plain, ">u4", count=plain[3], offset=4).tolist())
    header = 4 + 4 * plain[3]
    if len(plain) - header != math.prod(shape):
        raise DataError(
            "A data file is truncated or too long.",
            given=f"{path} with {len(plain) - header} bytes of data",
            expected=f"{math.prod(shape)} bytes, as its header says: {shape}{known}",
            repair=repair,
        )
    return np.frombuffer(plain, np.uint8, offset=header).reshape(shape)
