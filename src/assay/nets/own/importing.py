"""Imports the class of a module of one's own from the bytes that were hashed."""

from __future__ import annotations

import importlib.util
import sys
import threading
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

from ...errors import Problem, SpecError
from ...spec import OwnCall
from .source import Source, SourceFile, no_class

_KEY = "layers[0]"
_LOCK = threading.RLock()
_modules: dict[str, types.ModuleType] = {}  # by the SHA-256 of their source


def class_of(source: Source, call: OwnCall) -> Any:
    """The class (or function) that a call names.

    Files of the folder are imported from the bytes in ``source``, so that what runs is what was hashed; afterwards
    ``sys.modules`` is as it was, but for the named file under a name of its own.

    Raises:
        SpecError: Importing fails, or there is no such class.
    """
    with _LOCK:
        module = _modules.get(source.sha256)
        if module is None:
            module = _modules[source.sha256] = _imported(source)
    found = getattr(module, call.name, None)
    if not callable(found):
        import torch

        names = [
            name
            for name, value in vars(module).items()
            if (isinstance(value, type) and issubclass(value, torch.nn.Module))
            or (callable(value) and getattr(value, "__module__", None) == module.__name__)
        ]
        raise SpecError(no_class(source, call, sorted(names)))
    return found


def value_of(source: Source, call: OwnCall, *args: Any) -> Any:
    """What a call gives: a class's object, a function's result, or the function itself where it is only named.

    Args:
        source: Its code.
        call: The class or function, and its arguments.
        args: Further arguments, before its own.

    Raises:
        SpecError: Importing or calling it fails, or there is no such name.
    """
    found = class_of(source, call)
    if call.arguments is None and not isinstance(found, type):
        return found
    try:
        return found(*args, *call.args, **call.kwargs)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = f"{call.call} in {source.entry.path} cannot be made: {reason_of(error)}"
        raise SpecError(Problem(what, "correct it", _KEY)) from error


def _imported(source: Source) -> types.ModuleType:
    finder = _Finder(source)
    tops = {file.module.split(".")[0] for file in source.files}
    name = f"assay_own_{source.sha256[:16]}"
    held = {known: sys.modules.pop(known) for known in list(sys.modules) if known.split(".")[0] in tops}
    sys.meta_path.insert(0, finder)
    try:
        module_spec = importlib.util.spec_from_loader(name, finder, origin=finder.place(source.entry))
        if module_spec is None:
            raise ImportError(name)
        module = importlib.util.module_from_spec(module_spec)
        sys.modules[name] = module  # dataclasses and torch look their module up
        finder.run(source.entry, module)
        return module
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        sys.modules.pop(name, None)
        what = f"{source.entry.path} cannot be imported: {reason_of(error)}"
        raise SpecError(Problem(what, "correct it, or install what it needs", _KEY)) from error
    finally:
        sys.meta_path.remove(finder)
        for known in [known for known in sys.modules if known.split(".")[0] in tops]:
            del sys.modules[known]
        sys.modules.update(held)


def reason_of(error: BaseException) -> str:
    """An exception as part of a sentence."""
    text = " ".join(str(error).split())[:300].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class _Finder(MetaPathFinder, Loader):
    """Answers imports of the folder's files with the bytes that were read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._files: dict[str, SourceFile | None] = {file.module: file for file in source.files}
        for name in list(self._files):
            parts = name.split(".")
            for stop in range(1, len(parts)):  # folders without an __init__.py
                self._files.setdefault(".".join(parts[:stop]), None)

    def place(self, file: SourceFile) -> str:
        return str(self._source.folder / file.path)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._files:
            return None
        file = self._files[fullname]
        origin = None if file is None else self.place(file)
        is_package = file is None or file.is_package
        return importlib.util.spec_from_loader(fullname, self, origin=origin, is_package=is_package)

    def exec_module(self, module: types.ModuleType) -> None:
        file = self._files[module.__name__]
        if file is not None:
            self.run(file, module)

    def run(self, file: SourceFile, module: types.ModuleType) -> None:
        module.__file__ = self.place(file)
        exec(compile(file.content, module.__file__, "exec", dont_inherit=True), vars(module))
