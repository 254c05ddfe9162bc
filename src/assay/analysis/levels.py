"""What each arm scores, with an interval that covers other seeds and other images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Problem, SpecError
from ..numerals import counted
from ..stats import crossed_interval
from ..store.records import StudyRecord
from .grid import grid_of
from .image_spread import claim_of, spread_of
from .measured import measure_of
from .rows import Row, arms_by_data
from .scores import Split, varied


@dataclass(frozen=True)
class Level:
    """An arm's mean score.

    Args:
        arm: Its name.
        mean: Over seeds, by the study's measure: accuracies are fractions.
        low, high: Ends of its 95 % interval; ``None`` below two seeds.
        n: Seeds.
    """

    arm: str
    mean: float
    low: float | None
    high: float | None
    n: int


def levels(study: StudyRecord, split: Split = "validation") -> tuple[Level, ...]:
    """Every arm's mean with an interval for what the study claims: other seeds and, unless it claims these images
    alone, other images of the same kind. Arms without a score are left out.

    A verdict compares arms on the same seeds and images, so two arms may differ clearly though these intervals overlap.

    Args:
        study: Its record.
        split: Whose images: ``"validation"``, or ``"test"`` once revealed.

    Raises:
        SpecError: The test split is sealed.
        DataError: Predictions that the measure needs were not kept, or these images cannot have it.
    """
    if split == "test" and not study.columns.has_test:
        raise SpecError(Problem(f'the test split of "{study.name}" is sealed', "assay reveal scores it, once"))
    grid, bounds = grid_of(study), measure_of(study).bounds
    scores = grid.scores(split)
    result = []
    for data, arms in arms_by_data(study).items():
        for arm in arms:
            place = grid.places[arm.name]
            seeds = np.flatnonzero(scores.known[place])
            values = scores.means[place][seeds]
            if not len(values):
                continue
            low = high = None
            if len(values) > 1:
                row = Row(arm.name, arm.name, (arm.name,), (1.0,), data=data)
                ends = crossed_interval(values, spread_of(study, row, seeds, split))
                low, high = (float(min(max(end, bounds[0]), bounds[1])) for end in ends)
            result.append(Level(arm.name, float(values.mean()), low, high, len(values)))
    return tuple(result)


def level_sentences(study: StudyRecord, split: Split = "validation") -> tuple[str, ...]:
    """Every arm's mean and interval in words, and what the intervals speak of; without full stops."""
    measure = measure_of(study)
    unit = measure.unit
    lines = []
    for one in levels(study, split):
        value, ends = unit.value(one.mean), ""
        if one.low is not None and one.high is not None:
            value, ends = unit.within(one.low, one.high).value(one.mean), f" {unit.interval(one.low, one.high)}"
        lines.append(f"{one.arm}: {split} {measure.label} {value}{ends}, {counted(one.n, 'seed')}")
    lines.append(
        f"95 % intervals of means speak of what a seed changes ({', '.join(varied(study)) or 'nothing'}) and of "
        f"{claim_of(study)}"
    )
    return tuple(lines)
