"""The house: who imports whom, and what stands at the top."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import eventsim
import eventsim.training

ROOT = Path(__file__).parent.parent


def modules(folder):
    return sorted(path for path in (ROOT / folder).glob("*.py"))


def imported(path):
    """Absolute names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield node.module
            if node.module == "eventsim":
                yield from (f"eventsim.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules("kernels"), ids=lambda path: path.name)
def test_kernels_stand_on_numpy_and_numba_alone(path):
    for name in imported(path):
        top = name.split(".")[0]
        allowed = {"numpy", "numba", "llvmlite", "math", "sys", "typing", "__future__"}
        if path.name == "_jit.py":  # the cache folder of compiled code
            allowed |= {"hashlib", "os", "shutil", "collections", "contextlib", "pathlib"}
        assert top in allowed or name.startswith("eventsim.kernels"), name


@pytest.mark.parametrize(
    "path", [p for p in modules("eventsim") if not p.name.startswith(("cli", "__main__"))], ids=lambda p: p.name
)
def test_the_core_does_not_know_of_training(path):
    assert not any(name.startswith(("eventsim.training", "eventsim.cli")) for name in imported(path))


@pytest.mark.parametrize("path", modules("training"), ids=lambda path: path.name)
def test_training_does_not_know_of_the_command_line(path):
    assert not any(name.startswith(("eventsim.cli", "eventsim.terminal")) for name in imported(path))


def test_no_source_uses_pickle_or_unkeyed_randomness():
    for folder in ("kernels", "eventsim", "training"):
        for path in modules(folder):
            assert not {"pickle", "random", "numpy.random"} & set(imported(path))
            assert "np.random" not in path.read_text(encoding="utf-8"), path


def test_nothing_stands_in_the_repository_that_does_not_belong_there():
    """Neither data nor what a program left behind: the top level is fixed, and files are small."""
    run = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if run.returncode:
        return  # an unpacked archive
    files = [Path(name) for name in run.stdout.splitlines()]
    folders = {"eventsim", "kernels", "training", "tests", "examples", "benchmarks", "docs", ".ci"}
    assert {file.parts[0] for file in files if len(file.parts) > 1} <= folders
    assert [str(file) for file in files if (ROOT / file).is_file() and (ROOT / file).stat().st_size > 500_000] == []


def test_rooms_are_small():
    for folder in ("kernels", "eventsim", "training", "tests", "benchmarks"):
        for path in modules(folder):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


@pytest.mark.parametrize("module", [eventsim, eventsim.training], ids=lambda module: module.__name__)
def test_public_names_exist_and_are_documented(module):
    assert sorted(module.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)) == module.__all__
    for name in module.__all__:
        assert getattr(module, name).__doc__, name


def test_the_program_starts_as_a_module():
    run = subprocess.run([sys.executable, "-m", "eventsim", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"eventsim {eventsim.__version__}\n"


def test_the_program_warns_in_plain_lines():
    program = (
        "import warnings; from eventsim import cli; from eventsim.training import FiringWarning\n"
        "def program(**names):\n"
        "    warnings.warn('layer 1 is dead', FiringWarning)\n"
        "    warnings.warn('of others', UserWarning)\n"
        "cli.program = program; cli.main()"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    plain, other = run.stderr.splitlines()
    assert plain == "eventsim: layer 1 is dead"
    assert other.endswith("UserWarning: of others")


def test_extras_are_imported_when_they_are_needed():
    extras = ("onnxruntime", "pooch", "wfdb", "pandas", "sklearn", "tonic", "torch")
    program = f"import sys, eventsim.training, eventsim.training.download; print({{*{extras}}} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_constraints_are_plain_versions():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line), line


def test_links_of_the_documents_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target, place in re.findall(r"\]\((?!https?://)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            there = page.parent / target if target else page
            assert there.exists(), f"{page.name}: {target}"
            assert not place or place in anchors(there), f"{page.name}: {target}#{place}"


def anchors(page):
    """What links within a page can lead to: its headings, in small letters, without signs, with - for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
