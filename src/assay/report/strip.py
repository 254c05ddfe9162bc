"""Scores as a small picture for a notebook's cell: SVG of fixed text and relative places, at home on any width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from ..analysis.measured import measure_of
from ..analysis.scores import ArmScores, Split, arm_scores
from ..store.records import StudyRecord
from .beeswarm import lanes
from .palette import arm_styles

MOST_ARMS = 12
_ROW, _AXIS = 40, 34  # pixels
_DOT, _NARROW = 8, 360  # pixels of a dot, and of a narrow cell: dots that touch there stand side by side
_MOST_SPREAD = 30  # pixels from the middle of the dots to the outermost
_FEWEST_TICKS = 2  # one number gives no scale
_LEFT, _WIDE = 2.0, 96.0  # percent of the width


def score_svg(study: StudyRecord, *, split: Split = "validation") -> str:
    """Every run's score as a dot, with each arm's mean and 95 % interval; empty where no run has a score.

    Args:
        study: Its record.
        split: On which images.
    """
    arms = [arm for arm in arm_scores(study, split=split) if arm.scores]
    if not arms:
        return ""
    hidden, measure = len(arms) - MOST_ARMS, measure_of(study)
    unit = measure.unit
    if hidden > 0:
        best = sorted(arms, key=lambda arm: arm.mean or 0.0, reverse=measure.higher_is_better)[:MOST_ARMS]
        arms = [arm for arm in arms if arm in best]
    low, high, step = _axis(arms)

    def x(share: float) -> str:
        return f"{_LEFT + _WIDE * (share - low) / (high - low):.2f}%"

    styles = arm_styles(study)
    parts = []
    chosen = [lanes(arm.scores, _DOT / _NARROW * (high - low)) for arm in arms]
    most = max(abs(lane) for row in chosen for lane in row)
    lift = min(_DOT, _MOST_SPREAD / most) if most else 0.0
    spread = round(most * lift)
    height_of_row = _ROW + 2 * spread
    for row, arm in enumerate(arms):
        style, top = styles[arm.arm], row * height_of_row
        name = arm.arm if len(arm.arm) <= 48 else f"{arm.arm[:47]}…"
        parts.append(
            f'<text x="{_LEFT}%" y="{top + 13}" fill="currentColor" font-size="12">'
            f'<tspan fill="{style.colour}">{style.glyph}</tspan> {escape(name)}</text>'
        )
        dots = (
            f'<circle cx="{x(score)}" cy="{top + 24 + spread + lane * lift:g}" r="{_DOT // 2}" fill="{style.colour}" '
            f'fill-opacity="0.55"><title>seed {seed}: {unit.value(score)}</title></circle>'
            for seed, score, lane in zip(arm.seeds, arm.scores, chosen[row], strict=True)
        )
        parts.extend(dots)
        if arm.interval is not None:
            bar = f'stroke="{style.colour}" stroke-width'
            mean, y = arm.interval.mean, top + 34 + 2 * spread
            parts.append(
                f'<line x1="{x(arm.interval.low)}" x2="{x(arm.interval.high)}" y1="{y}" y2="{y}" {bar}="2.5"/>'
                f'<line x1="{x(mean)}" x2="{x(mean)}" y1="{y - 5}" y2="{y + 5}" {bar}="3"/>'
            )
    bottom = len(arms) * height_of_row + 4
    parts.append(
        f'<line x1="{_LEFT}%" x2="{_LEFT + _WIDE}%" y1="{bottom}" y2="{bottom}" stroke="currentColor" opacity="0.4"/>'
    )
    decimals = max(0, math.ceil(-math.log10(step * unit.scale) - 1e-9))
    for tick in _ticks(low, high, step):
        parts.append(
            f'<text x="{x(tick)}" y="{bottom + 14}" fill="currentColor" font-size="11" opacity="0.75" '
            f'text-anchor="middle">{unit.scale * tick:.{decimals}f}{unit.suffix}</text>'
        )
    more = f", the {MOST_ARMS} best of {MOST_ARMS + hidden} arms" if hidden > 0 else ""
    caption = f"{split} {measure.label}: a dot for each run, the mean with its 95 % interval below{more}"
    parts.append(
        f'<text x="50%" y="{bottom + 29}" fill="currentColor" font-size="11" opacity="0.75" text-anchor="middle">'
        f"{split} {measure.label}{more}</text>"
    )
    height = bottom + _AXIS
    return (
        f'<svg role="img" aria-label="{escape(caption)}" width="100%" height="{height}" '
        f'style="display:block;max-width:640px;font-family:inherit;overflow:visible">{"".join(parts)}</svg>'
    )


def _axis(arms: Sequence[ArmScores]) -> tuple[float, float, float]:
    """Where the axis begins and ends, and the step between its numbers, as shares."""
    values = [value for arm in arms for value in arm.scores]
    values += [end for arm in arms if arm.interval for end in (arm.interval.low, arm.interval.high)]
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.01
    low, high = low - room, high + room
    rough = (high - low) / 4
    power = 10 ** math.floor(math.log10(rough))
    steps = [power * factor for factor in (0.2, 0.5, 1, 2, 5, 10)]
    at = next(index for index, step in enumerate(steps) if step >= rough)
    while at and len(_ticks(low, high, steps[at])) < _FEWEST_TICKS:
        at -= 1
    return low, high, steps[at]


def _ticks(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [number * step for number in range(first, last + 1)]
    edge = 0.07 * (high - low)  # a number at the very edge would be cut off
    return [tick for tick in ticks if low + edge <= tick <= high - edge] or ticks[:1]
