"""Draws a figure of the report with Matplotlib: the same marks, lines, areas and axes as in the page."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...colours import COLOURS
from ..blocks import FigureBlock
from .axes import set_axes
from .styles import INK, POINTS, SOFT, area_style, paper_style, printed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INCHES = POINTS / 72 / 13  # of a pixel of the page, whose texts have 13
_FLATTEST, _TALLEST = 0.5, 0.85  # heights for a width, where rows don't decide
_MEAN_WIDTH = 2  # pixels of the page from which a line is a mean, told apart by its dash; runs' lines are thinner
_MARK = re.compile(r'<span style="color:(#[0-9A-Fa-f]{6})">(.)</span> ')
_SYMBOLS = {"solid": "circle", "dash": "square", "dot": "diamond", "dashdot": "triangle-up"}  # of the page's styles
_GLYPHS = {"●": "circle", "■": "square", "◆": "diamond", "▲": "triangle-up"}


def drawn(block: FigureBlock, *, width: float, is_serif: bool = False) -> Figure:
    """One figure of the report, for print.

    Args:
        block: As the page holds it.
        width: Inches.
        is_serif: With letters like Times.
    """
    from matplotlib.figure import Figure

    values = json.loads(block.json)
    traces, layout = values.get("data", []), values.get("layout", {})
    with printed(is_serif=is_serif):
        figure = Figure(figsize=(width, _height(block, layout, width)), layout="constrained")
        axes = figure.subplots()
        for trace in traces:
            if trace.get("visible", True) is not False:
                (_bars if trace.get("type") == "bar" else _scatter)(axes, trace)
        set_axes(axes, layout)
        for shape in layout.get("shapes", ()):
            _shape(axes, shape)
        for note in layout.get("annotations", ()):
            _note(axes, note)
        _legend(figure, axes, traces, layout, width)
        figure.draw_without_rendering()  # the layout is settled with these fonts
    return figure


def _height(block: FigureBlock, layout: Mapping[str, Any], width: float) -> float:
    """Rows keep their height for the text; other figures keep the proportions of the page, within bounds."""
    inches = block.height * _INCHES
    has_rows = layout.get("yaxis", {}).get("visible") is False or bool(layout.get("yaxis", {}).get("autorange"))
    return inches if has_rows else min(max(inches, _FLATTEST * width), _TALLEST * width)


def _values(given: Any) -> list[float]:
    """Numbers of a trace, with NaN for gaps."""
    if isinstance(given, Mapping):  # Plotly's form for arrays of NumPy
        import base64

        import numpy as np

        return [float(v) for v in np.frombuffer(base64.b64decode(given["bdata"]), np.dtype(given["dtype"]))]
    return [math.nan if value is None else float(value) for value in given or ()]


def _scatter(axes: Axes, trace: Mapping[str, Any]) -> None:
    x, y = _values(trace.get("x")), _values(trace.get("y"))
    if trace.get("fill") == "toself":
        colour, alpha = area_style(trace.get("fillcolor"))
        axes.fill(x, y, color=colour, alpha=max(alpha, 0.14), linewidth=0)
        return
    mode, marker, line = trace.get("mode", "lines"), trace.get("marker", {}), trace.get("line", {})
    symbol = str(marker.get("symbol") or "circle")
    # A line is told apart by the dash of its colour, a mark by the shape of its colour.
    style = paper_style(marker.get("color") or line.get("color"), "circle" if symbol == "line-ns" else symbol)
    alpha = float(trace.get("opacity") or marker.get("opacity") or 1.0)
    if "lines" in mode:
        width = float(line.get("width") or 1)
        axes.plot(
            x, y, color=_line_colour(line), linestyle=_dash(line), linewidth=0.55 * width,
            alpha=alpha * _alpha_of(line), marker=style.mark if "markers" in mode else None,
            markersize=_size(marker), markeredgewidth=0,
            drawstyle="steps-post" if line.get("shape") == "hv" else "default", solid_capstyle="butt",
            clip_on=trace.get("cliponaxis", True), zorder=2.5 if width >= _MEAN_WIDTH else 2,
        )  # fmt: skip
    elif symbol == "line-ns":
        axes.plot(
            x, y, "|", color=style.colour, markersize=_size(marker) + 1, markeredgewidth=1.6, clip_on=False, zorder=4
        )
    else:
        is_open = symbol.endswith("-open")
        axes.plot(
            x, y, linestyle="none", marker=style.mark, markersize=_size(marker), alpha=alpha,
            color=style.colour, markerfacecolor="white" if is_open else style.colour,
            markeredgewidth=1.0 if is_open else 0.0, clip_on=trace.get("cliponaxis", True), zorder=3,
        )  # fmt: skip
    for key, across in (("error_x", True), ("error_y", False)):
        if (bar := trace.get(key)) is not None:
            _error(axes, x, y, bar, style.colour, across=across)


def _error(
    axes: Axes, x: Sequence[float], y: Sequence[float], bar: Mapping[str, Any], colour: str, *, across: bool
) -> None:
    lengths = [[max(0.0, v) for v in _values(bar.get(key))] for key in ("arrayminus", "array")]
    axes.errorbar(
        x, y, xerr=lengths if across else None, yerr=None if across else lengths, fmt="none", ecolor=colour,
        elinewidth=1.1, capsize=2.0, capthick=1.1, zorder=3,
    )  # fmt: skip


def _bars(axes: Axes, trace: Mapping[str, Any]) -> None:
    colour = paper_style(trace.get("marker", {}).get("color")).colour
    axes.barh(_values(trace["y"]), _values(trace["x"]), height=0.68, color=colour, linewidth=0)


def _shape(axes: Axes, shape: Mapping[str, Any]) -> None:
    line = shape.get("line", {})
    whole = str(shape.get("yref", "y")).endswith("domain") or shape.get("yref") == "paper"
    transform = axes.get_xaxis_transform() if whole else axes.transData
    axes.plot(
        [shape["x0"], shape["x1"]], [shape["y0"], shape["y1"]], transform=transform, color=_line_colour(line),
        linewidth=0.6 * float(line.get("width") or 1), zorder=1.5 if shape.get("layer") == "below" else 2.2,
        scalex=False, scaley=False,
    )  # fmt: skip


def _note(axes: Axes, note: Mapping[str, Any]) -> None:
    """A text at a place: of a row's name, the arm's mark in print stands before it."""
    text, x = str(note.get("text", "")), float(note.get("x", 0))
    is_paper = note.get("xref") == "paper"
    transform = axes.get_yaxis_transform() if is_paper else axes.transData
    shift = 0.55 * float(note.get("xshift") or 0)
    if (match := _MARK.match(text)) is not None:
        style = paper_style(match[1], _GLYPHS[match[2]])
        axes.plot(
            [0.008], [note["y"]], transform=transform, marker=style.mark, color=style.colour, markersize=4.5,
            markeredgewidth=0, linestyle="none", clip_on=False, scalex=False, scaley=False,
        )  # fmt: skip
        text, shift = text[match.end() :], 9.0
    horizontal = {"left": "left", "right": "right"}.get(str(note.get("xanchor")), "center")
    vertical = {"bottom": "bottom", "top": "top"}.get(str(note.get("yanchor")), "center")
    size = POINTS * float(note.get("font", {}).get("size") or 13) / 13
    axes.annotate(
        html.unescape(text).replace("$", r"\$"), (x, float(note["y"])), (shift, 0), xycoords=transform,
        textcoords="offset points", ha=horizontal, va=vertical, fontsize=size, color=INK, annotation_clip=False,
        bbox=None if is_paper else {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
    )  # fmt: skip


def _legend(
    figure: Figure, axes: Axes, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any], width: float
) -> None:
    """Names of what a page tells apart by its legend, or by the switches above its figures."""
    from matplotlib.lines import Line2D

    has_rows = layout.get("yaxis", {}).get("visible") is False and not layout.get("showlegend")
    named = [] if has_rows else [trace for trace in traces if _is_named(trace, layout)]
    if len(named) < 2:
        return
    handles = []
    for trace in named:
        mode, marker, line = trace.get("mode", "lines"), trace.get("marker", {}), trace.get("line", {})
        symbol = str(marker.get("symbol") or "circle")
        style = paper_style(marker.get("color") or line.get("color"), symbol)
        width_of_line = float(line.get("width") or 1)
        handles.append(
            Line2D(
                [], [], color=_line_colour(line) if "lines" in mode else style.colour,
                linestyle=_dash(line) if "lines" in mode else "none",
                linewidth=0.55 * width_of_line, marker=style.mark if "markers" in mode else None, markersize=4.5,
                markeredgewidth=0, label=html.unescape(str(trace.get("name", ""))).replace("$", r"\$"),
            )
        )  # fmt: skip
    longest = max(len(str(handle.get_label())) for handle in handles)
    columns = max(1, min(len(handles), int(width / (0.36 + 0.062 * longest))))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=columns, handlelength=2.4, columnspacing=1.2,
        borderaxespad=0.1, handletextpad=0.5,
    )  # fmt: skip


def _is_named(trace: Mapping[str, Any], layout: Mapping[str, Any]) -> bool:
    if trace.get("visible", True) is False or trace.get("fill") == "toself":
        return False
    if layout.get("showlegend"):
        return trace.get("showlegend", True) is not False
    return bool(trace.get("meta", {}).get("kind") == "mean")


def _dash(line: Mapping[str, Any]) -> Any:
    if float(line.get("width") or 1) >= _MEAN_WIDTH and line.get("color") in COLOURS:
        return paper_style(line["color"], _SYMBOLS.get(str(line.get("dash")), "circle")).dash
    return {"dot": ":", "dash": "--"}.get(str(line.get("dash")), "-")


def _line_colour(line: Mapping[str, Any]) -> str:
    given = line.get("color")
    return SOFT if given is None else paper_style(given).colour


def _alpha_of(line: Mapping[str, Any]) -> float:
    return area_style(line["color"])[1] if str(line.get("color", "")).startswith("rgba") else 1.0


def _size(marker: Mapping[str, Any]) -> float:
    size = marker.get("size") or 6
    return 0.5 * float(size)
