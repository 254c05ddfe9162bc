"""Which names Python statements assign or change, from their syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

# Methods that change the list or model that they are called on.
CHANGES = ("add", "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse")


def within(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All that stands in statements, but for the bodies of functions and classes in them."""
    for node in nodes:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from within(list(ast.iter_child_nodes(node)))


def targets(node: ast.AST) -> Iterator[str]:
    """The names that an assignment to this changes."""
    match node:
        case ast.Name():
            yield node.id
        case ast.Subscript() | ast.Attribute() | ast.Starred():
            yield from targets(node.value)
        case ast.Tuple() | ast.List():
            for element in node.elts:
                yield from targets(element)
        case ast.pattern():
            yield from assigned_in([node])


def assigned_in(nodes: Sequence[ast.AST]) -> set[str]:
    names: set[str] = set()
    for node in within(nodes):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                names.add(node.id)
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                names |= set(targets(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.alias():
                names.add((node.asname or node.name).split(".")[0])
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
                names.add(node.name)
            case ast.MatchMapping() if node.rest:
                names.add(node.rest)
            case ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr=method)) if method in CHANGES[1:]:
                names.add(owner.id)
    return names


def changed_elsewhere(node: ast.AST) -> Iterator[str]:
    """Names that are assigned in the middle of expressions or from inside functions: never known."""
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    elif isinstance(node, ast.NamedExpr):
        yield node.target.id


def makes_models(nodes: Sequence[ast.AST]) -> bool:
    return any(
        isinstance(inner, ast.Call)
        and (getattr(inner.func, "id", "") == "Sequential" or getattr(inner.func, "attr", "") in ("Sequential", "add"))
        for node in nodes
        for inner in ast.walk(node)
    )
