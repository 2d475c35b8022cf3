"""Totals of samples by the names of populations and projections, from the probes of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim.job import Job
from eventsim.kernels import frozen
from eventsim.population import AnyPopulation, Generator, Population, Readout, Source

Tables = dict[str, NDArray[Any]]
ALL = slice(None)


def totals(job: Job, probes: frozen.Probes, rows: slice = ALL) -> dict[str, Tables]:
    """Totals of some samples: by kind, as :class:`eventsim.Recording` has them, and name."""
    network, populations = job.network, job.network.populations
    mean = probes.readout[rows] / job.net.rest.dtype.type(job.origin + job.ticks)
    counted = [network[name] for name in dict.fromkeys(job.record.counts)]
    out = {
        "spikes": _sums(job, probes.spikes[rows], populations),
        "synops": _operations(job, probes.synops[rows]),
        "readout": _columns(job, mean, job.net.populations["readout"], network.of_kind(Readout)),
        "counts": _columns(job, probes.counts[rows], probes.columns["counted"], counted),
    }
    if job.record.energy:
        targets = [p for p in populations if not isinstance(p, Source | Generator)]
        out["column_reads"] = _sums(job, probes.column_reads[rows], targets)
        out["drive_squared"] = _sums(job, probes.drive_squared[rows], network.of_kind(Population))
    return out


def _sums(job: Job, blocks: NDArray[Any], some: Sequence[AnyPopulation]) -> Tables:
    """Sums over the blocks of each population."""
    rows = {p.name: job.net.populations[job.numbers[p.name]] for p in some}
    return {n: blocks[:, row["first_block"] :][:, : row["blocks"]].sum(axis=1) for n, row in rows.items()}


def _columns(job: Job, table: NDArray[Any], first: NDArray[np.int64], some: Sequence[AnyPopulation]) -> Tables:
    """Columns of each population."""
    return {p.name: table[:, first[job.numbers[p.name]] :][:, : p.size] for p in some}


def _operations(job: Job, tallies: NDArray[np.int64]) -> Tables:
    """Operations of each projection, over its ways and blocks."""
    ends = np.append(job.net.ways["tally"], tallies.shape[1])
    sums = {p.name: np.zeros(len(tallies), np.int64) for p in job.network.incoming}
    for k, (name, _, _) in enumerate(job.network.plan.ways):
        sums[name] += tallies[:, ends[k] : ends[k + 1]].sum(axis=1)
    return sums
