"""Reproduction: every variant and seed has its lines; killed, continued or moved elsewhere they are the same."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from eventsim.cli import main
from eventsim.errors import CheckpointError, ConfigError, DataError, NetworkError, OutputError, ResultsError
from eventsim.training import load, reproduce, tested
from eventsim.training.experiment import experiment, known
from eventsim.training.page import current, write_page
from eventsim.training.reproduce import RunOptions
from eventsim.training.reproduce import reproduce as run
from eventsim.training.results import ResultsFile
from tests.experiment_cases import written

DOCS = Path(__file__).parent.parent / "docs"
TWO = RunOptions((0, 1))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return experiment(str(written(tmp_path_factory.mktemp("small"))))


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return run(small, TWO, folder / "runs", folder / "results.jsonl"), folder


def timeless(results):
    """Results without their times, in one order."""
    plain = [one.model_copy(update={"seconds": 0.0, "threads": 1, "step": None}) for one in results]
    return sorted(plain, key=lambda one: one.key)


def test_every_case_seed_and_stage_has_a_line(whole):
    found, folder = whole
    assert len(found) == 2 * 2 * 3
    assert len({one.key for one in found}) == len(found)
    assert ResultsFile(folder / "results.jsonl").results == found
    names = {f"small-{case}-seed-{seed}" for case in ("many", "few") for seed in (0, 1)}
    assert {path.name for path in (folder / "runs").iterdir()} == names


def test_what_a_line_says(whole):
    found = [one for one in whole[0] if (one.case, one.seed) == ("few", 1)]
    teacher, plain, distilled = found
    assert [one.stage for one in found] == ["teacher", "plain", "distilled"]
    assert teacher.samples == plain.samples == (200, 300, 600)
    assert teacher.firing_rate is None
    assert teacher.activity is None
    assert (teacher.weights, teacher.macs) == (64 * 20 + 20 + 20 * 10 + 10, 64 * 20 + 20 * 10)
    assert (plain.ticks, plain.epochs, distilled.epochs) == (2, 2, 3)
    assert plain.firing_rates.keys() == {"1"}
    assert plain.activity.samples == 500
    assert plain.activity.differ == 0
    assert 0 < plain.activity.spikes < 2 * 12
    assert plain.chips == ()
    assert plain.step.samples == 64
    assert plain.step.cpu_seconds > 0
    assert 0 < plain.step.backward_bytes < 64 * 64 * 100
    assert distilled.step is None
    assert [chips.variation for chips in distilled.chips] == [0.0, 0.05, 0.1, 0.2]
    assert [len(chips.accuracies) for chips in distilled.chips] == [1, 3, 3, 3]
    assert distilled.chips[0].spikes == distilled.activity.spikes
    assert 0 < distilled.chips[0].devices_pj < distilled.chips[0].with_periphery_pj
    assert plain.command == "eventsim reproduce small.toml --seeds 1,"
    assert plain.seconds > 0


def test_accuracies_are_those_of_the_stages(whole, monkeypatch):
    one = next(one for one in whole[0] if (one.case, one.seed, one.stage) == ("many", 0, "distilled"))
    left = json.loads((whole[1] / "runs" / "small-many-seed-0" / "results.json").read_text())
    assert {part["stage"]: part["test_accuracy"] for part in left}["distilled"] == one.test
    part, digits = load("digits", test=50), load("digits")
    assert one.tests.keys() == {"part"}
    assert one.tests == {"part": round(50 * one.tests["part"]) / 50}
    assert set(part.test) < set(digits.test)
    assert abs(one.tests["part"] - one.test) < 0.25


def test_what_is_there_is_not_run_again(small, whole, monkeypatch):
    found, folder = whole
    monkeypatch.setattr(reproduce, "run_recipe", None)
    monkeypatch.setattr(reproduce, "tasks", None)
    before = (folder / "results.jsonl").read_bytes()
    assert timeless(run(small, TWO, folder / "runs", folder / "results.jsonl")) == timeless(found)
    assert (folder / "results.jsonl").read_bytes() == before


def test_folders_of_another_recipe_are_refused_before_anything_is_tried(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(reproduce, "tasks", None)
    changed = experiment(str(written(tmp_path, "[64, 20, 10]", "[64, 21, 10]")))
    with pytest.raises(CheckpointError, match=r"(?s)another run.*small-many-seed-1.*sizes"):
        run(changed, RunOptions((7, 1)), whole[1] / "runs", tmp_path / "results.jsonl")
    assert not (tmp_path / "results.jsonl").exists()


class Killed(BaseException):
    """What stands for the end of a process."""


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("moved", [False, True], ids=["here", "elsewhere"])
def test_a_run_that_ends_goes_on(small, whole, tmp_path, monkeypatch, call, moved):
    usual, calls = reproduce._Run.result, iter(range(1, 100))

    def killed(*arguments):
        if next(calls) == call:
            raise Killed
        return usual(*arguments)

    monkeypatch.setattr(reproduce._Run, "result", killed)
    one, file = RunOptions((1,)), tmp_path / "results.jsonl"
    with pytest.raises(Killed):
        run(small, one, tmp_path / "runs", file)
    monkeypatch.undo()
    assert len(ResultsFile(file).results) == call - 1
    found = run(small, one, tmp_path / ("others" if moved else "runs"), file, threads=2)
    assert timeless(found) == timeless([one for one in whole[0] if one.seed == 1])


def test_quick_forms_and_other_epochs_have_lines_of_their_own(small, whole, tmp_path):
    file = tmp_path / "results.jsonl"
    quick = run(small, RunOptions((0,), quick=True), tmp_path / "runs", file)
    assert [(one.case, one.stage, one.epochs, one.samples[0]) for one in quick] == [
        ("many", "teacher", 1, 300),
        ("many", "distilled", 1, 300),
    ]
    assert quick[1].activity.samples == 50
    assert quick[1].command == "eventsim reproduce small.toml --seeds 0, --quick"
    short = run(small, RunOptions((0,), epochs=1), tmp_path / "runs", file)
    assert [one.epochs for one in short] == [1] * 6
    assert len(ResultsFile(file).results) == 8
    assert current(small, ResultsFile(file).results) == []
    assert current(small, [*short, *whole[0]]) == whole[0]


def test_results_on_other_data_do_not_count(small, whole):
    found = [one for one in whole[0] if one.case == "few"]
    others = [one.model_copy(update={"data_sha256": "other"}) for one in found]
    assert current(small, [*found, *others]) == others
    assert current(small, [*others, *found]) == found


def test_results_of_a_recipe_that_has_changed_do_not_count(whole, tmp_path):
    changed = experiment(str(written(tmp_path, "[64, 20, 10]", "[64, 21, 10]")))
    assert {one.stage for one in current(changed, whole[0])} == {"plain"}


def test_a_try_on_other_data_does_not_hide_what_counts(small, whole):
    """Another number of epochs has another digest."""
    one = whole[0][0].model_copy(update={"data_sha256": "other", "digest": "other"})
    assert current(small, [*whole[0], one]) == whole[0]


def test_a_stage_that_the_engine_cannot_simulate_is_refused_before_anything_is_trained(tmp_path):
    real = 'type = "mlp", sizes = [64, 12, 10], unit = { type = "spiking", neurons = { type = "lif" } }'
    lame = experiment(str(written(tmp_path, 'type = "mtj_mlp", sizes = [64, 12, 10], levels = 16', real)))
    with pytest.raises(NetworkError, match=r"stage\.1, plain: .*\n.*real"):
        run(lame, TWO, tmp_path / "runs", tmp_path / "results.jsonl")
    assert not (tmp_path / "runs").exists()


def test_chips_of_a_stage_without_neurons_are_refused_before_anything_is_trained(tmp_path):
    lame = experiment(str(written(tmp_path, 'chips = ["distilled"]', 'chips = ["distilled", "teacher"]')))
    with pytest.raises(ConfigError, match=r"(?s)stage\.0, teacher: .*neurons.*leave teacher out of chips"):
        run(lame, TWO, tmp_path / "runs", tmp_path / "results.jsonl")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("changes", ["data.train = 100", "data.validation = 200"])
def test_a_further_test_set_with_other_samples_in_training_is_refused_before_anything_is_trained(tmp_path, changes):
    lame = experiment(str(written(tmp_path, "data.test = 50", changes)))
    with pytest.raises(DataError, match=r"(?s)test set part is another.*300 for validation.*not name, split"):
        run(lame, TWO, tmp_path / "runs", tmp_path / "results.jsonl")
    assert not (tmp_path / "runs").exists()


def other_digits(monkeypatch, **fields):
    """Further test sets that differ from the digits at hand."""
    usual = tested.load
    monkeypatch.setattr(tested, "load", lambda **given: replace(usual(**given), **fields))


@pytest.mark.parametrize("fields", [{"image": (4, 16)}, {"image": (4, 8), "ticks": 2}])
def test_a_further_test_set_of_another_kind_is_refused_before_anything_is_trained(small, tmp_path, monkeypatch, fields):
    other_digits(monkeypatch, **fields)
    with pytest.raises(DataError, match=r"test set part is another"):
        run(small, TWO, tmp_path / "runs", tmp_path / "results.jsonl")
    assert not (tmp_path / "runs").exists()


def test_a_further_test_set_with_another_class_is_refused_before_anything_is_trained(small, tmp_path, monkeypatch):
    digits = load("digits")
    labels = digits.labels.copy()
    labels[digits.test[0]] = 10
    other_digits(monkeypatch, labels=labels)
    with pytest.raises(DataError, match=r"(?s)test set part is another.*11 classes.*10 classes"):
        run(small, TWO, tmp_path / "runs", tmp_path / "results.jsonl")


def test_a_further_test_set_that_an_encoder_refuses_is_named_with_the_stage(small, tmp_path, monkeypatch):
    def refuse(*given):
        raise DataError("No.", given="these", expected="others", repair="change them")

    monkeypatch.setattr(tested, "predict", refuse)
    with pytest.raises(DataError, match=r"stage\.1, plain: further test set part: No"):
        run(small, TWO, tmp_path / "runs", tmp_path / "results.jsonl")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("seeds", [(), (0, 0), (1, 2, 1), (-1,), (0.5,), (2**64,)])
def test_seeds_that_are_not_usable_are_refused(seeds):
    with pytest.raises(ConfigError, match=r"(?s)seeds.*--seeds 3"):
        RunOptions(seeds)


def command(monkeypatch, *arguments):
    """Exit code of the command."""
    monkeypatch.setattr("sys.argv", ["eventsim", "reproduce", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path)
    for _ in range(2):
        assert command(monkeypatch, path, "--seeds", "1", "--quick", "--threads", "1") == 0
        shown = capsys.readouterr().out
        assert "with a teacher" in shown
        assert "60.50" in shown
        assert "runs/quick.jsonl" in shown
    assert not (tmp_path / "docs").exists()
    assert command(monkeypatch, path, "--seeds", "4,", "--epochs", "1", "--threads", "1") == 0
    assert command(monkeypatch, path, "--seeds", "4,7", "--epochs", "1", "--threads", "1") == 0
    assert {one.seed for one in ResultsFile(tmp_path / "docs" / "results.jsonl").results} == {4, 7}
    assert not (tmp_path / "docs" / "results.md").exists()  # for experiments of the program


def test_the_command_brings_the_page_up_to_date_where_nothing_is_missing(tmp_path, monkeypatch):
    """As where it was killed between a line and its page."""
    monkeypatch.setattr(reproduce, "reproduce", lambda *arguments, **more: [])
    assert command(monkeypatch, "li_mnist", "--results", tmp_path / "results.jsonl", "--data", tmp_path) == 0
    assert (tmp_path / "results.md").read_text(encoding="utf-8").count("not run") > 10


def test_the_page_is_written_from_the_file(tmp_path):
    results = tmp_path / "results.jsonl"
    page = write_page(results)
    assert page == tmp_path / "results.md"
    text = page.read_text(encoding="utf-8")
    assert "# Results" in text
    assert all(f"`eventsim reproduce {name}`" in text for name in known())
    assert write_page(results).read_text(encoding="utf-8") == text
    page.write_text("mine")
    with pytest.raises(OutputError, match="somebody else"):
        write_page(results)
    assert page.read_text() == "mine"


def test_the_text_of_a_page_belongs_to_its_results(tmp_path):
    ours = tmp_path / "ours.jsonl"
    text = "Nets of {{ experiments['li_mnist'] }}: {{ table('li_mnist') }}"
    ours.with_suffix(".md.j2").write_text(text, encoding="utf-8")
    page = write_page(ours).read_text(encoding="utf-8")
    assert f"Nets of {experiment('li_mnist').plan.title}: `eventsim reproduce li_mnist`" in page
    assert "Nets of" not in write_page(tmp_path / "theirs.jsonl").read_text(encoding="utf-8")


def test_the_page_of_the_documentation_is_that_of_its_results(tmp_path):
    for ending in (".jsonl", ".md.j2"):
        shutil.copy((DOCS / "results.jsonl").with_suffix(ending), tmp_path)
    page = write_page(tmp_path / "results.jsonl").read_text(encoding="utf-8")
    assert page == (DOCS / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    ["{{ table('li') }}", "{{ tables() }}", "{% for %}", "{{ table() }}", b"\xff", "{{ 1 / 0 }}", "{{ [].pop() }}"],
    ids=repr,
)
def test_a_text_that_is_not_usable_is_refused_before_any_work(tmp_path, monkeypatch, capsys, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.md.j2").write_bytes(text.encode() if isinstance(text, str) else text)
    assert command(monkeypatch, "li_mnist", "--results", "mine.jsonl") == 2
    said = capsys.readouterr().err
    assert "mine.md.j2" in said
    assert "move it away" in said
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.md.j2"]


def test_a_folder_in_the_place_of_the_page_is_left_alone(tmp_path):
    (tmp_path / "results.md").mkdir()
    with pytest.raises(OutputError, match="somebody else"):
        write_page(tmp_path / "results.jsonl")


def test_what_is_refused_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--quick",)):
        assert command(monkeypatch, "li_mnist", "--data", "none", *more) == 2
    assert "none" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_command_alone_lists_the_experiments(monkeypatch, capsys):
    command(monkeypatch)
    shown = capsys.readouterr().out
    assert all(name in shown for name in known())


BAD = [
    (("li",), "one of"),
    (("missing.toml",), "no such experiment"),
    (("{}", "--seeds", "0,0"), "none of them twice"),
    (("{}", "--seeds", "0"), "from 1 to 1000"),
    (("{}", "--seeds", "999999999999"), "from 1 to 1000"),
    (("{}", "--results", "results.md"), ".jsonl"),
    (("{}", "--results", "small.toml/results.jsonl"), "small.toml"),
    (("{}", "--seeds", "many"), "--seeds 3"),
    (("{}", "--seeds", ","), "--seeds 3"),
    (("{}", "--seeds", "9223372036854775808,"), "2**63 - 1"),
    (("{}", "--epochs", "0"), "--epochs 10"),
    (("{}", "--threads", "9999"), "thread"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD)
def test_the_command_refuses(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    path = str(written(tmp_path))
    assert command(monkeypatch, *[argument.format(path) for argument in arguments]) == 2
    assert said in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["small.toml"]


def test_a_results_file_of_another_version_is_refused_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.jsonl").write_text('{"format": "eventsim results", "version": 0}\n')
    assert command(monkeypatch, written(tmp_path), "--results", "old.jsonl") == 2
    assert "--results" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    with pytest.raises(ResultsError):
        write_page(tmp_path / "old.jsonl")
