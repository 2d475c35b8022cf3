"""Files of images: MNIST and its relatives, CIFAR; small ones in each layout, and the real ones."""

import io

import numpy as np
import pytest
from PIL import Image

from eventsim.errors import ConfigError, DataError
from eventsim.training import cifar, images, load
from tests.data_cases import pictures, residual, write_idx, write_npz

ROWS = 100


@pytest.fixture(autouse=True)
def small(request, monkeypatch):
    if "data" not in request.keywords:
        monkeypatch.setattr(cifar, "ROWS", ROWS)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("name", "place", "files"),
    [
        ("mnist", "MNIST/raw", "MNIST_FILES"),
        ("mnist", "mnist", "MNIST_FILES"),
        ("fashion_mnist", "fashion-mnist", "FASHION_FILES"),
        ("fashion_mnist", "FashionMNIST/raw", "FASHION_FILES"),
        ("fashion_mnist", ".", "FASHION_FILES"),
    ],
)
def test_idx_files(tmp_path, monkeypatch, name, place, files, packed):
    pixels, labels, checksums = write_idx(tmp_path / "data" / place, packed)
    with pytest.raises(DataError, match=r"not the one of .*MNIST"):
        load(name, tmp_path / "data")
    monkeypatch.setattr(images, files, checksums)
    made = load(name, tmp_path / "data")
    assert np.array_equal(made.x, pixels.reshape(30, 20) / np.float32(255))
    assert np.array_equal(made.labels, labels)
    assert (made.name, made.image) == (name, (4, 5))
    assert sorted([*made.train, *made.validation]) == list(range(24))
    assert made.test.tolist() == list(range(24, 30))


def write_binary(folder, kinds, names, rows):
    """Files as CIFAR has them: labels, then the channels; gives images and labels."""
    folder.mkdir(parents=True)
    found = [(pictures(n, seed=i)[0], (np.arange(n) % max(kinds)).astype(np.uint8)) for i, n in enumerate(rows)]
    for name, (pixels, labels) in zip(names, found, strict=True):
        content = [
            bytes([label % kind for kind in kinds]) + p.tobytes() for p, label in zip(pixels, labels, strict=True)
        ]
        (folder / name).write_bytes(b"".join(content))
    return [np.concatenate(part) for part in zip(*found, strict=True)]


def test_the_binary_files_of_cifar10(tmp_path):
    pixels, labels = write_binary(tmp_path / "cifar-10-batches-bin", (10,), cifar.BINARY, [ROWS] * 6)
    made = load("cifar10", tmp_path)
    assert made.image == (32, 32, 3)
    for i in (0, 117, 6 * ROWS - 1):
        for c in range(3):
            wanted = pixels[i, c] / np.float32(255)
            assert np.array_equal(made.x[i].reshape(32, 32, 3)[..., c], wanted)
    assert np.array_equal(made.labels, labels)
    assert made.test.tolist() == list(range(5 * ROWS, 6 * ROWS))
    assert (len(made.train), len(made.validation)) == (450, 50)


@pytest.mark.parametrize(("labels", "classes"), [("fine", 100), ("coarse", 20)])
def test_the_binary_files_of_cifar100(tmp_path, labels, classes):
    folder = tmp_path / "cifar-100-binary"
    write_binary(folder, (20, 100), ("train.bin", "test.bin"), [5 * ROWS, ROWS])
    table = np.fromfile(folder / "train.bin", np.uint8).reshape(5 * ROWS, 3074)
    table[:, 1] = (np.arange(5 * ROWS) + 40) % 100
    table.tofile(folder / "train.bin")
    made = load("cifar100", tmp_path, labels=labels)
    assert np.array_equal(made.labels[: 5 * ROWS], table[:, 1 if labels == "fine" else 0])
    assert made.labels.max() < classes
    assert np.array_equal(made.x[3].reshape(32, 32, 3)[..., 2].ravel(), table[3, 2 + 2048 :] / np.float32(255))


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """The small copy of CIFAR-10, with its checksums."""
    made = {}
    for i, name in enumerate(list(cifar.NPZ)[:5]):
        made[name] = pictures(1000 if "test" in name else ROWS, seed=i)
    checksums = {
        name: write_npz(tmp_path / "cifar10" / name, residual=residual(x), labels=y) for name, (x, y) in made.items()
    }
    files = []
    for pixels in made["data_batch_1.npz"][0]:
        file = io.BytesIO()
        Image.fromarray(pixels.transpose(1, 2, 0)).save(file, "JPEG")
        files.append(file.getvalue())
    arrays = {"bytes": np.frombuffer(b"".join(files), np.uint8), "offsets": np.cumsum([0, *map(len, files)])}
    labels = made["data_batch_1.npz"][1]
    checksums["test_jpeg.npz"] = write_npz(tmp_path / "cifar10" / "test_jpeg.npz", **arrays, labels=labels)
    monkeypatch.setattr(cifar, "NPZ", checksums)
    return made, files


def test_the_small_copy_of_cifar10(tmp_path, packed):
    made, files = packed
    found = load("cifar10", tmp_path)
    pixels, labels = (np.concatenate([part[i] for part in made.values()]) for i in (0, 1))
    assert np.array_equal(found.x.reshape(-1, 32, 32, 3), pixels.transpose(0, 2, 3, 1) / np.float32(255))
    assert np.array_equal(found.labels, labels)
    assert found.test.tolist() == list(range(4 * ROWS, 4 * ROWS + 1000))
    found = load("cifar10", tmp_path, test_images="jpeg")
    assert len(found.test) == ROWS
    wanted = np.asarray(Image.open(io.BytesIO(files[2])))
    assert np.array_equal(found.x[4 * ROWS + 2].reshape(32, 32, 3), wanted / np.float32(255))


def test_whole_files_come_before_the_small_copy(tmp_path, packed):
    write_binary(tmp_path / "cifar-10-batches-bin", (10,), cifar.BINARY, [ROWS] * 6)
    assert len(load("cifar10", tmp_path).labels) == 6 * ROWS
    assert len(load("cifar10", tmp_path, test_images="jpeg").labels) == 5 * ROWS


def test_a_damaged_small_copy_is_refused_with_its_checksum(tmp_path, packed):
    path = tmp_path / "cifar10" / "data_batch_3.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"(?s)not the one of CIFAR-10.*data_batch_3\.npz, SHA-256") as refusal:
        load("cifar10", tmp_path)
    assert refusal.value.expected == cifar.NPZ["data_batch_3.npz"]


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_files_of_cifar_of_another_size_or_with_other_labels_are_refused(tmp_path, name):
    kinds, names, rows = (10,), cifar.BINARY, [ROWS] * 6
    if name == "cifar100":
        kinds, names, rows = (20, 100), ("train.bin", "test.bin"), [5 * ROWS, ROWS]
    write_binary(tmp_path / "files", kinds, names, rows)
    path = tmp_path / "files" / names[-1]
    content = path.read_bytes()
    for other, text in ((content[:-1], "bytes"), (content + content, "bytes"), (b"\xc8" + content[1:], "labels")):
        path.write_bytes(other)
        with pytest.raises(DataError, match=rf"(?s)damaged.*{names[-1]}: .*{text}"):
            load(name, tmp_path / "files")
    path.unlink()
    with pytest.raises(DataError, match=rf"no {names[-1]}"):
        load(name, tmp_path / "files")


def test_a_file_of_cifar_in_the_place_of_another_is_refused(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    write_binary(folder, (10,), cifar.BINARY, [ROWS] * 6)
    paths = [folder / cifar.BINARY[i] for i in (1, 5)]
    tables = [np.fromfile(path, np.uint8).reshape(ROWS, 3073) for path in paths]
    tables[0][:3, 0] = 9  # as in the published files, no batch for itself has as many of each
    tables[0].tofile(paths[0])
    path = folder / "data_batch_3.bin"
    table = np.fromfile(path, np.uint8).reshape(ROWS, 3073)
    table[[9, 19, 29], 0] = 0, 1, 2
    table.tofile(path)
    assert len(load("cifar10", tmp_path).labels) == 6 * ROWS
    tables[0].tofile(paths[1])
    with pytest.raises(DataError, match=r"(?s)damaged.*9 to 13 images of a kind in test_batch\.bin"):
        load("cifar10", tmp_path)
    tables[1].tofile(paths[1])
    tables[1].tofile(paths[0])
    with pytest.raises(DataError, match=r"(?s)damaged.*47 to 51 images of a kind in data_batch_1\.bin, .*_5\.bin"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("name", "path", "archive"),
    [
        ("cifar10", "cifar-10-batches-py/data_batch_1", "cifar-10-binary.tar.gz"),
        ("cifar100", "cifar-100-python/train", "cifar-100-binary.tar.gz"),
    ],
)
def test_pickles_are_not_read(tmp_path, name, path, archive):
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(DataError, match=r"pickles such as .* not read") as refusal:
        load(name, tmp_path)
    assert archive in refusal.value.expected


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_missing_files_are_refused_with_the_place_to_put_them(tmp_path, name):
    with pytest.raises(DataError, match="is missing") as refusal:
        load(name, tmp_path)
    assert f"put them into {tmp_path}" in refusal.value.repair
    assert name != "cifar10" or refusal.value.given.startswith("neither data_batch_1.bin nor data_batch_1.npz in ")
    assert f"eventsim data {name} --into {tmp_path}" in refusal.value.repair
    with pytest.raises(DataError, match="data folder is missing"):
        load(name)


@pytest.mark.parametrize(
    ("name", "option"),
    [("cifar10", {"test_images": "png"}), ("cifar100", {"labels": "middle"}), ("mnist", {"size": 3})],
)
def test_unknown_options_are_refused(name, option):
    [given] = option
    with pytest.raises(ConfigError, match=f"options of {name} are not usable") as refusal:
        load(name, **option)
    assert f"{given}: " in refusal.value.expected


@pytest.mark.data
def test_fashion_mnist_is_fashion_mnist(data_folder):
    fashion = load("fashion_mnist", data_folder, train=1000, test=500)
    assert np.bincount(fashion.labels[:60_000]).tolist() == [6000] * 10
    assert fashion.labels[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]
    assert [len(part) for part in (fashion.train, fashion.validation, fashion.test)] == [1000, 5000, 500]
    assert fashion.test.min() >= 60_000
    assert not {*fashion.train} & {*fashion.validation}


@pytest.mark.data
def test_cifar10_is_cifar10(data_folder):
    found = load("cifar10", data_folder)
    assert found.x.shape == (41_000, 3072)
    assert found.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert [len(part) for part in (found.train, found.validation, found.test)] == [36_000, 4000, 1000]
    mean = found.x[:40_000].reshape(-1, 3).mean(0, np.float64)
    assert mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-3)  # published, of all 50,000
    assert found.x[0].reshape(32, 32, 3)[0, 0] * 255 == pytest.approx([59, 62, 63])
    lossless, test = found.x[40_000:], found.labels[40_000:]
    del found
    lossy = load("cifar10", data_folder, test_images="jpeg", train=100, validation=100)
    assert len(lossy.test) == 10_000
    assert np.array_equal(lossy.labels[40_000:41_000], test)
    assert 0 < np.sqrt(np.mean((lossy.x[40_000:41_000] - lossless) ** 2)) < 0.05
