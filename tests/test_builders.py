import numpy as np
import pytest

from eventsim import LIF, MTJ
from eventsim.errors import NetworkError
from eventsim.training.builders import mlp, mtj_mlp, relu_mlp, weights
from eventsim.training.convnets import five_conv_1d, six_conv, two_conv, vgg11
from eventsim.training.linear import Dense, Grid
from eventsim.training.pooling import MaxPool
from eventsim.training.resnets import resnet18, resnet19, wide_resnet16
from eventsim.training.shaping import ReLU
from eventsim.training.spiking import Spiking

COUNTS = {
    two_conv: 7_385_984,  # Xu et al. print 7.39 M
    vgg11: 9_752_640,  # 9.75 M
    resnet18: 11_173_952,  # 11.17 M
    wide_resnet16: 692_112,  # 0.69 M
    resnet19: 12_697_728,
    six_conv: 814_304,
    five_conv_1d: 105_456,
}


@pytest.mark.parametrize("build", COUNTS, ids=lambda build: build.__name__)
def test_models_have_the_published_number_of_weights(build):
    params = build(ReLU()).initial(0)
    assert weights(params) == COUNTS[build]
    assert {name: value.shape for name, value in params.items()} == {
        name: value.shape for name, value in build(Spiking(MTJ()), grid=Grid(16)).initial(0).items()
    }


@pytest.mark.parametrize("build", COUNTS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("unit", [Spiking(LIF()), ReLU()], ids=["student", "teacher"])
def test_narrow_models_compute(build, unit):
    inputs = {five_conv_1d: (40, 2), two_conv: (9, 8, 1)}.get(build, (33, 32, 2))
    width = 0.5 if build is wide_resnet16 else 1 / 32
    model = build(unit, inputs=inputs, classes=3, width=width, grid=Grid())
    x = np.random.default_rng(0).random((2, 1, *inputs)).astype(np.float32)
    logits = model.logits(model.initial(0), x, ticks=3)
    assert logits.shape == (2, 3)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("build", [resnet18, resnet19, wide_resnet16])
def test_blocks_may_add_spikes(build):
    assert weights(build(ReLU(), add="spike").initial(0)) == COUNTS[build]


@pytest.mark.parametrize("build", [resnet18, resnet19, wide_resnet16])
def test_a_stem_may_halve_the_places(build):
    model = build(ReLU(), stride=2)
    assert weights(model.initial(0)) == COUNTS[build]
    assert model.shape_at("0")[:2] == (16, 16)


def test_pooling_may_take_the_maximum():
    pools = [layer for layer in vgg11(ReLU(), pool="max").layers if isinstance(layer, MaxPool)]
    assert len(pools) == 5


def test_sizes_of_hidden_layers_are_scaled():
    model = mlp((20, 30, 40, 5), ReLU(), width=0.5)
    assert [layer.targets for layer in model.layers[::2]] == [15, 20, 5]
    assert weights(mlp((20, 5), ReLU()).initial(0)) == 105


def test_the_short_forms_are_the_long_one():
    assert [type(layer) for layer in relu_mlp((4, 3, 2)).layers] == [Dense, ReLU, Dense]
    model = mtj_mlp((4, 3, 2), levels=8)
    assert [layer.grid for layer in model.layers[::2]] == [Grid(8)] * 2


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"unit": ReLU}, "unit"),
        ({"unit": MTJ()}, "unit"),
        ({"unit": ReLU(), "width": 0}, "width"),
        ({"unit": ReLU(), "width": np.nan}, "width"),
        ({"unit": ReLU(), "pool": "mean"}, "pooling"),
        ({"unit": ReLU(), "inputs": (3, 3, 1)}, "does not fit"),
        ({"unit": ReLU(), "classes": 10.5}, "targets"),
        ({"unit": ReLU(), "width": "1"}, "width"),
        ({"unit": ReLU(), "inputs": (28, 28)}, r"(?s)\(height, width, channels\).*inputs=\(28, 28, 1\)"),
        ({"unit": ReLU(), "inputs": 28}, "inputs"),
        ({"unit": ReLU(), "inputs": (28, 28.0, 1)}, "inputs"),
    ],
)
def test_unusable_models_are_refused(arguments, what):
    with pytest.raises(NetworkError, match=what):
        two_conv(**arguments)


@pytest.mark.parametrize(
    ("build", "inputs", "form"),
    [
        (five_conv_1d, (128,), r"(?s)\(length, channels\).*inputs=\(128, 1\)"),
        (five_conv_1d, (28, 28, 1), r"\(length, channels\)"),
        (resnet18, (32, 32), r"(?s)\(height, width, channels\).*inputs=\(32, 32, 1\)"),
        (vgg11, (784,), r"\(height, width, channels\)"),
    ],
)
def test_samples_of_other_axes_are_refused(build, inputs, form):
    with pytest.raises(NetworkError, match=form):
        build(ReLU(), inputs=inputs)


@pytest.mark.parametrize(
    ("sizes", "unit"),
    [
        ((4,), ReLU()),
        ((4, 0, 2), ReLU()),
        ((4, 3, 2), [ReLU(), ReLU()]),
        ((784, 100.7, 10), ReLU()),
        ((4, True, 2), ReLU()),
        (("4", 3, 2), ReLU()),
        (4, ReLU()),
        (None, ReLU()),
    ],
)
def test_sizes_that_make_no_network_are_refused(sizes, unit):
    with pytest.raises(NetworkError, match="sizes"):
        mlp(sizes, unit)
