"""Events: round trips with frames and recordings, parts and wholes, genuine recordings, and what is refused."""

import math
import re
import tarfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat

from eventsim import Events
from eventsim.errors import EventsError
from tests.strategies import frames

ROOT = Path(__file__).parent.parent
NUMBERS = ["i1", "u1", ">i2", "<u4", "i8", "u8", "f2", ">f4", "f8"]


@given(frames(12), st.sampled_from([(12,), (2, 6), (2, 3, 2), (1, 12, 1, 1)]))
def test_round_trip_with_frames(dense, shape):
    events = Events.from_frames(dense)
    assert np.array_equal(events.to_frames(), dense)
    assert len(events) == dense.sum()
    again = Events(events.sample, events.tick, events.address, events.shape)
    assert np.array_equal(again.to_frames(), dense)
    shaped = dense.reshape(*dense.shape[:2], *shape)
    assert same(Events.from_frames(shaped), events)
    assert np.array_equal(events.to_frames(shape), shaped)


def same(one, other):
    columns = ("sample", "tick", "address")
    return one.shape == other.shape and all(np.array_equal(getattr(one, c), getattr(other, c)) for c in columns)


def test_columns_are_the_own_and_stay():
    tick = np.array([0, 2])
    view = tick.view()
    view.setflags(write=False)
    events = Events([0, 0], view, [1, 1], (1, 3, 2))
    tick[1] = 1
    assert events.tick.tolist() == [0, 2]
    with pytest.raises(ValueError, match="read-only"):
        events.tick[0] = 1
    assert Events(events.sample, events.tick, events.address, (1, 4, 2)).tick is events.tick


def good(**changes):
    columns = {"sample": [0, 0, 1], "tick": [0, 2, 1], "address": [4, 0, 2], "shape": (2, 3, 5)}
    return Events(**{**columns, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tick": [2, 0, 1]}, "event 1 does not come after event 0"),
        ({"tick": [0, 0, 1], "address": [4, 4, 2]}, "unsorted or repeated"),
        ({"tick": [0, -1, 1]}, "-1 to 1"),
        ({"tick": [0, 3, 1]}, "out of range"),
        ({"address": [4, 5, 2]}, "0 to 4"),
        ({"sample": [0, 0, 2]}, "out of range"),
        ({"tick": [0.0, 2.0, 1.0]}, "whole number"),
        ({"tick": [0, 2]}, "differ in length"),
        ({"tick": [[0, 2, 1]]}, "not usable"),
        ({"shape": (2, 3, 0)}, "at least 1"),
        ({"shape": (2, 3)}, "samples, ticks, addresses"),
        ({"shape": (2, 2**32, 2**30)}, "below 2\\*\\*63"),
        ({"shape": (2, 10**400, 5)}, "too large"),
    ],
)
def test_unusable_events_are_refused(changes, message):
    good()
    with pytest.raises(EventsError, match=message):
        good(**changes)


def test_the_largest_shape_counts_without_overflow():
    shape = (1, 2**31 - 1, 2**32)
    assert Events([0, 0], [0, shape[1] - 1], [5, shape[2] - 1], shape).address[1] == 2**32 - 1
    with pytest.raises(EventsError, match="event 1 does not"):
        Events([0, 0], [shape[1] - 1, 0], [shape[2] - 1, 5], shape)


@pytest.mark.parametrize("dense", [np.full((1, 2, 2), 0.5), np.zeros((2, 2)), np.full((1, 1, 1), np.nan)])
def test_frames_that_are_no_spikes_are_refused(dense):
    with pytest.raises(EventsError, match="0 or 1"):
        Events.from_frames(dense)


@pytest.mark.parametrize("shape", [(4,), (5, 0), (-5,), (-1, -5), (2.5, 2), (), 4])
def test_frames_of_another_shape_are_refused(shape):
    with pytest.raises(EventsError, match="product is 5"):
        good().to_frames(shape)


SENSOR = (5, 3, 2)


@st.composite
def rows(draw, times=120):
    """Events of one recording: times in ascending order, x, y and p, as a plain array."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 40))
    return np.column_stack([np.sort(rng.integers(0, times, n)), rng.integers(0, SENSOR, (n, 3))])


def structured(table, names="txyp", dtypes=("i8",) * 4):
    recording = np.zeros(len(table), [(name, dtypes["txyp".index(name)]) for name in names])
    for name in names:
        recording[name] = table[:, "txyp".index(name)]
    return recording


def dense(tables, ticks, tick, pool=1):
    """Slow, obvious frames, shape (samples, ticks, polarities, rows, columns)."""
    width, height, polarities = SENSOR
    out = np.zeros((len(tables), ticks, polarities, math.ceil(height / pool), math.ceil(width / pool)), np.uint8)
    for sample, table in enumerate(tables):
        for t, x, y, p in table.tolist():
            out[sample, t // tick, p, y // pool, x // pool] = 1
    return out


@given(st.lists(rows(), min_size=1, max_size=3), st.integers(1, 50), st.integers(1, 6))
def test_recordings_are_the_frames_they_look_like(tables, tick, pool):
    events = Events.from_structured(map(structured, tables), sensor=np.array(SENSOR), tick=tick, pool=np.uint64(pool))
    wanted = dense(tables, 1 + max(table[-1, 0] for table in tables) // tick, tick, pool)
    assert events.shape == (*wanted.shape[:2], wanted[0, 0].size)
    assert np.array_equal(events.to_frames(wanted.shape[2:]), wanted)
    pairs = [len(np.unique(np.column_stack([t[:, 0] // tick, t[:, 1:3] // pool, t[:, 3]]), axis=0)) for t in tables]
    assert len(events) == sum(pairs)


@given(rows(), st.permutations("txyp"), st.tuples(*[st.sampled_from(NUMBERS)] * 4), st.booleans(), st.integers(1, 9))
def test_order_and_types_of_fields_make_no_difference(table, names, dtypes, signed, tick):
    recording = structured(table, names, dtypes)
    if signed and recording["p"].dtype.kind != "u":
        recording["p"] = 2 * table[:, 3] - 1
    one = Events.from_structured(recording, sensor=SENSOR, tick=tick)
    assert same(one, Events.from_structured([structured(table)], sensor=SENSOR, tick=float(tick)))
    truth = structured(table % [200, 2, 2, 2], names, ("i8", "?", "?", "?"))
    assert same(
        Events.from_structured(truth.view(np.recarray), sensor=SENSOR, tick=tick),
        Events.from_structured(structured(table % [200, 2, 2, 2]), sensor=SENSOR, tick=tick),
    )


@given(st.lists(rows(), min_size=1, max_size=3), st.integers(1, 50), st.integers(1, 10**6))
def test_round_trip_with_recordings(tables, tick, length):
    events = Events.from_structured([structured(table) for table in tables], sensor=SENSOR, tick=tick)
    recordings = events.to_structured(sensor=SENSOR, tick=length)
    assert [recording.dtype.names for recording in recordings] == [("t", "x", "y", "p")] * len(tables)
    assert sum(map(len, recordings)) == len(events)
    assert same(Events.from_structured(recordings, sensor=SENSOR, tick=length), events)


@given(rows(), st.integers(1, 50), st.integers(0, 9), st.sampled_from(["i8", "f8"]))
def test_whole_ticks_later_is_ticks_later(table, tick, ticks, dtype):
    late = table + np.array([ticks * tick, 0, 0, 0])
    one, other = (
        Events.from_structured(structured(t, dtypes=(dtype,) * 4), sensor=SENSOR, tick=tick) for t in (table, late)
    )
    assert same(other.in_ticks(ticks, other.shape[1]), one)
    first = [
        Events.from_structured(structured(t, dtypes=(dtype,) * 4), sensor=SENSOR, tick=tick, start="first")
        for t in (table, late, table - [300, 0, 0, 0])
    ]
    assert same(first[0], first[1])
    assert same(first[0], first[2])
    assert first[0].tick[0] == 0


def test_channels_and_one_polarity():
    sound = np.array([(0, 699), (1500, 0)], [("t", "i8"), ("x", "u2")])
    events = Events.from_structured(sound, sensor=(700, 1, 1), tick=1000)
    assert (events.tick.tolist(), events.address.tolist(), events.shape) == ([0, 1], [699, 0], (1, 2, 700))
    back = events.to_structured(sensor=(700, 1, 1), tick=1000)[0]
    assert back.tolist() == [(0, 699, 0, True), (1000, 0, 0, True)]
    both = structured(np.array([[0, 1, 2, 0], [0, 1, 2, 1]]))
    assert len(Events.from_structured(both, sensor=(5, 3, 1), tick=1)) == 1
    assert len(Events.from_structured(both, sensor=(5, 3, 2), tick=1)) == 2


def test_seconds_and_limits_of_time():
    table = structured(np.zeros((3, 4), int), dtypes=("f4", "i8", "i8", "i8"))
    table["t"] = [0, 0.25, 0.5]
    assert Events.from_structured(table, sensor=SENSOR, tick=0.25).tick.tolist() == [0, 1, 2]
    epoch = structured(np.array([[1_700_000_000_000_000, 0, 0, 0]]))
    assert Events.from_structured(epoch, sensor=SENSOR, tick=1000, start="first").shape[1] == 1
    with pytest.raises(EventsError, match="start='first'"):
        Events.from_structured(epoch, sensor=SENSOR, tick=1)


@given(st.lists(rows(), min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 130))
def test_what_is_beyond_is_refused_or_dropped(tables, tick, ticks):
    recordings = [structured(table) for table in tables]
    cut = Events.from_structured(recordings, sensor=SENSOR, tick=tick, ticks=ticks, beyond="drop")
    assert cut.shape[1] == ticks
    assert np.array_equal(cut.to_frames((2, 3, 5)), dense(tables, 200, tick)[:, :ticks])
    if max(table[-1, 0] for table in tables) // tick >= ticks:
        with pytest.raises(EventsError, match="beyond='drop'"):
            Events.from_structured(recordings, sensor=SENSOR, tick=tick, ticks=ticks)
    else:
        assert same(Events.from_structured(recordings, sensor=SENSOR, tick=tick, ticks=ticks), cut)


@given(frames(4), st.data())
def test_parts_are_slices_and_join_to_the_whole(dense, data):
    events = Events.from_frames(dense)
    for axis, along, part in ((0, "samples", events.in_samples), (1, "ticks", events.in_ticks)):
        cuts = data.draw(st.sets(st.integers(1, dense.shape[axis])))
        cuts = [0, *sorted(cuts | {dense.shape[axis]})]
        parts = [part(first, np.uint64(last)) for first, last in pairwise(cuts)]
        for piece, wanted in zip(parts, np.split(dense, cuts[1:-1], axis), strict=True):
            assert np.array_equal(piece.to_frames(), wanted)
        assert same(Events.concatenate(iter(parts), along=along), events)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (-1, 2), (0, 4), (2, 1), (0.0, 1), (False, True), (None, 1)])
def test_parts_that_are_not_there_are_refused(first, last):
    for part in (good().in_samples, good().in_ticks):
        with pytest.raises(EventsError, match="0 <= first < last"):
            part(first, last)


@pytest.mark.parametrize(
    ("parts", "along"),
    [
        ([], "samples"),
        ([good(), np.zeros(3)], "samples"),
        ([good(), good(shape=(2, 4, 5))], "samples"),
        ([good(), good(shape=(3, 3, 5))], "ticks"),
        ([good(), good(shape=(2, 3, 6))], "ticks"),
        ([good()], "addresses"),
        ([good()], ["ticks"]),
        (7, "ticks"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, along):
    with pytest.raises(EventsError, match="cannot be joined"):
        Events.concatenate(parts, along=along)


TABLE = np.array([[0, 0, 0, 0], [10, 4, 2, 1], [10, 1, 1, 0]])


def changed(name, values, dtype="f8"):
    recording = structured(TABLE, dtypes=tuple(dtype if n == name else "i8" for n in "txyp"))
    recording[name] = values
    return recording


@pytest.mark.parametrize(
    ("recordings", "message"),
    [
        (changed("t", [0, 10, 9]), r"t = 9\.0 of event 2 after t = 10\.0"),
        (changed("t", [-1, 0, 9]), "start='first'"),
        (changed("t", [0, np.nan, 9]), "nan or infinite"),
        (changed("t", [0, 1, np.inf]), "nan or infinite"),
        (changed("t", [0, 1, 2**63], "u8"), "times from 0 to 9223372036854775808"),
        (changed("t", [0, 1, 2], "m8[us]"), r"timedelta64\[us\]"),
        (changed("x", [0, 5, 0]), "0 to 4"),
        (changed("x", [0, -1, 0], "i2"), "-1 to 0"),
        (changed("x", [0, 0.5, 0]), "not whole"),
        (changed("x", [0, np.nan, 0]), "'x' of recording 0 is not usable"),
        (changed("y", [0, 3, 0]), "leaves the sensor"),
        (changed("p", [0, 1, 2]), r"the values \[0\.0, 1\.0, 2\.0\]"),
        (changed("p", [0, 1, -1], "i1"), "polarities of recording 0 are unknown"),
        (changed("p", [0, 1, 0.5]), "unknown"),
        (changed("p", ["on", "off", "on"], "U3"), "finite number"),
        (structured(TABLE, "xyp"), "no field 't'"),
        (structured(TABLE, "typ"), "no field 'x'"),
        (structured(TABLE, "txp"), r"no field 'y'[\s\S]*sensor=\(width, 1, 1\)"),
        (structured(TABLE, "txy"), r"no field 'p'[\s\S]*sensor=\(width, height, 1\)"),
        (structured(TABLE[:0]), "Recording 0 is empty"),
        ([structured(TABLE), structured(TABLE[:0])], "Recording 1 is empty"),
        ((structured(TABLE), 7), r"Recording 1 [\s\S]*given: +int\n[\s\S]*label"),
        ([], "no recording"),
        (TABLE, "2-d array of int64"),
        (structured(TABLE)[None], "2-d array of"),
        (structured(TABLE)[0], "given: +void"),
        (np.ma.masked_array(structured(TABLE)), "masked 1-d"),
        ({"t": [0], "x": [0]}, "given: +dict"),
        ("recording.bin", "given: +str"),
        (None, "NoneType"),
        (np.zeros(2, [("t", "i8"), ("x", "i8", 2), ("y", "i8"), ("p", "?")]), "entries per event"),
    ],
)
def test_unusable_recordings_are_refused(recordings, message):
    with pytest.raises(EventsError, match=message) as refusal:
        Events.from_structured(recordings, sensor=SENSOR, tick=5)
    assert refusal.value.repair


@pytest.mark.parametrize(
    "options",
    [
        *({"sensor": sensor} for sensor in [(5, 3), (2, 3, 5), (5, 0, 2), (5, 3, 2.0), 5, "532", (True, 3, 2)]),
        *({"tick": tick} for tick in [0, -1, math.nan, math.inf, 1e-9, "1000", True, None]),
        *({"ticks": ticks} for ticks in [0, 2.5, True, "3", 2**31]),
        *({"pool": pool} for pool in [0, -2, 0.5, None]),
        *({"start": start} for start in ["last", None, 0]),
        *({"beyond": beyond} for beyond in ["cut", True]),
    ],
)
def test_unusable_options_are_refused(options):
    with pytest.raises(EventsError, match="not usable"):
        Events.from_structured(structured(TABLE), **{"sensor": SENSOR, "tick": 5, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sensor": (5, 1, 2)}, "10 addresses"),
        ({"tick": 0.5}, "whole number"),
        ({"tick": 0}, "from 1"),
        ({"tick": 2**62}, "from 1"),
        ({"tick": True}, "True"),
    ],
)
def test_unusable_options_of_writing_are_refused(options, message):
    with pytest.raises(EventsError, match=message):
        good().to_structured(**{"sensor": (5, 1, 1), "tick": 1, **options})


def nmnist(content):
    """Structured array of an N-MNIST file, and its columns."""
    e = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int32)
    t = (e[:, 2] & 127) << 16 | e[:, 3] << 8 | e[:, 4]
    return np.rec.fromarrays([e[:, 0], e[:, 1], t, e[:, 2] >> 7], names="x,y,t,p")


@pytest.mark.data
def test_genuine_digits(data_folder):
    with tarfile.open(data_folder / "neuromorphic" / "nmnist_subset.tar.xz") as tar:
        recordings = [nmnist(tar.extractfile(member).read()) for member in tar if member.name.endswith(".bin")]
    assert (len(recordings), sum(map(len, recordings))) == (1100, 4_518_827)
    events = Events.from_structured(recordings, sensor=(34, 34, 2), tick=1000)
    assert events.shape == (1100, 1 + max(r.t[-1] for r in recordings) // 1000, 2 * 34 * 34)
    for i in (0, 500, 1099):
        wanted = np.zeros((events.shape[1], 2, 34, 34), np.uint8)
        wanted[recordings[i].t // 1000, recordings[i].p, recordings[i].y, recordings[i].x] = 1
        assert np.array_equal(events.in_samples(i, i + 1).to_frames((2, 34, 34))[0, :], wanted)
    exact = Events.from_structured(recordings[:50], sensor=(34, 34, 2), tick=1)
    assert len(exact) == sum(len(np.unique(recording)) for recording in recordings[:50])
    again = Events.from_structured(events.to_structured(sensor=(34, 34, 2), tick=1000), sensor=(34, 34, 2), tick=1000)
    assert same(
        Events.concatenate([again.in_ticks(0, 100), again.in_ticks(100, again.shape[1])], along="ticks"), events
    )


@pytest.mark.data
@pytest.mark.parametrize("name", ["tonic_sample_ncars.dat", "NCARS_obj_004397_td.dat"])
def test_genuine_cars(data_folder, name):
    content = (data_folder / "neuromorphic" / "samples" / name).read_bytes()
    header = re.match(rb"(%[^\n]*\n)*\x00\x08", content).end()
    t, word = np.frombuffer(content, "<u4", offset=header).reshape(-1, 2).T
    x, y, p = word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28
    recording = np.rec.fromarrays([t, x.astype("u2"), y.astype("f4"), p == 1], names="t,x,y,p")
    events = Events.from_structured(recording, sensor=(120, 100, 2), tick=1000, ticks=100)
    wanted = np.zeros((100, 2, 100, 120), np.uint8)
    wanted[t // 1000, p, y, x] = 1
    assert np.array_equal(events.to_frames((2, 100, 120))[0], wanted)
    with pytest.raises(EventsError, match="leaves the sensor"):
        Events.from_structured(recording, sensor=(34, 34, 2), tick=1000)


@pytest.mark.data
def test_genuine_touch(data_folder):
    train = loadmat(data_folder / "neuromorphic" / "samples" / "tonic_sample_stmnist.mat")["spiketrain"]
    taxel, event = np.nonzero(train[:100])
    order = np.argsort(event)
    taxel, event = taxel[order], event[order]
    sign = train[taxel, event]
    touch = np.rec.fromarrays([sign, taxel % 10, taxel // 10, train[100, event]], names="p,x,y,t")
    events = Events.from_structured(touch, sensor=(10, 10, 2), tick=0.001)
    assert len(events) == len({(int(t // 0.001), n, s) for t, n, s in zip(touch.t, taxel, sign, strict=True)})
    assert set(np.unique(events.address)) == {100 * (s > 0) + n for n, s in zip(taxel, sign, strict=True)}
    assert events.tick[0] == 196
