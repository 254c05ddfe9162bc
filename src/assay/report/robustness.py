"""The report's section on corrupted images: verdicts, curves, a table, and examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..analysis.robustness import ALL, Robustness
from ..numerals import p_value
from ..store.records import StudyRecord
from .blocks import figure_block
from .palette import arm_styles
from .tables.table import Cell, Column, Table, headings, line


def robustness_section(study: StudyRecord, robustness: Robustness) -> dict[str, Any]:
    """What the template shows."""
    from .figures.robustness import severity_curves

    styles = arm_styles(study)
    decided = [one for one in robustness.verdicts if one.outcome in ("better", "worse")]
    overall = [one for one in robustness.verdicts if one.corruption == ALL]
    arms = ", ".join(arm.arm for arm in robustness.arms)
    blocks = []
    for group in dict.fromkeys(robustness.groups):
        names = [
            name for name, own in zip(robustness.corruptions, robustness.groups, strict=True) if own == group
        ]  # fmt: skip
        listed = ", ".join(name.replace("_", " ") for name in names)
        blocks.append(
            figure_block(
                f"robustness-{group}",
                severity_curves(robustness, styles, names),
                f"{group.capitalize()}: {listed}",
                f"Mean {robustness.measure.label} against severity under {listed}, one line per arm: {arms}. "
                "The table holds the same.",
                group="robustness",
            )
        )
    return {
        "overall": overall,
        "decided": [one for one in decided if one not in overall],
        "figures": blocks,
        "table": _scores(robustness),
        "verdicts_table": _verdicts(robustness) if robustness.verdicts else None,
        "notes": robustness.notes,
    }


def _scores(robustness: Robustness) -> Table:
    """A row for each corruption, a column for each arm."""
    written, label = robustness.measure.unit.value, robustness.measure.label
    rows = [line("none", *(written(float(arm.clean.mean())) for arm in robustness.arms))]
    rows += [
        line(name.replace("_", " "), *(written(float(arm.scores[:, place].mean())) for arm in robustness.arms))
        for place, name in enumerate(robustness.corruptions)
    ]
    total = line(ALL, *(written(float(np.mean(arm.scores))) for arm in robustness.arms))
    caption = (
        f"{label[:1].upper()}{label[1:]} on corrupted {robustness.split} images, the mean over seeds and severities."
    )
    columns = headings("corruption", *(arm.arm for arm in robustness.arms))
    return Table(caption, columns, tuple(rows), total)


def _verdicts(robustness: Robustness) -> Table:
    unit = robustness.measure.unit
    rows = tuple(
        line(
            Cell(one.corruption.replace("_", " ")),
            f"{one.b} against {one.a}",
            one.outcome,
            str(one.n),
            unit.change(one.mean),
            "–" if one.low is None or one.high is None else unit.changes(one.low, one.high),
            p_value(one.p_value),
        )
        for one in robustness.verdicts
    )
    texts = [Column(title, is_number=False) for title in ("corruption", "compared", "outcome")]
    numbers = [Column(title) for title in ("seeds", "difference", "95 % interval", "adjusted p")]
    return Table(f"Every verdict{f', in {unit.words}' if unit.words else ''}.", (*texts, *numbers), rows)
