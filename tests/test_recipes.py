"""Recipes: what they are made into, and what is refused of them, by the path of the entry and before any work."""

import datetime
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from eventsim import IF, MTJ
from eventsim.checks import one_number
from eventsim.cli import main, program
from eventsim.errors import ConfigError, InputError
from eventsim.training import AdamW, CrossEntropy, Direct, FitConfig, SoftTargets, load, two_conv
from eventsim.training.augment import Shift
from eventsim.training.catalogue import OBJECTIVES, Term
from eventsim.training.describe import described
from eventsim.training.entries import Entry, OneOf, Table
from eventsim.training.linear import Grid
from eventsim.training.objective import Objective
from eventsim.training.recipe import checked, read
from eventsim.training.run import run_recipe
from eventsim.training.schedule import Cosine, WarmUp
from eventsim.training.spiking import Spiking
from eventsim.training.stages import tasks
from tests.recipe_cases import RECIPE, changed


@pytest.fixture(scope="module")
def digits():
    return load("digits")


def test_what_a_recipe_is_made_into():
    recipe = checked(tomllib.loads(RECIPE))
    teacher, student = recipe.stage
    assert (teacher.teacher, student.teacher) == (None, "teacher")
    assert teacher.encoding() == Direct()
    assert teacher.aim() == CrossEntropy()
    assert teacher.plan() == FitConfig(2, 64, 2e-3, AdamW(decay=0.1), WarmUp(Cosine(), 0.1), seed=3)
    assert student.aim().terms[1] == 0.5 * SoftTargets(4.0)
    assert student.aim().terms[2].ramp == Cosine()
    assert student.network().layers[1].neurons == MTJ(k1=200.0)
    assert student.network().heads["map"].at == "1"
    assert recipe.asked(teacher).features == ("1",)
    assert recipe.asked(teacher).seen().augment == (Shift(1),)
    assert recipe.asked(student) is None


def test_data_sets_take_options():
    asked = {"name": "mitbih", "split": "inter_patient", "classes": 5, "records": [101, 100], "train": 50}
    data = checked(changed("data", asked)).data
    assert data.name == "mitbih"
    assert data.options() == {"split": "inter_patient", "classes": 5, "records": (101, 100), "train": 50}


def test_builders_get_units_and_grids():
    unit = {"type": "spiking", "neurons": {"type": "if", "reset_mode": "soft"}, "surrogate": "triangle"}
    model = {"type": "two_conv", "inputs": [8, 8, 1], "width": 0.0625, "unit": unit, "grid": {"levels": 16}}
    made = checked(changed("stage.0.model", model)).stage[0].network()
    neuron = Spiking(IF(reset_mode="soft"), "triangle")
    assert described(made) == described(two_conv(neuron, inputs=(8, 8, 1), width=1 / 16, grid=Grid(16)))


def test_a_teacher_is_asked_even_where_nothing_is_said():
    asked = checked(changed("stage.0.cache", None, "stage.1.objective", [{"type": "soft_targets"}]))
    assert asked.asked(asked.stage[0]).features == ()
    assert asked.asked(asked.stage[0]).seen().plain


def test_names_are_those_of_the_classes():
    for name, table in OBJECTIVES.tables.items():
        assert issubclass(table.made_by, Objective)
        assert name.replace("_", "") == table.made_by.__name__.lower()
    assert {"cross_entropy", "soft_targets", "partial_l2"} <= OBJECTIVES.tables.keys()


@dataclass(frozen=True)
class Biased(CrossEntropy):
    """An objective with options that are called as those of all are."""

    weight: float = 1.0

    def __post_init__(self):
        one_number("weight", self.weight, 0, 1, repair="weight=1", kind=ConfigError)


def test_an_option_of_the_name_of_one_that_all_have():
    class Recipe(Table):
        one: Annotated[Entry, OneOf({"biased": Biased, "other": CrossEntropy}, base=Term)]

    found = Recipe(one={"type": "biased", "weight": 2.0, "own_weight": 0.5, "gain": 3.0}).one
    assert found.make() == 2.0 * Biased(gain=3.0, weight=0.5)
    with pytest.raises(ValidationError) as error:
        Recipe(one={"type": "biased", "own_weight": 2.0})
    assert error.value.errors()[0]["ctx"]["under"] == "own_weight"


FAULTS = [
    ("colour", 1, "colour", "there are data, stage"),
    ("stage.1.objective.1.temprature", 4.0, None, r"temprature: temperature\?"),
    ("stage.1.objective.1.temperature", 0.0, None, "temperature is impossible"),
    ("stage.1.objective.1.temperature", "4", None, "valid number"),
    ("stage.1.objective.1.tau2", 1, None, "valid boolean"),
    ("stage.1.objective.1.weight", -0.5, None, "weight of an objective is impossible"),
    ("stage.1.objective.1.weight", float("nan"), None, "finite"),
    ("stage.1.objective.1.direction", "back", None, "forward, reverse"),
    ("stage.1.objective.1.type", "soft_target", None, r"soft_targets\?"),
    ("stage.1.objective.1.type", None, None, "missing"),
    ("stage.1.objective.1", 3, None, "a table is wanted"),
    ("stage.1.objective.2.ramp.type", "cosin", None, r"cosine\?"),
    ("stage.1.objective", [], None, "at least one"),
    ("stage.1.objective.2.student", None, None, "required"),
    ("stage.1.teacher", "student", None, "an earlier stage: teacher"),
    ("stage.0.teacher", "student", None, "there is none"),
    ("stage.1.start", "student", None, "an earlier stage: teacher"),
    ("stage.0.start", "student", None, "there is none"),
    ("stage.1.name", "Teacher", None, "that no stage before has"),
    ("stage.1.name", "../out", None, "match pattern"),
    ("stage.1.seed", -1, None, "greater than or equal to 0"),
    ("stage.1.model.type", "mtj_mpl", None, r"mtj_mlp\?"),
    ("stage.1.model.sizes", [64, 0, 10], None, "whole numbers from 1"),
    ("stage.1.model.sizes.1", 12.0, None, "valid integer"),
    ("stage.1.model.levels", 1, None, "."),
    ("stage.1.model.neuron.k1", -1.0, None, "k1 is impossible"),
    ("stage.1.model.devices", [], None, "there are"),
    ("stage.1.heads.map.at", "77", "heads", "no such layer|its number"),
    ("stage.1.branches", True, None, "stage"),
    ("stage.1.branches", ["77"], None, "no such layer|its number"),
    ("stage.1.encoder.ticks", 0, None, "1 to 65536"),
    ("stage.1.training.rate", 2.0, None, "up to 1"),
    ("stage.1.training.method", "bp", None, "ratebp"),
    ("stage.1.training.seed", 1, None, "there are epochs"),
    ("stage.0.training.schedule.share", 1.5, None, "share is impossible"),
    ("stage.0.training.schedule.schedule.type", "warm_up", None, "there are constant"),
    ("stage.0.cache.views.augment.0.by", 0, None, "by is impossible"),
    ("stage.0.cache.form", {"dtype": "float64"}, "dtype", "float16"),
    ("data.name", "digit", None, r"digits\?"),
    ("data.name", datetime.date(2020, 1, 1), None, "there are digits"),
    ("data", 3, None, "a table is wanted, with a name: digits"),
    ("data.trian", 100, None, r"train\?"),
    ("data.train", 0, None, "greater than or equal to 1"),
    ("data.test", 1.5, None, "valid integer"),
    ("data", {"name": "mitbih", "split": "patient"}, "data.split", "'random' or 'inter_patient'"),
    ("data", {"name": "mitbih", "classes": 3}, "data.classes", "4 or 5"),
    ("data", {"name": "mitbih", "records": [100, "a"]}, "data.records.1", "valid integer"),
    ("data", {"name": "cifar10", "split": "random"}, "data.split", "there are name, test_images, noise_variance"),
    ("data.folder", "/", None, "there are name, train, validation, test"),
    ("stage", [], None, "at least one"),
    ("stage", 3, None, "tuple"),
]


@pytest.mark.parametrize(
    ("place", "value", "named", "text"), FAULTS, ids=[f"{fault[0]}={fault[1]}" for fault in FAULTS]
)
def test_what_is_refused(place, value, named, text):
    with pytest.raises(ConfigError, match=rf"(?s)not usable.*{text}") as error:
        checked(changed(place, value))
    assert (place if named is None else named) in error.value.expected


def test_all_faults_are_named_at_once():
    with pytest.raises(ConfigError) as error:
        checked(changed("data.name", "digit", "stage.1.encoder.ticks", 0, "stage.0.model.sizes", "64"))
    for place in ("data.name", "stage.1.encoder.ticks", "stage.0.model.sizes"):
        assert f"{place}: " in error.value.expected
    assert 'stage.0.model.sizes = "64"' in error.value.given


@pytest.mark.parametrize("text", ["[data", b"\xff", None], ids=["TOML", "UTF-8", "missing"])
def test_what_is_no_recipe(tmp_path, text):
    path = tmp_path / "a.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match="recipe cannot be read"):
        read(path)


MISFITS = [
    ("stage.1.objective.1.type", "cross_entropy", "not fit together|temperature"),
    ("stage.1.teacher", None, "stage.1, student: The objective and the teacher do not fit together"),
    ("stage.0.teacher", None, None),
    ("stage.0.model.sizes", [60, 20, 10], "stage.0, teacher: "),
    ("stage.1.model.sizes", [64, 12, 9], "stage.1, student: "),
    ("stage.0.cache.features", [], "(?s)stage.1, student: .*features of layer 1"),
    ("stage.0.cache.features", ["0"], "stage.[01], "),
    ("stage.0.cache.spikes", True, "stage.0, teacher: .*no output spikes"),
    ("stage.1.heads.map.layers.0.targets", 7, "(?s)stage.1, student: .*maps of student and teacher"),
    ("stage.1.training.augment", [{"type": "shift", "by": 1}], "stage.1, student: .*views of its own"),
    ("stage.1.training.method", "dsr", None),
    ("stage.1.start", "teacher", "(?s)cannot begin where teacher ends.*20. in teacher.*12. here"),
]


@pytest.mark.parametrize(("place", "value", "text"), MISFITS, ids=[f"{one[0]}={one[1]}" for one in MISFITS])
def test_what_does_not_fit_together_is_refused_before_a_folder_is_made(tmp_path, place, value, text):
    out = tmp_path / "run"
    if text is None:
        tasks(checked(changed(place, value)), load("digits"))
        return
    with pytest.raises(InputError, match=text):
        run_recipe(checked(changed(place, value)), out)
    assert not out.exists()


def test_a_stage_with_heads_does_not_begin_where_one_without_ends():
    recipe = checked(changed("stage.1.start", "teacher", "stage.0.model.sizes", [64, 12, 10]))
    with pytest.raises(InputError, match=r"(?s)parameter .*map.*: none in teacher, .* here"):
        tasks(recipe, load("digits"))


def test_the_command_refuses(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.toml"
    path.write_text(RECIPE.replace("temperature = 4.0", "temperature = 0.0"))
    monkeypatch.setattr("sys.argv", ["eventsim", "distil", str(path), "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "stage.1.objective.1.temperature" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_help():
    assert "--threads" in CliRunner().invoke(program, ["distil", "--help"]).output


def test_the_recipe_of_the_documentation(digits):
    text = (Path(__file__).parent.parent / "docs" / "distillation.md").read_text("utf-8")
    recipe = checked(tomllib.loads(text.split("```toml\n")[1].split("```")[0]))
    assert [task.name for task in tasks(recipe, digits)] == ["teacher", "student"]
