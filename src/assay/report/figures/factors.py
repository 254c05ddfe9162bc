"""Figures of interactions between factors, and of mean ranks."""

from __future__ import annotations

import plotly.graph_objects as go

from ...analysis.contrasts import blocks
from ...analysis.measured import measure_of
from ...analysis.scores import measure_interval, ordered_arms
from ...stats import Ranking, factors_of
from ...store.records import StudyRecord
from ..palette import PALETTE, arm_styles
from .frame import GREY, axis, layout_of, plain, row_name, rows_layout


def interaction_plot(study: StudyRecord, factor: str, by: str) -> go.Figure:
    """Mean score at each level of a factor, one line for each level of another, averaged over all others.

    Bars are 95 % intervals of each mean over seeds.
    """
    arms = ordered_arms(study)
    levels = factors_of([arm.levels for arm in arms])
    _, scores = blocks(study)
    figure, measure = go.Figure(), measure_of(study)
    unit = measure.unit
    count = len(levels[by])
    for index, name in enumerate(levels[by]):
        style = PALETTE[index % len(PALETTE)]
        cells = [
            [at for at, arm in enumerate(arms) if arm.levels[factor] == level and arm.levels[by] == name]
            for level in levels[factor]
        ]
        by_seed = [[sum(row[at] for at in cell) / len(cell) for row in scores] for cell in cells]
        intervals = [measure_interval(values, measure) for values in by_seed]
        shift = 0.05 * (index - (count - 1) / 2)
        figure.add_scatter(
            x=[position + shift for position in range(len(cells))],
            y=[unit.scale * interval.mean for interval in intervals],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [unit.scale * (interval.high - interval.mean) for interval in intervals],
                "arrayminus": [unit.scale * (interval.mean - interval.low) for interval in intervals],
                "color": style.colour,
                "thickness": 1.6,
                "width": 4,
            },
            mode="lines+markers",
            cliponaxis=False,
            line={"color": style.colour, "width": 2.4, "dash": style.dash},
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            hovertemplate=f"%{{y:.{unit.decimals}f}}{unit.suffix}<extra>{plain(f'{by} {name}')}</extra>",
            name=plain(f"{by} {name}"),
            showlegend=True,
        )
    layout = layout_of(height=330, margin={"l": 8, "r": 12, "t": 10, "b": 8})
    figure.update_layout(
        **{**layout, "showlegend": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis=axis(
            title=plain(factor), tickvals=list(range(len(levels[factor]))), ticktext=[plain(n) for n in levels[factor]],
            range=[-0.4, len(levels[factor]) - 0.6], showgrid=False,
        ),
        yaxis=axis(title=f"validation {measure.label}", ticksuffix=unit.suffix, nticks=6),
    )  # fmt: skip
    return figure


def critical_difference(study: StudyRecord, ranking: Ranking) -> go.Figure:
    """Arms by mean rank, best first; a bar beside the rows joins arms that are not told apart."""
    arms, styles = ordered_arms(study), arm_styles(study)
    order = sorted(range(len(arms)), key=lambda index: ranking.mean_ranks[index])
    figure = go.Figure()
    far = max(ranking.mean_ranks)
    near = min(ranking.mean_ranks)
    room = (far - near) or 1.0
    for number, group in enumerate(ranking.groups):
        rows = [order.index(index) for index in group]
        x = far + room * (0.06 + 0.05 * number)
        figure.add_scatter(
            x=[x, x], y=[min(rows) - 0.16, max(rows) + 0.16], mode="lines", line={"color": GREY, "width": 5},
            hoverinfo="skip", name="not told apart",
        )  # fmt: skip
    for row, index in enumerate(order):
        name, style = arms[index].name, styles[arms[index].name]
        rank = ranking.mean_ranks[index]
        figure.add_scatter(
            x=[rank], y=[row], mode="markers", name=plain(name),
            marker={"color": style.colour, "symbol": style.symbol, "size": 13},
            hovertemplate="mean rank %{x:.2f}<extra>%{fullData.name}</extra>", meta={"arm": name, "kind": "rank"},
        )  # fmt: skip
        row_name(figure, name, style, row - 0.34)
    if ranking.critical_difference is not None:
        row = len(order)
        ends = [near, near + ranking.critical_difference]
        figure.add_scatter(
            x=ends, y=[row, row], mode="lines+markers", line={"color": GREY, "width": 2},
            marker={"symbol": "line-ns", "size": 10, "line": {"color": GREY, "width": 2}},
            hoverinfo="skip", name="critical difference",
        )  # fmt: skip
        figure.add_annotation(
            text=f"critical difference (Nemenyi) {ranking.critical_difference:.2f}",
            x=0, xref="paper", xanchor="left", y=row - 0.34, yanchor="middle", showarrow=False, borderpad=0, xshift=-1,
        )  # fmt: skip
    widest = max(far + room * (0.12 + 0.05 * len(ranking.groups)), near + (ranking.critical_difference or 0))
    rows_layout(figure, len(order) + 1, "mean rank (1 is the best)", "", range=[near - 0.08 * room, widest])
    return figure
