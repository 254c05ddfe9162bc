"""Looks up an arm by the name that a user typed."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Problem, SpecError, nearest
from .factors import level_name


def arm_name(name: str, known: Sequence[str], study: str) -> str:
    """The arm that is meant: its name as shown, or another way to write the same levels.

    Levels may come in any order, and numbers in any notation: ``"kernel=3x3, dropout=0.50"`` is
    ``"dropout=0.5, kernel=3x3"``.

    Args:
        name: The name as typed.
        known: The names of the study's arms.
        study: The study's name, for the message.

    Raises:
        SpecError: No arm, or more than one, is called so.
    """
    if name in known:
        return name
    alike = [arm for arm in known if _meaning(arm) == _meaning(name)]
    if len(alike) == 1:
        return alike[0]
    fix = f"name one of {', '.join(alike)}" if alike else _fix(name, known)
    raise SpecError(Problem(f'study "{study}" has no arm "{name}"', fix))


def _meaning(name: str) -> list[tuple[str, str]]:
    """The parts of a name in an order of their own, each with its number as a number."""
    parts = []
    for part in name.split(","):
        factor, is_level, level = part.strip().partition("=")
        parts.append((factor.strip().lower(), _number(level.strip()) if is_level else ""))
    return sorted(parts)


def _number(level: str) -> str:
    try:
        return level_name(float(level))
    except ValueError:
        return level.lower()


def _fix(name: str, known: Sequence[str]) -> str:
    """The arm with the nearest number where only a number differs, or the one that is spelled most alike."""
    typed_levels = dict(_meaning(name))
    apart = []
    for arm in known:
        levels = dict(_meaning(arm))
        differing = [factor for factor in levels if levels[factor] != typed_levels.get(factor)]
        if levels.keys() == typed_levels.keys() and len(differing) == 1:
            try:
                apart.append((abs(float(levels[differing[0]]) - float(typed_levels[differing[0]])), arm))
            except ValueError:
                continue
    return f'did you mean "{min(apart)[1]}"?' if apart else nearest(name, known)
