"""Machine operations that Numba has no name for."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def fma(context, a, b, c):
    """``a * b + c`` rounded once, the same bits on every machine and in vector and scalar code."""

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, a, a), generate


@intrinsic
def bits(context, x):
    """The float ``x`` read as a whole number, which orders like it if ``x`` >= 0: maxima of these vectorise."""
    whole = types.int32 if x == types.float32 else types.int64

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(whole))

    return whole(x), generate


@intrinsic
def lowest(context, word):
    """Number of the lowest bit of a uint64 that is set, 64 if none is."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return types.int64(types.uint64), generate


@intrinsic
def population(context, word):
    """How many bits of a uint64 are set."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def power_of_two(context, shifted):
    """2**n, where ``shifted`` is 1.5 * 2**23 + n as float32 or 1.5 * 2**52 + n as float64."""
    width, mantissa, excess, shift = (32, 23, 127, 0x4B400000)
    if shifted == types.float64:
        width, mantissa, excess, shift = (64, 52, 1023, 0x4338000000000000)

    def generate(context, builder, signature, arguments):
        whole = ir.IntType(width)
        word = builder.bitcast(arguments[0], whole)
        exponent = builder.add(word, whole(excess - shift))
        return builder.bitcast(builder.shl(exponent, whole(mantissa)), arguments[0].type)

    return shifted(shifted), generate
