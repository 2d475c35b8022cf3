"""Training learns, depends on its seed alone, and chooses by validation."""

import numpy as np
import pytest

from eventsim.errors import CacheError, ConfigError, TrainingError
from eventsim.store import fingerprint
from eventsim.training import (
    Direct,
    FitConfig,
    GaussianThreshold,
    Objective,
    accuracy,
    fit,
    load,
    mtj_mlp,
    predict,
    relu_mlp,
)


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def train(digits, model, encoder, *, epochs=6, seed=0, report=lambda epoch: None, **settings):
    config = FitConfig(epochs, batch=32, rate=5e-3, seed=seed)
    return fit(model, model.initial(seed), digits, encoder, Objective(**settings), config, report=report)


def test_a_teacher_learns(digits):
    model = relu_mlp((64, 32, 10))
    fitted = train(digits, model, Direct(), epochs=10)
    logits = predict(model, fitted.params, digits, digits.test, Direct())
    assert accuracy(logits, digits.labels[digits.test]) > 0.93


def test_a_student_learns(digits):
    model = mtj_mlp((64, 32, 10), levels=16)
    encoder = GaussianThreshold(4, seed=0)
    fitted = train(digits, model, encoder, epochs=10)
    assert fitted.history[-1].loss < fitted.history[0].loss / 2
    logits = predict(model, fitted.params, digits, digits.test, encoder)
    assert accuracy(logits, digits.labels[digits.test]) > 0.85


def test_the_seed_decides_everything(digits):
    model, encoder = mtj_mlp((64, 16, 10)), GaussianThreshold(2, seed=0)
    one, same, other = (fingerprint(**train(digits, model, encoder, epochs=2, seed=s).params) for s in (0, 0, 1))
    assert one == same != other


def test_the_best_epoch_is_the_one_that_validates_best(digits):
    seen = []
    model = relu_mlp((64, 8, 10))
    fitted = train(digits, model, Direct(), epochs=8, report=seen.append)
    assert seen == fitted.history
    best = max(epoch.validation_accuracy for epoch in seen)
    assert fitted.best.validation_accuracy == best
    logits = predict(model, fitted.params, digits, digits.validation, Direct())
    assert accuracy(logits, digits.labels[digits.validation]) == best


def test_start_is_not_changed(digits):
    model = relu_mlp((64, 8, 10))
    params = model.initial(0)
    before = fingerprint(**params)
    fit(model, params, digits, Direct(), Objective(), FitConfig(1))
    assert fingerprint(**params) == before


def test_teacher_and_student_start_from_other_numbers():
    model = relu_mlp((64, 8, 10))
    assert not np.intersect1d(model.initial(0, "teacher")["0/weight"], model.initial(0, "student")["0/weight"]).size
    assert fingerprint(**model.initial(0, "teacher")) == fingerprint(**model.initial(0, "teacher"))


def test_a_training_that_diverges_is_stopped(digits):
    model = relu_mlp((64, 8, 10))
    params = {name: value + np.float32(np.inf) for name, value in model.initial(0).items()}
    with pytest.raises(TrainingError, match="step 1, epoch 1"), np.errstate(invalid="ignore"):
        fit(model, params, digits, Direct(), Objective(), FitConfig(1))


@pytest.mark.parametrize("teacher", [np.zeros((5, 10)), np.full((1797, 10), np.inf)])
def test_logits_of_another_data_set_are_refused(digits, teacher):
    model = relu_mlp((64, 8, 10))
    with pytest.raises(CacheError, match="each of the 1797 samples"):
        fit(model, model.initial(0), digits, Direct(), Objective(alpha=1), FitConfig(1), teacher=teacher)


def test_prediction_does_not_depend_on_the_batch(digits):
    model, encoder = mtj_mlp((64, 16, 10)), GaussianThreshold(3, seed=0)
    params = model.initial(0)
    whole = predict(model, params, digits, digits.test, encoder)
    assert np.array_equal(predict(model, params, digits, digits.test, encoder, batch=7), whole)


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0},
        {"epochs": 1, "batch": 0},
        {"epochs": 1, "rate": 0},
        {"epochs": 1, "clip": 0},
        {"epochs": 1, "seed": -1},
        {"epochs": 1, "rate": np.nan},
        {"epochs": 1, "rate": 2},
        {"epochs": 2**16},
        {"epochs": 1.5},
    ],
)
def test_unusable_settings_are_refused(settings):
    with pytest.raises(ConfigError):
        FitConfig(**settings)
