"""A run from its first frame to its last. Where it stops in between, and on how many threads, changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from eventsim import state as states
from eventsim.crew import Crew
from eventsim.interrupt import Interrupts
from eventsim.job import Job, Standing
from eventsim.output import Output
from eventsim.probes import Part, blank_probes, width
from eventsim.recording import Recording
from eventsim.schedule import Schedule

Bar = AbstractContextManager[Callable[[int], None]]
"""Within ``with``, it is told how many frames are done."""


def run(job: Job, output: Output, threads: int, bar: Bar) -> Recording:
    """Deal frames to workers, hand what they recorded to the output, and stop now and then, where a run can end."""
    final = states.many(job.net, job.samples) if job.record.state else {}
    at = Standing(0, states.blank(job.net), blank_probes(job), final)
    schedule = Schedule(job, width(at.probes), threads, in_order=output.in_order)
    output.begin(at)
    done, waiting = at.frame, list[Part]()
    with bar as show, ThreadPoolExecutor(threads) as pool, Interrupts() as interrupts:
        crew = Crew(job, at, schedule, pool)
        for stretches, together in schedule.turns(at.frame):
            waiting += crew.run(stretches)
            done += sum(last - first for first, last in stretches)
            if together:
                at.frame = done
                for part in sorted(waiting, key=lambda part: part.first):
                    output.keep(part)
                waiting.clear()
                output.stop(at, interrupted=interrupts.noted is not None)
            show(done)
            interrupts.let()
        output.end(at)
    return output.recording(at)
