"""What a run reached, as a table."""

from __future__ import annotations

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
            ", ".join(f"{rate:.3f}" for rate in found["firing_rates"].values()),
            f"{seconds:.1f} s",
        ]
        for found, seconds in zip(ran.results, ran.seconds, strict=True)
    ]
    columns = ("", "validation", "test", "best epoch", "weights", "firing rates", "training")
    return Table("Accuracy of each stage; spikes per neuron and tick of its layers in the best epoch.", columns, rows)
