"""Reads Keras models from scripts and notebooks, which are parsed and never run."""

from __future__ import annotations

import ast
from pathlib import Path

from ..errors import DataError, Problem, SpecError
from .code import Code, read_code
from .draft import Draft
from .reader import Reader
from .torch_source import torch_problem


def read_source(path: Path) -> list[Draft]:
    """The Sequential models of literal layers in a ``.py`` or ``.ipynb`` file, as studies in the making.

    Raises:
        DataError: The file cannot be read, or is no Python.
        SpecError: There is no such model in it, a layer has no words here, or something would have to be run, for which
            ``assay convert --run`` is named; of a file with PyTorch modules, how a study names them.
    """
    file = str(path)
    code = read_code(path)
    try:
        if (problem := pytorch_problem(path, code)) is not None:
            raise SpecError(problem)
        drafts = Reader(file).read(code.statements)
    except (RecursionError, MemoryError, ValueError) as error:
        what = f"its code cannot be read ({type(error).__name__})"
        raise DataError(Problem(what, "give a simpler file", file=file)) from None
    drafts[0].notes[:0] = code.notes
    return drafts


def pytorch_problem(path: Path, code: Code) -> Problem | None:
    """What to say of a file of PyTorch: its modules, and how a study names them; ``None`` for any other.

    Args:
        path: The file.
        code: Its statements.
    """
    tree = ast.Module([statement.tree for statement in code.statements], [])
    return None if _names_keras(tree) else torch_problem(tree, path, _places(code))


def _places(code: Code) -> dict[str, str]:
    """Where the classes of a notebook stand."""
    return {
        statement.tree.name: statement.place
        for statement in code.statements
        if isinstance(statement.tree, ast.ClassDef) and statement.place.startswith("cell")
    }


def _names_keras(tree: ast.Module) -> bool:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return any(name in ast.unparse(node) for node in imports for name in ("keras", "tensorflow"))
