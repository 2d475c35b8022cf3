"""MIT-BIH: beats as arrays and as records, splits by beat and by patient; small ones, and the real ones."""

import shutil
import sys
import warnings
import zlib

import numpy as np
import pytest

from eventsim.errors import ConfigError, DataError
from eventsim.training import load, mitbih, wfdb_records
from eventsim.training.mitbih import DS1, DS2, RECORDS
from eventsim.training.wfdb_records import read_record
from tests.data_cases import write_npz

SYMBOLS = "NLRejAaJSVEF/fQ"
CLASSES = [0] * 5 + [1] * 4 + [2] * 2 + [3] + [4] * 3


@pytest.fixture
def beats(tmp_path, monkeypatch):
    """Twenty beats of every record."""
    rng = np.random.default_rng(0)
    n = 20 * len(RECORDS)
    made = {
        "x": rng.integers(900, 1300, (n, 256)).astype(np.int16),
        "y": (np.arange(n) % 5).astype(np.uint8),
        "record": np.repeat(np.array(RECORDS, np.uint16), 20),
    }
    found = write_npz(tmp_path / "mitbih" / "mitbih_beats.npz", **made)
    monkeypatch.setattr(mitbih, "NPZ", {"mitbih_beats.npz": found})
    return tmp_path, made


def test_beats_are_split_at_random(beats):
    folder, made = beats
    found = load("mitbih", folder)
    known = made["y"] < 4
    n = int(known.sum())
    assert (found.image, found.classes, len(found.labels)) == ((1, 256, 1), 4, n)
    assert (len(found.test), len(found.validation)) == (n // 5, n // 10)
    assert len({*found.train, *found.validation, *found.test}) == n
    raw = made["x"][known].astype(np.float64)
    wanted = (raw - raw[found.train].mean()) / raw[found.train].std()
    assert np.abs(found.x - wanted).max() < 1e-4
    assert np.array_equal(found.labels, made["y"][known])
    assert load("mitbih", folder, classes=5).classes == 5


def test_beats_are_split_by_patient(beats):
    folder, made = beats
    found = load("mitbih", folder, split="inter_patient", classes=5)
    records = made["record"]
    assert sorted({*records[found.test]}) == list(DS2)
    assert sorted({*records[found.train], *records[found.validation]}) == list(DS1)
    assert len({*records[found.validation]}) == 4
    assert not {*records[found.train]} & {*records[found.validation]}
    few = load("mitbih", folder, split="inter_patient", train=50, validation=25, test=30)
    assert (len(few.train), len(few.validation), len(few.test)) == (50, 25, 30)


def test_records_can_be_chosen(beats):
    folder, made = beats
    found = load("mitbih", folder, records=[208, 100], classes=5)
    assert np.array_equal(found.labels, made["y"][np.isin(made["record"], (100, 208))])


@pytest.mark.parametrize("records", [(), (100, 100), (99,), (100, "208"), 100])
def test_records_that_there_are_not_are_refused(beats, records):
    with pytest.raises(ConfigError, match="records"):
        load("mitbih", beats[0], records=records)


@pytest.mark.parametrize("option", [{"split": "patient"}, {"classes": 3}, {"classes": "4"}])
def test_options_that_there_are_not_are_refused(beats, option):
    with pytest.raises(ConfigError, match="options of mitbih"):
        load("mitbih", beats[0], **option)


def test_a_split_by_patient_needs_records_of_both(beats):
    for records in ((100, 103), (101, 106, 108, 109, 112)):
        with pytest.raises(ConfigError, match="split of mitbih cannot be had"):
            load("mitbih", beats[0], split="inter_patient", records=records)


def test_records_of_neither_part_are_named_in_what_is_refused(beats):
    with pytest.raises(ConfigError, match=r"4 records of DS1 set aside .* of 0 with 0 samples") as refusal:
        load("mitbih", beats[0], split="inter_patient", records=(217,))
    assert refusal.value.repair == "take more records of DS1"


def test_beats_with_another_checksum_are_refused(beats):
    path = beats[0] / "mitbih" / "mitbih_beats.npz"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match="SHA-256") as refusal:
        load("mitbih", beats[0])
    assert refusal.value.expected == mitbih.NPZ["mitbih_beats.npz"]


def write_record(folder, name, leads=("V5", "MLII"), symbols=SYMBOLS, seed=0, fs=360):
    """A record with a beat of every kind, and one at each end of which a part is missing."""
    wfdb = pytest.importorskip("wfdb")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    signals = rng.integers(0, 2048, (8000, len(leads)))
    n = len(leads)
    form = {"fmt": ["212"] * n, "adc_gain": [200.0] * n, "baseline": [1024] * n, "units": ["mV"] * n}
    ticks = np.array([10, 99, 100, *range(500, 500 + 300 * len(symbols), 300), 7844, 7845])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what wfdb itself uses
        wfdb.wrsamp(name, fs=fs, sig_name=list(leads), d_signal=signals, write_dir=str(folder), **form)
        wfdb.wrann(name, "atr", ticks, symbol=["+", "N", "N", *symbols, "V", "N"], write_dir=str(folder))
    return signals


def test_a_record_is_cut_into_beats(tmp_path):
    signals = write_record(tmp_path, "207")
    cut = read_record(tmp_path / "207")
    assert cut.ticks.tolist() == [100, *range(500, 500 + 300 * len(SYMBOLS), 300), 7844]
    assert cut.labels.tolist() == [0, *CLASSES, 2]
    for window, tick in zip(cut.x, cut.ticks, strict=True):
        assert window.tolist() == signals[tick - 100 : tick + 156, 1].tolist()
    signals = write_record(tmp_path, "102", ("V5", "V2"))
    assert read_record(tmp_path / "102").x[0].tolist() == signals[:256, 0].tolist()


def crc_of(path):
    cut = read_record(path)
    return zlib.crc32(
        cut.ticks.astype("<i8").tobytes() + cut.labels.astype(np.uint8).tobytes() + cut.x.astype("<i2").tobytes()
    )


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Records 100 and 101, of which the second has more beats."""
    folder = tmp_path / "mitbih" / "records"
    for name, symbols in (("100", SYMBOLS), ("101", SYMBOLS + "V")):
        write_record(folder, name, symbols=symbols, seed=int(name))
        monkeypatch.setitem(mitbih.BEATS, int(name), crc_of(folder / name))
    return folder


def test_records_become_a_data_set(tmp_path, records):
    found = load("mitbih", tmp_path, records=(100, 101), classes=5)
    assert found.labels.tolist() == [0, *CLASSES, 2, 0, *CLASSES, 2, 2]
    with pytest.raises(DataError, match=r"neither mitbih_beats.npz nor 103\.hea"):
        load("mitbih", tmp_path, records=(100, 103))


@pytest.mark.parametrize(
    ("copied", "message"),
    [
        ([".hea"], r"101\.hea: that of record 100 in 100\.dat"),
        ([".atr"], r"(?s)101\.\*: \[6, 4, 3, 1, 3\] beats of N, S, V, F, Q .*those that were published, CRC-32"),
    ],
)
def test_files_of_another_record_are_refused(tmp_path, records, copied, message):
    for suffix in copied:
        shutil.copy(records / f"100{suffix}", records / f"101{suffix}")
    with pytest.raises(DataError, match=message):
        load("mitbih", tmp_path, records=(100, 101))


def test_another_record_under_a_changed_name_is_refused(tmp_path, records):
    for suffix in (".hea", ".dat", ".atr"):
        (records / f"101{suffix}").write_bytes((records / f"100{suffix}").read_bytes().replace(b"100", b"101"))
    with pytest.raises(DataError, match=r"101\.\*: .* CRC-32"):
        load("mitbih", tmp_path, records=(100, 101))


def test_signals_that_sum_up_alike_are_refused(tmp_path, records):
    """The sums in a header tell neither rows nor leads that were exchanged."""
    header, values = records / "101.hea", records / "101.dat"
    rows = values.read_bytes()
    values.write_bytes(rows[:1800] + rows[3000:3300] + rows[2100:3000] + rows[1800:2100] + rows[3300:])
    with pytest.raises(DataError, match=r"101\.\*: .* CRC-32"):
        load("mitbih", tmp_path, records=(100, 101))
    values.write_bytes(rows)
    load("mitbih", tmp_path, records=(100, 101))
    names = header.read_text().replace("MLII", "V0").replace("V5", "MLII")
    header.write_text(names)
    with pytest.raises(DataError, match=r"101\.\*: .* CRC-32"):
        load("mitbih", tmp_path, records=(100, 101))


def test_an_annotation_that_has_changed_is_refused(tmp_path, records):
    path = records / "101.atr"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"101\.\*"):
        load("mitbih", tmp_path, records=(100, 101))


def flipped(content):
    return content[:50] + bytes([content[50] ^ 1]) + content[51:]


@pytest.mark.parametrize(
    ("suffix", "change", "message"),
    [
        (".dat", flipped, "checksums"),
        (".dat", lambda content: content[:-300], r"207\.dat: wfdb"),
        (".hea", lambda content: content.replace(b"MLII", b"V2"), r"leads \['V2'\]"),
        (".hea", lambda content: b"?", r"207\.hea: wfdb"),
        (".hea", lambda content: b"207 0 360 8000\n", r"207\.hea: no file"),
        (".hea", lambda content: content.split(b"\n")[0], r"207\.hea: no file, checksum"),
        (".hea", lambda content: b" ".join(content.split(b" ")[:-4]) + b"\n", r"207\.hea: no file, checksum"),
        (".atr", lambda content: b"", r"207\.atr: 0 bytes, cut off"),
        (".atr", lambda content: content[:20], r"207\.atr: 20 bytes, cut off"),
        (".atr", lambda content: b"\xff" + content, r"207\.atr: wfdb"),
        (".atr", None, r"207\.atr: missing"),
        (".dat", None, r"207\.dat: missing"),
    ],
)
def test_damaged_records_are_refused(tmp_path, suffix, change, message):
    write_record(tmp_path, "207", ("MLII",))
    path = tmp_path / f"207{suffix}"
    content = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes(change(content))
    with pytest.raises(DataError, match=message):
        load("mitbih", tmp_path, records=(207,))


def test_records_of_another_rate_are_refused(tmp_path):
    write_record(tmp_path, "207", fs=250)
    with pytest.raises(DataError, match="250 Hz"):
        read_record(tmp_path / "207")


def test_records_need_the_library_that_reads_them(tmp_path, monkeypatch):
    (tmp_path / "100.hea").write_text("")
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(ConfigError, match=r"(?s)wfdb is not installed.*eventsim-mtj\[ecg\]"):
        load("mitbih", tmp_path, records=(100,))


def test_missing_files_are_refused_with_the_place_to_put_them(tmp_path):
    with pytest.raises(DataError, match=r"neither mitbih_beats.npz nor 100\.hea, 101\.hea") as refusal:
        load("mitbih", tmp_path)
    assert f"put them into {tmp_path / 'mitbih'}" in refusal.value.repair


@pytest.mark.data
@pytest.mark.parametrize(
    ("split", "sizes", "tested"),
    [("random", (70_988, 10_140, 20_281), None), ("inter_patient", None, [44_239, 1837, 3220, 388])],
)
def test_mitbih_is_mitbih(data_folder, split, sizes, tested):
    found = load("mitbih", data_folder, split=split)
    assert np.bincount(found.labels).tolist() == [90_591, 2781, 7235, 802]
    if sizes is not None:
        assert (len(found.train), len(found.validation), len(found.test)) == sizes
    if tested is not None:
        assert np.bincount(found.labels[found.test]).tolist() == tested
        both = np.concatenate([found.train, found.validation])
        assert np.bincount(found.labels[both]).tolist() == [45_846, 944, 3788, 414]
    assert found.x[found.train].mean() == pytest.approx(0, abs=1e-4)


@pytest.mark.data
@pytest.mark.parametrize("record", [100, 208, 232])
def test_real_records_hold_the_real_beats(data_folder, record):
    pytest.importorskip("wfdb")
    cut = read_record(data_folder / "mitbih" / "records" / str(record))
    with np.load(data_folder / "mitbih" / "mitbih_beats.npz") as z:
        mine = z["record"] == record
        assert np.array_equal(cut.x, z["x"][mine])
        assert np.array_equal(cut.labels, z["y"][mine])
        assert np.array_equal(cut.ticks, z["sample"][mine])
        assert (tuple(z["ds1"]), tuple(z["ds2"])) == (DS1, DS2)
        known = {(chr(symbol), label) for symbol, label in zip(z["symbol"], z["y"], strict=True)}
    assert known == set(wfdb_records.SYMBOLS.items())


@pytest.mark.data
def test_the_real_beats_have_the_known_checksums(data_folder):
    with np.load(data_folder / "mitbih" / "mitbih_beats.npz") as z:
        x, labels, ticks, records = (z[name] for name in ("x", "y", "sample", "record"))
    for record, known in mitbih.BEATS.items():
        mine = records == record
        parts = (ticks[mine].astype("<i8"), labels[mine], x[mine].astype("<i2"))
        assert zlib.crc32(b"".join(part.tobytes() for part in parts)) == known


@pytest.mark.data
def test_real_records_make_the_data_set_of_the_real_beats(data_folder, tmp_path):
    pytest.importorskip("wfdb")
    shutil.copytree(data_folder / "mitbih" / "records", tmp_path / "mitdb")
    records = (100, 208, 232)
    one, other = (load("mitbih", folder, records=records) for folder in (data_folder, tmp_path))
    assert one.fingerprint == other.fingerprint
