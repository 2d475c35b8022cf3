"""The pictures of the devices: the numbers behind them, what the command writes, and what it refuses."""

import numpy as np
import pytest
from PIL import Image

from eventsim import MTJ, Variation, respond
from eventsim.cli import main
from eventsim.conductance import MTJSynapse
from eventsim.errors import ConfigError, DeviceError, OutputError
from eventsim.gallery import KINDS, MODELS, build, draw_gallery, parameter_rows
from eventsim.moving import MovingNeuron
from eventsim.panels import device_rates, exact_path, spike_probability, tick_rates
from eventsim.stochastic import StochasticNeuron

pytestmark = pytest.mark.slow

MOVING = [name for name in MODELS if issubclass(MODELS[name].kind, MovingNeuron)]
STOCHASTIC = [name for name in MODELS if issubclass(MODELS[name].kind, StochasticNeuron)]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery") / "deep" / "devices"
    return folder, draw_gallery(folder)


def test_every_model_is_drawn(gallery):
    folder, pictures = gallery
    assert [path.name for path in pictures] == [f"{name}.png" for name in KINDS]
    assert {path.name for path in folder.iterdir()} == {f"{name}.png" for name in KINDS} | {"parameters.md"}
    for path in pictures:
        assert path.stat().st_size < 120_000
        with Image.open(path) as picture:
            assert picture.size == (1440, 408)
            assert len(picture.convert("RGB").getcolors(2**20)) > 20


def test_the_table_names_every_parameter(gallery):
    rows, text = parameter_rows(build(list(MODELS))), (gallery[0] / "parameters.md").read_text()
    assert len(rows) == sum(len(MODELS[name].kind.parameters()) for name in MODELS)
    assert ("mtj", "k1", "212", "212", "nm ns", "log-normal", MTJ.parameters()["k1"]["source"]) in rows
    assert "| lif | reset | 0 | 0 | nm | normal, relative to threshold | Li et al.: decay to the rest |\n" in text
    assert text.count("\n") >= len(rows) + 2


@pytest.mark.parametrize("settings", [{}, {"refractory": 2}, {"reset_mode": "soft"}])
@pytest.mark.parametrize("name", MOVING)
def test_spikes_shown_are_those_of_respond_within_their_ticks(name, settings):
    model, drive = MODELS[name].kind(**settings), MODELS[name].train()
    times, states, spikes = exact_path(model, drive)
    fired = np.flatnonzero(respond(model, drive).spikes[:, 0])
    assert len(spikes)
    assert len(spikes) == len(fired)
    assert (fired * model.dt < spikes).all()
    assert (spikes <= (fired + 1) * model.dt).all()
    assert np.isfinite(states).all()
    assert (np.diff(times) >= 0).all()
    assert states.max() == model.threshold


@pytest.mark.parametrize("name", MOVING)
def test_the_path_ends_each_tick_where_respond_does(name):
    model, drive = MODELS[name].kind(), MODELS[name].train()
    times, states, _ = exact_path(model, drive)
    found = respond(model, drive)
    for tick in np.flatnonzero(~found.spikes[:, 0]):
        end = np.flatnonzero(times == tick * model.dt + model.dt)[0]
        assert states[end] == pytest.approx(found.position[tick, 0], rel=1e-12, abs=1e-12)


def test_the_spike_of_the_mtj_comes_half_way_through_the_fifth_pulse():
    _, _, spikes = exact_path(MTJ(), MODELS["mtj"].train())
    assert spikes == pytest.approx([24.498, 49.498], abs=1e-3)


@pytest.mark.parametrize("settings", [{}, {"refractory": 3}])
@pytest.mark.parametrize("name", MOVING)
def test_the_exact_line_is_one_over_first_passage(name, settings):
    model, drives = MODELS[name].kind(**settings), np.linspace(*MODELS[name].drives, 23) + 0.00137
    exact = device_rates(model.identical(2), drives)
    passage = model.first_passage(model.reset, drives)
    np.testing.assert_allclose(exact[:, 0], 1e3 / (passage + model.refractory * model.dt), rtol=1e-12)
    np.testing.assert_array_equal(exact[:, 0], exact[:, 1])
    ticks = np.ceil(np.where(np.isfinite(passage), passage / model.dt, np.inf) - 1e-9) + model.refractory
    counted = tick_rates(model, drives, 0, 1000)
    np.testing.assert_allclose(counted, 1e3 / (ticks * model.dt), atol=1e3 / (1000 * model.dt) * 1.01)


@pytest.mark.parametrize("name", MODELS)
def test_drawn_devices_are_shown_at_their_own_rates(name):
    model, drives = MODELS[name].kind(), np.linspace(*MODELS[name].drives, 11)
    devices = model.draw(5, Variation.all(0.1), seed=3)
    rates = device_rates(devices, drives)
    assert rates.shape == (11, 5)
    assert len(np.unique(rates, axis=1).T) == 5
    drive, ticks = np.broadcast_to(drives[-1], (2000, 5)), 2000
    found = respond(devices, drive, seed=1)
    if isinstance(model, MovingNeuron):
        floor = 1e3 / (model.dt * np.ceil(1e3 / rates[-1] / model.dt))
        np.testing.assert_allclose(found.rate, floor, rtol=2e-2)
    else:
        share = found.rate * model.dt / 1e3
        wanted = rates[-1] if name == "superparamagnetic-mtj" else rates[-1] * model.dt / 1e3
        np.testing.assert_allclose(share, wanted, atol=5 * np.sqrt(0.25 / ticks))


@pytest.mark.parametrize(
    ("name", "refractory"), [*((name, 0) for name in STOCHASTIC), ("switching-mtj", 2), ("back-hopping-mtj", 3)]
)
def test_the_probability_shown_is_the_share_of_many_trials(name, refractory):
    model, drive = MODELS[name].kind(refractory=refractory), MODELS[name].train()
    share = respond(model.identical(4000), drive, seed=5).spikes.mean(axis=1)
    np.testing.assert_allclose(share, spike_probability(model, drive), atol=5 * np.sqrt(0.25 / 4000))


def test_the_sigmoid_is_the_p_bit():
    model, drives = MODELS["superparamagnetic-mtj"].kind(), np.linspace(-1, 1, 21)
    settled = device_rates(model.identical(1), drives)[:, 0]
    np.testing.assert_allclose(settled, (1 + np.tanh(model.barrier * drives)) / 2, rtol=1e-10)
    np.testing.assert_allclose(model.probability(drives, state=settled), settled, rtol=1e-12)


def test_the_synapse_takes_settings(tmp_path):
    settings = {"nl_ltp": 2.0, "levels": 8}
    assert build(["mtj-synapse"], settings)["mtj-synapse"] == MTJSynapse(**settings)
    assert draw_gallery(tmp_path / "out", ["mtj-synapse"], settings)[0].exists()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mtj", {"threshold": "unstable"}),
        ("mtj", {"reset": 18.0}),
        ("lif", {"tau": 1e-3}),
        ("oscillator", {"threshold": 1, "nonlinearity": 0}),
        ("domain-wall", {"leak": 1e6}),
        ("back-hopping-mtj", {"onset": 5.0}),
    ],
)
def test_extreme_parameters_can_be_drawn(tmp_path, name, settings):
    assert draw_gallery(tmp_path / "out", [name], settings)[0].exists()


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["eventsim", "devices", *arguments])
    main()


def test_settings_and_seed_change_the_picture_and_the_table(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for out, more in (("a", ()), ("b", ()), ("c", ("--set", "k1=150")), ("d", ("--seed", "1"))):
        with pytest.raises(SystemExit) as end:
            run(monkeypatch, "--out", out, "--model", "mtj", *more)
        assert not end.value.code
    assert "mtj.png" in capsys.readouterr().out
    assert "| mtj | k1 | 150 | 212 | nm ns | log-normal |" in (tmp_path / "c" / "parameters.md").read_text()
    pictures = {out: (tmp_path / out / "mtj.png").read_bytes() for out in "abcd"}
    assert pictures["a"] == pictures["b"]
    assert len(set(pictures.values())) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "neuron"], "A model is unknown"),
        (["--set", "k1=200"], "Settings belong to one model"),
        (["--model", "mtj", "--model", "lif", "--set", "gain=2"], "Settings belong to one model"),
        (["--model", "lif", "--set", "k1=200"], "lif has no such parameter"),
        (["--model", "lif", "--set", "tau=-1"], "tau is impossible"),
        (["--model", "lif", "--set", "tau=many"], "tau is impossible"),
        (["--model", "mtj", "--set", "threshold=30"], "beyond the unstable point"),
        (["--model", "mtj", "--set", "threshold"], "NAME=VALUE"),
        (["--seed", "-1"], "seed"),
        (["--out", "there"], "exists already"),
        (["--out", "file/new"], "cannot be made"),
    ],
)
def test_refusals_have_exit_code_2_and_change_nothing(monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("text")
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *(arguments if "--out" in arguments else ["--out", "deep/new", *arguments]))
    assert end.value.code == 2
    error = capsys.readouterr().err
    for part in (message, "given:", "expected:", "repair:"):
        assert part in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "there"]
    assert not list((tmp_path / "there").iterdir())


def test_refusals_of_the_function_are_of_their_kind(tmp_path):
    with pytest.raises(ConfigError, match="unknown"):
        draw_gallery(tmp_path / "new", ["neuron"])
    with pytest.raises(ConfigError, match="unknown"):
        draw_gallery(tmp_path / "new", [])
    with pytest.raises(DeviceError, match="k2"):
        draw_gallery(tmp_path / "new", ["mtj"], {"k2": 3.0})
    with pytest.raises(OutputError, match="exists"):
        draw_gallery(tmp_path, ["mtj"])
    assert not list(tmp_path.iterdir())
