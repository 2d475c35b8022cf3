"""What a run records, written to a file as it goes, so that a run that was killed is gone on with."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from eventsim.columns import (
    EVENTS,
    SHA,
    Columns,
    alone,
    beside,
    check_room,
    check_target,
    key,
    name_of,
    reading,
    writing,
)
from eventsim.errors import CheckpointError, DataError
from eventsim.events import Events
from eventsim.recording import Recording, Trace
from eventsim.state import NetworkState
from eventsim.stream import RECORDING

_OFTEN = 0.5
"""Seconds between two checkpoints, unless they take more than a twentieth of the time."""

_MOST = 2**23
"""Bytes that wait for the next checkpoint at most."""

_SLACK = 128
_HEAD = 48

_TOTALS = ("spikes", "synops", "readout", "counts", "column_reads", "drive_squared", "state")

Arrays = dict[str, NDArray[Any]]


def _sealed(number: int, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """A checkpoint as bytes: SHA-256, number and length, and the arrays as an .npz file."""
    buffer = io.BytesIO(bytes(_HEAD))
    buffer.seek(_HEAD)
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    out = np.frombuffer(buffer.getbuffer(), np.uint8)
    out[SHA:_HEAD] = np.array([number, out.size - _HEAD], "<i8").view(np.uint8)
    out[:SHA] = np.frombuffer(hashlib.sha256(out[SHA:].data).digest(), np.uint8)
    return out


def _opened(slot: Any) -> tuple[int, NDArray[np.uint8]]:
    """Number and content of a checkpoint; number 0 where it is not whole."""
    head = slot[:_HEAD]
    number, length = (int(n) for n in head[SHA:].view("<i8"))
    if not (0 < length <= len(slot) - _HEAD):
        return 0, head
    whole = slot[: _HEAD + length]
    return (number if hashlib.sha256(whole[SHA:].data).digest() == whole[:SHA].tobytes() else 0), whole[_HEAD:]


def _newest(file: Any) -> tuple[int, Arrays]:
    """Number and arrays of the checkpoint that was written last."""
    number, content = max((_opened(slot) for slot in file["checkpoint"].values()), key=lambda found: found[0])
    if not number:
        raise ValueError("no whole checkpoint")
    with np.load(io.BytesIO(content.tobytes()), allow_pickle=False) as arrays:
        return number, dict(arrays)


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _groups(file: Any) -> dict[str, Any]:
    """The groups of columns: events of populations, and traces."""
    return {f"{kind}/{quoted}": group for kind in ("events", "traces") for quoted, group in file[kind].items()}


class Recorder:
    """The file of a run. It grows beside its place, stays readable, and is moved to its place when it is whole.

    Whole chunks are written once. What is not yet a chunk, the engine's state and all lengths go to one of two
    checkpoints in turn: whenever the process ends, the other one still holds.

    Parameters
    ----------
    path : Path
    about : mapping of str to text
        What the run is; one that goes on must be the same.
    frames : int
        Of the whole run.
    """

    def __init__(self, path: Path, about: Mapping[str, str], frames: int) -> None:
        self.path, self.about, self.frames = path, about, frames
        self.number, self.sample, self.often = 0, 0, _OFTEN
        self.last = time.perf_counter()
        self.file: Any = None
        self.columns: dict[str, Columns] = {}

    def create(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        traces: Mapping[str, tuple[NDArray[np.int64], np.dtype[Any]]],
        totals: Arrays,
        largest: Arrays,
    ) -> None:
        """Lay out the file.

        Parameters
        ----------
        shapes : mapping of str to tuple of int
            Samples, ticks and addresses of each population whose events are recorded.
        traces : mapping of str to array and dtype
            Neurons of each population whose membrane is recorded.
        totals : mapping of str to array
            Totals of each sample.
        largest : mapping of str to array
            What a checkpoint holds of the run.
        """
        new = beside(beside(self.path))
        with writing(self.path, "nothing was recorded"):
            check_room(new, sum(array.nbytes for array in totals.values()))
            with h5py.File(new, "w", libver="latest") as file:
                file.attrs["format"], file.attrs["about"] = RECORDING, json.dumps(dict(self.about), indent=1)
                file["frames"] = np.array([0, self.frames], np.int64)
                for kind in ("events", "traces", "checkpoint", *(f"totals/{kind}" for kind in _TOTALS)):
                    file.create_group(kind)
                for name, shape in shapes.items():
                    group = file.create_group(f"events/{key(name)}")
                    group.attrs["shape"] = np.array(shape, np.int64)
                    Columns.create(group, {column: (dtype, 0) for column, dtype in EVENTS.items()})
                for name, (neurons, dtype) in traces.items():
                    group = file.create_group(f"traces/{key(name)}")
                    group.attrs["neurons"] = neurons
                    Columns.create(group, dict.fromkeys(("membrane", "drive"), (dtype, neurons.size)))
                for name, array in totals.items():
                    file[f"totals/{name}"] = np.zeros_like(array)
                self.columns = {name: Columns(group) for name, group in _groups(file).items()}
                first = _sealed(1, self._content(0, largest))
                sets = [dataset for columns in self.columns.values() for dataset in columns.sets.values()]
                room = first.size + sum(math.prod(d.chunks) * d.dtype.itemsize + _SLACK for d in sets) + _SLACK
                check_room(new, 2 * room)
                for slot in "01":
                    file[f"checkpoint/{slot}"] = np.zeros(room, np.uint8)
                file["checkpoint/1"][: first.size] = first
            new.replace(beside(self.path))
            self.number = 1
            self._reopen({})

    def _reopen(self, standing: Mapping[str, tuple[int, Arrays, bytes]]) -> None:
        """Write on, in the mode in which others can read the file at any time."""
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
        access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
        flags = h5py.h5f.ACC_RDWR | h5py.h5f.ACC_SWMR_WRITE
        self.file = h5py.File(h5py.h5f.open(str(beside(self.path)).encode(), flags, access))
        self.columns = {name: Columns(group, *standing.get(name, ())) for name, group in _groups(self.file).items()}

    def resume(self) -> tuple[int, Arrays, Arrays]:
        """Go on with a file: the frame that was reached, what its checkpoint holds of the run, and totals.

        Raises
        ------
        CheckpointError
            The file is that of another run, or damaged.
        OutputError
            There is no room.
        """
        part = beside(self.path)
        with reading(part, "recording", CheckpointError) as old:
            found = json.loads(old.attrs["about"])
            differ = [name for name in {**self.about, **found} if found.get(name) != self.about.get(name)]
            if old.attrs["format"] != RECORDING or differ:
                raise CheckpointError(
                    "The recording is that of another run.",
                    given=f"{part}, in which {', '.join(differ) or 'the format'} differs",
                    expected="the same network, events, record, seed and precision, and the same version",
                    repair=f"the arguments of that run, or delete {part.name}",
                )
            self.number, arrays = _newest(old)
            lengths = _part(arrays, "length/")
            new = beside(beside(self.path))
            with writing(self.path, f"{part} is as it was"):
                check_room(new, part.stat().st_size)
            with writing(self.path, f"{part} is as it was"), h5py.File(new, "w", libver="latest") as file:
                file.attrs.update(old.attrs)
                for name in old:
                    if name in ("events", "traces"):
                        file.create_group(name)
                    else:
                        old.copy(name, file)
                for name, group in _groups(old).items():
                    copy = file.create_group(name)
                    copy.attrs.update(group.attrs)
                    _copy_columns(group, copy, int(lengths[name]))
                standing = {
                    name: (int(lengths[name]), _part(arrays, f"rest/{name}/"), arrays[f"sha/{name}"].tobytes())
                    for name in _groups(file)
                }
                totals = {f"{kind}/{name}": item[...] for kind, g in file["totals"].items() for name, item in g.items()}
        with writing(self.path, f"{part} is as it was"):
            new.replace(part)
            self._reopen(standing)
        self.sample = int(arrays["sample"])
        return int(arrays["frame"]), _part(arrays, "run/"), totals

    def _content(self, frame: int, run: Arrays) -> Arrays:
        out = {f"run/{name}": array for name, array in run.items()}
        out |= {"frame": np.array(frame), "sample": np.array(self.sample)}
        for name, columns in self.columns.items():
            out[f"length/{name}"] = np.array(columns.length)
            out[f"sha/{name}"] = np.frombuffer(columns.sha, np.uint8)
            out |= {f"rest/{name}/{column}": array for column, array in columns.rest.items()}
        return out

    def append(self, name: str, **columns: NDArray[Any]) -> None:
        """Take events or rows of traces; ``name`` is that of the group in the file."""
        self.columns[name].append(columns)
        if self.columns[name].bytes > _MOST:
            with writing(self.path, self._kept()):
                self.columns[name].write()

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.perf_counter() - self.last > self.often

    def commit(self, frame: int, sample: int, run: Arrays, totals: Arrays, *, last: bool = False) -> None:
        """Write all that there is.

        Parameters
        ----------
        frame : int
            Frames that were run.
        sample : int
            Samples that are finished.
        run : mapping of str to array
            What the run needs to go on.
        totals : mapping of str to array
            Totals of the samples that were finished since the last call.
        last : bool
            The run is at its end.
        """
        begin = time.perf_counter()
        with writing(self.path, self._kept()):
            check_room(self.path, 0)
            for columns in self.columns.values():
                columns.write(all_of_it=last)
            for name, array in totals.items():
                if array.size:
                    self.file[f"totals/{name}"][self.sample : sample] = array
            self.file.flush()
            self.sample, self.number = sample, self.number + 1
            sealed = _sealed(self.number, self._content(frame, run))
            self.file["checkpoint"][str(self.number % 2)][: sealed.size] = sealed
            self.file["frames"][0] = frame
            self.file.flush()
        self.last = time.perf_counter()
        self.often = max(_OFTEN, 20 * (self.last - begin))

    def _kept(self) -> str:
        return f"what was recorded is in {beside(self.path)}, and simulate(..., out=..., resume=True) goes on from it"

    def finish(self) -> None:
        """Put the file in its place."""
        with writing(self.path, self._kept()):
            self.columns = {}
            self.file.close()
            beside(self.path).replace(self.path)

    def close(self) -> None:
        """Leave the file as it is."""
        self.columns = {}
        if self.file is not None:
            with suppress(OSError, RuntimeError, ValueError):
                self.file.close()


def _copy_columns(old: Any, new: Any, length: int) -> None:
    """Copy whole chunks as they are."""
    kinds = {
        name: (item.dtype, item.shape[1] if item.ndim > 1 else 0) for name, item in old.items() if name != "sha256"
    }
    for name, dataset in Columns.create(new, kinds).sets.items():
        dataset.resize(length, axis=0)
        for row in range(0, length, dataset.chunks[0]):
            at = (row,) + (0,) * (dataset.ndim - 1)
            mask, content = old[name].id.read_direct_chunk(at)
            dataset.id.write_direct_chunk(at, content, mask)


@contextmanager
def recording_to(path: Path, about: Mapping[str, str], frames: int, *, resume: bool) -> Iterator[Recorder]:
    """The recorder of a run, to be created or resumed; it is finished if all went well, and its file left otherwise.

    Raises
    ------
    OutputError
        Something stands there already, another run writes to it, or there is no such folder.
    """
    with alone(path):
        if not resume:
            check_target(beside(path))
        recorder = Recorder(path, about, frames)
        try:
            yield recorder
            recorder.finish()
        finally:
            recorder.close()


def read_recording(path: str | Path) -> Recording:
    """A recording that was written to a file, all of it in memory.

    Also that of a run that is not finished, ``path + ".part"``: it holds what was flushed, ``frames`` says how much
    that is, counts of samples that were not reached are 0 and the rest of their traces NaN.

    Parameters
    ----------
    path : path
        What was given as ``out`` to :func:`eventsim.simulate`.

    Returns
    -------
    Recording

    Raises
    ------
    DataError
        There is no such file, or it is no whole recording.
    """
    path = Path(path)
    with reading(path, "recording", DataError) as file:
        if file.attrs.get("format") != RECORDING:
            raise ValueError(f"format {file.attrs.get('format')!r}, not {RECORDING!r}")
        arrays, about = _newest(file)[1], json.loads(file.attrs["about"])
        samples, ticks, origin = json.loads(about["shape"])
        frame, sample = int(arrays["frame"]), int(arrays["sample"])
        totals: dict[str, Any] = {kind: {} for kind in _TOTALS}
        for kind, group in file["totals"].items():
            for quoted, item in group.items():
                table = item[...]
                table[sample:] = 0
                if f"run/now/{kind}/{quoted}" in arrays:
                    table[sample] = arrays[f"run/now/{kind}/{quoted}"][0]
                totals[kind][name_of(quoted)] = table
        state = totals.pop("state")
        columns: dict[str, Arrays] = {}
        for name, group in _groups(file).items():
            rest, length = _part(arrays, f"rest/{name}/"), int(arrays[f"length/{name}"])
            columns[name] = {c: np.concatenate([group[c][:length], array]) for c, array in rest.items()}
        events, traces = {}, {}
        for quoted, group in file["events"].items():
            shape = tuple(int(n) for n in group.attrs["shape"])
            part = columns[f"events/{quoted}"]
            events[name_of(quoted)] = Events(part["sample"], part["tick"], part["address"], shape)  # type: ignore[arg-type]
        for quoted, group in file["traces"].items():
            part = columns[f"traces/{quoted}"]
            shape = (samples * ticks, len(group.attrs["neurons"]))
            for c, rows in part.items():
                part[c] = np.full(shape, np.nan, rows.dtype)
                part[c][: len(rows)] = rows
            cube = {c: rows.reshape(samples, ticks, -1) for c, rows in part.items()}
            traces[name_of(quoted)] = Trace(group.attrs["neurons"], cube["membrane"], cube["drive"])
    whole = frame == samples * ticks
    return Recording(
        ticks=ticks,
        events=events,
        traces=traces,
        state=NetworkState(origin + ticks, state) if state and whole else None,
        file=path,
        frames=None if whole else frame,
        **totals,
    )
