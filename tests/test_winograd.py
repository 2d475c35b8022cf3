"""Gradients by inputs through patches: those of the loops, to rounding, and the same bits at any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventsim.parallel import ALONE, Workers, cores
from eventsim.training import sums
from eventsim.training.window import Window
from tests import layer_oracle
from tests.strategies import seeds


def case(seed, kind, height, width, padding, channels=64, targets=64):
    rng = np.random.default_rng(seed % 2**32)
    window = Window((3, 3), (1, 1), (padding, padding))
    shape = (2, 1, height, width, channels)
    weight = rng.normal(size=(3, 3, channels, targets)).astype(kind)
    grad = rng.normal(size=(2, 1, *window.reach(height, width), targets)).astype(kind)
    return window, shape, weight, grad


def by_input(window, shape, weight, grad, workers=ALONE):
    return sums.by_input_of(grad, weight.reshape(-1, weight.shape[-1]), window, shape, workers)


@settings(max_examples=30)
@given(seeds(), st.sampled_from([np.float32, np.float64]), st.integers(3, 11), st.integers(3, 11), st.integers(0, 2))
def test_patches_give_the_gradient_of_the_loops(seed, kind, height, width, padding):
    window, shape, weight, grad = case(seed, kind, height, width, padding)
    assert sums._suits_patches(window, weight.shape[3], weight.shape[2])
    found = by_input(window, shape, weight, grad)
    where = window.stride, window.padding, window.groups
    wanted, _ = layer_oracle.convolve_back(
        np.zeros(shape)[:, 0], weight.astype(float), grad[:, 0].astype(float), *where
    )
    assert found.dtype == kind
    assert found[:, 0] == pytest.approx(
        wanted, rel=0, abs=(1e-5 if kind == np.float32 else 1e-13) * np.abs(wanted).max()
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_patches_agree_with_plain_sums(kind, monkeypatch):
    arguments = case(0, kind, 13, 6, 1, channels=64, targets=64)
    patched = by_input(*arguments)
    monkeypatch.setattr(sums, "_suits_patches", lambda *_: False)
    plain = by_input(*arguments)
    assert not np.array_equal(patched, plain)
    assert patched == pytest.approx(
        plain, rel=0, abs=(1e-5 if kind == np.float32 else 1e-13) * float(np.abs(plain).max())
    )


@pytest.mark.skipif(cores() < 2, reason="one core")
def test_no_bit_depends_on_the_number_of_threads():
    arguments = case(1, np.float32, 12, 9, 1, channels=64, targets=128)
    with Workers(2) as two:
        assert np.array_equal(by_input(*arguments, two), by_input(*arguments))


@pytest.mark.parametrize(
    ("window", "channels", "targets"),
    [
        (Window((3, 3), (2, 2), (1, 1)), 64, 64),
        (Window((3, 3), (1, 1), (1, 1), 2), 64, 64),
        (Window((5, 5), (1, 1), (1, 1)), 64, 64),
        (Window((3, 3), (1, 1), (1, 1)), 16, 64),
        (Window((3, 3), (1, 1), (1, 1)), 64, 60),
    ],
)
def test_other_convolutions_go_the_plain_way(window, channels, targets):
    assert not sums._suits_patches(window, channels, targets)
