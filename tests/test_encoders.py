"""Encoders: each spikes with the probability, or by the law, that it states."""

import math
import re
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp

from eventsim import IF
from eventsim.errors import CacheError, ConfigError, DataError, EventsError
from eventsim.training import (
    CrossEntropy,
    Dataset,
    Direct,
    FitConfig,
    Frames,
    Latency,
    Model,
    ModelTeacher,
    OnnxTeacher,
    Rate,
    SigmaDelta,
    fit,
    mtj_mlp,
    relu_mlp,
    to_events,
    to_network,
)
from eventsim.training.augment import Shift
from eventsim.training.deploy import spikes_that_differ
from eventsim.training.linear import Conv, Dense, Grid
from eventsim.training.recipe import checked
from eventsim.training.shaping import Flatten
from eventsim.training.spiking import Spiking
from tests.encoder_cases import FIXED, RANDOM, samples
from tests.recipe_cases import changed
from tests.strategies import seeds


def encoded(encoder, x, ids, epoch=1):
    return encoder(encoder.prepare(x), np.asarray(ids), epoch).values


def name(encoder):
    more = " stratified" if getattr(encoder, "stratified", False) else ""
    return f"{type(encoder).__name__} {getattr(encoder, 'law', '')}{getattr(encoder, 'most', '')}{more}"


@pytest.mark.parametrize(
    ("encoder", "probability"),
    [
        (Rate(3, seed=1), lambda x: x),
        (Rate(3, seed=1, gain=1.5), lambda x: min(1.5 * x, 1)),
        (Rate(3, seed=1, law="poisson"), lambda x: 1 - math.exp(-x)),
        (Rate(3, seed=1, law="poisson", gain=4.0), lambda x: 1 - math.exp(-4 * x)),
    ],
)
def test_rates_are_those_of_the_law(encoder, probability):
    n, x = 40_000, np.linspace(0, 1, 8, dtype=np.float32)
    spikes = encoded(encoder, np.tile(x, (n, 1)), np.arange(n))
    wanted = np.array([probability(float(value)) for value in x])
    sigma = np.sqrt(wanted * (1 - wanted) / (3 * n))
    assert (np.abs(spikes.mean(axis=(0, 1)) - wanted) <= 5 * sigma).all()  # 0 and 1 are exact
    free = spikes[:, :, 3] - wanted[3]
    apart = wanted[3] * (1 - wanted[3]) / math.sqrt(n)
    assert abs((free[:, 0] * free[:, 1]).mean()) < 5 * apart  # ticks are independent
    inputs = (spikes[:, 0, 3] - wanted[3]) * (spikes[:, 0, 4] - wanted[4])
    assert abs(inputs.mean()) < 5 * 0.25 / math.sqrt(n)


def test_what_is_negative_never_spikes_and_what_is_large_always_does():
    x = np.array([[-1.0, 0.0, 1.0, 50.0]], np.float32)
    assert np.array_equal(encoded(Rate(64, seed=0), x, [0])[0].mean(axis=0), [0, 0, 1, 1])
    assert np.array_equal(encoded(Rate(64, seed=0, law="poisson"), x, [0])[0].mean(axis=0)[[0, 1, 3]], [0, 0, 1])


@pytest.mark.parametrize("encoder", RANDOM + FIXED, ids=name)
@given(seeds(), st.permutations(range(6)))
def test_a_sample_is_encoded_by_its_key_alone(encoder, seed, order):
    x, ids = samples(encoder, 6, seed=seed % 1000), np.arange(100, 106)
    epoch = seed % 60_000
    whole = encoded(encoder, x, ids, epoch)
    assert np.array_equal(encoded(encoder, x[order], ids[order], epoch), whole[order])
    assert np.array_equal(encoded(encoder, x[2:3], ids[2:3], epoch), whole[2:3])
    if encoder in RANDOM:
        assert not np.array_equal(encoded(encoder, x, ids, epoch + 1), whole)
        assert not np.array_equal(encoded(encoder, x, ids + 6, epoch), whole)
        assert not np.array_equal(encoded(replace(encoder, seed=6), x, ids, epoch), whole)
    else:
        assert np.array_equal(encoded(encoder, x, ids + 6, epoch + 1), whole)


@pytest.mark.parametrize("encoder", RANDOM + FIXED, ids=name)
def test_threads_do_not_change_a_bit(encoder):
    x, found = samples(encoder, 64, 300), {}
    workers = [
        threading.Thread(target=lambda i=i: found.update({i: encoded(encoder, x, np.arange(64))})) for i in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    alone = encoded(encoder, x, np.arange(64))
    assert all(np.array_equal(found[i], alone) for i in range(3))


@pytest.mark.parametrize("encoder", [e for e in RANDOM + FIXED if not isinstance(e, SigmaDelta | Frames)], ids=name)
def test_counts_are_values_too(encoder):
    counts = np.array([[0, 1, 2, 7]], np.uint8)
    assert np.array_equal(encoded(encoder, counts, [0]), encoded(encoder, counts.astype(np.float32), [0]))


@pytest.mark.parametrize("encoder", RANDOM + FIXED, ids=name)
def test_spikes_are_bytes_that_are_no_larger_than_said(encoder):
    x = samples(encoder, 5)
    signal = encoder(encoder.prepare(x), np.arange(5), 1)
    assert encoder.ticks == 3
    if not isinstance(encoder, Direct):
        assert signal.values.dtype == np.uint8
        assert signal.values.max() <= signal.most
        assert signal.ticks == 3


LAWS = {
    "linear": lambda x, t, m, tau: t * (1 - x) / (1 - m),
    "logarithmic": lambda x, t, m, tau: -tau * mp.log(1 - m * (1 - mp.exp(mp.mpf(-t) / tau)) / x),
}


@given(
    st.sampled_from(sorted(LAWS)),
    st.integers(1, 40),
    st.sampled_from([0.01, 0.1, 0.25, 0.9]),
    st.sampled_from([0.5, 3.0, 100.0]),
    st.lists(st.integers(0, 128), min_size=1, max_size=20),
)
def test_latencies_are_those_of_the_law(law, ticks, least, tau, values):
    x = np.array([values], np.float32) / 100
    encoder = Latency(ticks, law, least, None if law == "linear" else tau)
    spikes = encoded(encoder, x, [0])[0]
    for i, value in enumerate(x[0]):
        times = np.flatnonzero(spikes[:, i])
        if value < np.float32(least):
            assert not len(times)
        else:
            with mp.workdps(300):
                wanted = min(
                    max(LAWS[law](max(mp.mpf(float(value)), mp.mpf(least)), ticks, mp.mpf(least), tau), 0), ticks
                )
            assert len(times) == 1
            assert times[0] - 1e-4 * ticks <= wanted <= times[0] + 1 + 1e-4 * ticks


@pytest.mark.parametrize("law", LAWS)
def test_larger_values_spike_earlier_and_the_smallest_one_last(law):
    x = np.linspace(0.1, 1, 50, dtype=np.float32)[None]
    times = encoded(Latency(16, law), x, [0])[0].argmax(axis=0)
    assert (np.diff(times) <= 0).all()
    assert (times[0], times[-1]) == (15, 0 if law == "linear" else int(-16 * math.log(1 - 0.1 * (1 - math.exp(-1)))))


def slow_sigma_delta(x, step, most):
    told, spikes = 0, np.zeros((len(x), 2), int)
    for t, value in enumerate(x):
        while abs(value - step * told) >= step and spikes[t].sum() < most:
            up = value > step * told
            told += 1 if up else -1
            spikes[t, int(up)] += 1
    return spikes


@given(
    st.lists(st.integers(-300, 300), min_size=1, max_size=30),
    st.sampled_from([0.125, 0.25, 1.0]),
    st.integers(1, 4),
)
def test_sigma_delta_follows_the_signal(values, step, most):
    x = np.array(values) / 64  # exact, as the steps are: nothing rounds
    spikes = encoded(SigmaDelta(len(x), step, most), x[None].astype(np.float32), [0])[0].astype(int)
    assert np.array_equal(spikes, slow_sigma_delta(x, step, most))
    error = np.abs(x - step * np.cumsum(spikes[:, 1] - spikes[:, 0]))
    steep = np.maximum(np.abs(np.diff(x, prepend=0)) - most * step, 0)
    assert (error < step + np.cumsum(steep)).all()


def test_sigma_delta_keeps_within_a_step_of_what_is_not_too_steep():
    t = np.arange(200)
    x = np.stack([np.sin(t / 20), 0.5 * np.cos(t / 9) - 0.5 * np.cos(0)], axis=1).astype(np.float32)
    spikes = encoded(SigmaDelta(200, 0.1), x.reshape(1, -1), [0])[0].reshape(200, 2, 2).astype(int)
    told = 0.1 * np.cumsum(spikes[..., 1] - spikes[..., 0], axis=0)
    assert np.abs(x - told).max() < 0.1 + 1e-6
    assert spikes.sum(axis=2).max() == 1


def recorded(n=60, ticks=6, seed=0):
    """Recordings of two classes: events left, or right."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    rates = np.where(np.arange(4)[None] // 2 == labels[:, None], 1.5, 0.1)  # columns of a sensor of 3 x 4
    counts = rng.poisson(np.broadcast_to(rates[:, None, None, :, None], (n, ticks, 3, 4, 2)))
    split = np.split(np.arange(n), [n - 30, n - 15])
    return Dataset("blobs", counts.reshape(n, -1).astype(np.uint8), labels, *split, image=(3, 4, 2), ticks=ticks)


def test_frames_come_tick_by_tick():
    data = recorded()
    frames = data.x.reshape(-1, 6, 24)
    assert np.array_equal(encoded(Frames(6, most=255), data.x, []), frames)
    assert np.array_equal(encoded(Frames(6), data.x, []), frames > 0)
    pairs = frames.reshape(-1, 3, 2, 24).sum(axis=2)
    assert np.array_equal(encoded(Frames(3, recorded=6, most=255), data.x, []), pairs)
    assert np.array_equal(encoded(Frames(3, recorded=6, most=2), data.x, []), np.minimum(pairs, 2))
    full = np.full((1, 600), 255, np.uint8)
    assert np.array_equal(encoded(Frames(1, recorded=300, most=255), full, []), np.full((1, 1, 2), 255))


def test_ticks_are_part_of_the_data():
    data = recorded()
    flat = replace(data, image=(18, 4, 2), ticks=1)
    assert flat.fingerprint != replace(data, image=(9, 4, 2), ticks=2).fingerprint
    assert replace(data, ticks=np.int64(6)).fingerprint == data.fingerprint
    for ticks in (0, 5, 6.0, True):
        with pytest.raises(DataError, match="not usable"):
            replace(data, ticks=ticks)
    with pytest.raises(DataError, match="counts in uint8"):
        replace(data, x=data.x.astype(np.int16))


@pytest.mark.parametrize("unit", ["conv", "rows"])
def test_binary_frames_are_simulated_spike_for_spike(unit):
    data, encoder = recorded(), Frames(6)
    if unit == "conv":
        conv = Conv(2, 4, (3, 3), padding=1, grid=Grid(levels=16))
        model = Model([conv, Spiking(IF()), Flatten(), Dense(48, 2, grid=Grid())], (3, 4, 2))
    else:
        model = mtj_mlp((24, 10, 2), levels=16)
    params = model.initial(1)
    signal = encoder(encoder.prepare(data.x[:20]), np.arange(20), 0)
    assert model.signal(signal).most == 1
    assert to_events(model, signal).shape == (20, 6, 24)
    assert model.spikes(params, signal)[0].any()
    assert spikes_that_differ(model, params, signal, to_network(model, params)) == 0
    counts = Frames(6, most=9)
    with pytest.raises(EventsError, match="not spikes"):
        to_events(model, counts(counts.prepare(data.x[:20]), np.arange(20), 0))


@pytest.mark.parametrize(
    "encoder", [Frames(6), Frames(3, recorded=6, most=9), Direct(), Rate(4, 0, gain=0.3)], ids=name
)
def test_recordings_are_learned_from(encoder):
    data = recorded()
    model = mtj_mlp((24 if isinstance(encoder, Frames) else 144, 16, 2), levels=16)
    config = FitConfig(epochs=6, batch=10, rate=2e-2)
    fitted = fit(model, model.initial(0), data, encoder, CrossEntropy(), config)
    assert fitted.best.validation_accuracy > 0.9
    assert ModelTeacher(model, fitted.params, encoder).check(data) is None


def test_signals_are_taught_by_models_of_spikes():
    rng = np.random.default_rng(0)
    data = Dataset(
        "s", rng.random((9, 40)).astype(np.float32), np.arange(9) % 2, *np.split(np.arange(9), [5, 7]), (1, 20, 2)
    )
    model = mtj_mlp((4, 8, 2))
    teacher = ModelTeacher(model, model.initial(0), SigmaDelta(20, 0.1))
    teacher.check(data)
    assert teacher(data.x[:3], np.arange(3), 0).logits.shape == (3, 2)
    wide = mtj_mlp((8, 8, 2))
    with pytest.raises(CacheError, match=r"(?s)8 inputs.*4 inputs"):
        ModelTeacher(wide, wide.initial(0), SigmaDelta(20, 0.1)).check(data)
    for other in (SigmaDelta(10, 0.1), SigmaDelta(40, 0.1)):  # channels that mix neighbouring ticks, or are mixed
        with pytest.raises(DataError, match=r"(?s)ticks=\d+, s has 1 images of 1 x 20 x 2.*1 x \d+ x channels"):
            ModelTeacher(wide, wide.initial(0), other).check(data)
        with pytest.raises(DataError, match="does not fit the signals"):
            fit(wide, wide.initial(0), data, other, CrossEntropy(), FitConfig(epochs=1))
    for image, ticks in (((20, 2), 1), ((1, 20), 2)):
        with pytest.raises(DataError, match="does not fit the signals"):
            teacher.check(replace(data, image=image, ticks=ticks, x=data.x.astype(np.uint8)))


def test_frames_that_do_not_fit_are_refused():
    data, config = recorded(), FitConfig(epochs=1)
    model = mtj_mlp((24, 4, 2))
    params = model.initial(0)
    for encoder in (Frames(3), Frames(2, recorded=12)):
        with pytest.raises(DataError, match=r"Frames\(ticks=6\)"):
            fit(model, params, data, encoder, CrossEntropy(), config)
        with pytest.raises(DataError, match=r"Frames\(ticks=6\)"):
            ModelTeacher(model, params, encoder).check(data)
    with pytest.raises(ConfigError, match=r"(?s)cannot be augmented.*recordings"):
        fit(model, params, data, Frames(6), CrossEntropy(), replace(config, augment=[Shift(1)]))
    with pytest.raises(DataError, match="does not fit the model"):
        fit(model, params, data, Direct(), CrossEntropy(), config)
    with pytest.raises(DataError, match=r"(?s)not recorded frames.*float32"):
        Frames(6).prepare(data.x.astype(np.float32))
    with pytest.raises(DataError, match="not recorded frames"):
        Frames(5).prepare(data.x)
    with pytest.raises(DataError, match="do not fit the encoder"):
        SigmaDelta(5, 0.1).prepare(data.x)


def test_a_network_of_onnx_is_not_asked_about_recordings():
    teacher = object.__new__(OnnxTeacher)
    object.__setattr__(teacher, "path", "net.onnx")
    with pytest.raises(CacheError, match="recordings"):
        teacher.check(recorded())


def test_a_teacher_of_flat_counts_fits():
    data, model = recorded(), relu_mlp((144, 4, 2))
    ModelTeacher(model, model.initial(0), Direct()).check(data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rate(0, 0),
        lambda: Rate(2**16 + 1, 0),
        lambda: Rate(4, -1),
        lambda: Rate(4, 0, "gauss"),
        lambda: Rate(4, 0, gain=0.0),
        lambda: Rate(4, 0, gain=math.nan),
        lambda: Rate(4, 0, gain="1"),
        lambda: Latency(0),
        lambda: Latency(4, "quadratic"),
        lambda: Latency(4, least=0.0),
        lambda: Latency(4, least=1.0),
        lambda: Latency(4, tau=2.0),
        lambda: Latency(4, "logarithmic", tau=-1.0),
        lambda: Latency(4, "logarithmic", tau=0.007),
        lambda: SigmaDelta(0, 0.1),
        lambda: SigmaDelta(4, -0.1),
        lambda: SigmaDelta(4, 0.0),
        lambda: SigmaDelta(4, 0.1, 0),
        lambda: SigmaDelta(4, 0.1, 256),
        lambda: Frames(0),
        lambda: Frames(4, 6),
        lambda: Frames(4, 2),
        lambda: Frames(4, most=0),
        lambda: Frames(4, 8.0),
    ],
)
def test_unusable_encoders_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_a_number_of_ticks_that_divides_is_offered():
    with pytest.raises(ConfigError, match=r"ticks=4"):
        Frames(5, recorded=8)


def test_encoders_stand_in_recipes():
    for encoder in (
        Rate(4, 1, "poisson", 2.0),
        Latency(4, "logarithmic", 0.2, 3.0),
        SigmaDelta(4, 0.1),
        Frames(2, 4, 9),
    ):
        table = {"type": re.sub("(?<=[a-z])(?=[A-Z])", "_", type(encoder).__name__).lower(), **asdict(encoder)}
        assert checked(changed("stage.1.encoder", table)).stage[1].encoding() == encoder
    with pytest.raises(ConfigError, match=r"stage\.1\.encoder\.law"):
        checked(changed("stage.1.encoder", {"type": "rate", "ticks": 4, "seed": 0, "law": "gauss"}))
    with pytest.raises(ConfigError, match=r"stage\.1\.encoder"):
        checked(changed("stage.1.encoder", {"type": "frames", "ticks": 3, "recorded": 4}))
