"""Learning curves: every run as a thin line, an arm's mean as a thick one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import plotly.graph_objects as go

from ...analysis.scores import metric_interval, ordered_arms
from ...stats import Interval
from ...store.records import EpochRecord, RunRecord, StudyRecord
from ..palette import ArmStyle, arm_styles
from .frame import FEWEST_FOR_BANDS, axis, joined, layout_of, percents, plain

Metric = Literal["accuracy", "loss"]
Measured = Literal["train", "validation"]


def learning_curves(study: StudyRecord, metric: Metric, measured: Measured) -> go.Figure:
    """All runs of every arm as thin lines, with mean and 95 % band of the finished ones, where these are three or more.

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
        **layout_of(height=300, margin={"l": 8, "r": 12, "t": 10, "b": 8}),
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
        y=percents(theirs),
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
        **layout_of(height=220, margin={"l": 8, "r": 12, "t": 10, "b": 8}),
        xaxis=axis(title="epoch", range=[0.5, longest + 0.5], nticks=6),
        yaxis=axis(ticksuffix=" %", range=[low - room, high + room], nticks=5),
    )
    return figure


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
        name=plain(arm),
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
    intervals = [_interval(values, unit) if len(values) >= FEWEST_FOR_BANDS else None for values in by_epoch]
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
            name=f"{plain(arm)}, 95 % interval",
            meta={"arm": arm, "kind": "band"},
        )
    interval_texts = [
        f"{i.low:.4g} to {i.high:.4g}, n = {i.n}" if i else f"n = {len(values)}"
        for i, values in zip(intervals, by_epoch, strict=True)
    ]
    figure.add_scatter(
        x=epochs,
        y=[sum(values) / len(values) for values in by_epoch],
        mode="lines" if len(epochs) > 1 else "markers",
        line={"color": style.colour, "width": 2.6, "dash": style.dash},
        marker={"color": style.colour, "symbol": style.symbol, "size": 11},
        customdata=interval_texts,
        hovertemplate=f"epoch %{{x}}: %{{y:.4g}}{unit} (%{{customdata}})<extra>%{{fullData.name}}</extra>",
        name=plain(arm),
        meta={"arm": arm, "kind": "mean"},
    )


def _interval(values: Sequence[float], unit: str) -> Interval:
    """The interval of a mean accuracy in percent, or of a mean loss."""
    if not unit:
        interval = metric_interval(values, "loss")
        return replace(interval, low=max(interval.low, 1e-9))  # a logarithmic axis has no 0
    shares = metric_interval([value / 100 for value in values], "accuracy")
    return replace(shares, mean=100 * shares.mean, low=100 * shares.low, high=100 * shares.high)


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
            name=f"{plain(arm)}, running average",
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
    if longest <= 1:
        return {"tick0": 0, "dtick": 1, "range": [-0.1, 2.1]}
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**9) if longest / step <= 8)
    return {"tick0": 0 if step > 1 else 1, "dtick": step, "range": [min(0.9, 1 - longest / 60), longest * 1.02 + 0.05]}
