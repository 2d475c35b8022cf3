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
    100: 0xDBE4CCC1,
    101: 0x75F2662D,
    102: 0x95F1E398,
    103: 0x950AC825,
    104: 0x9BA901B7,
    105: 0xBB1711C9,
    106: 0x38F5D837,
    107: 0x95AB0861,
    108: 0x220FC349,
    109: 0xBD35A7AE,
    111: 0xFCD34BA2,
    112: 0xF45D74D7,
    113: 0xC41B2837,
    114: 0xE78EB693,
    115: 0x5F1C9BCF,
    116: 0xE98CF222,
    117: 0xD24A89CC,
    118: 0x12F8F080,
    119: 0x2CE5821C,
    121: 0x20200A66,
    122: 0xFDF90855,
    123: 0x83CF0E38,
    124: 0x3A2A3B2F,
    200: 0x4BF628C8,
    201: 0x6179CCDA,
    202: 0x79926617,
    203: 0xF3540A6C,
    205: 0x92598FAF,
    207: 0x52C4692E,
    208: 0xD7F7E704,
    209: 0x46F271A8,
    210: 0xE1A4696D,
    212: 0x832F13A0,
    213: 0xD5206985,
    214: 0xCF79FA7A,
    215: 0xABD8D492,
    217: 0xA76EF897,
    219: 0x032F76B1,
    220: 0x4A7867DE,
    221: 0xE4DD1438,
    222: 0x2077AD6B,
    223: 0x74EF9131,
    228: 0x1D072DB1,
    230: 0x7B93D866,
    231: 0xE747A11B,
    232: 0x46070411,
    233: 0x1BA5F29A,
    234: 0x981FF765,
}
"""Records, and the CRC-32 of the ticks of their beats and of the classes of these."""
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
    found = crc32(cut.ticks.astype("<i8").tobytes() + cut.labels.tobytes())
    if found != BEATS[record]:
        counts = np.bincount(cut.labels, minlength=5).tolist()
        given = f"{counts} beats of N, S, V, F, Q with the CRC-32 {found:08x} of their ticks and classes"
        raise damaged(path.with_suffix(".atr"), given, f"those that were published, CRC-32 {BEATS[record]:08x}")
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
