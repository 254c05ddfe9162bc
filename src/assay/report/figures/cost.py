"""Figures of accuracy against cost: training time, energy, parameters and bytes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from ...analysis.measured import measure_of, run_values
from ...analysis.scores import Split, arm_scores, ordered_arms
from ...store.records import RunRecord, StudyRecord
from ..palette import arm_styles
from .frame import GREY, axis, layout_of, plain


def accuracy_against_time(study: StudyRecord) -> go.Figure:
    """Validation accuracy against seconds of training: every finished run as a faint dot, each arm's mean as a mark.

    The bar is the mean's 95 % interval. Mean times that differ fourfold or more stand on a logarithmic axis.
    """
    return _accuracy_against(
        study, lambda run: run.seconds, "validation", title="seconds per run", hover="in %{x:.3~s} s"
    )


def accuracy_against_parameters(study: StudyRecord, parameters: Mapping[str, int], split: Split) -> go.Figure:
    """Accuracy against Keras's total of parameters: every finished run as a faint dot, each arm's mean as a mark.

    The bar is the mean's 95 % interval. Totals that differ fourfold or more stand on a logarithmic axis.

    Args:
        study: The study.
        parameters: Of each arm's network, by the arm's name; arms that are not in it are left out.
        split: Whose accuracy: "validation" or "test".
    """
    return _accuracy_against(
        study,
        lambda run: parameters.get(run.arm),
        split,
        title="parameters",
        hover="with %{x:,d} parameters",
    )


def accuracy_against_energy(study: StudyRecord) -> go.Figure:
    """Validation accuracy against joules of training, of runs whose machine told them; otherwise as against time."""
    return _accuracy_against(
        study, lambda run: run.joules, "validation", title="joules per run", hover="for %{x:.3~s} J"
    )


def accuracy_against_bytes(study: StudyRecord, sizes: Mapping[str, int], split: Split) -> go.Figure:
    """Accuracy against bytes of the network as a C program; otherwise as against parameters.

    Args:
        study: The study.
        sizes: Bytes of each arm's constants, by the arm's name; arms that are not in it are left out.
        split: Whose accuracy: "validation" or "test".
    """
    return _accuracy_against(study, lambda run: sizes.get(run.arm), split, title="bytes as C", hover="in %{x:,d} bytes")


def front(costs: Sequence[float], scores: Sequence[float], *, higher_is_better: bool = True) -> list[int]:
    """Places of those that no other beats at the same cost or less, by rising cost; of equal ones the first.

    Args:
        costs: What each costs; less is better.
        scores: What each scores.
        higher_is_better: The score's direction.
    """
    sign = 1 if higher_is_better else -1
    best, places = -math.inf, []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -sign * scores[place])):
        if sign * scores[place] > best:
            best = sign * scores[place]
            places.append(place)
    return places


def _accuracy_against(
    study: StudyRecord, cost: Callable[[RunRecord], float | None], split: Split, *, title: str, hover: str
) -> go.Figure:
    figure, styles, measure = go.Figure(), arm_styles(study), measure_of(study)
    unit = measure.unit
    shown = f"%{{y:.{unit.decimals}f}}{unit.suffix}"
    of_runs = study.columns.scores(run_values(study, split)).tolist()
    values = {run: value for run, value in zip(study.columns.ids, of_runs, strict=True) if not math.isnan(value)}
    scored = {arm.arm: arm for arm in arm_scores(study, split=split)}  # with folds, a seed's are one score
    means: list[float] = []
    heights: list[float] = []
    for arm in ordered_arms(study):
        style = styles[arm.name]
        measured = [
            (spent, score, run.seed)
            for run in study.runs_of(arm.name)
            if (spent := cost(run)) and (score := values.get(run.id)) is not None
        ]
        mean, interval = scored[arm.name].mean, scored[arm.name].interval
        if not measured or mean is None:
            continue
        costs, scores = [spent for spent, _, _ in measured], [score for _, score, _ in measured]
        means.append(statistics.fmean(costs))
        heights.append(mean)
        figure.add_scatter(
            x=costs, y=[unit.scale * score for score in scores], mode="markers", name=plain(arm.name), showlegend=False,
            marker={"color": style.colour, "symbol": style.symbol, "size": 6, "opacity": 0.4},
            customdata=[seed for _, _, seed in measured],
            hovertemplate=f"seed %{{customdata}}: {shown} {hover}<extra>%{{fullData.name}}</extra>",
            cliponaxis=False, meta={"arm": arm.name, "kind": "runs"},
        )  # fmt: skip
        ends = (interval.low, interval.high) if interval else (mean, mean)
        figure.add_scatter(
            x=[means[-1]], y=[unit.scale * mean], mode="markers", name=plain(arm.name), showlegend=True,
            marker={"color": style.colour, "symbol": style.symbol, "size": 13, "line": {"width": 1, "color": "white"}},
            error_y={
                "type": "data", "symmetric": False, "array": [unit.scale * (ends[1] - mean)],
                "arrayminus": [unit.scale * (mean - ends[0])], "color": style.colour, "thickness": 2, "width": 5,
            },
            hovertemplate=f"mean {shown} {hover}<extra>%{{fullData.name}}</extra>",
            cliponaxis=False, meta={"arm": arm.name, "kind": "mean"},
        )  # fmt: skip
    places = front(means, heights, higher_is_better=measure.higher_is_better)
    if len(places) > 1:
        figure.add_scatter(
            x=[means[place] for place in places], y=[unit.scale * heights[place] for place in places], mode="lines",
            line={"color": GREY, "width": 1.5, "dash": "dot"}, hoverinfo="skip", showlegend=False, name="front",
            cliponaxis=False, meta={"kind": "front"},
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
        xaxis=axis(title=title, nticks=6, **_scale(means)),
        yaxis=axis(title=f"{split} {measure.label}", ticksuffix=unit.suffix, nticks=6),
    )  # fmt: skip
    return figure


def _scale(means: list[float]) -> dict[str, Any]:
    if not means or max(means) < 4 * min(means):
        return {"rangemode": "tozero"}
    powers = range(math.floor(math.log10(min(means))) - 1, math.ceil(math.log10(max(means))) + 2)
    ticks = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,g}" for tick in ticks]}
