"""How sentences about results are set in a page: what stays on one line, and where their figures begin."""

from __future__ import annotations

import re

_SPACE = "\N{NO-BREAK SPACE}"
_UNITS = re.compile(r"(?<=\d) (?=%|points?\b|seeds?\b|pairs?\b|folds?\b|more\b)")
_FIGURES = re.compile(r" \((?=\d\d.% interval |the same on each of )")


def unbroken(text: str) -> str:
    """The text with each number and its unit, as in ``95 %`` and ``17 seeds``, on one line."""
    return _UNITS.sub(_SPACE, text)


def parted(text: str) -> tuple[str, str]:
    """A verdict's claim, and the rest from its interval in parentheses on; empty where it has none."""
    match = _FIGURES.search(text)
    return (text, "") if match is None else (text[: match.start()], text[match.start() + 1 :])
