"""A team of threads that run one kernel and meet at barriers: cheaper than to start a parallel region in every tick.

Each thread calls the kernel with its rank. Nothing that is computed depends on the size of the team.
"""

from __future__ import annotations

import sys

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from eventsim.kernels._jit import jit

SYNC = 16
"""Length of the int64 array of a barrier, all zeros at first; its two words stand in cache lines of their own."""

_PATIENCE, _PROMPT = 4096, 64
_YIELD = "SwitchToThread" if sys.platform == "win32" else "sched_yield"


def _place(context, builder, signature, arguments):
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(array.data, [arguments[1]])


@intrinsic
def _fetch_add(context, array, index, value):
    """Add to an entry of an int64 array in one piece; returns what it was."""

    def generate(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _place(context, builder, signature, arguments), arguments[2], "acq_rel")

    return types.int64(array, types.int64, types.int64), generate


@intrinsic
def _load(context, array, index):
    """Read an entry; what its writer had written before is seen afterwards."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_place(context, builder, signature, arguments), "acquire", 8)

    return types.int64(array, types.int64), generate


@intrinsic
def _store(context, array, index, value):
    """Write an entry after everything that was written before."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], _place(context, builder, signature, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def _give_way(context):
    """Let another thread have the core."""

    def generate(context, builder, signature, arguments):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), _YIELD)
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


@jit
def meet(sync, team):
    """Return when all ``team`` threads have called; ``sync`` is an array of :data:`SYNC` int64."""
    if team == 1:
        return
    turn = _load(sync, 8)
    if _fetch_add(sync, 0, 1) == team - 1:
        _store(sync, 0, 0)
        _store(sync, 8, turn + 1)
        return
    waited = 0
    while _load(sync, 8) == turn:
        waited += 1
        if waited > _PATIENCE:
            _give_way()


@jit
def share(size, rank, team):
    """First and last (excluded) of ``size`` things that belong to a rank."""
    return size * rank // team, size * (rank + 1) // team


@jit
def post(sync, index, value):
    """Write a word of a barrier's array for :func:`awaits` to see."""
    _store(sync, index, value)


@jit
def awaits(sync, index, value, patience):
    """Wait for a word to reach a value; gives up after so many looks. Returns whether it has."""
    for look in range(patience):
        if _load(sync, index) >= value:
            return True
        if look > _PROMPT:
            _give_way()
    return False
