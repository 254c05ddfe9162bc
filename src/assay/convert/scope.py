"""Names and plain values known at one place of source code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_MOST_NUMBER = 10**12
_OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}  # fmt: skip
_COMPARISONS: Mapping[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip


class Unknown(Exception):
    """A value that cannot be evaluated without running the code."""

    def __init__(self, node: ast.AST) -> None:
        self.text = ast.unparse(node)[:60]
        super().__init__(self.text)


@dataclass(eq=False)
class Building:
    """A model whose layers are being added; ``doubts`` is how many unsure blocks it was made in."""

    name: str
    line: int
    calls: list[tuple[ast.Call, Scope]]
    doubts: int = 0
    is_sure: bool = True


@dataclass(eq=False)
class Function:
    """A function of the file's own, read anew at each call."""

    name: str
    arguments: ast.arguments
    body: list[ast.stmt]
    scope: Scope
    defaults: dict[str, Any]
    is_called: bool = False
    is_sure: bool = True


@dataclass(eq=False)
class Scope:
    """Names that stand for plain values, for imported things and for models."""

    values: dict[str, Any] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    models: dict[str, Building] = field(default_factory=dict)
    custom: set[str] = field(default_factory=set)
    lists: dict[str, list[tuple[ast.Call, Scope]]] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)

    def inner(self) -> Scope:
        """What is known here, for statements that may come to know more."""
        return Scope(
            dict(self.values), dict(self.imported), dict(self.models), set(self.custom), dict(self.lists),
            dict(self.functions),
        )  # fmt: skip

    def back_to(self, other: Scope) -> None:
        """What was known before; imports and classes stay."""
        self.values, self.models = dict(other.values), dict(other.models)
        self.lists, self.functions = dict(other.lists), dict(other.functions)

    def forget(self, name: str) -> None:
        self.values.pop(name, None)
        self.models.pop(name, None)
        self.lists.pop(name, None)
        self.functions.pop(name, None)


def value_of(node: ast.expr, scope: Scope) -> Any:
    """A plain value: a constant, a name for one, a tuple or arithmetic of them.

    Raises:
        Unknown: It is something else.
    """
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return node.value
        case ast.Name() if node.id in scope.values:
            return scope.values[node.id]
        case ast.Tuple() | ast.List():
            return tuple(value_of(element, scope) for element in node.elts)
        case ast.UnaryOp(op=ast.USub()):
            value = value_of(node.operand, scope)
            if isinstance(value, int | float):
                return -value
        case ast.BinOp() if type(node.op) in _OPERATORS:
            left, right = value_of(node.left, scope), value_of(node.right, scope)
            if all(isinstance(side, int | float) and abs(side) < _MOST_NUMBER for side in (left, right)):
                try:
                    return _OPERATORS[type(node.op)](left, right)
                except ArithmeticError:
                    raise Unknown(node) from None
        case ast.Subscript(value=ast.Name() as name, slice=ast.Constant(value=int() as index)):
            values = scope.values.get(name.id)
            if isinstance(values, tuple) and -len(values) <= index < len(values):
                return values[index]
    raise Unknown(node)


def truth_of(node: ast.expr, scope: Scope) -> bool | None:
    """Whether a condition of plain values holds; ``None`` if that is not known."""
    try:
        match node:
            case ast.UnaryOp(op=ast.Not()):
                truth = truth_of(node.operand, scope)
                return None if truth is None else not truth
            case ast.Compare(ops=[comparison], comparators=[right]) if type(comparison) in _COMPARISONS:
                sides = value_of(node.left, scope), value_of(right, scope)
                is_plain = not any(isinstance(side, tuple) for side in sides)
                return bool(_COMPARISONS[type(comparison)](*sides)) if is_plain else None
        return bool(value_of(node, scope))
    except (Unknown, TypeError):
        return None


def iterated(node: ast.expr, scope: Scope) -> Sequence[Any] | None:
    """The plain values that a loop goes over; ``None`` if they are not known."""
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            bounds = [value_of(argument, scope) for argument in node.args]
            is_plain = 1 <= len(bounds) <= 3 and all(
                isinstance(bound, int) and abs(bound) < _MOST_NUMBER for bound in bounds
            )
            return range(*bounds) if is_plain and bounds[2:] != [0] else None
        values = value_of(node, scope)
    except Unknown:
        return None
    return values if isinstance(values, tuple) else None


def called_name(node: ast.expr, scope: Scope) -> str:
    """The last name of what is called, as it is called where it comes from."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return scope.imported.get(node.id, node.id) if isinstance(node, ast.Name) else ""
