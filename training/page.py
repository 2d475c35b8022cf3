"""The page of results: the tables of a results file, in a text beside it or in that of the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from eventsim import store
from eventsim.columns import locked, writing
from eventsim.errors import OutputError
from eventsim.report import Table
from eventsim.training.experiment import FOLDER, Experiment, experiment, known
from eventsim.training.results import WAIT, Result, ResultsFile
from eventsim.training.tables import (
    LEGEND,
    chips_table,
    markdown,
    operations_table,
    rates_table,
    results_table,
    steps_table,
)

TEMPLATE = "page.md.j2"
TEXT = ".md.j2"
"""Ending of a file beside that of results, with the text of their page: it would not suit others."""
MARK = "<!-- Written by eventsim reproduce: changes are lost. -->\n"
"""First line of the page, without which no file is replaced by it."""


def page_of(results: Path) -> Path:
    """The page of a results file: beside it, with its name and the ending ``.md``.

    Raises
    ------
    OutputError
        There is a file of that name that is no such page.
    """
    path = results.with_suffix(".md")
    if path.exists() and not (path.is_file() and path.read_bytes().startswith(MARK.encode())):
        raise OutputError(
            "The page of results cannot be written.",
            given=f"{path}, which was written by somebody else",
            expected=f"no file, or one that begins with {MARK.strip()}",
            repair="name another results file with --results, or move that file away",
        )
    return path


def check_page(results: Path) -> Path:
    """The page of a results file, if it can be written with the text that is beside the file.

    Raises
    ------
    OutputError
        As of :func:`page_of`; or the text is not usable.
    """
    _page(results, [])
    return page_of(results)


def write_page(results: Path) -> Path:
    """Write the page of a results file; returns its path.

    Only results of the experiments as they are count: what was found with other recipes or data is left out, and so are
    quick forms and those with other numbers of epochs.

    Raises
    ------
    ResultsError
        The file is not usable.
    OutputError
        The page cannot be written.
    """
    path = page_of(results)
    with writing(path, "it was left as it is"), locked(results, str(results), wait=WAIT):
        store.write_text(path, f"{MARK}\n{_page(results, ResultsFile(results).results)}\n")
    return path


def _page(file: Path, results: Sequence[Result]) -> str:
    """The text of a results file with the tables of some results."""
    experiments = {name: experiment(name) for name in known()}
    found = [result for one in experiments.values() for result in current(one, results)]

    def of_one(made: Callable[[Experiment, Sequence[Result]], Table]) -> Callable[[str], str]:
        return lambda name: _filled(made(experiments[name], found))

    def of_some(made: Callable[[Sequence[Experiment], Sequence[Result]], Table]) -> Callable[..., str]:
        return lambda *names: markdown(made([experiments[name] for name in names or experiments], found))

    def table(name: str) -> str:
        return f"`eventsim reproduce {name}`\n\n{of_one(results_table)(name)}"

    try:
        return _template(file).render(
            legend=LEGEND,
            experiments={name: one.plan.title for name, one in experiments.items()},
            table=table,
            steps=of_one(steps_table),
            rates=of_one(rates_table),
            chips=of_some(chips_table),
            operations=of_some(operations_table),
        )
    except Exception as cause:  # a text can fail in any way that Python can
        if not file.with_suffix(TEXT).exists():
            raise
        raise OutputError(
            "The text of a page of results is not usable.",
            given=f"{file.with_suffix(TEXT)}: {type(cause).__name__}, {cause}",
            expected=f"a Jinja template with tables of {', '.join(experiments)}",
            repair="correct it, or move it away: the page is then without a text",
        ) from None


def _template(file: Path) -> Template:
    """The text beside a results file, or else that of the program."""
    environment = Environment(loader=PackageLoader("eventsim", FOLDER), undefined=StrictUndefined, autoescape=False)
    text = file.with_suffix(TEXT)
    return environment.from_string(text.read_text("utf-8")) if text.exists() else environment.get_template(TEMPLATE)


def _filled(table: Table) -> str:
    """A table as Markdown; nothing for one without rows."""
    return markdown(table) if table.rows else ""


def current(experiment: Experiment, results: Sequence[Result]) -> list[Result]:
    """Those of some results that were found with the recipes that an experiment has now, and with the latest data."""
    digests: dict[tuple[str, int], dict[str, str]] = {}
    kept = []
    for result in results:
        case = next((case for case in experiment.cases if case.name == result.case), None)
        if result.experiment != experiment.name or result.quick or case is None:
            continue
        place = (result.case, result.seed)
        if place not in digests:
            recipe = experiment.recipe(case, result.seed)
            digests[place] = {stage.name: experiment.digest(recipe, stage.name) for stage in recipe.stage}
        if digests[place].get(result.stage) == result.digest:
            kept.append(result)
    latest = {result.case: result.data_sha256 for result in kept}
    return [result for result in kept if latest[result.case] == result.data_sha256]
