"""Layers with weights: sums and gradients against loops, and the same bits whichever way they are computed."""

from typing import NamedTuple

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsim.kernels import additions, linear
from eventsim.kernels._vector import Tile, product_tile
from eventsim.parallel import ALONE, Workers, cores
from eventsim.training.signal import Signal
from eventsim.training.sums import by_input_of, by_weight_of, sums_of
from eventsim.training.window import Window, filling, forward_plan
from tests import layer_oracle

KINDS = (np.float32, np.float64)
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


class Case(NamedTuple):
    """A layer, images of spikes for it, and a gradient by its sums."""

    window: Window
    spikes: np.ndarray
    """Whole numbers up to ``most``."""
    most: int
    weight: np.ndarray
    grad: np.ndarray

    @property
    def matrix(self):
        return self.weight.reshape(-1, self.weight.shape[-1])

    @property
    def where(self):
        return self.window.stride, self.window.padding, self.window.groups

    def of(self, kind):
        return self._replace(weight=self.weight.astype(kind), grad=self.grad.astype(kind))


@st.composite
def cases(draw, whole=False):
    """Windows of every kind, from dense layers to strided, padded and grouped convolutions, channels odd and even."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    form = draw(st.sampled_from(["dense", "flat", "image"]))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    depth, own = draw(st.sampled_from([1, 2, 3, 5, 8, 16, 67])), draw(st.sampled_from([1, 2, 7, 16, 33]))
    if form == "dense":
        groups, depth, own = 1, draw(st.integers(1, 300)), draw(st.integers(1, 70))
    size = tuple(1 if form == "dense" or (form == "flat" and k == 0) else draw(st.integers(1, 4)) for k in (0, 1))
    stride = tuple(1 if n == 1 else draw(st.integers(1, 3)) for n in size)
    padding = tuple(draw(st.integers(0, n - 1)) for n in size)
    images = draw(st.sampled_from([1, 2, 70] if form == "dense" else [1, 2, 9]))
    room = tuple(1 if n == 1 and form != "image" else draw(st.integers(n, n + 4)) for n in size)
    most = draw(st.sampled_from([1, 1, 4]))
    spikes = rng.random((images, *room, groups * depth)) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    spikes = spikes * rng.integers(1, most + 1, spikes.shape)
    window = Window(size, stride, padding, groups)
    weight = rng.normal(size=(*size, depth, groups * own))
    if whole:
        weight = rng.integers(-(2**10), 2**10, weight.shape)
    grad = rng.normal(size=(images, *window.reach(*room), groups * own))
    return Case(window, spikes.astype(np.uint8), most, weight, grad)


def close(found, wanted, kind):
    """To rounding of sums of some hundred numbers."""
    size = np.abs(wanted).max(initial=1)
    assert found == pytest.approx(wanted, rel=0, abs=(1e-4 if kind == np.float32 else 1e-12) * size)


def multiplied(images, case, workers=ALONE):
    """Sums by multiplication of all inputs."""
    columns = linear.panel_columns(case.weight.dtype, case.weight.shape[-1] // case.window.groups)
    return _sums(images, case, columns, linear.products, workers)


def added(images, case, workers=ALONE):
    """Sums by addition for what is not 0."""

    def way(*where):
        additions.additions(*where[:-1], case.most > 1, where[-1])

    return _sums(images, case, additions.stripe_columns(case.weight.dtype), way, workers)


def _sums(images, case, columns, way, workers):
    plan = forward_plan(case.window, *images.shape[1:])
    weight, groups = case.matrix, case.window.groups
    panels = np.empty((groups * -(-(weight.shape[1] // groups) // columns), len(weight), columns), weight.dtype)
    linear.pack(weight, groups, 0, len(weight), panels)
    out = np.full((case.grad.size // weight.shape[1], weight.shape[1]), np.nan, weight.dtype)
    workers(lambda a, z: way(images, a, z, plan, panels, out), linear.blocks(len(images), plan))
    return out.reshape(case.grad.shape)


@kinds
@given(cases())
def test_sums_are_those_of_the_loops_and_spikes_add_up_to_the_same_bits(kind, case):
    case = case.of(kind)
    found = added(case.spikes, case)
    assert np.array_equal(found, multiplied(case.spikes, case))
    close(found, layer_oracle.convolve(case.spikes, case.weight, *case.where), kind)
    assert np.array_equal(found, multiplied(case.spikes.astype(kind), case))


@kinds
@given(cases())
def test_sums_of_real_inputs_are_those_of_the_loops(kind, case):
    case = case.of(kind)
    real = (case.spikes + np.sin(np.arange(case.spikes.size)).reshape(case.spikes.shape)).astype(kind)
    close(multiplied(real, case), layer_oracle.convolve(real, case.weight, *case.where), kind)


@given(cases(whole=True))
def test_sums_of_whole_weights_are_exact(case):
    """A window of 1,072 inputs up to 4 with weights up to 2**10 stays below 2**24."""
    exact = layer_oracle.convolve(case.spikes, case.weight, *case.where)
    case = case.of(np.float32)
    for way in (added, multiplied):
        assert np.array_equal(way(case.spikes, case), exact)


@kinds
@given(cases())
def test_gradients_are_those_of_the_loops(kind, case):
    case = case.of(kind)
    values, grad = case.spikes[:, None], case.grad[:, None]
    by_image, by_weight = layer_oracle.convolve_back(case.spikes, case.weight, case.grad, *case.where)
    own = by_input_of(grad, case.matrix, case.window, values.shape, ALONE)
    close(own[:, 0], by_image, kind)
    listed = _weights(case, Signal(values, most=case.most), grad)
    close(listed, by_weight, kind)
    assert np.array_equal(listed, _weights(case, Signal(values.astype(kind)), grad))


def _weights(case, x, grad, workers=ALONE):
    return by_weight_of(x, grad, case.matrix, case.window, workers).reshape(case.weight.shape)


@given(cases())
def test_a_sparse_batch_is_added_and_a_dense_one_multiplied_to_the_same_bits(case):
    """What the layers call chooses by the number of spikes."""
    case = case.of(np.float32)
    chosen = sums_of(Signal(case.spikes[:, None], most=case.most), case.matrix, case.window, ALONE)
    assert np.array_equal(chosen[:, 0], multiplied(case.spikes, case))


@st.composite
def strided(draw):
    """Windows further apart than one input, larger and smaller than their stride, on images that they cover or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    flat, groups = draw(st.booleans()), draw(st.sampled_from([1, 2, 3]))
    size, stride = ((1 if flat else draw(st.integers(1, 5)), draw(st.integers(1, 5))) for _ in "ks")
    padding = tuple(draw(st.integers(0, n - 1)) for n in size)
    room = tuple(
        1 if flat and k == 0 else draw(st.integers(max(1, n - 2 * p), n + 7))
        for k, (n, p) in enumerate(zip(size, padding, strict=True))
    )
    window = Window(size, stride, padding, groups)
    weight = rng.normal(
        size=(*size, draw(st.sampled_from([1, 3, 16, 67])), groups * draw(st.sampled_from([1, 7, 16, 67])))
    )
    grad = rng.normal(size=(draw(st.integers(1, 3)), *window.reach(*room), weight.shape[-1]))
    return window, room, weight, grad


@kinds
@given(strided())
def test_gradients_by_inputs_under_strides_are_those_of_stride_one_with_zeros_between(kind, case):
    """To the same bits, as zeros change no sum; and those of the loops."""
    window, room, weight, grad = case
    weight, grad, groups = weight.astype(kind), grad.astype(kind), window.groups
    shape = (len(grad), 1, *room, weight.shape[2] * groups)
    matrix, (sy, sx) = weight.reshape(-1, weight.shape[-1]), window.stride
    found = by_input_of(grad[:, None], matrix, window, shape, ALONE)
    dense = window._replace(stride=(1, 1))
    between = np.zeros((len(grad), 1, *dense.reach(*room), weight.shape[-1]), kind)
    between[:, 0, ::sy, ::sx][:, : grad.shape[1], : grad.shape[2]] = grad
    assert np.array_equal(found, by_input_of(between, matrix, dense, shape, ALONE))
    images = np.zeros((len(grad), *shape[2:]))
    wanted, _ = layer_oracle.convolve_back(images, weight, grad, window.stride, window.padding, groups)
    close(found[:, 0], wanted, kind)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("spikes", [True, False], ids=["spikes", "real"])
def test_channels_of_zeros_change_no_bit(monkeypatch, groups, spikes):
    """Numbers of channels without good divisors are filled up."""
    rng, window = np.random.default_rng(0), Window((3, 2), (2, 1), (1, 0), groups)
    assert [filling(n) for n in (3, 64, 67, 96, 193)] == [0, 0, 13, 0, 15]
    x = rng.random((3, 2, 6, 5, 67 * groups))
    x = Signal((x < 0.3).astype(np.uint8), most=1) if spikes else Signal(x.astype(np.float32))
    weight = rng.normal(size=(6 * 67, 71 * groups)).astype(np.float32)
    grad = rng.normal(size=(3, 2, 3, 4, 71 * groups)).astype(np.float32)

    def all_sums():
        by_input = by_input_of(grad, weight, window, x.values.shape, ALONE)
        return sums_of(x, weight, window, ALONE), by_input, by_weight_of(x, grad, weight, window, ALONE)

    filled = all_sums()
    monkeypatch.setattr("eventsim.training.sums.filling", lambda depth: 0)
    for one, other in zip(filled, all_sums(), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.skipif(cores() < 2, reason="one core")
@kinds
@given(case=cases())
def test_no_bit_depends_on_the_number_of_threads(kind, case):
    case = case.of(kind)
    values, grad = case.spikes[:, None], case.grad[:, None]
    with Workers(2) as two:
        for way in (added, multiplied):
            assert np.array_equal(way(case.spikes, case, two), way(case.spikes, case))
        where = case.matrix, case.window, values.shape
        assert np.array_equal(by_input_of(grad, *where, two), by_input_of(grad, *where, ALONE))
        for x in (Signal(values, most=case.most), Signal(values.astype(kind))):
            assert np.array_equal(_weights(case, x, grad, two), _weights(case, x, grad))


def tile_sums(tile):
    """Sums of windows by a tile of another shape."""
    multiply = product_tile(tile)

    @numba.njit
    def call(zero, x, bases, offsets, runs, length, panel, out, stride):
        multiply(zero, x, bases, offsets, runs, length, panel, out, stride, True)

    def run(x, base, offset, length, weight):
        columns, targets = tile.vectors * tile.width // x.itemsize, weight.shape[1]
        base = np.pad(base, (0, -len(base) % tile.rows), mode="edge")
        weight = np.pad(weight, ((0, 0), (0, -targets % columns)))
        out = np.empty((len(base), weight.shape[1]), x.dtype)
        for column in range(0, weight.shape[1], columns):
            panel = np.ascontiguousarray(weight[:, column : column + columns])
            for p in range(0, len(base), tile.rows):
                first = out[p:, column:].ctypes.data
                where = x.ctypes.data, base[p:].ctypes.data, offset.ctypes.data, len(offset), length
                call(x.dtype.type(0), *where, panel.ctypes.data, first, weight.shape[1])
        return out[:, :targets]

    return run


TILES = [tile_sums(tile) for tile in (Tile(1, 1, 16), Tile(3, 2, 32), Tile(8, 1, 64))]


@kinds
@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**32))
def test_no_bit_depends_on_the_shape_of_the_tile(kind, runs, length, targets, seed):
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=400).astype(kind), rng.normal(size=(runs * length, targets)).astype(kind)
    base, offset = rng.integers(0, 100, 11), rng.integers(0, 200, runs)
    found = [run(x, base, offset, length, weight)[: len(base)] for run in TILES]
    assert all(np.array_equal(found[0], other) for other in found[1:])
    rows = [np.concatenate([x[b + o : b + o + length] for o in offset]) for b in base]
    close(found[0], np.array(rows, np.float64) @ weight, kind)


@kinds
def test_many_images_are_worked_on_in_turns_to_the_same_bits(kind, monkeypatch):
    rng = np.random.default_rng(0)
    spikes = (rng.random((150, 5, 4, 6)) < 0.3).astype(np.uint8)
    window = Window((3, 3), (1, 1), (1, 1))
    case = Case(window, spikes, 1, rng.normal(size=(3, 3, 6, 20)), rng.normal(size=(150, 5, 4, 20))).of(kind)
    values, grad = spikes[:, None], case.grad[:, None]
    signals = Signal(values, most=1), Signal(values.astype(kind))
    whole = [_weights(case, x, grad) for x in signals]
    monkeypatch.setattr("eventsim.training.sums._AT_ONCE", 2000)
    for x, wanted in zip(signals, whole, strict=True):
        assert np.array_equal(_weights(case, x, grad), wanted)
    assert np.array_equal(*whole)
