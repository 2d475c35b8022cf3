"""Results files: what is added is there, beside what others add, and what is no such file stays as it is."""

import json
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean, stdev

import pytest

from eventsim.errors import OutputError, ResultsError
from eventsim.report import Table
from eventsim.training.experiment import experiment
from eventsim.training.results import HEADER, Activity, Chips, Result, ResultsFile, StepCost
from eventsim.training.tables import (
    chips_table,
    markdown,
    operations_table,
    percent,
    rates_table,
    result_rows,
    results_table,
    steps_table,
)
from tests.experiment_cases import written


def result(stage="plain", seed=0, **more):
    """A line of results."""
    fixed = {
        "experiment": "small",
        "case": "many",
        "quick": False,
        "digest": "d",
        "data": {"name": "digits", "train": 10},
        "data_sha256": "s",
        "samples": (10, 20, 30),
        "ticks": 2,
        "validation": 0.5,
        "test": 0.25,
        "epochs": 3,
        "best_epoch": 2,
        "weights": 7,
        "macs": 8,
        "seconds": 1.5,
        "threads": 1,
        "command": "eventsim reproduce small",
        "version": "0",
    }
    return Result(**(fixed | {"stage": stage, "seed": seed} | more))


FULL = result(
    seed=3,
    tests={"part": 0.75},
    firing_rate=0.1,
    firing_rates={"1": 0.1},
    step=StepCost(samples=8, cpu_seconds=0.25, backward_bytes=1000),
    activity=Activity(samples=5, spikes=1.5, synops=20.0, front_macs=0.0, differ=0),
    chips=(
        Chips(variation=0.0, accuracies=(0.5,), spikes=1.0, synops=2.0, devices_pj=3000.0, with_periphery_pj=4000.0),
        Chips(variation=0.1, accuracies=(0.4, 0.2), spikes=1.0, synops=2.0, devices_pj=1.0, with_periphery_pj=1.0),
    ),
)


def test_what_is_added_is_read(tmp_path):
    path = tmp_path / "deep" / "results.jsonl"
    file = ResultsFile(path)
    assert file.results == []
    assert not path.exists()
    for one in (FULL, result(), result(seed=1)):
        file.add(one)
    assert ResultsFile(path).results == file.results == [FULL, result(), result(seed=1)]
    assert json.loads(path.read_text().splitlines()[0]) == HEADER


def test_a_result_takes_the_place_of_one_with_its_key(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.add(result(test=0.1))
    file.add(result(test=0.2))
    file.add(result(test=0.3, digest="other"))
    assert [one.test for one in ResultsFile(file.path).results] == [0.2, 0.3]


def test_files_are_added_to_by_several(tmp_path):
    path = tmp_path / "results.jsonl"
    files = [ResultsFile(path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: files[i % 4].add(result(seed=i)), range(20)))
    assert sorted(one.seed for one in ResultsFile(path).results) == list(range(20))
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.jsonl"]


LINE = result().model_dump_json()
HEAD = json.dumps(HEADER)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "notes",
        "\xff\xfe",
        json.dumps(HEADER | {"version": 2}),
        json.dumps(HEADER | {"format": "other"}),
        LINE,
        f"{HEAD}\n{LINE[:-9]}",
        f"{HEAD}\n{LINE}\n[]",
        f"{HEAD}\n{LINE}\n{LINE}",
        f"{HEAD}\n{LINE.replace('0.25', 'NaN')}",
        f'{HEAD}\n{LINE[:-1]}, "more": 1}}',
        f"{HEAD}\n{LINE.replace('0.25', 'true')}",
        f"{HEAD}\n{LINE.replace('0.25', '25.0')}",
        "[" * 100_000,
        HEAD.replace("1", "true"),
        HEAD.replace("1", "1.0"),
        f"{HEAD}\n{'[' * 100_000}",
    ],
)
def test_other_files_are_refused_and_stay(tmp_path, content):
    path = tmp_path / "results.jsonl"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ResultsError, match=r"(?s)not usable.*results\.jsonl.*--results"):
        ResultsFile(path)
    assert path.read_bytes() == content.encode("latin-1")


IMPOSSIBLE = {
    "test": -0.1,
    "tests": {"part": 97.0},
    "validation": 1.5,
    "epochs": 0,
    "best_epoch": 4,
    "seconds": -1.0,
    "weights": -1,
    "samples": [0, 1, 1],
    "seed": -1,
    "data": {},
    "firing_rate": -0.5,
    "chips": [FULL.chips[0].model_dump() | {"accuracies": []}],
    "activity": FULL.activity.model_dump() | {"rates": [0.5]},
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_numbers_that_cannot_be_are_refused(tmp_path, name):
    path = tmp_path / "results.jsonl"
    path.write_text(f"{HEAD}\n{LINE}")
    assert len(ResultsFile(path).results) == 1
    path.write_text(f"{HEAD}\n{json.dumps(json.loads(LINE) | {name: IMPOSSIBLE[name]})}")
    with pytest.raises(ResultsError, match=rf"(?s)line 2: .*{name}"):
        ResultsFile(path)


def test_a_damaged_line_is_named_with_its_repair(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(f"{HEAD}\n{LINE}\n{LINE[:-9]}")
    with pytest.raises(ResultsError, match=r"(?s)line 3.*repair: *correct line 3 or delete it, or name another"):
        ResultsFile(path)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(ResultsError, match=r"(?s)results\.md.*\.jsonl"):
        ResultsFile(tmp_path / "results.md")


def test_a_folder_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for use in (lambda file: file.add(result()), lambda file: file.claim()):
        with pytest.raises(OutputError):
            use(ResultsFile(tmp_path / "file" / "results.jsonl"))


@pytest.fixture
def small(tmp_path):
    return experiment(str(written(tmp_path)))


def test_rows_have_means_over_seeds_lines_and_gains(small):
    plain = [result("plain", seed, test=0.5 + 0.01 * seed, tests={"part": 0.6}) for seed in range(3)]
    distilled = [result("distilled", seed, test=0.6 + 0.02 * seed, tests={"part": 0.7}) for seed in range(3)]
    others = [result("distilled", 0, test=0.0, quick=True), result("distilled", 5, test=0.0, experiment="large")]
    rows = result_rows(small, [*plain, *distilled, *others])
    assert rows[0].results == []
    assert rows[1].reached == [0.6, 0.62, 0.64]
    assert rows[1].gains == pytest.approx([0.1, 0.11, 0.12])
    assert rows[2].reached == [0.7, 0.7, 0.7]
    assert rows[2].gains == pytest.approx([0.1, 0.1, 0.1])
    assert rows[3].results == []  # its results would be those of another case
    cells = rows[1].cells()
    assert cells[:5] == ["with a teacher", "60.50", "62.00 ± 2.00", "+1.50", "+11.00 ± 1.00"]
    assert rows[0].cells()[:3] == ["teacher", "70.00", "not run"]
    table = results_table(small, [*plain, *distilled])
    assert "digits (train=10): 10 samples in training, 20 in validation, 30 in test." in table.caption
    assert "Seeds 0, 1, 2; 1 threads." in table.caption
    assert len({len(row) for row in [table.columns, *table.rows]}) == 1


def test_gains_are_over_the_same_seeds(small):
    found = [result("plain", 1, test=0.5), result("distilled", 0, test=0.9), result("distilled", 1, test=0.25)]
    assert result_rows(small, found)[1].gains == [-0.25]
    assert result_rows(small, found)[1].cells()[4] == "-25.00"


def test_percent_is_mean_and_deviation():
    values = [0.5, 0.25, 0.125]
    assert percent(values) == f"{100 * fmean(values):.2f} ± {100 * stdev(values):.2f}"
    assert percent([0.5]) == "50.00"


def test_chips_are_put_together_over_seeds(small):
    found = [FULL.model_copy(update={"stage": "distilled", "seed": seed}) for seed in range(2)]
    table = chips_table([small], found)
    assert table.columns == ("", "0 %", "10 %", "spikes", "SynOps", "energy*", "energy**")
    assert table.rows == [["Small: with a teacher", "50.00 ± 0.00", "30.00 ± 11.55", "1", "2", "3 nJ", "4 nJ"]]


def test_operations_are_means_over_seeds(small):
    active = [Activity(samples=5, spikes=1500.0, synops=s, front_macs=100.0, differ=0) for s in (2e4, 4e4)]
    found = [result("distilled", i, activity=one, macs=60200, weights=1234) for i, one in enumerate(active)]
    table = operations_table([small], [*found, result("teacher")])
    assert table.rows == [
        ["Small: teacher", "7", "2", "8", "", "", "", "", ""],
        ["Small: with a teacher", "1,234", "2", "60,200", "100", "1,500", "30,000", "0.50", "0"],
    ]


def test_steps_are_means_over_seeds(small):
    costs = [StepCost(samples=64, cpu_seconds=s, backward_bytes=2_500_000) for s in (0.5, 1.5)]
    found = [result("distilled", i, step=cost) for i, cost in enumerate(costs)]
    table = steps_table(small, [*found, result("teacher")])
    assert table.rows == [["with a teacher", "2", "64", "1,000 ms", "2.5 MB"]]


def test_rates_are_means_over_seeds_in_each_tick(small):
    counts = Activity(samples=5, spikes=1.0, synops=1.0, front_macs=1.0, differ=0)
    active = [counts.model_copy(update={"rates": rates}) for rates in ((0.125, 0.25), (0.25, 0.5))]
    found = [result("distilled", i, activity=one) for i, one in enumerate(active)]
    longer = result("teacher", ticks=3, activity=counts.model_copy(update={"rates": (0.5, 0.25, 0.75)}))
    table = rates_table(small, [*found, longer])
    assert table.columns == ("", "t = 1", "t = 2", "t = 3", "all")
    assert table.rows == [
        ["teacher", "0.5000", "0.2500", "0.7500", "0.5000"],
        ["with a teacher", "0.1875", "0.3750", "", "0.2812 ± 0.1326"],
    ]
    assert rates_table(small, [result("teacher"), result("distilled", activity=counts)]).rows == []


def test_a_line_of_any_text_is_read(tmp_path):
    file = ResultsFile(tmp_path / "results.jsonl")
    file.add(result(command="a\u2028b\x85c\nd"))
    assert ResultsFile(file.path).results == file.results


def test_markdown_keeps_its_columns():
    assert markdown(Table("", ("a", "b"), [["x|y", "z"]])).splitlines()[2] == "| x\\|y | z |"


def test_markdown_has_a_row_for_each_row(small):
    lines = markdown(results_table(small, [])).splitlines()
    assert len(lines) == 2 + 4 + 2
    assert len({line.count("|") for line in lines[:6]}) == 1
