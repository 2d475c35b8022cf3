"""Run a network on events."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import numpy as np

from eventsim.checks import is_whole
from eventsim.columns import beside
from eventsim.errors import ConfigError, EventsError
from eventsim.events import Events
from eventsim.inputs import Inputs
from eventsim.job import Job
from eventsim.keys import check_seed
from eventsim.network import Network
from eventsim.output import InFile, InMemory
from eventsim.parallel import check_threads
from eventsim.population import Generator, Population, Source
from eventsim.provenance import about
from eventsim.recorder import recording_to
from eventsim.recording import Record, Recording
from eventsim.run import Bar, run
from eventsim.state import NetworkState, check
from eventsim.stochastic import StochasticNeuron
from eventsim.stream import EventFile

Given = Events | EventFile | Mapping[str, Events | EventFile] | None
"""What says which events there are."""

LONGEST = 2**31
"""Ticks of a run stay below it."""


def _inputs(
    network: Network, events: Events | EventFile | Mapping[str, Events | EventFile] | None, ticks: int | None
) -> Inputs:
    """Events of all sources, and how many samples and ticks there are."""
    sources = [source.name for source in network.of_kind(Source)]
    if isinstance(events, Events | EventFile) and len(sources) == 1:
        events = {sources[0]: events}
    parts = {} if events is None else events if isinstance(events, Mapping) else {"": events}
    if set(parts) != set(sources) or not all(isinstance(part, Events | EventFile) for part in parts.values()):
        raise EventsError(
            "The events do not fit the sources of the network.",
            given=f"{type(events).__name__} with the names {', '.join(map(str, parts)) or '(none)'}",
            expected=f"Events for each of {', '.join(sources)}" if sources else "no events: there is no source",
            repair="simulate(network, {name: Events(...), ...}), or simulate(network, ticks=...) without sources",
        )
    if not parts:
        if not (is_whole(ticks) and 1 <= ticks < LONGEST):
            raise ConfigError(
                "The number of ticks is not usable.",
                given=ticks,
                expected=f"a whole number from 1 to {LONGEST - 1}: no events say how long to run",
                repair="simulate(network, ticks=1000)",
            )
        return Inputs({}, (1, int(ticks)))
    for name, part in parts.items():
        wanted = (*next(iter(parts.values())).shape[:2], network[name].size)
        if part.shape != wanted or (ticks is not None and ticks != wanted[1]):
            raise EventsError(
                f"The events for source {name!r} have the wrong shape.",
                given=f"{part.shape} samples, ticks and addresses" + ("" if ticks is None else f", ticks={ticks}"),
                expected=wanted,
                repair=f"Events(..., shape={wanted})",
            )
    return Inputs(dict(parts), next(iter(parts.values())).shape[:2])


def _key(network: Network, seed: int | None) -> np.uint64:
    """The seed, which chance needs."""
    by_chance: list[Generator | Population] = [*network.of_kind(Generator)]
    by_chance += [p for p in network.of_kind(Population) if isinstance(p.devices.nominal, StochasticNeuron)]
    if by_chance and seed is None:
        raise ConfigError(
            "What spikes by chance needs a seed.",
            given=f"no seed for {', '.join(p.name for p in by_chance)}",
            expected="a whole number",
            repair="simulate(..., seed=0)",
        )
    return np.uint64(check_seed(0 if seed is None else seed))


def simulate(
    network: Network,
    events: Given = None,
    *,
    ticks: int | None = None,
    record: Record | None = None,
    state: NetworkState | None = None,
    seed: int | None = None,
    threads: int = 1,
    precision: Literal["single", "double"] = "single",
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Recording:
    """Propagate spikes through a network, each sample by itself, from rest or from a given state.

    In every tick, spikes that are due add the weight of their synapses to the drive of their targets; each
    neuron is stepped exactly under that drive, fires if it reached its threshold, and is reset.

    Parameters
    ----------
    network : Network
    events : Events or EventFile, or mapping of source name to them
        Input spikes; they give the numbers of samples and ticks. :class:`eventsim.EventFile` is read as the run
        goes.
    ticks : int, optional
        How long to run, where no events say it.
    record : Record, optional
        What to keep besides the numbers of spikes and synaptic operations.
    state : NetworkState, optional
        Where to go on from: the ``state`` of a recording. A run that is cut in two is the whole run, bit for bit.
    seed : int, optional
        Of generators and of neurons that switch by chance; required if the network has any.
    threads : int
        Samples run in parallel, or, where they are too few, the blocks of a large network; the result does not
        depend on it.
    precision : {"single", "double"}
        Of positions and drives.
    out : path, optional
        Write what is recorded to an HDF5 file as the run goes, in bounded memory. The file grows as
        ``out + ".part"``, which can be read at any time, also after the process was interrupted or killed, and stands
        at ``out`` when it is whole. Long samples are run one after the other, by a team of threads.
    resume : bool
        Go on from ``out + ".part"`` where there is one; the result is that of a run in one go, bit for bit.
    progress : bool
        Show ticks, their rate and the time left on the error stream.

    Returns
    -------
    Recording
        With ``out``, its totals; events and traces are left in the file. :class:`eventsim.EventFile` reads
        events stretch by stretch, :func:`eventsim.read_recording` all of it.

    Raises
    ------
    EventsError
        Events that do not fit the sources.
    NetworkError
        ``record`` names something that is not there, the state is that of another network, or holds what no run leaves.
    ConfigError
        More threads than cores, no seed where chance needs one, no number of ticks, or ``resume`` without ``out``.
    OutputError
        ``out`` exists, or ``out + ".part"`` does and ``resume`` was not asked for, or another run writes to it, or the
        disk is full.
    CheckpointError
        What is to be gone on with is another run, or damaged.
    """
    check_threads(threads)
    if precision not in ("single", "double"):
        expected = "'single' or 'double'"
        raise ConfigError("There is no such precision.", given=precision, expected=expected, repair=expected)
    if resume and out is None:
        given, repair = "resume=True without out", "simulate(..., out='run.h5', resume=True)"
        raise ConfigError("There is nothing to go on with.", given=given, expected="a file", repair=repair)
    record = Record() if record is None else record
    if not isinstance(record, Record):
        given, repair = repr(record), "record=Record(spikes=['a'], membrane=['a'])"
        raise ConfigError("What to record is not usable.", given=given, expected="a Record", repair=repair)
    inputs = _inputs(network, events, ticks)
    key = _key(network, seed)
    net = network.arrays(np.float32 if precision == "single" else np.float64)
    if state is not None:
        check(net, state, inputs.shape[0])
    job = Job(network, net, inputs, record, state, key)
    bar = _bar(job.frames, progress)
    if out is None:
        return run(job, InMemory(job), threads, bar)
    with recording_to(Path(out), about(job), job.frames, resume=resume) as recorder:
        going_on = beside(recorder.path).exists()
        return run(job, InFile(job, recorder, resume=going_on), threads, bar)


def _bar(total: int, progress: bool) -> Bar:
    """A progress bar, if one is asked for: only then is it imported."""
    if not progress:
        return nullcontext(lambda done: None)
    from eventsim.bars import progress_bar

    return progress_bar(total)
