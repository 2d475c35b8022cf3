"""What a model says about samples, and how often it is right."""

from __future__ import annotations

import reprlib

import numpy as np
from numpy.typing import NDArray

from eventsim.checks import as_array, count
from eventsim.errors import ConfigError, DataError
from eventsim.parallel import ALONE, Workers
from eventsim.training.dataset import Dataset
from eventsim.training.encode import EVALUATION, Encoder
from eventsim.training.layer import Params
from eventsim.training.model import Model
from eventsim.training.signal import Array


def predict(
    model: Model,
    params: Params,
    dataset: Dataset,
    ids: NDArray[np.int64],
    encoder: Encoder,
    batch: int = 256,
    workers: Workers = ALONE,
) -> Array:
    """Logits of samples, each encoded by its one evaluation draw.

    Parameters
    ----------
    model : Model
    params : dict of str to array
    dataset : Dataset
    ids : array of int, shape (n,)
        Which samples.
    encoder : Encoder
    batch : int
        Samples at a time, for the sake of memory; no bit depends on it.
    workers : Workers
        Threads; no bit depends on their number.

    Returns
    -------
    array of float, shape (n, classes)

    Raises
    ------
    DataError
        No sample, or samples that do not fit the model.
    """
    count("batch", batch, 1, kind=ConfigError)
    ids = _checked(ids, len(dataset.x))
    logits = []
    for part in np.split(ids, range(batch, len(ids), batch)):
        signal = encoder(encoder.prepare(dataset.x[part]), part, EVALUATION)
        logits.append(model.logits(params, signal, encoder.ticks, workers))
    return np.concatenate(logits)


def _checked(ids: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """Numbers of samples, if they are."""
    ids = as_array(ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or not ((ids >= 0) & (ids < samples)).all():
        raise DataError(
            "There are no such samples.",
            given=reprlib.repr(ids.tolist()),
            expected=f"whole numbers from 0 to {samples - 1} in a row",
            repair="dataset.test",
        )
    return ids


def accuracy(logits: Array, labels: NDArray[np.int64]) -> float:
    """Share of samples whose largest logit is that of the label.

    Parameters
    ----------
    logits : array of float, shape (n, classes)
    labels : array of int, shape (n,)
        Class of each.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    DataError
        No sample, or not a row of logits for each label.
    """
    logits, labels = as_array(logits), as_array(labels)
    if logits.ndim != 2 or not logits.size or labels.shape != logits.shape[:1]:
        raise DataError(
            "No accuracy can be told from these.",
            given=f"logits of shape {logits.shape}, labels of shape {labels.shape}",
            expected="logits of shape (n, classes), labels of shape (n,), n at least 1",
            repair="accuracy(predict(model, params, dataset, dataset.test, encoder), dataset.labels[dataset.test])",
        )
    return float((logits.argmax(axis=1) == labels).mean())
