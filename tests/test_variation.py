"""Laws of variation against exact distributions, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eventsim import IF, LIF, MTJ, DomainWall, LogNormal, Normal, Oscillator, TaperedDomainWall, Variation, respond
from eventsim.errors import DeviceError, InputError
from eventsim.stochastic import BackHoppingMTJ, SuperparamagneticMTJ, SwitchingMTJ
from eventsim.variation import TRUNCATION, cycle_factors, cycle_rows
from tests.strategies import seeds

MODELS = (MTJ, LIF, IF, DomainWall, TaperedDomainWall, Oscillator, SwitchingMTJ, SuperparamagneticMTJ, BackHoppingMTJ)
models = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
laws = pytest.mark.parametrize(
    "law",
    [
        *(Normal(0.05), Normal(0.2), Normal(0.1, truncation=1.0), Normal(0.02, truncation=6.0), LogNormal(0.0)),
        *(LogNormal(0.1), LogNormal(0.5), LogNormal(2.0, truncation=1.5), LogNormal(0.3, truncation=8.0)),
    ],
    ids=repr,
)
N = 40_000


def exact(law):
    """The distribution of relative values, from scipy's truncated normal and its change of variable."""
    normal = stats.truncnorm(-law.truncation, law.truncation)
    if isinstance(law, Normal):
        return lambda value: normal.cdf((value - 1) / law.cv)
    s = math.sqrt(math.log1p(law.cv**2))
    return lambda value: normal.cdf((np.log(value) + s * s / 2) / s)


def moments(law):
    """Exact mean and standard deviation, the log-normal ones by the moment generating function of a cut normal."""
    cut = law.truncation
    normal = stats.truncnorm(-cut, cut)
    if isinstance(law, Normal):
        return 1.0, law.cv * normal.std()
    s = math.sqrt(math.log1p(law.cv**2))
    whole = stats.norm.cdf(cut) - stats.norm.cdf(-cut)

    def raised(k):
        share = (stats.norm.cdf(cut - k * s) - stats.norm.cdf(-cut - k * s)) / whole
        return share * math.exp(k * k * s * s / 2 - k * s * s / 2)

    return raised(1), math.sqrt(raised(2) - raised(1) ** 2)


def relative(law, n=N, seed=5, **fixed):
    """Gains of drawn devices: relative values, because the nominal gain is 1."""
    die = fixed.pop("die", 0.0)
    return LIF().draw(n, Variation(gain=law, die=die), seed=seed, **fixed)["gain"]


@laws
def test_draws_follow_their_law(law):
    drawn = relative(law)
    if law.cv == 0:
        assert (drawn == 1).all()
        return
    assert stats.kstest(drawn, exact(law)).pvalue > 1e-3
    mean, deviation = moments(law)
    assert abs(drawn.mean() - mean) < 5 * deviation / math.sqrt(N)
    fourth = np.mean((drawn - mean) ** 4)
    spread_of_variance = math.sqrt((fourth - deviation**4) / N)
    assert abs(drawn.var() - deviation**2) < 6 * spread_of_variance
    assert law.support[0] <= drawn.min() < drawn.max() <= law.support[1]


def test_three_standard_deviations_cost_1_3_percent():
    assert TRUNCATION == 3
    assert moments(Normal(1.0))[1] == pytest.approx(0.9866, abs=5e-5)


@given(st.floats(0.001, 3))
def test_a_log_normal_without_truncation_keeps_mean_and_coefficient_of_variation(cv):
    law = LogNormal(cv, truncation=math.inf)
    u = (np.arange(20_000) + 0.5) / 20_000
    s = math.sqrt(math.log1p(cv**2))
    assert np.log(law.factors(u)).mean() == pytest.approx(-s * s / 2, abs=1e-9)
    assert np.log(law.factors(u)).std() == pytest.approx(s, rel=2e-3)
    assert moments(law) == pytest.approx((1.0, cv))


@given(st.floats(0, 10), st.floats(0.1, 8), st.floats(1e-16, 1 - 1e-16), st.sampled_from([Normal, LogNormal]))
def test_factors_are_quantiles_within_the_support(cv, truncation, u, kind):
    law = kind(cv, truncation=truncation)
    low, high = law.support
    value = law.factors(np.array([u, 0.5]))
    assert low - 1e-12 * abs(low) <= value[0] <= high * (1 + 1e-12)
    median = 1.0 if kind is Normal else 1 / math.sqrt(1 + cv * cv)
    assert value[1] == pytest.approx(median, rel=1e-12)
    assert (value[0] >= value[1] * (1 - 1e-15)) if u >= 0.5 else (value[0] <= value[1] * (1 + 1e-15))


# ------------------------------------------------------------------------------------------------------------- chips


@pytest.mark.parametrize("die", [0.0, 0.25, 0.5, 0.9])
def test_devices_of_one_chip_are_correlated_by_the_die(die):
    """Spearman correlation of two devices over many chips: (6/pi) asin(die/2) for a Gaussian copula."""
    chips = 700
    pairs = np.array([relative(Normal(0.1), 2, chip=chip, die=die) for chip in range(chips)])
    wanted = 6 / math.pi * math.asin(die / 2)
    bound = 5 / math.sqrt(chips)
    assert abs(stats.spearmanr(pairs).statistic - wanted) < bound
    assert abs(stats.spearmanr(pairs[:-1, 0], pairs[1:, 1]).statistic) < bound
    for column in pairs.T:
        assert stats.kstest(column, exact(Normal(0.1))).pvalue > 1e-3


def test_parameters_do_not_share_the_factor_of_their_die():
    chips = [MTJ().draw(1, Variation(k1=0.1, gain=0.1, die=1.0), seed=0, chip=chip) for chip in range(700)]
    both = np.array([[float(devices["k1"][0]), float(devices["gain"][0])] for devices in chips])
    assert abs(stats.spearmanr(both).statistic) < 5 / math.sqrt(700)


def test_a_die_of_one_makes_the_devices_of_a_chip_equal():
    drawn = relative(LogNormal(0.3), 50, die=1.0)
    assert np.ptp(drawn) == 0
    assert drawn[0] != relative(LogNormal(0.3), 50, die=1.0, chip=1)[0]


@models
@given(seeds(), st.integers(0, 2**31), st.integers(1, 20), st.floats(0, 1))
def test_device_i_of_a_chip_does_not_depend_on_what_else_is_drawn(model, seed, chip, n, die):
    names = list(model.laws())
    names.remove("reset") if "reset" in names else None
    variation = Variation(**dict.fromkeys(names, 0.03), die=die)
    backwards = Variation(**dict.fromkeys(reversed(names), 0.03), die=die)
    many = model().draw(20, variation, seed=seed, chip=chip, name="a")
    few = model().draw(n, backwards, seed=seed, chip=chip, name="a")
    for name in names:
        alone = model().draw(n, Variation(**{name: 0.03}, die=die), seed=seed, chip=chip, name="a")
        assert np.array_equal(few[name], many[name][:n])
        assert np.array_equal(alone[name], few[name])
        assert all((alone[other] == getattr(model(), other)).all() for other in names if other != name)


@models
def test_seeds_chips_populations_and_parameters_are_drawn_apart(model):
    names = [name for name in model.laws() if name != "reset"]
    rows = []
    for seed, chip, name in ((0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")):
        devices = model().draw(9, Variation(**dict.fromkeys(names, Normal(0.03))), seed=seed, chip=chip, name=name)
        rows += [devices[p] / getattr(model(), p) for p in names]
    values = np.concatenate(rows)
    assert len(np.unique(values.round(14))) == len(values)


@models
def test_all_spreads_what_has_a_law_of_its_own(model):
    every = model().draw(30, Variation.all(0.03), seed=2)
    for name, about in model.parameters().items():
        if about["law"] and not about["relative_to"]:
            alone = model().draw(30, Variation(**{name: 0.03}), seed=2)
            assert np.array_equal(every[name], alone[name])
            assert np.ptp(every[name]) > 0
    if "reset" in every and model is not Oscillator:
        assert (every["reset"] == model().reset).all()


def test_the_spread_of_a_reset_is_relative_to_the_threshold():
    drawn = MTJ(reset=1.0).draw(N, Variation(reset=Normal(0.02)), seed=1)["reset"]
    assert stats.kstest((drawn - 1.0) / 20 + 1, exact(Normal(0.02))).pvalue > 1e-3


@given(seeds(), st.floats(0, 0.2))
def test_signs_are_kept(seed, cv):
    devices = MTJ().draw(40, Variation.all(cv), seed=seed)
    assert (devices["k2"] < 0).all()
    assert all((devices[name] > 0).all() for name in ("k1", "gain", "threshold"))
    with pytest.raises(ValueError, match="read-only"):
        devices["k1"][0] = 1.0


# ---------------------------------------------------------------------------------------------------- cycle to cycle


@given(seeds(), st.integers(0, 2**40), st.integers(1, 20))
def test_cycle_draws_are_keyed_by_tick_and_device(seed, tick, n):
    variation = Variation(k1=0.05, c2c={"k1": 0.05, "reset": 0.02})
    many, few = (MTJ().draw(size, variation, seed=seed) for size in (20, n))
    now = many.in_tick(tick)
    assert np.array_equal(few.in_tick(tick)["reset"], now["reset"][:n])
    assert np.array_equal(now["k1"], many.in_tick(tick)["k1"])
    others = [many.in_tick(tick + 1), MTJ().draw(20, variation, seed=seed, chip=1).in_tick(tick)]
    others.append(MTJ().draw(20, variation, seed=seed, name="b").in_tick(tick))
    for other in others:
        assert np.count_nonzero(now["reset"] == other["reset"]) <= 1  # in single precision two may meet
    assert np.array_equal(now["gain"], many["gain"])


@models
@given(seeds(), st.integers(0, 2**40), st.data())
def test_turning_one_cycle_spread_on_leaves_the_others(model, seed, tick, data):
    names = [name for name in model.laws() if name != "reset"]
    some = data.draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    every = model().draw(9, Variation(c2c=dict.fromkeys(names, 0.03)), seed=seed).in_tick(tick)
    now = model().draw(9, Variation(c2c=dict.fromkeys(some, 0.03)), seed=seed).in_tick(tick)
    for name in names:
        assert np.array_equal(now[name], every[name] if name in some else np.full(9, getattr(model(), name)))


def test_cycle_draws_follow_their_law_around_each_device():
    devices = MTJ().draw(2, Variation(k1=0.1, c2c={"k1": LogNormal(0.05)}), seed=3)
    ticks = np.array([devices.in_tick(tick)["k1"] for tick in range(1500)]) / devices["k1"]
    for column in ticks.T:
        assert stats.kstest(column, exact(LogNormal(0.05))).pvalue > 1e-3
    assert abs(stats.spearmanr(ticks).statistic) < 5 / math.sqrt(1500)
    assert abs(stats.spearmanr(ticks[:-1, 0], ticks[1:, 0]).statistic) < 5 / math.sqrt(1500)


@laws
def test_cycle_factors_follow_their_law(law):
    drawn = cycle_factors(law, 5, "statistics", N, 3)
    if law.cv == 0:
        assert (drawn == 1).all()
        return
    assert stats.kstest(drawn, exact(law)).pvalue > 1e-3
    mean, deviation = moments(law)
    assert abs(drawn.mean() - mean) < 5 * deviation / math.sqrt(N)
    assert law.support[0] <= drawn.min() < drawn.max() <= law.support[1]


def test_parameters_devices_and_ticks_draw_independently():
    """Five parameters stand in two blocks; neighbours in any direction, and the words of a block, are uncorrelated."""
    rows = [cycle_rows(dict.fromkeys(range(5), Normal(0.1)), 2, "apart", N, tick) for tick in (0, 1)]
    columns = [row for tick in rows for row in tick.values()] + [rows[0][0][np.r_[1:N, 0]]]
    correlation = stats.spearmanr(np.array(columns), axis=1).statistic
    assert np.abs(correlation - np.eye(len(columns))).max() < 5 / math.sqrt(N)
    squares = stats.spearmanr((np.array(columns) - 1) ** 2, axis=1).statistic
    assert np.abs(squares - np.eye(len(columns))).max() < 5 / math.sqrt(N)


def test_without_cycle_variation_devices_stay_the_same():
    devices = MTJ().draw(3, Variation.all(0.1), seed=0)
    assert devices.in_tick(17) is devices


# --------------------------------------------------------------------------------------------------------- refusals


def refused(action, *words):
    with pytest.raises(DeviceError) as caught:
        action()
    for part in ("given:", "expected:", "repair:", *words):
        assert part in str(caught.value)


@pytest.mark.parametrize("kind", [Normal, LogNormal])
@pytest.mark.parametrize("cv", [-0.1, math.nan, math.inf, 10.1, "0.1", None, True, -1e-300])
def test_spreads_that_are_no_magnitude_are_refused(kind, cv):
    refused(lambda: kind(cv), "cv", repr(cv), kind.__name__)


@pytest.mark.parametrize("cv", [-0.1, math.nan, math.inf, "5 %", None, True])
def test_variations_that_are_no_magnitude_are_refused(cv):
    refused(lambda: Variation(k1=cv), repr(cv))
    refused(lambda: Variation(c2c={"k1": cv}), repr(cv))
    refused(lambda: Variation.all(cv), repr(cv))


@pytest.mark.parametrize("truncation", [0.0, -1.0, math.nan, "3", None, 0.09])
def test_truncations_that_are_impossible_are_refused(truncation):
    refused(lambda: Normal(0.1, truncation=truncation), "truncation", repr(truncation))


@pytest.mark.parametrize("die", [-0.1, 1.1, math.nan, "0.5", None])
def test_correlations_that_are_impossible_are_refused(die):
    refused(lambda: Variation(k1=0.1, die=die), "die", repr(die))


@models
def test_parameters_that_a_model_does_not_have_are_refused(model):
    for name in ("k3", "dt", "refractory", "tau" if model is MTJ else "k1"):
        refused(lambda name=name: model().draw(2, Variation(**{name: 0.1}), seed=0), name, "gain")
        refused(lambda name=name: model().draw(2, Variation(c2c={name: 0.1}), seed=0), name, "gain")


def test_spreads_that_cross_zero_are_refused_whatever_is_drawn():
    refused(lambda: MTJ().draw(1, Variation(k1=Normal(0.34)), seed=0), "k1", "-0.02", "LogNormal")
    refused(lambda: MTJ().draw(1, Variation(k2=Normal(0.1, truncation=math.inf)), seed=0), "k2")
    refused(lambda: MTJ().draw(1, Variation(c2c={"gain": Normal(0.34)}), seed=0), "gain")
    assert len(MTJ().draw(1, Variation(k1=Normal(0.33)), seed=0)) == 1


def test_a_log_normal_of_any_truncation_is_positive_and_therefore_possible():
    drawn = MTJ().draw(500, Variation(k1=LogNormal(0.5, truncation=math.inf)), seed=0)["k1"]
    assert (drawn > 0).all()


def test_resets_that_may_reach_thresholds_are_refused_whatever_is_drawn():
    refused(lambda: MTJ(reset=15.0).draw(1, Variation(threshold=0.1), seed=0), "threshold", "14", "15")
    refused(lambda: MTJ(reset=15.0).draw(1, Variation(reset=0.1), seed=0), "threshold")
    refused(lambda: MTJ(reset=15.0).draw(1, Variation(threshold=0.05, c2c={"reset": 0.05}), seed=0), "threshold")
    assert len(MTJ(reset=15.0).draw(1, Variation(threshold=0.05), seed=0)) == 1


@pytest.mark.parametrize("model", [DomainWall, TaperedDomainWall])
@pytest.mark.parametrize("how", [{"reset": 0.1}, {"c2c": {"reset": 0.1}}], ids=str)
def test_drawn_walls_stay_on_their_track(model, how):
    """A reset below the end of the track is refused for a nominal wall, and must not come in through its spread."""
    try:
        devices = model().draw(40, Variation(**how), seed=0)
    except DeviceError:
        return
    assert (devices.in_tick(0)["reset"] >= 0).all()
    out = respond(devices, np.full(30, 0.8))
    assert (out.position >= 0).all()
    assert (out.state.position >= 0).all()


@models
def test_counts_chips_and_seeds_that_are_impossible_are_refused(model):
    for n in (0, -1, 1.5, True, "3", None):
        refused(lambda n=n: model().draw(n, Variation(), seed=0), "n ")
        refused(lambda n=n: model().identical(n), "n ")
    for chip in (-1, 0.5, None):
        refused(lambda chip=chip: model().draw(1, Variation(gain=0.1), seed=0, chip=chip), "chip")
    for seed in (-1, 2**63, 0.5, None, True):
        with pytest.raises(InputError, match="seed"):
            model().draw(1, Variation(gain=0.1), seed=seed)
