"""Fitting devices to tables: what is recovered, how honest the errors are, and what is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from eventsim import MTJ
from eventsim.cli import main
from eventsim.errors import ConfigError, DataError, DeviceError, OutputError
from eventsim.measurement import UNITS, draw_fit, fit, write_report
from eventsim.plot import new_figure

TRUTH = MTJ(k1=180.0, k2=-31.0, gain=0.9)
HEADER = "time_ns,drive,position_nm,trace\n"


def measure(device, rng, *, noise=0.0, traces=6, rows=25, first_time=0.0, step=None):
    """Rows (time, drive, position, trace) of pulses and decays that stay below the unstable point."""
    length = -device.k2
    table = []
    for trace in range(traces):
        x, time = rng.uniform(-0.3, 0.6) * length, first_time
        drive = 0.0
        for row in range(rows):
            if row:
                gap = (step or device.k1 / length / 8) * rng.uniform(0.5, 1.5)
                wanted = rng.uniform(-0.2, 0.7) * length
                push = (wanted - x) / gap * device.dt / device.threshold / device.gain
                drive = push if rng.random() < 0.4 else 0.0
                x, time = float(device.step(x, drive, gap)), time + gap
            table.append((time, drive, x + noise * rng.normal(), trace))
    return np.array(table)


def write(path, table, sigma=None):
    header, columns = HEADER.strip(), [*table.T]
    if sigma is not None:
        header, columns = header + ",sigma_nm", [*columns, np.full(len(table), sigma)]
    lines = [",".join(repr(float(value)) for value in row) for row in zip(*columns, strict=True)]
    path.write_text("\n".join(["# pulses", header, *lines]) + "\n")
    return path


def values(found):
    return np.array([getattr(found.device, name) for name in found.standard_errors])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def noisy(folder):
    return measure(TRUTH, np.random.default_rng(7), noise=0.1)


@given(
    k1=st.floats(20, 2000),
    k2=st.floats(-200, -5),
    gain=st.floats(0.2, 5),
    dt=st.floats(0.1, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=30)
def test_exact_tables_give_the_device_back(folder, k1, k2, gain, dt, seed):
    device = MTJ(k1=k1, k2=k2, gain=gain, dt=dt, allow_self_firing=True)
    table = measure(device, np.random.default_rng(seed))
    found = fit(write(folder / "exact.csv", table), nominal=MTJ(dt=dt))
    assert values(found) == pytest.approx([k1, k2, gain], rel=1e-6)
    assert found.rms < 1e-6 * -k2
    assert str(found)


@pytest.mark.parametrize("step", [0.05, 1, 20])
def test_coarse_and_fine_tables_give_the_device_back(folder, step):
    found = fit(write(folder / "step.csv", measure(TRUTH, np.random.default_rng(3), step=step)))
    assert values(found) == pytest.approx([180, -31, 0.9], rel=1e-6)


def test_a_run_away_is_fitted_and_told(folder):
    times = np.arange(0, 20, 0.5)
    x = MTJ().step(27.8, 0.0, times)
    drive = np.zeros(len(times))
    away = np.stack([times, drive, x, drive], axis=1)
    both = np.vstack([away, measure(MTJ(), np.random.default_rng(0)) + np.array([0, 0, 0, 1])])
    found = fit(
        write(folder / "away.csv", both), nominal=MTJ(k1=50, k2=-5, gain=7, threshold=30, allow_self_firing=True)
    )
    assert found.device.k1 == pytest.approx(212, rel=1e-6)
    assert f"{len(times)} rows the skyrmion is beyond the unstable point 27.6 nm" in str(found)
    assert "can fire without input" in str(found)


@pytest.mark.parametrize(("sigma", "rows"), [(None, 25), (0.3, 2)])
def test_standard_errors_are_honest(folder, sigma, rows):
    """Mean and variance of 40 pulls lie within the bounds that normal errors keep with 99.99 % each."""
    pulls = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        table = measure(TRUTH, rng, noise=0.3, traces=200 // rows, rows=rows, step=3.0)
        found = fit(write(folder / "pulls.csv", table, sigma))
        pulls.append((values(found) - [180, -31, 0.9]) / list(found.standard_errors.values()))
    mean, variance = np.mean(pulls, axis=0), np.var(pulls, axis=0, ddof=1)
    assert (np.abs(mean) < norm.isf(0.5e-4) / math.sqrt(40)).all(), mean
    assert ((chi2.ppf(0.5e-4, 39) < 39 * variance) & (39 * variance < chi2.isf(0.5e-4, 39))).all(), variance


def test_residuals_are_those_of_a_plain_loop(folder, noisy):
    found = fit(write(folder / "loop.csv", noisy))
    reached = []
    for row, (time, drive, position, trace) in enumerate(noisy):
        if row == 0 or trace != noisy[row - 1, 3]:
            x = position - found.residuals[row]
        else:
            x = float(found.device.step(x, drive, time - noisy[row - 1, 0]))
        reached.append(x)
    assert found.residuals == pytest.approx(noisy[:, 2] - reached, abs=1e-10)
    assert found.rms == pytest.approx(math.sqrt(np.mean(found.residuals**2)))
    assert found.freedom == len(noisy) - 3 - 6


def test_no_parameter_is_better_than_the_fitted_one(folder, noisy):
    """The minimum is one over the starts, too: another fit with a parameter held beside it is worse."""
    found = fit(write(folder / "best.csv", noisy))
    for name in UNITS:
        error = found.standard_errors[name]
        for shift in (-error, error):
            held = replace(found.device, **{name: getattr(found.device, name) + shift})
            rest = [other for other in UNITS if other != name]
            worse = fit(folder / "best.csv", parameters=rest, nominal=held)
            noise = np.sum(found.residuals**2) / found.freedom
            assert (np.sum(worse.residuals**2) - np.sum(found.residuals**2)) / noise == pytest.approx(1, abs=0.1)


def test_shifted_times_change_nothing(folder, noisy):
    first = fit(write(folder / "shift.csv", noisy))
    second = fit(write(folder / "shift.csv", noisy + np.array([512.0, 0, 0, 0])))
    for name, error in first.standard_errors.items():  # rounding moves the end of the search by less than 1e-6 of them
        assert getattr(second.device, name) == pytest.approx(getattr(first.device, name), rel=0, abs=1e-6 * error)
    assert second.residuals == pytest.approx(first.residuals, abs=1e-8)


def test_order_of_traces_is_irrelevant(folder, noisy):
    first = fit(write(folder / "order.csv", noisy))
    turned = noisy[np.argsort(-noisy[:, 3], kind="stable")]
    second = fit(write(folder / "order.csv", turned))
    assert values(second) == pytest.approx(values(first), rel=1e-8)
    assert list(second.standard_errors.values()) == pytest.approx(list(first.standard_errors.values()), rel=1e-6)


def test_split_traces_know_less_and_say_the_same(folder, noisy):
    """A split loses one interval and adds one start: errors grow, and the change is one that the loss explains."""
    split = noisy.copy()
    split[:, 3] = 2 * split[:, 3] + (np.arange(len(split)) % 25 >= 12)
    whole, halves = fit(write(folder / "w.csv", noisy, 0.1)), fit(write(folder / "h.csv", split, 0.1))
    assert halves.freedom == whole.freedom - 6
    before, after = (np.array(list(found.standard_errors.values())) for found in (whole, halves))
    assert (after > before).all()
    assert (np.abs(values(halves) - values(whole)) < 4 * np.sqrt(after**2 - before**2)).all()


def test_the_scale_of_sigma_changes_errors_and_chi_square_alone(folder, noisy):
    right, double = (fit(write(folder / "s.csv", noisy, sigma)) for sigma in (0.1, 0.2))
    assert values(double) == pytest.approx(values(right), rel=1e-9)
    assert double.standard_errors["k1"] == pytest.approx(2 * right.standard_errors["k1"], rel=1e-6)
    assert double.chi_square == pytest.approx(right.chi_square / 4, rel=1e-6)
    assert not right.warnings
    assert "smaller than sigma_nm" in double.warnings[0]
    assert "larger than sigma_nm" in fit(write(folder / "s.csv", noisy, 0.05)).warnings[0]


def test_parameters_that_are_given_stay(folder, noisy):
    nominal = MTJ(k1=180, k2=-31, threshold=25, reset=-1, dt=2)
    found = fit(write(folder / "some.csv", noisy), parameters=["gain"], nominal=nominal)
    assert replace(found.device, gain=1.0) == nominal
    assert found.device.gain * 25 / 2 == pytest.approx(0.9 * 20, rel=0.01)
    assert list(found.standard_errors) == ["gain"]
    assert "180   (given) nm ns" in str(found)
    assert fit(folder / "some.csv").correlation.shape == (3, 3)


GOOD = "time_ns,drive,position_nm,trace,sigma_nm\n" + "".join(f"{i},0,{9 - i},1,0.1\n" for i in range(8))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column time_ns"),
        ("# nothing\n", "no column time_ns"),
        (GOOD.replace("drive", "current"), "no column drive"),
        (GOOD.replace("trace", "run"), "unknown or repeated column 'run'"),
        (GOOD.replace("sigma_nm", "trace"), "unknown or repeated column 'trace'"),
        (GOOD.splitlines()[0], "too short"),
        (GOOD.replace("2,0,7", "2,zero,7"), "unusable drive in line 4"),
        ("# a comment\n\n" + GOOD.replace("2,0,7", "2,0,nan"), "unusable position_nm in line 6"),
        (GOOD.replace("2,0,7", "2,0,"), "unusable position_nm in line 4"),
        (GOOD.replace("2,0,7", "2,0,inf"), "unusable position_nm in line 4"),
        (GOOD.replace("2,0,7", "2,0,1e7"), "unusable position_nm in line 4"),
        (GOOD.replace("2,0,7", "2,7"), "torn line 4"),
        (GOOD.replace("2,0,7,1,", "2,0,7,1.5,"), "unusable trace in line 4"),
        (GOOD.replace("2,0,7,1,0.1", "2,0,7,1,0"), "unusable sigma_nm in line 4"),
        (GOOD.replace("2,0,7", "1,0,7"), "unsorted time_ns, line 4"),
        (GOOD.replace("2,0,7", "0,0,7"), "unsorted time_ns, line 4"),
        (GOOD + "9,0,1,2,0.1\n", "trace 2 of a single row"),
        (GOOD + "9,0,1,2,0.1\n10,0,1,2,0.1\n11,0,1,1,0.1\n12,0,1,1,0.1\n", "trace 1 in two places"),
        ("\n".join(GOOD.splitlines()[:5]), "too short"),
        (GOOD, "does not determine gain"),
        (GOOD.replace(",0,", ",0.1,").replace("8,1,", "9,1,"), "does not determine"),
        ("time_ns,drive,position_nm\n" + "".join(f"{i},0,0\n" for i in range(9)), "does not determine k1, k2, gain"),
    ],
)
def test_unusable_tables_are_refused(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        fit(path)
    assert "bad.csv" in str(caught.value)


def test_unreadable_files_are_refused(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.csv", "binary.csv", "."):
        with pytest.raises(DataError, match="missing or not readable"):
            fit(tmp_path / name)


def test_a_steady_state_determines_one_parameter(folder):
    """At rest under a drive only x**2 + k2 x + q = 0 is seen: k1 and gain, both within q, are refused together."""
    times = np.arange(20.0)
    drive = 5 * (27.6 - 5) / 212 / 20
    steady = np.stack([times, 0 * times + drive, 0 * times + 5, 0 * times], axis=1)
    path = write(folder / "steady.csv", steady)
    with pytest.raises(DataError, match="does not determine k1, gain"):
        fit(path, parameters=("k1", "gain"), nominal=MTJ(k1=200))
    assert fit(path, parameters=["k2"], nominal=MTJ(k2=-20)).device.k2 == pytest.approx(-27.6, rel=1e-6)


@pytest.mark.parametrize("parameters", [(), "k1", ("k1", "threshold")])
def test_unknown_parameters_are_refused(folder, noisy, parameters):
    with pytest.raises(ConfigError, match="k1, k2, gain"):
        fit(write(folder / "p.csv", noisy), parameters=parameters)


def test_the_report_folder(tmp_path, noisy):
    found = fit(write(tmp_path / "table.csv", noisy, 0.1))
    write_report(found, tmp_path / "deep" / "report")
    report = tmp_path / "deep" / "report"
    assert sorted(path.name for path in report.iterdir()) == ["fit.json", "fit.png", "fit.txt"]
    summary = json.loads((report / "fit.json").read_text())
    assert MTJ(**summary["device"]) == found.device
    assert summary["standard_errors"] == found.standard_errors
    assert (report / "fit.txt").read_text() == f"{found}\n"
    assert (report / "fit.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="exists already"):
        write_report(found, report)


def test_a_report_that_fails_leaves_nothing(tmp_path, noisy, monkeypatch):
    found = fit(write(tmp_path / "table.csv", noisy))
    monkeypatch.setattr("eventsim.measurement.draw_fit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(found, tmp_path / "report")
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_curves_pass_between_the_points_of_one_trace_only(folder, noisy):
    found = fit(write(folder / "draw.csv", noisy))
    data, rest = new_figure(6, 4).subplots(2)
    draw_fit(data, rest, found)
    times, heights = data.lines[0].get_data()
    assert np.isnan(heights).sum() == np.isnan(times).sum() == 5
    pieces = np.split(np.ma.filled(heights, np.nan), np.flatnonzero(np.isnan(heights)))
    reached = noisy[:, 2] - found.residuals
    assert [piece[-1] for piece in pieces] == pytest.approx(reached[24::25], abs=1e-9)
    assert "nm" in data.get_ylabel()
    assert "ns" in rest.get_xlabel()


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["eventsim", "fit", *map(str, arguments)])
    main()


def test_the_command_fits_and_reports(monkeypatch, tmp_path, capsys, noisy):
    path = write(tmp_path / "table.csv", noisy)
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, path, "--out", tmp_path / "report", "--parameters", "k1,k2", "--set", "gain=0.9")
    assert end.value.code in (0, None)
    found = fit(path, parameters=("k1", "k2"), nominal=MTJ(gain=0.9))
    assert str(found) in capsys.readouterr().out
    assert (tmp_path / "report" / "fit.txt").read_text() == f"{found}\n"
    assert MTJ.from_measurement(path).k1 == fit(path).device.k1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.csv"], "missing or not readable"),
        (["columns.csv"], "has no column drive"),
        (["unsorted.csv"], "unsorted time_ns, line 4"),
        (["table.csv", "--parameters", "k1,mass"], "parameters are unknown"),
        (["table.csv", "--set", "k1=-3"], "k1 is impossible"),
        (["table.csv", "--out", "there"], "exists already"),
    ],
)
def test_the_command_refuses_and_changes_nothing(monkeypatch, tmp_path, capsys, noisy, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    write(tmp_path / "table.csv", noisy)
    (tmp_path / "columns.csv").write_text("time_ns,position_nm\n0,1\n1,2\n")
    (tmp_path / "unsorted.csv").write_text("time_ns,drive,position_nm\n0,0,1\n2,0,1\n1,0,1\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *(arguments if "--out" in arguments else [*arguments, "--out", "deep/new"]))
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert all(part in error for part in (message, "given:", "expected:", "repair:"))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_device_that_would_fire_by_itself_is_refused(tmp_path):
    device = MTJ(k2=-15.0, threshold=12.0)
    path = write(tmp_path / "table.csv", measure(device, np.random.default_rng(0)))
    assert MTJ.from_measurement(path, nominal=MTJ(threshold=12.0)).k2 == pytest.approx(-15 * 1.0, rel=1e-6)
    with pytest.raises(DeviceError, match="beyond the unstable point"):
        MTJ.from_measurement(path)
