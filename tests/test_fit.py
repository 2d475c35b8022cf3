"""Training learns, depends on its seed alone, and chooses by validation."""

import math
import re
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from eventsim import LIF, MTJ
from eventsim.errors import CacheError, ConfigError, DataError, NetworkError
from eventsim.parallel import Workers, cores
from eventsim.store import fingerprint
from eventsim.training import (
    SGD,
    AdamW,
    CrossEntropy,
    Direct,
    FiringWarning,
    FitConfig,
    GaussianThreshold,
    LogitsTeacher,
    Model,
    Online,
    SoftTargets,
    accuracy,
    fit,
    load,
    mtj_mlp,
    predict,
    relu_mlp,
)
from eventsim.training.augment import Flip, Shift
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.monitor import TIMES
from eventsim.training.pooling import AvgPool
from eventsim.training.schedule import Constant, OneCycle
from eventsim.training.shaping import Flatten
from eventsim.training.spiking import Spiking
from tests.training_cases import conv_net, every_setting, without_times

MANY = pytest.mark.skipif(cores() < 2, reason="one core")


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def train(digits, model, encoder, *, epochs=6, seed=0, report=lambda epoch: None):
    config = FitConfig(epochs, batch=32, rate=5e-3, seed=seed)
    return fit(model, model.initial(seed), digits, encoder, CrossEntropy(), config, report=report)


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
    fit(model, params, digits, Direct(), CrossEntropy(), FitConfig(1))
    assert fingerprint(**params) == before


def test_teacher_and_student_start_from_other_numbers():
    model = relu_mlp((64, 8, 10))
    assert not np.intersect1d(model.initial(0, "teacher")["0/weight"], model.initial(0, "student")["0/weight"]).size
    assert fingerprint(**model.initial(0, "teacher")) == fingerprint(**model.initial(0, "teacher"))


def test_a_teacher_of_other_classes_than_the_model_is_refused(digits):
    model = relu_mlp((64, 8, 12))
    teacher = Online(LogitsTeacher(digits.x[:, :10]), digits)
    with pytest.raises(CacheError, match=r"(?s)do not fit the model.*10 logits of digits for a model of 12 classes"):
        fit(
            model,
            model.initial(0),
            digits,
            Direct(),
            CrossEntropy() + 1 * SoftTargets(1.0),
            FitConfig(1),
            teacher=teacher,
        )


def test_prediction_does_not_depend_on_the_batch(digits):
    model, encoder = mtj_mlp((64, 16, 10)), GaussianThreshold(3, seed=0)
    params = model.initial(0)
    whole = predict(model, params, digits, digits.test, encoder)
    assert np.array_equal(predict(model, params, digits, digits.test, encoder, batch=7), whole)


@MANY
def test_no_bit_depends_on_the_threads(digits, monkeypatch):
    monkeypatch.setattr("eventsim.parallel._WORTH", 0)
    model, config = conv_net(), every_setting(2)
    one, two = (fit(model, model.initial(0), digits, Direct(2), CrossEntropy(), config, threads=n) for n in (1, 2))
    assert fingerprint(**one.params) == fingerprint(**two.params)
    assert without_times(one.history) == without_times(two.history)
    with Workers(2) as workers:
        logits = predict(model, two.params, digits, digits.test, Direct(2), workers=workers)
    assert np.array_equal(logits, predict(model, one.params, digits, digits.test, Direct(2), batch=100))


@pytest.mark.parametrize(
    "changed",
    [
        {"optimiser": AdamW(decay=0.5)},
        {"schedule": OneCycle()},
        {"clip": 0.1},
        {"average": 0.99},
        {"augment": [Shift(1)]},
        {"seed": 1},
        {"method": "bptt"},
        {"scale": "author", "optimiser": AdamW(epsilon=1e-3)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_setting_is_heard(digits, changed):
    model, plain = mtj_mlp((64, 16, 10)), FitConfig(2, rate=5e-3)
    encoder = GaussianThreshold(2, seed=0)
    params = [
        fit(model, model.initial(0), digits, encoder, CrossEntropy(), config).params
        for config in (plain, replace(plain, **changed))
    ]
    assert fingerprint(**params[0]) != fingerprint(**params[1])


def test_validation_and_result_are_of_the_average(digits):
    model = relu_mlp((64, 8, 10))
    fitted = fit(model, model.initial(0), digits, Direct(), CrossEntropy(), FitConfig(1, rate=0.02, average=1.0))
    start = predict(model, model.initial(0), digits, digits.validation, Direct())
    mine = predict(model, fitted.params, digits, digits.validation, Direct())
    assert accuracy(mine, digits.labels[digits.validation]) == fitted.best.validation_accuracy
    assert fitted.best.validation_accuracy > accuracy(start, digits.labels[digits.validation])  # the start is forgotten


def test_patience_ends_a_training(digits):
    model = relu_mlp((64, 8, 10))
    config = FitConfig(30, rate=1e-9, patience=2, schedule=Constant())
    fitted = fit(model, model.initial(0), digits, Direct(), CrossEntropy(), config)
    assert len(fitted.history) == 3
    accuracies = [epoch.validation_accuracy for epoch in fitted.history]
    assert accuracies == accuracies[:1] * 3
    assert fitted.best.epoch == 3


def test_the_last_epoch_is_kept_where_it_is_asked_for(digits):
    """At a rate that is too high, the last epoch is not the one that validates best."""
    model = relu_mlp((64, 8, 10))
    config = FitConfig(6, rate=0.5, schedule=Constant(), optimiser=SGD(momentum=0.9))
    kept = {}
    for keep in ("best", "last"):
        found = fit(model, model.initial(0), digits, Direct(), CrossEntropy(), replace(config, keep=keep))
        logits = predict(model, found.params, digits, digits.validation, Direct())
        assert accuracy(logits, digits.labels[digits.validation]) == found.best.validation_accuracy
        kept[keep] = found
    curve = [epoch.validation_accuracy for epoch in kept["last"].history]
    assert curve == [epoch.validation_accuracy for epoch in kept["best"].history]
    assert kept["last"].best.epoch == 6
    assert kept["best"].best.validation_accuracy == max(curve) > curve[-1]


def test_an_epoch_says_what_was_watched(digits):
    model, config = mtj_mlp((64, 16, 10)), FitConfig(2, rate=5e-3, schedule=Constant())
    fitted = fit(model, model.initial(0), digits, GaussianThreshold(2, seed=0), CrossEntropy(), config)
    for number, epoch in enumerate(fitted.history, 1):
        assert epoch.epoch == number
        assert epoch.learning_rate == 5e-3
        assert epoch.gradient_norm > 0
        assert 1e-3 < epoch.firing_rates["1"] < 0.95
        assert epoch.seconds > 0
        assert epoch.samples_per_second * epoch.seconds > len(digits.train)
        assert set(epoch._asdict()) - set(epoch.numbers()) == set(TIMES)


@pytest.mark.parametrize(("bias", "word"), [(-10.0, "dead"), (10.0, "saturated")])
@pytest.mark.parametrize("kept", [False, True])
def test_a_layer_that_says_nothing_is_named_once(digits, tmp_path, bias, word, kept):
    model = mtj_mlp((64, 16, 10), neuron=MTJ())
    params = model.initial(0)
    params["0/bias"] += np.float32(bias)
    folder, where = (tmp_path, f", in {re.escape(str(tmp_path))}") if kept else (None, "")
    config, encoder = FitConfig(3, rate=1e-6), GaussianThreshold(2, seed=0)
    with pytest.warns(FiringWarning, match=f"layer 1 is {word}: .*, epoch 1{where}$") as seen:
        fitted = fit(model, params, digits, encoder, CrossEntropy(), config, folder=folder)
    assert len(seen) == 1
    assert [len(epoch.warnings) for epoch in fitted.history] == [1, 0, 0]
    assert word in fitted.history[0].warnings[0]


def test_a_bar_is_drawn_if_it_is_asked_for(digits, capsys):
    model = relu_mlp((64, 8, 10))
    for progress in (False, True):
        fit(model, model.initial(0), digits, Direct(), CrossEntropy(), FitConfig(1), progress=progress)
        shown = capsys.readouterr()
        assert not shown.out
        assert ("897/897" in shown.err) == ("samples/s" in shown.err) == progress


def test_a_data_set_without_validation_is_refused(digits):
    model = relu_mlp((64, 8, 10))
    with pytest.raises(DataError, match="no sample in split validation"):
        fit(
            model, model.initial(0), replace(digits, validation=digits.test[:0]), Direct(), CrossEntropy(), FitConfig(1)
        )


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
        {"epochs": 1, "clip": np.inf},
        {"epochs": 1, "average": 1.1},
        {"epochs": 1, "method": "stdp"},
        {"epochs": 1, "scale": "other"},
        {"epochs": 1, "optimiser": AdamW},
        {"epochs": 1, "optimiser": "adam"},
        {"epochs": 1, "schedule": OneCycle},
        {"epochs": 1, "schedule": lambda done: None},
        {"epochs": 1, "schedule": lambda done: 1.0 - 2 * done},
        {"epochs": 1, "schedule": lambda done: 1e10},
        {"epochs": 1, "schedule": lambda done: np.nan},
        {"epochs": 1, "augment": Shift(1)},
        {"epochs": 1, "augment": [Flip(), Flip()]},
        {"epochs": 1, "patience": 0},
        {"epochs": 3, "keep": "first"},
        {"epochs": 3, "keep": "last", "patience": 1},
        {"epochs": 1, "checkpoint_every": 0},
    ],
)
def test_unusable_settings_are_refused(settings):
    with pytest.raises(ConfigError):
        FitConfig(**settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", None),
        ("params", [1.0]),
        ("dataset", (np.zeros((4, 64)), np.zeros(4))),
        ("encoder", Direct),
        ("encoder", None),
        ("objective", "cross entropy"),
        ("config", {"epochs": 1}),
        ("teacher", "cache.h5"),
        ("folder", 5),
        ("report", None),
    ],
)
def test_arguments_that_are_something_else_are_refused(digits, name, value):
    model = relu_mlp((64, 10))
    given = {
        "model": model,
        "params": model.initial(0),
        "dataset": digits,
        "encoder": Direct(),
        "objective": CrossEntropy(),
        "config": FitConfig(1),
    }
    with pytest.raises(ConfigError, match=name):
        fit(**{**given, name: value})


def test_a_step_is_tried_before_the_first_one(digits, tmp_path):
    """Sums of many counts can be too large for their grid, which shapes alone do not show."""

    def net(channels):
        wide = [Conv(1, channels, padding=1), Spiking(LIF()), AvgPool(8), Flatten()]
        return Model([*wide, Dense(channels, 10, grid=Grid(8192))], (8, 8, 1))

    for channels, fits in ((16, nullcontext()), (64, pytest.raises(NetworkError, match="not exact"))):
        model, folder = net(channels), tmp_path / str(channels)
        with fits:
            fit(model, model.initial(0), digits, Direct(2), CrossEntropy(), FitConfig(1), folder=folder)
    assert not (tmp_path / "64").exists()


@pytest.mark.parametrize("schedule", [lambda done: 1.0, math.cos, partial(max, 0.5)], ids=["lambda", "cos", "partial"])
def test_what_cannot_be_gone_on_with_is_not_begun(digits, tmp_path, schedule):
    """A training with a function could not tell it from another one when it is to go on."""
    model, config = relu_mlp((64, 10)), FitConfig(1, schedule=schedule)
    fit(model, model.initial(0), digits, Direct(), CrossEntropy(), config)
    with pytest.raises(ConfigError, match="dataclass"):
        fit(model, model.initial(0), digits, Direct(), CrossEntropy(), config, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "given",
    [{"ids": [0.5]}, {"ids": [-1]}, {"ids": [10**6]}, {"ids": [[0]]}, {"ids": []}, {"batch": 0}, {"batch": 2.5}],
    ids=str,
)
def test_samples_that_are_none_are_not_predicted(digits, given):
    model = relu_mlp((64, 10))
    with pytest.raises((DataError, ConfigError)):
        predict(model, model.initial(0), digits, **{"ids": digits.test, "encoder": Direct(), **given})


@pytest.mark.parametrize("shapes", [((0, 3), 0), ((4, 3), 1), ((4, 3), ()), ((4,), 4), ((4, 0), 4)], ids=str)
def test_an_accuracy_needs_a_row_of_logits_for_each_label(shapes):
    logits, labels = (np.zeros(shape, int) for shape in shapes)
    with pytest.raises(DataError, match="shape"):
        accuracy(logits, labels)
    assert accuracy(np.array([[0.0, 1], [2, 0]]), np.array([1, 1])) == 0.5
