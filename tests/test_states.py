"""States of networks: what a run leaves is gone on from, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import (
    IF,
    LIF,
    MTJ,
    DomainWall,
    Events,
    FixedFanOut,
    Network,
    NetworkState,
    Oscillator,
    Population,
    Projection,
    Record,
    Source,
    TaperedDomainWall,
    Variation,
    simulate,
)
from eventsim.errors import NetworkError
from eventsim.kernels.neuron import OSCILLATOR
from eventsim.state import check
from tests.network_oracle import SELF_FIRING, networks, spikes
from tests.test_connections import bursts, large, run
from tests.test_runs import assert_identical, waiting


def lists(net, state):
    """Where the lists of spikes of a state are in ``fired`` and how long: [((sample, slot, block), begin, length)]."""
    out, number = [], state.arrays["n_fired"]
    for pop in net.populations:
        for k in range(pop["first_block"], pop["first_block"] + pop["blocks"]):
            for sample, slot in np.ndindex(len(number), int(pop["slots"])):
                begin = pop["ring"] + slot * pop["size"] + net.blocks["first"][k] - pop["start"]
                out.append(((sample, slot, k), int(begin), int(number[sample, slot, k])))
    return out


def left_alone(net, state):
    """Sample and neuron of those in blocks that are not swept."""
    waits, swept = net.blocks["waits"], state.arrays["activity"]["swept"]
    return [
        (sample, j)
        for sample, k in np.ndindex(swept.shape)
        if waits[k] and not swept[sample, k]
        for j in range(net.blocks["first"][k], net.blocks["last"][k])
    ]


def damages(net, state, rng):
    """Values that no run leaves: [(array, field, place, value)]."""
    arrays, tick = state.arrays, state.tick
    sample, neuron = int(rng.integers(state.samples)), int(rng.integers(len(net.rest)))
    hold = int(np.repeat(net.populations["hold"], net.populations["size"])[neuron])
    block = int(rng.integers(len(net.blocks)))
    (_, slot, k), begin, length = lists(net, state)[rng.integers(len(lists(net, state)))]
    size = int(net.blocks["last"][k] - net.blocks["first"][k])
    kind, soft = (np.repeat(net.populations[name], net.populations["size"])[neuron] for name in ("kind", "soft"))
    out = [("x", None, (sample, neuron), value) for value in (np.nan, np.inf, -np.inf)]
    out = [] if kind == OSCILLATOR and soft else out
    out += [("wait", None, (sample, neuron), value) for value in (-1, hold + 1, 2**31 - 1, -(2**31))]
    out += [("activity", "swept", (sample, block), value) for value in (-1, 2, 2**62)]
    out += [("activity", "load", (sample, block), value) for value in (-1, 2**62)]
    out += [("n_fired", None, (sample, slot, k), value) for value in (-1, size + 1, 2**62, -(2**63))]
    slots = np.repeat(net.populations["slots"], net.populations["blocks"])
    out += [("n_fired", None, (sample, slots[k], k), 1)] if slots[k] < len(arrays["n_fired"][0]) else []
    some = [one for one in lists(net, state) if one[2]]
    if some:
        (sample, _, k), begin, length = some[rng.integers(len(some))]
        pop = net.populations[np.searchsorted(net.populations["first_block"], k, side="right") - 1]
        first, last = (int(net.blocks[end][k] - pop["start"]) for end in ("first", "last"))
        at = begin + int(rng.integers(length))
        out += [("fired", None, (sample, at), value) for value in (first - 1, last, 2**31 - 1, -(2**31))]
        out.append(("fired", None, (sample, begin), first - 1))
        if length > 1:
            out.append(("fired", None, (sample, begin), arrays["fired"][sample, begin + 1]))
            out.append(("fired", None, (sample, begin + length - 1), first))
    alone = left_alone(net, state)
    if alone:
        at = alone[rng.integers(len(alone))]
        out += [("last", None, at, value) for value in (tick, -2, 2**62, -(2**63))]
        out += [("waiting", "due", at, value) for value in (tick - 1, -2, -(2**63))]
    return out


def damaged(state, array, field, place, value):
    """A state with another value somewhere."""
    arrays = {name: values.copy() for name, values in state.arrays.items()}
    (arrays[array] if field is None else arrays[array][field])[place] = value
    return NetworkState(state.tick, arrays)


def with_rubbish(net, state, rng):
    """A state with anything in the places that are not read."""
    arrays = {name: values.copy() for name, values in state.arrays.items()}
    used = np.zeros(arrays["fired"].shape, bool)
    for (sample, _, _), begin, length in lists(net, state):
        used[sample, begin : begin + length] = True
    arrays["fired"][~used] = rng.integers(-(2**31), 2**31, np.count_nonzero(~used))
    unread = np.ones(arrays["waiting"].shape, bool)
    for at in left_alone(net, state) if unread.size else []:
        unread[at] = False
    for values in (arrays["last"], arrays["waiting"]["due"]):
        values[unread] = rng.integers(-(2**62), 2**62, np.count_nonzero(unread))
    for field in ("after", "ahead"):
        arrays["waiting"][field] = rng.integers(-(2**62), 2**62, unread.shape)
    return NetworkState(state.tick, arrays)


@given(st.data(), st.booleans(), st.sampled_from(["single", "double"]))
def test_states_that_no_run_leaves_are_refused(data, lazy, precision):
    network, events = data.draw(waiting()) if lazy else (data.draw(networks()), None)
    events = data.draw(spikes(network)) if events is None else events
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    net = network.arrays(np.float32 if precision == "single" else np.float64)
    ticks, at = events["in"].shape[1], data.draw(st.integers(1, events["in"].shape[1] - 1))
    early, late = ({name: part.in_ticks(*cut) for name, part in events.items()} for cut in ((0, at), (at, ticks)))
    state = run(network, early, precision=precision).state
    whole = run(network, late, state=state, precision=precision)
    assert_identical(run(network, late, state=with_rubbish(net, state, rng), precision=precision), whole)
    for one in damages(net, state, rng):
        with pytest.raises(NetworkError, match=rf"(?s)no run leaves.*given: +{one[0]}.*Record\(state=True\)"):
            check(net, damaged(state, *one), state.samples)


@pytest.mark.parametrize("reset_mode", ["hard", "soft"])
@pytest.mark.parametrize("precision", ["single", "double"])
@pytest.mark.parametrize("neuron", [MTJ(), SELF_FIRING, LIF(), IF(), DomainWall(), TaperedDomainWall(), Oscillator()])
def test_states_under_extreme_drive_are_known(neuron, reset_mode, precision):
    rng = np.random.default_rng(0)
    bias = np.concatenate([[1e6, -1e6, 0], 10 ** rng.uniform(-6, 6, 150), -(10 ** rng.uniform(-6, 6, 150))])
    for refractory, c2c in ((0, {}), (0, {"threshold": 0.05, "gain": 0.2}), (3, {"gain": 0.2})):
        varied = replace(neuron, reset_mode=reset_mode, refractory=refractory)
        devices = varied.draw(bias.size, Variation(gain=0.1, c2c=c2c), seed=1, name="a")
        ends = [Source("in", 1), Population("a", devices, bias.astype(np.float32))]
        network = Network(ends, [Projection("in", "a", FixedFanOut(100, rng.choice([3.0, 1e4, -1e4]), 1))])
        state = None
        for ticks in (1, 7, 60):
            events = Events.from_frames(rng.random((2, ticks, 1)) < 0.1)
            state = simulate(network, events, state=state, record=Record(state=True), precision=precision).state
        check(network.arrays(np.float32 if precision == "single" else np.float64), state, 2)


@pytest.mark.parametrize("update", ["auto", "lazy", "sweep"])
def test_states_of_large_networks_are_known(update):
    """Several blocks in a population, of which some are left alone."""
    network, given = large(LIF(tau=5.0), update), bursts(5000, 100, samples=2)
    net, rng, seen = network.arrays(np.float32), np.random.default_rng(0), set()
    assert net.populations["blocks"].max() > 1
    for at in (1, 2, 7, 60, 75):
        state = run(network, {"in": given.in_ticks(0, at)}).state
        check(net, state, 2)
        seen |= set(state.arrays["activity"]["swept"][:, net.blocks["waits"] != 0].ravel().tolist())
        for one in damages(net, state, rng):
            with pytest.raises(NetworkError, match="no run leaves"):
                check(net, damaged(state, *one), 2)
    assert seen == (set() if update == "sweep" else {0, 1})
