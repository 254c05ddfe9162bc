"""Strips: a row for each arm, a dot for each run."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from ...analysis.contrasts import Contrast, contrasts
from ...analysis.measured import measure_of
from ...analysis.scores import Split, arm_scores
from ...measures import Unit
from ...store.records import StudyRecord
from ..palette import arm_styles
from .frame import GREY, dots, joined, mean_bar, plain, row_name, rows_layout


def score_strip(study: StudyRecord, *, split: Split = "validation", only: Sequence[str] | None = None) -> go.Figure:
    """Every run's score as a dot, with each arm's mean and 95 % interval; two arms have their pairs joined.

    Args:
        study: Its record.
        split: On which images.
        only: Names of the arms to show, in this order; all in the study's order if ``None``.
    """
    arms, styles = arm_scores(study, split=split), arm_styles(study)
    if only is not None:
        by_name = {arm.arm: arm for arm in arms}
        arms = tuple(by_name[name] for name in only)
    figure, measure = go.Figure(), measure_of(study)
    unit = measure.unit
    is_pair = len(arms) == 2
    if is_pair:
        first, second = (dict(zip(arm.seeds, arm.scores, strict=True)) for arm in arms)
        pairs = [(first[seed], second[seed]) for seed in first if seed in second]
        figure.add_scatter(
            x=joined([_scaled(unit, pair) for pair in pairs]),
            y=joined([[0.0, 1.0]] * len(pairs)),
            mode="lines",
            line={"color": "rgba(128,128,128,0.55)", "width": 1},
            hoverinfo="skip",
            name="same seed",
        )
    for row, arm in enumerate(arms):
        style = styles[arm.arm]
        dots(figure, arm.arm, style, _scaled(unit, arm.scores), arm.seeds, row, unit.suffix)
        # With two arms the lines between them keep the middle; means and names stand outside.
        outside = -0.24 if is_pair and row == 0 else 0.24
        if arm.interval:
            numbers = _scaled(unit, (arm.interval.mean, arm.interval.low, arm.interval.high))
            mean_bar(figure, arm.arm, style, numbers, row + outside, unit.suffix)
        row_name(figure, arm.arm, style, row + (0.54 if is_pair and row == 1 else -0.54 if is_pair else -0.34))
    rows_layout(figure, len(arms), f"{split} {measure.label}", unit.suffix, outer=0.74 if is_pair else 0.62)
    return figure


def difference_strip(study: StudyRecord, *, split: Split = "validation") -> go.Figure:
    """Each contrast's paired differences as dots, with their mean and 95 % interval, around zero."""
    shown, styles, unit = contrasts(study, split=split), arm_styles(study), measure_of(study).unit
    behind = f" {unit.name}".rstrip()
    figure = go.Figure()
    for row, contrast in enumerate(shown):
        style = styles[contrast.arm]
        dots(figure, contrast.arm, style, _scaled(unit, contrast.differences), contrast.seeds, row, behind)
        if contrast.difference:
            interval = contrast.difference
            numbers = _scaled(unit, (interval.mean, interval.low, interval.high))
            mean_bar(figure, contrast.arm, style, numbers, row + 0.24, behind)
        row_name(figure, contrast.arm, style, row - 0.34)
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    ends = [0.0, *(unit.scale * value for contrast in shown for value in contrast.differences)]
    ends += [unit.scale * end for contrast in shown if (d := contrast.difference) for end in (d.low, d.high)]
    room = 0.06 * (max(ends) - min(ends)) or 1.0
    x_range = [min(ends) - room, max(ends) + room]
    rows_layout(figure, len(shown), _difference_title(shown, unit), "", range=x_range)
    return figure


def _difference_title(shown: Sequence[Contrast], unit: Unit) -> str:
    above = f"{unit.name} above".strip()
    against = "the first arm" if len(shown) != 1 else plain(shown[0].baseline)
    return f"{above} {against}" if len(against) <= 34 else f"{above} the first arm"


def _scaled(unit: Unit, values: Sequence[float]) -> list[float]:
    return [unit.scale * value for value in values]
