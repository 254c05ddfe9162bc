"""Parts shared by figures: axes, rows of arms, means with intervals. The page's script adds the light or dark theme."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from ..beeswarm import lanes
from ..palette import ArmStyle

GREY = "#7a7f85"  # readable on white and on black, until the page's script sets the colour of the text
FEWEST_FOR_BANDS = 3  # runs: the interval of two reaches far beyond both, and hides all others
_FONT = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_GRID = "rgba(128,128,128,0.22)"
_ROW, _LOW_ROW = 62, 48  # pixels for one arm in a figure with a row per arm, and where arms are many
_DOT = 9  # pixels of a run's mark
_NARROW = 330  # pixels of an axis on a phone: marks that touch there stand side by side
_MOST_SPREAD = 44  # pixels from the middle of a row to its outermost marks
_GLYPHS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲"}


def layout_of(*, height: int, margin: dict[str, int]) -> dict[str, Any]:
    return {
        "template": "none",
        "height": height,
        "margin": margin,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 13, "color": GREY},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
    }


def axis(**settings: Any) -> dict[str, Any]:
    common: dict[str, Any] = {
        "gridcolor": _GRID,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "ticklabelstandoff": 5,
    }
    if settings.get("ticksuffix") == " %":  # no share lies beyond 100 %, so no label does
        if "range" in settings:
            settings["range"] = [settings["range"][0], min(settings["range"][1], 100.0)]
        else:
            settings["autorangeoptions"] = {"clipmin": 0.0, "clipmax": 100.0}
    if isinstance(settings.get("title"), str):
        settings["title"] = {"text": settings["title"], "standoff": 10, "font": {"size": 13}}
    return {**common, **settings}


@dataclass(frozen=True)
class Rows:
    """Rows of marks, one for each arm. Heights are in rows, from the middle of a row downwards.

    Args:
        height: Pixels of a row.
        lifts: By row, how far each mark stands from the middle, so that equal values stand side by side.
        spread: The farthest of them.
    """

    height: float
    lifts: tuple[tuple[float, ...], ...]
    spread: float

    @classmethod
    def of(cls, values: Sequence[Sequence[float]], ends: Sequence[float] = ()) -> Rows:
        """Rows that are high enough for their marks.

        Args:
            values: Of each row's marks.
            ends: What else the axis holds.
        """
        every = [value for row in values for value in row] + list(ends)
        extent = (max(every) - min(every)) if every else 0.0
        width = _DOT * extent / _NARROW
        chosen = [lanes(row, width) if extent else lanes(row, 1.0) for row in values]
        most = max((abs(lane) for row in chosen for lane in row), default=0)
        step = min(_DOT, _MOST_SPREAD / most) if most else 0.0
        spread = max(0.0, most * step - 4)  # a row has some room above and below its middle
        height = (_ROW if len(values) <= 5 else _LOW_ROW) + 2 * spread
        lifts = tuple(tuple(lane * step / height for lane in row) for row in chosen)
        return cls(height, lifts, spread)

    def outside(self, share: float) -> float:
        """A place above (below 0) or below the marks, given as a share of a row that has one lane."""
        plain_height = self.height - 2 * self.spread
        return (share * plain_height + (self.spread if share > 0 else -self.spread)) / self.height


def rows_layout(
    figure: go.Figure, num_rows: int, title: str, unit: str, *, outer: float = 0.62, height: float = 0.0, **x: Any
) -> None:
    row = height or (_ROW if num_rows <= 5 else _LOW_ROW)
    figure.update_layout(
        **layout_of(height=round(row * num_rows + 84), margin={"l": 1, "r": 12, "t": 4, "b": 8}),
        xaxis=axis(title=title, ticksuffix=unit, nticks=6, **x),
        yaxis=axis(visible=False, range=[num_rows - 1 + max(0.5, outer - 0.02), -outer], fixedrange=True),
    )


def row_name(figure: go.Figure, arm: str, style: ArmStyle, y: float) -> None:
    """An arm's name above its row, where it needs no margin and stays readable on a phone."""
    shown = arm if len(arm) <= 52 else f"{arm[:51]}…"
    figure.add_annotation(
        text=f'<span style="color:{style.colour}">{_GLYPHS[style.symbol]}</span> {plain(shown)}',
        x=0,
        xref="paper",
        xanchor="left",
        y=y,
        yanchor="middle",
        showarrow=False,
        align="left",
        borderpad=0,
        xshift=-1,
    )


def dots(
    figure: go.Figure,
    arm: str,
    style: ArmStyle,
    values: Sequence[float],
    seeds: Sequence[int],
    row: float,
    lifts: Sequence[float],
    unit: str,
) -> None:
    """A mark for each run, beside another where both would stand at one place."""
    figure.add_scatter(
        x=list(values),
        y=[row + lift for lift in lifts],
        mode="markers",
        marker={"color": style.colour, "symbol": style.symbol, "size": _DOT, "opacity": 0.7, "line": {"width": 0}},
        customdata=list(seeds),
        hovertemplate=f"seed %{{customdata}}: %{{x:.2f}}{unit}<extra>%{{fullData.name}}</extra>",
        cliponaxis=False,  # a mark at 100 % stands on the frame
        name=plain(arm),
        meta={"arm": arm, "kind": "runs"},
    )


def mean_bar(figure: go.Figure, arm: str, style: ArmStyle, numbers: Sequence[float], y: float, unit: str) -> None:
    """A mean and its interval as one horizontal bar with a stroke across it."""
    mean, low, high = numbers
    figure.add_scatter(
        x=[mean],
        y=[y],
        mode="markers",
        marker={"color": style.colour, "symbol": "line-ns", "size": 13, "line": {"color": style.colour, "width": 3.5}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [high - mean],
            "arrayminus": [mean - low],
            "color": style.colour,
            "thickness": 2.5,
            "width": 5,
        },
        customdata=[[low, high]],
        hovertemplate=f"mean %{{x:.2f}}{unit} [%{{customdata[0]:.2f}}, %{{customdata[1]:.2f}}]"
        "<extra>%{fullData.name}</extra>",
        cliponaxis=False,
        name=plain(arm),
        meta={"arm": arm, "kind": "mean"},
    )


def joined(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Rows in one list, with a gap after each."""
    return [value for row in rows for value in (*row, None)]


def percents(shares: Iterable[float]) -> list[float]:
    return [100 * share for share in shares]


def plain(text: str) -> str:
    """Plotly reads its texts as markup."""
    return html.escape(text, quote=False)
