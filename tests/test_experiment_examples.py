"""Every experiment's quick form runs on real data, and reaches what a broken program does not."""

import subprocess
import sys

import pytest

from eventsim.training.experiment import experiment, known
from eventsim.training.results import ResultsFile
from eventsim.training.tables import result_rows


@pytest.mark.parametrize("name", known())
def test_experiments_are_usable(name):
    found = experiment(name)
    assert found.plan.chips
    assert [row for row in found.rows(quick=True) if row.quick_minimum is not None]


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", known())
def test_quick_form(name, data_folder, tmp_path):
    command = [sys.executable, "-m", "eventsim", "reproduce", name, "--quick", "--seeds", "1", "--out", str(tmp_path)]
    run = subprocess.run([*command, "--data", str(data_folder)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found = experiment(name)
    results = ResultsFile(tmp_path / "quick.jsonl").results
    for row in result_rows(found, results, quick=True):
        if row.row.quick_minimum is not None:
            assert 100 * row.reached[0] > row.row.quick_minimum, row.row.label
    assert all(one.activity.differ == 0 for one in results if one.activity is not None)
    assert any(one.chips for one in results)
