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
from .frame import GREY, Rows, dots, joined, mean_bar, plain, row_name, rows_layout


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
    values = [_scaled(unit, arm.scores) for arm in arms]
    rows = Rows.of(values, _scaled(unit, [end for arm in arms if (i := arm.interval) for end in (i.low, i.high)]))
    if is_pair:
        first, second = (
            {
                seed: (value, row + lift)
                for seed, value, lift in zip(arm.seeds, values[row], rows.lifts[row], strict=True)
            }
            for row, arm in enumerate(arms)
        )
        pairs = [(first[seed], second[seed]) for seed in first if seed in second]
        figure.add_scatter(
            x=joined([[x for x, _ in pair] for pair in pairs]),
            y=joined([[y for _, y in pair] for pair in pairs]),
            mode="lines",
            line={"color": "rgba(128,128,128,0.55)", "width": 1},
            hoverinfo="skip",
            name="same seed",
        )
    for row, arm in enumerate(arms):
        style = styles[arm.arm]
        dots(figure, arm.arm, style, values[row], arm.seeds, row, rows.lifts[row], unit.suffix)
        # With two arms the lines between them keep the middle; means and names stand outside.
        outside = rows.outside(-0.24 if is_pair and row == 0 else 0.24)
        if arm.interval:
            numbers = _scaled(unit, (arm.interval.mean, arm.interval.low, arm.interval.high))
            mean_bar(figure, arm.arm, style, numbers, row + outside, unit.suffix)
        name = rows.outside(0.54 if is_pair and row == 1 else -0.54 if is_pair else -0.34)
        row_name(figure, arm.arm, style, row + name)
    outer = -rows.outside(-0.74 if is_pair else -0.62)
    rows_layout(figure, len(arms), f"{split} {measure.label}", unit.suffix, outer=outer, height=rows.height)
    return figure


def difference_strip(study: StudyRecord, *, split: Split = "validation") -> go.Figure:
    """Each contrast's paired differences as dots, with their mean and 95 % interval, around zero."""
    shown, styles, unit = contrasts(study, split=split), arm_styles(study), measure_of(study).unit
    behind = f" {unit.name}".rstrip()
    figure = go.Figure()
    values = [_scaled(unit, contrast.differences) for contrast in shown]
    ends = [0.0, *(unit.scale * end for contrast in shown if (d := contrast.difference) for end in (d.low, d.high))]
    rows = Rows.of(values, ends)
    for row, contrast in enumerate(shown):
        style = styles[contrast.arm]
        dots(figure, contrast.arm, style, values[row], contrast.seeds, row, rows.lifts[row], behind)
        if contrast.difference:
            interval = contrast.difference
            numbers = _scaled(unit, (interval.mean, interval.low, interval.high))
            mean_bar(figure, contrast.arm, style, numbers, row + rows.outside(0.24), behind)
        row_name(figure, contrast.arm, style, row + rows.outside(-0.34))
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    ends += [value for row_values in values for value in row_values]
    room = 0.06 * (max(ends) - min(ends)) or 1.0
    x_range = [min(ends) - room, max(ends) + room]
    outer = -rows.outside(-0.62)
    rows_layout(figure, len(shown), _difference_title(shown, unit), "", outer=outer, height=rows.height, range=x_range)
    return figure


def _difference_title(shown: Sequence[Contrast], unit: Unit) -> str:
    above = f"{unit.name} above".strip()
    against = "the first arm" if len(shown) != 1 else plain(shown[0].baseline)
    return f"{above} {against}" if len(against) <= 34 else f"{above} the first arm"


def _scaled(unit: Unit, values: Sequence[float]) -> list[float]:
    return [unit.scale * value for value in values]
