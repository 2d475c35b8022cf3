"""The command ``eventsim cache``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eventsim.cli_data import data_folder


@click.command()
@click.option(
    "--teacher",
    "name",
    required=True,
    help="MODULE:NAME of a teacher, or of a function of the data set that gives one; or a file: .onnx, logits as .npy, "
    ".npz or HDF5, or teacher.h5 of a run folder.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Cache to make, or to go on with.")
@click.option("--dataset", default="digits", help="Its name; `eventsim data` lists them.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Folder with the data set's files.  [default: EVENTSIM_DATA]"
)
@click.option("--data-option", "options", multiple=True, metavar="NAME=VALUE", help="Of the data set: train=1000.")
@click.option("--split", "splits", multiple=True, metavar="NAME", help="train, validation, test.  [default: all]")
@click.option("--dtype", default="float32", help="Of the logits: float32 or float16.")
@click.option("--top", type=int, help="Keep so many of the largest logits, and the sum of the rest.  [default: all]")
@click.option("--views", type=int, default=1, help="Views of each sample.")
@click.option("--augment", multiple=True, metavar="NAME=VALUE", help="What a view is made with: --augment shift=2.")
@click.option("--seed", type=int, default=0, help="Of the views.")
@click.option(
    "--feature", "features", multiple=True, metavar="NAME", help="Output of an ONNX file to keep, also several."
)
@click.option("--order", default="channels_first", help="Of the axes of an ONNX file's input, or channels_last.")
@click.option("--mean", type=float, default=0.0, help="Taken from the samples, for an ONNX file.")
@click.option("--std", type=float, default=1.0, help="Then they are divided by it.")
@click.option("--threads", type=int, default=1, help="Of onnxruntime.")
def cache(
    name: str,
    out: Path,
    dataset: str,
    data: Path | None,
    options: tuple[str, ...],
    splits: tuple[str, ...],
    dtype: str,
    top: int | None,
    views: int,
    augment: tuple[str, ...],
    seed: int,
    **onnx: Any,
) -> None:
    """Ask a teacher about every sample, and keep its answers in a file to train from."""
    # Only now, so that help stays quick.
    from eventsim.bars import progress_bar
    from eventsim.config import parse_settings
    from eventsim.parallel import check_threads
    from eventsim.training.asked import named_augmentations, named_teacher
    from eventsim.training.cachewriter import cached
    from eventsim.training.data import load
    from eventsim.training.dataset import SPLITS
    from eventsim.training.form import Form
    from eventsim.training.views import Views

    check_threads(onnx["threads"])
    seen, form = Views(views, named_augmentations(augment), seed), Form(dtype, top)  # type: ignore[arg-type]
    loaded = load(dataset, data_folder(dataset, data), **parse_settings(options))
    teacher, chosen = named_teacher(name, loaded, **onnx), splits or SPLITS
    total = views * sum(len(getattr(loaded, split)) for split in SPLITS if split in chosen)
    with progress_bar(total, "answers") as show:
        made = cached(out, teacher, loaded, views=seen, form=form, splits=chosen, memory=0, show=show)
    click.echo(f"{out}: {len(made.ids)} samples of {loaded.name}, {views} views, teacher {teacher.name}")
    made.close()
