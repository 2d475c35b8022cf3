"""Memory by address: synapses are read straight from where they lie, and fetched before they are needed.

Tables of synapses belong to the projections that built them; a network of any number of them is one set of arrays to
the compiled engine, which finds each table by its address. Who passes an address keeps its array alive.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

_BYTE = ir.IntType(8)


def _loader(result, loaded):
    """An intrinsic that reads one value, aligned or not, at an address and returns it as ``result``."""

    @intrinsic
    def load(context, address):
        def generate(context, builder, signature, arguments):
            pointer = builder.inttoptr(arguments[0], loaded.as_pointer())
            return builder.load(pointer, align=1)

        return result(types.int64), generate

    return load


load_word = _loader(types.uint32, ir.IntType(32))
load_half = _loader(types.uint16, ir.IntType(16))
load_index = _loader(types.int64, ir.IntType(64))
load_single = _loader(types.float32, ir.FloatType())


@intrinsic
def load_pair(context, array, row):
    """``array[row]`` of a contiguous float32 array of two columns, in one read."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [builder.mul(arguments[1], arguments[1].type(2))])
        pair = builder.load(builder.bitcast(place, ir.VectorType(ir.FloatType(), 2).as_pointer()), align=4)
        both = [builder.extract_element(pair, ir.IntType(32)(i)) for i in range(2)]
        return context.make_tuple(builder, signature.return_type, both)

    return types.UniTuple(types.float32, 2)(array, types.intp), generate


@intrinsic
def pointer(context, address):
    """An address as what ``numba.carray`` makes an array of."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


def _several(number, arrays, test):
    """An intrinsic that looks at so many entries of one or two arrays at once, from an index on.

    It returns a bit for each entry, the first one lowest.
    """

    def row(context, builder, array, value, first):
        place = context.make_array(array)(context, builder, value)
        several = ir.VectorType(context.get_data_type(array.dtype), number)
        return builder.load(builder.bitcast(builder.gep(place.data, [first]), several.as_pointer()), align=1)

    def bits(builder, found):
        word = builder.bitcast(found, ir.IntType(number))
        return word if number == 64 else builder.zext(word, ir.IntType(64))

    @intrinsic
    def one(context, array, first):
        def generate(context, builder, signature, arguments):
            return bits(builder, test(builder, row(context, builder, signature.args[0], *arguments)))

        return types.uint64(array, types.intp), generate

    @intrinsic
    def two(context, array, other, first):
        def generate(context, builder, signature, arguments):
            pairs = zip(signature.args[:2], arguments[:2], strict=True)
            rows = (row(context, builder, kind, value, arguments[2]) for kind, value in pairs)
            return bits(builder, test(builder, *rows))

        return types.uint64(array, other, types.intp), generate

    return one if arrays == 1 else two


nonzero_of_64 = _several(64, 1, lambda builder, row: builder.icmp_unsigned("!=", row, row.type(None)))
"""Which of 64 bytes are not zero."""

nan_of_16 = _several(16, 1, lambda builder, row: builder.fcmp_unordered("uno", row, row))
"""Which of 16 floats are NaN."""

reached_of_16 = _several(16, 2, lambda builder, row, other: builder.fcmp_ordered(">=", row, other))
"""Which of 16 floats are at least as large as those of the other array."""


def _ask(builder, place):
    """Ask for the cache line at a place; any will do, nothing is read."""
    number = ir.IntType(32)
    wanted = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), number, number, number])
    function = cgutils.get_or_insert_function(builder.module, wanted, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(place, _BYTE.as_pointer()), number(0), number(3), number(1)])


@intrinsic
def prefetch(context, address):
    """Ask for the cache line at an address."""

    def generate(context, builder, signature, arguments):
        _ask(builder, builder.inttoptr(arguments[0], _BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def fetch(context, array, index):
    """Ask for the cache line of ``array[index]``."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        _ask(builder, builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def _borrowed(context, builder, result, data, size):
    """A one-dimensional array at a place, which neither owns nor counts references."""
    out = context.make_array(result)(context, builder)
    item = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(result.dtype)))
    populate_array(
        out,
        data=data,
        shape=cgutils.pack_array(builder, [size]),
        strides=cgutils.pack_array(builder, [item]),
        itemsize=item,
        meminfo=None,
    )
    return out._getvalue()


@intrinsic
def cut(context, array, first, last):
    """``array[first:last]`` of a contiguous array, with ``0 <= first <= last <= len(array)``.

    Slices count references, which costs threads that share an array dearly, and take long to compile.
    """

    def generate(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        data = builder.gep(source.data, [arguments[1]])
        return _borrowed(context, builder, signature.return_type, data, builder.sub(arguments[2], arguments[1]))

    return types.Array(array.dtype, 1, "C")(array, types.intp, types.intp), generate


@intrinsic
def line(context, array, row):
    """``array[row]`` of a contiguous array of two dimensions."""

    def generate(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        _, columns = cgutils.unpack_tuple(builder, source.shape)
        data = builder.gep(source.data, [builder.mul(arguments[1], columns)])
        return _borrowed(context, builder, signature.return_type, data, columns)

    return types.Array(array.dtype, 1, "C")(array, types.intp), generate


def _without_owner(context, builder, kind, value):
    """The value with every array in it made to own nothing."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for i, part in enumerate(kind):
            item = _without_owner(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, item, i)
    return value


@intrinsic
def lend(context, value):
    """An array, or a tuple of arrays and tuples, whose references are not counted; the caller keeps the arrays alive.

    Every use of an array that counts would lock memory that all threads share.
    """

    def generate(context, builder, signature, arguments):
        return _without_owner(context, builder, signature.args[0], arguments[0])

    return value(value), generate
