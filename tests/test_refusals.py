"""What does not fit together is refused before anything is computed, and what only looks odd is computed right."""

from dataclasses import replace

import numpy as np
import pytest

from eventsim import MTJ
from eventsim.errors import ConfigError, DataError, NetworkError
from eventsim.training import (
    CrossEntropy,
    Direct,
    FitConfig,
    GaussianThreshold,
    LogitsTeacher,
    Online,
    SoftTargets,
    Taught,
    fit,
    gradient,
    load,
    mtj_mlp,
    relu_mlp,
)
from eventsim.training.augment import Flip, Shift
from eventsim.training.linear import Conv, Dense
from eventsim.training.model import Model
from eventsim.training.shaping import Flatten, ReLU
from eventsim.training.spiking import Spiking

LABELS = np.array([0, 2, 1])


def spikes(*shape):
    return (np.random.default_rng(0).random(shape) < 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: {**p, "0/weight": p["0/weight"][:12]},
        lambda p: {name: value for name, value in p.items() if name != "0/weight"},
        lambda p: {**p, "9/weight": p["0/weight"]},
        lambda p: {**p, "0/weight": p["0/weight"].astype(np.float64)},
        lambda p: {name: value.astype(int) for name, value in p.items()},
    ],
)
def test_parameters_of_another_model_are_refused(change):
    model = relu_mlp((20, 3))
    params, x = change(model.initial(0)), np.zeros((3, 1, 20), np.float32)
    for call in (lambda: gradient(model, params, x, LABELS, CrossEntropy()), lambda: model.logits(params, x)):
        with pytest.raises(NetworkError, match="not those of the model"):
            call()


@pytest.mark.parametrize("teacher", [np.zeros((1, 3)), np.zeros((3, 1)), np.full((3, 3), np.nan)])
def test_logits_of_a_teacher_that_do_not_fit_the_batch_are_refused(teacher):
    model = relu_mlp((4, 3))
    with pytest.raises(DataError, match="do not fit the batch"):
        gradient(
            model,
            model.initial(0),
            np.zeros((3, 1, 4), np.float32),
            LABELS,
            CrossEntropy() + 1.0 * SoftTargets(1.0),
            Taught(teacher),
        )


@pytest.mark.parametrize(("alpha", "teacher"), [(0.0, np.zeros((3, 3))), (1.0, None)])
def test_a_teacher_that_nobody_listens_to_is_refused_and_so_is_a_missing_one(alpha, teacher):
    model, digits = relu_mlp((4, 3)), load("digits")
    objective = CrossEntropy() + alpha * SoftTargets()
    taught = None if teacher is None else Taught(teacher)
    with pytest.raises(ConfigError, match="do not fit together"):
        gradient(model, model.initial(0), np.zeros((3, 1, 4), np.float32), LABELS, objective, taught)
    model, given = relu_mlp((64, 10)), None if teacher is None else Online(LogitsTeacher(np.zeros((1797, 10))), digits)
    with pytest.raises(ConfigError, match="do not fit together"):
        fit(model, model.initial(0), digits, Direct(), objective, FitConfig(1), teacher=given)


def of_images(image):
    """Some samples of the digits, as images or signals of another shape."""
    digits, size = load("digits"), int(np.prod(image))
    some = np.arange(20)
    return replace(
        digits,
        x=np.resize(digits.x, (20, size)),
        labels=digits.labels[some],
        train=some[:12],
        validation=some[12:],
        test=some[:0],
        image=image,
    )


@pytest.mark.parametrize(
    ("image", "shape"),
    [((8, 6), (8, 6, 1)), ((8, 6, 3), (8, 6, 3)), ((1, 12), (12, 1)), ((1, 12, 2), (12, 2))],
    ids=str,
)
def test_rows_are_augmented_as_the_images_or_signals_that_they_are(image, shape):
    data, seen = of_images(image), []

    def look(x, ids, epoch, seed):
        seen.append(x.shape)
        return x

    model, config = relu_mlp((data.x.shape[1], 10)), FitConfig(1, batch=6, augment=[look])
    fit(model, model.initial(0), data, Direct(), CrossEntropy(), config)
    assert seen == [(1, *shape), (6, *shape), (6, *shape)]


@pytest.mark.parametrize(
    ("image", "augment", "what"),
    [
        ((1, 12, 2), Flip(), "Flip is for images"),
        ((1, 12), Flip(), "Flip is for images"),
        ((8, 6, 3), Shift(6), "too large"),
        ((8, 6), lambda x, ids, epoch, seed: x[:, 1:], "changes the shape"),
    ],
)
def test_augmentations_that_do_not_fit_the_samples_leave_nothing_behind(image, augment, what, tmp_path):
    data = of_images(image)
    model, config = relu_mlp((data.x.shape[1], 10)), FitConfig(1, augment=[augment])
    with pytest.raises(ConfigError, match=what):
        fit(model, model.initial(0), data, Direct(), CrossEntropy(), config, folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_the_type_of_a_teacher_does_not_matter():
    model = mtj_mlp((4, 5, 3))
    teacher = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    found = [
        gradient(
            model, model.initial(0), spikes(3, 2, 4), LABELS, CrossEntropy() + 1.0 * SoftTargets(1.0), Taught(given)
        ).params
        for given in (teacher, teacher.astype(np.float64))
    ]
    assert all(value.dtype == np.float32 for value in found[1].values())
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_the_order_of_a_batch_in_memory_does_not_matter():
    model = Model([Spiking(MTJ()), Dense(6, 3)], (6,))
    turned = spikes(4, 3, 6)
    batch = turned.transpose(1, 0, 2)
    for kind in (np.uint8, np.float32):
        one, other = batch.astype(kind, order="K"), np.ascontiguousarray(batch.astype(kind))
        assert not one.flags.c_contiguous
        found = [gradient(model, model.initial(0), x, LABELS, CrossEntropy(), method="bptt") for x in (one, other)]
        assert np.array_equal(found[0].logits, found[1].logits)
        assert np.array_equal(found[0].params["1/weight"], found[1].params["1/weight"])


@pytest.mark.parametrize("layer", [lambda: Dense(4, 3, grid=16), lambda: Conv(4, 3, grid=16)])
def test_a_number_is_no_grid(layer):
    with pytest.raises(NetworkError, match="grid"):
        layer()


@pytest.mark.parametrize(
    ("layers", "inputs"),
    [
        ([], (8,)),
        (Dense(3, 2), (3,)),
        ([ReLU], (3,)),
        ([Dense(3, 2)], 3),
        ([Flatten()], (-3, 2)),
        ([Flatten()], (3.5,)),
    ],
)
def test_what_is_no_model_is_refused(layers, inputs):
    with pytest.raises(NetworkError):
        Model(layers, inputs)


def test_a_training_that_does_not_fit_together_leaves_nothing_behind(tmp_path):
    digits, config, encoder = load("digits"), FitConfig(1), GaussianThreshold(2, seed=0)
    small, other, model = mtj_mlp((64, 5, 9)), mtj_mlp((60, 5, 10)), mtj_mlp((64, 5, 10))
    for kind, of, objective in (
        (ConfigError, small, CrossEntropy()),
        (ConfigError, model, CrossEntropy() + 1.0 * SoftTargets(1.0)),
        (DataError, other, CrossEntropy()),
    ):
        with pytest.raises(kind):
            fit(of, of.initial(0), digits, encoder, objective, config, folder=tmp_path / "run")
    with pytest.raises(NetworkError):
        fit(model, other.initial(0), digits, encoder, CrossEntropy(), config, folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())
