"""Splits by key: validation is carved from what is for training, never from the test set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eventsim import keys
from eventsim.errors import ConfigError
from eventsim.training.dataset import SPLIT_SEED

Samples = NDArray[np.int64]


class Sizes(NamedTuple):
    """Numbers of samples that are asked for; None: the default for validation, all that are left for the others."""

    train: int | None = None
    validation: int | None = None
    test: int | None = None


class Split(NamedTuple):
    """The samples of each split."""

    train: Samples
    validation: Samples
    test: Samples


def shuffled(name: str, samples: ArrayLike) -> Samples:
    """Samples of a data set in keyed random order."""
    samples = np.asarray(samples, np.int64)
    return samples[keys.permutation(SPLIT_SEED, f"split/{name}", len(samples))]


def split(name: str, order: Samples, test: Samples, default: int, sizes: Sizes) -> Split:
    """Carve a split.

    Parameters
    ----------
    name : str
        Of the data set.
    order : array of int64
        Samples of the training set in keyed order. The last are for validation; training takes the first of the rest.
    test : array of int64
        Samples of the test set.
    default : int
        Number of samples for validation, if none is asked for.
    sizes : Sizes

    Raises
    ------
    ConfigError
        More samples are asked for than there are.
    """
    validation = default if sizes.validation is None else sizes.validation
    left = len(order) - validation
    wanted = (left if sizes.train is None else sizes.train, validation, len(test) if sizes.test is None else sizes.test)
    if min(wanted) < 1 or wanted[0] > left or wanted[2] > len(test):
        train = "the rest" if sizes.train is None else sizes.train
        raise ConfigError(
            f"The split of {name} cannot be had.",
            given=f"train {train}, validation {validation}, test {wanted[2]}",
            expected=f"at least one of each, {len(order)} for training and validation together, {len(test)} for test",
            repair="ask for fewer",
        )
    if wanted[2] < len(test):
        test = np.sort(shuffled(f"{name}/test", test)[: wanted[2]])
    return Split(order[: wanted[0]], order[left:], test)


def grouped(
    name: str, order: Samples, groups: ArrayLike, default: int, wanted: int | None, kind: str = "groups"
) -> tuple[Samples, int]:
    """Order of a training set in which whole groups are set aside for validation, and how many samples that are.

    Parameters
    ----------
    name : str
        Of the data set.
    order : array of int64
        Samples of the training set in keyed order.
    groups : array of int, shape of ``order``
        Subject or record of each: what is alike.
    default : int
        Number of groups that are set aside if no number of samples is asked for.
    wanted : int, optional
        Number of samples: as many groups as hold them are set aside, and what they hold beyond is left out.
    kind : str
        What the groups are, for what is refused.
    """
    groups = np.asarray(groups)
    which, sizes = np.unique(groups, return_counts=True)
    drawn = shuffled(f"{name}/groups", np.arange(len(which)))
    held = default if wanted is None else int(np.searchsorted(np.cumsum(sizes[drawn]), wanted)) + 1
    if held >= len(which):
        wish = f"{held} {kind}" if wanted is None else f"as many {kind} as hold {wanted} samples"
        raise ConfigError(
            f"The split of {name} cannot be had.",
            given=f"{wish} set aside for validation, of {len(which)} with {len(order)} samples",
            expected=f"{kind} that are left for training",
            repair=f"take more {kind}" if wanted is None else "ask for fewer samples for validation",
        )
    inside = np.isin(groups, which[drawn[:held]])
    aside = order[inside][:wanted]
    return np.concatenate([order[~inside], aside]), len(aside)
