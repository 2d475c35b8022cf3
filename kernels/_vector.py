"""Sums of products in vector registers: the innermost loops of every layer with weights, written as LLVM vectors.

Each sum is one chain of fused multiply-adds in the order of its index, whatever the width of the registers and the
size of the tile: every machine, every number of threads and every way to cut the work gives the same bits. Adding the
weights of spikes one by one gives those bits too: ``fma(1, w, sum)`` is ``sum + w`` and ``fma(0, w, sum)`` is ``sum``.

Places are addresses in bytes; who calls keeps the arrays alive and inside their bounds.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


class Tile(NamedTuple):
    """How many sums are in flight: ``rows`` of ``vectors`` registers of ``width`` bytes."""

    rows: int
    vectors: int
    width: int


def _fitting() -> Tile:
    """The tile that fills this machine's registers and leaves room for a row of weights."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return Tile(8, 2, 64)
    if features.get("avx"):
        return Tile(6, 2, 32)
    return Tile(6, 4, 16) if features.get("neon") or sys.platform == "darwin" else Tile(4, 2, 16)


TILE = _fitting()
PANEL = TILE.vectors * TILE.width
"""Bytes of a row of weights that are multiplied side by side, at most."""
STRIPE = 4 * TILE.width
"""Bytes of a row of weights that a spike adds at once: enough registers to hide the time that an addition takes."""

_WORD = ir.IntType(64)
_INDEX = ir.IntType(32)
_MARK = ir.IntType(32)(0)


def _lanes(scalar, width):
    return width // (4 if scalar == ir.FloatType() else 8)


def _at(builder, address, kind):
    return builder.inttoptr(address, kind.as_pointer())


def _load(builder, place, kind):
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=4)


def _store(builder, value, place):
    builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=4)


def _everywhere(builder, scalar, count):
    vector = ir.VectorType(scalar.type, count)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, _MARK)
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INDEX, count), [0] * count))


def _fma(builder, x, y, z):
    name = f"llvm.fma.v{x.type.count}{'f32' if x.type.element == ir.FloatType() else 'f64'}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(x.type, [x.type] * 3), name)
    return builder.call(function, [x, y, z])


def _loop(builder, count, carried, body):
    """``for i in range(count): carried = body(i, carried)``; returns what is carried out."""
    before = builder.block
    head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(_WORD)
    i.add_incoming(_WORD(0), before)
    held = [builder.phi(value.type) for value in carried]
    for phi, value in zip(held, carried, strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", i, count), inside, after)
    builder.position_at_end(inside)
    new = body(i, held)
    i.add_incoming(builder.add(i, _WORD(1)), builder.block)
    for phi, value in zip(held, new, strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return held


def _grid(builder, out, stride, rows, vectors, lanes):
    """Places of the registers of a tile in memory."""
    starts = [builder.gep(out, [builder.mul(stride, _WORD(i))]) for i in range(rows)]
    return [builder.gep(start, [_WORD(j * lanes)]) for start in starts for j in range(vectors)]


def _zero(vector):
    return ir.Constant(vector, [vector.element(0.0)] * vector.count)


def _begin(builder, places, vector, fresh):
    """What the sums start from: zero, or what is there already, which nobody waits for otherwise."""
    before, there, begun = builder.block, builder.append_basic_block("there"), builder.append_basic_block("begun")
    builder.cbranch(fresh, begun, there)
    builder.position_at_end(there)
    found = [_load(builder, place, vector) for place in places]
    builder.branch(begun)
    builder.position_at_end(begun)
    sums = [builder.phi(vector) for _ in places]
    for total, value in zip(sums, found, strict=True):
        total.add_incoming(_zero(vector), before)
        total.add_incoming(value, there)
    return sums


def product_tile(tile):
    """Make the intrinsic ``multiply``: sums over runs of consecutive inputs, for ``tile.rows`` windows at once.

    ``out[i, :] (+)= sum over r, k of x[base[i] + offset[r] + k] * panel[r * length + k, :]``
    """

    @intrinsic
    def multiply(typing, like, x, bases, offsets, runs, length, panel, out, stride, fresh):
        def generate(context, builder, signature, arguments):
            like, x, bases, offsets, runs, length, panel, out, stride, fresh = arguments
            real = like.type
            lanes = _lanes(real, tile.width)
            vector, columns = ir.VectorType(real, lanes), _WORD(tile.vectors * lanes)
            x, panel, out = (_at(builder, address, real) for address in (x, panel, out))
            bases, offsets = (_at(builder, address, _WORD) for address in (bases, offsets))
            windows = [builder.gep(x, [builder.load(builder.gep(bases, [_WORD(i)]))]) for i in range(tile.rows)]
            places = _grid(builder, out, stride, tile.rows, tile.vectors, lanes)

            def run(r, sums):
                offset = builder.load(builder.gep(offsets, [r]))
                rows = [builder.gep(window, [offset]) for window in windows]
                weights = builder.gep(panel, [builder.mul(builder.mul(r, length), columns)])

                def step(k, sums):
                    first = builder.gep(weights, [builder.mul(k, columns)])
                    w = [_load(builder, builder.gep(first, [_WORD(j * lanes)]), vector) for j in range(tile.vectors)]
                    new = []
                    for i, row in enumerate(rows):
                        value = _everywhere(builder, builder.load(builder.gep(row, [k])), lanes)
                        new += [_fma(builder, value, w[j], sums[i * tile.vectors + j]) for j in range(tile.vectors)]
                    return new

                return _loop(builder, length, sums, step)

            for value, place in zip(
                _loop(builder, runs, _begin(builder, places, vector, fresh), run), places, strict=True
            ):
                _store(builder, value, place)
            return context.get_dummy_value()

        words = [types.int64] * 8
        return types.void(like, *words, types.boolean), generate

    return multiply


def outer_tile(tile):
    """Make the intrinsic ``outer``: products of inputs and gradients, summed over windows.

    ``out[i, :] (+)= sum over p < windows of x[base[p] + i] * panel[p, :]``, ``tile.rows`` inputs side by side
    """

    @intrinsic
    def outer(typing, like, x, bases, windows, panel, out, stride, fresh):
        def generate(context, builder, signature, arguments):
            like, x, bases, windows, panel, out, stride, fresh = arguments
            real = like.type
            lanes = _lanes(real, tile.width)
            vector, columns = ir.VectorType(real, lanes), _WORD(tile.vectors * lanes)
            x, panel, out = (_at(builder, address, real) for address in (x, panel, out))
            bases = _at(builder, bases, _WORD)
            places = _grid(builder, out, stride, tile.rows, tile.vectors, lanes)

            def window(p, sums):
                first = builder.gep(x, [builder.load(builder.gep(bases, [p]))])
                row = builder.gep(panel, [builder.mul(p, columns)])
                v = [_load(builder, builder.gep(row, [_WORD(j * lanes)]), vector) for j in range(tile.vectors)]
                new = []
                for i in range(tile.rows):
                    value = _everywhere(builder, builder.load(builder.gep(first, [_WORD(i)])), lanes)
                    new += [_fma(builder, value, v[j], sums[i * tile.vectors + j]) for j in range(tile.vectors)]
                return new

            begun = _begin(builder, places, vector, fresh)
            for value, place in zip(_loop(builder, windows, begun, window), places, strict=True):
                _store(builder, value, place)
            return context.get_dummy_value()

        return types.void(like, *[types.int64] * 6, types.boolean), generate

    return outer


def _gatherer(counted):
    """Make the intrinsic that adds the rows of listed spikes, each as often as it is ``counted``."""

    def step(builder, like, spikes, counts, rows, places, vector, lanes):
        def add(m, sums):
            row = _row_of(builder, spikes, m, rows, lanes * len(places))
            parts = [_load(builder, builder.gep(row, [_WORD(j * lanes)]), vector) for j in range(len(places))]
            if counts is None:
                return [builder.fadd(total, part) for total, part in zip(sums, parts, strict=True)]
            number = _everywhere(builder, builder.load(builder.gep(counts, [m])), lanes)
            return [_fma(builder, number, part, total) for total, part in zip(sums, parts, strict=True)]

        return add

    def generate(context, builder, signature, arguments):
        like, spikes, *counts, count, shift, weights, out, fresh = arguments
        lanes, vector, across = _stripe(like.type)
        spikes, rows, out = _places(builder, like.type, spikes, shift, weights, out)
        times = _at(builder, counts[0], like.type) if counts else None
        places = [builder.gep(out, [_WORD(j * lanes)]) for j in range(across)]
        add = step(builder, like, spikes, times, rows, places, vector, lanes)
        sums = _loop(builder, count, _begin(builder, places, vector, fresh), add)
        for value, place in zip(sums, places, strict=True):
            _store(builder, value, place)
        return context.get_dummy_value()

    def gather(typing, like, spikes, count, shift, weights, out, fresh):
        return types.void(like, *[types.int64] * 5, types.boolean), generate

    def gather_counts(typing, like, spikes, counts, count, shift, weights, out, fresh):
        return types.void(like, *[types.int64] * 6, types.boolean), generate

    return intrinsic(gather_counts if counted else gather)


gather = _gatherer(counted=False)
"""``out[:] (+)= sum over m < count of weights[spikes[m] - shift, :]``, a stripe wide."""
gather_counts = _gatherer(counted=True)
"""The same with ``counts[m]`` times each row."""


def _stripe(real):
    """Lanes of a register, its type, and how many make a stripe."""
    lanes = _lanes(real, TILE.width)
    return lanes, ir.VectorType(real, lanes), STRIPE // TILE.width


def _places(builder, real, spikes, shift, rows, row):
    """The list of spikes, the row that spike number 0 would have, and a single row."""
    columns = STRIPE // (4 if real == ir.FloatType() else 8)
    origin = builder.gep(_at(builder, rows, real), [builder.mul(shift, _WORD(-columns))])
    return _at(builder, spikes, _INDEX), origin, _at(builder, row, real)


def _row_of(builder, spikes, m, rows, columns):
    number = builder.zext(builder.load(builder.gep(spikes, [m])), _WORD)
    return builder.gep(rows, [builder.mul(number, _WORD(columns))])


@intrinsic
def move(typing, like, source, apart, rows, registers, out):
    """Copy rows of so many registers that lie ``apart`` entries from each other; ``out`` has them side by side."""

    def generate(context, builder, signature, arguments):
        like, source, apart, rows, registers, out = arguments
        lanes = _lanes(like.type, TILE.width)
        vector = ir.VectorType(like.type, lanes)
        source, out = _at(builder, source, like.type), _at(builder, out, like.type)
        across = builder.mul(registers, _WORD(lanes))

        def row(k, carried):
            begin, to = builder.gep(source, [builder.mul(k, apart)]), builder.gep(out, [builder.mul(k, across)])

            def register(j, carried):
                place = builder.mul(j, _WORD(lanes))
                _store(builder, _load(builder, builder.gep(begin, [place]), vector), builder.gep(to, [place]))
                return carried

            return _loop(builder, registers, carried, register)

        _loop(builder, rows, [], row)
        return context.get_dummy_value()

    return types.void(like, *[types.int64] * 5), generate


_NARROW = TILE._replace(vectors=TILE.vectors // 2)
multiply, multiply_narrow = product_tile(TILE), product_tile(_NARROW)
outer, outer_narrow = outer_tile(TILE), outer_tile(_NARROW)
"""The narrow ones take panels of half the columns, for layers of few targets."""


def _sums_of(builder, values, rows):
    """Sums and differences of vectors: ``rows`` has the signs, 0 where a value is left out."""
    made = []
    for row in rows:
        signed = sorted(((sign, value) for sign, value in zip(row, values, strict=True) if sign), key=lambda p: -p[0])
        total = signed[0][1]
        for sign, value in signed[1:]:
            total = (builder.fadd if sign > 0 else builder.fsub)(total, value)
        made.append(total)
    return made


def _both_ways(builder, square, rows):
    """Apply the same sums to the columns of a square of vectors, then to its rows."""
    columns = [_sums_of(builder, [line[x] for line in square], rows) for x in range(len(square))]
    return [_sums_of(builder, line, rows) for line in zip(*columns, strict=True)]


def _patch(rows, side):
    """Make the intrinsic that turns a square of ``side`` vectors into sums both ways, one register of channels."""

    @intrinsic
    def transform(typing, like, x, down, right, out, to_down, to_right):
        def generate(context, builder, signature, arguments):
            like, x, down, right, out, to_down, to_right = arguments
            lanes = _lanes(like.type, TILE.width)
            vector = ir.VectorType(like.type, lanes)
            x, out = _at(builder, x, like.type), _at(builder, out, like.type)

            def place(start, y, one, k, other):
                return builder.gep(start, [builder.add(builder.mul(_WORD(y), one), builder.mul(_WORD(k), other))])

            square = [[_load(builder, place(x, y, down, k, right), vector) for k in range(side)] for y in range(side)]
            for y, line in enumerate(_both_ways(builder, square, rows)):
                for k, value in enumerate(line):
                    _store(builder, value, place(out, y, to_down, k, to_right))
            return context.get_dummy_value()

        return types.void(like, *[types.int64] * 6), generate

    return transform


patch_in = _patch(((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)), 4)
"""Sums of a patch of 4 x 4 inputs that are multiplied with those of a kernel; distances in entries."""
patch_out = _patch(((1, 1, 1, 0), (0, 1, -1, -1)), 4)
"""2 x 2 outputs from the 4 x 4 products."""
REGISTER = TILE.width
"""Bytes of a register."""
