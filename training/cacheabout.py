"""What a teacher cache says about itself, and what is refused because it says something else; ``docs/formats.md``."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import eventsim
from eventsim import store
from eventsim.errors import CacheError
from eventsim.training.cachefile import FORMAT, content
from eventsim.training.dataset import SPLITS, Dataset
from eventsim.training.describe import described
from eventsim.training.lessons import Online
from eventsim.training.teachers import Teacher
from eventsim.training.views import Views

_LONGEST = 60_000
"""Characters of an attribute: HDF5 keeps no longer ones."""

_REPAIRS = {
    "format": "have it made again by this version",
    "dataset": "name the cache of this data set, or have one made",
    "classes": "name the cache of this data set, or have it made again: the number of classes differs",
    "labels_sha256": "have it made again: labels, or the order of samples or classes, differ",
    "split_sha256": "have it made again: training, validation and test samples are others",
    "dataset_sha256": "have it made again: the values of the samples, or what was done to them, differ",
    "teacher": "name the cache of this teacher, or have one made",
    "teacher_sha256": "have it made again: the teacher's parameters are others",
    "network_sha256": "have it made again: the teacher's network, or what is asked of it, differs",
    "preprocessing": "have it made again: the teacher sees samples differently",
    "augmentation": "read it with the views it was made with, views=Views(...), or have it made again",
    "form": "read it in the form it was made in, or have it made again elsewhere",
    "split": "read it for the splits it was made for, or have it made again elsewhere",
    "recipe": "use the settings of that teacher, or have the cache made again",
}


def about_data(dataset: Dataset) -> dict[str, str]:
    """What the data set is."""
    return {
        "dataset": dataset.name,
        "classes": str(dataset.classes),
        "labels_sha256": store.fingerprint(labels=dataset.labels),
        "split_sha256": store.fingerprint(**{name: getattr(dataset, name) for name in SPLITS}),
        "dataset_sha256": dataset.fingerprint,
    }


def about_teacher(teacher: Teacher) -> dict[str, str]:
    """Who the teacher is."""
    preprocessing = json.dumps(teacher.preprocessing, sort_keys=True)
    network = json.dumps(teacher.network, sort_keys=True)
    return {
        "teacher": teacher.name,
        "teacher_sha256": teacher.fingerprint,
        "network_sha256": hashlib.sha256(network.encode()).hexdigest(),
        "preprocessing": preprocessing,
        "preprocessing_sha256": hashlib.sha256(preprocessing.encode()).hexdigest(),
    }


def about_views(views: Views) -> dict[str, str]:
    """What the teacher has seen of each sample."""
    return {"augmentation": json.dumps(described(views), sort_keys=True)}


def about(online: Online, splits: Sequence[str], recipe: Mapping[str, Any]) -> dict[str, str]:
    """All attributes of a file but its layout."""
    used = [name for name in ("numpy", "h5py", "onnxruntime") if name in sys.modules]
    packages = {name: version(name) for name in used}
    attributes = {
        "format": FORMAT,
        "version": eventsim.__version__,
        "versions": json.dumps({"python": platform.python_version(), **packages}),
        **about_data(online.dataset),
        **about_teacher(online.teacher),
        **about_views(online.views),
        "split": json.dumps(list(splits)),
        "form": json.dumps(described(online.form), sort_keys=True),
        "recipe": json.dumps(recipe, sort_keys=True),
    }
    for name, text in attributes.items():
        if len(text.encode()) > _LONGEST:
            raise CacheError(
                f"The attribute {name} of the teacher cache is too long.",
                given=f"{len(text)} characters",
                expected=f"at most {_LONGEST}",
                repair="state the SHA-256 of what is long",
            )
    return attributes


def differing(found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Attributes that differ: name, what stands there, and what should."""
    for name, text in wanted.items():
        stands = found.get(name, "not there")
        if stands != text:
            yield name, stands, text


def check(
    path: Path, file: Any, found: Mapping[str, str], wanted: Mapping[str, str], recipe: Mapping[str, Any]
) -> None:
    """Refuse a file of these attributes that is of another format, unfinished, damaged, or not the one wanted."""
    refuse(path, found, {"format": FORMAT})
    if found["complete"] != "True":
        raise CacheError(
            "The teacher cache is not finished.",
            given=f"{path}, complete = {found['complete']}",
            expected="complete = True",
            repair="the call or command that began it, which goes on with it",
        )
    holds = content(file)
    if holds != found["content_sha256"]:
        raise CacheError(
            "The teacher cache is damaged, or this program did not write it.",
            given=f"{path}, content {holds}",
            expected=f"content_sha256 = {found['content_sha256']}",
            repair="name a whole cache, or have it made again",
        )
    refuse(path, found, wanted)
    for name, value in recipe.items():
        stands = json.loads(found["recipe"]).get(name, "not there")
        text, wish = (json.dumps(part, sort_keys=True) for part in (stands, value))
        refuse(path, {"recipe": f"{name}: {text}"}, {"recipe": f"{name}: {wish}"})


def refuse(path: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raise :class:`CacheError` that names the first attribute of a file which differs."""
    for name, stands, text in differing(found, wanted):
        raise CacheError(
            f"The teacher cache is of another {name.removesuffix('_sha256')}.",
            given=f"{path}, {name} = {stands}",
            expected=f"{name} = {text}",
            repair=_REPAIRS[name.removesuffix("_sha256") if name == "preprocessing_sha256" else name],
        )
