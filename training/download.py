"""Downloads of published data sets with their checksums, by the library pooch (extra ``download``)."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import Any

from eventsim import store
from eventsim.columns import writing
from eventsim.errors import ConfigError, DataError, OutputError
from eventsim.progress import Progress, silent
from eventsim.training.publishers import DOWNLOADS, Download

"""Called as ``progress(file, done, total)``, in bytes."""


def download(name: str, into: Path, address: str | None = None, progress: Progress = silent) -> Path:
    """Download a data set into a data folder, in its publisher's layout.

    A file takes its name when it is whole and its checksum is right, the files of an archive all at once; what is
    there already is not touched.

    Parameters
    ----------
    name : str
        One of those of ``publishers.DOWNLOADS``.
    into : path
        Data folder, made if it is not there.
    address : str, optional
        Folder of a mirror, ``https://...``, instead of the publisher's.
    progress : callable, optional

    Returns
    -------
    path
        The folder of the files.

    Raises
    ------
    DataError
        The data set cannot be downloaded, or what was sent is something else.
    ConfigError
        No address, or pooch is not installed.
    OutputError
        The folder cannot be written to, or holds other files of these names.
    """
    if name not in DOWNLOADS:
        raise DataError(
            "This data set cannot be downloaded.",
            given=name,
            expected=f"one of {', '.join(DOWNLOADS)}",
            repair="docs/data.md says where the others are published, and `eventsim data` where their files belong",
        )
    wanted = DOWNLOADS[name]
    address = wanted.address if address is None else address.rstrip("/") + "/"
    if not address.startswith(("https://", "http://")):
        raise ConfigError("This is no address.", given=address, expected="https://...", repair="--from https://...")
    _pooch()
    place = into / wanted.place
    with writing(into, "nothing was touched"):
        into.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=into).close()
    if wanted.members:
        _archive(wanted, address, into, place, progress)
    else:
        with writing(place, "nothing was touched"):
            place.mkdir(exist_ok=True)
        for file, checksum in wanted.files.items():
            _fetch(address + file, place / file, checksum, progress, f"put it into {place}")
    return place


def _archive(wanted: Download, address: str, into: Path, place: Path, progress: Progress) -> None:
    """Download an archive and keep what is wanted of it, unless files of these names are there, whatever they hold."""
    if all((place / member).is_file() for member in wanted.members):
        return
    store.check_new(place, OutputError)
    [(file, checksum)] = wanted.files.items()
    with tempfile.TemporaryDirectory(prefix=".download-", dir=into) as folder:
        archive = Path(folder) / file
        _fetch(address + file, archive, checksum, progress, f"unpack it in {into}")
        with store.new_folder(place, OutputError) as part:
            try:
                _unpack(archive, wanted, part)
            except (tarfile.TarError, KeyError, EOFError, OSError, zlib.error) as cause:
                raise DataError(
                    "The archive cannot be unpacked.",
                    given=f"{address}{file}: {cause}",
                    expected=f"{wanted.place} with {', '.join(wanted.members)}, and room for them",
                    repair="make room, or try again",
                ) from None


def _unpack(archive: Path, wanted: Download, part: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in wanted.members:
            source = tar.extractfile(f"{wanted.place}/{member}")
            if source is None:
                raise KeyError(f"{member} is no file")
            with (part / member).open("wb") as target:
                shutil.copyfileobj(source, target)


class _Bar:
    """Progress as pooch tells it."""

    def __init__(self, file: str, progress: Progress) -> None:
        self.file, self.progress, self.total, self.done = file, progress, 0, 0

    def update(self, n: int) -> None:
        """So many bytes more."""
        self.done += n
        self.progress(self.file, min(self.done, self.total), self.total)

    def reset(self) -> None:
        """Begin again."""
        self.done = 0

    def close(self) -> None:
        """All is there."""


def _fetch(url: str, path: Path, checksum: str, progress: Progress, by_hand: str) -> None:
    """Download a file, if it is not there; ``by_hand`` says where it belongs."""
    pooch = _pooch()
    algorithm, _, wanted = checksum.partition(":")
    if path.exists():
        if pooch.file_hash(str(path), alg=algorithm) == wanted:
            return
        raise OutputError(
            "A file of that name is another.",
            given=f"{path}, {algorithm} {pooch.file_hash(str(path), alg=algorithm)}",
            expected=checksum,
            repair="move it away, or name another folder",
        )
    downloader = pooch.HTTPDownloader(progressbar=_Bar(path.name, progress))
    try:
        pooch.retrieve(url, checksum, path.name, path.parent, downloader=downloader)
    except OSError as cause:  # those of requests among them
        raise DataError(
            "The file cannot be downloaded.",
            given=f"{url}: {cause}",
            expected="an answer with the whole file, and room for it",
            repair=f"try again, name a mirror with --from URL, or {by_hand} yourself",
        ) from None
    except ValueError as cause:  # the checksum
        raise DataError(
            "The file that was sent is another.",
            given=f"{url}: {cause}",
            expected=checksum,
            repair="try again, or name a mirror with --from URL",
        ) from None


def _pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise ConfigError(
            "pooch is not installed.",
            given="a download",
            expected="the extra download",
            repair="pip install 'eventsim-mtj[download]', or put the files there yourself: `eventsim data` says where",
        ) from None
    pooch.get_logger().setLevel("WARNING")
    return pooch
