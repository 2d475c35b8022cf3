"""The form in which answers of a teacher are kept: as they are, in half precision, or the largest logits alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from eventsim.checks import count
from eventsim.columns import key, name_of
from eventsim.errors import CacheError, ConfigError
from eventsim.training.signal import Array, counts_type
from eventsim.training.taught import Taught

Kind = Literal["float32", "float16"]
Rows = Mapping[str, NDArray[Any]]

LOGITS, LARGEST, CLASSES, REST, SPIKES, FEATURES = (
    "logits",
    "top/logits",
    "top/classes",
    "top/rest",
    "spikes",
    "features/",
)


@dataclass(frozen=True)
class Form:
    """How answers are kept. Feature maps are always float16, spikes always bits.

    Parameters
    ----------
    dtype : "float32" or "float16"
        Of logits.
    top : int, optional
        Keep so many of the largest logits of a sample, their classes, and the log-sum-exp of the rest; all logits if
        left out.

    Raises
    ------
    ConfigError
        Another type, or no logit.

    Notes
    -----
    From k of C logits the others are rebuilt as ``rest - log(C - k)``: their share of the softmax is spread evenly. At
    temperature 1 all probabilities of the k classes, and the sum of the others, are exact. At a temperature of at least
    1 the total variation between the softmax and the rebuilt one is at most the share that the latter gives to the
    others, because an even spread never makes that share smaller (the power mean inequality) and so only the others
    are overestimated.
    """

    dtype: Kind = "float32"
    top: int | None = None

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Kind):
            raise ConfigError(
                "The type of the logits is not usable.",
                given=repr(self.dtype),
                expected=" or ".join(get_args(Kind)),
                repair='Form("float16")',
            )
        if self.top is not None:
            count("top", self.top, 1, 2**16, kind=ConfigError)

    def check(self, classes: int) -> None:
        """:class:`ConfigError` where there are not more classes than logits to keep."""
        if self.top is not None and self.top >= classes:
            raise ConfigError(
                "There are not so many logits.",
                given=f"the {self.top} largest of {classes}",
                expected=f"1 to {classes - 1}",
                repair="Form(top=None), which keeps them all",
            )

    def pack(self, taught: Taught) -> dict[str, NDArray[Any]]:
        """Rows of each table, one for each sample.

        Raises
        ------
        CacheError
            A value is too large for float16.
        """
        z, rows = np.asarray(taught.logits, np.float32), dict[str, NDArray[Any]]()
        if self.top is None:
            rows[LOGITS] = _narrow(z, self.dtype, "logits", "--dtype float32")
        else:
            order = np.argsort(-z, axis=1, kind="stable")
            largest, others = (np.take_along_axis(z, part, 1) for part in np.split(order, [self.top], axis=1))
            rows[LARGEST] = _narrow(largest, self.dtype, "logits", "--dtype float32")
            rows[CLASSES] = order[:, : self.top].astype(counts_type(z.shape[1]))
            rows[REST] = logsumexp(others.astype(np.float64), axis=1).astype(np.float32)
        for layer, values in taught.features.items():
            rows[FEATURES + key(layer)] = _narrow(values, "float16", f"feature map {layer}", "another layer")
        if taught.spikes is not None:
            rows[SPIKES] = np.packbits(taught.spikes, axis=2)
        return rows

    def unpack(self, rows: Rows, classes: int) -> Taught:
        """What the rows stand for."""
        if self.top is None:
            z: Array = rows[LOGITS].astype(np.float32, copy=False)
        else:
            others = rows[REST] - np.float32(math.log(classes - self.top))
            z = np.repeat(others[:, None], classes, axis=1)
            np.put_along_axis(z, rows[CLASSES].astype(np.int64), rows[LARGEST].astype(np.float32), 1)
        maps = {name: values for name, values in rows.items() if name.startswith(FEATURES)}
        features = {name_of(name.removeprefix(FEATURES)): values.astype(np.float32) for name, values in maps.items()}
        spikes = np.unpackbits(rows[SPIKES], axis=2, count=classes) if SPIKES in rows else None
        return Taught(z, features, spikes)


def _narrow(values: Array, dtype: Kind, what: str, repair: str) -> Array:
    """Values in a type that holds them."""
    largest = float(np.abs(values).max(initial=0))
    if largest > float(np.finfo(dtype).max):
        raise CacheError(
            f"The {what} of the teacher are too large.",
            given=f"{largest:g}",
            expected=f"at most {np.finfo(dtype).max}, for {dtype}",
            repair=repair,
        )
    return values.astype(dtype)
