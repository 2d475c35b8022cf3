"""Beats cut from the records of the MIT-BIH Arrhythmia Database, which the library wfdb reads (extra ``ecg``)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eventsim.errors import ConfigError
from eventsim.training.files import content, damaged

BEFORE, LENGTH = 100, 256
"""Ticks of a beat before its R peak, and all of them."""
SYMBOLS = {symbol: label for label, symbols in enumerate(["NLRej", "AaJS", "VE", "F", "/fQ"]) for symbol in symbols}
"""Classes N, S, V, F, Q of AAMI (ANSI/AAMI EC57) of the symbols of PhysioNet; other symbols are no beats."""
LEADS = ("MLII", "V5")
"""The lead that is taken: the first of these that a record has. 102 and 104 have no MLII."""
WHOLE = "a whole record of .dat, .hea and .atr"


class Cut(NamedTuple):
    """Beats of a record."""

    x: NDArray[np.int16]
    """Shape (beats, 256), numbers of the converter."""
    labels: NDArray[np.uint8]
    ticks: NDArray[np.int64]
    """Of the R peaks."""


def read_record(path: Path) -> Cut:
    """Cut a record into beats.

    Beats of which a part lies before or behind the record are left out.

    Parameters
    ----------
    path : path
        Of its files .dat, .hea and .atr, without the suffix.

    Raises
    ------
    DataError
        A file is missing or damaged, or the signals are not those of which the header has the checksums.
    ConfigError
        wfdb is not installed.
    """
    record, annotation = _read(path)
    signals = np.asarray(record.d_signal)
    sums = [int(signal.sum()) % 2**16 for signal in signals.T]
    wanted = [checksum % 2**16 for checksum in record.checksum]
    if sums != wanted:
        raise damaged(path.with_suffix(".dat"), f"checksums {sums}", f"{wanted}, as its header says")
    lead = next((record.sig_name.index(lead) for lead in LEADS if lead in record.sig_name), None)
    if lead is None or record.fs != 360 or record.adc_gain[lead] != 200 or record.baseline[lead] != 1024:
        raise damaged(path.with_suffix(".hea"), f"leads {record.sig_name}, {record.fs} Hz", f"{LEADS} at 360 Hz")
    beats = [(tick, SYMBOLS[s]) for tick, s in zip(annotation.sample, annotation.symbol, strict=True) if s in SYMBOLS]
    whole = [(tick, label) for tick, label in beats if BEFORE <= tick <= len(signals) - (LENGTH - BEFORE)]
    ticks, labels = np.array(whole, np.int64).reshape(-1, 2).T
    x = signals[:, lead].astype(np.int16)[ticks[:, None] + np.arange(-BEFORE, LENGTH - BEFORE)]
    return Cut(x, labels.astype(np.uint8), ticks)


def _read(path: Path) -> tuple[Any, Any]:
    """Signals and annotations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what wfdb itself uses
        wfdb = _library(path)
        header, signals, annotations = (path.with_suffix(suffix) for suffix in (".hea", ".dat", ".atr"))
        for file in (header, signals, annotations):
            if not file.is_file():
                raise damaged(file, "missing", WHOLE)
        name = str(path.absolute())
        said = _whole(header, wfdb.rdheader, name)
        columns = (said.file_name, said.checksum, said.adc_gain, said.baseline)
        if any(not column or None in column for column in columns):
            raise damaged(header, "no file, checksum, gain or baseline of a signal, cut off", WHOLE)
        if said.record_name != path.name or {*said.file_name} != {signals.name}:
            raise damaged(header, f"that of record {said.record_name} in {said.file_name[0]}", f"that of {path.name}")
        record = _whole(signals, wfdb.rdrecord, name, physical=False)
        # Annotations end with a word of zeros; the library takes those of a file without it for all that there are.
        if not content(annotations).endswith(bytes(2)):
            raise damaged(annotations, f"{annotations.stat().st_size} bytes, cut off", WHOLE)
        return record, _whole(annotations, wfdb.rdann, name, "atr")


def _library(path: Path) -> Any:
    try:
        import wfdb
    except ImportError:
        raise ConfigError(
            "wfdb is not installed.",
            given=f"records such as {path}",
            expected="the extra ecg, which reads them, or mitbih_beats.npz",
            repair="pip install 'eventsim-mtj[ecg]'",
        ) from None
    return wfdb


def _whole(file: Path, read: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What the library reads, or the name of the file that it cannot read."""
    try:
        return read(*arguments, **options)
    except Exception as cause:  # whatever the library says of a damaged file
        raise damaged(file, f"wfdb: {cause!r}", WHOLE) from None
