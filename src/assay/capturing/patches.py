"""Replaces attributes of classes and modules for a while, and waits for modules that are not imported yet."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import inspect
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

_ABSENT = object()


def in_place_of(original: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Gives a function the name and signature of the one that it replaces: Keras reads those of its constructors."""

    def named(function: Callable[..., Any]) -> Callable[..., Any]:
        functools.update_wrapper(function, original)
        function.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
        return function

    return named


class Patches:
    """Attributes that are replaced until ``undo``."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Gives a class or module this attribute in place of its own or its parent's."""
        self._before.append((owner, name, vars(owner).get(name, _ABSENT)))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Everything as it was before."""
        for owner, name, value in reversed(self._before):
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        self._before.clear()


class WhenImported(importlib.abc.MetaPathFinder):
    """Calls a function with each of some modules, once it is imported; at once with those that are already.

    Args:
        names: Of the modules.
        action: Called with the module.
    """

    def __init__(self, names: Sequence[str], action: Callable[[ModuleType], object]) -> None:
        self._names, self._action = set(names), action

    def start(self) -> None:
        present = [sys.modules[name] for name in sorted(self._names) if name in sys.modules]
        sys.meta_path.insert(0, self)
        for module in present:
            self._action(module)

    def stop(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Calling(spec.loader, self._imported)
                return spec  # type: ignore[no-any-return]
        return None

    def _imported(self, module: ModuleType) -> None:
        """Once it is whole: a first try may fail, as where Keras and TensorFlow import each other."""
        self._names.discard(module.__name__)
        self._action(module)


class _Calling(importlib.abc.Loader):
    def __init__(self, loader: Any, action: Callable[[ModuleType], object]) -> None:
        self._loader, self._action = loader, action

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._action(module)
