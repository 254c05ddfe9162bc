"""Looks data sets up by name."""

from __future__ import annotations

from ...errors import Problem, SpecError, nearest
from .catalogue import ENTRIES
from .entries import Entry

_ENTRIES = {item.name: item for item in ENTRIES}


def known() -> tuple[str, ...]:
    """Names of all data sets in the registry."""
    return tuple(_ENTRIES)


def entry(name: str) -> Entry:
    """The data set of that name.

    Raises:
        SpecError: There is none.
    """
    if name not in _ENTRIES:
        raise SpecError(Problem(f'"{name}" is no known data set', nearest(name, known()), "data.name"))
    return _ENTRIES[name]
