"""The recipe of each paper runs as its first lines say, and learns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eventsim.training import load
from eventsim.training.recipe import read
from eventsim.training.stages import tasks

ROOT = Path(__file__).parent.parent
RECIPES = sorted((ROOT / "examples").glob("*.toml"))
LEAST = {"kushawaha": 0.85, "li": 0.88, "xu": 0.9, "zhao": 0.85}
"""Test accuracy of the last stage, well below what it is."""


@pytest.mark.slow
@pytest.mark.parametrize("example", RECIPES, ids=lambda path: path.stem)
def test_recipe(example, tmp_path):
    assert f"eventsim distil examples/{example.name} --out runs/{example.stem}" in example.read_text(encoding="utf-8")
    command = [sys.executable, "-m", "eventsim", "distil", str(example), "--out", str(tmp_path / "run")]
    for said in ("Results: ", "nothing was changed"):
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert said in run.stdout
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results[-1]["test_accuracy"] > LEAST[example.stem]


def test_recipes_are_usable():
    assert {path.stem for path in RECIPES} == LEAST.keys()
    for path in RECIPES:
        recipe = read(path)
        tasks(recipe, load(recipe.data.name))
