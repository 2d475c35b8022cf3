"""The engine against its oracle, and the laws of event-driven simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsim import (
    MTJ,
    Dense,
    Events,
    Network,
    Population,
    Projection,
    Readout,
    Record,
    Source,
    Variation,
    respond,
    simulate,
)
from eventsim.errors import ConfigError, EventsError, NetworkError
from eventsim.parallel import cores
from tests import oracle
from tests.strategies import frames, networks


def as_set(events, sample=0):
    rows = events.sample == sample
    return set(zip(events.tick[rows].tolist(), events.address[rows].tolist(), strict=True))


def as_columns(events):
    return events.sample.tolist(), events.tick.tolist(), events.address.tolist()


@given(st.data(), networks())
def test_engine_is_the_oracle(data, network):
    dense = data.draw(frames(network["in"].size))
    hidden = [p.name for p in network.of_kind(Population)]
    recording = simulate(network, Events.from_frames(dense), record=Record(spikes=hidden))
    for b in range(len(dense)):
        inputs = {"in": {(int(t), int(i)) for t, i in zip(*np.nonzero(dense[b]), strict=True)}}
        spikes, readout, synops, margin = oracle.simulate(network, inputs, dense.shape[1])
        assume(margin > 1e-4)
        for name in hidden:
            assert as_set(recording.events[name], b) == spikes[name]
            assert recording.spikes[name][b] == len(spikes[name])
        assert recording.readout["out"][b] == pytest.approx(readout["out"], rel=1e-4, abs=1e-4)
        assert {name: counts[b] for name, counts in recording.synops.items() if counts[b]} == synops


@given(st.data(), networks(), st.integers(1, 4))
def test_time_shift(data, network, shift):
    """Spikes that come later cause what they caused, later; nothing else fires, for nothing biases the network."""
    populations = [
        Source(p.name, p.size)
        if isinstance(p, Source)
        else type(p)(p.name, p.devices)
        if isinstance(p, Population)
        else Readout(p.name, p.size)
        for p in network.populations
    ]
    network = Network(populations, network.projections)
    assume(all(p.devices.self_firing == 0 for p in network.of_kind(Population)))
    dense = data.draw(frames(network["in"].size))
    late = np.concatenate([np.zeros((len(dense), shift, dense.shape[2])), dense], axis=1)
    now, then = (simulate(network, Events.from_frames(f), record=Record(spikes=["a", "b"])) for f in (dense, late))
    for name in ("a", "b"):
        frames_now, frames_then = (r.events[name].to_frames() for r in (now, then))
        assert not frames_then[:, :shift].any()
        assert np.array_equal(frames_then[:, shift:], frames_now)


@given(st.data(), networks())
def test_permuting_the_inputs_changes_nothing(data, network):
    dense = data.draw(frames(network["in"].size))
    order = np.array(data.draw(st.permutations(range(network["in"].size))))
    permuted = Network(
        network.populations,
        [
            replace(p, synapses=Dense(p.synapses.weight[order], p.synapses.scale)) if p.source == "in" else p
            for p in network.projections
        ],
    )
    record = Record(membrane=["a", "b"])
    one = simulate(network, Events.from_frames(dense), record=record)
    other = simulate(permuted, Events.from_frames(dense[:, :, order]), record=record)
    for name in ("a", "b"):
        assert np.array_equal(one.traces[name].membrane, other.traces[name].membrane)
    assert np.array_equal(one.readout["out"], other.readout["out"])


@given(st.data(), networks())
def test_samples_do_not_see_each_other(data, network):
    dense = data.draw(frames(network["in"].size))
    together = simulate(network, Events.from_frames(dense))
    for b in range(len(dense)):
        alone = simulate(network, Events.from_frames(dense[b : b + 1]))
        assert np.array_equal(alone.readout["out"][0], together.readout["out"][b])


@pytest.mark.skipif(cores() < 2, reason="one core only")
@given(st.data(), networks())
def test_threads_change_nothing(data, network):
    events = Events.from_frames(data.draw(frames(network["in"].size)))
    record = Record(spikes=["a", "b"], counts=["b"], membrane=["a", "b"], energy=True)
    one, two = (simulate(network, events, record=record, threads=threads) for threads in (1, 2))
    for field in ("spikes", "synops", "column_reads", "drive_squared", "readout", "counts"):
        for name, values in getattr(one, field).items():
            assert values.tobytes() == getattr(two, field)[name].tobytes()
    for name in ("a", "b"):
        assert as_columns(one.events[name]) == as_columns(two.events[name])
        assert one.traces[name].membrane.tobytes() == two.traces[name].membrane.tobytes()
        assert one.traces[name].drive.tobytes() == two.traces[name].drive.tobytes()


def pair(delay=0, levels=1, scale=2.0):
    populations = [Source("in", 1), Population("a", MTJ().identical(1)), Readout("out", 1)]
    one = np.ones((1, 1))
    ways = [Projection("in", "a", Dense(levels * one, [scale]), delay), Projection("a", "out", Dense(one, [1.0]))]
    return Network(populations, ways)


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_a_spike_arrives_after_its_delay(delay):
    events = Events([0], [1], [0], (1, 6, 1))
    recording = simulate(pair(delay), events, record=Record(spikes=["a"], energy=True))
    assert as_set(recording.events["a"]) == {(1 + delay, 0)}
    assert recording.readout["out"][0, 0] == np.float32(1 / 6)
    assert recording.synops == {"in -> a": [1], "a -> out": [1]}
    assert recording.column_reads["a"] == [1]
    assert recording.drive_squared["a"] == [4.0]


def test_one_unit_of_drive_does_not_quite_fire_and_a_little_more_does():
    events = Events([0], [0], [0], (1, 1, 1))
    for drive, fires in ((1.0, 0), (1.0337, 0), (1.0339, 1)):
        assert simulate(pair(scale=drive), events).spikes["a"] == [fires]


def test_membrane_between_ticks_is_the_closed_form():
    events = Events([0], [0], [0], (1, 5, 1))
    recording = simulate(pair(scale=0.5), events, record=Record(membrane=["a"]))
    start = float(MTJ().step(0, 0.5))
    wanted = [start, *MTJ().step(start, 0, [1, 2, 3, 4])]
    assert recording.traces["a"].membrane[0, :, 0] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("parameters", [["gain"], ["threshold"], ["reset"], ["gain", "threshold", "reset"]])
def test_what_varies_from_cycle_to_cycle_is_what_respond_draws(parameters):
    variation = Variation(k1=0.05, c2c=dict.fromkeys(parameters, 0.1))
    n, frames = 20, (np.random.default_rng(0).random((2, 60, 1)) < 0.6).astype(float)
    ways = [Projection("in", "a", Dense(np.ones((1, n)), np.linspace(0.3, 1.5, n)))]
    network = Network([Source("in", 1), Population("a", MTJ().identical(n))], ways)
    chip = network.on_chip(variation, seed=1, chip=2)
    record = Record(spikes=["a"], membrane=["a"])
    recording = simulate(chip, Events.from_frames(frames), record=record, precision="double")
    still = simulate(network.on_chip(Variation(k1=0.05), seed=1, chip=2), Events.from_frames(frames))
    assert not np.array_equal(recording.spikes["a"], still.spikes["a"])
    trace, spikes = recording.traces["a"], recording.events["a"].to_frames()
    alone = respond(chip["a"].devices, trace.drive[0])
    assert spikes[0].any()
    assert np.array_equal(spikes[0], alone.spikes)


def test_a_self_firing_device_fires_without_input():
    """Pushed over the unstable point it runs to its threshold by itself."""
    devices = MTJ(threshold=40.0, allow_self_firing=True).identical(1)
    network = Network([Source("in", 1), Population("a", devices)], [Projection("in", "a", Dense([[1]], [0.9]))])
    events = Events([0], [0], [0], (1, 40, 1))
    recording = simulate(network, events, record=Record(spikes=["a"], membrane=["a"]))
    membrane = recording.traces["a"].membrane[0, :, 0]
    assert 27.6 < membrane[0] < 40
    (tick,) = recording.events["a"].tick
    assert tick > 1
    assert MTJ().step(float(membrane[0]), 0, tick) >= 40 > MTJ().step(float(membrane[0]), 0, tick - 1)


def test_no_spikes_from_nothing():
    silent = Events([], [], [], (3, 10, 1))
    recording = simulate(pair(), silent)
    assert not recording.spikes["a"].any()
    assert not recording.synops["in -> a"].any()


def test_several_sources_are_merged():
    populations = [Source("x", 2), Source("y", 3), Readout("out", 1)]
    ways = [Projection("x", "out", Dense([[1], [2]], [1.0])), Projection("y", "out", Dense([[4], [8], [16]], [1.0]))]
    network = Network(populations, ways)
    x = Events([0, 1], [1, 0], [1, 0], (2, 2, 2))
    y = Events([0, 0, 1], [0, 1, 1], [2, 0, 1], (2, 2, 3))
    recording = simulate(network, {"y": y, "x": x})
    assert (recording.readout["out"] * 2).tolist() == [[2 + 16 + 4], [1 + 8]]
    with pytest.raises(EventsError, match="Events with the names \\(none\\)"):
        simulate(network, x)
    with pytest.raises(EventsError, match=r"source 'y' .*wrong shape"):
        simulate(network, {"x": x, "y": Events([], [], [], (1, 2, 3))})


@given(st.floats(-60, -0.01), st.integers(1, 200))
def test_inhibition_never_fires(drive, ticks):
    """However deep: below a tick of u = -2 the sign of the denominator alone would say that it fired."""
    frames = np.ones((1, ticks, 1))
    recording = simulate(pair(levels=-1, scale=-drive), Events.from_frames(frames), record=Record(membrane=["a"]))
    assert not recording.spikes["a"].any()
    assert (recording.traces["a"].membrane < 0).all()


def test_unusable_requests_are_refused():
    events = Events([0], [0], [0], (1, 1, 1))
    with pytest.raises(EventsError, match="ndarray with the names"):
        simulate(pair(), np.zeros((1, 1, 1)))
    with pytest.raises(ConfigError, match=r"a Record(.|\n)*record=Record"):
        simulate(pair(), events, record=["a"])
    for name in ("spikes", "counts", "membrane"):
        with pytest.raises(NetworkError, match="the text 'a'"):
            simulate(pair(), events, record=Record(**{name: "a"}))
        with pytest.raises(NetworkError, match=f"{name} of some of"):
            simulate(pair(), events, record=Record(**{name: ["a", "b"]}))
    with pytest.raises(NetworkError, match="membrane of some of a"):
        simulate(pair(), events, record=Record(membrane=["out"]))
    for neurons in ([1], [-1], [0, 0], [], [0.0], [[0]]):
        with pytest.raises(NetworkError, match="whole numbers from 0 to 0"):
            simulate(pair(), events, record=Record(membrane={"a": neurons}))
    with pytest.raises(ConfigError, match="no such precision"):
        simulate(pair(), events, precision="half")
    with pytest.raises(ConfigError, match="threads"):
        simulate(pair(), events, threads=10_000)
    with pytest.raises(ConfigError, match="threads"):
        simulate(pair(), events, threads=0)
    with pytest.raises(EventsError, match="wrong shape"):
        simulate(pair(), Events([], [], [], (1, 1, 2)))
    with pytest.raises(EventsError, match="ticks=2"):
        simulate(pair(), events, ticks=2)
    alone = Network([Population("a", MTJ().identical(1))], [])
    with pytest.raises(EventsError, match="there is no source"):
        simulate(alone, events)
    for ticks in (None, 0, 2.5, True):
        with pytest.raises(ConfigError, match="number of ticks"):
            simulate(alone, {}, ticks=ticks)
