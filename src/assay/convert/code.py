"""Splits scripts and notebooks into statements, with the cell and line of each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..disk import disk_errors, regular_file
from ..errors import DataError, Problem
from .notebook import MOST_CODE, code_cells, too_much_code

_HARMLESS_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")


@dataclass(frozen=True)
class Statement:
    """One statement of the file's own level.

    Args:
        tree: Its syntax.
        filename: What Python is told to call its file: ``<cell 4>``, or the script's path.
        place: Its cell and line, or file and line.
        text: Its first line.
        prefix: Its place without the line.
    """

    tree: ast.stmt
    filename: str
    place: str
    text: str
    prefix: str

    def at(self, node: ast.AST) -> str:
        """The place of something in it."""
        return f"{self.prefix}{getattr(node, 'lineno', self.tree.lineno)}"


@dataclass(frozen=True)
class Code:
    """A file's statements.

    Args:
        statements: In order.
        notes: What was left out, a sentence each.
    """

    statements: tuple[Statement, ...]
    notes: tuple[str, ...]


def placed(problem: Problem, file: str) -> Problem:
    """A problem with its file, unless its place names that already: ``train.py:12``."""
    names_it = (problem.key or problem.what).startswith(f"{Path(file).name}:")
    return problem if names_it else problem.at(file=file)


def read_code(path: Path) -> Code:
    """The statements of a ``.py`` or ``.ipynb`` file.

    Raises:
        DataError: The file cannot be read, or a script is no Python.
    """
    file = str(path)
    if path.suffix.lower() == ".ipynb":
        return _notebook(code_cells(path))
    with disk_errors(path, "read"), regular_file(path) as opened:
        content = opened.read(MOST_CODE + 1)
    if len(content) > MOST_CODE:
        raise too_much_code(file)
    text = content.decode("utf-8", errors="replace")
    try:
        tree = ast.parse(text, file)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = f"it is no Python ({getattr(error, 'msg', type(error).__name__)})"
        line = getattr(error, "lineno", None)
        raise DataError(Problem(what, "give a script or notebook that runs", file=file, line=line)) from None
    return Code(tuple(_statements(tree.body, str(path.absolute()), f"{path.name}:", text)), ())


def _notebook(sources: Sequence[str]) -> Code:
    statements: list[Statement] = []
    notes: list[str] = []
    left_out: list[str] = []
    for number, source in enumerate(sources, start=1):
        text, commands = without_commands(source)
        left_out += [f"{command} (cell {number}, line {line})" for line, command in commands]
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            at = getattr(error, "lineno", None) or 1
            what = getattr(error, "msg", type(error).__name__)
            notes.append(f"cell {number}, line {at}: the cell is no Python ({what}) and is left out.")
            continue
        statements += _statements(tree.body, f"<cell {number}>", f"cell {number}, line ", text)
    if left_out:
        shown = "; ".join(left_out[:4]) + (f"; and {len(left_out) - 4} more" if len(left_out) > 4 else "")
        notes.append(f"Shell and magic commands are left out: {shown}.")
    return Code(tuple(statements), tuple(notes))


def without_commands(source: str) -> tuple[str, list[tuple[int, str]]]:
    """A cell's code with IPython's commands replaced by ``pass``, and those commands with their lines."""
    lines = source.split("\n")
    commands: list[tuple[int, str]] = []
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%"):
        if not first.startswith(_HARMLESS_MAGICS):
            return "", [(1, first[:60])]
        lines[lines.index(next(line for line in lines if line.strip()))] = ""
    kept: list[str] = []
    is_continued = False
    for number, line in enumerate(lines, start=1):
        stripped = line.lstrip()
        assigned = re.match(r"\s*\w+\s*=\s*[!%]\s*\w", line)
        is_command = stripped.startswith(("%", "!", "?")) or (stripped.rstrip().endswith("?") and "#" not in stripped)
        if is_continued:
            kept.append("")
            is_continued = line.rstrip().endswith("\\")
        elif is_command or assigned:
            commands.append((number, stripped.strip()[:60]))
            kept.append(f"{line[: len(line) - len(stripped)]}pass")
            is_continued = line.rstrip().endswith("\\")
        else:
            kept.append(line)
    return "\n".join(kept), commands


def _statements(body: list[ast.stmt], filename: str, prefix: str, text: str) -> Iterator[Statement]:
    lines = text.split("\n")
    for tree in body:
        if isinstance(tree, ast.If) and _is_main(tree.test):
            yield from _statements(tree.body, filename, prefix, text)
            continue
        line = lines[tree.lineno - 1].strip() if tree.lineno <= len(lines) else ""
        yield Statement(tree, filename, f"{prefix}{tree.lineno}", line[:80], prefix)


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"
