"""What a run reached, as a table."""

from __future__ import annotations

from statistics import fmean

from eventsim.report import Table
from eventsim.training.run import Ran


def scores_table(ran: Ran) -> Table:
    """A row for each stage."""
    rows = [
        [
            found["stage"],
            f"{100 * found['validation_accuracy']:.2f} %",
            f"{100 * found['test_accuracy']:.2f} %",
            f"{found['best_epoch']} of {found['epochs']}",
            f"{found['weights']:,}",
            f"{fmean(found['firing_rates'].values()):.3f}" if found["firing_rates"] else "",
            f"{seconds:.1f} s",
        ]
        for found, seconds in zip(ran.results, ran.seconds, strict=True)
    ]
    columns = ("", "validation", "test", "best epoch", "weights", "firing rate", "training")
    return Table(
        "Accuracy of each stage; spikes per neuron and tick in its best epoch, mean over its layers.", columns, rows
    )
