"""Reads Keras models from scripts and notebooks, which are parsed and never run."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from ..disk import disk_errors, regular_file
from ..errors import DataError, Problem, SpecError
from .reader import Reader, Source
from .scope import Scope
from .torch_source import torch_problem

_MOST_BYTES = 1 << 24


def read_source(path: Path) -> Source:
    """The Sequential models in a ``.py`` or ``.ipynb`` file.

    Both styles are read: ``Sequential([...])`` and ``model.add(...)``. Names, tuples and arithmetic that stand for
    plain values are evaluated; a setting made of anything else is an error with its line.

    Raises:
        DataError: The file cannot be read, or is no Python.
        SpecError: There is no Sequential model in it, or a layer has no words here; of a file with PyTorch modules, how
            a study names them.
    """
    file = str(path)
    with disk_errors(path, "read"), regular_file(path) as opened:
        content = opened.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise DataError(Problem(f"it has more than {_MOST_BYTES:,} bytes", "give the code alone", file=file))
    code = _cells(content, file) if path.suffix.lower() == ".ipynb" else content.decode("utf-8", errors="replace")
    try:
        tree = ast.parse(code)
        if (problem := torch_problem(tree, path)) is not None and not _names_keras(tree):
            raise SpecError(problem)
        reader = Reader(file, tree)
        reader.block(tree.body, Scope({"__name__": "__main__"}))
        return reader.finished()
    except SyntaxError as error:
        what = f"it is no Python ({error.msg})"
        raise DataError(Problem(what, "give a script or notebook that runs", file=file, line=error.lineno)) from None
    except (RecursionError, MemoryError, ValueError) as error:
        what = f"its code cannot be read ({type(error).__name__})"
        raise DataError(Problem(what, "give a simpler file", file=file)) from None


def _names_keras(tree: ast.Module) -> bool:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return any(name in ast.unparse(node) for node in imports for name in ("keras", "tensorflow"))


def _cells(content: bytes, file: str) -> str:
    """A notebook's code, each cell behind the other; what is no Python (magics, shell lines) is left out."""
    try:
        cells = json.loads(content)["cells"]
        texts = []
        for cell in cells:
            if cell.get("cell_type") == "code":
                text = cell["source"]
                lines = (text if isinstance(text, str) else "".join(text)).split("\n")
                if not lines[0].startswith("%%"):
                    texts += ["pass" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(Problem("it is no notebook", "save it again as .ipynb", file=file)) from None
    return "\n".join(texts)
