"""The look that is taken when a study's verdicts are shown."""

from __future__ import annotations

from ..spec import fingerprint
from ..stats import MIN_PAIRS
from ..stats.race import RaceOutcome
from ..stats.verdicts import Outcome
from ..store.records import StudyRecord, VerdictLook
from .family import Judged, family
from .looks import next_look
from .rows import arm_ids
from .scores import rule_of
from .standings import study_standing

OUTCOMES: dict[RaceOutcome, Outcome] = {"best": "better", "alike": "equivalent", "open": "undecided"}


def look_record(study: StudyRecord) -> VerdictLook | None:
    """What has to be written down before the verdicts of a study are shown; ``None`` where that shows nothing new.

    Nor does it where every contrast has too few pairs for a verdict: a refusal tells nothing.
    """
    if len(study.arms) < 2:
        return None
    judged = family(study)
    if not any(one.finding.n >= MIN_PAIRS for one in judged):
        return None
    race = study_standing(study).race if rule_of(study).stop else None
    if race is not None:  # differences from the first arm are estimates: one thing alone is claimed
        key = race_key(study)
        ps = {} if race.p_value is None else {key: race.p_value}
        return next_look(study, {key: (OUTCOMES[race.outcome], race.label)}, p_values=ps)
    outcomes = {one.key: (one.finding.outcome, f"{one.row.b} against {one.row.a}") for one in judged}
    return next_look(study, outcomes, p_values=p_values_of(judged))


def race_key(study: StudyRecord) -> str:
    """What identifies the question which of a study's arms is best: the arms, and the measure."""
    return fingerprint(["best", sorted(arm_ids(study).values()), study.design.metric])[:16]


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
