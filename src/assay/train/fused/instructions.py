"""Numbers, arrays and loops as LLVM instructions: what ``lowering`` turns each piece of a kernel's source into.

Integers are int64, and indices are not checked. Types are promoted as NumPy does, but for words (uint32), on which
arithmetic is in int64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

LONG, WORD, BYTE, BOOL = (ir.IntType(bits) for bits in (64, 32, 8, 1))
FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
VOID = ir.VoidType()
RANKS = {BOOL: 0, BYTE: 1, WORD: 2, LONG: 3, FLOAT: 4, DOUBLE: 5}  # numbers; a variable is given none of higher rank
_BYTES = {FLOAT: 4, DOUBLE: 8, LONG: 8, WORD: 4, BYTE: 1}
_ADDRESS = BYTE.as_pointer()
_LARGEST_ON_STACK = 4096  # elements; more come from the heap

Emit = Callable[[Any, Sequence[ir.Value]], ir.Value]


@dataclass(frozen=True)
class Operation:
    """A function that kernels call and whose instructions are written in Python.

    Args:
        name: As kernels call it.
        arguments: Types of its arguments; ``None`` for an array, of which it gets the address.
        emit: Emits its instructions from the builder and the arguments, and returns its result.
    """

    name: str
    arguments: tuple[ir.Type | None, ...]
    emit: Emit


@dataclass(frozen=True)
class Array:
    """An array while a kernel is lowered: contiguous, last axis innermost.

    Args:
        start: Pointer to its first element.
        shape: int64 of each axis; empty for a bare pointer, which has one axis of unknown length.
    """

    start: ir.Value
    shape: tuple[ir.Value, ...] = ()

    @property
    def element(self) -> ir.Type:
        return self.start.type.pointee


def long(value: int) -> ir.Constant:
    """An int64."""
    return ir.Constant(LONG, value)


def literal(value: Any) -> ir.Value:
    """A Python or NumPy number as a constant of its type.

    Raises:
        SyntaxError: It is none that kernels know.
    """
    for python_type, kind in ((bool, BOOL), (int, LONG), (np.float32, FLOAT), (float, DOUBLE), (np.uint32, WORD)):
        if isinstance(value, python_type):
            return ir.Constant(kind, float(value) if kind in (FLOAT, DOUBLE) else int(value))
    raise SyntaxError(f"a kernel cannot use {value!r}")


class Instructions:
    """A function under construction.

    Args:
        function: Without a body yet.
        contracts: LLVM may fuse a product and a sum, rounding once.

    Attributes:
        builder: Emits where the function goes on.
        reserve: Emits at its beginning: stack memory is reserved once, whatever loops there are.
        end: Where it returns.
        loops: Of each loop around: where ``continue`` and ``break`` go.
    """

    def __init__(self, function: ir.Function, *, contracts: bool = False) -> None:
        self.function = function
        self.flags = ["contract"] if contracts else []
        self.reserve = ir.IRBuilder(self.new_block("reserve"))
        self._body = self.new_block("body")
        self.builder = ir.IRBuilder(self._body)
        self.end = self.new_block("end")
        self.loops: list[tuple[ir.Block, ir.Block]] = []
        self._heap: list[ir.Value] = []  # stack memory that holds addresses to free
        result = function.function_type.return_type
        self.result = None if result == VOID else self.reserve.alloca(result)

    def finish(self) -> None:
        """End the function, and free what it took."""
        self.go_on_at(self.end)
        self.reserve.branch(self._body)
        for slot in self._heap:
            self.builder.call(self.external("free", VOID, [_ADDRESS]), [self.builder.load(slot)])
        if self.result is None:
            self.builder.ret_void()
        else:
            self.builder.ret(self.builder.load(self.result))

    # Flow

    def new_block(self, name: str) -> ir.Block:
        return self.function.append_basic_block(name)

    def go_on_at(self, block: ir.Block) -> None:
        """Emit into a block from here on; whatever has not left the current one goes there."""
        self.leave_for(block)
        self.builder.position_at_end(block)

    def leave_for(self, block: ir.Block) -> None:
        """Branch to a block, unless a return, ``continue`` or ``break`` has gone elsewhere."""
        if not self.builder.block.is_terminated:
            self.builder.branch(block)

    @contextmanager
    def counted(self, start: ir.Value, stop: ir.Value, step: ir.Value) -> Iterator[ir.Value]:
        """A loop over start, start + step ... below stop, around what is emitted inside; yields the current number."""
        counter = self.reserve.alloca(LONG)
        self.builder.store(start, counter)
        test, body, following, after = map(self.new_block, ("test", "loop", "next", "after"))
        self.go_on_at(test)
        index = self.builder.load(counter)
        self.builder.cbranch(self.builder.icmp_signed("<", index, stop), body, after)
        self.builder.position_at_end(body)
        self.loops.append((following, after))
        yield index
        self.loops.pop()
        self.go_on_at(following)
        self.builder.store(self.add(index, step), counter)
        self.builder.branch(test)
        self.builder.position_at_end(after)

    # Memory

    def load(self, array: Array, index: ir.Value) -> ir.Value:
        return self.builder.load(self.builder.gep(array.start, [index]))

    def element(self, array: Array, indices: Sequence[ir.Value]) -> Any:
        """The address of an element, or the array behind the leading axes that are indexed."""
        rest = array.shape[len(indices) :]
        offset = self.converted(indices[0], LONG)
        for axis, length in enumerate(array.shape[1:], 1):
            offset = self.multiply(offset, length)
            if axis < len(indices):
                offset = self.add(offset, self.converted(indices[axis], LONG))
        place = self.builder.gep(array.start, [offset])
        return Array(place, rest) if rest else place

    def size(self, shape: Sequence[ir.Value]) -> ir.Value:
        """How many elements an array of a shape has."""
        size = shape[0]
        for length in shape[1:]:
            size = self.multiply(size, length)
        return size

    def memory(self, shape: Sequence[ir.Value], element: ir.Type, *, is_cleared: bool) -> Array:
        """A new array, freed where the function ends.

        Raises:
            SyntaxError: Within a loop, where every turn would take more.
        """
        if self.loops:
            raise SyntaxError("a kernel takes memory outside loops")
        size = self.size(shape)
        if isinstance(size, ir.Constant) and size.constant <= _LARGEST_ON_STACK:
            start = self.reserve.alloca(element, size)
            start.align = 64
        else:
            slot = self.reserve.alloca(_ADDRESS)
            self.reserve.store(ir.Constant(_ADDRESS, None), slot)  # a return before the memory is taken frees nothing
            # A cache line more, to begin with one; and never 0 bytes, for which malloc may answer null.
            taken = self.add(self.multiply(size, long(_BYTES[element])), long(64))
            address = self.builder.call(self.external("malloc", _ADDRESS, [LONG]), [taken])
            self.builder.store(address, slot)
            self._heap.append(slot)
            # From the next cache line on: the C library aligns by 16 bytes.
            number = self.builder.add(self.builder.ptrtoint(address, LONG), long(63))
            start = self.builder.inttoptr(self.builder.and_(number, long(-64)), element.as_pointer())
        array = Array(start, tuple(shape))
        if is_cleared:
            self.fill(array, ir.Constant(element, 0))
        return array

    def fill(self, array: Array, value: ir.Value) -> None:
        with self.counted(long(0), self.size(array.shape), long(1)) as index:
            self.builder.store(self.converted(value, array.element), self.builder.gep(array.start, [index]))

    def external(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        """A function of LLVM's or of the C library."""
        module = self.function.module
        return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)

    # Numbers

    def add(self, left: ir.Value, right: ir.Value) -> ir.Value:
        return self.builder.add(left, right, flags=["nsw"])

    def subtract(self, left: ir.Value, right: ir.Value) -> ir.Value:
        return self.builder.sub(left, right, flags=["nsw"])

    def multiply(self, left: ir.Value, right: ir.Value) -> ir.Value:
        if isinstance(left, ir.Constant) and isinstance(right, ir.Constant):
            return long(left.constant * right.constant)
        return self.builder.mul(left, right, flags=["nsw"])

    def common(self, *values: ir.Value) -> ir.Type:
        """The type in which numbers are reckoned with each other."""
        kinds = {LONG if value.type in (BOOL, BYTE, WORD) else value.type for value in values}
        if len(kinds) == 1:
            return kinds.pop()
        if not kinds <= set(RANKS):
            raise TypeError(f"no arithmetic on {' and '.join(map(str, kinds))}")
        return DOUBLE  # of float32 and int64, too, as in NumPy

    def binary(self, name: str, left: ir.Value, right: ir.Value) -> ir.Value:
        """Arithmetic, by the name of its operator in ``ast``.

        Raises:
            SyntaxError: There is none for these types.
        """
        kind = self.common(left, right)
        if name == "Div" and kind == LONG:
            kind = DOUBLE
        left, right = self.converted(left, kind), self.converted(right, kind)
        if kind == LONG:
            whole: dict[str, Callable[[ir.Value, ir.Value], ir.Value]] = {
                "Add": self.add, "Sub": self.subtract, "Mult": self.multiply, "FloorDiv": self._quotient,
                "Mod": self._rest, "LShift": self.builder.shl, "RShift": self.builder.ashr,
                "BitAnd": self.builder.and_, "BitOr": self.builder.or_, "BitXor": self.builder.xor,
            }  # fmt: skip
            if name in whole:
                return whole[name](left, right)
        methods = {"Add": "fadd", "Sub": "fsub", "Mult": "fmul", "Div": "fdiv"}
        if kind == LONG or name not in methods:
            raise SyntaxError(f"a kernel cannot use {name} on {kind}")
        return getattr(self.builder, methods[name])(left, right, flags=self.flags)

    # Both round down, while the processor's own division rounds towards zero.
    def _quotient(self, left: ir.Value, right: ir.Value) -> ir.Value:
        is_off = self._is_off(self.builder.srem(left, right), right)
        return self.subtract(self.builder.sdiv(left, right), self.builder.zext(is_off, LONG))

    def _rest(self, left: ir.Value, right: ir.Value) -> ir.Value:
        rest = self.builder.srem(left, right)
        return self.add(rest, self.builder.select(self._is_off(rest, right), right, long(0)))

    def _is_off(self, rest: ir.Value, right: ir.Value) -> ir.Value:
        has_other_sign = self.builder.icmp_signed("<", self.builder.xor(rest, right), long(0))
        return self.builder.and_(has_other_sign, self.builder.icmp_signed("!=", rest, long(0)))

    def negative(self, value: ir.Value) -> ir.Value:
        if isinstance(value, ir.Constant):
            return ir.Constant(value.type, -value.constant)
        is_whole = value.type not in (FLOAT, DOUBLE)
        return self.builder.neg(self.converted(value, LONG)) if is_whole else self.builder.fneg(value)

    def compared(self, sign: str, left: ir.Value, right: ir.Value) -> ir.Value:
        kind = self.common(left, right)
        left, right = self.converted(left, kind), self.converted(right, kind)
        if kind == LONG:
            return self.builder.icmp_signed(sign, left, right)
        return (self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered)(sign, left, right)

    def truth(self, value: ir.Value) -> ir.Value:
        return value if value.type == BOOL else self.compared("!=", value, long(0))

    def extreme(self, sign: str, values: Sequence[ir.Value]) -> ir.Value:
        """``min`` or ``max`` as Python has them: the first of equal values; a first NaN stays."""
        kind = self.common(*values)
        best, *rest = (self.converted(value, kind) for value in values)
        for value in rest:
            best = self.builder.select(self.compared(sign, value, best), value, best)
        return best

    def absolute(self, value: ir.Value) -> ir.Value:
        if value.type in (FLOAT, DOUBLE):
            return self.mathematical("fabs", value)
        return self.builder.select(self.builder.icmp_signed("<", value, long(0)), self.builder.neg(value), value)

    def mathematical(self, name: str, value: ir.Value) -> ir.Value:
        """A function of LLVM's, in the argument's precision."""
        kind = FLOAT if value.type == FLOAT else DOUBLE
        function = self.external(f"llvm.{name}.{'f32' if kind == FLOAT else 'f64'}", kind, [kind])
        return self.builder.call(function, [self.converted(value, kind)])

    def converted(self, value: ir.Value, kind: ir.Type) -> ir.Value:
        """A number as another type: exactly, or as NumPy's assignment to an array rounds or cuts it off.

        Raises:
            TypeError: One of both is no number.
        """
        source = value.type
        if source == kind:
            return value
        if not {source, kind} <= set(RANKS):
            raise TypeError(f"{source} is no {kind}")
        floats = (FLOAT, DOUBLE)
        if isinstance(value, ir.Constant) and isinstance(value.constant, (int, float)):
            number = float(value.constant) if kind in floats else int(value.constant)
            return ir.Constant(kind, float(np.float32(number)) if kind == FLOAT else number)
        if source in floats and kind in floats:
            return (self.builder.fpext if kind == DOUBLE else self.builder.fptrunc)(value, kind)
        if kind in floats:
            return (self.builder.sitofp if source == LONG else self.builder.uitofp)(value, kind)
        if source in floats:
            return self.builder.fptosi(value, kind)
        return (self.builder.zext if RANKS[kind] > RANKS[source] else self.builder.trunc)(value, kind)
