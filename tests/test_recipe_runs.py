"""Runs of recipes: killed anywhere they end with the bits of a run in one go; folders of other runs are left alone."""

import json
import os
import random
import shutil
import signal
import time
import tomllib

import h5py
import pytest

from eventsim.cli import main
from eventsim.errors import CacheError, CheckpointError, OutputError
from eventsim.parallel import cores
from eventsim.store import fingerprint
from eventsim.training import fit, load, run
from eventsim.training.lessons import Online
from eventsim.training.monitor import TIMES
from eventsim.training.recipe import checked
from eventsim.training.run import run_recipe
from eventsim.training.stages import tasks
from tests.recipe_cases import RECIPE, changed
from tests.test_interrupted import FORKS, ended, forked

ASSISTANT = {
    "name": "assistant",
    "teacher": "student",
    "model": {"type": "relu_mlp", "sizes": [64, 8, 10]},
    "encoder": {"type": "direct"},
    "objective": [{"type": "soft_targets"}],
    "training": {"epochs": 1, "batch": 32},
}


LONGER = {"name": "longer", "like": "student", "start": "student", "training": {"epochs": 1}}


def chain():
    """Teacher, student, its student, and the first student trained for longer."""
    table = changed()
    table["stage"] += [ASSISTANT, LONGER]
    return checked(table)


def contents(folder):
    """What a run left, without times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "metrics.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
        elif path.name == "checkpoint.h5":
            found[name] = None  # with times; what it holds decides the caches and the fingerprints in the results
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    return run_recipe(chain(), out), contents(out)


def test_what_a_run_leaves(whole):
    ran, left = whole
    stages = ("teacher", "student", "assistant", "longer")
    files = {f"{name}/{file}" for name in stages for file in ("checkpoint.h5", "metrics.jsonl")}
    assert left.keys() == {"recipe.json", "results.json", "teacher.h5", "student.h5"} | files
    assert ran.new
    assert len(ran.seconds) == 4
    assert [found["stage"] for found in ran.results] == list(stages)
    assert json.loads(left["results.json"]) == ran.results
    teacher, student, *_ = ran.results
    assert teacher["firing_rates"] == {}
    assert student["firing_rates"].keys() == {"1"}
    assert student["epochs"] == 2
    assert student["weights"] == 64 * 12 + 12 + 12 * 10 + 10  # without its head
    assert 0.1 < teacher["test_accuracy"] <= 1


def test_a_stage_begins_where_another_ends(tmp_path, whole):
    recipe, dataset, trained, found = chain(), load("digits"), {}, {}
    teacher, student, _, longer = tasks(recipe, dataset)
    for task, start in ((teacher, None), (student, None), (longer, "student")):
        lessons = None
        if task.teacher is not None:
            speaking, asked = teacher.speaking(trained["teacher"])
            lessons = Online(speaking, dataset, asked.seen(), asked.kept())
        given = (dataset, task.encoder, task.objective, task.config)
        begin = task.start if start is None else trained[start]
        trained[task.name] = fit(task.model, begin, *given, teacher=lessons).params
        found[task.name] = fingerprint(**task.model.bare(trained[task.name])[1])
    results = {result["stage"]: result["parameters_sha256"] for result in whole[0].results}
    assert {name: results[name] for name in found} == found


def test_no_number_depends_on_threads(tmp_path, whole):
    run_recipe(chain(), tmp_path / "run", threads=min(2, cores()))
    assert contents(tmp_path / "run") == whole[1]


@pytest.mark.parametrize("name", ["teacher/checkpoint.h5", "student/checkpoint.h5", "teacher.h5"])
def test_what_is_damaged_is_made_again_where_it_is_removed(tmp_path, whole, name):
    """As the message says, and with the same bits."""
    out = tmp_path / "run"
    run_recipe(chain(), out)
    path = out / name
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    (out / "results.json").unlink()
    with pytest.raises((CacheError, CheckpointError), match=r"damaged") as refusal:
        run_recipe(chain(), out)
    place = path.parent if path.name == "checkpoint.h5" else path
    assert f"remove {place}: the run makes it again" in refusal.value.repair
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    run_recipe(chain(), out)
    assert contents(out) == whole[1]


def test_a_cache_that_is_damaged_within_is_the_one_to_remove(tmp_path, whole):
    """Found while the student learns from it: not the student's folder."""
    out = tmp_path / "run"
    run_recipe(chain(), out)
    shutil.rmtree(out / "student")
    (out / "results.json").unlink()
    with h5py.File(out / "teacher.h5", "r+") as file:
        file["logits"][...] = 0
    with pytest.raises(CacheError) as refusal:
        run_recipe(chain(), out)
    assert f"remove {out / 'teacher.h5'}: the run makes it again" in refusal.value.repair
    (out / "teacher.h5").unlink()
    run_recipe(chain(), out)
    assert contents(out) == whole[1]


def test_progress_is_told(tmp_path):
    told = []
    run_recipe(checked(changed()), tmp_path / "run", progress=lambda *now: told.append(now))
    assert told[0] == ("teacher", 0, 2)
    assert ("teacher, cache", 2 * 897, 2 * 897) in told
    assert told[-1] == ("student", 2, 2)


class Killed(BaseException):
    """What stands for the end of a process."""


@pytest.mark.parametrize("name", ["fit", "cached", "results", "write_json"])
@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_ends_at_any_stage_goes_on(tmp_path, whole, monkeypatch, name, call, after):
    owner = {"fit": run, "cached": run.Task, "results": run.Task, "write_json": run.store}[name]
    usual, calls = getattr(owner, name), iter(range(1, 100))

    def killed(*arguments, **more):
        now = next(calls) == call
        if now and not after:
            raise Killed
        found = usual(*arguments, **more)
        if now:
            raise Killed
        return found

    monkeypatch.setattr(owner, name, killed)
    with pytest.raises(Killed):
        run_recipe(chain(), tmp_path / "run")
    monkeypatch.undo()
    again = run_recipe(chain(), tmp_path / "run")
    assert again.new
    assert again.results == whole[0].results
    assert contents(tmp_path / "run") == whole[1]


@FORKS
@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_again_and_again(tmp_path, whole, seed):
    moments, code, kills = random.Random(seed), None, 0
    while code != 0:
        child = forked(lambda: run_recipe(chain(), tmp_path / "run"))
        if kills < 8:
            time.sleep(moments.uniform(0.05, 0.6))
            os.kill(child, signal.SIGKILL)
        code = ended(child, within=120)
        assert code in (0, -signal.SIGKILL)
        kills += 1
    left = contents(tmp_path / "run")
    left.pop("results.json.lock", None)
    assert left == whole[1]


def test_a_finished_run_is_read(tmp_path, whole, monkeypatch):
    out = tmp_path / "run"
    run_recipe(chain(), out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    monkeypatch.setattr(run, "fit", None)
    again = run_recipe(chain(), out)
    assert not again.new
    assert again.results == whole[0].results
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


OTHERS = [
    ("student", "stage.1.objective.1.temperature", 2.0),
    ("teacher", "stage.0.seed", 4),
    ("student", "stage.1.training.epochs", 3),
    ("teacher", "stage.0.cache.views.seed", 2),
]


@pytest.mark.parametrize(("stage", "place", "value"), OTHERS)
@pytest.mark.parametrize("finished", [True, False])
def test_another_recipe_in_the_folder_is_refused(tmp_path, monkeypatch, stage, place, value, finished):
    out = tmp_path / "run"
    if not finished:
        monkeypatch.setattr(run, "fit", lambda *arguments, **more: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            run_recipe(checked(changed()), out)
    else:
        run_recipe(checked(changed()), out)
    before = contents(out)
    said = f"stage.{stage}.{place.split('.', 2)[2]}"
    with pytest.raises(CheckpointError, match=rf"(?s)another run.*{said} = .*{said} = {value}"):
        run_recipe(checked(changed(place, value)), out)
    assert contents(out) == before


def test_a_recipe_that_has_grown_goes_on(tmp_path, whole):
    few = run_recipe(checked(changed()), tmp_path / "run")
    grown = run_recipe(chain(), tmp_path / "run")
    assert grown.new
    assert grown.results[:2] == few.results
    assert contents(tmp_path / "run") == whole[1]
    fewer = run_recipe(checked(changed()), tmp_path / "run")
    assert not fewer.new
    assert fewer.results == few.results
    assert contents(tmp_path / "run") == whole[1]


def test_stages_are_told_of_also_when_they_were_done(tmp_path):
    for _ in range(2):
        told = []
        ran = run_recipe(checked(changed()), tmp_path / "run", told=told.append)
        assert [done.results for done in told] == ran.results
        assert [done.seconds for done in told] == ran.seconds
        assert [done.task.name for done in told] == ["teacher", "student"]
    assert not ran.new


def test_how_often_a_checkpoint_is_kept_may_change(tmp_path):
    run_recipe(checked(changed()), tmp_path / "run")
    assert not run_recipe(checked(changed("stage.1.training.checkpoint_every", 7)), tmp_path / "run").new


def test_options_of_the_data_set_belong_to_the_run(tmp_path):
    options = {"train": 128, "validation": 40, "test": 30}
    table = changed("data", {"name": "digits", **options}, "stage.0.training.epochs", 1)
    table["stage"] = table["stage"][:1]
    out = tmp_path / "run"
    assert run_recipe(checked(table), out).new
    assert json.loads((out / "recipe.json").read_text())["data"].items() >= {"name": "digits", **options}.items()
    assert not run_recipe(checked(table), out).new
    with pytest.raises(CheckpointError, match=r"data\.train = 128"):
        run_recipe(checked(table | {"data": {"name": "digits", **options, "train": 129}}), out)


def test_what_is_left_of_a_first_write_is_no_run(tmp_path, whole):
    """Killed before recipe.json had its name."""
    for name in (".recipe.json.17.part", "results.json.lock"):
        (tmp_path / name).write_text("")
    assert run_recipe(chain(), tmp_path).results == whole[0].results


DAMAGED = [
    *(("teacher/metrics.jsonl", left) for left in (None, "{}\n")),
    *(("results.json", left) for left in ("", "[{}]", "[5]", '[{"stage": "teacher"}]')),
]


@pytest.mark.parametrize(("name", "content"), DAMAGED)
def test_damaged_files_of_a_run_are_named(tmp_path, whole, name, content):
    run_recipe(chain(), tmp_path / "run")
    path = tmp_path / "run" / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(CheckpointError, match=rf"(?s)run folder is damaged.*{name}.*remove .*results\.json"):
        run_recipe(chain(), tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    if content is not None:
        assert run_recipe(chain(), tmp_path / "run").results == whole[0].results


@pytest.mark.parametrize("content", ["notes", "recipe.json"])
def test_a_folder_of_something_else_is_refused(tmp_path, content):
    (tmp_path / content).write_text("mine")
    with pytest.raises(OutputError, match="something else than a run"):
        run_recipe(checked(changed()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [content]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(OutputError, match="something else than a run"):
        run_recipe(checked(changed()), tmp_path / "run")


def test_two_runs_do_not_meet(tmp_path):
    refused = []

    def second(stage, done, total):
        if not refused:
            refused.append(stage)
            with pytest.raises(OutputError, match="another run"):
                run_recipe(checked(changed()), tmp_path / "run")

    run_recipe(checked(changed()), tmp_path / "run", progress=second)
    assert refused == ["teacher"]


def test_the_command(tmp_path, monkeypatch, capsys):
    path, out = tmp_path / "a.toml", tmp_path / "run"
    path.write_text(RECIPE)
    assert tomllib.loads(RECIPE) == changed()
    for said in ("Results: ", "nothing was changed"):
        monkeypatch.setattr("sys.argv", ["eventsim", "distil", str(path), "--out", str(out), "--threads", "1"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert said in shown
        assert "student" in shown
