"""Reads stored values back as what they were written as: a damaged database holds anything."""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from ..errors import StoreError
from .files import damaged, translated

_P = ParamSpec("_P")
_T = TypeVar("_T")
# What values of another type or form than the one that was written cause where they are used.
_CONSEQUENCES = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError)


class _InFolder(Protocol):
    @property
    def folder(self) -> Path: ...


_S = TypeVar("_S", bound=_InFolder)


def mapping(text: Any) -> dict[str, Any]:
    """A stored JSON object.

    Raises:
        ValueError: It is none.
    """
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"no object: {str(text)[:40]}")
    return value


def blob(value: Any) -> bytes:
    """Stored bytes.

    Raises:
        TypeError: They are none.
    """
    if not isinstance(value, bytes):
        raise TypeError(f"no bytes: {str(value)[:40]}")
    return value


def numbers(row: sqlite3.Row, *names: str) -> dict[str, Any]:
    """A row's numbers by column, ``None`` where there is none.

    Raises:
        TypeError: One is no number.
    """
    values = {name: row[name] for name in names}
    sum(value for value in values.values() if value is not None)
    return values


@contextlib.contextmanager
def intact(folder: Path) -> Iterator[None]:
    """Whatever stored values cause that are not what was written becomes a sentence.

    Raises:
        StoreError: The database is damaged.
    """
    try:
        with translated(folder):
            yield
    except StoreError:  # some are ValueErrors or KeyErrors too
        raise
    except _CONSEQUENCES as error:
        what = f"the store's database is damaged: a value is not what was written ({type(error).__name__}: {error})"
        raise damaged(folder, what) from error


def whole(method: Callable[Concatenate[_S, _P], _T]) -> Callable[Concatenate[_S, _P], _T]:
    """A method that reads the store, with damage as a StoreError."""

    @functools.wraps(method)
    def read(self: _S, *values: _P.args, **named: _P.kwargs) -> _T:
        with intact(self.folder):
            return method(self, *values, **named)

    return cast(Callable[Concatenate[_S, _P], _T], read)
