"""PyTorch modules in scripts and notebooks: what there is, and how a study names it. Code is parsed and never run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ..errors import Problem, SpecError
from ..spec.module import WORD
from ..spec.own import read_call

_BASES = ("nn.Module", "torch.nn.Module", "Module", "pl.LightningModule", "L.LightningModule", "LightningModule")
_TRAINS = "; what trains it (optimizer, loss, epochs, transforms) is written under [training] and [data]"


@dataclass(frozen=True)
class TorchModule:
    """A class that extends ``nn.Module``.

    Args:
        name: The class.
        line: Where it stands.
        call: How it is made: as the file makes it, or with its arguments that have no default as ``...``.
        is_part: Whether another module of the file is made of it.
    """

    name: str
    line: int
    call: str
    is_part: bool


def torch_modules(tree: ast.Module) -> tuple[TorchModule, ...]:
    """The classes of a file that extend ``torch.nn.Module``, directly or by another one of the file."""
    classes: dict[str, ast.ClassDef] = {}
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        names = [ast.unparse(base) for base in node.bases]
        if any(name in (*_BASES, *classes) for name in names):
            classes[node.name] = node
    parts = {
        call.func.id
        for owner in classes.values()
        for call in _calls(owner)
        if isinstance(call.func, ast.Name) and call.func.id != owner.name
    }
    return tuple(
        TorchModule(name, node.lineno, _call_of(name, node, tree, classes), name in parts)
        for name, node in classes.items()
    )


def torch_problem(tree: ast.Module, path: Path, places: Mapping[str, str] = MappingProxyType({})) -> Problem | None:
    """What to say of a file of PyTorch; ``None`` for any other.

    Args:
        tree: Its code.
        path: The file.
        places: Where a class stands, in a notebook.
    """
    modules = torch_modules(tree)
    if not modules:
        if not _imports(tree, "torch"):
            return None
        fix = f'write the network as a class that extends nn.Module into a file, and name it: {WORD} "FILE.py:CLASS()"'
        return Problem("this is PyTorch, and it defines no module of its own", fix, file=str(path))
    found = ", ".join(f"{module.name} ({places.get(module.name, f'line {module.line}')})" for module in modules)
    named = [module for module in modules if not module.is_part] or list(modules)
    file = f"{path.stem}.py"
    lines = " or ".join(f"layers = ['{WORD} \"{file}:{module.call}\"']" for module in named[:3])
    fix = f"name one in a study file beside it, {lines}"
    if path.suffix.lower() == ".ipynb":
        fix = f"write the class and its imports into {file} (%%writefile {file} above the cell), and {fix}"
    elif (line := _runs_at(tree)) is not None:
        fix += f"; what line {line} does would run with every import: put it below `if __name__ == '__main__':`"
    return Problem(f"it holds no Keras model, and PyTorch modules: {found}", fix + _TRAINS, file=str(path))


def _imports(tree: ast.Module, package: str) -> bool:
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(name.partition(".")[0] == package for name in names)


def _calls(node: ast.AST) -> list[ast.Call]:
    return [inner for inner in ast.walk(node) if isinstance(inner, ast.Call)]


def _call_of(name: str, node: ast.ClassDef, tree: ast.Module, classes: dict[str, ast.ClassDef]) -> str:
    """The first call of the class with plain values outside of the classes, or what its constructor needs."""
    inside = {id(call) for owner in classes.values() for call in _calls(owner)}
    for call in _calls(tree):
        if id(call) not in inside and isinstance(call.func, ast.Name) and call.func.id == name:
            text = ast.unparse(call)
            try:
                read_call(f"file.py:{text}")
            except SpecError:  # an argument that only running would give
                continue
            return text
    made = next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)
    if made is None:
        return f"{name}()"
    given = made.args
    needed = given.args[1 : len(given.args) - len(given.defaults)]
    needed += [
        argument for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None
    ]
    return f"{name}({', '.join(f'{argument.arg}=...' for argument in needed)})"


_QUIET = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign)


def _runs_at(tree: ast.Module) -> int | None:
    """The first line at the top of a file that does more than define and assign: a loop, or a call for its effect."""
    for node in tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_guard = isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
        if not isinstance(node, (*_QUIET, ast.If, ast.Try)) and not is_text and not is_guard:
            return node.lineno
    return None
