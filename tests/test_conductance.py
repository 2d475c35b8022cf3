"""The MTJ synapse: levels, pulses, short-term plasticity, pairs, and chips with spreads, faults, noise and drift."""

import math
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import binom

from eventsim import crossbar
from eventsim.conductance import FAULTS, MTJSynapse
from eventsim.errors import ConfigError, DeviceError
from eventsim.variation import LogNormal, Normal, Variation

MAPPINGS = ("one_sided", "symmetric", "offset")
EPS = np.finfo(float).eps
N = 200_000

nonlinearities = st.one_of(st.just(0.0), st.floats(-5, 5), st.floats(-20, 20), st.floats(-1e-12, 1e-12))
sizes = {"g_max": st.floats(1, 1000), "tmr": st.floats(0.2, 5), "levels": st.integers(3, 256)}
linear = st.builds(MTJSynapse, **sizes)
synapses = st.builds(MTJSynapse, **sizes, nl_ltp=nonlinearities, nl_ltd=nonlinearities)
shares = st.floats(0, 1)
seeds = st.integers(0, 2**63 - 1)
spike_times = st.lists(st.floats(0, 200), max_size=20).map(sorted)
weights = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-100, 100))
quiet = MTJSynapse(read_noise=0.0)


def span(synapse):
    return synapse.g_max - synapse.g_min


def signed_levels(n, seed, shape):
    return np.random.default_rng(seed).integers(-n, n, shape, endpoint=True)


def program(levels, variation=None, synapse=quiet, seed=0, **more):
    return crossbar.program(synapse, levels, variation, seed=seed, **more)


def column(level):
    return np.full((N, 1), level)


def test_the_default_device():
    synapse = MTJSynapse()
    assert (synapse.g_min, synapse.on_off_ratio) == (40, 2.5)
    assert [2 * synapse.largest(mapping) + 1 for mapping in MAPPINGS] == [31, 31, 15]
    np.testing.assert_allclose(synapse.table(), 40 + 4 * np.arange(16), rtol=4 * EPS)


@given(synapses, shares)
def test_pulses_for_is_the_inverse_of_potentiate_and_depress(synapse, share):
    g = synapse.g_min + share * span(synapse) * (1 - EPS)
    pulses = synapse.pulses_for(g)
    np.testing.assert_allclose(synapse.potentiate(pulses), g, rtol=1e-13)
    np.testing.assert_allclose(synapse.depress(synapse.pulses_for(g, depress=True)), g, rtol=1e-13)
    # Backwards, rounding of G grows by dP/dG, which at the flat end is at most exp(|nl|) / |nl| of a linear curve's.
    steepest = math.exp(abs(synapse.nl_ltp)) * (1 + synapse.g_max / span(synapse)) * synapse.levels
    np.testing.assert_allclose(synapse.pulses_for(synapse.potentiate(pulses)), pulses, atol=8 * EPS * steepest)


@given(synapses)
def test_curves_are_monotone_from_end_to_end(synapse):
    pulses = np.append(np.linspace(0, synapse.levels - 1, 101), 1e9)
    up, down = synapse.potentiate(pulses), synapse.depress(pulses)
    assert (np.diff([up, -down]) >= -4 * EPS * synapse.g_max).all()
    np.testing.assert_allclose([up[0], down[-2], down[-1]], synapse.g_min, rtol=4 * EPS)
    np.testing.assert_allclose([down[0], up[-2], up[-1]], synapse.g_max, rtol=4 * EPS)


@given(synapses.filter(lambda s: abs(s.nl_ltp) > 1e-3), shares)
def test_potentiation_is_the_exponential_form(synapse, share):
    last = synapse.levels - 1
    a = last / synapse.nl_ltp
    b = span(synapse) / (1 - math.exp(-last / a))
    naive = synapse.g_min + b * (1 - math.exp(-share * last / a))
    # The naive form cancels for small nl and loses eps / nl.
    np.testing.assert_allclose(synapse.potentiate(share * last), naive, rtol=1e-11)


@given(st.floats(1e-300, 1e-3), st.sampled_from([1, -1]), st.floats(0, 15))
def test_a_large_constant_is_the_linear_limit(nl, sign, pulses):
    bent = MTJSynapse(nl_ltp=sign * nl)
    # x - f(x) = nl x (1 - x) / 2 to first order, at most nl / 8 of the range.
    assert abs(bent.potentiate(pulses) - quiet.potentiate(pulses)) <= nl / 8 * 1.01 * span(bent) + 1e-12
    assert abs(bent.pulses_for(70.0) - quiet.pulses_for(70.0)) <= nl / 8 * 1.01 * 15 + 1e-12


@given(synapses, shares)
def test_equal_nonlinearities_make_potentiation_and_depression_mirror_images(synapse, share):
    mirror = replace(synapse, nl_ltd=synapse.nl_ltp)
    up, down = (curve(share * (mirror.levels - 1)) for curve in (mirror.potentiate, mirror.depress))
    np.testing.assert_allclose(down, mirror.g_max + mirror.g_min - up, rtol=1e-13)


@given(synapses, shares, st.floats(0, 100), st.floats(0, 100))
def test_short_term_decay_is_a_semigroup_in_time(synapse, share, first, second):
    g = share * synapse.stp_max * span(synapse)
    twice = synapse.relax(synapse.relax(g, first), second)
    np.testing.assert_allclose(twice, synapse.relax(g, first + second), rtol=1e-13, atol=1e-300)
    assert synapse.relax(g, 0) == g


@given(synapses, spike_times)
def test_short_term_plasticity_is_the_naive_loop(synapse, times):
    g, naive = 0.0, []
    for gap in np.diff(times, prepend=0):
        g *= math.exp(-gap / synapse.tau_st)
        g += synapse.stp_step * span(synapse) * (1 - g / (synapse.stp_max * span(synapse)))
        naive.append(g)
    np.testing.assert_allclose(synapse.short_term(times), naive, rtol=1e-12)


@given(spike_times, st.floats(0.01, 0.2))
def test_short_term_plasticity_saturates_at_its_ceiling(times, step):
    synapse, ceiling = MTJSynapse(stp_step=step), 0.2 * 60
    assert (synapse.short_term(times) <= ceiling * (1 + 4 * EPS)).all()
    at_once = synapse.short_term(np.zeros(5000))
    np.testing.assert_allclose(at_once[[0, -1]], [step * 60, ceiling], rtol=1e-12)


@given(linear, st.sampled_from(MAPPINGS))
def test_weight_to_conductance_to_weight_returns_every_level(synapse, mapping):
    n = np.arange(-synapse.largest(mapping), synapse.largest(mapping) + 1)
    plus, minus = (side.astype(int) for side in synapse.pairs(n, mapping))
    assert (plus - minus == n).all()
    ends, middle = np.minimum(plus, minus), (synapse.levels - 1) / 2
    off = {"one_sided": ends, "symmetric": (plus + minus) / 2 - middle, "offset": minus - middle}[mapping]
    assert np.abs(off).max() <= (0 if mapping == "one_sided" else 0.5)
    back = synapse.weights(*synapse.conductances(n, mapping))
    # A difference of conductances of up to g_max, in units of span / (levels - 1).
    assert np.abs(back - n).max() <= 16 * EPS * synapse.levels * (1 + 1 / synapse.tmr)
    assert (np.rint(back) == n).all()


@given(linear, weights, st.sampled_from(MAPPINGS))
def test_quantisation_moves_no_weight_by_more_than_half_a_level(synapse, weight, mapping):
    report = synapse.quantise(weight, mapping)
    assert (np.abs(report.weight - weight) <= 0.5 * report.scale * (1 + 1e-4)).all()


@given(synapses, weights)
def test_the_quantisation_report_is_a_naive_loop(synapse, weight):
    report = synapse.quantise(weight)
    table, errors, relative, zeros = synapse.table(), [], [], 0
    for i, j in np.ndindex(weight.shape):
        n, full = int(report.levels[i, j]), float(report.scale[j]) * (synapse.levels - 1)
        g = (table[n] - table[0]) if n > 0 else (table[0] - table[-n])
        errors.append(abs(full * g / span(synapse) - weight[i, j]))
        relative.append(errors[-1] / full)
        zeros += n == 0
    found = [report.max_error, report.rms_error, report.max_relative, report.rms_relative, report.zeros]
    naive = [f(e) for e in (errors, relative) for f in (max, lambda e: math.sqrt(sum(x * x for x in e) / len(e)))]
    np.testing.assert_allclose(found, [*naive, zeros / weight.size], atol=1e-10 * (1 + np.abs(weight).max()))


def test_the_quantisation_report_prints_as_a_table():
    assert str(quiet.quantise(np.array([[1.0, -0.5], [0.51, 0.0]]))).splitlines() == [
        "weights               2 x 2",
        "levels used               4 (-15 to 15)",
        "rms error            0.0117 (1.17% of full scale)",
        "largest error        0.0233 (2.33% of full scale)",
        "weights at zero       25.0%",
    ]


@given(synapses, st.sampled_from(MAPPINGS), seeds)
def test_an_ideal_chip_has_the_nominal_conductances(synapse, mapping, seed):
    n, scale = signed_levels(synapse.largest(mapping), seed, (4, 3)), np.array([0.5, 2.0, 0.0])
    chip = program(n, synapse=replace(synapse, read_noise=0.0), seed=seed, mapping=mapping, scale=scale)
    plus, minus = synapse.conductances(n, mapping)
    np.testing.assert_allclose(np.broadcast_arrays(chip.g_plus, chip.g_minus), (plus, minus), rtol=1e-13)
    rounding = 1e-12 * synapse.levels * (1 + 1 / synapse.tmr)
    np.testing.assert_allclose(chip.weight, synapse.weights(plus, minus, scale), rtol=0, atol=rounding)
    assert (chip.read(seed=0) == chip.weight).all()
    assert chip.faults == dict.fromkeys(FAULTS, 0)


ALL = Variation(r_p=0.06, tmr=0.05, level=0.02, write_error=0.1, barrier=0.05, c2c={"level": 0.02}, die=0.5)


@given(seeds, st.integers(0, 3), st.integers(1, 5), st.integers(1, 5), st.floats(0, 0.9))
def test_device_i_of_chip_c_is_the_same_however_many_are_drawn(seed, chip, few, more, matching):
    synapse, n = MTJSynapse(short=0.2, open=0.2, write_error=0.3, barrier=2), signed_levels(15, seed, (few + more, 3))
    small, large = (program(n[:k], ALL, synapse, seed, chip=chip, matching=matching).after(1.0) for k in (few, None))
    assert (small.g_plus == large.g_plus[:few]).all()
    assert (small.g_minus == large.g_minus[:few]).all()
    assert (small.read(seed=1, counter=7) == large.read(seed=1, counter=7)[:few]).all()


@given(seeds)
def test_turning_one_spread_on_leaves_the_other_draws(seed):
    top, bottom, both = np.full((5, 4), 15), np.zeros((5, 4)), Variation(r_p=0.06, tmr=0.05, barrier=0.1)
    g_p = program(top, Variation(r_p=0.06), seed=seed).g_plus
    assert (program(top, both, seed=seed).g_plus == g_p).all()
    tmr = 100 / program(bottom, Variation(tmr=0.05), seed=seed).g_plus
    np.testing.assert_allclose(g_p / program(bottom, both, seed=seed).g_plus, tmr, rtol=1e-13)
    faulty = program(top, both, replace(quiet, short=0.3), seed)
    assert (faulty.g_plus == np.where(faulty.plus.fault, 500, g_p)).all()


def test_chips_names_seeds_and_sides_differ_and_so_do_the_errors_of_every_write():
    others = ({}, {"seed": 1}, {"chip": 1}, {"name": "other"}, {"write": 1})
    for spread, synapse in ((Variation(c2c={"level": 0.02}), quiet), (None, replace(quiet, write_error=0.3))):
        draws = [program(np.full((5, 5), 8), spread, synapse, **other).g_plus for other in others]
        draws.append(program(np.full((5, 5), -8), spread, synapse).g_minus)
        assert len({draw.tobytes() for draw in draws}) == 6
    first, again = (program(np.full((5, 5), 15), Variation(r_p=0.1), write=w).g_plus for w in (0, 1))
    assert (first == again).all()


def held_std(sample, expected):
    """Six standard errors of a standard deviation of normal numbers, which truncation only makes smaller."""
    assert abs(np.std(sample) / expected - 1) <= 6 / math.sqrt(2 * np.size(sample))


@pytest.mark.parametrize("tmr", [1.0, 1.5])
@pytest.mark.parametrize(
    ("mapping", "level", "amplification"),
    [
        ("one_sided", 0, lambda tmr: math.sqrt(2) / tmr),
        ("one_sided", 14, lambda tmr: math.sqrt((1 + tmr) ** 2 + 1) / tmr),
        ("symmetric", 0, lambda tmr: math.sqrt(2) * (2 + tmr) / (2 * tmr)),
    ],
)
def test_a_low_tmr_amplifies_the_spread_of_weights(mapping, level, amplification, tmr):
    # 1 / log-normal has the spread cv, its mean 1 + cv**2; not cut, so that the closed form is exact.
    cv, spread = 0.1, Variation(r_p=LogNormal(0.1, truncation=math.inf))
    weight = program(column(level), spread, replace(quiet, tmr=tmr, levels=15), mapping=mapping).weight
    expected = cv * (1 + cv**2) * amplification(tmr) * 14
    kurtosis = 3 + 16 * cv**2 + 70 * cv**4  # of a log-normal, to second order from above
    assert abs(weight.std() / expected - 1) <= 6 * math.sqrt((kurtosis - 1) / 4 / N)
    assert abs(weight.mean() - level * (1 + cv**2)) <= 6 * expected / math.sqrt(N)


def test_spreads_of_tmr_and_level_have_their_size():
    shrunk = 0.98658  # standard deviation of a normal cut at three
    held_std(100 / program(column(0), Variation(tmr=0.05)).g_plus, shrunk * 0.05 * 1.5)
    held_std(program(column(8), Variation(level=0.02)).g_plus, shrunk * 0.02 * 60)
    held_std(program(column(8), Variation(level=0.03, c2c={"level": 0.04})).g_plus, shrunk * 0.05 * 60)
    assert program(column(15), Variation(level=0.2, c2c={"level": 0.2})).g_plus.max() <= 100


@pytest.mark.parametrize("matching", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("die", [0.0, 0.3])
def test_pairs_are_correlated_as_their_matching_says(matching, die):
    for parameter, rho in (("r_p", matching), ("tmr", matching), ("level", 0.0)):
        spread = Variation(die=die, **{parameter: Normal(0.01, truncation=8)})
        chip = program(column(0), spread, replace(quiet, levels=15), matching=matching, mapping="symmetric")
        # The factor of the die is constant on a chip: what is left correlates by the matching alone.
        found = np.corrcoef(chip.g_plus.ravel(), chip.g_minus.ravel())[0, 1]
        assert abs(found - rho) <= 6 * (1 - rho**2) / math.sqrt(N) + 0.001


def test_the_devices_of_a_chip_share_the_factor_of_their_die():
    chips = [program(np.full((3, 2), 15), Variation(r_p=0.1, die=1.0), chip=c) for c in range(3)]
    for chip in chips:
        np.testing.assert_allclose(chip.g_minus * 2.5, chip.g_plus[0, 0], rtol=1e-12)
    assert len({chip.g_plus[0, 0] for chip in chips}) == 3


def test_targets_share_their_reference_device_and_its_noise():
    chip = program(np.zeros((5, 4)), ALL, MTJSynapse(read_noise=0.5), mapping="offset")
    assert (chip.g_plus.shape, chip.g_minus.shape) == ((5, 4), (5, 1))
    without = replace(chip, plus=replace(chip.plus, g=np.zeros((5, 4))))
    assert np.ptp(without.read(seed=0), axis=1).max() == 0


def test_each_fault_has_its_rate_and_its_conductance():
    rates = {"stuck_at_gmin": 0.05, "stuck_at_gmax": 0.1, "short": 0.2, "open": 0.02}
    chip = program(column(7), Variation(r_p=0.06), MTJSynapse(barrier=0, **rates))
    for kind, rate in rates.items():
        low, high = binom.interval(1 - 1e-9, 2 * N, rate)
        assert low <= chip.faults[kind] <= high
        assert program(np.zeros((5, 5)), synapse=MTJSynapse(**{kind: 1.0})).faults[kind] == 50
    g_p = program(column(15), Variation(r_p=0.06)).g_plus
    faulty = np.select([chip.plus.fault == i for i in range(1, 5)], [g_p / 2.5, g_p, 500, 0], chip.g_plus)
    np.testing.assert_allclose(chip.g_plus, faulty, rtol=1e-13)
    middle = np.where(chip.plus.fault, chip.g_plus, 0.7 * g_p)  # sound devices drift to it, faulty ones stay
    np.testing.assert_allclose(chip.after(1e9).g_plus, middle, rtol=1e-13)


def test_failed_pulses_are_binomial_and_their_rate_spreads():
    p, level = 0.2, 5
    failed = level - np.rint(program(column(level), synapse=replace(quiet, write_error=p)).weight.ravel()).astype(int)
    for k, count in enumerate(np.bincount(failed, minlength=level + 1)):
        low, high = binom.interval(1 - 1e-9, N, binom.pmf(k, level, p))
        assert low <= count <= high
    assert (program([[15, -15]], synapse=replace(quiet, write_error=1.0)).weight == 0).all()
    top, spread, rare = np.full((2000, 1), 15), Variation(write_error=1.0), replace(quiet, write_error=0.1)
    mean = np.mean([program(top, spread, rare, write=w).weight for w in range(20)], axis=0)
    # Far beyond what 20 writes of equal devices would show.
    assert mean.std() > 3 * math.sqrt(15 * 0.1 * 0.9 / 20)


@pytest.mark.parametrize("sigma", [0.01, 0.03])
def test_read_noise_has_the_stated_size(sigma):
    chip = program(column(15), synapse=MTJSynapse(read_noise=sigma))
    noise, expected = chip.read(seed=4) - chip.weight, sigma * math.hypot(100, 40) * 15 / 60
    held_std(noise, expected)
    assert abs(noise.mean()) <= 6 * expected / math.sqrt(N)


@given(seeds, st.integers(0, 2**40))
def test_read_noise_differs_between_counters_and_chips_but_not_between_calls(seed, counter):
    chip, other = (program(np.full((3, 3), 8), synapse=MTJSynapse(), chip=c) for c in (0, 1))
    read = chip.read(seed=seed, counter=counter)
    assert (chip.read(seed=seed, counter=counter) == read).all()
    assert (chip.read(seed=seed, counter=counter + 1) != read).all()
    assert (other.read(seed=seed, counter=counter) != read).all()


@given(seeds, st.floats(0, 20), st.floats(0, 1e6), st.floats(0, 1e6))
def test_drift_is_a_semigroup_in_time(seed, barrier, first, second):
    chip = program(signed_levels(15, seed, (4, 3)), ALL, MTJSynapse(barrier=barrier), seed)
    twice, once = chip.after(first).after(second), chip.after(first + second)
    np.testing.assert_allclose([twice.g_plus, twice.g_minus], [once.g_plus, once.g_minus], rtol=1e-12)
    assert (chip.after(0).g_plus == chip.g_plus).all()


@pytest.mark.parametrize("level", [0, 4, 15])
def test_drift_is_that_of_two_state_sites(level):
    rate, share, dt = 0.01, level / 15, 1e-2
    chip = program([[level]], synapse=MTJSynapse(barrier=-math.log(2 * rate), attempt_time=2.0))
    for _ in range(10_000):  # the master equation, by Euler's method
        share += dt * rate * ((1 - share) - share)
    assert chip.after(100.0).g_plus[0, 0] == pytest.approx(40 + 60 * share, rel=1e-4)
    assert chip.after(1e6).g_plus[0, 0] == pytest.approx(70)


def test_drift_within_a_second_is_negligible_at_45_k_t_and_barriers_spread():
    chip = program([[15, 0, -15, 4]], synapse=MTJSynapse(barrier=45))
    assert 0 < np.abs(chip.after(1e9).weight - chip.weight).max() <= 15 * 2 * math.exp(-45) * 1e9 < 1e-8
    logs = np.log(program(column(15), Variation(barrier=0.05), MTJSynapse(barrier=10)).plus.rate)
    held_std(logs, 0.98658 * 0.5)


def test_chips_cannot_be_changed_behind_the_back_of_a_network():
    chip = program([[1, 2]])
    for array in (chip.g_plus, chip.g_minus, chip.plus.rate, chip.plus.fault, chip.scale, chip.after(1.0).g_plus):
        assert not array.flags.writeable
    with pytest.raises(FrozenInstanceError):
        chip.chip = 3


EVERY = [math.nan, math.inf, -100.0, "1", None, True, 1e9]
LIMITS = {"tmr": [0.0], "levels": [1, 257, 16.0], "short": [1.1], "open": [-0.1], "stp_max": [0.0]}
PARAMETERS = {field.name: EVERY + LIMITS.get(field.name, []) for field in fields(MTJSynapse)}


@pytest.mark.parametrize(("name", "value"), [(name, each) for name, every in PARAMETERS.items() for each in every])
def test_impossible_parameters_are_refused(name, value):
    with pytest.raises(DeviceError, match=f"{name} is impossible") as error:
        MTJSynapse(**{name: value})
    assert error.value.repair.startswith(f"MTJSynapse({name}=")


USES = {
    quiet.potentiate: [(-1,), ([0, math.nan],), (math.inf,)],
    quiet.depress: [("many",), (None,)],
    quiet.pulses_for: [(39.9,), ([50, 100.1],), (math.nan,)],
    quiet.relax: [(1.0, -1.0), (-1.0, 1.0), (50.0, 1.0), (1.0, math.nan)],
    quiet.short_term: [([2.0, 1.0],), ([-1.0],), ([math.nan],), ([[1.0]],)],
    quiet.largest: [("diagonal",)],
    MTJSynapse(levels=2).largest: [("offset",)],
    quiet.conductances: [(0, "diagonal"), (16,), (8, "offset"), (0.5,)],
    quiet.weights: [(math.nan, 1.0), (1.0, math.inf), (1.0, 1.0, math.inf)],
    quiet.quantise: [([[math.nan]],), ([[1e300]],), ([1.0],), (np.empty((0, 3)),), ([[1.0]], "diagonal")],
    program([[1]]).after: [(-1.0,), (math.inf,)],
}
SPREADS = ({"tmr": 0.4}, {"r_p": Normal(0.1, truncation=math.inf)}, {"barrier": 1}, {"k1": 0.1}, {"c2c": {"r_p": 0.1}})
OPTIONS = {
    program: [{"levels": levels} for levels in ([[16]], [1, 2], [["a"]])]
    + [{"levels": [[1]], "variation": Variation(**spread)} for spread in SPREADS]
    + [{"levels": [[1]], name: -1} for name in ("mapping", "chip", "write", "matching")]
    + [{"levels": [[1]], "scale": scale} for scale in ([1.0, 1.0], math.nan)]
    + [{"levels": [[1]], "matching": 0.5, "mapping": "offset"}],
    program([[1]]).read: [{"seed": 0, "counter": counter} for counter in (-1, 0.5, True)],
    MTJSynapse: [{"short": 0.6, "open": 0.6}, {"stp_max": 0.01}],
}
CALLS = [(call, arguments, {}) for call, every in USES.items() for arguments in every]
CALLS += [(call, (), options) for call, every in OPTIONS.items() for options in every]


@pytest.mark.parametrize(("call", "arguments", "options"), CALLS)
def test_impossible_use_is_refused(call, arguments, options):
    with pytest.raises(DeviceError) as error:
        call(*arguments, **options)
    assert error.value.repair


def test_unusable_seeds_are_refused():
    with pytest.raises(ConfigError, match="seed"):
        program([[1]], seed=-1)
