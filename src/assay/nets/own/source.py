"""The source of a module of one's own: its file and the local files that it imports, read and hashed, never run."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ... import spec
from ...errors import Problem, SpecError, nearest
from ...spec import OwnCall

_KEY = "layers[0]"
_OURS = frozenset({*sys.stdlib_module_names, "assay", "numpy", "torch"})  # never taken from the user's folder
_MOST_FILES = 500


@dataclass(frozen=True)
class SourceFile:
    """One file.

    Args:
        module: Its name as other files import it; of the file that the study names, its own stem.
        path: Below the folder.
        content: As it was read.
    """

    module: str
    path: str
    content: bytes

    @property
    def is_package(self) -> bool:
        return Path(self.path).name == "__init__.py"


@dataclass(frozen=True)
class Source:
    """A file of the user's with the local files that it imports, directly or by others.

    Args:
        folder: Where they lie.
        files: The file that the study names, then the others by name.
    """

    folder: Path
    files: tuple[SourceFile, ...]

    @property
    def entry(self) -> SourceFile:
        return self.files[0]

    @property
    def sha256(self) -> str:
        """Of the contents: neither the folder's name nor the first file's counts."""
        others = {file.module: hashlib.sha256(file.content).hexdigest() for file in self.files[1:]}
        named = [hashlib.sha256(self.entry.content).hexdigest(), others]
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def read_source(path: Path, key: str = _KEY) -> Source:
    """A Python file with the files beside it and below that its imports name, followed through all of them.

    Imports that stand in functions count. Names of the standard library, torch, numpy and assay are never local files;
    any other name is, where the folder has a file or a package of it.

    Args:
        path: The file.
        key: Where the study names it.

    Raises:
        SpecError: There is no such file, it cannot be read, or is no Python.
    """
    try:
        return _read_source(path.absolute())
    except SpecError as error:
        raise SpecError(replace(problem, key=key) for problem in error.problems) from None


def _read_source(path: Path) -> Source:
    folder, seen = path.parent, {}
    entry = SourceFile(path.stem, path.name, _read(path))
    waiting = [entry]
    while waiting:
        file = waiting.pop()
        for name in _imported(file, is_entry=file is entry):
            local = None if name in seen or name == entry.module else _local(folder, name)
            if local is not None:
                seen[name] = local
                waiting.append(local)
        if len(seen) > _MOST_FILES:
            what = f"{path.name} imports more than {_MOST_FILES} files of its folder"
            raise SpecError(Problem(what, "put the module into a folder with what it needs", _KEY))
    return Source(folder, (entry, *(seen[name] for name in sorted(seen))))


def sourced(arm: spec.Arm) -> spec.Arm:
    """An arm whose parts of one's own are known by their source; parts whose source is known already stay as they are.

    Raises:
        SpecError: A file cannot be read.
    """

    def with_source(call: OwnCall, key: str) -> OwnCall:
        return call if call.source is not None else call.with_source(read_source(Path(call.file), key).sha256)

    return spec.with_calls(arm, with_source)


def no_class(source: Source, call: OwnCall, names: list[str]) -> Problem:
    fix = nearest(call.name, names) if names else "name the file that has it"
    return Problem(f'{source.entry.path} has no "{call.name}"', fix, _KEY)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        fix = "give its path from the study file's folder"
        raise SpecError(Problem(f"there is no file {path}", fix, _KEY)) from None
    except OSError as error:
        raise SpecError(Problem(f"{path} cannot be read ({error.strerror})", "give a Python file", _KEY)) from None


def _imported(file: SourceFile, *, is_entry: bool) -> Iterator[str]:
    """Dotted names that the file imports, and those that a ``from`` may mean, with their packages."""
    try:
        tree = ast.parse(file.content)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        what = f"{file.path} is no Python: {getattr(error, 'msg', error)}" + (f" (line {line})" if line else "")
        raise SpecError(Problem(what, "correct it", _KEY)) from None
    package = file.module.split(".") if file.is_package else file.module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            if node.level and not base:
                what = f"{file.path} imports from its own package (line {node.lineno}), and it is in none"
                raise SpecError(Problem(what, f"write from {node.module or '...'} import ... without the dot", _KEY))
            whole = ".".join([*base, *([node.module] if node.module else [])])
            yield from _parents(whole)
            for alias in node.names:
                yield f"{whole}.{alias.name}"


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for stop in range(1, len(parts) + 1):
        yield ".".join(parts[:stop])


def _local(folder: Path, name: str) -> SourceFile | None:
    parts = name.split(".")
    if parts[0] in _OURS or not all(parts):
        return None
    place = folder.joinpath(*parts)
    for path in (place / "__init__.py", place.with_name(f"{parts[-1]}.py")):
        if path.is_file():
            return SourceFile(name, path.relative_to(folder).as_posix(), _read(path))
    return None
