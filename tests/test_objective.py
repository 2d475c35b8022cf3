"""Objectives that add up, and what they look at: outputs of layers, heads, teachers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError, DataError, NetworkError
from eventsim.training import (
    CrossEntropy,
    Direct,
    FeatureDistance,
    Head,
    Model,
    ModelTeacher,
    PartialL2,
    SoftTargets,
    SquaredError,
    Taught,
    to_network,
)
from eventsim.training.gradient import gradient
from eventsim.training.label_loss import cross_entropy
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.norm import BatchNorm
from eventsim.training.objective import Objective, Sum
from eventsim.training.pooling import AvgPool
from eventsim.training.produced import Produced, Slopes
from eventsim.training.residual import Residual
from eventsim.training.schedule import Constant, WarmUp
from eventsim.training.shaping import Flatten, ReLU
from eventsim.training.softened import kl_divergence
from tests.nets import CLASSES, batch, differences, moving, spiking
from tests.strategies import seeds

INNER = 1
"""Place of the layer that heads look at."""


def net(heads=None):
    """A small convolutional net with a head for a map, one for logits, and one behind a residual block."""
    layers = [
        Conv(2, 4, (2, 2), bias=True),
        spiking(),
        Residual([Conv(4, 4, (3, 3), padding=1), BatchNorm(4), spiking()], add="spike"),
        AvgPool(2),
        Flatten(),
        Dense(16, CLASSES),
    ]
    standard = {
        "map": Head("1", (Conv(4, 3, (1, 1)), BatchNorm(3))),
        "branch": Head("2", (Conv(4, 4, (3, 3), stride=2, padding=1), ReLU(), Flatten(), Dense(24, CLASSES))),
    }
    return Model(layers, (6, 5, 2), standard if heads is None else heads)


def taught(samples=4, seed=0):
    rng = np.random.default_rng(seed)
    maps = {"a": rng.normal(0, 1, (samples, 5, 4, 3)), "b": rng.normal(0, 1, (samples, 5, 4, 4))}
    return Taught(rng.normal(0, 2, (samples, CLASSES)), maps)


class Branch(Objective):
    """Cross-entropy of a head."""

    needs = SoftTargets().needs._replace(logits=False, outputs=frozenset(["branch"]))

    def __call__(self, produced, labels, taught=None, done=1.0):
        value, slope = cross_entropy(produced.outputs["branch"], labels)
        return value, Slopes(outputs={"branch": slope})


class EveryTick(Objective):
    """Cross-entropy of every tick."""

    needs = SoftTargets().needs._replace(logits=False, steps=True)

    def __call__(self, produced, labels, taught=None, done=1.0):
        ticks = produced.steps.shape[1]
        parts = [cross_entropy(produced.steps[:, t], labels) for t in range(ticks)]
        slope = np.stack([part[1] for part in parts], axis=1) / ticks
        return sum(part[0] for part in parts) / ticks, Slopes(steps=slope)


ALL = (
    CrossEntropy()
    + 0.7 * SoftTargets(3.0)
    + 0.5 * FeatureDistance("map", "a")
    + 0.3 * FeatureDistance("1", "b", norm="squared", rectified=False)
    + 0.4 * PartialL2("map", "a")
    + 0.6 * Branch()
)


@pytest.mark.parametrize("ticks", [1, 3])
def test_gradients_go_through_heads_and_layers_that_are_looked_at(ticks):
    """Finite differences, with smooth spikes; also by what only a head has learned."""
    model, objective, teacher = net(), ALL + 0.5 * EveryTick(), taught()
    params, (x, labels) = moving(model, 1), batch(model, 1, ticks)
    found = gradient(model, params, x, labels, objective, teacher, ticks=ticks, method="bptt", smooth=True)

    def value(moved):
        return gradient(model, moved, x, labels, objective, teacher, ticks=ticks, method="bptt", smooth=True).value

    wanted = differences(value, params, 1)
    assert wanted.keys() == found.params.keys()
    size = max(abs(slope) for _, slope, _ in wanted.values())
    for name, (way, slope, _) in wanted.items():
        assert (way * found.params[name]).sum() == pytest.approx(slope, rel=1e-5, abs=1e-6 * size), name


def test_rates_are_all_there_is_in_a_single_tick():
    model, params = net(), moving(net(), 2)
    x, labels = batch(model, 2, 1)
    one, two = (gradient(model, params, x, labels, ALL, taught(), method=method) for method in ("bptt", "ratebp"))
    assert one.value == two.value
    for name in one.params:
        assert one.params[name] == pytest.approx(two.params[name], rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("method", ["bptt", "ratebp"])
def test_a_head_without_an_objective_changes_nothing(method):
    """Its own gradient is 0, and statistics are all that it moves."""
    model = net()
    params, (x, labels) = moving(model, 3), batch(model, 3, 3)
    bare, own = model.bare(params)
    with_heads, without = (
        gradient(m, p, x, labels, CrossEntropy(), method=method) for m, p in ((model, params), (bare, own))
    )
    assert with_heads.value == without.value
    assert without.params.keys() < with_heads.params.keys()
    for name, value in with_heads.params.items():
        assert np.array_equal(value, without.params[name]) if name in without.params else not value.any()
    assert {n for n in with_heads.moved if n not in without.moved} == {"heads/map/1/mean", "heads/map/1/variance"}


def test_heads_vanish():
    model = net()
    params, (x, _) = moving(model, 4), batch(model, 4, 3)
    bare, own = model.bare(params)
    assert not bare.heads
    assert not [name for name in own if "heads" in name]
    assert np.array_equal(bare.logits(own, x), model.logits(params, x))


def test_heads_are_not_deployed_nor_asked_as_teachers():
    layers = [Dense(6, 7, grid=Grid()), spiking(), Dense(7, CLASSES, grid=Grid())]
    model = Model(layers, (6,), {"a": Head("1", (Dense(7, CLASSES),))})
    params = {name: value.astype(np.float32) for name, value in model.initial(0).items()}
    bare, own = model.bare(params)
    one, two = to_network(model, params), to_network(bare, own)
    assert [p.size for p in one.populations] == [p.size for p in two.populations]
    asked = ModelTeacher(model, params, Direct())
    assert asked.fingerprint == ModelTeacher(bare, own, Direct()).fingerprint
    assert asked.params.keys() == own.keys()


@pytest.mark.parametrize("method", ["ratebp", "bptt", "dsr"])
def test_neurons_in_a_head_learn_and_are_watched(method):
    head = Head("1", (Dense(7, 5), spiking(), Dense(5, CLASSES)))
    model = Model([Dense(6, 7), spiking(), Dense(7, CLASSES)], (6,), {"branch": head})
    params, (x, labels) = moving(model, 0), batch(model, 0, 4)
    found = gradient(model, params, x, labels, CrossEntropy() + Branch(), method=method)
    assert "heads/branch/1" in found.rates
    assert found.params["heads/branch/0/weight"].any()


def test_the_slope_of_a_mean_reaches_every_tick():
    """In RateBP the gradient by a layer's mean output is that by its rate."""
    model = net({})
    params, (x, labels) = moving(model, 5), batch(model, 5, 4)
    objective = 0.3 * FeatureDistance("1", "b", norm="squared")
    found = gradient(model, params, x, labels, objective, taught(), method="ratebp").params
    assert found["0/weight"].any()
    assert not any(found[name].any() for name in found if not name.startswith("0/"))


def produced(seed, samples=3):
    rng = np.random.default_rng(seed % 2**32)
    logits = rng.normal(0, 2, (samples, CLASSES))
    return Produced(logits, logits[:, None], {}), rng.integers(0, CLASSES, samples)


@given(seeds(), st.floats(0, 3), st.floats(0, 3), st.floats(0.1, 9))
def test_objectives_add_up(seed, one, two, temperature):
    student, labels = produced(seed)
    teacher = Taught(np.random.default_rng(1).normal(0, 2, student.logits.shape))
    objective = one * CrossEntropy() + two * SoftTargets(temperature)
    value, slopes = objective(student, labels, teacher)
    first, second = cross_entropy(student.logits, labels), kl_divergence(student.logits, teacher.logits, temperature)
    assert value == pytest.approx(one * first[0] + two * second[0])
    slope = np.zeros_like(student.logits) if slopes.logits is None else slopes.logits
    assert slope == pytest.approx(one * first[1] + two * second[1])


@given(seeds(), st.floats(0.1, 20))
def test_a_gain_is_a_factor_of_the_outputs(seed, gain):
    student, labels = produced(seed)
    teacher = Taught(np.random.default_rng(2).normal(0, 2, student.logits.shape))
    louder = student._replace(logits=gain * student.logits)
    for scaled, plain in ((CrossEntropy(gain), CrossEntropy()), (SoftTargets(2.0, gain), SoftTargets(2.0))):
        value, slopes = scaled(student, labels, teacher)
        wanted = plain(louder, labels, teacher)
        assert value == pytest.approx(wanted.value)
        assert slopes.logits == pytest.approx(gain * wanted.slopes.logits)


def test_sums_are_flat_and_weights_need_what_their_objective_needs():
    both = CrossEntropy() + 0.5 * SoftTargets() + SquaredError()
    assert isinstance(both, Sum)
    assert len((both + both).terms) == 6
    assert both.needs.logits
    assert not (CrossEntropy() + 0 * SoftTargets()).needs.teacher


def test_a_ramp_goes_along_with_the_training():
    student, labels = produced(0)
    ramped = (2.0 * CrossEntropy()).ramped(WarmUp(Constant(), 0.5))
    full = CrossEntropy()(student, labels).value
    assert ramped(student, labels, None, 0.25).value == pytest.approx(full)
    assert ramped(student, labels, None, 0.9).value == pytest.approx(2 * full)


@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, "1", True, None])
def test_weights_that_are_not_usable_are_refused(weight):
    with pytest.raises((ConfigError, TypeError)):
        _ = weight * CrossEntropy()


@pytest.mark.parametrize(
    "make",
    [
        lambda: SoftTargets(0),
        lambda: SoftTargets(-1.0),
        lambda: SoftTargets(np.nan),
        lambda: SoftTargets(gain=0),
        lambda: SoftTargets(direction="sideways"),
        lambda: CrossEntropy(gain=-1),
        lambda: CrossEntropy(smoothing=1),
        lambda: CrossEntropy(smoothing="0.1"),
        lambda: FeatureDistance("1", "a", norm="taxi"),
        lambda: FeatureDistance("1", "a", scale=0),
        lambda: CrossEntropy() + 3,
    ],
)
def test_options_that_are_not_usable_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def call(objective, teacher=None, *, model=None, method="bptt"):
    model = model or net()
    params, (x, labels) = moving(model, 0), batch(model, 0, 3)
    return gradient(model, params, x, labels, objective, teacher, method=method)


@pytest.mark.parametrize(
    ("kind", "message", "objective", "teacher", "method"),
    [
        (ConfigError, "do not fit together", SoftTargets(), None, "bptt"),
        (ConfigError, "do not fit together", CrossEntropy(), taught(), "bptt"),
        (ConfigError, "every tick", EveryTick(), None, "ratebp"),
        (ConfigError, "no features of layer c", FeatureDistance("map", "c"), taught(), "bptt"),
        (ConfigError, "not usable", "cross entropy", None, "bptt"),
        (NetworkError, "no such layer", FeatureDistance("9", "a"), taught(), "bptt"),
        (NetworkError, "no such layer", FeatureDistance("lost", "a"), taught(), "bptt"),
        (DataError, "maps of student and teacher", FeatureDistance("map", "b"), taught(), "bptt"),
        (DataError, "features a of the teacher", FeatureDistance("map", "a"), taught(samples=3), "bptt"),
        (DataError, "logits of the teacher", SoftTargets(), Taught(np.full((4, CLASSES), np.nan)), "bptt"),
        (DataError, "logits of the teacher", SoftTargets(), Taught(np.zeros((4, CLASSES + 1))), "bptt"),
    ],
)
def test_what_does_not_fit_together_is_refused(kind, message, objective, teacher, method):
    with pytest.raises(kind, match=message):
        call(objective, teacher, method=method)


@pytest.mark.parametrize(
    ("message", "heads"),
    [
        ("no such layer", {"one": Head("7", (Flatten(),))}),
        ("no such layer", {"one": Head("2/main/0", (Flatten(),))}),
        ("does not fit", {"one": Head("1", (Dense(3, 2),))}),
        ("head is not usable", {"a/b": Head("1", (Flatten(),))}),
        ("head is not usable", {"one": Head("1", 5)}),
        ("head is not usable", {"one": 5}),
        ("head is not usable", {1: Head("1", ())}),
    ],
)
def test_heads_that_do_not_fit_are_refused(message, heads):
    with pytest.raises(NetworkError, match=message):
        net(heads)
