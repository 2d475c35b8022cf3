"""Networks: what is refused, and how they are frozen."""

from dataclasses import replace

import numpy as np
import pytest

from eventsim import (
    LIF,
    MTJ,
    Convolution,
    Dense,
    Events,
    Levels,
    Network,
    Pairs,
    Population,
    Projection,
    Readout,
    Source,
    SwitchingMTJ,
    Variation,
    simulate,
)
from eventsim.errors import NetworkError


def parts(levels=np.ones((3, 2), int), scale=np.ones(2), **changes):  # noqa: B008
    populations = [Source("in", 3), Population("a", MTJ().identical(2)), Readout("out", 2)]
    first = {"source": "in", "target": "a", "synapses": Dense(levels, scale)}
    last = Projection("a", "out", Dense(np.ones((2, 2)), np.ones(2)))
    return populations, [Projection(**{**first, **changes}), last]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "nobody"}, "one of in, a, out"),
        ({"source": "out"}, "does not come from a Readout"),
        ({"target": "in"}, "does not lead to a Source"),
        ({"levels": np.ones((2, 3))}, r"\(3, 2\), sources by targets\n.*weight.T"),
        ({"levels": np.full((3, 2), 0.5)}, "whole numbers"),
        ({"levels": np.full((3, 2), np.nan)}, "whole numbers"),
        ({"levels": np.full((3, 2), 2**15)}, "whole numbers below"),
        ({"scale": np.ones(3)}, "2 finite numbers"),
        ({"scale": [1, np.inf]}, "values from 1.0 to inf"),
        ({"delay": -1}, "ticks from 0"),
        ({"delay": 0.5}, "ticks from 0"),
        ({"levels": np.full((3, 2), "a")}, "not numbers"),
        ({"scale": [1, 1e7]}, "every drive below"),
        ({"levels": np.full((3, 2), 1000), "scale": [1, 400]}, "every drive below"),
        ({"levels": np.full((3, 2), 4e5), "scale": None}, "every drive below"),
        ({"levels": np.full((3, 2), np.nan), "scale": None}, "weight of projection in -> a is impossible"),
        ({"levels": np.ones((2, 3)), "scale": None}, r"\(3, 2\), sources by targets"),
        ({"delay": 65536}, "ticks from 0 to 65535"),
        ({"delay": [0, 1, 2]}, "ticks from 0"),
        ({"synapses": np.ones((3, 2))}, r"expected: a Connection(.|\n)*Dense\(levels, scale\)"),
    ],
)
def test_unusable_projections_are_refused(changes, message):
    Network(*parts())
    with pytest.raises(NetworkError, match=message):
        Network(*parts(**changes))


def test_names_must_be_distinct():
    with pytest.raises(NetworkError, match="distinct"):
        Network([Source("a", 1), Readout("a", 1)], [])
    populations, (first, last) = parts()
    with pytest.raises(NetworkError, match="Two projections"):
        Network(populations, [first, first, last])
    Network(populations, [first, replace(first, name="again"), last])


@pytest.mark.parametrize(
    ("size", "message"), [(0, "'a' is empty"), (-1, "-1 neurons in 'a'"), (1.5, "1.5 neurons"), (True, "True neurons")]
)
def test_populations_must_not_be_empty(size, message):
    with pytest.raises(NetworkError, match=message):
        Network([Source("a", size)], [])


def test_networks_must_not_be_empty():
    with pytest.raises(NetworkError, match="network is empty"):
        Network([], [])


def test_names_that_are_not_there_are_refused():
    with pytest.raises(NetworkError, match="one of in, a, out"):
        Network(*parts())["b"]


def test_sums_of_the_lowest_integer_do_not_overflow():
    """-2**15 has no positive twin in int16."""
    levels = np.full((3, 2), -(2**15), np.int16)
    with pytest.raises(NetworkError, match="whole numbers below"):
        Network(*parts(levels=levels))


@pytest.mark.parametrize("update", ["never", None])
def test_updates_that_are_none_are_refused(update):
    with pytest.raises(NetworkError, match="cannot be updated"):
        Population("a", MTJ().identical(2), update=update)


def test_neurons_behind_a_crossbar_cannot_be_left_alone():
    populations, projections = parts()
    lazy = replace(populations[1], update="lazy")
    with pytest.raises(NetworkError, match="'a' cannot be left alone"):
        Network([populations[0], lazy, populations[2]], projections)


@pytest.mark.parametrize(
    ("neuron", "parameter"), [(MTJ(), "k1"), (MTJ(), "k2"), (SwitchingMTJ(), next(iter(SwitchingMTJ().laws())))]
)
def test_what_networks_do_not_draw_from_cycle_to_cycle_is_refused(neuron, parameter):
    devices = neuron.draw(3, Variation(c2c={parameter: 0.02}), seed=0)
    with pytest.raises(NetworkError, match=f"'a' vary from cycle to cycle(.|\n)*{parameter}"):
        Network([Population("a", devices)], [])


def test_bias_must_fit():
    with pytest.raises(NetworkError, match="bias of a"):
        Network([Population("a", MTJ().identical(2), bias=[1.0])], [])


def test_a_cycle_needs_a_delay_and_is_named():
    populations = [Population(name, MTJ().identical(1)) for name in "abc"]
    one = Dense(np.ones((1, 1)), np.ones(1))
    ways = [("a", "b", 0), ("b", "c", 0), ("c", "a", 0)]
    with pytest.raises(NetworkError, match="form a cycle") as refusal:
        Network(populations, [Projection(s, t, one, delay=d) for s, t, d in ways])
    assert {*"abc"} <= set(refusal.value.given.split(" -> "))
    with pytest.raises(NetworkError, match="a -> a"):
        Network(populations, [Projection("a", "a", one)])
    Network(populations, [Projection(s, t, one, delay=int(s == "c")) for s, t, _ in ways])


def test_sums_must_stay_exact():
    n = 1000
    projection = Projection("in", "out", Dense(np.full((n, 1), 2**14 + 1000), np.ones(1)))
    with pytest.raises(NetworkError, match="not exact"):
        Network([Source("in", n), Readout("out", 1)], [projection])


def test_chips_leave_everything_but_the_devices():
    network = Network(*parts())
    chip = network.on_chip(Variation.all(0.1), seed=1, chip=2)
    assert not np.array_equal(chip["a"].devices["k1"], network["a"].devices["k1"])
    assert chip.frozen.ways is network.frozen.ways
    assert chip.frozen.scale is network.frozen.scale
    same = network.on_chip(Variation(), seed=5)
    assert np.array_equal(same.frozen.devices.threshold, network.frozen.devices.threshold)


RAGGED = [[1], [1, 2]]
PARTS = [Source("in", 2), Population("a", LIF().identical(3)), Readout("out", 2)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Network(["a"], []),
        lambda: Network(PARTS, ["a"]),
        lambda: Network([Population(3, LIF().identical(3))], []),
        lambda: Network([Source(3, 3)], []),
        lambda: Network(PARTS, [Projection("in", "a", Pairs(RAGGED, [0, 1]))]),
        lambda: Network(PARTS, [Projection("in", "a", Pairs([0, 1], [0, 1]), delay=RAGGED)]),
        lambda: Network(PARTS, [Projection("in", "a", Pairs([0], [1], Levels([0.5], index=RAGGED)))]),
        lambda: Network(PARTS, [Projection("in", "a", Dense(RAGGED, [1.0]))]),
        lambda: Convolution(RAGGED, (1, 4, 4), [1.0]),
    ],
)
def test_what_is_no_part_or_no_table_is_refused(make):
    with pytest.raises(NetworkError):
        make()


def test_delays_for_which_there_is_no_room_are_refused():
    """A million neurons, any of which may fire in each of 65,536 ticks."""
    network = Network([Source("in", 10**6), Readout("out", 1)], [Projection("in", "out", Pairs([0], [0]), delay=65535)])
    with pytest.raises(NetworkError, match=r"65,536,000,001 .*delays up to 65535"):
        simulate(network, Events([], [], [], (1, 1, 10**6)))
