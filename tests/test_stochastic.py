"""Neurons that switch by chance: closed-form probabilities, their slopes, and the frequencies of their draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim import BackHoppingMTJ, SuperparamagneticMTJ, SwitchingMTJ, Variation, respond
from eventsim.errors import DeviceError, InputError
from eventsim.kernels import neuron as kernel
from tests.strategies import seeds

MODELS = (SwitchingMTJ, SuperparamagneticMTJ, BackHoppingMTJ)
models = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
parts = st.floats(0, 1)
barriers, attempts, criticals = st.floats(1, 60), st.floats(0.1, 10), st.floats(0.5, 2)
switching = st.builds(SwitchingMTJ, barrier=barriers, attempt_time=attempts, critical=criticals, dt=st.floats(1, 100))
telegraphs = st.builds(SuperparamagneticMTJ, barrier=st.floats(0.5, 12), attempt_time=attempts, critical=criticals)
hopping = st.builds(
    BackHoppingMTJ,
    onset=st.floats(0.2, 1),
    scale=st.floats(0.02, 0.2),
    slow_rate=st.floats(0.01, 1),
    top_rate=st.floats(1, 100),
    gain=st.floats(0.5, 2),
)
neurons = {SwitchingMTJ: switching, SuperparamagneticMTJ: telegraphs, BackHoppingMTJ: hopping}


def binomial(p, n, deviations=5.0):
    """Bound on how far a frequency of n draws is from p, Bernstein's inequality at this many standard deviations."""
    return deviations * math.sqrt(p * (1 - p) / n) + deviations**2 / (3 * n)


# ------------------------------------------------------------------------------------------------------ probabilities


def test_probabilities_of_the_default_switch():
    """Worked out independently: barrier 45, 10 ns."""
    p = SwitchingMTJ().probability([0.80, 0.85, 0.90, 0.95])
    assert p == pytest.approx([0.0012, 0.012, 0.105, 0.65], rel=0.06)


@given(switching, st.floats(-2, 3), st.floats(0.01, 100))
def test_a_switch_waits_for_the_time_of_arrhenius(neuron, drive, time):
    height = max(0.0, 1 - drive * neuron.gain / neuron.critical)
    tau = neuron.attempt_time * math.exp(neuron.barrier * height)
    assert neuron.probability(drive, time) == pytest.approx(-math.expm1(-time / tau), rel=1e-11)
    assert neuron.probability(drive) == pytest.approx(-math.expm1(-neuron.dt / tau), rel=1e-11)


@given(hopping, st.floats(0, 2), st.floats(0.1, 1e3))
def test_back_hopping_is_a_poisson_process(neuron, voltage, time):
    rate = neuron.slow_rate * math.expm1(max(0.0, (neuron.gain * voltage - neuron.onset) / neuron.scale))
    wanted = -math.expm1(-min(rate, neuron.top_rate) * time * 1e-3)
    assert neuron.probability(voltage, time) == pytest.approx(wanted, rel=1e-10, abs=1e-15)


@given(hopping, st.floats(-1, 1))
def test_back_hopping_has_no_events_below_its_onset(neuron, part):
    voltage = part * neuron.onset / neuron.gain * (1 - 1e-12)
    assert neuron.probability(voltage) == 0
    assert neuron.slope(voltage) == 0
    assert neuron.event_rate(voltage) == 0


@given(hopping, st.floats(0, 2))
def test_the_rate_of_events_of_a_short_tick(neuron, voltage):
    rate = neuron.slow_rate * math.expm1(max(0.0, (neuron.gain * voltage - neuron.onset) / neuron.scale))
    assert neuron.event_rate(voltage) == pytest.approx(min(rate, neuron.top_rate), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("dt", [1.0, 100.0, 1e3, 1e4, 1e5, 1e6])
def test_the_rate_of_events_does_not_depend_on_the_tick(dt):
    assert BackHoppingMTJ(dt=dt).event_rate(1.0) == pytest.approx(10.0)


@pytest.mark.parametrize("model", [SwitchingMTJ, BackHoppingMTJ])
@given(data=st.data())
def test_survival_over_two_intervals_is_a_product(model, data):
    neuron = data.draw(neurons[model])
    drive, t1, t2 = data.draw(st.tuples(st.floats(-1, 2), st.floats(0, 50), st.floats(0, 50)))
    first, second, whole = (neuron.probability(drive, t) for t in (t1, t2, t1 + t2))
    assert (1 - first) * (1 - second) == pytest.approx(1 - whole, rel=1e-9, abs=1e-14)


@given(telegraphs, st.floats(-1.5, 1.5), parts, st.floats(0, 1000), st.floats(0, 1000))
def test_a_telegraph_obeys_chapman_and_kolmogorov(neuron, drive, state, t1, t2):
    middle = neuron.probability(drive, t1, state)
    assert 0 <= middle <= 1
    assert neuron.probability(drive, t2, middle) == pytest.approx(neuron.probability(drive, t1 + t2, state), abs=1e-14)
    up, down = neuron.probability(drive, t2, 1.0), neuron.probability(drive, t2, 0.0)
    mixed = middle * up + (1 - middle) * down
    assert mixed == pytest.approx(neuron.probability(drive, t2, middle), abs=1e-14)


@given(telegraphs, st.floats(-1.5, 1.5), parts, st.floats(1e-3, 1e5))
def test_a_telegraph_is_the_exponential_of_its_rate_matrix(neuron, drive, state, time):
    """Rates out of both states from Arrhenius, a master equation solved by eigenvalues."""
    into, out = (
        math.exp(-neuron.barrier * max(0.0, 1 - sign * drive * neuron.gain / neuron.critical)) / neuron.attempt_time
        for sign in (1, -1)
    )
    values, vectors = np.linalg.eig(np.array([[-into, out], [into, -out]]))
    weights = np.linalg.solve(vectors, np.array([1 - state, state]))
    wanted = (vectors * np.exp(values * time)) @ weights
    lost = 1e-15 * (into + out) * time  # the eigenvalue 0 is not quite 0
    assert neuron.probability(drive, time, state) == pytest.approx(wanted[1], abs=1e-12 + lost)


@given(st.floats(0.5, 9), st.floats(-1, 1), parts)
def test_a_telegraph_settles_as_a_p_bit(barrier, drive, state):
    neuron = SuperparamagneticMTJ(barrier=barrier)
    wanted = (1 + math.tanh(barrier * drive)) / 2
    assert neuron.probability(drive, 1e6, state) == pytest.approx(wanted, rel=1e-9, abs=1e-12)


@given(telegraphs, st.floats(-2, 2))
def test_occupation_is_the_share_of_dwell_times(neuron, drive):
    antiparallel, parallel = neuron.dwell_times(drive)
    share = parallel / (antiparallel + parallel)
    assert neuron.probability(drive, 1e6, share) == pytest.approx(share, abs=1e-14)
    short = 1e-6 * min(antiparallel, parallel)
    assert neuron.probability(drive, short) == pytest.approx(short / antiparallel, rel=1e-5, abs=1e-16)


@models
@given(data=st.data())
def test_slopes_are_those_of_central_differences(model, data):
    neuron = data.draw(neurons[model])
    drive, time, state = data.draw(st.tuples(st.floats(-1, 2), st.floats(0.1, 1000), parts))
    e = 1e-4 / max(getattr(neuron, "barrier", 0.0), 1 / getattr(neuron, "scale", 1.0))
    ends = [float(neuron.probability(drive + k * e, time, state)) for k in (-2, -1, 0, 1, 2)]
    left, right = ends[2] - ends[0], ends[4] - ends[2]
    wanted = (ends[0] - 8 * ends[1] + 8 * ends[3] - ends[4]) / (12 * e)
    kinks = (
        [neuron.onset, neuron.onset + neuron.scale * math.log1p(neuron.top_rate / neuron.slow_rate)]
        if (model is BackHoppingMTJ)
        else [neuron.critical, -neuron.critical]
    )
    if min(abs(drive - kink / neuron.gain) for kink in kinks) > 3 * e:
        noise = 1e-14 / e
        assert neuron.slope(drive, time, state) == pytest.approx(
            wanted, rel=1e-6, abs=noise + 1e-9 * abs(left - right) / e
        )


@models
def test_no_time_no_change(model):
    neuron = model()
    assert neuron.probability(0.7, 0.0) == 0
    assert neuron.slope(0.7, 0.0) == 0


@models
@given(data=st.data())
def test_probabilities_rise_with_drive_and_time(model, data):
    neuron = data.draw(neurons[model])
    drive, time, more = data.draw(st.tuples(st.floats(-2, 2), st.floats(1e-3, 100), st.floats(0, 2)))
    p = neuron.probability(drive, time)
    assert 0 <= p <= 1
    assert neuron.probability(drive + more, time) >= p - 1e-15
    assert neuron.probability(drive, time + more) >= p - 1e-15
    assert neuron.slope(drive, time) >= -1e-15


@models
@pytest.mark.parametrize("drive", [0.0, 1e-6, -1e-6, 1.0, -1.0, 1e3, -1e3, 1e6, -1e6])
def test_strong_drives_give_probabilities(model, drive):
    for time in (1e-6, 1.0, 1e6):
        p, slope = model().probability(drive, time), model().slope(drive, time)
        assert 0 <= p <= 1
        assert np.isfinite(slope)
        assert 0 <= model().rate(drive) <= 1e3 / model().dt


@pytest.mark.parametrize("model", [SwitchingMTJ, SuperparamagneticMTJ])
@pytest.mark.parametrize("barrier", [1e-6, 1.0, 100.0, 300.0, 400.0, 500.0])
def test_barriers_of_any_height_give_probabilities(model, barrier):
    neuron = model(barrier=barrier)
    for drive in (0.0, 0.5, -0.5, 1.0, 2.0):
        assert 0 <= neuron.probability(drive) <= 1
        assert np.isfinite(neuron.slope(drive))


@pytest.mark.parametrize("drive", [0.0, 10.0, -10.0, 1e3, -1e3, 1e6])
def test_dwell_times_are_positive_without_a_warning(drive):
    antiparallel, parallel = SuperparamagneticMTJ().dwell_times(drive)
    assert antiparallel > 0
    assert parallel > 0
    assert max(antiparallel, parallel) >= 1 * math.exp(5)


@models
@given(data=st.data())
def test_single_precision_is_as_good_as_rounded_exponents_allow(model, data):
    """An exponent of size e is rounded by e 2**-24, which moves a probability by at most as much of itself."""
    neuron = data.draw(neurons[model])
    drive = np.array(data.draw(st.lists(st.floats(-1, 2), min_size=5, max_size=5)))
    state = np.array(data.draw(st.lists(parts, min_size=5, max_size=5)))
    single = neuron.identical(5).arrays(np.float32)
    rows = [state.astype(np.float32), drive.astype(np.float32), single.a, single.b, single.gain, single.threshold]
    found, wanted = np.empty((2, 5), np.float32), np.empty((2, 5))
    kernel.probability_of(model.KIND, *rows, found)
    kernel.probability_of(model.KIND, *(row.astype(np.float64) for row in rows), wanted)
    exponent = np.abs(rows[2]) * (1 + np.abs(rows[4] * rows[1])) + np.abs(rows[4] * rows[1])
    if model is BackHoppingMTJ:
        hazard = rows[3] * np.expm1(np.clip(rows[4] * rows[1] - rows[2], 0, rows[5]).astype(np.float64)) + rows[3]
        bound = 4 * 2.0**-24 * (1 + exponent) * hazard * np.exp(-np.minimum(hazard, 1.0)) * math.e
    else:
        bound = 4 * 2.0**-24 * (2 + exponent)
    assert (np.abs(found[0] - wanted[0]) <= bound + 2.0**-23).all()


# ---------------------------------------------------------------------------------------------------------- draws


@pytest.mark.parametrize("drive", [0.80, 0.90, 0.95, 1.2])
def test_a_switch_fires_as_often_as_its_probability(drive):
    devices = SwitchingMTJ().identical(400)
    p = float(SwitchingMTJ().probability(drive))
    out = respond(devices, np.full(200, drive), seed=11)
    assert abs(out.spikes.mean() - p) < binomial(p, 80_000)
    pairs = (out.spikes[1:] & out.spikes[:-1]).mean()
    assert abs(pairs - p * p) < 2 * binomial(p * p, 79_600)
    neighbours = (out.spikes[:, 1:] & out.spikes[:, :-1]).mean()
    assert abs(neighbours - p * p) < 2 * binomial(p * p, 79_800)


@pytest.mark.parametrize("voltage", [0.3, 0.55, 0.7, 1.5])
def test_back_hopping_fires_as_often_as_its_probability(voltage):
    out = respond(BackHoppingMTJ().identical(400), np.full(200, voltage), seed=12)
    p = float(BackHoppingMTJ().probability(voltage))
    assert abs(out.spikes.mean() - p) < binomial(p, 80_000)


@pytest.mark.parametrize("drive", [-0.2, 0.0, 0.1, 0.3])
def test_a_telegraph_dwells_as_long_as_predicted(drive):
    """Read in short ticks: frequencies of both transitions, and the share of time in the parallel state."""
    neuron = SuperparamagneticMTJ(dt=20.0)
    spikes = respond(neuron.identical(500), np.full(400, drive), seed=13).spikes
    settled = spikes[100:]
    for state in (False, True):
        at = settled[:-1] == state
        p = float(neuron.probability(drive, state=float(state)))
        assert abs(settled[1:][at].mean() - p) < binomial(p, int(at.sum()))
    antiparallel, parallel = neuron.dwell_times(drive)
    share = float(parallel / (antiparallel + parallel))
    # samples of one junction are correlated over the relaxation time
    effective = settled.size * neuron.dt / (2 * antiparallel * parallel / (antiparallel + parallel) + neuron.dt)
    assert abs(settled.mean() - share) < binomial(share, float(effective))


@pytest.mark.parametrize("drive", [0.0, 0.2, -0.3])
def test_the_rate_of_a_telegraph_is_that_of_its_reads(drive):
    """In the long run, whatever state it started from."""
    neuron = SuperparamagneticMTJ()
    out = respond(neuron.identical(200), np.full(300, drive), seed=14)
    p = out.spikes[50:].mean()
    assert abs(neuron.rate(drive) * neuron.dt / 1e3 - p) < 2 * binomial(p, 50_000) + 0.01


@pytest.mark.parametrize("model", [SwitchingMTJ, BackHoppingMTJ])
@pytest.mark.parametrize("hold", [0, 1, 4])
def test_rate_with_refractory_time(model, hold):
    neuron = model(refractory=hold)
    drive = 0.93 if model is SwitchingMTJ else 0.7
    out = respond(neuron.identical(500), np.full(400, drive), seed=15)
    rate = neuron.rate(drive)
    p = float(neuron.probability(drive))
    assert rate == pytest.approx(1e3 / (neuron.dt * (1 / p + hold)))
    # a renewal process: its count has the variance n cv**2, and the start costs at most one refractory time
    assert abs(out.rate.mean() / rate - 1) < 5 / math.sqrt(200_000 * p / (1 + hold * p)) + hold / 400
    for gap in range(1, hold + 1):
        assert not (out.spikes[gap:] & out.spikes[:-gap]).any()


@models
@given(seeds(), st.integers(1, 30), st.integers(0, 2**31 - 1))
def test_draws_are_a_function_of_seed_trial_tick_and_neuron(model, seed, n, trial):
    drive = np.linspace(0.4, 1.0, 12)
    whole = respond(model().identical(30), drive, seed=seed, trial=trial)
    again = respond(model().identical(30), drive, seed=seed, trial=trial)
    few = respond(model().identical(n), drive, seed=seed, trial=trial)
    assert np.array_equal(whole.spikes, again.spikes)
    assert np.array_equal(whole.spikes[:, :n], few.spikes)
    start = respond(model().identical(n), drive[:5], seed=seed, trial=trial)
    rest = respond(model().identical(n), drive[5:], seed=seed, trial=trial, state=start.state)
    assert np.array_equal(np.concatenate([start.spikes, rest.spikes]), few.spikes)
    assert rest.state.tick == 12


@models
def test_seeds_trials_ticks_and_neurons_are_independent(model):
    """Agreement of two runs is as frequent as that of independent ones."""
    drive = {SwitchingMTJ: 0.94, SuperparamagneticMTJ: 0.0, BackHoppingMTJ: 0.7}[model]
    neuron = model(dt=2000.0) if model is SuperparamagneticMTJ else model()
    p = float(neuron.probability(drive))
    keys = [(0, 0), (1, 0), (0, 1), (0, 2), (2, 0)]
    runs = [respond(neuron.identical(100), np.full(100, drive), seed=s, trial=t).spikes for s, t in keys]
    agree = p * p + (1 - p) ** 2
    for i, one in enumerate(runs):
        for other in runs[:i]:
            assert abs((one == other).mean() - agree) < binomial(agree, 10_000)


@given(seeds())
def test_spikes_only_become_more_with_the_drive(seed):
    """The same draws decide, so that a stronger drive keeps every spike of a switch."""
    weak, strong = (respond(SwitchingMTJ().identical(20), np.full(20, i), seed=seed).spikes for i in (0.9, 0.95))
    assert (strong | ~weak).all()


@given(seeds(), seeds())
def test_drawn_devices_differ_and_fire_by_their_own_probability(seed, draw):
    variation = Variation(barrier=0.05, critical=0.05)
    devices = SwitchingMTJ().draw(50, variation, seed=seed)
    certain = respond(devices, np.full(3, 50.0), seed=draw).spikes
    assert certain.all() == (SwitchingMTJ().probability(50.0) == 1) or certain.mean() > 0.9
    assert not respond(devices, np.full(3, -1.0), seed=draw).spikes.any()


# ------------------------------------------------------------------------------------------------------- refusals


def refused(action, *words):
    with pytest.raises(DeviceError) as caught:
        action()
    for part in ("given:", "expected:", "repair:", *words):
        assert part in str(caught.value)


@models
def test_chance_without_a_seed_is_refused(model):
    refused(lambda: respond(model(), [0.5]), "seed", "None", "seed=0")
    for seed in (-1, 0.5, 2**63, "a"):
        with pytest.raises(InputError, match="seed"):
            respond(model(), [0.5], seed=seed)
    for trial in (-1, 2**31, 0.5, None):
        refused(lambda trial=trial: respond(model(), [0.5], seed=0, trial=trial), "trial")


@models
@pytest.mark.parametrize("state", [-0.01, 1.01, [0.5, 2.0]])
def test_states_that_are_no_probability_are_refused(model, state):
    for method in (model().probability, model().slope):
        refused(lambda method=method: method(0.5, state=state), "state", "0 to 1")


@models
def test_arguments_that_are_impossible_are_refused(model):
    for value in (math.nan, math.inf, 2e6):
        refused(lambda value=value: model().probability(value), "drive")
        refused(lambda value=value: model().probability(0.5, value), "time")
        refused(lambda value=value: model().probability(0.5, state=value), "state")
    refused(lambda: model().probability(0.5, -1.0), "time")
    refused(lambda: model().probability([0.5, 0.6], [1.0, 2.0, 3.0]), "broadcast")


@models
def test_parameters_that_are_impossible_are_refused(model):
    for name in model.parameters():
        for value in (-1.0, 0.0, math.nan, math.inf, "1", True):
            refused(lambda name=name, value=value: model(**{name: value}), name)
    refused(lambda: model(refractory=-1), "refractory")


def test_a_telegraph_has_no_refractory_time():
    refused(lambda: SuperparamagneticMTJ(refractory=1), "refractory", "not reset")
