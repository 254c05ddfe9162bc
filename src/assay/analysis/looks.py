"""Looks of a study that stops when decided, replayed from its scores: which arms have stopped, and which go on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..spec.seeds import Seeds
from ..stats import ALPHA, Looks, Outcome, planned_looks, stop_at
from ..store.records import RunRecord, StudyRecord
from .numbers import counted
from .scores import rule_of


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
        seeds: How many seeds each arm should have, by name: those that it has, and the next batch if it goes on.
        decisions: The arms that have stopped before the last look, in the order in which they did.
        is_over: Whether nothing is left to be trained.
    """

    seeds: dict[str, int]
    decisions: tuple[Decision, ...]
    is_over: bool


def standing(arms: Sequence[str], scores: Mapping[str, Mapping[int, float | None]], seeds: Seeds) -> Standing:
    """Replay a study that stops when decided, look by look, from its scores alone.

    After each batch of seeds, arms that are better than, worse than or equivalent to the first stop; the others go
    on, and the first with them. The same scores give the same standing, whenever and however often it is asked for.

    Args:
        arms: Names, in the study's order; the first is what the others are compared with.
        scores: Accuracy (fraction) by arm and seed of every run that has ended; ``None`` for one that failed.
        seeds: The study's rule.
    """
    looks = planned_looks(seeds.first, seeds.planned)
    baseline, others = arms[0], list(arms[1:])
    counts = dict.fromkeys(arms, looks.seeds[0])
    decisions: dict[str, Decision] = {}
    for number, size in enumerate(looks.seeds, start=1):
        active = [arm for arm in others if arm not in decisions]
        if not active:
            break
        counts.update(dict.fromkeys([baseline, *active], size))
        if any(seed not in scores.get(arm, {}) for arm in [baseline, *active] for seed in range(size)):
            return Standing(counts, tuple(decisions.values()), is_over=False)
        for arm in active:
            outcome = _outcome(scores[baseline], scores[arm], looks, size, len(others), seeds.margin)
            if outcome != "undecided":
                decisions[arm] = Decision(arm, outcome, number, size)
    return Standing(counts, tuple(decisions.values()), is_over=True)


def _outcome(
    first: Mapping[int, float | None],
    second: Mapping[int, float | None],
    looks: Looks,
    size: int,
    num_contrasts: int,
    margin: float | None,
) -> Outcome | Literal["failed"]:
    pairs = {
        seed: b - a
        for seed in range(size)
        if (a := first.get(seed)) is not None and (b := second.get(seed)) is not None
    }
    if all(second.get(seed) is None for seed in range(size)):
        return "failed"
    found, look, _ = stop_at(
        list(pairs),
        list(pairs.values()),
        looks,
        num_ended=size,
        alpha=ALPHA / num_contrasts,
        margin=None if margin is None else margin / 100,
    )
    return found if look and looks.seeds[look - 1] == size and found != "too few seeds" else "undecided"


def study_standing(record: StudyRecord) -> Standing:
    """Where a study that stops when decided stands, from its record: nothing but the scores counts."""
    arms = sorted(record.arms, key=lambda arm: arm.position)
    runs = [(run.arm, run.seed, run) for run in record.runs]
    return standing_of_runs(Seeds.of(record.spec.get("seeds", {})), [arm.name for arm in arms], runs)


def standing_of_runs(seeds: Seeds, arms: list[str], runs: Iterable[tuple[str, int, RunRecord]]) -> Standing:
    scores: dict[str, dict[int, float | None]] = {arm: {} for arm in arms}
    for arm, seed, run in runs:
        if run.state == "finished" or run.is_failed:
            score = run.kept.validation_accuracy if run.state == "finished" and run.kept else math.nan
            scores[arm][seed] = score if math.isfinite(score) else None
    return standing(arms, scores, seeds)


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
