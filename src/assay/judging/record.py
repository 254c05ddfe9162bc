"""Scores from elsewhere as the record of a study, which verdicts and reports are made of."""

from __future__ import annotations

import re
from typing import Any

from ..errors import DataError, Problem, nearest
from ..measures import ACCURACY
from ..spec import Study
from ..spec.study import Claim
from ..store.records import ArmRecord, StudyRecord
from .measure import computed, measured
from .native import image_parts, run_columns
from .scores import Scores, check_scores

# Verdicts ask an arm for its name and levels alone; a study file's arms have layers besides.
_UNKNOWN_NETWORK = ["dense classes softmax"]


def record_of(
    scores: Scores,
    *,
    against: str | None = None,
    question: str = "",
    margin: float | None = None,
    claim: Claim | None = None,
    chance: float | None = None,
    higher_is_better: bool | None = None,
) -> StudyRecord:
    """The record of one data set's scores by one measure.

    Args:
        scores: Of one data set and one metric.
        against: The arm that the others are compared with; the first one unless given.
        question: What is asked.
        margin: Differences smaller than this do not matter, in points.
        claim: Of what verdicts speak: new images where every run's per-image results are known, unless given.
        chance: The accuracy of guessing.
        higher_is_better: The measure's direction, where its name does not tell.

    Raises:
        DataError: No verdict can be made of these scores, or there is no such arm.
        SpecError: The margin, the claim or the number of runs breaks a study's rules.
    """
    if against is not None and against not in scores.arms:
        raise DataError(
            Problem(f'there is no arm "{against}"', nearest(against, list(scores.arms)), file=scores.source)
        )
    arms = scores.against(against)
    check_scores(scores, arms)
    has_images = all(row.hits for row in scores.rows if row.state == "finished")
    classes = next((row.predictions.num_classes for row in scores.rows if row.predictions), 0)
    names = [str(label) for label in range(classes)]
    measure = computed(scores, names) if has_images else measured(scores, higher_is_better)
    if claim not in (None, "these images") and not has_images:
        what = f"these scores have no per-image results, so no verdict on them speaks of {claim}"
        raise DataError(Problem(what, "judge a folder of saved predictions, which has them", file=scores.source))
    levels: dict[str, dict[str, str]] = {}
    for row in scores.rows:
        levels.setdefault(row.arm, dict(row.levels))
    count = max(len({row.seed for row in scores.rows if row.arm == arm}) for arm in arms)
    seeds: dict[str, Any] = {"count": count, **({} if margin is None else {"margin": margin})}
    data = scores.data_sets[0] or scores.name
    study = Study.of(
        {
            "name": study_name(scores.name),
            "question": question,
            "data": {"name": data, "validation": "given"},
            "arms": [{"name": arm, "layers": _UNKNOWN_NETWORK} for arm in arms],
            "seeds": seeds,
            "claim": claim or ("new images" if has_images else "these images"),
            **({"metric": measure.name} if has_images and measure != ACCURACY else {}),
        }
    )
    facts: dict[str, Any] = {"name": data, "title": scores.data_sets[0], **({"classes": names} if names else {})}
    if (guess := chance if chance is not None else scores.chance) is not None:
        facts["largest_class"] = guess
    return StudyRecord(
        name=study.name,
        question=question,
        spec=study.model_dump(mode="json", exclude_none=True),
        data=facts,
        created=scores.updated,
        updated=scores.updated,
        arms=tuple(
            ArmRecord(arm.name, place, levels[arm.name], arm.model_dump(mode="json"))
            for place, arm in enumerate(study.expand())
        ),
        runs=run_columns(scores, arms),
        source=scores.source,
        judged_by=None if has_images or measure == ACCURACY else measure,
        **image_parts(
            scores,
            [row.images for row in scores.rows],
            [row.hits for row in scores.rows],
            [row.predictions for row in scores.rows],
        ),
    )


def study_name(text: str) -> str:
    """A text as a study's name: letters, digits, - and _."""
    name = re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80]
    return name or "scores"
