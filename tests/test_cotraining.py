"""A teacher that is trained along with its student, and the losses of Li et al. by preset."""

from dataclasses import replace

import numpy as np
import pytest

from eventsim.errors import ConfigError
from eventsim.parallel import ALONE, cores
from eventsim.store import fingerprint
from eventsim.training import (
    AdamW,
    BrierScore,
    CrossEntropy,
    Direct,
    FeatureDistance,
    FitConfig,
    GaussianThreshold,
    ModelTeacher,
    SoftTargets,
    SquaredError,
    fit,
    gradient,
    mtj_mlp,
    relu_mlp,
)
from eventsim.training.augment import Shift
from eventsim.training.cotraining import Learner, cotrain
from eventsim.training.encode import EVALUATION
from eventsim.training.li import li_ssnn_kd, li_teacher
from eventsim.training.produced import Produced
from eventsim.training.step import Training
from eventsim.training.taught import Taught
from tests.cache_cases import few

CONFIG = FitConfig(2, batch=40, rate=1e-2, optimiser=AdamW(decay=0.1), seed=5)


@pytest.fixture(scope="module")
def data():
    return few(240)


def pair(delta=0.01, gain=1.0, **changed):
    config = replace(CONFIG, **changed)
    small, large = mtj_mlp((64, 8, 10), levels=16), relu_mlp((64, 8, 10))
    aim = li_ssnn_kd(student="1", teacher="1", gain=3.0)
    student = Learner(small, small.initial(1), GaussianThreshold(3, seed=0), aim, config, gain=gain)
    slow = replace(config, rate=2e-3)
    return student, Learner(large, large.initial(2), Direct(), li_teacher(delta), slow, features=("1",))


def stepped(learner, params, state, x, labels, taught, now, steps):
    found = gradient(
        learner.model,
        params,
        x,
        labels,
        learner.objective,
        taught,
        ticks=learner.encoder.ticks,
        done=now / steps,
        step=now,
        seed=5,
    )
    optimiser, rate = learner.config.optimiser, learner.config.rate * learner.config.schedule(now / steps)
    state = optimiser.start(params, found.params) if state is None else state
    return optimiser.step(params, found.params, state, rate, ALONE)


@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_co_training_equals_two_separate_updates(data, gain):
    student, teacher = pair(0.5, gain)
    found = cotrain(student, teacher, data)
    order = Training(student.model, data, student.encoder, student.objective, CONFIG, None, ALONE)
    at, one, two, states, now = order.begin(student.params), student.params, teacher.params, [None, None], 0
    curves = [], []
    for epoch in (1, 2):
        for ids in order.batches(at._replace(history=("",) * (epoch - 1))):
            x, labels = data.x[ids], data.labels[ids]
            spikes = student.encoder(student.encoder.prepare(x), ids, epoch)
            said = ModelTeacher(teacher.model, two, Direct(), ("1",))(x, ids, EVALUATION)
            heard = ModelTeacher(student.model, one, student.encoder)(x, ids, EVALUATION).logits
            said = Taught(said.logits, {"1": said.features["1"].astype(np.float16)})
            heard = Taught(heard * np.float32(gain))
            new, states[0] = stepped(student, one, states[0], spikes, labels, said, now, 6)
            two, states[1] = stepped(teacher, two, states[1], x[:, None], labels, heard, now, 6)
            one, now = new, now + 1
        curves[0].append(fingerprint(**one))
        curves[1].append(fingerprint(**two))
    for side, curve in zip(found, curves, strict=True):
        assert fingerprint(**side.params) == curve[side.best.epoch - 1]


def test_a_teacher_that_does_not_listen_is_trained_as_if_alone(data):
    student, teacher = pair(0.0)
    found = cotrain(student, teacher, data)
    alone = fit(teacher.model, teacher.params, data, Direct(), CrossEntropy(), teacher.config)
    assert fingerprint(**found.teacher.params) == fingerprint(**alone.params)
    other = cotrain(*pair(0.5), data)
    assert fingerprint(**other.teacher.params) != fingerprint(**alone.params)
    assert fingerprint(**other.student.params) != fingerprint(**found.student.params)


def test_no_number_depends_on_threads_and_nothing_is_changed(data):
    student, teacher = pair(augment=[Shift(1)])
    before = fingerprint(**student.params), fingerprint(**teacher.params)
    one, two = cotrain(student, teacher, data), cotrain(student, teacher, data, threads=min(2, cores()))
    assert fingerprint(**one.student.params) == fingerprint(**two.student.params)
    assert fingerprint(**one.teacher.params) == fingerprint(**two.teacher.params)
    assert (fingerprint(**student.params), fingerprint(**teacher.params)) == before


@pytest.mark.parametrize(
    "changed", [{"epochs": 3}, {"batch": 8}, {"seed": 1}, {"augment": (Shift(1),)}], ids=lambda one: next(iter(one))
)
def test_settings_that_differ_are_refused(data, changed):
    student, teacher = pair()
    with pytest.raises(ConfigError, match=f"different {next(iter(changed))}"):
        cotrain(student, replace(teacher, config=replace(teacher.config, **changed)), data)


def test_patience_and_missing_features_are_refused(data):
    with pytest.raises(ConfigError, match="patience=2"):
        cotrain(*pair(patience=2), data)
    student, teacher = pair()
    with pytest.raises(ConfigError, match="no features of layer 1"):
        cotrain(student, replace(teacher, features=()), data)


# Presets


def test_presets_are_what_they_say():
    recommended = SquaredError(), 0.5 * SoftTargets(4.0, 8.0), 0.1 * FeatureDistance("1", "2", "sample", scale=3.0)
    literal = 1.0 * SoftTargets(4.0, 1.0, tau2=False, double_softmax=True), 0.1 * FeatureDistance("1", "2", "batch")
    found = li_ssnn_kd(student="1", teacher="2", gain=8.0, scale=3.0)
    assert found.terms == (1.0 * recommended[0], *recommended[1:])
    assert li_ssnn_kd("literal", student="1", teacher="2").terms[1:] == literal
    assert len(li_ssnn_kd().terms) == 2
    assert li_ssnn_kd("literal", tau2=True, alpha=2.0).terms[1] == 2.0 * SoftTargets(4.0, double_softmax=True)
    assert li_teacher(0.1, direction="reverse").terms == (CrossEntropy(), 0.1 * SoftTargets(4.0, direction="reverse"))
    assert li_teacher(classification="brier_score").terms[0] == BrierScore()
    assert not li_teacher(0.0).needs.teacher


def test_the_brier_score_of_an_answer_that_is_right_and_sure_is_0():
    sure = np.array([[100.0, 0.0], [0.0, 100.0]])
    value, slopes = BrierScore()(Produced(sure, sure[:, None]), np.array([0, 1]))
    assert value == pytest.approx(0)
    assert np.abs(slopes.logits).max() < 1e-12
    value, _ = BrierScore()(Produced(0 * sure, sure[:, None]), np.array([0, 1]))
    assert value == pytest.approx(0.25)


def test_presets_of_the_encoder():
    assert GaussianThreshold.for_standardised(4, 1) == GaussianThreshold(4, 1, 0.0, 1.0)
    assert GaussianThreshold.for_images(4, 1) == GaussianThreshold(4, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: li_ssnn_kd("other"),
        lambda: li_ssnn_kd(student="1"),
        lambda: li_ssnn_kd(alpha=-1.0),
        lambda: li_ssnn_kd(temperature=0.0),
        lambda: li_ssnn_kd(student="1", teacher="1", norm="most"),
        lambda: li_teacher(-0.1),
        lambda: li_teacher(classification="accuracy"),
    ],
)
def test_what_is_no_loss_of_them(wrong):
    with pytest.raises(ConfigError):
        wrong()
