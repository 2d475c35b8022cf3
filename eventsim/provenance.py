"""What decides the result of a run, as texts that a recording keeps and that a run which goes on must repeat."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eventsim import stream
from eventsim.job import Job
from eventsim.kernels import frozen
from eventsim.kernels.sparse import PADDING
from eventsim.network import Network
from eventsim.store import fingerprint

_ADDRESSES = ("address", "rows", "ones")
_PADDED = (frozen.LEVELS, frozen.REALS)


def _fields(name: str, records: NDArray[np.void]) -> dict[str, NDArray[Any]]:
    """Columns of records; where something stands in memory is left out."""
    return {f"{name}.{n}": records[n] for n in records.dtype.names or () if n not in _ADDRESSES}


def _synapses(network: Network, net: frozen.Frozen) -> str:
    arrays: dict[str, NDArray[Any]] = {"table": net.table, "scale": net.scale, **_fields("way", net.ways)}
    known: dict[int, str] = {}
    for k, (_, _, way) in enumerate(network.plan.ways):
        for name in ("data", "rows", "ones"):
            array = getattr(way, name)
            if id(array) in known:  # several ways share their tables
                arrays[f"{k}.{name} is {known[id(array)]}"] = np.empty(0)
                continue
            known[id(array)] = f"{k}.{name}"
            padded = name == "data" and way.form in _PADDED
            arrays[f"{k}.{name}"] = array[: array.size - PADDING] if padded else array
    return fingerprint(**arrays)


def about(job: Job) -> dict[str, str]:
    """Version, settings, and SHA-256 of what is too long to be written down."""
    network, net, inputs, record, state = job.network, job.net, job.inputs, job.record, job.state
    named = ("bias", "rest", "restless", "cycle", "cycle_of", "cycle_stream", "spread")
    devices = {name: getattr(net, name) for name in named}
    devices |= {f"device.{name}": array for name, array in net.devices._asdict().items()}
    structure = _fields("population", net.populations) | _fields("block", net.blocks)
    structure |= {"order": net.order, "stage": net.stage}
    watched = {name: neurons.tolist() for name, neurons in job.watched.items()}
    recorded = [sorted(set(record.spikes)), sorted(set(record.counts)), watched, record.energy, record.state]
    names = [[p.name for p in network.populations], [p.name for p in network.incoming]]
    return {
        "version": sys.modules["eventsim"].__version__,
        "shape": json.dumps([*inputs.shape, job.origin]),
        "names": json.dumps(names),
        "structure": fingerprint(**structure),
        "devices": fingerprint(**devices),
        "synapses": _synapses(network, net),
        "events": json.dumps({name: stream.fingerprint(part) for name, part in sorted(inputs.parts.items())}),
        "record": json.dumps(recorded),
        "seed": str(int(job.seed)),
        "precision": str(net.rest.dtype),
        "state": "" if state is None else fingerprint(**dict(state.arrays)),
    }
