"""The demonstration: one call from real images to a report."""

from __future__ import annotations

from pathlib import Path

from eventsim import store
from eventsim.config import DemoConfig
from eventsim.errors import OutputError
from eventsim.progress import Progress, silent
from eventsim.training.pipeline import Demo, Pipeline
from eventsim.training.showcase import publish


def run_demo(
    config: DemoConfig,
    out: Path,
    *,
    data: Path | None = None,
    cache: Path | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> Demo:
    """Train a teacher, cache it, distil a student of MTJ neurons, measure it on drawn chips, and write a report.

    Parameters
    ----------
    config : DemoConfig
    out : path
        Run folder (``docs/formats.md``); it appears when it is whole.
    data : path, optional
        Folder with the data set, where it needs one.
    cache : path, optional
        Teacher cache of an earlier run with the same data and teacher; the teacher is then not trained again.
    threads : int
        No number depends on it.
    progress : callable, optional

    Returns
    -------
    Demo

    Raises
    ------
    InputError
        Data, cache, run folder or number of threads are not usable, or a training diverged; nothing was written.
    """
    store.check_new(out, OutputError)
    pipeline = Pipeline(config, data, cache, threads, progress)
    with store.new_folder(out, OutputError) as folder:
        demo = pipeline(folder)
        progress("report", 0, 1)
        publish(demo, config, folder)
        progress("report", 1, 1)
    return demo
