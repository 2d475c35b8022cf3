"""Branches of enhanced self-distillation, and regressors: where they stand, what they are, and that they vanish."""

import numpy as np
import pytest

from eventsim import IF, LIF, MTJ
from eventsim.errors import NetworkError
from eventsim.parallel import ALONE, Workers
from eventsim.training import (
    CrossEntropy,
    Head,
    Model,
    PartialL2,
    SelfDistillation,
    Taught,
    branches,
    five_conv_1d,
    gradient,
    mlp,
    regressor,
    resnet18,
    resnet19,
    stage_ends,
    two_conv,
    vgg11,
    weights,
    with_heads,
)
from eventsim.training.linear import Conv, Dense
from eventsim.training.model import Chain
from eventsim.training.norm import BatchNorm
from eventsim.training.pooling import GlobalPool
from eventsim.training.residual import Residual
from eventsim.training.shaping import Flatten, ReLU
from eventsim.training.spiking import Spiking

UNIT = Spiking(LIF())
NARROW = 1 / 16


def blocks(head):
    """Shapes of the main convolutions of the blocks: channels in and out."""
    return [(layer.main[0].sources, layer.main[5].targets) for layer in head.layers if isinstance(layer, Residual)]


MODELS = {
    "resnet18": (resnet18(UNIT, width=NARROW), ("6", "10", "14"), [[(4, 8), (8, 16), (16, 32)], [(8, 16), (16, 32)]]),
    "resnet18, added spikes": (resnet18(UNIT, width=NARROW, add="spike"), ("4", "6", "8"), None),
    "resnet19": (resnet19(UNIT, width=NARROW), ("8", "14"), [[(8, 16), (16, 32)], [(16, 32)]]),
    "two_conv": (two_conv(UNIT, width=NARROW), ("2",), [[(8, 8)]]),
    "vgg11": (vgg11(UNIT, width=NARROW), ("2", "6", "13", "20"), [[(4, 8), (8, 16), (16, 32), (32, 32)]]),
    "five_conv_1d": (five_conv_1d(UNIT, width=0.25), ("5", "12"), [[(8, 16), (16, 16)], [(16, 16)]]),
    "mlp": (mlp((20, 12, 9, 7, 4), UNIT), ("1", "3"), [[], []]),
    "output neurons": (Model([*mlp((20, 12, 9, 4), UNIT).layers, UNIT], (20,)), ("1",), [[]]),
    "teacher": (mlp((20, 12, 9, 4), ReLU()), ("1",), [[]]),
    "chain": (
        Model([Conv(1, 2), Chain((UNIT,)), Conv(2, 3, stride=2), UNIT, Flatten(), Dense(3, 2)], (5, 5, 1)),
        ("1",),
        None,
    ),
}
every = pytest.mark.parametrize("name", MODELS)


@every
def test_stages_end_before_places_become_fewer(name):
    model, ends, _ = MODELS[name]
    assert stage_ends(model) == ends
    shapes = [model.shape_at(at) for at in ends]
    behind = [model.shape_at(str(int(at) + 1)) for at in ends]
    assert all(one != two for one, two in zip(shapes, behind, strict=True))


@every
def test_branches_judge_and_have_the_shapes_of_the_stages_to_come(name):
    model, ends, wanted = MODELS[name]
    heads = branches(model)
    assert list(heads) == [f"branch_{i + 1}" for i in range(len(ends))]
    assert tuple(head.at for head in heads.values()) == ends
    for head in heads.values():
        assert head.chain.shape(model.shape_at(head.at)) == (model.classes,)
    for head, pairs in zip(heads.values(), wanted or [], strict=False):
        assert blocks(head) == pairs


@pytest.mark.parametrize("name", ["resnet18", "resnet19", "two_conv", "vgg11", "five_conv_1d"])
def test_branches_end_in_the_shape_of_the_last_stage(name):
    model = MODELS[name][0]
    shapes = [model.shape_at(str(i)) for i, layer in enumerate(model.layers) if layer is UNIT]
    last = [shape for shape in shapes if len(shape) == len(model.inputs)][-1]
    for head in branches(model).values():
        assert Chain(head.layers[:-2]).shape(model.shape_at(head.at)) == last


def test_a_block_is_that_of_the_authors():
    model = resnet18(UNIT, width=NARROW)
    *_, block, after, pool, dense = branches(model)["branch_3"].layers
    kinds = [Conv, Conv, BatchNorm, ReLU, Conv, Conv, BatchNorm, ReLU]
    assert [type(layer) for layer in block.main] == kinds
    assert [type(layer) for layer in block.shortcut] == [Conv, BatchNorm]
    assert (type(after), type(pool), dense) == (ReLU, GlobalPool, Dense(32, 10))
    convs = [layer for layer in (*block.main, *block.shortcut) if isinstance(layer, Conv)]
    assert [(c.size, c.stride, c.groups) for c in convs] == [
        ((3, 3), 2, 16),
        ((1, 1), 1, 1),
        ((3, 3), 1, 16),
        ((1, 1), 1, 1),
        ((1, 1), 2, 1),
    ]
    assert not any(conv.bias for conv in convs)


def test_a_branch_of_rows_is_as_wide_as_the_last_stage():
    layers = branches(mlp((20, 12, 9, 7, 4), UNIT))["branch_1"].layers
    assert [type(layer) for layer in layers] == [Dense, BatchNorm, ReLU, Dense]
    assert layers[0].weight_shape == (12, 7)


def test_ends_can_be_given():
    model = resnet18(UNIT, width=NARROW)
    heads = branches(model, ["4", "18"])
    assert [head.at for head in heads.values()] == ["4", "18"]
    assert blocks(heads["branch_1"]) == [(4, 8), (8, 16), (16, 32)]
    assert blocks(heads["branch_2"]) == []
    assert blocks(branches(model, ["0"])["branch_1"]) == [(4, 8), (8, 16), (16, 32)]
    behind = branches(two_conv(UNIT, width=NARROW), ["10"])["branch_1"].layers
    assert behind[0] == Dense(72, 72, bias=False)


def esd(model):
    return with_heads(model, branches(model))


@pytest.mark.parametrize("name", ["resnet18", "two_conv", "five_conv_1d", "mlp"])
@pytest.mark.parametrize("method", ["ratebp", "bptt"])
def test_branches_teach_and_vanish(name, method):
    """The first stage learns from the branch behind it alone, in RateBP through kappa."""
    plain = MODELS[name][0]
    if name == "resnet18":
        plain = resnet18(UNIT, inputs=(8, 8, 3), width=NARROW)
    model = esd(plain)
    params = model.initial(0)
    rng = np.random.default_rng(0)
    x, labels = rng.normal(0.5, 1, (3, 2, *model.inputs)).astype(np.float32), rng.integers(0, model.classes, 3)
    objective = SelfDistillation(tuple(model.heads), alpha_final=0.0, beta=0.0)
    found = gradient(model, params, x, labels, objective, method=method)
    assert np.isfinite(found.value)
    assert found.params["0/weight"].any()
    last = str(len(plain.layers) - 1)
    assert not found.params[f"{last}/weight"].any()
    bare, own = model.bare(params)
    assert own.keys() == plain.initial(0).keys()
    assert weights(own) < weights(params)
    assert np.array_equal(bare.logits(own, x), model.logits(params, x))


@pytest.mark.parametrize("unit", [UNIT, Spiking(MTJ(), "triangle"), Spiking(IF(reset_mode="soft"))])
def test_behind_the_first_neurons_one_step_is_all_of_backpropagation(unit):
    """A branch gives every tick an equal share of its gradient: kappa is what BPTT makes of it."""
    model = esd(mlp((7, 6, 5, 4), unit))
    params, rng = model.initial(1), np.random.default_rng(2)
    params = {name: value.astype(np.float64) for name, value in params.items()}
    x, labels = rng.normal(0.5, 1, (5, 6, 7)), rng.integers(0, 4, 5)
    objective = SelfDistillation(("branch_1",), alpha_final=0.0, beta=0.0)
    one, two = (gradient(model, params, x[:, :1], labels, objective, ticks=6, method=m) for m in ("ratebp", "bptt"))
    assert one.value == two.value
    assert one.params["0/weight"].any()
    for name in one.params:
        assert one.params[name] == pytest.approx(two.params[name], rel=1e-9, abs=1e-12), name


def test_no_bit_depends_on_the_number_of_threads():
    model = esd(resnet18(UNIT, inputs=(8, 8, 3), width=1 / 8))
    params, rng = model.initial(0), np.random.default_rng(0)
    x, labels = rng.normal(0.5, 1, (16, 1, *model.inputs)).astype(np.float32), rng.integers(0, 10, 16)
    objective = SelfDistillation(tuple(model.heads))
    with Workers(2) as two:
        found = [gradient(model, params, x, labels, objective, ticks=3, workers=w) for w in (ALONE, two)]
    for name, value in found[0].params.items():
        assert np.array_equal(value, found[1].params[name]), name


def test_a_regressor_makes_maps_of_the_channels_of_a_teacher():
    model = two_conv(UNIT, inputs=(8, 8, 1), width=NARROW)
    student = with_heads(model, {"map": regressor(model, "6", 5)})
    x = np.random.default_rng(0).normal(1, 1, (3, 2, 8, 8, 1)).astype(np.float32)
    taught = Taught(np.zeros((3, 10)), {"a": np.random.default_rng(1).normal(0, 1, (3, 4, 4, 5)).astype(np.float32)})
    objective = CrossEntropy() + 0.1 * PartialL2("map", "a")
    found = gradient(student, student.initial(0), x, np.array([0, 1, 2]), objective, taught)
    assert found.params["heads/map/0/weight"].shape == (1, 1, 8, 5)
    assert found.params["heads/map/0/weight"].any()
    rows = regressor(mlp((20, 12, 4), UNIT), "1", 6)
    assert rows.chain.shape((12,)) == (6,)
    series = regressor(five_conv_1d(UNIT), "5", 6)
    assert series.chain.shape((128, 32)) == (128, 6)


def test_heads_are_added_to_those_that_are_there():
    model = mlp((20, 12, 9, 4), UNIT)
    one = with_heads(model, {"own": Head("1", (Dense(12, 2),))})
    both = with_heads(one, branches(one))
    assert list(both.heads) == ["own", "branch_1"]
    assert list(one.heads) == ["own"]
    assert not model.heads


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("no stage before", lambda: branches(mlp((20, 12, 4), UNIT))),
        ("no stage before", lambda: stage_ends(Model([Dense(20, 4)], (20,)))),
        ("ends of the stages", lambda: branches(resnet18(UNIT, width=NARROW), "6")),
        ("ends of the stages", lambda: branches(resnet18(UNIT, width=NARROW), [])),
        ("ends of the stages", lambda: branches(resnet18(UNIT, width=NARROW), ["6", "6"])),
        ("no such layer", lambda: branches(mlp((20, 12, 4), UNIT), ["9"])),
        ("no such layer", lambda: branches(mlp((20, 12, 4), UNIT), [1])),
        ("no such layer", lambda: regressor(mlp((20, 12, 4), UNIT), "9", 3)),
        ("targets", lambda: regressor(mlp((20, 12, 4), UNIT), "1", 0)),
        ("has such a head", lambda: with_heads(esd(mlp((20, 12, 9, 4), UNIT)), branches(mlp((20, 12, 9, 4), UNIT)))),
        ("no such layer", lambda: with_heads(mlp((20, 12, 4), UNIT), {"own": Head("9", (Dense(12, 2),))})),
        ("does not fit", lambda: with_heads(mlp((20, 12, 4), UNIT), {"own": Head("1", (Dense(3, 2),))})),
    ],
)
def test_what_does_not_fit_is_refused(message, make):
    with pytest.raises(NetworkError, match=message):
        make()
