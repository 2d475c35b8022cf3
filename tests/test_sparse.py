"""Builders of sparse connections: what they draw, in which order they keep it, and in how much memory."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, chisquare, poisson

import eventsim.sparse
from eventsim import (
    IF,
    MTJ,
    Bernoulli,
    FixedFanIn,
    FixedFanOut,
    Levels,
    Network,
    Pairs,
    Population,
    Projection,
    Source,
    Variation,
)
from eventsim.errors import NetworkError
from eventsim.kernels import sparse as kernel
from tests.network_oracle import single, stored, stored_quickly

RULES = [FixedFanOut(60, 0.5, 3), FixedFanIn(60, 0.5, 3), Bernoulli(0.02, 0.5, 3)]
P = 1e-6
"""Least probability of what chance may do: seeds are fixed, so a test that passes goes on passing."""


def build(made, n=40, m=50, delay=1, name="way"):
    """A network of one projection; its targets are neurons, which may be cut into blocks."""
    ends = [Source("in", n), Population("a", IF().identical(m))]
    return Network(ends, [Projection("in", "a", made, delay, name)])


def drawn(made, n=40, m=50, delay=1, name="way"):
    """Its synapses."""
    return stored_quickly(build(made, n, m, delay, name), name)


def even(counts, expected=None):
    """Chi-square: whether these counts can come from these expectations."""
    return chisquare(counts, expected).pvalue > P


@pytest.mark.parametrize("m", [3000, 9000])
def test_fan_outs_are_fixed_and_even(m):
    n = 4000
    rows = drawn(FixedFanOut(60, 0.5, 3), n, m)
    assert (np.bincount(rows["source"], minlength=n) == 60).all()
    hits = np.bincount(rows["target"], minlength=m)
    assert even(hits)
    assert not even(np.sort(hits).reshape(10, -1).sum(axis=1))  # the test can tell


@pytest.mark.parametrize("m", [3000, 9000])
def test_fan_ins_are_fixed_and_even(m):
    n = 4000
    rows = drawn(FixedFanIn(60, 0.5, 3), n, m)
    assert (np.bincount(rows["target"], minlength=m) == 60).all()
    assert even(np.bincount(rows["source"], minlength=n))


@pytest.mark.parametrize(("n", "m"), [(4000, 3000), (3000, 9000)])
def test_coins_are_thrown_once_for_each_pair(n, m):
    probability = 0.02
    rows = drawn(Bernoulli(probability, 0.5, 3), n, m)
    pairs = rows["source"] * m + rows["target"]
    assert np.unique(pairs).size == pairs.size
    for side, one, other in (("source", n, m), ("target", m, n)):
        degree = np.bincount(rows[side], minlength=one)
        edges = np.unique(binom.ppf(np.linspace(0, 1, 13)[1:-1], other, probability))
        share = np.diff(np.concatenate([[0], binom.cdf(edges, other, probability), [1]]))
        found = np.bincount(np.searchsorted(edges, degree), minlength=share.size)
        assert even(found, share * one)
    gap = np.diff(np.sort(pairs)) - 1  # geometric, also over the ends of rows
    share = [*(probability * (1 - probability) ** np.arange(30)), (1 - probability) ** 30]
    assert even(np.bincount(np.minimum(gap, 30), minlength=31), np.array(share) * gap.size)


def test_a_coin_that_always_falls_on_one_side_connects_all():
    rows = drawn(Bernoulli(1.0, 0.5, 3), 7, 9)
    assert Counter(zip(rows["source"].tolist(), rows["target"].tolist(), strict=True)) == Counter(np.ndindex(7, 9))


def test_a_rare_coin_is_rare():
    sizes = [len(drawn(Bernoulli(1e-4, 0.5, seed), 100, 100)) for seed in range(300)]
    share = poisson.pmf(np.arange(4), 1.0)
    found = np.bincount(np.minimum(sizes, 4), minlength=5)
    assert even(found, np.array([*share, 1 - share.sum()]) * 300)


@pytest.mark.parametrize("made", [FixedFanOut(3, 0.5, 3), FixedFanIn(3, 0.5, 3)])
def test_a_pair_is_drawn_anew_every_time(made):
    """Two draws of one neuron hit the same partner as often as chance has it."""
    rows = drawn(made, 20_000, 20_000)
    pairs = rows["source"] * 20_000 + rows["target"]
    twice = pairs.size - np.unique(pairs).size
    assert poisson.cdf(twice, 3.0) > P
    assert poisson.sf(twice - 1, 3.0) > P
    small = drawn(made, 2, 2)
    assert len(small) == 6


@pytest.mark.parametrize("kind", [FixedFanOut, FixedFanIn, Bernoulli])
def test_levels_have_their_probabilities(kind):
    table, share = np.array([-1.0, 0.25, 3.0, 7.0]), np.array([1.0, 2.0, 5.0, 0.0])
    rows = drawn(kind(0.1 if kind is Bernoulli else 50, Levels(table, share), 3), 2000, 600)
    counts = [int((rows["weight"] == weight).sum()) for weight in table]
    assert sum(counts) == len(rows)
    assert counts[3] == 0
    assert even(counts[:3], np.array(share[:3]) / 8 * len(rows))
    for side, edge in (("source", 1000), ("target", 300)):  # whoever it is
        half = rows[rows[side] < edge]["weight"]
        assert even([int((half == weight).sum()) for weight in table[:3]], share[:3] / 8 * half.size)
    equal = drawn(kind(0.1 if kind is Bernoulli else 50, Levels(np.arange(256)), 3), 2000, 600)
    assert even(np.bincount(equal["weight"].astype(int), minlength=256))


@pytest.mark.parametrize("kind", [FixedFanOut, FixedFanIn, Bernoulli])
def test_delays_are_even_and_independent_of_levels(kind):
    levels = Levels([1.0, 2.0])
    rows = drawn(kind(0.1 if kind is Bernoulli else 50, levels, 3), 2000, 600, (2, 8))
    assert set(rows["delay"].tolist()) == set(range(2, 9))
    table = np.bincount((rows["delay"] - 2) * 2 + rows["weight"].astype(int) - 1, minlength=14)
    assert even(table)
    assert even(np.bincount(rows["delay"] * 2 + rows["target"] % 2)[4:])
    assert even(np.bincount(rows["delay"] * 2 + rows["source"] % 2)[4:])


@pytest.mark.parametrize("made", RULES)
def test_what_is_drawn_is_a_matter_of_seed_and_name_alone(made):
    """Nor do weights, delays and blocks change who is connected."""

    def pairs(rows):
        return Counter(zip(rows["source"].tolist(), rows["target"].tolist(), strict=True))

    one = pairs(drawn(made))
    number = next(iter(vars(made).values()))
    assert pairs(drawn(type(made)(number, Levels([1.0, 2.0]), 3), delay=(1, 9))) == one
    assert pairs(drawn(made, name="other")) != one
    assert pairs(drawn(type(made)(number, 0.5, 4))) != one
    if isinstance(made, FixedFanOut):  # each source by its own number
        more = drawn(made, n=60)
        assert pairs(more[more["source"] < 40]) == one
    if isinstance(made, FixedFanIn):
        more = drawn(made, m=70)
        assert pairs(more[more["target"] < 50]) == one


@pytest.mark.parametrize("levels", [0.5, Levels(np.linspace(-1, 1, 31)), None])
@pytest.mark.parametrize("delay", [1, (0, 6)])
@pytest.mark.parametrize("kind", [FixedFanOut, FixedFanIn, Bernoulli])
def test_threads_of_the_builder_change_no_bit(monkeypatch, kind, delay, levels):
    n, m, tables = 500, 9000, []
    number = 0.05 if kind is Bernoulli else 300 if kind is FixedFanOut else 20
    if levels is None:
        size = {FixedFanOut: n * 300, FixedFanIn: m * 20, Bernoulli: 0}[kind]
        levels = (
            np.random.default_rng(0).normal(0, 1, size).reshape(n if kind is FixedFanOut else m, -1) if size else 2.0
        )
    for threads in (1, 2, 3, 8):

        def cut(work, size, _, threads=threads):
            ends = [size * i // threads for i in range(threads + 1)]
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, ends[:-1], ends[1:]))

        monkeypatch.setattr(eventsim.sparse, "split", cut)
        monkeypatch.setattr(eventsim.sparse, "cores", lambda threads=threads: threads)
        network = build(kind(number, levels, 3), n, m, delay)
        assert network.frozen.populations["blocks"][1] > 1
        way = network.plan.ways[0][2]
        tables.append((way.rows.tobytes(), way.data[: -kernel.PADDING].tobytes()))
    assert len(set(tables)) == 1


@pytest.mark.parametrize("m", [50, 9000])
def test_given_weights_stand_in_their_order(m):
    """Fan-out: row by row of sources; fan-in: of targets."""
    rng, n, fan = np.random.default_rng(0), 90, 130
    weight = rng.permutation(n * fan).reshape(n, fan) / 128
    plain, rows = (stored(build(FixedFanOut(fan, w, 3), n, m), "way") for w in (1.0, weight))
    blocks = build(FixedFanOut(fan, 1.0, 3), n, m).frozen.populations["blocks"][1]
    assert (blocks > 1) == (m == 9000)
    assert np.array_equal(np.sort(rows["weight"]) * 128, np.arange(n * fan))
    for source in range(n):
        mine = rows[rows["source"] == source]
        assert set(mine["weight"]) == set(weight[source])
        assert Counter(mine["target"]) == Counter(plain[plain["source"] == source]["target"])
        if blocks == 1:
            assert mine["weight"].tolist() == weight[source].tolist()
    turned = rng.permutation(n * fan).reshape(n, fan) / 128
    into = stored(build(FixedFanIn(fan, turned, 3), 70, n), "way")
    for target in range(n):
        mine = into[into["target"] == target]
        assert set(mine["weight"]) == set(turned[target])


def test_weights_go_with_the_synapse_whose_number_they_have():
    """The k-th draw of a source has weight k, however the targets are cut."""
    n, fan = 60, 120
    number = np.arange(n * fan).reshape(n, fan).astype(float)
    one, cut = (drawn(FixedFanOut(fan, number, 3), n, m) for m in (4000, 9000))
    for rows in (one, cut):
        rows.sort(order="weight")
        assert (rows["source"] == np.repeat(np.arange(n), fan)).all()
    # a target is a random fraction times the number of targets
    assert np.abs(one["target"] / 4000 - cut["target"] / 9000).max() < 1 / 4000


@given(st.data())
def test_pairs_are_what_is_given(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n, m, size = (data.draw(st.integers(1, 30)) for _ in range(3))
    ends = rng.integers(0, n, size), rng.integers(0, m, size)
    table = rng.normal(0, 1, data.draw(st.integers(1, 256)))
    index = rng.integers(0, len(table), size)
    real, late = rng.normal(0, 1, size), rng.integers(0, 9, size)
    for weight, wanted in ((real, real), (Levels(table, index=index), table[index]), (0.3, np.full(size, 0.3))):
        for delay in (3, late):
            network = build(Pairs(*ends, weight), n, m, delay)
            each = np.broadcast_to(delay, size)
            synapses = zip(ends[0], ends[1], single(wanted), each, strict=True)
            wanted_rows = Counter((int(a), int(b), float(w), int(d)) for a, b, w, d in synapses)
            assert Counter(stored(network, "way").tolist()) == wanted_rows
            assert network.synapses["way"] == size


def test_the_first_and_the_last_of_everything():
    """Targets at both ends of blocks of the greatest length, of which there are three."""
    m = 3 * 2**16
    ends = [0, 2**16 - 1, 2**16, 2**17 - 1, 2**17, m - 1, 1]
    rows = drawn(Pairs(np.zeros(7, int), ends, np.arange(7) + 0.5), 2, m)
    assert sorted(zip(rows["target"].tolist(), rows["weight"].tolist(), strict=True)) == sorted(
        zip(ends, np.arange(7) + 0.5, strict=True)
    )


@pytest.mark.parametrize("made", [*RULES, FixedFanOut(60, Levels(np.linspace(-1, 1, 256)), 3)])
def test_synapses_are_counted_and_small(made):
    network = build(made, 3000, 3000)
    rows = stored_quickly(network, "way")
    assert network.synapses == {"way": len(rows)}
    assert len(rows) > 170_000
    assert 3 <= network.synapse_bytes / len(rows) <= 4


def test_a_weight_of_its_own_takes_three_bytes_more():
    network = build(FixedFanOut(100, np.ones((3000, 100)), 3), 3000, 9000)
    assert 6 <= network.synapse_bytes / 300_000 <= 7


def test_chips_share_their_synapses():
    ends = [Source("in", 30), Population("a", MTJ().identical(40))]
    network = Network(ends, [Projection("in", "a", FixedFanIn(5, 0.3, 1))])
    chip = network.on_chip(Variation.all(0.1), seed=1)
    assert chip.plan.ways[0][2].data is network.plan.ways[0][2].data
    assert chip.synapses == network.synapses
    assert not np.array_equal(chip.frozen.devices.threshold, network.frozen.devices.threshold)


def test_weights_are_limited_target_by_target():
    """Many large weights are allowed where few meet at one target."""
    rows = np.arange(40)
    build(Pairs(rows, rows, 9e5))
    with pytest.raises(NetworkError, match="every drive"):
        build(Pairs(rows, np.zeros(40, int), 9e5))
