"""The report's section on how many more images would do: what each curve promises, the curves, and a table."""

from __future__ import annotations

import math
from typing import Any

from ..analysis.learning import LearningCurves
from ..numerals import NOTHING
from .blocks import figure_block
from .tables.table import Column, Table, line


def learning_section(curves: LearningCurves) -> dict[str, Any]:
    """What the template shows."""
    from .figures.learning import images_curve

    described = " ".join(f"{sentence}." for sentence in curves.sentences)
    return {
        "sentences": curves.sentences,
        "notes": curves.notes,
        "figure": figure_block(
            "learning",
            images_curve(curves),
            f"Validation {curves.measure.label} against training images",
            described,
            "One dot is one seed. The line is the median of curves of several families that agree with the means, the "
            "area their 95 % band; beyond the largest size it is dashed.",
        ),
        "table": _table(curves),
    }


def _table(curves: LearningCurves) -> Table:
    unit, rows = curves.measure.unit, []
    for one in curves.curves:
        places = [(size.images, len(size.scores), size.mean, size.is_left_out) for size in one.sizes]
        if one.curve is not None:
            places.append((one.largest + curves.more, 0, math.nan, False))
        for images, seeds, mean, is_left_out in places:
            fitted = NOTHING if is_left_out else one.fitted(images, unit)
            rows.append(
                line(one.label or curves.study, f"{round(images):,}", str(seeds or NOTHING), unit.value(mean), fitted)
            )
    titles = ("images a class", "seeds", f"mean {curves.measure.label}", "curve, 95 % band")
    columns = (Column("network", is_number=False), *map(Column, titles))
    return Table("Sizes that were trained on, and what the curve says of them and of more.", columns, tuple(rows))
