"""Looks of a study that stops when decided, replayed from its scores: which arms have stopped, and which continue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..spec.seeds import Seeds
from ..stats import Finding, Outcome, judge_looks, planned_looks
from ..store.records import RunRecord, StudyRecord
from .numbers import counted
from .scores import ordered_arms, rule_of, score_of

SeedScores = Mapping[int, float | None]  # accuracy (fraction) by seed of runs that have ended; None for one that failed


@dataclass(frozen=True)
class Decision:
    """What the facts so far have decided about an arm of a study that stops when decided.

    Args:
        arm: Its name.
        outcome: Against the study's first arm; "failed" where every run of its first batch failed.
        look: The look that decided, counted from 1.
        seeds: Seeds of the arm at that look, and so in all.
    """

    arm: str
    outcome: Outcome | Literal["failed"]
    look: int
    seeds: int


@dataclass(frozen=True)
class Standing:
    """Where a study that stops when decided stands.

    Args:
        seeds: How many seeds each arm should have, by name: those that it has, and the next batch if it continues.
        decisions: The arms that have stopped before the last look, in the order in which they did.
        is_over: Whether nothing is left to be trained.
        findings: By arm, all that is known of it against the first: at the look that decided, or at the last one that
            both arms have had.
    """

    seeds: dict[str, int]
    decisions: tuple[Decision, ...]
    is_over: bool
    findings: Mapping[str, Finding] = field(default_factory=dict, compare=False)


def standing(arms: Sequence[str], scores: Mapping[str, SeedScores], rule: Seeds) -> Standing:
    """Replay a study that stops when decided, look by look, from its scores alone.

    After each batch of seeds, arms that are better than, worse than or equivalent to the first stop; the others
    continue, and the first with them. The same scores give the same standing, whenever and however often it is asked
    for.

    Args:
        arms: Names, in the study's order; the first is what the others are compared with.
        scores: Accuracy (fraction) by arm and seed of every run that has ended; ``None`` for one that failed.
        rule: The study's rule for its seeds.
    """
    looks = planned_looks(rule.first, rule.planned)
    baseline, *others = arms
    findings = {
        arm: finding_at_looks(scores.get(baseline, {}), scores.get(arm, {}), rule, num_contrasts=len(others))
        for arm in others
    }
    counts = dict.fromkeys(arms, looks.seeds[0])
    decisions: dict[str, Decision] = {}
    is_over = True
    for look, size in enumerate(looks.seeds, start=1):
        active = [arm for arm in others if arm not in decisions]
        if not active:
            break
        counts.update(dict.fromkeys([baseline, *active], size))
        if any(seed not in scores.get(arm, {}) for arm in [baseline, *active] for seed in range(size)):
            is_over = False
            break
        for arm in active:
            if look == 1 and all(scores[arm][seed] is None for seed in range(size)):
                decisions[arm] = Decision(arm, "failed", look, size)
            elif findings[arm].is_decided and findings[arm].look == look:
                decisions[arm] = Decision(arm, findings[arm].outcome, look, size)
    return Standing(counts, tuple(decisions.values()), is_over, findings)


def finding_at_looks(first: SeedScores, second: SeedScores, rule: Seeds, *, num_contrasts: int) -> Finding:
    """One arm against another at the looks that both have had: at the one that decided, or the last of them.

    Args:
        first, second: Scores by seed of the two arms; the difference is second minus first.
        rule: The study's rule for its seeds: when it is looked at, and its margin in percentage points.
        num_contrasts: Contrasts in the family.
    """
    pairs = {
        seed: b - a for seed in sorted(first) if (a := first[seed]) is not None and (b := second.get(seed)) is not None
    }
    num_ended = 0
    while num_ended in first and num_ended in second:
        num_ended += 1
    return judge_looks(
        list(pairs),
        list(pairs.values()),
        planned_looks(rule.first, rule.planned),
        num_ended=num_ended,
        num_contrasts=num_contrasts,
        margin=None if rule.margin is None else rule.margin / 100,
    )


def study_standing(study: StudyRecord) -> Standing:
    """Where a study that stops when decided stands, from its record: nothing but the scores counts."""
    if study_standing not in study.cached:
        arms = [arm.name for arm in ordered_arms(study)]
        study.cached[study_standing] = standing(arms, ended_scores(study), rule_of(study))
    result: Standing = study.cached[study_standing]
    return result


def ended_scores(study: StudyRecord) -> dict[str, dict[int, float | None]]:
    """The scores of a study's runs that have ended, by arm and seed."""
    return scores_of_runs([arm.name for arm in study.arms], ((run.arm, run.seed, run) for run in study.runs))


def scores_of_runs(
    arms: Iterable[str], runs: Iterable[tuple[str, int, RunRecord]]
) -> dict[str, dict[int, float | None]]:
    """The scores of runs that have ended, by arm and seed; ``runs`` are (arm, seed, run): arms may share a run."""
    scores: dict[str, dict[int, float | None]] = {arm: {} for arm in arms}
    for arm, seed, run in runs:
        if run.state == "finished" or run.is_failed:
            scores[arm][seed] = score_of(run)
    return scores


def stop_sentences(study: StudyRecord) -> tuple[str, ...]:
    """A sentence for each arm that has stopped, in the order in which they did, without full stops."""
    rule = rule_of(study)
    if not rule.stop or len(study.arms) < 2:
        return ()
    looks = len(planned_looks(rule.first, rule.planned).seeds)
    return tuple(
        f"{one.arm} has stopped after {counted(one.seeds, 'seed')} (look {one.look} of {looks}): "
        + ("every run of its first batch failed" if one.outcome == "failed" else one.outcome)
        for one in study_standing(study).decisions
    )
