"""Lowers kernels to LLVM instructions: the part of Python that kernels are written in, and no more.

A kernel is a function of numbers, vectors of sixteen lanes and arrays, with loops over ranges. That needs no inference
of types: a literal is an int64 or a float64, an array has its element's type, and a variable keeps the type of its
first value. So a statement becomes its instructions at once, and four fifths of a kernel's compile time are LLVM's.

The meaning is Python's and NumPy's, with these differences:

- Integers are int64. ``np.uint32`` makes a word; arithmetic on words is in int64.
- Indices are not checked, and negative ones do not count from the end.
- Functions that a kernel calls are written out at the call; they may return a value at their end only.
- Memory of ``np.empty`` and ``np.zeros`` is freed where the kernel ends; both must stand outside loops.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from llvmlite import ir

from .instructions import (
    BOOL,
    BYTE,
    DOUBLE,
    FLOAT,
    LONG,
    RANKS,
    VOID,
    WORD,
    Array,
    Instructions,
    Operation,
    literal,
    long,
)  # fmt: skip
from .parameters import Parameter

_ELEMENTS = {"float": FLOAT, "double": DOUBLE, "long": LONG, "word": WORD, "byte": BYTE}
_DTYPES: dict[Any, ir.Type] = {
    np.float32: FLOAT, np.float64: DOUBLE, np.uint32: WORD, np.int32: WORD, np.int64: LONG, np.uint8: BYTE,
    float: DOUBLE, int: LONG,
}  # fmt: skip
_MATHS: dict[Any, str] = {
    np.exp: "exp", np.log: "log", np.sqrt: "sqrt", math.exp: "exp", math.log: "log", math.sqrt: "sqrt",
}  # fmt: skip
_BUILTINS: dict[str, Any] = {"min": min, "max": max, "len": len, "abs": abs, "int": int, "float": float}
_SIGNS = {"Eq": "==", "NotEq": "!=", "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">="}

Value = Any  # an ``ir.Value``, an ``Array``, or a tuple of both


def lowered(
    name: str, parameters: Sequence[Parameter], body: Sequence[ast.stmt], names: Mapping[str, Any], *,
    contracts: bool = False,
) -> str:  # fmt: skip
    """LLVM assembly of a kernel: ``void name(int64 part, int64 parts, int64 address of its other arguments)``.

    Args:
        name: Of the function.
        parameters: What the words behind the address hold.
        body: The kernel's statements.
        names: What its free names stand for: operations, functions, modules and numbers.
        contracts: LLVM may fuse a product and a sum, rounding once.

    Raises:
        SyntaxError: The body uses something that kernels cannot.
        TypeError: A value has no type that its place can hold.
    """
    module = ir.Module(name)
    lowering = _Lowering(ir.Function(module, ir.FunctionType(VOID, [LONG] * 3), name), names, contracts=contracts)
    part, parts, address = lowering.function.args
    values: dict[str, Value] = {"part": part, "parts": parts}
    words, at = Array(lowering.builder.inttoptr(address, LONG.as_pointer())), 0
    for parameter in parameters:
        loaded = [lowering.load(words, long(at + n)) for n in range(parameter.size)]
        values[parameter.name] = lowering.parameter(parameter, loaded)
        at += parameter.size
    lowering.run(body, values)
    return str(module)


def function_lowered(name: str, function: Callable[..., Any], *, has_result: bool) -> str:
    """LLVM assembly of a function of int64, without the convention of kernels; its result is int64, if there is one."""
    module = ir.Module(name)
    tree = tree_of(function)
    arguments = [argument.arg for argument in tree.args.args]
    kind = ir.FunctionType(LONG if has_result else VOID, [LONG] * len(arguments))
    lowering = _Lowering(ir.Function(module, kind, name), function.__globals__)
    lowering.run(tree.body, dict(zip(arguments, lowering.function.args, strict=True)))
    return str(module)


def tree_of(function: Callable[..., Any]) -> ast.FunctionDef:
    """A function's syntax tree, from its source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


class _Lowering(Instructions):
    """Emits one function from its syntax tree.

    Every variable has memory on the stack, which LLVM turns into registers; an array's name takes none.
    """

    def __init__(self, function: ir.Function, names: Mapping[str, Any], *, contracts: bool = False) -> None:
        super().__init__(function, contracts=contracts)
        self.names: Mapping[str, Any] = names
        self.variables: dict[str, Value] = {}

    def run(self, body: Sequence[ast.stmt], values: Mapping[str, Value]) -> None:
        """Emit the whole function."""
        for name, value in values.items():
            self.set(name, value)
        self.block(body)
        self.finish()

    def parameter(self, parameter: Parameter, words: Sequence[ir.Value]) -> Value:
        """A kernel's argument from the words that hold it."""
        if parameter.kind == "int":
            return words[0]
        if parameter.kind == "real":
            return self.builder.bitcast(words[0], DOUBLE)
        if parameter.kind == "single":
            return self.builder.bitcast(self.builder.trunc(words[0], WORD), FLOAT)
        return Array(self.builder.inttoptr(words[0], _ELEMENTS[parameter.kind].as_pointer()), tuple(words[1:]))

    def set(self, name: str, value: Value) -> None:
        """Assign a variable."""
        if isinstance(value, (Array, tuple)):
            self.variables[name] = value
            return
        slot: Any = self.variables.get(name)
        kind = LONG if value.type in (BOOL, BYTE) else value.type
        is_known = isinstance(slot, ir.Value)
        if is_known and {kind, slot.type.pointee} <= set(RANKS):
            kind = slot.type.pointee
        elif not is_known or kind != slot.type.pointee:  # a vector's name is free for one of another type
            slot = self.variables[name] = self.reserve.alloca(kind, name=name)
        if RANKS.get(value.type, 0) > RANKS.get(kind, 0):
            raise TypeError(f"{name} holds {kind} and cannot be given {value.type}")
        self.builder.store(self.converted(value, kind), slot)

    # Statements

    def block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if self.builder.block.is_terminated:  # behind a return, a continue or a break
                return
            self._method_for(statement)(statement)

    def _method_for(self, node: ast.AST) -> Callable[[Any], Any]:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise SyntaxError(f"a kernel cannot use {ast.unparse(node)}")
        return method  # type: ignore[no-any-return]

    def _assign(self, node: ast.Assign) -> None:
        value = self.value(node.value)
        for target in node.targets:
            self.store(target, value)

    def _augassign(self, node: ast.AugAssign) -> None:
        current = ast.parse(ast.unparse(node.target), mode="eval").body
        self.store(node.target, self.binary(type(node.op).__name__, self.value(current), self.value(node.value)))

    def store(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.set(target.id, value)
        elif isinstance(target, ast.Tuple):
            for part, item in zip(target.elts, value, strict=True):
                self.store(part, item)
        elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Slice):
            self.fill(self.value(target), value)
        elif isinstance(target, ast.Subscript):
            place = self.element(self.value(target.value), self._indices(target))
            self.builder.store(self.converted(value, place.type.pointee), place)
        else:
            raise SyntaxError(f"a kernel cannot assign to {ast.unparse(target)}")

    def _expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.value(node.value)

    def _return(self, node: ast.Return) -> None:
        if node.value is not None:
            assert self.result is not None
            self.builder.store(self.converted(self.value(node.value), self.result.type.pointee), self.result)
        self.leave_for(self.end)

    def _continue(self, node: ast.Continue) -> None:
        self.leave_for(self.loops[-1][0])

    def _break(self, node: ast.Break) -> None:
        self.leave_for(self.loops[-1][1])

    def _if(self, node: ast.If) -> None:
        condition = self.truth(self.value(node.test))
        then, other, after = map(self.new_block, ("then", "else", "after"))
        self.builder.cbranch(condition, then, other)
        for start, statements in ((then, node.body), (other, node.orelse)):
            self.builder.position_at_end(start)
            self.block(statements)
            self.leave_for(after)
        self.builder.position_at_end(after)

    def _while(self, node: ast.While) -> None:
        test, body, after = map(self.new_block, ("test", "loop", "after"))
        self.go_on_at(test)
        self.builder.cbranch(self.truth(self.value(node.test)), body, after)
        self.builder.position_at_end(body)
        self.loops.append((test, after))
        self.block(node.body)
        self.loops.pop()
        self.leave_for(test)
        self.builder.position_at_end(after)

    def _for(self, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise SyntaxError(f"a kernel's loop is over a range, not {ast.unparse(call)}")
        bounds = [self.converted(self.value(argument), LONG) for argument in call.args]
        start, stop = bounds[:2] if len(bounds) > 1 else (long(0), bounds[0])
        with self.counted(start, stop, bounds[2] if len(bounds) > 2 else long(1)) as index:
            self.store(node.target, index)
            self.block(node.body)

    # Expressions

    def value(self, node: ast.expr) -> Value:
        return self._method_for(node)(node)

    def _constant(self, node: ast.Constant) -> ir.Value:
        return literal(node.value)

    def _name(self, node: ast.Name) -> Value:
        if node.id in self.variables:
            value = self.variables[node.id]
            return value if isinstance(value, (Array, tuple)) else self.builder.load(value)
        if node.id not in self.names:
            raise SyntaxError(f"{node.id} has no value")
        return literal(self.names[node.id])

    def _tuple(self, node: ast.Tuple) -> tuple[Value, ...]:
        return tuple(self.value(item) for item in node.elts)

    def _attribute(self, node: ast.Attribute) -> Value:
        if (module := self._module(node.value)) is not None:
            return literal(getattr(module, node.attr))
        array = self.value(node.value)
        if node.attr == "shape" and isinstance(array, Array):
            return array.shape
        if node.attr == "size" and isinstance(array, Array):
            return self.size(array.shape)
        raise SyntaxError(f"a kernel cannot use {ast.unparse(node)}")

    def _module(self, node: ast.expr) -> ModuleType | None:
        found = self.names.get(node.id) if isinstance(node, ast.Name) and node.id not in self.variables else None
        return found if isinstance(found, ModuleType) else None

    def _subscript(self, node: ast.Subscript) -> Value:
        array = self.value(node.value)
        if isinstance(array, tuple) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, int):
            return array[node.slice.value]
        if isinstance(node.slice, ast.Slice):
            return self._part(array, node.slice)
        place = self.element(array, self._indices(node))
        return place if isinstance(place, Array) else self.builder.load(place)

    def _indices(self, node: ast.Subscript) -> Sequence[ir.Value]:
        index = self.value(node.slice)
        return index if isinstance(index, tuple) else (index,)

    def _part(self, array: Array, bounds: ast.Slice) -> Array:
        if len(array.shape) > 1 or bounds.step is not None:
            raise SyntaxError("a kernel slices arrays of one axis, without a step")
        start = long(0) if bounds.lower is None else self.converted(self.value(bounds.lower), LONG)
        end = array.shape[0] if bounds.upper is None else self.converted(self.value(bounds.upper), LONG)
        return Array(self.builder.gep(array.start, [start]), (self.subtract(end, start),))

    def _binop(self, node: ast.BinOp) -> ir.Value:
        return self.binary(type(node.op).__name__, self.value(node.left), self.value(node.right))

    def _unaryop(self, node: ast.UnaryOp) -> ir.Value:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return self.builder.not_(self.truth(value))
        if not isinstance(node.op, ast.USub):
            raise SyntaxError(f"a kernel cannot use {ast.unparse(node)}")
        return self.negative(value)

    def _compare(self, node: ast.Compare) -> ir.Value:
        if len(node.ops) > 1:
            raise SyntaxError(f"a kernel compares two values at a time, not {ast.unparse(node)}")
        return self.compared(_SIGNS[type(node.ops[0]).__name__], self.value(node.left), self.value(node.comparators[0]))

    def _boolop(self, node: ast.BoolOp) -> ir.Value:
        """``and``, ``or``: what stands behind the deciding value is not evaluated, since it may read out of bounds."""
        slot, after = self.reserve.alloca(BOOL), self.new_block("decided")
        for operand in node.values:
            value = self.truth(self.value(operand))
            self.builder.store(value, slot)
            if operand is not node.values[-1]:
                following = self.new_block("undecided")
                self.builder.cbranch(
                    value, *((following, after) if isinstance(node.op, ast.And) else (after, following))
                )
                self.builder.position_at_end(following)
        self.go_on_at(after)
        return self.builder.load(slot)

    def _ifexp(self, node: ast.IfExp) -> ir.Value:
        """``a if test else b``: only the chosen one is evaluated."""
        starts = then, other = self.new_block("then"), self.new_block("else")
        self.builder.cbranch(self.truth(self.value(node.test)), then, other)
        values, ends = [], []
        for start, choice in zip(starts, (node.body, node.orelse), strict=True):
            self.builder.position_at_end(start)
            values.append(self.value(choice))
            ends.append(self.builder.block)
        kind = self.common(*values)
        after, slot = self.new_block("after"), self.reserve.alloca(kind)
        for end, value in zip(ends, values, strict=True):
            self.builder.position_at_end(end)
            self.builder.store(self.converted(value, kind), slot)
            self.builder.branch(after)
        self.builder.position_at_end(after)
        return self.builder.load(slot)

    # Calls

    def _call(self, node: ast.Call) -> Value:
        function = self._callee(node.func)
        if node.keywords:
            raise SyntaxError(f"a kernel calls with positions alone, not {ast.unparse(node)}")
        if isinstance(function, str):
            return self._view(function, node)
        if function in (np.empty, np.zeros):
            shape = self.value(node.args[0])
            lengths = shape if isinstance(shape, tuple) else (shape,)
            return self.memory(lengths, self._dtype(node.args[1]), is_cleared=function is np.zeros)
        arguments = [self.value(argument) for argument in node.args]
        if isinstance(function, Operation):
            return self._operation(function, arguments)
        if function in _DTYPES:
            return self.converted(arguments[0], _DTYPES[function])
        if function in (min, max):
            return self.extreme("<" if function is min else ">", arguments)
        if function is len:
            return arguments[0].shape[0]
        if function is abs:
            return self.absolute(arguments[0])
        if function in _MATHS:
            return self.mathematical(_MATHS[function], arguments[0])
        if inspect.isfunction(function):
            return self._inlined(function, arguments)
        raise SyntaxError(f"a kernel cannot call {ast.unparse(node.func)}")

    def _callee(self, node: ast.expr) -> Any:
        """What is called: an object, or a method's name."""
        found = None
        if isinstance(node, ast.Name):
            found = self.names.get(node.id, _BUILTINS.get(node.id))
        elif isinstance(node, ast.Attribute):
            module = self._module(node.value)
            found = node.attr if module is None else getattr(module, node.attr)
        if found is None:
            raise SyntaxError(f"a kernel cannot call {ast.unparse(node)}")
        return found

    def _view(self, name: str, node: ast.Call) -> Array:
        """``array.view(dtype)``, of elements of the same size."""
        assert isinstance(node.func, ast.Attribute)
        array = self.value(node.func.value)
        if name != "view" or not isinstance(array, Array):
            raise SyntaxError(f"a kernel cannot call {ast.unparse(node.func)}")
        return Array(self.builder.bitcast(array.start, self._dtype(node.args[0]).as_pointer()), array.shape)

    def _dtype(self, node: ast.expr) -> ir.Type:
        if isinstance(node, ast.Attribute) and node.attr == "dtype":
            return self.value(node.value).element
        found = self._callee(node)
        if found not in _DTYPES:
            raise SyntaxError(f"a kernel's arrays cannot hold {ast.unparse(node)}")
        return _DTYPES[found]

    def _operation(self, operation: Operation, arguments: Sequence[Value]) -> Value:
        if len(arguments) != len(operation.arguments):
            raise TypeError(f"{operation.name} takes {len(operation.arguments)} arguments, got {len(arguments)}")
        pairs = zip(operation.arguments, arguments, strict=True)
        values = [value.start if kind is None else self.converted(value, kind) for kind, value in pairs]
        return operation.emit(self.builder, values)

    def _inlined(self, function: Callable[..., Any], arguments: Sequence[Value]) -> Value:
        """Write a function out at its call."""
        tree = tree_of(function)
        *body, last = tree.body
        outside = self.names, self.variables
        self.names, self.variables = function.__globals__, {}
        for argument, value in zip(tree.args.args, arguments, strict=True):
            self.set(argument.arg, value)
        self.block(body)
        result: Value = None
        if isinstance(last, ast.Return) and last.value is not None:
            result = self.value(last.value)
        else:
            self.block([last])
        self.names, self.variables = outside
        return result
