"""Hypothesis profiles: ``dev`` by default, ``ci`` and ``thorough`` through HYPOTHESIS_PROFILE."""

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("dev", deadline=None, max_examples=50, print_blob=True)
settings.register_profile("ci", deadline=None, max_examples=100, print_blob=True, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

gc.set_threshold(100_000, 20, 20)  # compilation makes objects by the million and leaves little garbage


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in whatever a shell has put into the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def data_folder() -> Path:
    """Folder of real data sets, from EVENTSIM_DATA."""
    folder = os.environ.get("EVENTSIM_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set EVENTSIM_DATA to a folder with the real data sets")
    return Path(folder)
