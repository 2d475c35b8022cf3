"""What the documents show runs as it is written, page by page, in an empty folder."""

import re
from pathlib import Path

import numpy as np
import pytest

from eventsim.parallel import cores
from tests.test_measurement import TRUTH, measure, write

ROOT = Path(__file__).parent.parent
SLOW = ["docs/distillation.md", "docs/networks.md", "docs/teachers.md", "docs/training.md"]
QUICK = ["README.md", "docs/devices.md", "docs/encoders.md", "docs/events.md"]
NEEDS = {"import tonic": "docs/events.md"}
"""What snippets need that may not be here, and the page where one does."""


@pytest.mark.skipif(cores() < 2, reason="pages show runs on two threads")
@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_pages_run_as_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "device.csv", measure(TRUTH, np.random.default_rng(0)))
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
    left = [snippet for snippet in snippets if any(need in snippet for need in NEEDS)]
    assert len(left) == list(NEEDS.values()).count(name)
    space = {}
    for snippet in snippets:
        if snippet not in left:
            exec(compile(snippet, name, "exec"), space)
    assert space.keys() > {"__builtins__"}


def test_every_page_with_snippets_is_tried():
    """All but that on data, whose files are the reader's."""
    pages = {str(page.relative_to(ROOT)) for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
    shown = {page for page in pages if "```python" in (ROOT / page).read_text(encoding="utf-8")}
    assert shown == {*QUICK, *SLOW, "docs/data.md"}
