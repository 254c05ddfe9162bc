"""What single statements of a file change and call."""

from __future__ import annotations

import ast
from typing import Any

_CHANGES = ("add", "append", "extend", "insert", "update", "pop", "compile", "remove", "clear", "set_weights")


def names_changed(tree: ast.stmt) -> set[str]:
    """Names that a statement assigns, or whose values it changes: what they hold is not known where it fails."""
    names: set[str] = set()
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= _owner(node.value)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            names |= _owner(node.func.value)
        stack += ast.iter_child_nodes(node)
    return names


def _owner(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def calls_fit(tree: ast.stmt) -> bool:
    """Whether a statement itself fits a model."""
    if isinstance(tree, ast.FunctionDef | ast.ClassDef):
        return False
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Attribute) and call.attr in ("fit", "fit_generator") for call in calls)
