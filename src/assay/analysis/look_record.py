"""The look that is taken when a study's verdicts are shown."""

from __future__ import annotations

from ..stats import MIN_PAIRS
from ..store.records import StudyRecord, VerdictLook
from .family import family
from .looks import next_look


def look_record(study: StudyRecord) -> VerdictLook | None:
    """What has to be written down before the verdicts of a study are shown; ``None`` where that shows nothing new.

    Nor does it where every contrast has too few pairs for a verdict: a refusal tells nothing.
    """
    if len(study.arms) < 2:
        return None
    judged = family(study)
    if not any(one.finding.n >= MIN_PAIRS for one in judged):
        return None
    return next_look(study, {one.key: (one.finding.outcome, f"{one.row.b} against {one.row.a}") for one in judged})
