"""Raw memory for compiled functions: pointers from 64-bit words, calls by address, and atomic operations.

Numba has none of these, and command lists need them: a kernel finds its arguments behind an address, the loop over a
list calls kernels by address, and threads meet at atomic counters.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_LONG = ir.IntType(64)


def _intrinsic(build: Callable[..., Any]) -> Any:
    """``intrinsic``, whose functions compiled code calls with other arguments than they seem to take."""
    return intrinsic(build)


_pointer_type: Any = types.CPointer
_external: Any = cgutils.get_or_insert_function
CAN_YIELD = sys.platform != "win32"


# An address stays an integer in Python and in command lists; it becomes a pointer inside compiled code only.
def _pointer(element: types.Type) -> Any:
    """An intrinsic from an address to a pointer that may be indexed."""

    def at(typing_context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
            return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

        return _pointer_type(element)(types.int64), build

    return _intrinsic(at)


floats = _pointer(types.float32)
doubles = _pointer(types.float64)
longs = _pointer(types.int64)
words = _pointer(types.uint32)
octets = _pointer(types.uint8)


@_intrinsic
def real(typing_context: Any, bits: Any) -> Any:
    """The float64 that a word holds the bits of."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        return builder.bitcast(values[0], ir.DoubleType())

    return types.float64(types.int64), build


@_intrinsic
def call(typing_context: Any, address: Any, part: Any, parts: Any, arguments: Any) -> Any:
    """Call the kernel at an address, with the address of its arguments."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        # All kernels have this one signature, so one indirect call serves them all.
        shape = ir.FunctionType(ir.VoidType(), [_LONG] * 3)
        builder.call(builder.inttoptr(values[0], shape.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), build


@_intrinsic
def add_atomic(typing_context: Any, place: Any, value: Any) -> Any:
    """Add to the word at an address, seen by all threads in one order."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        # Sequentially consistent: what a kernel wrote before its thread arrived is seen by those that leave the
        # barrier.
        return builder.atomic_rmw("add", builder.inttoptr(values[0], _LONG.as_pointer()), values[1], "seq_cst")

    return types.int64(types.int64, types.int64), build


@_intrinsic
def load_atomic(typing_context: Any, place: Any) -> Any:
    """The word at an address, as the other threads have left it."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        return builder.load_atomic(builder.inttoptr(values[0], _LONG.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), build


@_intrinsic
def pause(typing_context: Any) -> Any:
    """Tell the processor that this thread spins, so that it saves power and leaves the core to its sibling thread."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        if platform.machine().lower() in ("x86_64", "amd64"):
            shape = ir.FunctionType(ir.VoidType(), [])
            builder.call(_external(builder.module, shape, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), build


@_intrinsic
def yield_core(typing_context: Any) -> Any:
    """Let another thread have the core (``sched_yield``), where the system has a call for it."""

    def build(context: Any, builder: Any, signature: Any, values: Sequence[ir.Value]) -> ir.Value:
        if CAN_YIELD:
            shape = ir.FunctionType(ir.IntType(32), [])
            builder.call(_external(builder.module, shape, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), build
