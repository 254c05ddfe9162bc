"""The look that is taken when a study's verdicts are shown."""

from __future__ import annotations

from ..stats import MIN_PAIRS
from ..store.records import StudyRecord, VerdictLook
from .family import Judged, family
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
    outcomes = {one.key: (one.finding.outcome, f"{one.row.b} against {one.row.a}") for one in judged}
    return next_look(study, outcomes, p_values=p_values_of(judged))


def p_values_of(judged: tuple[Judged, ...]) -> dict[str, float]:
    """By contrast's key, the p over all looks that its outcome rests on; without contrasts that have none."""
    ps = {}
    for one in judged:
        finding = one.finding
        is_near = finding.outcome == "equivalent" and finding.equivalence is not None
        p = finding.equivalence.p_value if is_near and finding.equivalence else finding.p_value
        if p is not None:
            ps[one.key] = float(p)
    return ps
