"""Heart beats of the MIT-BIH Arrhythmia Database, as classes of AAMI."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import ConfigError
from eventsim.training.dataset import Dataset
from eventsim.training.files import Place, damaged, read_npz
from eventsim.training.splits import Sizes, Split, grouped, shuffled
from eventsim.training.splits import split as carved
from eventsim.training.standard import standardised
from eventsim.training.wfdb_records import LENGTH, Cut, read_record

NPZ = {"mitbih_beats.npz": "d00fc6a5e7f6f0243dc426199aed63ffe7355f1278a6204f1c905240f25bb695"}
"""All beats, and the SHA-256 of the file."""
DS1 = (101, 106, 108, 109, 112, 114, 115, 116, 118, 119, 122, 124, 201, 203, 205, 207, 208, 209, 215, 220, 223, 230)
DS2 = (100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210, 212, 213, 214, 219, 221, 222, 228, 231, 232, 233, 234)
"""Records for training and for test by de Chazal, O'Dwyer and Reilly, IEEE Trans. Biomed. Eng. 51 (2004) 1196."""
BEATS = {
    100: 0x0C021585,
    101: 0xCDFC53D5,
    102: 0xCE20D06E,
    103: 0xC60C02CE,
    104: 0x1CF8D4A4,
    105: 0xBCD32108,
    106: 0xA207DA1C,
    107: 0x20CA6656,
    108: 0x01863984,
    109: 0x878984B3,
    111: 0xD8026B3B,
    112: 0x9C3DFED3,
    113: 0xF36AA23C,
    114: 0xB2FB9B1E,
    115: 0x7F2D0E1F,
    116: 0xB3CFA7F2,
    117: 0x63B307B9,
    118: 0x26367F0E,
    119: 0x897771AB,
    121: 0x932381A3,
    122: 0x9200EF02,
    123: 0xA53115FF,
    124: 0x6FFBE685,
    200: 0x279EB6F8,
    201: 0x5180A053,
    202: 0x2FBD9A75,
    203: 0xDC90CC7E,
    205: 0x74EB4D20,
    207: 0x0AF571CB,
    208: 0x1379259E,
    209: 0xFFF7C2D2,
    210: 0x362208F8,
    212: 0xF645631B,
    213: 0x0380BFCC,
    214: 0x8004CC85,
    215: 0x4B38E13B,
    217: 0x45BFBEA5,
    219: 0x641F4F57,
    220: 0x0123ADD0,
    221: 0xB34D065C,
    222: 0x7259C961,
    223: 0x0A67C59C,
    228: 0xBB4E2176,
    230: 0x68DA2368,
    231: 0x6DDCCA3B,
    232: 0xC822DAB2,
    233: 0x22A5AEDC,
    234: 0xBBC19E52,
}
"""Records, and the CRC-32 of the ticks of their beats, of the classes of these and of their values."""
RECORDS = tuple(BEATS)
HELD = 4
"""Records of DS1 for validation."""
PLACE = Place(
    "mitbih",
    "the MIT-BIH Arrhythmia Database",
    ("mitbih", "mitbih/records", "mit-bih-arrhythmia-database-1.0.0", "mitdb"),
    "mitbih_beats.npz; or the records as PhysioNet publishes them: 100.dat, 100.hea, 100.atr and so on",
)


class Beats(NamedTuple):
    """Beats of all records."""

    x: NDArray[np.int16]
    """Numbers of the converter, shape (beats, 256); millivolt = (x - 1024) / 200."""
    labels: NDArray[np.int64]
    """N, S, V, F, Q."""
    records: NDArray[np.int64]

    def only(self, which: NDArray[np.bool_]) -> Beats:
        """Some of them."""
        return Beats(self.x[which], self.labels[which], self.records[which])


def mitbih(
    folder: Path | None,
    *,
    split: Literal["random", "inter_patient"] = "random",
    classes: Literal[4, 5] = 4,
    records: tuple[int, ...] | None = None,
    train: int | None = None,
    validation: int | None = None,
    test: int | None = None,
) -> Dataset:
    """Heart beats, MIT-BIH Arrhythmia Database: 101,409 of 256 ticks at 360 Hz, one lead, as N, S, V, F.

    mitbih_beats.npz in mitbih/; or PhysioNet's records, 100.dat, 100.hea, 100.atr and so on, in mitbih/records/ or
    mit-bih-arrhythmia-database-1.0.0/, which the library wfdb reads (extra ecg). split="random" takes a fifth of all
    beats for test, of patients that are trained with, and windows of neighbouring beats may overlap;
    split="inter_patient" trains with the records of DS1 and tests with those of DS2. With classes=5 the unclassifiable
    and paced beats, Q, are a class too, which makes 109,448. Other records than those of records=[...] are left out.
    """
    chosen = _chosen(records)
    beats = _beats(folder, chosen)
    beats = beats.only(beats.labels < classes)
    parts = (_random if split == "random" else _inter_patient)(beats, Sizes(train, validation, test))
    millivolt = (beats.x - np.float32(1024)) / np.float32(200)
    x = standardised("mitbih", millivolt[:, :, None], parts.train)
    return Dataset("mitbih", x, beats.labels, *parts, image=(1, LENGTH, 1))


def _chosen(records: tuple[int, ...] | None) -> tuple[int, ...]:
    chosen = RECORDS if records is None else tuple(records)
    if not chosen or len({*chosen}) != len(chosen) or not {*chosen} <= {*RECORDS}:
        raise ConfigError(
            "There are no such records.",
            given=f"records={list(chosen)}",
            expected=f"each once, of {', '.join(map(str, RECORDS))}",
            repair="leave records out",
        )
    return tuple(sorted(chosen))


def _beats(folder: Path | None, records: tuple[int, ...]) -> Beats:
    """The beats of some records."""
    path = PLACE.find(folder, *NPZ)
    if path is not None:
        z = read_npz(path, PLACE.title, NPZ[path.name])
        beats = Beats(z["x"], z["y"].astype(np.int64), z["record"].astype(np.int64))
        return beats.only(np.isin(beats.records, records))
    paths = {record: PLACE.find(folder, f"{record}.hea") for record in records}
    absent = [str(record) for record, path in paths.items() if path is None]
    if absent:
        raise PLACE.missing(folder, f"neither mitbih_beats.npz nor {', '.join(f'{name}.hea' for name in absent)}")
    cuts = [_published(record, path) for record, path in paths.items() if path is not None]
    x, labels = np.concatenate([cut.x for cut in cuts]), np.concatenate([cut.labels for cut in cuts])
    return Beats(x, labels.astype(np.int64), np.repeat(records, [len(cut.x) for cut in cuts]))


def _published(record: int, path: Path) -> Cut:
    """Beats of a record, if they are those that were published."""
    cut = read_record(path.with_suffix(""))
    found = crc32(cut.ticks.astype("<i8").tobytes() + cut.labels.tobytes() + cut.x.astype("<i2").tobytes())
    if found != BEATS[record]:
        counts = np.bincount(cut.labels, minlength=5).tolist()
        given = f"{counts} beats of N, S, V, F, Q with the CRC-32 {found:08x} of their ticks, classes and values"
        raise damaged(path.with_suffix(".*"), given, f"those that were published, CRC-32 {BEATS[record]:08x}")
    return cut


def _random(beats: Beats, sizes: Sizes) -> Split:
    """A fifth of the beats for test, a tenth for validation."""
    order = shuffled("mitbih", np.arange(len(beats.labels)))
    tested, left = np.split(order, [len(order) // 5])
    return carved("mitbih", left, np.sort(tested), len(order) // 10, sizes)


def _inter_patient(beats: Beats, sizes: Sizes) -> Split:
    """DS1 for training, of which some records are set aside for validation, DS2 for test."""
    order = shuffled("mitbih", np.flatnonzero(np.isin(beats.records, DS1)))
    order, held = grouped("mitbih", order, beats.records[order], HELD, sizes.validation, "records of DS1")
    return carved("mitbih", order, np.flatnonzero(np.isin(beats.records, DS2)), held, sizes)
