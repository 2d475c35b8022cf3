"""Keyed random numbers: a draw depends on its key and on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import is_whole
from eventsim.errors import ConfigError
from eventsim.kernels import rng

SEED_LIMIT = 2**63


def check_seed(seed: int) -> int:
    """Return ``seed`` if it is a whole number from 0 to 2**63 - 1; raise :class:`ConfigError` otherwise."""
    if not (is_whole(seed) and 0 <= seed < SEED_LIMIT):
        raise ConfigError(
            "The seed is not usable.", given=repr(seed), expected="a whole number from 0 to 2**63 - 1", repair="seed=0"
        )
    return int(seed)


def stream(*names: str) -> int:
    """Number of a named stream, 32 bits: draws from streams of other names are independent."""
    return int.from_bytes(hashlib.blake2s("/".join(names).encode(), digest_size=4).digest(), "little")


def uniform(seed: int, name: str, size: int, counter: int = 0) -> NDArray[np.float64]:
    """Uniform numbers of devices 0 .. size - 1.

    Parameters
    ----------
    seed : int
    name : str
        Name of the stream.
    size : int
    counter : int
        Which draw of each device.

    Returns
    -------
    array of float64, shape (size,)
        Strictly between 0 and 1.
    """
    out = np.empty(size, np.float64)
    rng.uniforms(np.uint64(check_seed(seed)), np.uint64(stream(name)), np.uint64(0), np.uint64(counter), out)
    return out


def permutation(seed: int, name: str, size: int, counter: int = 0) -> NDArray[np.int64]:
    """Put 0 .. size - 1 in keyed random order."""
    return np.argsort(uniform(seed, name, size, counter), kind="stable")
