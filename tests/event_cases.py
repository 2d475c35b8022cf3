"""Recordings as event sensors give them."""

import numpy as np

FIELDS = np.dtype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])


def recording(seed, n=200, sensor=(5, 4, 2), last=10_000):
    rng = np.random.default_rng(seed)
    events = np.empty(n, FIELDS)
    events["x"], events["y"] = rng.integers(0, sensor[0], n), rng.integers(0, sensor[1], n)
    events["t"], events["p"] = np.sort(rng.integers(0, last, n)), rng.integers(0, 2, n)
    return events
