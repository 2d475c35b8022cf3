"""Laws of a run: strategies of update, threads, states, time, names of neurons."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from eventsim import (
    IF,
    LIF,
    MTJ,
    Bernoulli,
    Dense,
    DomainWall,
    Events,
    FixedFanIn,
    FixedFanOut,
    Generator,
    Levels,
    Network,
    NetworkState,
    OneToOne,
    Oscillator,
    Pairs,
    Population,
    Projection,
    Readout,
    Record,
    Source,
    SwitchingMTJ,
    TaperedDomainWall,
    Variation,
    respond,
    simulate,
)
from eventsim.errors import ConfigError, NetworkError
from eventsim.parallel import cores
from tests.network_oracle import SELF_FIRING, networks, neurons, spikes
from tests.test_connections import bursts, large, run

two_cores = pytest.mark.skipif(cores() < 2, reason="one core only")


def assert_identical(one, other):
    """Two recordings are the same to the last bit."""
    for what in ("spikes", "synops", "readout", "counts", "column_reads", "drive_squared"):
        a, b = getattr(one, what), getattr(other, what)
        assert {n: (v.dtype, v.tobytes()) for n, v in a.items()} == {n: (v.dtype, v.tobytes()) for n, v in b.items()}
    for name, events in one.events.items():
        assert_same_events(events, other.events[name])
    for name, trace in one.traces.items():
        assert trace.membrane.tobytes() == other.traces[name].membrane.tobytes()
        assert trace.drive.tobytes() == other.traces[name].drive.tobytes()


def assert_same_events(one, other):
    """Events are the same."""
    assert one.shape == other.shape
    for column in ("sample", "tick", "address"):
        assert np.array_equal(getattr(one, column), getattr(other, column))


def by_update(network, update):
    """The same network with another update of its neurons."""
    neuron = [replace(p, update=update) if isinstance(p, Population) else p for p in network.populations]
    return Network(neuron, network.projections)


@st.composite
def waiting(draw, quiet=False):
    """Networks of a few hundred neurons that are mostly left alone, and their input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, m = (draw(st.integers(70, 140)) for _ in range(2))
    levels = Levels(rng.normal(0.3, 0.6, 15))
    populations, projections = [Source("in", 40), Source("g", 5) if quiet else Generator("g", 5, 0.02)], []
    for name, size in (("a", n), ("b", m)):
        neuron = draw(neurons(lazy=True))
        devices = neuron.draw(size, Variation(gain=0.1, threshold=0.05), seed=1, name=name)
        bias = None if quiet or draw(st.booleans()) else rng.normal(0, 0.1, size)
        populations.append(Population(name, devices, bias, "lazy"))
    size = int(rng.integers(1, 200))
    pairs = Pairs(rng.integers(0, m, size), rng.integers(0, n, size), rng.normal(0.2, 0.6, size))
    projections = [
        Projection("in", "a", FixedFanOut(4, levels, 1), (0, 3)),
        Projection("g", "a", FixedFanOut(2, 0.8, 2), 0),
        Projection("a", "b", FixedFanIn(2, levels, 3), 0),
        Projection("b", "a", pairs, rng.integers(1, 7, size)),
        Projection("b", "b", Bernoulli(0.01, levels, 4), (1, 4)),
        *([Projection("a", "b", OneToOne(0.9), 2, "one")] if n == m else []),
    ]
    ticks = draw(st.integers(20, 60))
    frames = rng.random((2 if quiet else 1, ticks, 40)) < np.where(np.arange(ticks) % 20 < 4, 0.05, 0.002)[:, None]
    events = {"in": Events.from_frames(frames)}
    if quiet:
        events["g"] = Events.from_frames(rng.random((2, ticks, 5)) < 0.02)
    return Network(populations, projections), events


@given(waiting())
def test_left_alone_or_swept_is_one(drawn):
    network, events = drawn
    lazy, swept = (run(by_update(network, how), events, precision="double") for how in ("lazy", "sweep"))
    margin = []
    for name in ("a", "b"):
        membrane, threshold = swept.traces[name].membrane, network[name].devices["threshold"]
        margin.append(np.abs(membrane / threshold - 1).min())
    assume(min(margin) > 1e-9)
    for name in ("a", "b"):
        assert_same_events(lazy.events[name], swept.events[name])
        one, other = lazy.traces[name], swept.traces[name]
        near = np.abs(other.membrane) < 1e3  # next to its run-away no digit of a position is sure
        assert np.array_equal(np.abs(one.membrane) < 1e3, near)
        assert np.allclose(one.membrane[near], other.membrane[near], rtol=1e-9, atol=1e-11)
        assert np.allclose(one.drive, other.drive, rtol=1e-13, atol=1e-13)
    for what in ("spikes", "synops", "column_reads"):
        assert {n: v.tolist() for n, v in getattr(lazy, what).items()} == {
            n: v.tolist() for n, v in getattr(swept, what).items()
        }
    for name, squared in swept.drive_squared.items():
        assert lazy.drive_squared[name] == pytest.approx(squared, rel=1e-9, abs=1e-12)


def test_neurons_that_nothing_reaches_are_left_alone():
    """Without this the test above would compare sweeps."""
    network = Network(
        [Source("in", 40), Population("a", MTJ().identical(100), update="lazy")],
        [Projection("in", "a", FixedFanOut(3, 0.5, 0))],
    )
    state = run(network, Events([0], [2], [0], (1, 30, 40))).state.arrays
    assert state["activity"]["swept"][0, network.frozen.populations["first_block"][1]] == 0
    last = state["last"][0, 40:]
    assert set(last.tolist()) == {-1, 2}
    assert np.count_nonzero(last == 2) <= 3


@pytest.mark.parametrize("neuron", [MTJ(), SELF_FIRING, LIF(), IF(), MTJ(refractory=3, reset_mode="soft")])
@pytest.mark.parametrize("soft", ["hard", "soft"])
@pytest.mark.parametrize("refractory", [0, 2])
def test_who_fires_by_itself_fires_in_the_same_tick(neuron, soft, refractory):
    """Biased above and below the rheobase, over many turns of the wheel: lazily, swept, and without a network."""
    n, ticks = 300, 900
    if neuron is SELF_FIRING and soft == "soft":
        ticks = 100  # what is left of the way goes on beyond the unstable point: rounding grows, as in any chaos
    neuron = replace(neuron, reset_mode=soft, refractory=refractory)
    devices = neuron.draw(n, Variation.all(0.1), seed=2)
    bias = np.float32(np.random.default_rng(3).uniform(-0.1, 0.6, n) ** 3)
    wanted = respond(devices, np.zeros(ticks), bias=bias)
    assert wanted.spikes.sum() > 500
    assert (wanted.spikes.sum(axis=0) < 4).any()
    for update in ("lazy", "sweep"):
        network = Network([Population("a", devices, bias, update)], [])
        recording = simulate(network, ticks=ticks, record=Record(spikes=["a"]), precision="double")
        assert np.array_equal(recording.events["a"].to_frames()[0], wanted.spikes)


def test_pushed_over_the_unstable_point_a_neuron_fires_by_itself():
    """Left alone, it is looked at in time."""
    ticks = 700
    pushes = np.linspace(0.6, 0.8, 100)[np.random.default_rng(0).permutation(100)]
    ends = [Source("in", 100), Population("a", SELF_FIRING.identical(100), update="lazy")]
    network = Network(ends, [Projection("in", "a", OneToOne(pushes))])
    events = Events(np.zeros(100, int), np.repeat(np.arange(10) * 3, 10), np.arange(100), (1, ticks, 100))
    lazy, swept = (run(by_update(network, how), events, precision="double") for how in ("lazy", "sweep"))
    assert_same_events(lazy.events["a"], swept.events["a"])
    assert 5 < len(swept.events["a"]) < 95
    assert np.ptp(swept.events["a"].tick) > 60


@given(st.data(), st.integers(1, 5), st.booleans())
def test_time_shift(data, shift, lazy):
    """What comes later causes what it caused, later; before it nothing happens."""
    if lazy:
        network, events = data.draw(waiting(quiet=True))
        assume(all(not p.devices.self_firing for p in network.of_kind(Population)))
    else:
        network = data.draw(networks(chance=False, quiet=True))
        events = data.draw(spikes(network))
    late = {}
    for name, part in events.items():
        shape = (part.shape[0], part.shape[1] + shift, part.shape[2])
        late[name] = Events(part.sample, part.tick + shift, part.address, shape)
    now, then = (run(network, given, precision="double") for given in (events, late))
    for p in network.populations:
        frames = then.events[p.name].to_frames()
        assert not frames[:, :shift].any()
        assert np.array_equal(frames[:, shift:], now.events[p.name].to_frames())
    for name, trace in now.traces.items():
        assert np.array_equal(then.traces[name].membrane[:, shift:], trace.membrane)
    assert {n: v.tolist() for n, v in now.synops.items()} == {n: v.tolist() for n, v in then.synops.items()}


@given(st.data(), st.sampled_from([MTJ(gain=0.1), LIF(gain=0.1), IF(gain=0.1), DomainWall(gain=0.1)]))
def test_permuting_the_neurons_permutes_the_spikes(data, neuron):
    """Weights are whole numbers, whose sums are exact in any order."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n, m = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    p, q = rng.permutation(n), rng.permutation(m)
    first, loop = (int(rng.integers(1, 6 * m)) for _ in range(2))
    into = [rng.integers(0, n, first), rng.integers(0, m, first), rng.integers(-4, 9, first), rng.integers(0, 4, first)]
    back = [rng.integers(0, m, loop), rng.integers(0, m, loop), rng.integers(-4, 9, loop), rng.integers(1, 4, loop)]
    dense, frames = rng.integers(-2, 5, (n, m)), rng.random((2, 15, n)) < 0.3
    bias = rng.normal(0, 1, m).astype(np.float32)

    def made(p, q, bias, dense):
        return Network(
            [Source("in", n), Population("a", neuron.identical(m), bias)],
            [
                Projection("in", "a", Pairs(p[into[0]], q[into[1]], into[2]), into[3]),
                Projection("in", "a", Dense(dense, np.ones(m)), 1, "dense"),
                Projection("a", "a", Pairs(q[back[0]], q[back[1]], back[2]), back[3]),
            ],
        )

    one = run(made(np.arange(n), np.arange(m), bias, dense), Events.from_frames(frames))
    turned = made(np.argsort(p), np.argsort(q), bias[q], dense[p][:, q])
    other = run(turned, Events.from_frames(frames[:, :, p]))
    assert np.array_equal(other.events["a"].to_frames(), one.events["a"].to_frames()[:, :, q])
    assert np.array_equal(other.traces["a"].membrane, one.traces["a"].membrane[:, :, q])
    assert {n: v.tolist() for n, v in one.synops.items()} == {n: v.tolist() for n, v in other.synops.items()}


def assert_cut(network, events, at, **options):
    """A run that is cut in pieces is the whole run."""
    whole, state, parts = run(network, events, **options), None, []
    for first, last in zip([0, *at], [*at, whole.ticks], strict=True):
        piece = {name: part.in_ticks(first, last) for name, part in events.items()} or None
        given = {**options, "ticks": None if piece else last - first}
        parts.append(run(network, piece, state=state, **given))
        state = parts[-1].state
        assert state.tick == last
    for name in whole.events:
        assert_same_events(Events.concatenate([p.events[name] for p in parts], along="ticks"), whole.events[name])
        assert np.array_equal(sum(p.counts[name] for p in parts), whole.counts[name])
    for what in ("spikes", "synops", "column_reads"):
        for name, values in getattr(whole, what).items():
            assert np.array_equal(sum(getattr(p, what)[name] for p in parts), values)
    for name, trace in whole.traces.items():
        assert np.concatenate([p.traces[name].membrane for p in parts], axis=1).tobytes() == trace.membrane.tobytes()
        assert np.concatenate([p.traces[name].drive for p in parts], axis=1).tobytes() == trace.drive.tobytes()
    for name, mean in whole.readout.items():
        assert parts[-1].readout[name].tobytes() == mean.tobytes()
    for name in ("x", "wait"):
        assert state.arrays[name].tobytes() == whole.state.arrays[name].tobytes()
    assert np.array_equal(state.arrays["last"], whole.state.arrays["last"])
    assert np.array_equal(state.arrays["activity"]["swept"], whole.state.arrays["activity"]["swept"])


@given(st.data(), st.sampled_from(["single", "double"]), st.integers(1, min(2, cores())))
def test_a_run_that_is_cut_is_the_whole_run(data, precision, threads):
    network = data.draw(networks())
    neuron = SwitchingMTJ(refractory=1)
    tossed = Population("c", neuron.identical(4), np.array([0.9, 0.95, 0.97, 1.0]))
    ways = [*network.projections, Projection("c", "a", FixedFanOut(2, 0.5, 3), (1, 5), "from c")]
    network = Network([*network.populations, tossed], ways)
    events = data.draw(spikes(network))
    ticks = events["in"].shape[1]
    at = sorted(data.draw(st.sets(st.integers(1, ticks - 1), min_size=1, max_size=3)))
    assert_cut(network, events, at, precision=precision, threads=threads)


@given(waiting(), st.data())
def test_a_run_of_neurons_left_alone_that_is_cut_is_the_whole_run(drawn, data):
    network, events = drawn
    ticks = events["in"].shape[1]
    at = sorted(data.draw(st.sets(st.integers(1, ticks - 1), min_size=1, max_size=4)))
    assert_cut(network, events, at)


@pytest.mark.parametrize("update", ["auto", "lazy", "sweep"])
def test_a_large_run_that_is_cut_is_the_whole_run(update):
    assert_cut(large(LIF(tau=5.0), update), {"in": bursts(5000, 100, samples=2)}, [1, 2, 3, 7, 60, 75, 93])


def test_a_run_without_events_that_is_cut_is_the_whole_run():
    populations = [Generator("g", 9000, 0.01), Population("a", LIF().identical(500)), Readout("out", 3)]
    ways = [Projection("g", "a", FixedFanOut(5, 0.5, 1), (1, 4)), Projection("a", "out", Dense(np.ones((500, 3))))]
    assert_cut(Network(populations, ways), {}, [4, 5, 17], ticks=30)


@two_cores
@given(st.data())
def test_threads_change_nothing_in_a_batch(data):
    network = data.draw(networks())
    events = data.draw(spikes(network, samples=5))
    assert_identical(*(run(network, events, threads=threads) for threads in (1, 2)))


@two_cores
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("update", ["auto", "lazy", "sweep"])
def test_threads_change_nothing_in_a_team(update, samples):
    network, events = large(MTJ(refractory=1), update), bursts(5000, 100, samples)
    one, two = (run(network, events, threads=threads) for threads in (1, 2))
    assert one.spikes["b"].min() > 40
    assert_identical(one, two)
    assert one.state.arrays["x"].tobytes() == two.state.arrays["x"].tobytes()


@given(networks(chance=False, quiet=True), st.integers(1, 3), st.integers(1, 40))
def test_nothing_comes_from_nothing(network, samples, ticks):
    shape = {s.name: (samples, ticks, s.size) for s in network.of_kind(Source)}
    recording = run(network, {name: Events([], [], [], whole) for name, whole in shape.items()})
    assert not any(fired.any() for fired in recording.spikes.values())
    assert not any(count.any() for count in [*recording.synops.values(), *recording.column_reads.values()])


@pytest.mark.parametrize(
    "neuron",
    [
        MTJ(),
        MTJ(refractory=2, reset_mode="soft"),
        LIF(),
        IF(reset_mode="soft"),
        Oscillator(threshold=0.02, damping=0.2),
        Oscillator(threshold=0.02, damping=0.2, refractory=2),
        DomainWall(reset=30.0),
        TaperedDomainWall(reset=30.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("n", [50, 5000])
def test_cycle_to_cycle_variation_is_that_of_respond(neuron, n):
    """As many as would be left alone by themselves too: their devices are others in every tick."""
    ticks, samples = 12, 2
    spread = Variation(gain=0.1, c2c={"reset": 0.03, "threshold": 0.05, "gain": 0.1})
    devices = neuron.draw(n, spread, seed=8, chip=2, name="x")
    bias = np.random.default_rng(0).uniform(0.2, 1.5, n).astype(np.float32)
    network = Network([Source("in", 1), Population("a", devices, bias)], [])
    recording = run(network, Events([], [], [], (samples, ticks, 1)), precision="double")
    for sample in range(samples):
        wanted = respond(devices, np.zeros(ticks), bias=bias, trial=sample)
        assert wanted.spikes.any()
        assert np.array_equal(recording.events["a"].to_frames()[sample], wanted.spikes)
        assert np.allclose(recording.traces["a"].membrane[sample], wanted.position, rtol=1e-5, atol=1e-5)
    frames = recording.events["a"].to_frames()
    assert (frames[0] != frames[1]).any()


def test_a_generator_that_hardly_spikes_does_not():
    for probability in (0.0, 1e-300, 1e-30, 1e-12):
        network = Network([Generator("g", 5000, probability)], [])
        assert simulate(network, ticks=50, seed=0).spikes["g"] == [0]
    assert simulate(Network([Generator("g", 5000, 1.0)], []), ticks=5, seed=0).spikes["g"] == [25_000]


def small(size=3, **options):
    """A network with a delay."""
    ends = [Source("in", 2), Population("a", MTJ().identical(size), **options)]
    return Network(ends, [Projection("in", "a", FixedFanOut(2, 0.5, 0), 2)])


def test_unusable_runs_are_refused():
    events, state = Events([], [], [], (2, 5, 2)), None
    state = run(small(), events).state
    simulate(small(), events, state=state)
    others = {
        "another network": (small(4), events, state),
        "another update": (small(update="lazy"), events, state),
        "another number of samples": (small(), events.in_samples(0, 1), state),
        "a tick below 0": (small(), events, NetworkState(-1, state.arrays)),
        "a tick that is none": (small(), events, NetworkState(1.5, state.arrays)),
        "a tick beyond all": (small(), events, NetworkState(2**70, state.arrays)),
        "neurons that are not there": (
            small(),
            events,
            NetworkState(5, {**state.arrays, "n_fired": state.arrays["n_fired"] + 9}),
        ),
        "no arrays": (small(), events, NetworkState(1, {})),
        "no state": (small(), events, {}),
    }
    for network, some, other in others.values():
        with pytest.raises((NetworkError, ConfigError), match=r"Record\(state=True\)"):
            simulate(network, some, state=other)
    with pytest.raises(NetworkError, match="precision"):
        simulate(small(), events, state=state, precision="double")
    for threads in (0, cores() + 1, 1.0, True):
        with pytest.raises(ConfigError, match=r"threads=[0-9]"):
            simulate(small(), events, threads=threads)
    with pytest.raises(ConfigError, match="'single' or 'double'"):
        simulate(small(), events, precision="half")
    with pytest.raises(ConfigError, match="seed=0"):
        simulate(Network([Generator("g", 2, 0.1)], []), ticks=3)
    with pytest.raises(NetworkError, match="from 0 to 1"):
        Generator("g", 2, 1.5)
    with pytest.raises(NetworkError, match="update='auto'"):
        small(update="sometimes")
