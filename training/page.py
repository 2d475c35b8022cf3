"""The page of results: a text with the tables of a results file in it."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from eventsim import store
from eventsim.columns import writing
from eventsim.training.experiment import FOLDER, Experiment, experiment, known
from eventsim.training.results import Result, ResultsFile
from eventsim.training.tables import LEGEND, chips_table, markdown, operations_table, results_table, steps_table

TEMPLATE = "results.md.j2"


def write_page(results: Path) -> Path:
    """Write the page of a results file beside it, with its name and the ending ``.md``; returns its path.

    Only results of the experiments as they are count: what was found with other recipes is left out, and so are quick
    forms and those with other numbers of epochs.

    Raises
    ------
    ResultsError
        The file is not usable.
    OutputError
        The page cannot be written.
    """
    experiments = {name: experiment(name) for name in known()}
    found = [one for name in experiments for one in current(experiments[name], ResultsFile(results).results)]

    def table(name: str) -> str:
        return f"`eventsim reproduce {name}`\n\n{markdown(results_table(experiments[name], found))}"

    def chips(*names: str) -> str:
        return markdown(chips_table([experiments[name] for name in names or experiments], found))

    def operations(*names: str) -> str:
        return markdown(operations_table([experiments[name] for name in names or experiments], found))

    def steps(name: str) -> str:
        return markdown(steps_table(experiments[name], found))

    environment = Environment(loader=PackageLoader("eventsim", FOLDER), undefined=StrictUndefined, autoescape=False)
    tables = {"table": table, "chips": chips, "operations": operations, "steps": steps}
    text = environment.get_template(TEMPLATE).render(legend=LEGEND, **tables)
    path = results.with_suffix(".md")
    with writing(path, "it was left as it is"):
        store.write_text(path, text + "\n")
    return path


def current(experiment: Experiment, results: list[Result]) -> list[Result]:
    """Those of some results that were found with the recipes that an experiment has now."""
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
    return kept
