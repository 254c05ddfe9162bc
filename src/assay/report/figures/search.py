"""The figures of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from ...measures import is_higher_better, is_share
from ...numerals import counted, whole
from ...search import WHOLE, Outcome, SearchResult
from ...spec import Choice, Range
from ...store.records import StudyRecord
from ..palette import PALETTE, arm_styles
from .frame import GREY, axis, joined, layout_of, plain, row_name, rows_layout

_LONG = 10  # characters of a title on one line
_BEST, _GOOD, _REST = "#D55E00", "#0072B2", "rgba(128,128,128,0.55)"


def trial_curves(study: StudyRecord, result: SearchResult) -> go.Figure:
    """The metric of every trial's first run after each epoch, a colour for each bracket: who was stopped where."""
    assert study.search is not None
    figure = go.Figure()
    runs = {run.arm: run for run in reversed(study.search.runs)}  # the first seed's
    brackets: dict[int, list[int]] = {}
    for rung in result.step.rungs:
        for trial in rung.trials:
            if trial not in brackets.setdefault(rung.bracket, []):
                brackets[rung.bracket].append(trial)
    longest = max((len(run.epochs) for run in runs.values()), default=1)
    is_halved = any(rung.epochs != WHOLE for rung in result.step.rungs)
    groups = brackets if is_halved else {1: [trial for trials in brackets.values() for trial in trials]}
    for index, (bracket, trials) in enumerate(groups.items()):
        style = PALETTE[index % len(PALETTE)]
        bracket_runs = [run for trial in trials if (run := runs.get(f"trial {trial}")) is not None and run.epochs]
        figure.add_scatter(
            x=joined([[epoch.epoch for epoch in run.epochs] for run in bracket_runs]),
            y=joined([[_shown(result, epoch.value(result.metric)) for epoch in run.epochs] for run in bracket_runs]),
            mode="lines+markers" if longest < 40 else "lines",
            line={"color": style.colour, "width": 1.3},
            marker={"color": style.colour, "symbol": style.symbol, "size": 4},
            opacity=0.75,
            text=joined([[run.arm] * len(run.epochs) for run in bracket_runs]),
            hovertemplate=f"epoch %{{x}}: %{{y:.4g}}{_unit(result)}<extra>%{{text}}</extra>",
            name=f"bracket {bracket}",
            showlegend=len(groups) > 1,
        )
    settings = layout_of(height=320, margin={"l": 8, "r": 12, "t": 10, "b": 8})
    figure.update_layout(
        **{**settings, "showlegend": len(groups) > 1},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis=axis(title="epoch", range=[0.7, longest + 0.3], nticks=8),
        yaxis=axis(title=_metric(result), ticksuffix=_unit(result), nticks=6),
    )
    return figure


def cost_front(study: StudyRecord, result: SearchResult) -> go.Figure:
    """Every trial's score against its network's parameters; the front joined; finalists' fresh means with intervals."""
    figure = go.Figure()
    levels = sorted({trial.epochs for trial in result.outcomes if trial.score is not None}, key=_depth)
    for index, level in enumerate(levels):
        level_trials = [trial for trial in result.outcomes if trial.epochs == level and trial.score is not None]
        share = 1.0 if len(levels) == 1 else index / (len(levels) - 1)
        epochs = "all epochs" if level == WHOLE else counted(level or 0, "epoch")
        figure.add_scatter(
            x=[trial.parameters for trial in level_trials],
            y=[_shown(result, trial.score) for trial in level_trials],
            mode="markers",
            marker={"color": _GOOD, "opacity": 0.5 + 0.4 * share, "size": 6 + 4 * share},
            text=[f"{trial.name}: {whole(trial.parameters)} parameters" for trial in level_trials],
            hovertemplate=f"%{{text}}, %{{y:.4g}}{_unit(result)}<extra>after {epochs}</extra>",
            name=f"after {epochs}",
        )
    front = result.front
    figure.add_scatter(
        x=[trial.parameters for trial in front],
        y=[_shown(result, trial.score) for trial in front],
        mode="lines",
        line={"color": _GOOD, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
        name="Pareto front in the search",
    )
    parameters = {trial.name: trial.parameters for trial in result.outcomes}
    styles = arm_styles(study)
    for trial in result.optimism:
        if trial.fresh is None:
            continue
        low, high = (trial.interval.low, trial.interval.high) if trial.interval else (trial.fresh, trial.fresh)
        middle, ends = _shown(result, trial.fresh), sorted((_shown(result, low), _shown(result, high)))
        style = styles[trial.arm]
        figure.add_scatter(
            x=[parameters[trial.arm]],
            y=[middle],
            error_y={"type": "data", "symmetric": False, "array": [ends[1] - middle], "arrayminus": [middle - ends[0]],
                     "color": _BEST, "thickness": 2, "width": 5},
            mode="markers",
            marker={"color": _BEST, "symbol": style.symbol, "size": 10, "line": {"width": 0}},
            hovertemplate=f"{plain(trial.arm)}: %{{y:.4g}}{_unit(result)}, n = {trial.n}<extra>fresh seeds</extra>",
            name="fresh seeds, 95 %",
            legendgroup="fresh",
            showlegend=trial is result.optimism[0],
        )  # fmt: skip
    settings = layout_of(height=360, margin={"l": 8, "r": 12, "t": 10, "b": 8})
    counts = [trial.parameters for trial in result.outcomes if trial.score is not None] or [1, 10]
    is_wide = max(counts) > 3 * min(counts)
    ticks = _ticks(min(counts), max(counts)) if is_wide else {"nticks": 6}
    figure.update_layout(
        **{**settings, "showlegend": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis=axis(title="parameters", **({"type": "log"} if is_wide else {}), **ticks),
        yaxis=axis(title=_metric(result), ticksuffix=_unit(result), nticks=6),
    )
    return figure


@dataclass(frozen=True)
class _Axis:
    """One axis of the parallel coordinates.

    Args:
        title: Below it.
        places: By trial, between the foot (0) and the top (1); below the foot where the trial lacks the value.
        texts: By trial, the value in words.
        marks: Numbers beside it, and where they stand.
        limit: Where the budget lies, and what it says.
    """

    title: str
    places: Mapping[int, float]
    texts: Mapping[int, str]
    marks: Sequence[tuple[float, str]]
    limit: tuple[float, str] | None = None


def _axes(result: SearchResult, trials: Sequence[Outcome]) -> list[_Axis]:
    """An axis for each parameter, for each cost that the search limits, and for the score."""
    search = result.study.search
    assert search is not None
    axes = [
        _Axis(
            key,
            {trial.trial: _place(parameter, trial.chosen.get(key)) for trial in trials},
            {trial.trial: f"{key} {trial.chosen.get(key, 'not there')}" for trial in trials},
            _marks(parameter),
        )
        for key, parameter in search.space.items()
    ]
    for cost, most in search.limits.items():
        costs = {trial.trial: value for trial in trials if (value := _cost(trial, cost)) is not None}
        if len(costs) < len(trials):
            continue  # seconds are estimated before training, and not kept with a trial
        name, low = cost.replace("_", " "), min(costs.values())
        span = (most - low) or 1.0
        axes.append(
            _Axis(
                name,
                {trial: (value - low) / span for trial, value in costs.items()},
                {trial: f"{whole(round(value))} {name}" for trial, value in costs.items()},
                [(0.0, whole(round(low)))],
                (1.0, f"≤ {whole(round(most))}"),
            )
        )
    scores = {trial.trial: _shown(result, trial.score) for trial in trials}
    low, high = min(scores.values()), max(scores.values())
    marks = sorted({low, (low + high) / 2, high})
    decimals = max(0, 1 - math.floor(math.log10((high - low) or 1.0)))
    places = {trial: (value - low) / ((high - low) or 1.0) for trial, value in scores.items()}
    shown = {value: f"{value:.{decimals}f}{_unit(result)}" for value in marks}
    score_texts = {trial: f"{_metric(result)} {value:.4g}{_unit(result)}" for trial, value in scores.items()}
    axes.append(
        _Axis(
            _metric(result), places, score_texts,
            [((value - low) / ((high - low) or 1.0), text) for value, text in shown.items()],
        )
    )  # fmt: skip
    return axes


def _cost(trial: Outcome, cost: str) -> float | None:
    known = {"parameters": float(trial.parameters), "flops": float(trial.flops), **dict(trial.program_costs)}
    return known.get(cost)


def parallel_coordinates(result: SearchResult) -> go.Figure:
    """Every trial with a score as a line through its values, its costs and its score; the budget is a bar across the
    axis of the cost that it limits; a parameter that a trial lacks is drawn below the axis.

    The best tenth is drawn last and in another colour than the best third.
    """
    sign = 1 if is_higher_better(result.metric) else -1
    scored = [trial for trial in result.outcomes if trial.score is not None]
    ranked = sorted(scored, key=lambda trial: (_depth(trial.epochs), sign * (trial.score or 0.0), -trial.trial))
    axes = _axes(result, ranked)
    count = len(ranked)
    best, good = max(1, count // 10), max(1, count // 3)
    groups = (
        ("others", ranked[: count - good], _REST, 1.0),
        ("best third", ranked[count - good : count - best], _GOOD, 1.5),
        ("best tenth", ranked[count - best :], _BEST, 2.4),
    )
    figure = go.Figure()
    for name, trials, colour, width in groups:
        figure.add_scatter(
            x=joined([list(range(len(axes))) for _ in trials]),
            y=joined([[one.places[trial.trial] for one in axes] for trial in trials]),
            mode="lines",
            line={"color": colour, "width": width},
            text=joined([[f"{trial.name}: {one.texts[trial.trial]}" for one in axes] for trial in trials]),
            hovertemplate="%{text}<extra></extra>",
            name=name,
            showlegend=bool(trials),
        )
    for at, one in enumerate(axes):
        figure.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, line={"color": GREY, "width": 1}, layer="below")
        marks = [*one.marks]
        if one.limit is not None:
            height, text = one.limit
            figure.add_shape(
                type="line", x0=at - 0.16, x1=at + 0.16, y0=height, y1=height, line={"color": _BEST, "width": 3}
            )
            marks.append((height, text))
        for place, text in marks:
            figure.add_annotation(
                text=plain(text), x=at, y=place, showarrow=False, xanchor="left", xshift=4,
                yanchor="bottom" if place == 1.0 else "middle", font={"size": 11},
            )  # fmt: skip
    has_gaps = any(place < 0 for one in axes for place in one.places.values())
    settings = layout_of(height=360, margin={"l": 20, "r": 20, "t": 10, "b": 8})
    figure.update_layout(
        **{**settings, "showlegend": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis=axis(
            tickvals=list(range(len(axes))), ticktext=[_broken(plain(one.title)) for one in axes], showgrid=False,
            range=[-0.15, max(len(axes) - 0.6, 0.5)],
        ),
        yaxis=axis(visible=False, range=[-0.2 if has_gaps else -0.06, 1.12]),
    )  # fmt: skip
    return figure


def _broken(title: str) -> str:
    """A title in lines of one word each, where it is long: axes stand near each other on a phone."""
    return title if len(title) <= _LONG else title.replace(" ", "<br>")


def importance_bars(result: SearchResult, importances: Mapping[str, float]) -> go.Figure:
    """How much of the variation of scores each parameter explains."""
    names = list(importances)
    figure = go.Figure()
    figure.add_bar(
        x=[100 * importances[name] for name in names],
        y=list(range(len(names))),
        orientation="h",
        marker={"color": _GOOD},
        customdata=[plain(name) for name in names],
        hovertemplate="%{customdata}: %{x:.0f} %<extra></extra>",
        name="importance",
    )
    figure.update_layout(
        **layout_of(height=70 + 26 * len(names), margin={"l": 8, "r": 16, "t": 8, "b": 8}),
        bargap=0.35,
        xaxis=axis(title="share of the variation", ticksuffix=" %", nticks=5, rangemode="tozero"),
        yaxis=axis(
            tickvals=list(range(len(names))), ticktext=[plain(name) for name in names], showgrid=False,
            autorange="reversed",
        ),
    )  # fmt: skip
    return figure


def optimism_strip(study: StudyRecord, result: SearchResult) -> go.Figure:
    """Every finalist's score in the search (open) and its mean over fresh seeds with its interval (filled)."""
    figure, styles = go.Figure(), arm_styles(study)
    shown = [finalist for finalist in result.optimism if finalist.fresh is not None]
    for row, finalist in enumerate(shown):
        style, searched = styles[finalist.arm], _shown(result, finalist.search_score)
        middle = _shown(result, finalist.fresh)
        low, high = (
            (finalist.interval.low, finalist.interval.high)
            if finalist.interval
            else (finalist.fresh or 0.0, finalist.fresh or 0.0)
        )
        ends = sorted((_shown(result, low), _shown(result, high)))
        figure.add_scatter(
            x=[searched, middle], y=[row, row], mode="lines", line={"color": GREY, "width": 1, "dash": "dot"},
            hoverinfo="skip", name="optimism",
        )  # fmt: skip
        figure.add_scatter(
            x=[searched],
            y=[row],
            mode="markers",
            marker={"color": style.colour, "symbol": f"{style.symbol}-open", "size": 13, "line": {"width": 2}},
            hovertemplate=f"in the search: %{{x:.4g}}{_unit(result)}<extra>%{{fullData.name}}</extra>",
            name=plain(finalist.arm),
        )
        figure.add_scatter(
            x=[middle],
            y=[row],
            mode="markers",
            error_x={"type": "data", "symmetric": False, "array": [ends[1] - middle], "arrayminus": [middle - ends[0]],
                     "color": style.colour, "thickness": 2.5, "width": 5},
            marker={"color": style.colour, "symbol": style.symbol, "size": 11},
            hovertemplate=f"mean of {finalist.n} fresh seeds: %{{x:.4g}}{_unit(result)}"
            "<extra>%{fullData.name}</extra>",
            name=plain(finalist.arm),
        )  # fmt: skip
        row_name(figure, finalist.arm, style, row - 0.34)
    rows_layout(figure, len(shown), _metric(result), _unit(result))
    return figure


def _shown(result: SearchResult, score: float | None) -> float:
    value = math.nan if score is None else score
    return 100 * value if is_share(result.metric) else value


def _unit(result: SearchResult) -> str:
    return " %" if is_share(result.metric) else ""


def _metric(result: SearchResult) -> str:
    return result.metric.replace("_", " ")


def _depth(epochs: int | None) -> float:
    return -1.0 if epochs is None else math.inf if epochs == WHOLE else float(epochs)


def _place(parameter: Range | Choice, value: int | float | str | None) -> float:
    """Where a value stands between the foot (0) and the top (1) of its axis; below it, where there is none."""
    if value is None:
        return -0.14
    if isinstance(parameter, Choice):
        names = list(parameter.levels)
        return 0.5 if len(names) == 1 else names.index(str(value)) / (len(names) - 1)
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if low == high:
        return 0.5
    if parameter.log:
        return math.log(at / low) / math.log(high / low)
    return (at - low) / (high - low)


def _marks(parameter: Range | Choice) -> list[tuple[float, str]]:
    if isinstance(parameter, Choice):
        return [(_place(parameter, name), name if len(name) <= 14 else f"{name[:13]}…") for name in parameter.levels]
    middle = math.sqrt(parameter.low * parameter.high) if parameter.log else (parameter.low + parameter.high) / 2
    ends = [(0.0, f"{parameter.low:g}"), (1.0, f"{parameter.high:g}")]
    if parameter.is_whole and not parameter.log and middle != int(middle):
        return ends
    return [ends[0], (0.5, f"{middle:.3g}"), ends[1]]


def _ticks(low: int, high: int) -> dict[str, Sequence[float] | Sequence[str]]:
    """Round numbers of parameters on a logarithmic axis."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high < 100 * low else (1,)
    values = [step * 10**power for power in powers for step in steps if low / 2 <= step * 10**power <= 2 * high]
    return {"tickvals": values, "ticktext": [whole(round(value)) for value in values]}


def described(outcomes: Sequence[Outcome]) -> str:
    """The front in words."""
    return ", ".join(f"{outcome.name} ({whole(outcome.parameters)} parameters)" for outcome in outcomes)
