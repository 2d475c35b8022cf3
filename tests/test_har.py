"""UCI-HAR and HAPT: text files, raw recordings and windows; small ones in each layout, and the real ones."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt, sosfilt_zi

from eventsim.errors import ConfigError, DataError
from eventsim.training import hapt, har, load
from eventsim.training.har import CHANNELS
from eventsim.training.standard import standardised
from eventsim.training.turns import Turns
from tests.data_cases import write_npz

ROWS = {"train": 30, "test": 8}


def write_table(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, table, fmt="%.8e" if np.asarray(table).dtype.kind == "f" else "%d")


@pytest.fixture
def first(tmp_path, monkeypatch):
    """The text files of the first release: ten subjects for training and two for test."""
    rng, made, counts = np.random.default_rng(0), {}, {}
    monkeypatch.setattr(har, "V1_WINDOWS", counts)
    for name, rows in ROWS.items():
        folder = tmp_path / "UCI HAR Dataset" / name
        subjects = np.repeat((1, 3, 5, 6, 7, 8, 11, 14, 15, 16), 3) if name == "train" else np.repeat((20, 24), 4)
        made[name] = rng.normal(1, 2, (rows, 128, 9)), rng.integers(1, 7, rows), subjects
        counts[name] = tuple(np.bincount(made[name][1], minlength=7)[1:].tolist())
        write_table(folder / f"y_{name}.txt", made[name][1])
        write_table(folder / f"subject_{name}.txt", subjects)
        for i, channel in enumerate(CHANNELS):
            write_table(folder / "Inertial Signals" / f"{channel}_{name}.txt", made[name][0][:, :, i])
    return tmp_path, made


def test_the_text_files_of_the_first_release(first):
    folder, made = first
    found = load("uci_har", folder, release="v1")
    assert (found.image, found.x.shape) == ((1, 128, 9), (38, 1152))
    assert np.array_equal(found.labels, np.concatenate([made["train"][1], made["test"][1]]) - 1)
    subjects = np.concatenate([made["train"][2], made["test"][2]])
    assert len({*subjects[found.validation]}) == 4
    assert not {*subjects[found.validation]} & {*subjects[found.train]}
    assert found.test.tolist() == list(range(30, 38))
    x = found.x.reshape(38, 128, 9)
    assert x[found.train].mean((0, 1)) == pytest.approx(np.zeros(9), abs=1e-6)
    assert x[found.train].std((0, 1)) == pytest.approx(np.ones(9), abs=1e-5)
    raw = np.concatenate([made["train"][0], made["test"][0]])
    for c in range(9):
        known = raw[found.train][:, :, c]
        assert x[35, :, c] == pytest.approx((raw[35, :, c] - known.mean()) / known.std(), abs=1e-5)


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("train/y_train.txt", "1\n" * 29, "29 rows"),
        ("train/y_train.txt", "1\n" * 29 + "7\n", "from 1.0 to 7.0"),
        ("train/y_train.txt", "1\n" * 29 + "1.5\n", "damaged"),
        ("train/y_train.txt", "1\n" * 30, r"\(30, 0, 0, 0, 0, 0\) windows.*as were published"),
        ("test/subject_test.txt", "x\n" * 8, "damaged"),
        ("test/subject_test.txt", "24\n" * 7 + "2", "cut off in the last line"),
        ("test/subject_test.txt", "24\n" * 6 + "1\n3\n", r"subjects \[1, 3\] for test"),
        ("train/subject_train.txt", "1\n" * 29 + "24\n", r"subjects \[24\] for train"),
        ("test/subject_test.txt", "1 2\n" * 8, "shape"),
        ("test/subject_test.txt", "", "0 bytes, cut off"),
        ("test/subject_test.txt", "\n", "shape"),
        ("test/Inertial Signals/body_acc_x_test.txt", ("1 " * 127 + "\n") * 8, "shape"),
        ("test/Inertial Signals/body_acc_x_test.txt", ("1 " * 128 + "\n") * 7 + "1 2\n", "damaged"),
        ("test/Inertial Signals/body_acc_x_test.txt", ("nan " * 128 + "\n") * 8, "damaged"),
        ("test/Inertial Signals/body_acc_x_test.txt", ("1e39 " * 128 + "\n") * 8, "up to 1e[+]39"),
        ("test/Inertial Signals/body_acc_x_test.txt", "\xff\n", "damaged"),
        ("test/Inertial Signals/total_acc_z_test.txt", None, r"no test.*total_acc_z_test\.txt"),
    ],
)
def test_damaged_text_files_are_refused(first, path, content, message):
    folder, _ = first
    path = folder / "UCI HAR Dataset" / path
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=rf"(?s){message}"):
        load("uci_har", folder, release="v1")


WINDOWS = (0, 0, 0, 14, 0, 21, 7, 0, 0, 0, 0, 0)


def recording(rng, rows):
    time = np.arange(rows)[:, None]
    return np.sin(time / 20 + rng.random(3) * 6) + rng.normal(0, 0.05, (rows, 3)) + (0, 0, 1)


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """Raw recordings: each of six users for training and one for test sits, lies down and lies."""
    rng, segments, made = np.random.default_rng(1), [], {}
    for experiment, user in enumerate((1, 3, 5, 6, 7, 8, 2), 1):
        made[user] = recording(rng, 600), recording(rng, 600)
        for kind, signal in zip(("acc", "gyro"), made[user], strict=True):
            write_table(tmp_path / "RawData" / f"{kind}_exp{experiment:02}_user{user:02}.txt", signal)
        segments += [(experiment, user, 4, 11, 202), (experiment, user, 9, 203, 320), (experiment, user, 6, 321, 600)]
        segments += [(experiment, user, 7, 200, 327)]
    write_table(tmp_path / "RawData" / "labels.txt", np.array(segments))
    monkeypatch.setattr(har, "HAPT_WINDOWS", WINDOWS)
    return tmp_path, made


def test_windows_of_raw_recordings(raw):
    """192 rows hold two windows, 118 none, 280 three, 128 one."""
    folder, made = raw
    x, labels, subjects, is_test = hapt.raw_windows(folder / "RawData" / "labels.txt", WINDOWS)
    assert labels.tolist() == [4, 4, 6, 6, 6, 7] * 7
    assert subjects[::6].tolist() == [1, 3, 5, 6, 7, 8, 2]
    assert is_test.tolist() == (subjects == 2).tolist()
    signals = hapt.channels(*(np.round(part, 8) for part in made[3]))
    for window, start in zip(x[6:12], (10, 74, 320, 384, 448, 199), strict=True):
        assert window == pytest.approx(signals[start : start + 128], abs=1e-5)
    everything, basic = load("uci_har", folder, postures="all"), load("uci_har", folder)
    assert (len(everything.labels), len(basic.labels)) == (42, 35)
    assert everything.labels.tolist() == (labels - 1).tolist()
    assert len(basic.train) == 10
    assert len(basic.validation) == 20
    assert len(basic.test) == 5


def test_the_channels_are_what_the_filters_pass():
    """Gravity is of the total acceleration alone; what is fast is in both; rotation loses what is slow."""
    time = np.arange(3000)[:, None] / 50
    fast, slow = np.sin(2 * np.pi * 3 * time), np.sin(2 * np.pi * 0.01 * time)
    found = hapt.channels(fast + np.array([[0, 0, 1]]), fast + slow + np.zeros(3))[1500:]
    body, turning, total = found[:, :3], found[:, 3:6], found[:, 6:]
    assert total.mean(0) == pytest.approx([0, 0, 1], abs=1e-3)
    assert body.mean(0) == pytest.approx([0, 0, 0], abs=1e-3)
    for signal in (body, turning):
        assert signal.std(0) == pytest.approx(np.full(3, np.sqrt(0.5)), rel=0.15)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.txt", "1 1 4 11 202\n", r"\(0, 0, 0, 2, 0, .*as were published"),
        ("labels.txt", "1 1 4 11 12\n", r"\(0, 0, 0, 0, 0, .*as were published"),
        ("labels.txt", "1 1 4 11 601\n", "rows 11 to 601 of 600"),
        ("labels.txt", "1 1 4 300 202\n", "rows 300 to 202"),
        ("labels.txt", "1 1 13 11 202\n", "segment 1, 1 1 13 11 202.*activity to 12"),
        ("labels.txt", "1 1 4 11 202\n1 1 4 0 202\n", "segment 2, 1 1 4 0 202.*from 1"),
        ("labels.txt", "1 1 4 1.5 202\n", "segment 1, 1 1 4 1.5 202.*whole"),
        ("labels.txt", "1 1 4 1 1e30\n", "segment 1, .*1e[+]30"),
        ("labels.txt", "9 9 4 1 202\n", r"acc_exp09_user09\.txt"),
        ("gyro_exp01_user01.txt", "1 2 3\n" * 599, "599 rows"),
        ("acc_exp01_user01.txt", "1 2\n" * 600, "shape"),
        ("gyro_exp01_user01.txt", None, "recording is missing"),
        ("labels.txt", None, r"nor RawData/labels\.txt"),
    ],
)
def test_damaged_recordings_are_refused(raw, name, content, message):
    folder, _ = raw
    (folder / "RawData" / name).unlink()
    if content is not None:
        (folder / "RawData" / name).write_text(content)
    with pytest.raises(DataError, match=rf"(?s){message}"):
        load("uci_har", folder)


def test_the_first_release_has_no_changes_between_postures(tmp_path):
    for release in ("v1", "v1_subset"):
        with pytest.raises(ConfigError, match="no changes between postures"):
            load("uci_har", tmp_path, release=release, postures="all")


@pytest.mark.parametrize(
    ("release", "named"),
    [("hapt", "RawData/ of the HAPT"), ("v1", "Inertial Signals"), ("v1_subset", "har_windows.npz")],
)
def test_missing_files_are_refused_with_the_place_to_put_them(tmp_path, release, named):
    with pytest.raises(DataError, match=r"UCI-HAR.* is missing") as refusal:
        load("uci_har", tmp_path, release=release)
    assert named in refusal.value.expected
    assert "eventsim data" not in refusal.value.repair
    assert "release=" not in refusal.value.repair


def test_another_release_that_is_there_is_named(first):
    folder, _ = first
    with pytest.raises(DataError, match=r"neither har_windows\.npz nor RawData/labels\.txt in") as refusal:
        load("uci_har", folder)
    assert f"{folder / 'UCI HAR Dataset' / 'train' / 'y_train.txt'}: release='v1'" in refusal.value.repair


@pytest.mark.parametrize(
    ("file", "releases"), [("har_windows.npz", ["v1_subset", "hapt"]), ("RawData/labels.txt", ["hapt"])]
)
def test_a_later_release_does_not_stand_in_for_the_first(tmp_path, file, releases):
    path = tmp_path / "uci-har" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"no train/y_train\.txt in") as refusal:
        load("uci_har", tmp_path, release="v1")
    assert refusal.value.repair.endswith("".join(f"; or read {path}: release={name!r}" for name in releases))


def test_missing_text_files_are_refused_with_folders_that_there_are(first):
    folder, _ = first
    (folder / "UCI HAR Dataset" / "test" / "subject_test.txt").unlink()
    with pytest.raises(DataError, match=r"no test/subject_test\.txt beside it") as refusal:
        load("uci_har", folder, release="v1")
    assert "UCI HAR Dataset/UCI HAR Dataset" not in str(refusal.value)
    assert f"put them into {folder / 'UCI HAR Dataset'}," in refusal.value.repair


def test_windows_with_another_checksum_are_refused(tmp_path):
    found = write_npz(tmp_path / "uci-har" / "har_windows.npz", start=np.arange(3))
    for release in ("hapt", "v1_subset"):
        with pytest.raises(DataError, match=found):
            load("uci_har", tmp_path, release=release)


def test_channels_without_deviation_are_refused():
    with pytest.raises(DataError, match="cannot be standardised"):
        standardised("some", np.ones((5, 4, 2), np.float32), np.arange(3))


@pytest.mark.data
@pytest.mark.parametrize(
    ("options", "counts", "classes"),
    [({}, (7415, 2996), 6), ({"postures": "all"}, (7767, 3162), 12), ({"release": "v1_subset"}, (2400, 950), 6)],
)
def test_uci_har_is_uci_har(data_folder, options, counts, classes):
    found = load("uci_har", data_folder, **options)
    assert (len(found.train) + len(found.validation), len(found.test)) == counts
    assert (found.classes, found.image) == (classes, (1, 128, 9))
    with np.load(data_folder / "uci-har" / "har_windows.npz") as z:
        start, label, subject, is_test = z["start"], z["label"], z["subject"], z["is_test"]
        signals = z["signals"] * z["scale"]
        first = np.concatenate([z["v1_start_train"], z["v1_start_test"]])
        first_label = np.concatenate([z["v1_label_train"], z["v1_label_test"]])
    asked = label <= classes
    raw = signals[(first if "release" in options else start[asked])[:, None] + np.arange(128)].astype(np.float32)
    wanted = (raw - raw[found.train].mean((0, 1), np.float64)) / raw[found.train].std((0, 1), np.float64)
    assert np.abs(found.x.reshape(raw.shape) - wanted).max() < 1e-4
    assert np.array_equal(found.labels, (first_label if "release" in options else label[asked]) - 1)
    if "release" not in options:
        who = subject[asked]
        assert sorted({*who[found.test]}) == list(hapt.TEST_SUBJECTS)
        assert np.array_equal(np.flatnonzero(is_test[asked]), found.test)
        assert len({*who[found.validation]}) == 4
        assert not {*who[found.validation]} & {*who[found.train]}


@pytest.mark.data
def test_the_body_is_what_is_left_of_the_real_total_acceleration(data_folder):
    """Gravity by the filter of raw recordings, from a steady state, is what the windows have after some seconds."""
    with np.load(data_folder / "uci-har" / "har_windows.npz") as z:
        signals, start = z["signals"] * z["scale"], z["start"]
    gap = np.flatnonzero(np.diff(start) != 64)
    longest = np.argmax(np.diff(gap))
    a, b = start[gap[longest] + 1], start[gap[longest + 1]] + 128
    total = signals[a:b, 6:]
    steady = butter(3, 0.3 / 25, output="sos")
    gravity = sosfilt(steady, total, axis=0, zi=sosfilt_zi(steady)[:, :, None] * total[0])[0]
    assert b - a > 1000
    assert np.abs(total - gravity - signals[a:b, :3])[700:].max() < 2e-3


def test_turned_copies_are_added_to_what_is_trained_on(first):
    """Copies of what is trained on stand behind all windows, on the same scale; nothing else changes."""
    folder, made = first
    plain, turned = (load("uci_har", folder, release="v1", turned=n, degrees=20.0) for n in (0, 2))
    n, size = len(plain.train), len(plain.x)
    assert np.array_equal(turned.x[:size], plain.x)
    assert np.array_equal(turned.train, [*plain.train, *range(size, size + 2 * n)])
    assert np.array_equal(turned.labels[size:], np.tile(plain.labels[plain.train], 2))
    assert np.array_equal(turned.validation, plain.validation)
    assert np.array_equal(turned.test, plain.test)
    known = np.concatenate([made["train"][0], made["test"][0]]).astype(np.float32)[plain.train]
    for copy in range(2):
        wanted = (Turns(2, 20.0)(known, copy) - known.mean((0, 1))) / known.std((0, 1))
        found = turned.x[size + copy * n : size + (copy + 1) * n].reshape(n, 128, 9)
        assert found == pytest.approx(wanted, abs=1e-4)


def test_a_turn_is_one_rotation_for_all_readings_of_a_window():
    x = np.random.default_rng(3).normal(size=(500, 5, 6)).astype(np.float32)
    turns = Turns(copies=2, degrees=10.0)
    before = x.reshape(500, 10, 3).astype(np.float64)
    rotations = []
    for copy in range(2):
        after = turns(x, copy).reshape(500, 10, 3)
        assert after @ after.transpose(0, 2, 1) == pytest.approx(before @ before.transpose(0, 2, 1), abs=1e-4)
        rotations.append(np.linalg.solve(before.transpose(0, 2, 1) @ before, before.transpose(0, 2, 1) @ after))
        assert np.linalg.det(rotations[-1]) == pytest.approx(np.ones(500), abs=1e-4)
        angle = np.degrees(np.arccos((np.trace(rotations[-1], axis1=1, axis2=2) - 1) / 2))
        assert (angle**2).mean() == pytest.approx(3 * 10**2, rel=0.15)
    assert np.abs(rotations[0] - rotations[1]).max(axis=(1, 2)).min() > 1e-3


@pytest.mark.parametrize(
    ("asked", "named"),
    [({"turned": -1}, "turned"), ({"turned": 1.5}, "turned"), ({"turned": 2, "degrees": 0.0}, "degrees")],
)
def test_impossible_turns_are_refused_before_a_file_is_read(tmp_path, asked, named):
    with pytest.raises(ConfigError, match=named):
        load("uci_har", tmp_path, **asked)
