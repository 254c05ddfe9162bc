"""What names and expressions of source code literally say; whatever only running would give is unknown."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_NUMBER = 10**12
_MOST_VALUES = 100
_OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}  # fmt: skip
_KERAS = ("tensorflow.python.keras", "tensorflow.compat.v1.keras", "tensorflow.keras", "tf_keras", "keras.api")


class Unknown(Exception):
    """A value that cannot be seen without running the code."""

    def __init__(self, node: ast.AST) -> None:
        self.node = node
        self.text = ast.unparse(node)[:60]
        super().__init__(self.text)


@dataclass
class Names:
    """What names stand for at one place of a file.

    Args:
        values: Plain values.
        imported: Full names of imported modules, classes and functions, as today's Keras spells them.
        calls: Calls that made something, such as an optimizer.
        stars: Modules whose names are all imported.
        shadowed: Names that stood for something of the file's own.
    """

    values: dict[str, Any] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    calls: dict[str, ast.Call] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    shadowed: set[str] = field(default_factory=set)

    def forget(self, name: str) -> None:
        self.shadowed.add(name)
        for known in (self.values, self.imported, self.calls):
            known.pop(name, None)

    def add_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom) and alias.name == "*":
                self.stars.append(today(node.module or ""))
                continue
            own = alias.asname or alias.name.split(".")[0]
            full = f"{node.module or ''}.{alias.name}" if isinstance(node, ast.ImportFrom) else (
                alias.name if alias.asname else own
            )  # fmt: skip
            self.forget(own)
            self.imported[own] = today(full) if not (isinstance(node, ast.ImportFrom) and node.level) else f".{full}"

    def has_star(self, name: str, *modules: str) -> bool:
        """Whether a bare name is one that a star imports from one of these modules."""
        return name not in self.shadowed and any(star in modules for star in self.stars)

    def full_name(self, node: ast.expr) -> str:
        """The full name of an imported thing, such as ``keras.layers.Dense``; empty for anything else."""
        if isinstance(node, ast.Attribute):
            owner = self.full_name(node.value)
            return today(f"{owner}.{node.attr}") if owner else ""
        return self.imported.get(node.id, "") if isinstance(node, ast.Name) else ""


def today(name: str) -> str:
    """A module's or class's name as Keras 3 spells it."""
    for prefix in _KERAS:
        if name == prefix or name.startswith(f"{prefix}."):
            return f"keras{name.removeprefix(prefix)}"
    return name


def value_of(node: ast.expr, names: Names, depth: int = 0) -> Any:
    """A plain value: a constant, a name for one, arithmetic, or a short tuple or list of such.

    Raises:
        Unknown: It is something else.
    """
    if depth > 20:
        raise Unknown(node)
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return node.value
        case ast.Name() if node.id in names.values:
            return names.values[node.id]
        case ast.Tuple() | ast.List():
            values = tuple(value_of(element, names, depth + 1) for element in node.elts)
            if _size(values) > _MOST_VALUES:
                raise Unknown(node)
            return values
        case ast.UnaryOp(op=ast.USub()):
            value = value_of(node.operand, names, depth + 1)
            if isinstance(value, int | float):
                return -value
        case ast.BinOp() if type(node.op) in _OPERATORS:
            left, right = value_of(node.left, names, depth + 1), value_of(node.right, names, depth + 1)
            if all(isinstance(side, int | float) and abs(side) < _MOST_NUMBER for side in (left, right)):
                try:
                    return _OPERATORS[type(node.op)](left, right)
                except ArithmeticError:
                    raise Unknown(node) from None
    raise Unknown(node)


def _size(value: Any) -> int:
    return sum(map(_size, value)) + 1 if isinstance(value, tuple) else 1


def names_stored(tree: ast.AST) -> set[str]:
    """Names that a statement assigns, or whose elements or attributes it assigns, functions' bodies included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                names.add(node.id)
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                names |= owner(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.alias():
                names.add((node.asname or node.name).split(".")[0])
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
                names.add(node.name)
            case ast.MatchMapping() if node.rest:
                names.add(node.rest)
    return names


def owner(node: ast.AST) -> set[str]:
    """The name at the beginning of ``a.b[0].c``."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
