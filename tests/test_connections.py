"""Every kind of connection against its oracle, tick by tick and synapse by synapse."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.signal import correlate

from eventsim import (
    IF,
    LIF,
    MTJ,
    Bernoulli,
    Convolution,
    Dense,
    Events,
    FixedFanIn,
    FixedFanOut,
    Generator,
    Levels,
    Network,
    OneToOne,
    Pairs,
    Population,
    Projection,
    Readout,
    Record,
    Relay,
    Source,
    Variation,
    pooling,
    simulate,
)
from eventsim.errors import NetworkError
from tests import network_oracle as oracle
from tests.network_oracle import as_set, networks, spikes


def everything(network):
    """Record all there is."""
    names = [p.name for p in network.populations]
    return Record(names, names, [p.name for p in network.of_kind(Population)], energy=True, state=True)


def run(network, events, **options):
    """Simulate and record all there is."""
    return simulate(network, events, record=everything(network), seed=5, **options)


def given_spikes(network, recording, sample):
    """What sources and generators did."""
    outside = [*network.of_kind(Source), *network.of_kind(Generator)]
    return {p.name: as_set(recording.events[p.name], sample) for p in outside}


def assert_same(network, recording, wanted, sample, rel):
    """A sample of a recording is what the oracle says."""
    for p in network.populations:
        fired = wanted.spikes[p.name]
        assert as_set(recording.events[p.name], sample) == fired, p.name
        assert recording.spikes[p.name][sample] == len(fired)
        assert recording.counts[p.name][sample].tolist() == [
            sum(j == neuron for _, neuron in fired) for j in range(p.size)
        ]
    for name, trace in recording.traces.items():
        assert trace.drive[sample] == pytest.approx(wanted.drive[name], rel=rel, abs=rel)
        assert trace.membrane[sample] == pytest.approx(wanted.membrane[name], rel=100 * rel, abs=100 * rel)
        squared = (wanted.drive[name] ** 2).sum()
        assert recording.drive_squared[name][sample] == pytest.approx(squared, rel=10 * rel, abs=10 * rel)
    for name, mean in wanted.readout.items():
        assert recording.readout[name][sample] == pytest.approx(mean, rel=rel, abs=10 * rel)
    assert {n: c[sample] for n, c in recording.synops.items() if c[sample]} == dict(wanted.synops)
    assert {n: c[sample] for n, c in recording.column_reads.items()} == {
        n: wanted.reads[n] for n in recording.column_reads
    }


@given(st.data(), st.booleans())
def test_engine_is_the_oracle(data, several):
    network = data.draw(networks(chance=not several))
    events = data.draw(spikes(network))
    recording = run(network, events, precision="double")
    for sample in range(len(recording.spikes["a"])):
        wanted = oracle.simulate(network, given_spikes(network, recording, sample), recording.ticks)
        assume(wanted.margin > 1e-9)
        assert_same(network, recording, wanted, sample, 1e-10)


@given(st.data())
def test_single_precision_is_the_oracle_too(data):
    network = data.draw(networks())
    recording = run(network, data.draw(spikes(network, samples=1, ticks=8)))
    wanted = oracle.simulate(network, given_spikes(network, recording, 0), recording.ticks)
    assume(wanted.margin > 1e-3)
    for p in network.populations:
        assert as_set(recording.events[p.name]) == wanted.spikes[p.name]
    assert {n: c[0] for n, c in recording.synops.items() if c[0]} == dict(wanted.synops)


@given(st.data())
def test_the_drive_is_the_weighted_sum(data):
    """Below threshold nothing fires, and the drive of each tick is a matrix times the spikes of a delay before."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n, m = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    made, delay = oracle.connection(data.draw(st.sampled_from((*oracle.SPARSE, "dense", "levels"))), rng, n, m, 0)
    devices = LIF(threshold=20.0, gain=1e-3).identical(m)
    network = Network([Source("in", n), Population("a", devices)], [Projection("in", "a", made, delay)])
    frames = (rng.random((2, 9, n)) < 0.5).astype(float)
    recording = run(network, Events.from_frames(frames), precision="double")
    matrix = np.zeros((4, n, m))
    for source, target, weight, late in oracle.expand(network, network.projections[0]).tolist():
        matrix[late, source, target] += weight
    wanted = np.zeros((2, 9, m))
    for late in range(4):
        wanted[:, late:] += frames[:, : 9 - late] @ matrix[late]
    assert recording.traces["a"].drive == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert not recording.spikes["a"].any()


@given(st.data())
def test_convolutions_are_those_of_scipy(data):
    """Without groups, padding by hand: the second opinion about the definition."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    channels, outputs, stride, pad = (data.draw(st.integers(1, 3)) for _ in range(4))
    shape, size = (channels, *rng.integers(3, 8, 2).tolist()), rng.integers(1, 4, 2).tolist()
    kernel = rng.normal(0, 1, (outputs, channels, *size)).astype(np.float32)
    made = Convolution(kernel, shape, stride=stride, padding=pad)
    frame = (rng.random(shape) < 0.4).astype(float)
    padded = np.pad(frame, ((0, 0), (pad, pad), (pad, pad)))
    wanted = np.array([correlate(padded, k.astype(float), "valid")[0] for k in kernel])[:, ::stride, ::stride]
    assert made.out_shape == wanted.shape
    network = Network([Source("in", frame.size), Readout("out", wanted.size)], [Projection("in", "out", made)])
    readout = run(network, Events.from_frames(frame.reshape(1, 1, -1)), precision="double").readout["out"]
    assert readout[0] == pytest.approx(wanted.ravel(), rel=1e-10, abs=1e-10)


@given(st.data())
def test_max_pooling_is_the_maximum_over_windows(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    size, stride = data.draw(st.integers(1, 3)), data.draw(st.none() | st.integers(1, 3))
    shape = tuple(rng.integers(1, 4, 1).tolist() + rng.integers(3, 8, data.draw(st.integers(1, 2))).tolist())
    made = pooling(shape, size, stride, scale=1)
    frames = (rng.random((2, 3, *shape)) < 0.2).astype(np.uint8)
    axes = tuple(range(3, frames.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(frames, (size,) * len(axes), axes)
    step = (slice(None),) * 3 + (slice(None, None, stride or size),) * len(axes)
    wanted = windows.max(axis=tuple(range(frames.ndim, windows.ndim)))[step]
    ends = [Source("in", int(np.prod(shape))), Relay("r", int(np.prod(made.out_shape)))]
    events = Events.from_frames(frames.reshape(2, 3, -1))
    recording = run(Network(ends, [Projection("in", "r", made)]), events)
    assert np.array_equal(recording.events["r"].to_frames(made.out_shape), wanted)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_average_pooling_is_the_mean_over_windows(size):
    shape, rng = (2, 6, 6), np.random.default_rng(size)
    frame = (rng.random(shape) < 0.5).astype(float)
    made = pooling(shape, size)
    wanted = frame.reshape(2, 6 // size, size, 6 // size, size).mean(axis=(2, 4))
    network = Network([Source("in", 72), Readout("out", wanted.size)], [Projection("in", "out", made)])
    readout = run(network, Events.from_frames(frame.reshape(1, 1, -1))).readout["out"]
    assert readout[0] == pytest.approx(wanted.ravel())


def large(neuron, update, seed=0, sizes=(5000, 9000, 4500)):
    """Populations of several blocks, sparse and recurrent, with the delays of each synapse."""
    rng = np.random.default_rng(seed)
    n, a, b = sizes
    strong, levels = Levels(rng.normal(0.1, 0.5, 31)), Levels(rng.normal(-0.4, 0.2, 31))
    pairs = Pairs(rng.integers(0, a, 20_000), rng.integers(0, b, 20_000), rng.normal(0, 0.4, 20_000))
    devices = [
        neuron.draw(k, Variation(gain=0.1, threshold=0.05), seed=4, name=name) for k, name in ((a, "a"), (b, "b"))
    ]
    populations = [Source("in", n), Population("a", devices[0], rng.normal(0, 0.02, a), update)]
    return Network(
        [*populations, Population("b", devices[1], None, update)],
        [
            Projection("in", "a", FixedFanOut(250, strong, 1), 3),
            Projection("a", "a", Bernoulli(0.022, levels, 2), 1),
            Projection("a", "b", FixedFanIn(100, strong, 3), (0, 4)),
            Projection("a", "b", pairs, rng.integers(1, 9, 20_000), "pairs"),
            Projection("b", "a", OneToOne(0.8), 2) if a == b else Projection("b", "b", FixedFanOut(3, levels, 5), 2),
        ],
    )


def bursts(size, ticks, samples=1, seed=0):
    """Input that comes and goes, so that the engine changes its mind about sweeping."""
    rng, phase = np.random.default_rng(seed), np.arange(ticks) % 90
    rate = np.where(phase < 2, 0.015, np.where(phase < 60, 0.0, 0.00004))
    return Events.from_frames(rng.random((samples, ticks, size)) < rate[:, None])


@pytest.mark.parametrize("neuron", [MTJ(refractory=2), LIF(tau=5.0, reset_mode="soft"), IF(gain=0.6)])
def test_several_blocks_are_the_reference(neuron):
    events, wanted = bursts(5000, 110), None
    for update in ("sweep", "lazy", "auto"):
        network = large(neuron, update)
        assert network.frozen.populations["blocks"].tolist()[1:] == [2, 2]
        if wanted is None:
            wanted = oracle.simulate_many(network, {"in": as_set(events)}, 110)
            assert wanted.margin > 1e-11
        elif isinstance(neuron, LIF):  # whose blocks were swept, and are then left alone again
            burst = bursts(5000, 8)
            columns = burst.sample, burst.tick, burst.address
            runs = (run(network, Events(*columns, (1, n, 5000))) for n in (8, 200))
            early, late = (r.state.arrays["activity"]["swept"][0, 2:] for r in runs)
            assert early.sum() > late.sum()
        recording = run(network, events, precision="double")
        for name in ("a", "b"):
            assert len(wanted.spikes[name]) > 40
            assert as_set(recording.events[name]) == wanted.spikes[name]
            assert np.allclose(recording.traces[name].membrane[0], wanted.membrane[name], rtol=1e-8, atol=1e-8)
        assert {name: counts[0] for name, counts in recording.synops.items()} == wanted.synops
        assert {name: counts[0] for name, counts in recording.column_reads.items()} == wanted.reads


def test_the_two_ways_to_read_tables_agree():
    network = large(LIF(), "auto", sizes=(40, 60, 50))
    for projection in network.projections:
        slow, fast = (read(network, projection.name) for read in (oracle.stored, oracle.stored_quickly))
        assert Counter(slow.tolist()) == Counter(fast.tolist())
        assert len(slow) == network.synapses[projection.name]


@pytest.mark.parametrize("kind", [Pairs, OneToOne, Dense, FixedFanOut, FixedFanIn, Bernoulli])
def test_synapses_are_counted(kind):
    """Every source spikes once: as many operations as synapses, and each adds its weight once."""
    n = 7
    made = {
        Pairs: Pairs([0, 0, 3, 6, 6], [1, 1, 2, 6, 0], 2.0),
        OneToOne: OneToOne(2.0),
        Dense: Dense(np.full((n, n), 2), np.ones(n)),
        FixedFanOut: FixedFanOut(4, 2.0, seed=1),
        FixedFanIn: FixedFanIn(3, 2.0, seed=1),
        Bernoulli: Bernoulli(0.4, 2.0, seed=1),
    }[kind]
    count = {Pairs: 5, OneToOne: n, Dense: n * n, FixedFanOut: 4 * n, FixedFanIn: 3 * n}
    network = Network([Source("in", n), Readout("out", n)], [Projection("in", "out", made)])
    recording = run(network, Events.from_frames(np.ones((2, 1, n))))
    assert recording.synops["in -> out"].tolist() == [network.synapses["in -> out"]] * 2
    assert recording.readout["out"].sum() == 4 * network.synapses["in -> out"]
    if kind in count:
        assert network.synapses["in -> out"] == count[kind]


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_synapses_of_a_convolution_are_counted_at_its_borders_too(padding):
    made = Convolution(np.ones((2, 1, 3, 3)), (1, 5, 5), stride=2, padding=padding)
    ends = [Source("in", 25), Readout("out", int(np.prod(made.out_shape)))]
    network = Network(ends, [Projection("in", "out", made)])
    wanted = len(oracle.expand(network, network.projections[0]))
    recording = run(network, Events.from_frames(np.ones((1, 1, 25))))
    assert recording.synops["in -> out"] == [wanted]
    assert network.synapses["in -> out"] == wanted


def build(made, delay=1, n=5, m=5, source="in", **options):
    """A network with one projection."""
    target = Population("a", IF().identical(m), **options)
    return Network([Source("in", n), target], [Projection(source, "a", made, delay)])


EYE = np.eye(5)
REFUSED = {
    "dense of another shape": (lambda: build(Dense(np.ones((4, 5)))), "wrong shape"),
    "dense that is turned": (lambda: build(Dense(np.ones((4, 5))), n=5, m=4), "weight.T"),
    "dense with nan": (lambda: build(Dense(np.full((5, 5), np.nan))), "nan_to_num"),
    "levels that are none": (lambda: build(Dense(EYE / 2, np.ones(5))), "to_levels"),
    "one to one of two sizes": (lambda: build(OneToOne(), m=4), "differ in size"),
    "one to one of another shape": (lambda: build(OneToOne(np.ones(4))), r"np.ones\(5\)"),
    "one to one with nan": (lambda: build(OneToOne(np.nan)), "nan_to_num"),
    "delay below 0": (lambda: build(Dense(EYE), -1), "delay=1"),
    "delay too long": (lambda: build(OneToOne(), 65536), "delay=1"),
    "delay of another kind": (lambda: build(OneToOne(), 1.5), "delay=1"),
    "delays of a crossbar": (lambda: build(Dense(EYE), (1, 2)), "delay=1"),
    "delay of each drawn synapse": (lambda: build(FixedFanOut(1, 1.0, 0), [1] * 5), "Pairs"),
    "delays backwards": (lambda: build(FixedFanIn(1, 1.0, 0), (5, 1)), r"delay=\(1, 5\)"),
    "too few delays": (lambda: build(Pairs([0, 1], [1, 2]), [1]), "delays differ"),
    "a delay below 0 among others": (lambda: build(Pairs([0, 1], [1, 2]), [1, -1]), "delays of pairs are not usable"),
    "a delay that is too long among others": (lambda: build(Pairs([0, 1], [1, 2]), [1, 65536]), "from 0 to 65535"),
    "a cycle": (lambda: build(OneToOne(), 0, source="a"), "delay=1"),
    "a cycle of some synapses": (lambda: build(Pairs([0, 1], [1, 2]), [0, 1], source="a"), "a -> a"),
    "a cycle of drawn synapses": (lambda: build(FixedFanOut(1, 1.0, 0), (0, 3), source="a"), "delay=1"),
    "a source out of range": (lambda: build(Pairs([5], [0])), "from 0 to 4"),
    "a target out of range": (lambda: build(Pairs([0], [-1])), "from 0 to 4"),
    "sources that are no numbers": (lambda: build(Pairs([0.0], [1])), "whole numbers"),
    "pairs of two lengths": (lambda: build(Pairs([0, 1], [1])), "one length"),
    "weights of another length": (lambda: build(Pairs([0, 1], [1, 2], [1.0])), "weights of shape"),
    "a weight that is nan": (lambda: build(Pairs([0, 1], [1, 2], [1.0, np.nan])), "weight"),
    "levels without index": (lambda: build(Pairs([0], [1], Levels([1, 2]))), "index"),
    "an index beyond the table": (lambda: build(Pairs([0], [1], Levels([1, 2], index=[2]))), "longer table"),
    "an index of drawn levels": (lambda: build(FixedFanOut(1, Levels([1, 2], index=[1]), 0)), "without index"),
    "too many weights": (lambda: build(FixedFanOut(2, np.ones((5, 3)), 0)), "do not fit"),
    "weights turned": (lambda: build(FixedFanOut(2, np.ones((2, 5)), 0)), "do not fit"),
    "weights of a fan-in turned": (lambda: build(FixedFanIn(2, np.ones((2, 5)), 0)), "do not fit"),
    "no weights": (lambda: build(FixedFanOut(2, [], 0)), "do not fit"),
    "no weights for pairs": (lambda: build(Pairs([0, 1], [1, 2], [])), "weights of shape"),
    "weights of a coin": (lambda: build(Bernoulli(0.5, np.ones(25), 0)), "do not fit"),
    "drives beyond the limit": (lambda: build(FixedFanIn(5, 9e5, 0)), "every drive"),
    "probability 0": (lambda: Bernoulli(0, 1.0, 0), "probability=0.1"),
    "probability 2": (lambda: Bernoulli(2.0, 1.0, 0), "probability=0.1"),
    "fan-out 0": (lambda: FixedFanOut(0, 1.0, 0), "fan_out=100"),
    "fan-in 1.5": (lambda: FixedFanIn(1.5, 1.0, 0), "fan_in=100"),
    "257 levels": (lambda: Levels(np.zeros(257)), "1 to 256"),
    "no levels": (lambda: Levels([]), "1 to 256"),
    "impossible levels": (lambda: Levels([1.0], [0.0]), "do not all vanish"),
    "channels that do not fit": (lambda: Convolution(np.ones((1, 2, 3)), (1, 8)), "do not fit"),
    "groups that do not fit": (lambda: Convolution(np.ones((3, 1, 3)), (2, 8), groups=2), "do not fit"),
    "a kernel that is too large": (lambda: Convolution(np.ones((1, 1, 9)), (1, 8)), "output of at least 1"),
    "a stride of 0": (lambda: Convolution(np.ones((1, 1, 3)), (1, 8), stride=0), "do not fit"),
    "a stride of 1.5": (lambda: Convolution(np.ones((1, 1, 3)), (1, 8), stride=1.5), "stride=1"),
    "padding below 0": (lambda: Convolution(np.ones((1, 1, 3)), (1, 8), padding=-1), "do not fit"),
    "pooling by 0": (lambda: pooling((1, 4, 4), 0), "do not fit|not usable"),
    "convolution of other sizes": (lambda: build(Convolution(np.ones((1, 1, 3)), (1, 8))), "of those sizes"),
    "lazy behind a crossbar": (lambda: build(Dense(EYE), update="lazy"), "update='auto'"),
    "no such update": (lambda: build(OneToOne(), update="never"), "update='auto'"),
    "no connection": (lambda: build(EYE), "Dense"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused(what):
    make, message = REFUSED[what]
    with pytest.raises(NetworkError, match=message) as caught:
        make()
    assert "projection ." not in str(caught.value)


@pytest.mark.parametrize("delay", [1, [], (0, 0)])
def test_no_pairs_are_no_synapses(delay):
    delay = delay if delay != (0, 0) else np.empty(0, int)
    network = build(Pairs([], [], 1.0), delay, source="a")
    assert network.synapses == {"a -> a": 0}
    assert not run(network, Events.from_frames(np.ones((1, 3, 5)))).spikes["a"].any()
