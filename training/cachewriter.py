"""Asking a teacher about a data set, part by part; ``docs/formats.md``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py

from eventsim.columns import alone, beside, check_room, reading, writing
from eventsim.errors import CacheError, ConfigError
from eventsim.training import cacheabout, cachefile
from eventsim.training.cache import MEMORY, TeacherCache
from eventsim.training.cachefile import ROWS
from eventsim.training.dataset import SPLITS, Dataset
from eventsim.training.form import Form
from eventsim.training.keyed import Ints
from eventsim.training.lessons import Online
from eventsim.training.teachers import Teacher
from eventsim.training.views import Views

Show = Callable[[int], None]


def cached(
    path: str | Path,
    teacher: Teacher,
    dataset: Dataset,
    *,
    views: Views | None = None,
    form: Form | None = None,
    splits: Sequence[str] = SPLITS,
    recipe: Mapping[str, Any] | None = None,
    memory: int = MEMORY,
    show: Show = lambda done: None,
) -> TeacherCache:
    """Return the cache of a teacher: read if it is there, gone on with if it was begun, made otherwise.

    It grows as ``path + ".part"`` and is moved to its place when it is whole. Whatever ends the process, the same call
    goes on behind the last chunk that was written.

    Parameters
    ----------
    path : path
    teacher : Teacher
    dataset : Dataset
    views : Views, optional
        What is asked about each sample; the sample as it is if left out.
    form : Form, optional
        How answers are kept; all logits in float32 if left out.
    splits : sequence of str
        Which samples are asked about.
    recipe : mapping, optional
        How the teacher came to be, as JSON values.
    memory : int
        See :meth:`TeacherCache.read`.
    show : callable, optional
        Called with the number of answers that are there.

    Returns
    -------
    TeacherCache

    Raises
    ------
    CacheError
        The teacher does not fit the data set, or says what is not finite or of another shape; the cache that is there,
        or was begun, is another one, or damaged.
    ConfigError
        An unknown split, or a form that does not fit.
    OutputError
        The place cannot be written to, or another process writes to it.
    """
    path, online = Path(path), Online(teacher, dataset, views or Views(), form or Form())
    ids = _samples(dataset, splits)
    about = cacheabout.about(online, splits, recipe or {})
    if not path.exists():
        with alone(path):
            _write(path, online, ids, about, show)
    wanted = {"form": about["form"], "split": about["split"]}
    cache = TeacherCache.read(
        path, dataset, teacher, views=online.views, recipe=recipe, memory=memory, attributes=wanted
    )
    show(online.views.count * len(ids))
    return cache


def _samples(dataset: Dataset, splits: Sequence[str]) -> Ints:
    if isinstance(splits, str) or not splits or not set(splits) <= set(SPLITS) or len(set(splits)) != len(splits):
        raise ConfigError(
            "The splits of the teacher cache are not usable.",
            given=repr(splits),
            expected=f"some of {', '.join(SPLITS)}, each once",
            repair='splits=("train",)',
        )
    ids = cachefile.samples(dataset, splits)
    if not len(ids):
        raise ConfigError(
            "There is no sample to ask about.",
            given=f"{dataset.name}, {', '.join(splits)}: 0 samples",
            expected="at least one",
            repair="another split",
        )
    return ids


def _write(path: Path, online: Online, ids: Ints, about: dict[str, str], show: Show) -> None:
    part, views = beside(path), online.views.count
    first = online.rows(ids[:ROWS], 0)  # what the teacher says decides the layout, and is refused before a file is made
    about = {**about, "layout": cachefile.layout(first, views, len(ids))}
    if part.exists():
        _check_begun(part, about)
    else:
        with writing(path, "nothing was written"):
            new = beside(part)
            check_room(new, views * len(ids) * sum(rows[:1].nbytes for rows in first.values()))
            cachefile.create(new, about, ids, online.dataset.labels[ids])
            new.replace(part)
    with writing(path, f"{part} is gone on with by the same call"), h5py.File(part, "r+", rdcc_nbytes=0) as file:
        tables = cachefile.tables(file)
        for view in range(views):
            for begin in range(0, len(ids), ROWS):
                some = ids[begin : begin + ROWS]
                if not all(table.whole(view, begin, begin + len(some)) for table in tables.values()):
                    rows = online.rows(some, view)
                    _check_rows(rows, json.loads(about["layout"]), online.teacher.name)
                    check_room(part, 0)
                    for name, table in tables.items():
                        table.write(view, begin, rows[name])
                show(view * len(ids) + begin + len(some))
        cachefile.finish(file)
    with writing(path, f"{part} is whole; the same call moves it"):
        part.replace(path)


def _check_begun(part: Path, about: Mapping[str, str]) -> None:
    """Refuse a file that was begun with something else."""
    with reading(part, "teacher cache", CacheError) as file:
        for name, found, wanted in cacheabout.differing(cachefile.texts(file), about):
            raise CacheError(
                "The teacher cache that was begun is another one.",
                given=f"{part}, {name} = {found}",
                expected=f"{name} = {wanted}",
                repair=f"cache what was begun, or delete {part.name}",
            )


def _check_rows(rows: Mapping[str, Any], layout: Mapping[str, Any], name: str) -> None:
    """Refuse answers that are not like the first ones."""
    found = {table: list(part.shape[1:]) for table, part in rows.items()}
    wanted = {table: shape[2:] for table, (_, shape, _) in layout.items()}
    if found != wanted:
        raise CacheError(
            f"The teacher {name} gives answers of another shape than before.",
            given=found,
            expected=wanted,
            repair="a teacher whose logits, feature maps and spikes have one shape for all samples",
        )
