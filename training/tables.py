"""Tables of results: published figures beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from eventsim.report import Table
from eventsim.training.experiment import Experiment, Row
from eventsim.training.results import Chips, Result

COLUMNS = ("", "published", "test", "difference", "gain", "validation", "rate", "spikes", "SynOps", "epochs", "time")
LEGEND = (
    "published: accuracy in percent as the paper prints it; test, validation: ours, mean ± standard deviation over "
    "seeds; difference: our mean test accuracy less what is published; gain: over the row that a row is to exceed, "
    "with the same seeds; rate: spikes per neuron and tick in the training of the epoch that is kept, mean over "
    "layers; spikes, SynOps: per sample of the test set, in the engine; epochs: kept, of all; time: of a training"
)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation."""
    more = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{more}"


def percent(shares: Sequence[float]) -> str:
    """Mean and standard deviation of shares, in percent."""
    return spread([100 * share for share in shares])


@dataclass(frozen=True)
class ResultRow:
    """A row with its results, one for each seed; of one quick form or of the whole one."""

    row: Row
    results: Sequence[Result]
    others: Sequence[Result]
    """Of the row that it is to exceed."""

    @property
    def reached(self) -> list[float]:
        """Accuracy of each seed on the test set of the row."""
        return [self._on(result) for result in self.results]

    @property
    def gains(self) -> list[float]:
        """Over the same seeds of the other row."""
        other = {result.seed: self._on(result) for result in self.others}
        return [self._on(result) - other[result.seed] for result in self.results if result.seed in other]

    def _on(self, result: Result) -> float:
        return result.tests[self.row.test] if self.row.test else result.test

    def cells(self) -> list[str]:
        """Texts of the row."""
        row, results = self.row, self.results
        published = "" if row.published is None else f"{row.published:.2f}"
        if not results:
            return [row.label, published, "not run", *[""] * (len(COLUMNS) - 3)]
        difference = "" if row.published is None else f"{100 * fmean(self.reached) - row.published:+.2f}"
        gain = f"{'+' if fmean(self.gains) >= 0 else ''}{percent(self.gains)}" if self.gains else ""
        active = [result.activity for result in results if result.activity is not None]
        rates = [result.firing_rate for result in results if result.firing_rate is not None]
        return [
            row.label,
            published,
            percent(self.reached),
            difference,
            gain,
            percent([result.validation for result in results]),
            f"{fmean(rates):.3f}" if rates else "",
            f"{fmean(one.spikes for one in active):,.0f}" if active else "",
            f"{fmean(one.synops for one in active):,.0f}" if active else "",
            f"{fmean(result.best_epoch for result in results):.0f} of {max(result.epochs for result in results)}",
            f"{fmean(result.seconds for result in results):,.0f} s",
        ]


def result_rows(experiment: Experiment, results: Sequence[Result], *, quick: bool = False) -> list[ResultRow]:
    """Rows of a form of an experiment, with those of some results that belong to them."""
    by_place: dict[tuple[str, str], list[Result]] = {}
    for result in sorted(results, key=lambda one: one.seed):
        if result.experiment == experiment.name and result.quick == quick:
            by_place.setdefault((result.case, result.stage), []).append(result)
    return [
        ResultRow(row, by_place.get((row.case, row.stage), []), by_place.get((row.case, row.baseline or ""), []))
        for row in experiment.rows(quick)
    ]


def results_table(experiment: Experiment, results: Sequence[Result], *, quick: bool = False) -> Table:
    """Published figures beside ours."""
    rows = result_rows(experiment, results, quick=quick)
    caption = _caption(experiment, [result for row in rows for result in row.results])
    return Table(caption, COLUMNS, [row.cells() for row in rows])


def _caption(experiment: Experiment, results: Sequence[Result]) -> str:
    """What the numbers of a table stand for."""
    parts = [f"{experiment.plan.source}."]
    for text in sorted({_data(result) for result in results}):
        parts.append(f"{text}.")
    if results:
        seeds, threads = (sorted({getattr(result, name) for result in results}) for name in ("seed", "threads"))
        parts.append(f"Seeds {', '.join(map(str, seeds))}; {' or '.join(map(str, threads))} threads.")
    return " ".join(parts)


def _data(result: Result) -> str:
    """Data of a result, and the sizes of its splits."""
    options = ", ".join(f"{name}={value}" for name, value in result.data.items() if name != "name")
    train, validation, test = result.samples
    named = f"{result.data['name']}{f' ({options})' if options else ''}"
    return f"{named}: {train:,} samples in training, {validation:,} in validation, {test:,} in test"


def chips_table(experiments: Sequence[Experiment], results: Sequence[Result]) -> Table:
    """Students on drawn chips: accuracy and energy against the spread of their devices."""
    rows, spreads = [], sorted({chip.variation for result in results for chip in result.chips})
    for experiment in experiments:
        for row in result_rows(experiment, results):
            measured = [result.chips for result in row.results if result.chips]
            if measured and not row.row.test:
                rows.append([f"{experiment.plan.title}: {row.row.label}", *_on_chips(measured, spreads)])
    columns = ("", *(f"{100 * spread:g} %" for spread in spreads), "spikes", "SynOps", "energy*", "energy**")
    caption = (
        "Test accuracy in percent against the relative deviation of every device parameter: mean ± standard deviation "
        "over seeds and chips, simulated event by event; spikes, SynOps and energy per inference on nominal devices "
        "(* devices only, without periphery; ** with periphery). What a student fed with real values does before its "
        "first spikes counts as a crossbar that is read in every tick, in energy, but not in SynOps."
    )
    return Table(caption, columns, rows)


def _on_chips(measured: Sequence[Sequence[Chips]], spreads: Sequence[float]) -> list[str]:
    every = [chip for chips in measured for chip in chips]
    shares = [[share for chip in every if chip.variation == spread for share in chip.accuracies] for spread in spreads]
    nominal = [chip for chip in every if chip.variation == spreads[0]]
    return [
        *(percent(found) if found else "" for found in shares),
        f"{fmean(chip.spikes for chip in nominal):,.0f}",
        f"{fmean(chip.synops for chip in nominal):,.0f}",
        f"{fmean(chip.devices_pj for chip in nominal) / 1000:,.3g} nJ",
        f"{fmean(chip.with_periphery_pj for chip in nominal) / 1000:,.3g} nJ",
    ]


def operations_table(experiments: Sequence[Experiment], results: Sequence[Result]) -> Table:
    """What an inference takes: products of dense layers beside spikes and synaptic operations."""
    rows = []
    for experiment in experiments:
        for row in result_rows(experiment, results):
            found = row.results
            if found and not row.row.test:
                rows.append([f"{experiment.plan.title}: {row.row.label}", *_operations(found)])
    columns = ("", "weights", "ticks", "MACs, dense", "MACs, front", "spikes", "SynOps", "share", "differ")
    caption = (
        "Per inference: MACs, dense: products of one pass through all layers, as an artificial net takes them; MACs, "
        "front: those of the layers before the first neurons over all ticks, where they are fed with real values; "
        "spikes of all neurons; SynOps: spikes times their exact fan-out, counted by the engine; share: SynOps and "
        "MACs of the front over dense MACs; differ: spikes and logits in which engine and training forward pass "
        "differ, on 50 samples and all seeds."
    )
    return Table(caption, columns, rows)


def _operations(found: Sequence[Result]) -> list[str]:
    one, active = found[0], [result.activity for result in found if result.activity is not None]
    cells = [f"{one.weights:,}", str(one.ticks), f"{one.macs:,}"]
    if not active:
        return [*cells, *[""] * 5]
    front, spikes, synops = (fmean(getattr(a, name) for a in active) for name in ("front_macs", "spikes", "synops"))
    share, differ = f"{(front + synops) / one.macs:.2f}", str(sum(a.differ for a in active))
    return [*cells, f"{front:,.0f}", f"{spikes:,.0f}", f"{synops:,.0f}", share, differ]


def steps_table(experiment: Experiment, results: Sequence[Result]) -> Table:
    """What a step of training takes, against the ticks."""
    rows = []
    for row in result_rows(experiment, results):
        costs = [result.step for result in row.results if result.step is not None]
        if costs and not row.row.test:
            seconds, kept = (fmean(getattr(cost, name) for cost in costs) for name in ("cpu_seconds", "backward_bytes"))
            counts = [str(row.results[0].ticks), str(costs[0].samples)]
            rows.append([row.row.label, *counts, f"{1000 * seconds:,.0f} ms", f"{kept / 1e6:,.1f} MB"])
    caption = (
        "Forward and backward pass of a batch: processor time of all threads, and what the forward pass keeps for the "
        "backward pass, besides the parameters; means over seeds."
    )
    return Table(caption, ("", "ticks", "batch", "time", "kept"), rows)


def rates_table(experiment: Experiment, results: Sequence[Result]) -> Table:
    """Firing rates, tick by tick."""
    measured = []
    for row in result_rows(experiment, results):
        rates = [one.activity.rates for one in row.results if one.activity is not None and one.activity.rates]
        if rates and not row.row.test:
            measured.append((row.row.label, rates))
    ticks = max((len(rates[0]) for _, rates in measured), default=0)
    rows = []
    for label, rates in measured:
        by_tick = [f"{fmean(tick):.4f}" for tick in zip(*rates, strict=True)]
        rows.append([label, *by_tick, *[""] * (ticks - len(by_tick)), spread([fmean(one) for one in rates], 4)])
    caption = (
        "Spikes per neuron in each tick, over all neurons and those samples of the test set that the engine is given: "
        "mean over seeds; all: mean ± standard deviation."
    )
    return Table(caption, ("", *(f"t = {tick}" for tick in range(1, ticks + 1)), "all"), rows)


def markdown(table: Table) -> str:
    """A table as Markdown, its caption below it."""
    lines = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    rows = [[cell.replace("|", "\\|") for cell in cells] for cells in lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + f"\n\n{table.caption}\n"
