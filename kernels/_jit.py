"""The one decorator for compiled code, and the place where its machine code is kept.

Numba's own cache looks only at the file that a function stands in: after an edit in ``neuron.py`` a cached
``engine.py`` would still run the old step. All compiled code is therefore kept below a folder named after the
hash of *all* kernel sources and of Numba's version. ``NUMBA_CACHE_DIR``, where set, is left in charge.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numba
import numba.core.config

config: Any = numba.core.config
F = TypeVar("F", bound=Callable[..., Any])

_KEPT_VERSIONS = 3


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _source_hash() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).resolve().parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def _open_cache() -> str:
    """Name this version's cache folder, mark it as used, and drop all but the newest versions."""
    try:
        folder = _user_cache() / "eventsim" / f"kernels-{_source_hash()}"
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        versions = sorted(folder.parent.glob("kernels-*"), key=lambda path: path.stat().st_mtime)
        for old in versions[:-_KEPT_VERSIONS]:
            shutil.rmtree(old, ignore_errors=True)
    except (OSError, RuntimeError):
        return ""  # no home, or none to write to: Numba is left to its own default
    return str(folder)


_CACHE_DIR = config.CACHE_DIR or _open_cache()


@contextmanager
def _cache_dir() -> Iterator[None]:
    """Numba reads its setting while it decorates; other people's functions keep their own."""
    before = config.CACHE_DIR
    config.CACHE_DIR = _CACHE_DIR
    try:
        yield
    finally:
        config.CACHE_DIR = before


def jit(function: F) -> F:
    """Compile an entry point: IEEE arithmetic in the written order, the GIL released, cached on disk."""
    with _cache_dir():
        compiled: F = numba.njit(function, cache=True, nogil=True, error_model="numpy")
    return compiled


def inline(function: F) -> F:
    """Compile a scalar function into each of its callers, so that every caller runs the same arithmetic."""
    compiled: F = numba.njit(function, inline="always", error_model="numpy")
    return compiled
