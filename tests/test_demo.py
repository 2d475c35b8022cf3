"""The demonstration as a whole, in a small form: what it writes, and that nothing but the settings decides it."""

import hashlib
import json
import re

import h5py
import pytest

from eventsim.cli import main
from eventsim.config import DemoConfig, demo_config
from eventsim.errors import CacheError, ConfigError, DataError, NetworkError, OutputError
from eventsim.parallel import cores
from eventsim.training.demo import run_demo

SMALL = {"hidden": 16, "teacher_hidden": 16, "ticks": 3, "teacher_epochs": 2, "student_epochs": 2, "chips": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "deep" / "run"
    seen = []
    config = demo_config("digits", **SMALL)
    run_demo(config, out, progress=lambda *stage: seen.append(stage))
    return out, seen


def test_the_run_folder_holds_everything(finished):
    out, _ = finished
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        "config.json",
        "figures/learning_curves.png",
        "figures/membranes.png",
        "figures/overview.png",
        "figures/spikes.png",
        "figures/variation.png",
        "metrics.jsonl",
        "provenance.json",
        "report.html",
        "results.json",
        "student_with_distillation.h5",
        "student_without_distillation.h5",
        "teacher.h5",
        "teacher_cache.h5",
    }
    assert DemoConfig(**json.loads((out / "config.json").read_text())) == demo_config("digits", **SMALL)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    watched = {"learning_rate", "gradient_norm", "firing_rates", "warnings"}
    assert {"model", "epoch", "loss", "train_accuracy", "validation_accuracy", *watched} == set(lines[0])
    assert json.loads((out / "provenance.json").read_text())["threads"] == 1


def test_results_hold_models_and_chips(finished):
    results = json.loads((finished[0] / "results.json").read_text())
    assert list(results["models"]) == ["teacher", "student without distillation", "student with distillation"]
    assert [chips["variation"] for chips in results["chips"]] == [0, 0.05, 0.1]
    nominal = results["chips"][0]["accuracies"]
    assert nominal == [results["models"]["student with distillation"]["test_accuracy"]] * 2
    compared = {"samples": 600, "chips": 2, "spikes_and_logits_that_differ": 0}
    assert results["engine_against_training_forward"] == compared
    assert all(chips["synops"] > 0 for chips in results["chips"])


def test_the_report_is_one_page_with_its_figures(finished):
    page = (finished[0] / "report.html").read_text()
    assert page.count('src="data:image/png;base64,') == 4
    assert not re.search(r'(src|href)="(?!data:)', page)
    for word in ("teacher", "student without distillation", "10 % variation", "devices only", "Provenance"):
        assert word in page


def test_progress_covers_every_stage(finished):
    last = {stage: (done, total) for stage, done, total in finished[1]}
    assert last == {
        "train teacher": (2, 2),
        "train student without distillation": (2, 2),
        "train student with distillation": (2, 2),
        "simulate chips": (6, 6),
        "report": (1, 1),
    }


@pytest.mark.parametrize("threads", sorted({1, min(2, cores())}))
def test_same_settings_give_the_same_numbers_to_the_last_bit(finished, tmp_path, threads):
    run_demo(demo_config("digits", **SMALL), tmp_path / "again", threads=threads)
    for name in ("results.json", "metrics.jsonl", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (finished[0] / name).read_bytes()


def test_a_run_from_the_cache_gives_the_same_numbers(finished, tmp_path):
    out, cached = finished[0], tmp_path / "cached"
    run_demo(demo_config("digits", **SMALL), cached, cache=out / "teacher_cache.h5")
    assert (cached / "results.json").read_bytes() == (out / "results.json").read_bytes()
    assert not (cached / "teacher.h5").exists()
    used = json.loads((cached / "provenance.json").read_text())["teacher_cache"]
    assert used["path"] == str(out / "teacher_cache.h5")
    assert used["sha256"] == hashlib.sha256((out / "teacher_cache.h5").read_bytes()).hexdigest()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_refusals_come_before_work_and_change_nothing(finished, tmp_path):
    out, cache = finished[0], finished[0] / "teacher_cache.h5"
    before = contents(out)
    config = demo_config("digits", **SMALL)
    (tmp_path / "file").write_text("a file")
    calls = [
        (OutputError, "exists already", {"config": config, "out": out}),
        (OutputError, "not a folder", {"config": config, "out": tmp_path / "file" / "run"}),
        (NetworkError, "not exact", {"config": demo_config("digits", levels=8192, hidden=3000)}),
        (CacheError, "another recipe", {"config": demo_config("digits", 1, **SMALL), "cache": cache}),
        (CacheError, "no teacher cache", {"config": config, "cache": tmp_path / "none.h5"}),
        (CacheError, "damaged", {"config": config, "cache": tmp_path / "file"}),
        (DataError, "data folder is missing", {"config": demo_config("mnist")}),
        (ConfigError, "threads", {"config": config, "threads": 10_000}),
    ]
    for error, message, arguments in calls:
        with pytest.raises(error, match=message):
            run_demo(**{"out": tmp_path / "new", **arguments})
    assert contents(out) == before
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("stage", ["train student with distillation", "report"])
def test_an_interrupted_run_leaves_nothing(tmp_path, stage):
    def progress(name, done, total):
        if name == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_demo(demo_config("digits", **SMALL), tmp_path / "run", progress=progress)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--seed", "-1"], "seed"),
        (["demo", "--seed", "x"], "'x' is not a valid integer"),
        (["demo", "--sede", "1"], "--seed"),
        (["demo", "--dataset", "cifar"], "cifar"),
        (["demo", "--dataset", "mnist"], "idx files: train-images"),
        (["demo", "--threads", "0"], "threads"),
        (["demo", "--data", "."], "leave --data out"),
        (["demo", "--cache", "nowhere.h5"], "nowhere.h5"),
        (["demo", "--out", "."], "exists already"),
        (["dmeo"], "dmeo"),
        (["demo", "stray"], "stray"),
        (["demo", "--set", "epochs"], "NAME=VALUE"),
        (["demo", "--set", "seed=3"], "given twice"),
        (["demo", "--set", "alpha=NaN"], "alpha: Input should be a finite number"),
        (["demo", "--set", "epochs=3"], "epochs: Extra inputs are not permitted"),
        (["demo", "--set", "levels=many"], "levels = 'many'"),
        (["demo", "--set", "variation=[0, 0.5]"], "variation.1 = 0.5"),
        (["demo", "--set", "variation=[]"], "at least 1 item"),
        (["demo", "--set", "variation=[0.1, 0.1]"], "every spread once"),
        (["demo", "--set", "chips=true"], "chips = True"),
        (["demo", "--set", "student_rate=1e30"], "student_rate: Input should be less than or equal to 1"),
        (["demo", "--set", "chips=3", "--set", "chips=4"], "given twice"),
        (["demo", "--set", "levels=8192", "--set", "hidden=3000"], "sources * level below"),
    ],
)
def test_the_command_line_refuses_with_exit_code_2(monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVENTSIM_DATA", raising=False)
    monkeypatch.setattr("sys.argv", ["eventsim", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_version_and_help(monkeypatch, capsys):
    for argument, text in (("--version", "eventsim 0."), ("--help", "demo")):
        monkeypatch.setattr("sys.argv", ["eventsim", argument])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        assert text in capsys.readouterr().out


def test_unknown_and_impossible_settings_are_named():
    with pytest.raises(ConfigError, match=r"levels = 1; levles = 3(.|\n)*levels: (.|\n)*levles: "):
        demo_config("digits", levles=3, levels=1)


def test_a_damaged_cache_is_refused_by_the_command(finished, monkeypatch, tmp_path, capsys):
    path = tmp_path / "cache.h5"
    path.write_bytes((finished[0] / "teacher_cache.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file["logits"][3] = 0
    monkeypatch.chdir(tmp_path)
    settings = [f"--set={name}={value}" for name, value in SMALL.items()]
    monkeypatch.setattr("sys.argv", ["eventsim", "demo", "--cache", "cache.h5", *settings])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "teacher cache is damaged" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.data
def test_the_mnist_row_in_fewer_epochs(data_folder, tmp_path):
    """784-100-10, one tick: published 91.15 % without and 93.07 % with distillation."""
    config = demo_config("mnist", teacher_epochs=6, student_epochs=4)
    demo = run_demo(config, tmp_path / "run", data=data_folder)
    teacher, plain, distilled = (scores.test_accuracy for scores in demo.scores.values())
    assert teacher > distilled > plain
    assert distilled > 0.9307
    worst = demo.deployments[-1]
    assert worst.variation == 0.1
    assert min(worst.accuracies) > distilled - 0.01
