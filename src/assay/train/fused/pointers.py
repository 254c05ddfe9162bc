"""Operations on raw memory: calls by address, and atomic operations.

Command lists need them: the loop over a list calls kernels by address, and threads meet at atomic counters.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from .instructions import LONG, Array, Emit, Operation

CAN_YIELD = sys.platform != "win32"


def _operation(count: int) -> Callable[[Emit], Any]:
    """Make the function that emits instructions an operation on ``count`` int64, which compiled functions call."""
    return lambda emit: Operation(emit.__name__, (LONG,) * count, emit)


def _external(builder: Any, name: str, kind: ir.FunctionType) -> ir.Function:
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


# An address stays an integer in Python and in command lists; it becomes a pointer inside compiled code only.
@_operation(1)
def longs(builder: Any, values: Sequence[ir.Value]) -> Any:
    """The int64 at an address."""
    return Array(builder.inttoptr(values[0], LONG.as_pointer()))


@_operation(4)
def call(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Call the kernel at an address: part, parts, and the address of its arguments."""
    # All kernels have this one signature, so one indirect call serves them all.
    shape = ir.FunctionType(ir.VoidType(), [LONG] * 3)
    return builder.call(builder.inttoptr(values[0], shape.as_pointer()), values[1:])


@_operation(2)
def add_atomic(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """Add to the word at an address, seen by all threads in one order."""
    # Sequentially consistent: what a kernel wrote before its thread arrived is seen by those that leave the barrier.
    return builder.atomic_rmw("add", builder.inttoptr(values[0], LONG.as_pointer()), values[1], "seq_cst")


@_operation(1)
def load_atomic(builder: Any, values: Sequence[ir.Value]) -> ir.Value:
    """The word at an address, as the other threads have left it."""
    return builder.load_atomic(builder.inttoptr(values[0], LONG.as_pointer()), "seq_cst", 8)


@_operation(0)
def pause(builder: Any, values: Sequence[ir.Value]) -> Any:
    """Tell the processor that this thread spins, so that it saves power and leaves the core to its sibling thread."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        return builder.call(_external(builder, "llvm.x86.sse2.pause", ir.FunctionType(ir.VoidType(), [])), [])
    return None


@_operation(0)
def yield_core(builder: Any, values: Sequence[ir.Value]) -> Any:
    """Let another thread have the core (``sched_yield``), where the system has a call for it."""
    if CAN_YIELD:
        return builder.call(_external(builder, "sched_yield", ir.FunctionType(ir.IntType(32), [])), [])
    return None
