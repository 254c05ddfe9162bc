"""How figures look in print: sizes, colours that differ in lightness, and a mark and a dash of its own for each arm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...colours import COLOURS

# Inches. One column and the whole page of a two-column paper; the text of a one-column paper lies between.
WIDTHS = {"column": 3.3, "text": 5.5, "page": 6.9}
POINTS = 8.0  # of all texts, a journal's caption size or a little less
INK, SOFT, GRID = "#000000", "#444444", "#d9d9d9"

# In the order of COLOURS. Neighbours differ in lightness, so that they stay apart in greyscale.
_PRINTED = ("#0b3c5d", "#dd6b20", "#00705a", "#d59bbd", "#c98a00", "#56b4e9", "#3f3f3f")
_MARKS = ("o", "s", "D", "^", "v", "P", "X")
_DASHES: tuple[Any, ...] = (
    "-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)), (0, (3, 1)), (0, (8, 2)), (0, (1, 1)),
)  # fmt: skip
_ROUNDS = ("circle", "square", "diamond", "triangle-up")  # marks of the page's arms beyond the seventh, and so on


@dataclass(frozen=True)
class PaperStyle:
    """How one arm is drawn in print."""

    colour: str
    mark: str
    dash: Any


def paper_style(colour: Any, symbol: Any = "circle") -> PaperStyle:
    """What a page's colour and mark become in print; a colour that is no arm's is kept.

    Args:
        colour: As Plotly takes it: ``#rrggbb`` or ``rgba(...)``.
        symbol: Plotly's name of the mark.
    """
    plain = str(symbol or "circle").removesuffix("-open")
    text = str(colour)
    if text not in COLOURS:
        return PaperStyle(_rgba(text)[0], {"circle": "o", "square": "s", "diamond": "D"}.get(plain, "^"), "-")
    index = COLOURS.index(text)
    turn = _ROUNDS.index(plain) if plain in _ROUNDS else 0
    return PaperStyle(_PRINTED[index], _MARKS[(index + turn) % len(_MARKS)], _DASHES[(index + turn) % len(_DASHES)])


def area_style(colour: Any) -> tuple[str, float]:
    """The colour and the opacity of an area whose colour the page gives as ``rgba(...)``."""
    shade, alpha = _rgba(str(colour))
    known = {_of_hex(own): printed for own, printed in zip(COLOURS, _PRINTED, strict=True)}
    return known.get(_of_hex(shade), shade), alpha


def _rgba(text: str) -> tuple[str, float]:
    match = re.fullmatch(r"rgba\((\d+), ?(\d+), ?(\d+), ?([\d.]+)\)", text)
    if match is None:
        return (text if text.startswith("#") else "#555555"), 1.0
    red, green, blue = (int(match[at]) for at in (1, 2, 3))
    return f"#{red:02x}{green:02x}{blue:02x}", float(match[4])


def _of_hex(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@contextmanager
def printed(*, is_serif: bool = False) -> Iterator[None]:
    """Matplotlib's settings for print, while a figure is drawn or saved.

    Args:
        is_serif: Letters and numbers like Times, as in most LaTeX classes, instead of a sans serif.
    """
    import matplotlib as mpl

    settings: Any = {
        "font.family": "serif" if is_serif else "sans-serif",
        "font.serif": ["STIXGeneral", "DejaVu Serif"],
        "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
        "mathtext.fontset": "stix",
        "font.size": POINTS,
        "axes.labelsize": POINTS,
        "axes.titlesize": POINTS,
        "xtick.labelsize": POINTS - 1,
        "ytick.labelsize": POINTS - 1,
        "legend.fontsize": POINTS - 1,
        "text.color": INK,
        "axes.edgecolor": SOFT,
        "axes.labelcolor": INK,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "figure.facecolor": "#ffffff",
        "savefig.facecolor": "#ffffff",
        "pdf.fonttype": 42,  # TrueType: journals refuse Type 3 fonts
        "svg.fonttype": "path",
        "svg.hashsalt": "assay",
        "axes.unicode_minus": True,
    }
    with mpl.rc_context(settings):
        import logging

        finder = logging.getLogger("matplotlib.font_manager")
        level = finder.level
        finder.setLevel(logging.ERROR)  # the first of several families that is there is taken
        try:
            yield
        finally:
            finder.setLevel(level)
