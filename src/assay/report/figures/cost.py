"""What accuracy costs."""

from __future__ import annotations

import math
import statistics
from typing import Any

import plotly.graph_objects as go

from ...store.records import StudyRecord
from ..palette import arm_styles
from ..scores import accuracy_interval, ordered_arms, score_of
from .frame import axis, layout_of, plain


def accuracy_against_time(study: StudyRecord) -> go.Figure:
    """Validation accuracy against seconds of training: every finished run as a faint dot, each arm's mean as a mark.

    The bar is the mean's 95 % interval. Mean times that differ fourfold or more stand on a logarithmic axis.
    """
    figure, styles = go.Figure(), arm_styles(study)
    means: list[float] = []
    for arm in ordered_arms(study):
        style = styles[arm.name]
        timed = [
            (run.seconds, score, run.seed)
            for run in study.runs_of(arm.name)
            if run.seconds and (score := score_of(run, "validation")) is not None
        ]
        if not timed:
            continue
        times, scores = [seconds for seconds, _, _ in timed], [score for _, score, _ in timed]
        means.append(statistics.fmean(times))
        figure.add_scatter(
            x=times, y=[100 * score for score in scores], mode="markers", name=plain(arm.name), showlegend=False,
            marker={"color": style.colour, "symbol": style.symbol, "size": 6, "opacity": 0.4},
            customdata=[seed for _, _, seed in timed],
            hovertemplate="seed %{customdata}: %{y:.2f} % in %{x:.3~s} s<extra>%{fullData.name}</extra>",
            meta={"arm": arm.name, "kind": "runs"},
        )  # fmt: skip
        interval = accuracy_interval(scores) if len(scores) > 1 else None
        mean = statistics.fmean(scores)
        ends = (interval.low, interval.high) if interval else (mean, mean)
        figure.add_scatter(
            x=[means[-1]], y=[100 * mean], mode="markers", name=plain(arm.name), showlegend=True,
            marker={"color": style.colour, "symbol": style.symbol, "size": 13, "line": {"width": 1, "color": "white"}},
            error_y={
                "type": "data", "symmetric": False, "array": [100 * (ends[1] - mean)],
                "arrayminus": [100 * (mean - ends[0])], "color": style.colour, "thickness": 2, "width": 5,
            },
            hovertemplate="mean %{y:.2f} % in %{x:.3~s} s<extra>%{fullData.name}</extra>",
            meta={"arm": arm.name, "kind": "mean"},
        )  # fmt: skip
    figure.update_layout(
        **{**layout_of(height=360, margin={"l": 8, "r": 12, "t": 10, "b": 8}), "showlegend": True},
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "itemclick": False,
            "itemdoubleclick": False,
        },
        xaxis=axis(
            title="seconds per run",
            nticks=6,
            **_scale(means),
        ),
        yaxis=axis(title="validation accuracy", ticksuffix=" %", nticks=6),
    )  # fmt: skip
    return figure


def _scale(means: list[float]) -> dict[str, Any]:
    if not means or max(means) < 4 * min(means):
        return {"rangemode": "tozero"}
    powers = range(math.floor(math.log10(min(means))) - 1, math.ceil(math.log10(max(means))) + 2)
    ticks = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
