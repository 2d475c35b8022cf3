"""Teachers of every kind answer as they should, and those that cannot are refused with the repair."""

import h5py
import numpy as np
import pytest

from eventsim.cli import main
from eventsim.errors import CacheError, ConfigError, NetworkError
from eventsim.training import (
    Direct,
    Form,
    FunctionTeacher,
    GaussianThreshold,
    LogitsTeacher,
    Model,
    ModelTeacher,
    Online,
    OnnxTeacher,
    TeacherCache,
    Views,
    cached,
    checkpoint,
    from_arrays,
    load,
    mtj_mlp,
    relu_mlp,
    resnet18,
)
from eventsim.training.asked import named_augmentations, named_teacher
from eventsim.training.augment import Crop, Cutout, Flip, Noise, Rotation, Shift
from eventsim.training.linear import Dense
from eventsim.training.model import Chain
from eventsim.training.places import names
from eventsim.training.shaping import ReLU
from tests.cache_cases import SOME, few, relu_teacher, same, saying, spiking_teacher


@pytest.fixture(scope="module")
def data():
    return few()


@pytest.fixture(scope="module")
def logits(data):
    return np.random.default_rng(3).normal(size=(300, 10)).astype(np.float32)


# Models


def test_layers_within_layers_are_tapped():
    model = Model([Chain([Dense(4, 5), ReLU()]), Dense(5, 3)], (4,))
    teacher = ModelTeacher(model, model.initial(0), Direct(), features=["0/1", "1"])
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    said = teacher(x, np.arange(6), 0)
    wanted = x @ teacher.params["0/0/weight"] + teacher.params["0/0/bias"]
    assert said.features["0/1"] == pytest.approx(wanted, rel=1e-5)
    assert said.features["1"] == pytest.approx(np.maximum(wanted, 0), rel=1e-5)
    assert said.logits == pytest.approx(model.logits(teacher.params, x[:, None]))


def test_stages_of_a_residual_network_are_tapped():
    model = resnet18(ReLU(), inputs=(8, 8, 1), width=0.05)
    place = next(name for name in names(model.layers) if "/main/" in name)
    teacher = ModelTeacher(model, model.initial(0), Direct(), features=[place])
    said = teacher(np.ones((2, 64), np.float32), np.arange(2), 0)
    assert said.features[place].shape[0] == 2
    assert said.features[place].ndim == 4
    assert np.array_equal(said.logits, model.logits(teacher.params, np.ones((2, 1, 64), np.float32)))


@pytest.mark.parametrize("place", ["7", "-1", "a", "", "0/0", "1/main/0", "00"])
def test_layers_that_are_not_there_are_refused(place):
    with pytest.raises(NetworkError, match=r"(?s)no such layer.*one of 0, 1, 2"):
        relu_teacher(features=(place,))


def test_the_same_layer_twice_is_refused():
    with pytest.raises(NetworkError, match="no such layer"):
        relu_teacher(features=("1", "1"))


def test_spikes_of_a_model_without_output_spikes_are_refused():
    model = mtj_mlp((64, 8, 10))
    with pytest.raises(NetworkError, match=r"(?s)no output spikes.*Dense as the last layer"):
        ModelTeacher(model, model.initial(0), GaussianThreshold(2, seed=0), spikes=True)


def test_parameters_of_another_model_are_refused():
    with pytest.raises(NetworkError, match="not those of the model"):
        ModelTeacher(relu_mlp((64, 8, 10)), relu_mlp((64, 9, 10)).initial(0), Direct())


def test_fingerprints_are_those_of_the_parameters():
    one, two, other = relu_teacher(), relu_teacher(features=("1",)), relu_teacher(1)
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert one.network != two.network
    assert one.preprocessing == two.preprocessing


# Functions


def test_functions_answer_with_logits_or_with_all_there_is(tmp_path, data):
    teacher = spiking_teacher(features=("1",))
    everything = FunctionTeacher(lambda x: teacher(x, np.arange(len(x)), 0), "all", SOME)
    ids = np.arange(50)
    same(Online(everything, data).batch(ids), Online(teacher, data).batch(ids))
    cache = cached(tmp_path / "a.h5", saying(lambda x: x[:, 20:30].astype(np.float64)), data)
    assert np.array_equal(cache.batch(ids).logits, data.x[ids, 20:30])


def test_a_fingerprint_that_is_none_is_refused():
    with pytest.raises(CacheError, match=r"(?s)no SHA-256.*'v1'.*store\.fingerprint"):
        FunctionTeacher(lambda x: x, "name", "v1")


def test_answers_that_change_their_shape_are_refused(tmp_path, data):
    plain, more = relu_teacher(), relu_teacher(features=("1",))
    calls = iter([plain, more])
    teacher = FunctionTeacher(lambda x: next(calls)(x, np.arange(len(x)), 0), "moody", SOME)
    with pytest.raises(CacheError, match=r"(?s)another shape than before.*logits.*features/1"):
        cached(tmp_path / "a.h5", teacher, data)


@pytest.mark.parametrize("spikes", [np.ones((300, 10), np.uint8), np.full((300, 2, 10), 2, np.uint8)])
def test_spikes_that_are_none_are_refused(data, spikes):
    said = relu_teacher()(data.x, np.arange(300), 0)._replace(spikes=spikes)
    with pytest.raises(CacheError, match="no spikes"):
        Online(saying(said), data).batch(np.arange(300))


# Logits from elsewhere


def written(path, logits, **beside):
    if path.suffix == ".npy":
        np.save(path, logits)
    elif path.suffix == ".npz":
        np.savez(path, logits=logits, **beside)
    else:
        with h5py.File(path, "w") as file:
            for name, array in {"logits": logits, **beside}.items():
                file[name] = array
    return path


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_logits_from_files_are_looked_up(tmp_path, data, logits, suffix):
    path = written(tmp_path / f"logits{suffix}", logits)
    teacher = LogitsTeacher.read(path)
    assert teacher.name == path.name
    cache = cached(tmp_path / "cache.h5", teacher, data, splits=("train", "test"))
    for ids in (data.train, data.test[:2], data.test[[4, 4]]):
        assert np.array_equal(cache.batch(ids).logits, logits[ids])
        assert np.array_equal(teacher(data.x[ids], ids, 0).logits, logits[ids])


@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_logits_of_some_samples_in_any_order(tmp_path, data, logits, suffix):
    ids = data.train[::-1]
    path = written(tmp_path / f"logits{suffix}", logits[ids], ids=ids, labels=data.labels[ids])
    cache = cached(tmp_path / "cache.h5", LogitsTeacher.read(path), data, splits=("train",))
    assert np.array_equal(cache.batch(data.train).logits, logits[data.train])
    with pytest.raises(CacheError, match=r"(?s)not among the logits.*ids \["):
        cached(tmp_path / "other.h5", LogitsTeacher.read(path), data)


def test_logits_that_do_not_fit_are_refused(data, logits):
    labels = data.labels
    for changed, message in (
        ({"logits": logits[:-1]}, r"299 rows for 10 classes(.|\n)*300 rows"),
        ({"logits": logits[:, :9]}, r"300 rows for 9 classes(.|\n)*10 classes"),
        ({"ids": np.zeros(300, int)}, "1 different ones from 0 to 0"),
        ({"ids": np.arange(1, 301)}, "from 1 to 300"),
        ({"ids": np.arange(300)[::-1], "labels": labels}, r"labels beside(.|\n)*row 0, for sample 299"),
        ({"labels": 9 - labels}, r"row 0(.|\n)*classes in the order of the data set"),
    ):
        with pytest.raises(CacheError, match=message):
            Online(LogitsTeacher(**{"logits": logits, **changed}), data)


def test_what_is_no_table_of_logits_is_refused(tmp_path, logits):
    for changed in ({"logits": logits[0]}, {"logits": logits[:0]}, {"ids": np.arange(3)}, {"labels": logits[:, 0]}):
        with pytest.raises(CacheError, match="no logits"):
            LogitsTeacher(**{"logits": logits, **changed})
    with pytest.raises(CacheError, match="no logits"):
        LogitsTeacher(np.array([["a"]]))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scores"] = logits
    with pytest.raises(CacheError, match=r"(?s)no logits in the file.*with scores"):
        LogitsTeacher.read(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_files_of_logits_that_cannot_be_read_are_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CacheError, match=r"cannot be read|no file of logits|damaged"):
        LogitsTeacher.read(tmp_path / name)


def test_logits_from_elsewhere_have_one_view(tmp_path, data, logits):
    with pytest.raises(CacheError, match=r"(?s)of one view.*leave the views out"):
        cached(tmp_path / "a.h5", LogitsTeacher(logits), data, views=Views(2))


# ONNX


def onnx_file(path, shape, batch="batch", kind=None, opset=17):
    """Sum of each class's share of the pixels: Flatten, and a product with a matrix."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    kind, size = kind or onnx.TensorProto.FLOAT, int(np.prod([n for n in shape if isinstance(n, int)]))
    weight = np.random.default_rng(0).normal(size=(size, 10)).astype(np.float32)
    make = onnx.helper
    nodes = [
        make.make_node("Flatten", ["x"], ["flat"], axis=1),
        make.make_node("MatMul", ["flat", "weight"], ["hidden"]),
        make.make_node("Relu", ["hidden"], ["logits"]),
    ]
    graph = make.make_graph(
        nodes,
        "teacher",
        [make.make_tensor_value_info("x", kind, [batch, *shape])],
        [make.make_tensor_value_info(name, kind, [batch, 10]) for name in ("logits", "hidden")],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return weight


@pytest.mark.parametrize(
    ("shape", "batch"), [((64,), "n"), ((1, 8, 8), "n"), ((1, 64), "n"), ((1, 8, 8), 1), ((64,), 7)]
)
def test_onnx_files_answer(tmp_path, data, shape, batch):
    weight = onnx_file(tmp_path / "a.onnx", shape, batch)
    teacher = OnnxTeacher(tmp_path / "a.onnx", data.image, mean=0.25, std=2.0, features=["hidden"])
    cache = cached(tmp_path / "a.h5", teacher, data)
    wanted = (data.x - 0.25) / 2 @ weight
    assert cache.batch(np.arange(300)).logits == pytest.approx(np.maximum(wanted, 0), abs=1e-4)
    assert cache.batch(np.arange(300)).features["hidden"] == pytest.approx(wanted, abs=1e-2)
    assert OnnxTeacher(tmp_path / "a.onnx", data.image).network == {**teacher.network, "features": []}


@pytest.mark.parametrize(("order", "shape"), [("channels_first", (2, 4, 8)), ("channels_last", (4, 8, 2))])
def test_onnx_files_see_channels_where_they_want_them(tmp_path, order, shape):
    weight = onnx_file(tmp_path / "a.onnx", shape)
    x = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    said = OnnxTeacher(tmp_path / "a.onnx", (4, 8), order=order)(x, np.arange(3), 0)
    images = x.reshape(3, 4, 8, 2)
    rows = (images.transpose(0, 3, 1, 2) if order == "channels_first" else images).reshape(3, 64)
    assert said.logits == pytest.approx(np.maximum(rows @ weight, 0), abs=1e-4)


@pytest.mark.parametrize(
    ("image", "shape"),
    [((8, 8, 3), (3, 8, 8)), ((1, 16, 9), (9, 16)), ((1, 16, 9), (9, 1, 16)), ((8, 8, 3), (192,)), ((8, 8), (1, 8, 8))],
)
def test_onnx_files_named_for_samples_with_channels_answer(tmp_path, image, shape):
    onnx_file(tmp_path / "a.onnx", shape)
    x = np.random.default_rng(0).normal(size=(20, *image)).astype(np.float32)
    colours = from_arrays("colours", x.reshape(20, -1), np.arange(20) % 10, image=image, test=5, validation=5)
    teacher = named_teacher(str(tmp_path / "a.onnx"), colours)
    assert Online(teacher, colours).batch(colours.train).logits.shape == (10, 10)


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8, 1), (28, 28), (65,), (1, 1, 8, 8)])
def test_onnx_files_for_other_samples_are_refused(tmp_path, data, shape):
    onnx_file(tmp_path / "a.onnx", shape)
    with pytest.raises(CacheError, match=r"(?s)another shape.*input x of shape \('batch', .*--order channels_last"):
        Online(OnnxTeacher(tmp_path / "a.onnx", data.image), data)


def test_onnx_files_that_are_none_are_refused(tmp_path, data):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "a.onnx").write_bytes(b"nonsense")
    with pytest.raises(CacheError, match=r"(?s)cannot be read.*export it again"):
        OnnxTeacher(tmp_path / "a.onnx", data.image)
    with pytest.raises(CacheError, match="no ONNX file"):
        OnnxTeacher(tmp_path / "b.onnx", data.image)
    onnx_file(tmp_path / "a.onnx", (64,))
    with pytest.raises(ConfigError, match=r"(?s)no such outputs.*some of logits, hidden"):
        OnnxTeacher(tmp_path / "a.onnx", data.image, features=["other"])
    with pytest.raises(ConfigError, match="preprocessing"):
        OnnxTeacher(tmp_path / "a.onnx", data.image, std=0.0)
    model = onnx.load(tmp_path / "a.onnx")
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CacheError):
        OnnxTeacher(tmp_path / "a.onnx", data.image)


def test_without_onnxruntime_the_extra_is_named(tmp_path, data, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"(?s)onnxruntime is not installed.*eventsim-mtj\[onnx\]"):
        OnnxTeacher(tmp_path / "a.onnx", data.image)


# The command


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["eventsim", "cache", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_the_command_makes_a_cache(tmp_path, monkeypatch, capsys):
    digits = load("digits")
    logits = np.random.default_rng(0).normal(size=(1797, 10)).astype(np.float32)
    path, out = written(tmp_path / "logits.npy", logits), tmp_path / "cache.h5"
    words = ("--split", "train", "--top", 4, "--dtype", "float16")
    assert run(monkeypatch, "--teacher", path, "--out", out, *words) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}: 897 samples of digits, 1 views, teacher logits.npy\n".replace(
        "897", str(len(digits.train))
    )
    assert "answers" in said.err
    cache = TeacherCache.read(out, digits, LogitsTeacher.read(path))
    same(cache.batch(digits.train), Online(LogitsTeacher(logits), digits, form=Form("float16", 4)).batch(digits.train))


def test_the_command_takes_options_of_the_data_set(tmp_path, monkeypatch):
    (tmp_path / "mine_for_options.py").write_text("from tests.cache_cases import relu_teacher\nout = relu_teacher()\n")
    monkeypatch.chdir(tmp_path)
    options = ("--data-option", "train=100", "--data-option", "validation=50")
    words = ("--teacher", "mine_for_options:out", *options, "--out", tmp_path / "a.h5")
    assert run(monkeypatch, *words) == 0
    digits = load("digits", train=100, validation=50)
    cache = TeacherCache.read(tmp_path / "a.h5", digits, relu_teacher())
    assert len(cache.ids) == 100 + 50 + 600
    with pytest.raises(CacheError, match=r"dataset|split"):
        TeacherCache.read(tmp_path / "a.h5", load("digits"), relu_teacher())


def test_the_command_takes_teachers_of_modules_and_views(tmp_path, monkeypatch):
    (tmp_path / "mine_for_the_command.py").write_text(
        "from tests.cache_cases import relu_teacher\nout = relu_teacher()\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ("--split", "train", "--views", 2, "--augment", "shift=1", "--augment", "noise=0.1", "--seed", 3)
    assert run(monkeypatch, "--teacher", "mine_for_the_command:out", "--out", "a.h5", *words) == 0
    digits, views = load("digits"), Views(2, (Shift(1), Noise(0.1)), 3)
    cache = TeacherCache.read("a.h5", digits, relu_teacher(), views=views)
    same(cache.batch(digits.train, 1), Online(relu_teacher(), digits, views).batch(digits.train, 1))
    assert run(monkeypatch, "--teacher", "tests.cache_cases:relu_teacher", "--out", "b.h5") == 2  # takes no data set


def test_the_command_takes_the_teacher_of_a_demonstration(tmp_path):
    digits, model = load("digits"), relu_mlp((64, 5, 10))
    about = {"model": "teacher", "config": {"teacher_hidden": 5}}
    checkpoint.save(tmp_path / "teacher.h5", model.initial(0), about)
    teacher = named_teacher(str(tmp_path / "teacher.h5"), digits)
    same(
        Online(teacher, digits).batch(digits.test),
        Online(ModelTeacher(model, model.initial(0), Direct()), digits).batch(digits.test),
    )
    checkpoint.save(tmp_path / "student.h5", model.initial(0), {"model": "student"})
    with pytest.raises(CacheError, match="not those of a teacher"):
        named_teacher(str(tmp_path / "student.h5"), digits)


def test_the_command_refuses(tmp_path, monkeypatch, capsys):
    logits, zipped = written(tmp_path / "logits.npy", np.zeros((5, 10))), tmp_path / "logits.npz"
    np.savez(zipped, logits=np.zeros((5, 10)))
    zipped.write_bytes(zipped.read_bytes()[:-30])
    for words, message in (
        (["--teacher", logits], "5 rows for 10 classes"),
        (["--teacher", tmp_path / "none.h5"], "no teacher"),
        *(([f"--teacher={name}"], "no such teacher") for name in ("nowhere:teacher", ":x", ".a:b")),
        (["--teacher", "tests.cache_cases:ONE", "--split", "classes"], "train, validation, test"),
        (["--teacher", zipped], "cannot be read"),
        (["--teacher", "tests.cache_cases:SOME"], "no teacher"),
        (["--teacher", logits, "--augment", "turn=3"], "no such augmentation"),
        (["--teacher", logits, "--augment", "shift=a"], "no such augmentation"),
        (["--teacher", logits, "--views", 0], "count"),
        (["--teacher", logits, "--dtype", "int8"], "type of the logits"),
        (["--teacher", logits, "--threads", 10_000], "threads"),
        (["--teacher", logits, "--dataset", "none"], "no such data set"),
        (["--teacher", logits, "--data-option", "trian=3"], "train?"),
        (["--teacher", logits, "--data-option", "train"], "NAME=VALUE"),
    ):
        assert run(monkeypatch, *words, "--out", tmp_path / "a.h5") == 2
        assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logits.npy", "logits.npz"]


def test_augmentations_have_names():
    found = named_augmentations(["shift=2", "flip", "crop=3", "cutout=4", "noise=0.5", "rotation=15"])
    assert found == (Shift(2), Flip(), Crop(3), Cutout(4), Noise(0.5), Rotation(15))
