"""Downloads from a server on this machine: what arrives, what is refused, what is left behind; the command."""

import gc
import hashlib
import http.server
import io
import sys
import tarfile
import threading

import pytest
from click.testing import CliRunner

from eventsim.cli import main, program
from eventsim.errors import ConfigError, DataError, OutputError
from eventsim.training import images, load
from eventsim.training.data import LOADERS
from eventsim.training.download import download
from eventsim.training.publishers import DOWNLOADS
from tests.data_cases import write_idx

pytest.importorskip("pooch")
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pooch leaves answers to the collector


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; broken, it says more than it sends."""

    def log_message(self, *_):
        """Nothing."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.broken:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"half of it")
            self.close_connection = True
        else:
            super().do_GET()


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Quiet(*a, directory=str(folder)))
    made.folder, made.asked, made.broken = folder / "published", [], False
    made.address = f"http://127.0.0.1:{made.server_port}/published"
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()
    gc.collect()


def checksum(content, kind="sha256"):
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


@pytest.fixture
def mnist(server, monkeypatch):
    """A small MNIST on the server, and its checksums in the program."""
    _, _, contents = write_idx(server.folder, packed=True)
    monkeypatch.setattr(images, "MNIST_FILES", contents)
    files = {path.name: checksum(path.read_bytes()) for path in sorted(server.folder.iterdir())}
    monkeypatch.setitem(DOWNLOADS, "mnist", DOWNLOADS["mnist"]._replace(files=files))
    return files


MEMBERS = DOWNLOADS["cifar10"].members


def archived(server, monkeypatch, members=MEMBERS, change=lambda content: content):
    """A small archive of CIFAR-10 on the server, and its checksum in the program."""
    server.folder.mkdir()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name in (*members, "../outside", "readme.html"):
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    content = change(content.getvalue())
    (server.folder / "cifar-10-binary.tar.gz").write_bytes(content)
    files = {"cifar-10-binary.tar.gz": checksum(content, "md5")}
    monkeypatch.setitem(DOWNLOADS, "cifar10", DOWNLOADS["cifar10"]._replace(files=files))


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_downloaded_can_be_loaded(tmp_path, server, mnist):
    into, seen = tmp_path / "deep" / "data", []
    place = download("mnist", into, server.address, lambda *told: seen.append(told))
    assert place == into / "mnist"
    assert everything(into) == [f"mnist/{name}" for name in mnist]
    assert {(file, total) for file, _, total in seen} == {(p.name, p.stat().st_size) for p in place.iterdir()}
    assert all(done <= total for _, done, total in seen)
    assert load("mnist", into).name == "mnist"


def test_what_is_there_is_not_downloaded_again(tmp_path, server, mnist):
    download("mnist", tmp_path / "data", server.address)
    (tmp_path / "data" / "mnist" / list(mnist)[1]).unlink()
    server.asked.clear()
    download("mnist", tmp_path / "data", server.address + "/")
    assert server.asked == [f"/published/{list(mnist)[1]}"]


def test_another_file_of_that_name_is_left_alone(tmp_path, server, mnist):
    path = tmp_path / "data" / "mnist" / next(iter(mnist))
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(OutputError, match="is another") as refusal:
        download("mnist", tmp_path / "data", server.address)
    assert refusal.value.expected == next(iter(mnist.values()))
    assert everything(tmp_path / "data") == [f"mnist/{path.name}"]
    assert path.read_text() == "mine"


def test_a_corrupted_file_is_refused_with_its_checksum_and_not_kept(tmp_path, server, mnist):
    path = server.folder / list(mnist)[2]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match=f"(?s)that was sent is another.*{path.name}.*{found}") as refusal:
        download("mnist", tmp_path / "data", server.address)
    assert refusal.value.expected == mnist[path.name]
    assert everything(tmp_path / "data") == [f"mnist/{name}" for name in list(mnist)[:2]]


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_half_a_file_is_refused_and_not_kept(tmp_path, server, name):
    server.broken = True
    with pytest.raises(DataError, match=r"cannot be downloaded|sent is another"):
        download(name, tmp_path / "data", server.address)
    assert everything(tmp_path / "data") == []


def test_an_archive_is_unpacked_as_a_whole(tmp_path, server, monkeypatch):
    archived(server, monkeypatch)
    place = download("cifar10", tmp_path / "data", server.address)
    assert everything(tmp_path / "data") == sorted(f"cifar-10-batches-bin/{name}" for name in MEMBERS)
    assert (place / MEMBERS[2]).read_text() == MEMBERS[2]
    server.asked.clear()
    assert download("cifar10", tmp_path / "data", server.address) == place
    assert server.asked == []


@pytest.mark.parametrize(
    "broken",
    [{"members": MEMBERS[:-1]}, {"change": lambda content: content[:100]}, {"change": lambda content: b"no archive"}],
    ids=["a member is missing", "truncated", "none"],
)
def test_an_archive_that_cannot_be_unpacked_leaves_nothing(tmp_path, server, monkeypatch, broken):
    archived(server, monkeypatch, **broken)
    with pytest.raises(DataError, match="cannot be unpacked"):
        download("cifar10", tmp_path / "data", server.address)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_folder_with_some_of_the_files_is_left_alone(tmp_path, server, monkeypatch):
    archived(server, monkeypatch)
    place = tmp_path / "data" / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    (place / MEMBERS[0]).write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        download("cifar10", tmp_path / "data", server.address)
    assert everything(tmp_path / "data") == [f"cifar-10-batches-bin/{MEMBERS[0]}"]


def test_an_interrupt_leaves_nothing(tmp_path, server, mnist):
    def stop(file, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download("mnist", tmp_path / "data", server.address, stop)
    assert everything(tmp_path / "data") == []


def test_files_that_are_not_on_the_server_are_refused(tmp_path, server):
    with pytest.raises(DataError, match=r"(?s)cannot be downloaded.*404") as refusal:
        download("fashion_mnist", tmp_path / "data", server.address)
    assert "--from URL" in refusal.value.repair
    assert f"put it into {tmp_path / 'data' / 'fashion-mnist'} yourself" in refusal.value.repair


def test_an_archive_that_is_not_on_the_server_is_to_be_unpacked(tmp_path, server):
    with pytest.raises(DataError, match=r"cannot be downloaded") as refusal:
        download("cifar100", tmp_path / "data", server.address)
    assert f"unpack it in {tmp_path / 'data'} yourself" in refusal.value.repair


def test_without_a_network_there_is_nothing(tmp_path, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="cannot be downloaded"):
        download("mnist", tmp_path / "data", server.address)
    assert everything(tmp_path / "data") == []


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, server, mnist):
    (tmp_path / "file").write_text("")
    for into in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(OutputError, match="cannot be written to"):
            download("mnist", into, server.address)
    assert server.asked == []


@pytest.mark.parametrize("name", ["digits", "mitbih", "mnits"])
def test_what_cannot_be_downloaded_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="cannot be downloaded"):
        download(name, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("address", ["", "here", "file:///etc", "ftp://127.0.0.1/"])
def test_an_address_that_is_none_is_refused(tmp_path, address):
    with pytest.raises(ConfigError, match="no address"):
        download("mnist", tmp_path / "data", address)


def test_downloads_need_pooch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ConfigError, match=r"(?s)pooch is not installed.*eventsim-mtj\[download\]"):
        download("mnist", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_the_files_that_can_be_downloaded_are_those_that_are_loaded():
    assert DOWNLOADS.keys() <= LOADERS.keys()
    for name in ("mnist", "fashion_mnist"):
        assert [file.removesuffix(".gz") for file in DOWNLOADS[name].files] == list(images.NAMES)
    for wanted in DOWNLOADS.values():
        assert wanted.address.endswith("/")
        assert not wanted.members or len(wanted.files) == 1
        for known in wanted.files.values():
            kind, _, digest = known.partition(":")
            assert len(digest) == 2 * hashlib.new(kind).digest_size


def test_the_command_lists_every_data_set_with_its_options():
    listed = CliRunner().invoke(program, ["data"]).output
    for name in LOADERS:
        assert f"\n{name}\n" in f"\n{listed}"
    assert listed.count("Options: ") == len(LOADERS)
    assert listed.count("Download: eventsim data") == len(DOWNLOADS)
    assert "split=random|inter_patient, classes=4|5, records, train, validation, test" in " ".join(listed.split())
    for name in ("mnist", "fashion_mnist"):
        one = " ".join(CliRunner().invoke(program, ["data", name]).output.split())
        assert "noise=rotation|random|background|rotation_background or none, noise_in=all|test, train" in one
    one = CliRunner().invoke(program, ["data", "cifar100"]).output
    assert "labels=fine|coarse" in one
    assert "mitbih" not in one


def test_the_command_downloads(tmp_path, server, mnist):
    found = CliRunner().invoke(program, ["data", "mnist", "--into", str(tmp_path / "a"), "--from", server.address])
    assert found.exit_code == 0
    assert f"--data {tmp_path / 'a'}" in found.output.replace("\n", "")
    assert load("mnist", tmp_path / "a").classes > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnits"], "mnist?"),
        (["mnits", "--into", "x"], "mnist?"),
        (["--into", "x"], "needs a name and a folder"),
        (["mnist", "--from", "http://127.0.0.1"], "needs a name and a folder"),
        (["uci_har", "--into", "x"], "cannot be downloaded"),
    ],
)
def test_the_command_refuses(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["eventsim", "data", *arguments])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_files_have_the_known_checksums(tmp_path, data_folder, server, name):
    server.folder.symlink_to(data_folder / DOWNLOADS[name].place)
    download(name, tmp_path / "data", server.address)
    assert load(name, tmp_path / "data").x.shape == (70_000, 784)
