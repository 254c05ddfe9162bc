"""Saves a figure for a paper: PDF or SVG with letters as fonts and paths, or PNG with 600 dots an inch."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Literal, get_args

from ...errors import Problem, SpecError
from .styles import WIDTHS, printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PaperFormat = Literal["pdf", "svg", "png"]
FORMATS: tuple[PaperFormat, ...] = get_args(PaperFormat)
_DOTS = 600  # an inch
_NARROWEST, _WIDEST = 1.5, 30.0  # inches
_METADATA: dict[PaperFormat, dict[str, Any]] = {  # without the time: the same figure gives the same bytes
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


def saved(figure: Figure, format: PaperFormat) -> bytes:
    """A figure as a file's content; its size is the figure's own, so that LaTeX need not scale it."""
    content = io.BytesIO()
    with printed():
        figure.savefig(content, format=format, dpi=_DOTS, metadata=_METADATA[format])
    return content.getvalue()


def width_of(text: str) -> float:
    """Inches of a width: ``column``, ``text``, ``page``, or a number with ``in``, ``cm``, ``mm`` or ``pt``.

    Raises:
        SpecError: It is none of them.
    """
    if text in WIDTHS:
        return WIDTHS[text]
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(in|cm|mm|pt)?", text.strip())
    inches = (
        float(match[1]) * {"in": 1, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}[match[2] or "in"] if match else 0
    )
    if not _NARROWEST <= inches <= _WIDEST:
        known = ", ".join(f"{name} ({inches:g} in)" for name, inches in WIDTHS.items())
        fix = f"give {known}, or a number of inches, or such as 84mm or 240pt"
        raise SpecError(Problem(f'the width "{text}" is none from {_NARROWEST:g} to {_WIDEST:g} inches', fix, "width"))
    return inches
