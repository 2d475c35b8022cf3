"""What the engine writes as it runs: totals of each sample, and tables with a row for each frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.job import Job
from eventsim.kernels import frozen
from eventsim.kernels.collect import collect
from eventsim.population import Population, Readout

Rows = tuple[NDArray[Any], NDArray[Any]]


class Part(NamedTuple):
    """What was recorded of a stretch of frames."""

    first: int
    events: dict[str, Rows]
    """Frame and address of the spikes of each population."""
    traces: dict[str, Rows]
    """Membrane (nm) and drive of each population, row by row."""


def blank_probes(job: Job) -> frozen.Probes:
    """Columns for all that is recorded, totals of 0, and no frame yet."""
    net, samples, blocks = job.net, job.samples, len(job.net.blocks)
    populations, real = net.populations, net.rest.dtype
    tallies = int(((populations["last_way"] - populations["first_way"]) * populations["blocks"]).sum())
    readouts = sum(readout.size for readout in job.network.of_kind(Readout))
    counted, counts = _columns(job, job.record.counts)
    logged, logs = _columns(job, job.record.spikes)
    neuron = _neurons(job)
    energy = blocks if job.record.energy else 0
    return frozen.Probes(
        spikes=np.zeros((samples, blocks), np.int64),
        synops=np.zeros((samples, tallies), np.int64),
        column_reads=np.zeros((samples, energy), np.int64),
        drive_squared=np.zeros((samples, energy), np.float64),
        readout=np.zeros((samples, readouts), real),
        columns=frozen.record(frozen.COLUMNS, len(populations), counted=counted, logged=logged),
        counts=np.zeros((samples, counts), np.int32),
        log=np.empty((0, logs), np.int32),
        log_counts=np.empty((0, blocks if logs else 0), np.int32),
        watched=np.searchsorted(neuron, np.append(net.blocks["first"], len(net.rest))).astype(np.int64),
        neuron=neuron,
        membrane=np.empty((0, neuron.size), real),
        drive=np.empty((0, neuron.size), real),
    )


def _columns(job: Job, names: Iterable[str]) -> tuple[NDArray[np.int64], int]:
    """First column of each population among those named, or -1, and how many columns there are."""
    column, width = np.full(len(job.numbers), -1, np.int64), 0
    for name in dict.fromkeys(names):
        number = job.numbers[name]
        column[number] = width
        width += job.network.populations[number].size
    return column, width


def _neurons(job: Job) -> NDArray[np.int64]:
    """Watched neurons, numbered through all populations."""
    start = job.net.populations["start"]
    rows = [rows + start[job.numbers[name]] for name, rows in job.watched.items()]
    return np.concatenate([*rows, np.empty(0, np.int64)])


def width(probes: frozen.Probes) -> int:
    """Entries in the tables for one frame, at least 1."""
    return max(int(probes.log.shape[1]), probes.neuron.size, 1)


def with_frames(probes: frozen.Probes, number: int) -> frozen.Probes:
    """The same totals, and new tables for so many frames, to be filled by the engine."""
    log, log_counts, membrane, drive = (
        np.empty((number, table.shape[1]), table.dtype)
        for table in (probes.log, probes.log_counts, probes.membrane, probes.drive)
    )
    return probes._replace(log=log, log_counts=log_counts, membrane=membrane, drive=drive)


def cut(probes: frozen.Probes, first: int, last: int) -> frozen.Probes:
    """The same totals, and some rows of the tables."""
    return probes._replace(
        log=probes.log[first:last],
        log_counts=probes.log_counts[first:last],
        membrane=probes.membrane[first:last],
        drive=probes.drive[first:last],
    )


def collected(job: Job, probes: frozen.Probes, first: int) -> Part:
    """What the tables hold, which begin with frame ``first``."""
    events = {name: _events(job, probes, name, first) for name in dict.fromkeys(job.record.spikes)}
    return Part(first, events, _traces(job, probes))


def _events(job: Job, probes: frozen.Probes, name: str, first: int) -> Rows:
    net, number = job.net, job.numbers[name]
    begin = net.populations["first_block"][number]
    end = begin + net.populations["blocks"][number]
    frame, address = np.empty((2, int(probes.log_counts[:, begin:end].sum())), np.int64)
    collect(probes.log, probes.log_counts, probes.columns["logged"][number], net.blocks, begin, end, frame, address)
    return frame + first, address


def _traces(job: Job, probes: frozen.Probes) -> dict[str, Rows]:
    out, column = {}, 0
    for name, rows in job.watched.items():
        population = job.network[name]
        assert isinstance(population, Population)
        unit = population.devices.unit[rows].astype(probes.membrane.dtype)
        of_it = slice(column, column + rows.size)
        out[name] = (probes.membrane[:, of_it] * unit, probes.drive[:, of_it])
        column += rows.size
    return out
