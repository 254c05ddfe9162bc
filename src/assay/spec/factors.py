"""Factors, their levels, and the placeholders that levels replace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Scalar = bool | int | float | str
PLACEHOLDER = re.compile(r"\{(\w+)(?:\.(\w+))?\}")


def placeholders(value: Any) -> set[str]:
    """Names of all factors that a layer list, table or string refers to."""
    if isinstance(value, str):
        return {match[1] for match in PLACEHOLDER.finditer(value)}
    if isinstance(value, Mapping):
        value = value.values()
    if isinstance(value, Iterable):
        return {name for item in value for name in placeholders(item)}
    return set()


def level_name(level: Any) -> str:
    """How a level is written in an arm's name."""
    return f"{level:g}" if isinstance(level, float) else str(level).lower() if isinstance(level, bool) else str(level)


def levels_of(factor: Any) -> dict[str, Any]:
    """A factor's levels by name: a list of scalars, or a table of named levels."""
    return dict(factor) if isinstance(factor, Mapping) else {level_name(level): level for level in factor}


def substitute(value: Any, levels: Mapping[str, Any]) -> Any:
    """The value with every placeholder replaced by the level of its factor.

    ``"{x}"`` alone takes the level with its type; inside a longer string it is written into the string. In a
    list, a level that is a list takes the place of its line, so that one line can become none or several.
    ``"{x.field}"`` takes a field of a level that is a table.

    Raises:
        KeyError: A placeholder names no factor, or no field of its level.
    """
    if isinstance(value, str):
        whole = PLACEHOLDER.fullmatch(value)
        if whole:
            return _level(whole, levels)
        return PLACEHOLDER.sub(lambda match: level_name(_level(match, levels)), value).strip()
    if isinstance(value, Mapping):
        return {key: substitute(item, levels) for key, item in value.items()}
    if isinstance(value, list | tuple):
        lines: list[Any] = []
        for item in value:
            line = substitute(item, levels)
            if isinstance(line, list | tuple) and isinstance(item, str):
                lines.extend(line)
            else:
                lines.append(line)
        return lines
    return value


def _level(match: re.Match[str], levels: Mapping[str, Any]) -> Any:
    level = levels[match[1]]
    if match[2] is None:
        return level
    if not isinstance(level, Mapping) or match[2] not in level:
        raise KeyError(match[0])
    return level[match[2]]


def source_path(value: Any, path: Sequence[int | str], levels: Mapping[str, Any]) -> list[int | str]:
    """Where a path into ``substitute(value, levels)`` points in ``value`` itself: at the placeholder, behind one."""
    if not path:
        return []
    part, *rest = path
    if isinstance(value, Mapping) and part in value:
        return [part, *source_path(value[part], rest, levels)]
    if not isinstance(value, list | tuple) or not isinstance(part, int):
        return []
    first = 0
    for index, item in enumerate(value):
        line = substitute(item, levels)
        is_spliced = isinstance(item, str) and isinstance(line, list | tuple)
        first += len(line) if is_spliced else 1
        if part < first:
            return [index, *([] if is_spliced else source_path(item, rest, levels))]
    return []
