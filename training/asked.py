"""Teachers and views that the command line names."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eventsim.columns import reading
from eventsim.errors import CacheError, ConfigError
from eventsim.training import checkpoint
from eventsim.training.augment import Augmentation, Crop, Cutout, Flip, Noise, Rotation, Shift
from eventsim.training.builders import relu_mlp
from eventsim.training.dataset import Dataset
from eventsim.training.encode import Direct
from eventsim.training.logits import LogitsTeacher
from eventsim.training.onnx_teacher import OnnxTeacher
from eventsim.training.teachers import ModelTeacher, Teacher

AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    "crop": Crop,
    "cutout": Cutout,
    "flip": Flip,
    "noise": Noise,
    "rotation": Rotation,
    "shift": Shift,
}


def named_teacher(name: str, dataset: Dataset, **onnx: Any) -> Teacher:
    """The teacher that a text names.

    Parameters
    ----------
    name : str
        ``MODULE:NAME``, a teacher or a function of the data set that gives one; or a file: ``.onnx``, logits as
        ``.npy``, ``.npz`` or HDF5, or parameters of the teacher of a demonstration.
    dataset : Dataset
    onnx : mapping
        Settings of :class:`OnnxTeacher`.

    Raises
    ------
    CacheError, ConfigError
        There is none of that name.
    """
    path = Path(name)
    if path.suffix == ".onnx":
        return OnnxTeacher(path, dataset.image[:2], **onnx)
    if ":" in name and not path.exists():
        return _imported(name, dataset)
    if path.suffix in (".npy", ".npz"):
        return LogitsTeacher.read(path)
    with reading(path, "teacher", CacheError) as file:
        form = file.attrs.get("format")
    return LogitsTeacher.read(path) if form is None else _trained(path, dataset)


def _imported(name: str, dataset: Dataset) -> Teacher:
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as cause:
        raise ConfigError(
            "There is no such teacher.",
            given=f"{name}: {cause}",
            expected="MODULE:NAME, which can be imported from here",
            repair="correct the name, or start the command beside the module",
        ) from None
    finally:
        sys.path.pop(0)
    teacher = found if hasattr(found, "fingerprint") or not callable(found) else found(dataset)
    if not all(hasattr(teacher, what) for what in ("fingerprint", "preprocessing", "check")):
        raise ConfigError(
            "This is no teacher.",
            given=f"{name}, {type(teacher).__name__}",
            expected="a teacher, or a function of the data set that gives one",
            repair="FunctionTeacher(function, name, fingerprint)",
        )
    return teacher  # type: ignore[no-any-return]


def _trained(path: Path, dataset: Dataset) -> Teacher:
    """The ReLU network whose parameters a demonstration left."""
    params, about = checkpoint.load(path)
    if about.get("model") != "teacher" or "teacher_hidden" not in about.get("config", {}):
        raise CacheError(
            "These parameters are not those of a teacher.",
            given=f"{path}, model {about.get('model')!r}",
            expected="teacher.h5 of a run folder of `eventsim demo`",
            repair="MODULE:NAME, a function of the data set that gives ModelTeacher(model, params, encoder)",
        )
    hidden = int(about["config"]["teacher_hidden"])
    model = relu_mlp((dataset.x.shape[1], hidden, dataset.classes))
    return ModelTeacher(model, params, Direct(), name="relu_mlp")


def named_augmentations(texts: Sequence[str]) -> tuple[Augmentation, ...]:
    """Augmentations from texts ``NAME=VALUE``, such as ``shift=2``, or ``NAME`` alone.

    Raises
    ------
    ConfigError
        An unknown name, or a value that does not fit.
    """
    return tuple(map(_augmentation, texts))


def _augmentation(text: str) -> Augmentation:
    name, _, value = text.partition("=")
    try:
        return AUGMENTATIONS[name](*([json.loads(value)] if value else []))
    except (KeyError, TypeError, json.JSONDecodeError):
        raise ConfigError(
            "There is no such augmentation.",
            given=text,
            expected=f"{', '.join(AUGMENTATIONS)}, with = and a number",
            repair="--augment shift=2",
        ) from None
