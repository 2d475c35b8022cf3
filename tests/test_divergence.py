"""A training that is no longer finite stops, and says where."""

from dataclasses import replace

import numpy as np
import pytest

from eventsim.errors import NetworkError, TrainingError
from eventsim.training import (
    SGD,
    Adam,
    CrossEntropy,
    Direct,
    FitConfig,
    SquaredError,
    fit,
    load,
    relu_mlp,
)
from eventsim.training.divergence import blamed
from eventsim.training.layer import Mode
from eventsim.training.schedule import Constant
from tests.training_cases import conv_net, metrics


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def diverges(digits, model, params, message, *, encoder=None, gain=1.0):
    with pytest.raises(TrainingError, match=message):
        fit(model, params, digits, encoder or Direct(), CrossEntropy(gain), FitConfig(2))


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("name", ["0/weight", "1/mean", "5/bias"])
def test_no_training_begins_with_parameters_that_are_not_finite(digits, tmp_path, name, value):
    """Spikes would hide some of them: neurons that run away fire."""
    model = conv_net()
    params = model.initial(0)
    params[name].flat[0] = value
    with pytest.raises(NetworkError, match=f"(?s)start are not finite.*{name}"):
        fit(model, params, digits, Direct(2), CrossEntropy(), FitConfig(2), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "message"), [("0/weight", "0 (Conv), whose weight"), ("1/mean", "1 (BatchNorm), whose mean")]
)
def test_parameters_that_are_not_finite_any_more_are_named(name, message):
    model = conv_net()
    params = model.initial(0)
    params[name].flat[0] = np.nan
    x = model.signal(np.zeros((1, 1, 64), np.float32))
    assert blamed(model, params, None, {}, x, Mode()) == f"layer {message} is not finite"


def test_an_output_that_overflows(digits):
    model = relu_mlp((64, 8, 8, 10))
    params = model.initial(0)
    params["0/weight"][:] = 1e20
    params["2/weight"][:] = 1e20
    diverges(digits, model, params, r"layer 2 \(Dense\), whose output is not finite")


def test_a_gradient_that_overflows(digits):
    """Hidden units that are silent hide huge weights from the forward pass, not from the backward pass."""
    model = relu_mlp((64, 8, 10))
    params = model.initial(0)
    params["0/bias"][:] = -1e3
    params["2/weight"][:] = 3e38 * (-1.0) ** np.arange(10)
    message = r"layer 0 \(Dense\), whose gradient by (weight|bias) is not finite"
    diverges(digits, model, params, message, gain=1e4)


def test_a_slot_of_the_optimiser_that_overflows(digits):
    """The square of a gradient is infinite where the gradient is not: Adam would not move that weight ever again."""
    model, large = relu_mlp((64, 10)), replace(digits, x=1e22 * digits.x)
    diverges(large, model, model.initial(0), r"(?s)step 1,.*layer 0 \(Dense\), whose square of weight in the optimiser")


@pytest.mark.parametrize(("optimiser", "slot"), [(SGD(), "velocity"), (Adam(), "mean"), (Adam(), "square")])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_every_slot_is_named(optimiser, slot, value):
    model = relu_mlp((4, 3, 2))
    params = model.initial(0)
    state = optimiser.start(params)
    state.slots[slot]["2/bias"][1] = value
    x = model.signal(np.zeros((1, 1, 4), np.float32))
    found = blamed(model, params, state, params, x, Mode())
    assert found == f"layer 2 (Dense), whose {slot} of bias in the optimiser is not finite"


def test_the_checkpoint_before_stays(digits, tmp_path):
    """Least squares, stepped so far that the error grows from step to step."""
    model = relu_mlp((64, 10))
    config = FitConfig(20, rate=1, optimiser=SGD(), schedule=Constant(), checkpoint_every=1)
    large = replace(digits, x=1.5 * digits.x)
    given = (model, model.initial(0), large, Direct(), SquaredError(), config)
    with pytest.raises(TrainingError, match=r"(?s)diverged in step \d+, epoch [2-9].*clip=1.0") as first:
        fit(*given, folder=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"checkpoint.h5", "metrics.jsonl"}
    assert metrics(tmp_path)
    with pytest.raises(TrainingError) as again:
        fit(*given, folder=tmp_path)
    assert str(again.value) == str(first.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
