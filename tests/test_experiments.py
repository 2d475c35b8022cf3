"""Experiments: what they are read into, and what is refused of them."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.errors import ConfigError
from eventsim.training.experiment import experiment, known
from eventsim.training.inherit import inherited, merged
from tests.experiment_cases import EXPERIMENT, written

VALUES = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
TABLES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def leaves(value, way=()):
    """Values by the keys on the way to them."""
    if isinstance(value, dict) and value:
        return {place: leaf for key, part in value.items() for place, leaf in leaves(part, (*way, key)).items()}
    return {way: value}


@given(TABLES, TABLES)
def test_merged_tables_have_what_the_changes_say_and_else_what_was(table, changes):
    found, wanted = leaves(merged(table, changes)), leaves(changes)
    for way, leaf in found.items():
        assert leaf == wanted.get(way, leaves(table).get(way, {}))
    for way, leaf in wanted.items():
        assert leaf == {} or found[way] == leaf


@given(TABLES)
def test_merging_nothing_changes_nothing(table):
    assert merged(table, {}) == table
    assert merged({}, table) == table
    assert merged(table, table) == table


def test_tables_of_another_type_take_the_place():
    old = {"model": {"type": "mlp", "sizes": [1, 2], "width": 2}}
    assert merged(old, {"model": {"type": "mlp", "width": 1}}) == {
        "model": {"type": "mlp", "sizes": [1, 2], "width": 1}
    }
    assert merged(old, {"model": {"width": 1}}) == {"model": {"type": "mlp", "sizes": [1, 2], "width": 1}}
    assert merged(old, {"model": {"type": "conv"}}) == {"model": {"type": "conv"}}


def test_stages_may_be_like_others_that_are_like_others():
    stages = [
        {"name": "a", "x": {"y": 1, "z": 2}},
        {"name": "b", "like": "a", "x": {"y": 3}},
        {"name": "c", "like": "b"},
    ]
    assert inherited(stages) == [
        {"name": "a", "x": {"y": 1, "z": 2}},
        {"name": "b", "x": {"y": 3, "z": 2}},
        {"name": "c", "x": {"y": 3, "z": 2}},
    ]
    assert stages[1] == {"name": "b", "like": "a", "x": {"y": 3}}


@pytest.mark.parametrize("like", ["b", "nothing", 3, ["a"]])
def test_stages_that_are_like_none_before_are_refused(like):
    with pytest.raises(ConfigError, match=r"stage\.1\.like.*\n.*earlier stage: a"):
        inherited([{"name": "a"}, {"name": "b", "like": like}])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return experiment(str(written(tmp_path_factory.mktemp("small"))))


def test_what_an_experiment_is_read_into(small):
    assert (small.name, small.plan.title) == ("small", "Small")
    assert [case.name for case in small.asked(quick=False)] == ["many", "few"]
    assert [case.name for case in small.asked(quick=True)] == ["many"]
    assert len(small.rows(quick=False)) == 4
    assert {row.stage for row in small.rows(quick=True)} == {"distilled"}


def test_recipes_of_cases_seeds_and_forms(small):
    many, few = small.cases
    recipe = small.recipe(few, 7)
    assert [stage.name for stage in recipe.stage] == ["teacher", "plain", "distilled"]
    assert recipe.data.train == 200
    assert [stage.seed for stage in recipe.stage] == [7, 7, 7]
    assert [stage.encoding().seed for stage in recipe.stage[1:]] == [12, 12]
    assert [stage.plan().epochs for stage in recipe.stage] == [2, 2, 3]
    assert small.recipe(many, 0).data.train is None
    quick = small.recipe(many, 0, quick=True)
    assert [stage.name for stage in quick.stage] == ["teacher", "distilled"]
    assert quick.data.train == 300
    assert [(stage.plan().epochs, stage.plan().batch) for stage in quick.stage] == [(1, 50), (1, 50)]
    assert [stage.plan().batch for stage in recipe.stage] == [64, 64, 64]
    assert [stage.plan().epochs for stage in small.recipe(many, 0, epochs=9).stage] == [9, 9, 9]
    assert [stage.name for stage in small.recipe(many, 0, only={"plain"}).stage] == ["plain"]
    assert [stage.name for stage in small.recipe(many, 0, only={"distilled"}).stage] == ["teacher", "distilled"]


def test_digests_are_those_of_a_stage_and_its_teachers(small, tmp_path):
    many = small.cases[0]

    def digests(found, only=None, seed=0):
        recipe = found.recipe(found.cases[0], seed, only=only)
        return {stage.name: found.digest(recipe, stage.name) for stage in recipe.stage}

    usual = digests(small)
    assert len(set(usual.values())) == 3
    assert digests(small, {"distilled"})["distilled"] == usual["distilled"]
    assert not set(digests(small, seed=1).values()) & set(usual.values())
    other = experiment(str(written(tmp_path, "[64, 20, 10]", "[64, 21, 10]", "Nobody", "Somebody")))
    changed = digests(other)
    assert changed["plain"] == usual["plain"]
    assert changed["teacher"] != usual["teacher"]
    assert changed["distilled"] != usual["distilled"]
    assert other.recipe(many, 0).stage[1] == small.recipe(many, 0).stage[1]


def test_stages_that_begin_where_others_end(tmp_path):
    def digests(*changes):
        longer = '[[stage]]\nname = "longer"\nlike = "plain"\nstart = "distilled"\n\n[[case]]\nname = "many"'
        found = experiment(str(written(tmp_path, '[[case]]\nname = "many"', longer, *changes)))
        recipe = found.recipe(found.cases[0], 0, only={"longer"})
        assert [stage.name for stage in recipe.stage] == ["teacher", "distilled", "longer"]
        return [found.digest(recipe, stage.name) for stage in recipe.stage]

    usual = digests()
    assert len(set(usual)) == 3
    assert [a == b for a, b in zip(digests("epochs = 3", "epochs = 4"), usual, strict=True)] == [True, False, False]
    assert not set(digests("[64, 20, 10]", "[64, 21, 10]")) & set(usual)


def test_digests_know_how_a_stage_is_tested(small, tmp_path):
    def digests(*changes):
        found = experiment(str(written(tmp_path, *changes)))
        recipe = found.recipe(found.cases[0], 0)
        return [found.digest(recipe, stage.name) for stage in recipe.stage]

    usual = digests()
    assert [a == b for a, b in zip(digests("test = 50", "test = 60"), usual, strict=True)] == [True, False, False]
    assert [a == b for a, b in zip(digests('chips = ["distilled"]', ""), usual, strict=True)] == [True, True, False]
    assert digests("published = 70.0", "published = 71.0") == usual
    assert [test.name for test in small.tests("plain")] == ["part"]  # as the row that is to exceed it


def test_views_of_teachers_have_the_seed_of_the_run(tmp_path):
    views = "training = { epochs = 2, batch = 64, rate = 5e-3 }\ncache = { views = { count = 2 } }"
    found = experiment(str(written(tmp_path, "training = { epochs = 2, batch = 64, rate = 5e-3 }", views)))
    assert found.recipe(found.cases[0], 6).stage[0].cache.seen().seed == 6


def test_unknown_experiments_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=f"(?s)no such experiment.*given: *li.*{', '.join(known())}"):
        experiment("li")


BAD = [
    ('title = "Small"', "", "title"),
    ('title = "Small"', 'titel = "Small"', "titel"),
    ("published = 70.0", 'published = "good"', r'given: *row\.0\.published = "good"\n'),
    ("published = 70.0", "published = 700", r"row\.0\.published"),
    ('label = "teacher"', 'label = " "', r"row\.0\.label"),
    ('stage = "teacher"\ncase', 'stage = "master"\ncase', r"row\.0\.stage.*teacher, plain, distilled"),
    ('baseline = "plain"', 'baseline = "plane"', r"row\.1\.baseline"),
    ('baseline = "plain"', 'baseline = "distilled"', r"row\.1\.baseline = 'distilled'.*another stage"),
    ('test = "part"', 'test = "parts"', r"row\.2\.test"),
    ('case = "few"', 'case = "fewer"', r"row\.3\.case"),
    ('name = "part"', 'name = "part"\ndata.test = 40\n\n[[test]]\nname = "part"', "names that differ"),
    ('name = "part"\n', 'name = "part"\ndata.name = "mnist"\n', "test.0.data.name: the data set of the experiment"),
    ('name = "few"\n', 'name = "few"\ndata.name = "mnist"\n', "case.1.data.name: the data set of the experiment"),
    ('name = "few"', 'name = "../few"', r"case\.1\.name"),
    ('chips = ["distilled"]', 'chips = ["student"]', "chips"),
    ('cases = ["many"]', 'cases = ["much"]', r"quick\.cases"),
    ("epochs = { teacher = 1,", "epochs = { master = 1,", r"quick\.epochs"),
    (
        "rate = 5e-3",
        'rate = 5e-3, augment = [{ type = "rotation", degrees = 300 }]',
        r"augment\.0\.degrees = 300.*rotation",
    ),
    ("data.train = 200", "data.train = -1", "train"),
    ("data.train = 300", "data.trian = 300", "trian"),
    ('like = "plain"', 'like = "plane"', r"stage\.2\.like"),
    ("batch = 64", "batch = 0", r"stage\.0\.training\.batch"),
    ("[data]", "[data", "TOML"),
    ('[data]\nname = "digits"', 'data = "digits"', r"data"),
    ('[[test]]\nname = "part"\ndata.test = 50', '[[test]]\nname = "part"\ndata.tset = 50', "tset"),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD, ids=[new or "missing" for _, new, _ in BAD])
def test_what_is_not_usable_is_refused(tmp_path, old, new, said):
    path = written(tmp_path, old, new)
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        experiment(str(path))


def test_the_small_one_is_toml():
    assert tomllib.loads(EXPERIMENT)["stage"][2]["training"] == {"epochs": 3}


def test_stages_without_a_name_are_refused(tmp_path):
    for name in ("", "name = 3\n"):
        nameless = f'[[stage]]\n{name}seed = 3\n\n[[case]]\nname = "many"'
        with pytest.raises(ConfigError, match=r"stage\.3\.name"):
            experiment(str(written(tmp_path, '[[case]]\nname = "many"', nameless)))


def test_the_name_of_an_experiment_of_the_program_is_taken(tmp_path):
    path = tmp_path / "li_mnist.toml"
    path.write_text(EXPERIMENT, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"(?s)name.*is taken.*my_li_mnist\.toml"):
        experiment(str(path))
    path.write_text(known()["li_mnist"].read_text(encoding="utf-8"), encoding="utf-8")
    assert experiment(str(path)) == experiment("li_mnist")
