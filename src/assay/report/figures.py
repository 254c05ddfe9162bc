"""One function per figure, from records to Plotly. The page's script adds what depends on light or dark."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import plotly.graph_objects as go

from ..stats import Ranking, factors_of, mean_interval
from ..store.records import EpochRecord, RunRecord, StudyRecord
from .contrasts import Contrast, blocks, contrasts
from .inputs import Gallery
from .palette import PALETTE, ArmStyle, arm_styles
from .scores import Split, arm_scores, ordered_arms

Metric = Literal["accuracy", "loss"]
Measured = Literal["train", "validation"]

_FONT = '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
GREY = "#7a7f85"  # readable on white and on black, until the page's script sets the colour of the text
_GRID = "rgba(128,128,128,0.22)"
_ROW = 62  # pixels for one arm in a figure with a row per arm


def score_strip(study: StudyRecord, *, split: Split = "validation") -> go.Figure:
    """Every run's accuracy as a dot, with each arm's mean and 95 % interval; two arms have their pairs joined."""
    arms, styles = arm_scores(study, split=split), arm_styles(study)
    figure = go.Figure()
    is_pair = len(arms) == 2
    if is_pair:
        first, second = (dict(zip(arm.seeds, arm.scores, strict=True)) for arm in arms)
        pairs = [(first[seed], second[seed]) for seed in first if seed in second]
        figure.add_scatter(
            x=joined([_percents(pair) for pair in pairs]),
            y=joined([[0.0, 1.0]] * len(pairs)),
            mode="lines",
            line={"color": "rgba(128,128,128,0.55)", "width": 1},
            hoverinfo="skip",
            name="same seed",
        )
    for row, arm in enumerate(arms):
        style = styles[arm.arm]
        _dots(figure, arm.arm, style, _percents(arm.scores), arm.seeds, row, " %")
        # With two arms the lines between them keep the middle; means and names stand outside.
        outside = -0.24 if is_pair and row == 0 else 0.24
        if arm.interval:
            numbers = _percents((arm.interval.mean, arm.interval.low, arm.interval.high))
            _mean(figure, arm.arm, style, numbers, row + outside, " %")
        row_name(figure, arm.arm, style, row + (0.54 if is_pair and row == 1 else -0.54 if is_pair else -0.34))
    rows_layout(figure, len(arms), f"{split} accuracy", " %", outer=0.74 if is_pair else 0.62)
    return figure


def difference_strip(study: StudyRecord, *, split: Split = "validation") -> go.Figure:
    """Each contrast's paired differences as dots, with their mean and 95 % interval, around zero."""
    found, styles = contrasts(study, split=split), arm_styles(study)
    figure = go.Figure()
    for row, contrast in enumerate(found):
        style = styles[contrast.arm]
        _dots(figure, contrast.arm, style, _percents(contrast.differences), contrast.seeds, row, " points")
        if contrast.difference:
            interval = contrast.difference
            numbers = _percents((interval.mean, interval.low, interval.high))
            _mean(figure, contrast.arm, style, numbers, row + 0.24, " points")
        row_name(figure, contrast.arm, style, row - 0.34)
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    ends = [0.0, *(100 * value for contrast in found for value in contrast.differences)]
    ends += [100 * end for contrast in found if (d := contrast.difference) for end in (d.low, d.high)]
    room = 0.06 * (max(ends) - min(ends)) or 1.0
    x_range = [min(ends) - room, max(ends) + room]
    rows_layout(figure, len(found), _difference_title(found), "", range=x_range)
    return figure


def interaction_plot(study: StudyRecord, one: str, other: str, *, split: Split = "validation") -> go.Figure:
    """Mean accuracy at each level of a factor, one line for each level of another, averaged over all others.

    Bars are 95 % intervals of each mean over seeds.
    """
    arms = ordered_arms(study)
    levels = factors_of([arm.levels for arm in arms])
    _, scores = blocks(study, split=split)
    figure = go.Figure()
    count = len(levels[other])
    for index, name in enumerate(levels[other]):
        style = PALETTE[index % len(PALETTE)]
        cells = [
            [at for at, arm in enumerate(arms) if arm.levels[one] == level and arm.levels[other] == name]
            for level in levels[one]
        ]
        by_seed = [[100 * sum(row[at] for at in cell) / len(cell) for row in scores] for cell in cells]
        intervals = [mean_interval(values) for values in by_seed]
        shift = 0.05 * (index - (count - 1) / 2)
        figure.add_scatter(
            x=[place + shift for place in range(len(cells))],
            y=[interval.mean for interval in intervals],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [interval.high - interval.mean for interval in intervals],
                "arrayminus": [interval.mean - interval.low for interval in intervals],
                "color": style.colour,
                "thickness": 1.6,
                "width": 4,
            },
            mode="lines+markers",
            line={"color": style.colour, "width": 2.4, "dash": style.dash},
            marker={"color": style.colour, "symbol": style.symbol, "size": 9},
            hovertemplate=f"%{{y:.2f}} %<extra>{plain_text(f'{other} {name}')}</extra>",
            name=plain_text(f"{other} {name}"),
            showlegend=True,
        )
    settings = layout(height=330, margin={"l": 8, "r": 12, "t": 10, "b": 8})
    figure.update_layout(
        **{**settings, "showlegend": True},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis=axis(
            title=plain_text(one), tickvals=list(range(len(levels[one]))),
            ticktext=[plain_text(n) for n in levels[one]],
            range=[-0.4, len(levels[one]) - 0.6], showgrid=False,
        ),
        yaxis=axis(title=f"{split} accuracy", ticksuffix=" %", nticks=6),
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
            x=[rank], y=[row], mode="markers", name=plain_text(name),
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


def learning_curves(study: StudyRecord, metric: Metric, measured: Measured) -> go.Figure:
    """All runs of every arm as thin lines, with mean and 95 % band of the finished ones.

    The figure of a training metric also holds each arm's running average, hidden until it is asked for.
    """
    figure, styles = go.Figure(), arm_styles(study)
    scale = 100.0 if metric == "accuracy" else 1.0
    unit = " %" if metric == "accuracy" else ""
    for arm in ordered_arms(study):
        runs = [run for run in study.runs_of(arm.name) if run.epochs]
        finished = [run for run in runs if run.state == "finished"]
        value = _reader(f"{measured}_{metric}", scale)
        _thin_lines(figure, arm.name, styles[arm.name], runs, value)
        _mean_and_band(figure, arm.name, styles[arm.name], finished, value, unit)
        if measured == "train":
            _running_average(figure, arm.name, styles[arm.name], finished, _reader(f"running_{metric}", scale), unit)
    title = f"{'training' if measured == 'train' else 'validation'} {metric}"
    figure.update_layout(
        **layout(height=300, margin={"l": 8, "r": 12, "t": 10, "b": 8}),
        xaxis=axis(title="epoch", **_epoch_ticks(study)),
        yaxis=axis(title=title, ticksuffix=unit, **_value_axis(study, metric, measured, scale)),
    )
    return figure


def published_curves(runs: Sequence[RunRecord], theirs: Sequence[float]) -> go.Figure:
    """Accuracy after each epoch of our runs of one network, over the figures that were published.

    Args:
        runs: Ours; those that did not finish show how far they came.
        theirs: Fractions, one for each epoch.
    """
    figure = go.Figure()
    ours = ArmStyle("#0072B2", "circle", "●", "solid")
    value = _reader("validation_accuracy", 100.0)
    _thin_lines(figure, "our runs", ours, [run for run in runs if run.epochs], value)
    _mean_and_band(figure, "ours", ours, [run for run in runs if run.state == "finished"], value, " %")
    figure.add_scatter(
        x=list(range(1, len(theirs) + 1)),
        y=_percents(theirs),
        mode="lines+markers",
        line={"color": "#D55E00", "width": 1.6, "dash": "dash"},
        marker={"color": "#D55E00", "symbol": "diamond", "size": 6},
        hovertemplate="epoch %{x}: %{y:.2f} %<extra>published</extra>",
        name="published",
    )
    longest = max([len(theirs), *(len(run.epochs) for run in runs)])
    first = 2 if longest > 2 else 1  # what a first epoch reaches would flatten all the others
    settled = [100 * v for v in theirs[first - 1 :]]
    settled += [100 * e.validation_accuracy for run in runs for e in run.epochs if e.epoch >= first]
    settled = sorted(v for v in settled if math.isfinite(v))
    low, high = (settled[len(settled) // 50], settled[-1]) if settled else (0.0, 100.0)
    room = 0.08 * (high - low) or 1.0
    figure.update_layout(
        **layout(height=220, margin={"l": 8, "r": 12, "t": 10, "b": 8}),
        xaxis=axis(title="epoch", range=[0.5, longest + 0.5], nticks=6),
        yaxis=axis(ticksuffix=" %", range=[low - room, min(high + room, 100.2)], nticks=5),
    )
    return figure


def run_times(study: StudyRecord) -> go.Figure:
    """Seconds of every finished run as a dot, a row per arm."""
    figure, styles = go.Figure(), arm_styles(study)
    arms = ordered_arms(study)
    for row, arm in enumerate(arms):
        timed = [run for run in study.runs_of(arm.name) if run.state == "finished" and run.seconds is not None]
        times, seeds = [run.seconds for run in timed if run.seconds is not None], [run.seed for run in timed]
        _dots(figure, arm.name, styles[arm.name], times, seeds, row, " s", digits="3~s")
        row_name(figure, arm.name, styles[arm.name], row - 0.34)
    rows_layout(figure, len(arms), "seconds per run", "", rangemode="tozero")
    return figure


def class_counts(gallery: Gallery) -> go.Figure:
    """Images of each class in the training split, as bars."""
    names = [plain_text(name) for name in gallery.class_names]
    figure = go.Figure()
    figure.add_bar(
        x=list(gallery.training_counts),
        y=list(range(len(names))),
        orientation="h",
        marker={"color": "#56B4E9"},
        customdata=names,
        hovertemplate="%{customdata}: %{x:,}<extra></extra>",
        name="training images",
    )
    figure.update_layout(
        **layout(height=70 + 24 * len(names), margin={"l": 8, "r": 16, "t": 8, "b": 8}),
        bargap=0.3,
        xaxis=axis(title="training images", nticks=5, rangemode="tozero", separatethousands=True),
        yaxis=axis(tickvals=list(range(len(names))), ticktext=names, showgrid=False, autorange="reversed"),
    )
    return figure


def _dots(
    figure: go.Figure,
    arm: str,
    style: ArmStyle,
    values: Sequence[float],
    seeds: Sequence[int],
    row: float,
    unit: str,
    *,
    digits: str = ".2f",
) -> None:
    figure.add_scatter(
        x=list(values),
        y=[row] * len(values),
        mode="markers",
        marker={"color": style.colour, "symbol": style.symbol, "size": 9, "opacity": 0.7, "line": {"width": 0}},
        customdata=list(seeds),
        hovertemplate=f"seed %{{customdata}}: %{{x:{digits}}}{unit}<extra>%{{fullData.name}}</extra>",
        name=plain_text(arm),
        meta={"arm": arm, "kind": "runs"},
    )


def _mean(figure: go.Figure, arm: str, style: ArmStyle, numbers: Sequence[float], y: float, unit: str) -> None:
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
        name=plain_text(arm),
        meta={"arm": arm, "kind": "mean"},
    )


def row_name(figure: go.Figure, arm: str, style: ArmStyle, y: float) -> None:
    """An arm's name above its row, where it needs no margin and stays readable on a phone."""
    shown = arm if len(arm) <= 52 else f"{arm[:51]}…"
    figure.add_annotation(
        text=f'<span style="color:{style.colour}">{_GLYPHS[style.symbol]}</span> {plain_text(shown)}',
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


_GLYPHS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲"}


def rows_layout(figure: go.Figure, num_rows: int, title: str, unit: str, *, outer: float = 0.62, **x: Any) -> None:
    figure.update_layout(
        **layout(height=_ROW * num_rows + 84, margin={"l": 1, "r": 12, "t": 4, "b": 8}),
        xaxis=axis(title=title, ticksuffix=unit, nticks=6, **x),
        yaxis=axis(visible=False, range=[num_rows - 1 + max(0.5, outer - 0.02), -outer], fixedrange=True),
    )


def _thin_lines(
    figure: go.Figure,
    arm: str,
    style: ArmStyle,
    runs: Iterable[RunRecord],
    value: Callable[[EpochRecord], float | None],
) -> None:
    """Every run of an arm as one trace, with a gap between runs: a study has hundreds."""
    runs = tuple(runs)
    longest = max((len(run.epochs) for run in runs), default=0)
    figure.add_scatter(
        x=joined([[epoch.epoch for epoch in run.epochs] for run in runs]),
        y=joined([[value(epoch) for epoch in run.epochs] for run in runs]),
        mode="lines" if longest > 1 else "markers",
        line={"color": style.colour, "width": 1, "dash": style.dash},
        marker={"color": style.colour, "symbol": style.symbol, "size": 6},
        opacity=0.38 if any(run.state == "finished" for run in runs) else 0.8,
        hoverinfo="skip",
        name=plain_text(arm),
        meta={"arm": arm, "kind": "runs"},
    )


def _mean_and_band(
    figure: go.Figure,
    arm: str,
    style: ArmStyle,
    runs: Sequence[RunRecord],
    value: Callable[[EpochRecord], float | None],
    unit: str,
) -> None:
    epochs, by_epoch = _by_epoch(runs, value)
    if not epochs:
        return
    intervals = [mean_interval(values) if len(values) > 1 else None for values in by_epoch]
    banded = [(epoch, i) for epoch, i in zip(epochs, intervals, strict=True) if i]
    if len(banded) > 1:
        there, back = [epoch for epoch, _ in banded], [epoch for epoch, _ in reversed(banded)]
        figure.add_scatter(
            x=there + back,
            y=[i.high for _, i in banded] + [i.low for _, i in reversed(banded)],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=style.band,
            hoverinfo="skip",
            name=f"{plain_text(arm)}, 95 % interval",
            meta={"arm": arm, "kind": "band"},
        )
    told = [f"{i.low:.4g} to {i.high:.4g}, n = {i.n}" if i else "n = 1" for i in intervals]
    figure.add_scatter(
        x=epochs,
        y=[sum(values) / len(values) for values in by_epoch],
        mode="lines" if len(epochs) > 1 else "markers",
        line={"color": style.colour, "width": 2.6, "dash": style.dash},
        marker={"color": style.colour, "symbol": style.symbol, "size": 11},
        customdata=told,
        hovertemplate=f"epoch %{{x}}: %{{y:.4g}}{unit} (%{{customdata}})<extra>%{{fullData.name}}</extra>",
        name=plain_text(arm),
        meta={"arm": arm, "kind": "mean"},
    )


def _running_average(
    figure: go.Figure,
    arm: str,
    style: ArmStyle,
    runs: Sequence[RunRecord],
    value: Callable[[EpochRecord], float | None],
    unit: str,
) -> None:
    epochs, by_epoch = _by_epoch(runs, value)
    if epochs:
        figure.add_scatter(
            x=epochs,
            y=[sum(values) / len(values) for values in by_epoch],
            mode="lines+markers",
            line={"color": style.colour, "width": 1.5, "dash": "dot"},
            marker={"color": style.colour, "symbol": "circle-open", "size": 6},
            hovertemplate=f"epoch %{{x}}: %{{y:.4g}}{unit}<extra>%{{fullData.name}}</extra>",
            name=f"{plain_text(arm)}, running average",
            visible=False,
            meta={"arm": arm, "kind": "running"},
        )


def _by_epoch(
    runs: Sequence[RunRecord], value: Callable[[EpochRecord], float | None]
) -> tuple[list[int], list[list[float]]]:
    """The epochs that every run has recorded, so that a mean never changes its runs midway."""
    shortest = min((len(run.epochs) for run in runs), default=0)
    epochs, by_epoch = [], []
    for step in range(shortest):
        values = [value(run.epochs[step]) for run in runs]
        finite = [number for number in values if number is not None]
        if len(finite) == len(values):
            epochs.append(runs[0].epochs[step].epoch)
            by_epoch.append(finite)
    return epochs, by_epoch


def _reader(field: str, scale: float) -> Callable[[EpochRecord], float | None]:
    def read(epoch: EpochRecord) -> float | None:
        value = getattr(epoch, field)
        return scale * value if value is not None and math.isfinite(value) else None

    return read


def _value_axis(study: StudyRecord, metric: Metric, measured: Measured, scale: float) -> dict[str, Any]:
    """The frame that holds every run but the failed ones: a diverged loss would squeeze all others into a line.

    Losses shrink by factors, so theirs is a logarithmic axis, unless one is zero or they are all much alike.
    """
    shown = [run for run in study.runs if not run.is_failed and run.epochs] or study.runs
    read = _reader(f"{measured}_{metric}", scale)
    values = [value for run in shown for epoch in run.epochs if (value := read(epoch)) is not None]
    if not values:
        return {}
    low, high = min(values), max(values)
    if metric == "accuracy" or low <= 0 or high < 3 * low:
        room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        return {"range": [low - room, high + room], "nticks": 6}
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 1.5, 2, 3, 4, 6, 8) if high < 10 * low else (1, 2, 5) if len(powers) <= 4 else (1,)
    ticks = [float(f"{step}e{power}") for power in powers for step in steps]
    room = 0.05 * math.log10(high / low)
    frame = [math.log10(low) - room, math.log10(high) + room]
    return {"type": "log", "range": frame, "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _epoch_ticks(study: StudyRecord) -> dict[str, Any]:
    longest = max((len(run.epochs) for run in study.runs), default=1)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if longest / step <= 8)
    return {"tick0": 0 if step > 1 else 1, "dtick": step, "range": [min(0.9, 1 - longest / 60), longest * 1.02 + 0.05]}


def _difference_title(found: Sequence[Contrast]) -> str:
    against = "the first arm" if len(found) != 1 else plain_text(found[0].baseline)
    return f"points above {against}" if len(against) <= 34 else "points above the first arm"


def joined(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Rows in one list, with a gap after each."""
    return [value for row in rows for value in (*row, None)]


def _percents(shares: Iterable[float]) -> list[float]:
    return [100 * share for share in shares]


def plain_text(text: str) -> str:
    """Plotly reads its texts as markup."""
    return html.escape(text, quote=False)


def axis(**settings: Any) -> dict[str, Any]:
    common: dict[str, Any] = {
        "gridcolor": _GRID,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "ticklabelstandoff": 5,
    }
    if isinstance(settings.get("title"), str):
        settings["title"] = {"text": settings["title"], "standoff": 10, "font": {"size": 13}}
    return {**common, **settings}


def layout(*, height: int, margin: dict[str, int]) -> dict[str, Any]:
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
