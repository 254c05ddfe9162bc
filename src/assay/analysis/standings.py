"""Where a study that stops when decided stands, replayed from its scores: which arms have stopped, and which go on."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..numerals import counted
from ..spec.seeds import Seeds
from ..stats import (
    DECIDED,
    Finding,
    History,
    ImageSpread,
    Outcome,
    decide,
    judge_histories,
    planned_looks,
)
from ..stats.sequential import GROWTH
from ..store.records import RunRecord, StudyRecord
from .grid import grid_of
from .image_spread import spread_of
from .measured import measure_of, run_values
from .race import Facts, Race, SeedScores, looks_at, run_race
from .rows import pair_row
from .scores import chance_of, ordered_arms, rule_of

SpreadOf = Callable[[str, str, Sequence[int]], ImageSpread]  # of the second arm against the first, on these seeds


@dataclass(frozen=True)
class Decision:
    """What the facts so far have decided about an arm of a study that stops when decided.

    Args:
        arm: Its name.
        outcome: Against the study's first arm; "failed" where every run of its first batch failed; "not the best" where
            another one is better, in a study that stops when the best is known.
        look: The look that decided, counted from 1.
        seeds: Seeds of the arm at that look, and so in all.
        by: Which one is better, where it is not the best.
    """

    arm: str
    outcome: Outcome | Literal["failed", "not the best"]
    look: int
    seeds: int
    by: str = ""


@dataclass(frozen=True)
class Standing:
    """Where a study that stops when decided stands.

    Args:
        seeds: How many seeds each arm should have, by name: those that it has, and the next batch if it continues.
        decisions: The arms that have stopped before the last look, in the order in which they did.
        is_over: Whether nothing is left to be trained.
        histories: By arm, its looks against the first arm: up to the one that decided, or the last that both have had.
        margin: The study's, in the measure's own scale.
        higher_is_better: The measure's direction.
        race: Where the race for the best arm stands, of a study that stops when that is known.
    """

    seeds: dict[str, int]
    decisions: tuple[Decision, ...]
    is_over: bool
    histories: Mapping[str, History] = field(default_factory=dict, compare=False)
    margin: float | None = None
    higher_is_better: bool = True
    race: Race | None = field(default=None, compare=False)

    @property
    def findings(self) -> dict[str, Finding]:
        """By arm, all that is known of it against the first."""
        return dict(zip(self.histories, self._judged(), strict=True))

    def _judged(self) -> tuple[Finding, ...]:
        histories = [*self.histories.values()]
        return judge_histories(histories, margin=self.margin, higher_is_better=self.higher_is_better)


def schedule(rule: Seeds, planned: int) -> tuple[int, ...]:
    """The seeds at each look: up to the maximum that was planned first, and on from there where it was raised."""
    seeds = [*planned_looks(rule.first, max(planned, rule.first)).seeds]
    while seeds[-1] < rule.planned:
        seeds.append(min(rule.planned, math.ceil(seeds[-1] * GROWTH)))
    return tuple(size for size in seeds if size <= rule.planned) or (rule.planned,)


def standing(
    arms: Sequence[str],
    scores: Mapping[str, SeedScores],
    rule: Seeds,
    *,
    planned: int | None = None,
    chance: float | None = None,
    spread: SpreadOf | None = None,
    scale: float = 100.0,
    higher_is_better: bool = True,
) -> Standing:
    """Replay a study that stops by itself, look by look, from its scores alone.

    After each batch of seeds, arms that are better than, worse than or equivalent to the first stop; the others
    continue, and the first with them. With ``stop = "best"`` those stop that another one is better than. The same
    scores give the same standing, whenever and however often it is asked for.

    Args:
        arms: Names, in the study's order; the first is what the others are compared with.
        scores: By arm and seed of every run that has ended, by the study's measure; ``None`` for one that failed.
        rule: The study's rule for its seeds.
        planned: The maximum at the study's first look, where it was another: what a look spends goes by that.
        chance: What guessing scores; without it no run is called a collapse.
        spread: What other images add, for two arms and their seeds; nothing unless given.
        scale: What turns the measure into the unit of the rule's margin.
        higher_is_better: The measure's direction.
    """
    planned = planned or rule.planned
    sizes = schedule(rule, planned)
    baseline, *others = arms
    margin = None if rule.margin is None else rule.margin / scale
    num_looks = dict.fromkeys(others, 0)

    def history(arm: str) -> History:
        return looks_at(
            scores.get(baseline, {}),
            scores.get(arm, {}),
            sizes[: num_looks[arm]],
            planned,
            chance,
            spread=spread and functools.partial(spread, baseline, arm),
            higher_is_better=higher_is_better,
        )

    if rule.stop == "best":
        facts = Facts(scores, sizes, planned, chance, spread, margin, higher_is_better)
        now = run_race(arms, facts)
        both = {arm: min(now.looks_of(baseline), now.looks_of(arm)) for arm in others}
        num_looks.update(both)
        stopped = tuple(
            Decision(one.arm, "failed" if not one.by else "not the best", one.look, sizes[one.look - 1], one.by)
            for one in now.drops
        )
        histories = {arm: history(arm) for arm in others}
        return Standing(now.seeds, stopped, now.is_over, histories, margin, higher_is_better, now)
    counts = dict.fromkeys(arms, sizes[0])
    decisions: dict[str, Decision] = {}
    is_over = True
    for look, size in enumerate(sizes, start=1):
        active = [arm for arm in others if arm not in decisions]
        if not active:
            break
        counts.update(dict.fromkeys([baseline, *active], size))
        if any(seed not in scores.get(arm, {}) for arm in [baseline, *active] for seed in range(size)):
            is_over = False
            break
        num_looks.update(dict.fromkeys(active, look))
        outcomes = decide([history(arm) for arm in others], margin=margin, higher_is_better=higher_is_better)
        for arm, decision in zip(others, outcomes, strict=True):
            if arm not in active:
                continue
            if look == 1 and all(scores[arm][seed] is None for seed in range(size)):
                decisions[arm] = Decision(arm, "failed", look, size)
            elif decision.outcome in DECIDED:
                decisions[arm] = Decision(arm, decision.outcome, look, size)
    histories = {arm: history(arm) for arm in others}
    return Standing(counts, tuple(decisions.values()), is_over, histories, margin, higher_is_better)


def first_plan(study: StudyRecord) -> int:
    """The maximum of seeds that was planned when a verdict was first shown, or else when the study was first run."""
    return study.verdict_looks[0].planned if study.verdict_looks else rule_of(study).planned


def study_standing(study: StudyRecord) -> Standing:
    """Where a study that stops when decided stands, from its record: the scores and the first plan alone count."""
    if study_standing not in study.cached:
        arms = [arm.name for arm in ordered_arms(study)]
        study.cached[study_standing] = standing(
            arms, ended_scores(study), rule_of(study), planned=first_plan(study), chance=chance_of(study),
            spread=spread_by_arm(study), scale=measure_of(study).unit.scale,
            higher_is_better=measure_of(study).higher_is_better,
        )  # fmt: skip
    result: Standing = study.cached[study_standing]
    return result


def spread_by_arm(study: StudyRecord) -> SpreadOf:
    """What other images add to the differences of two arms."""
    grid = grid_of(study)
    return lambda first, arm, seeds: spread_of(
        study, pair_row(first, arm), np.searchsorted(grid.seeds, seeds), "validation"
    )


def ended_scores(study: StudyRecord) -> dict[str, dict[int, float | None]]:
    """The scores of a study's runs that have ended, by arm and seed."""
    columns = study.columns
    scores = columns.scores(run_values(study, "validation")).tolist()
    by_arm: dict[str, dict[int, float | None]] = {arm.name: {} for arm in study.arms}
    for run in np.flatnonzero(columns.has_ended).tolist():
        score = scores[run]
        by_arm[columns.arms[columns.arm[run]]][int(columns.seed[run])] = None if math.isnan(score) else score
    return by_arm


def scores_of_runs(
    arms: Iterable[str], runs: Iterable[tuple[str, int, RunRecord]], values: Mapping[str, float]
) -> dict[str, dict[int, float | None]]:
    """The scores of runs that have ended, by arm and seed.

    Args:
        arms: Names.
        runs: (arm, seed, run): arms may share a run.
        values: What runs score, by their ids; not a number for one without a score.
    """
    scores: dict[str, dict[int, float | None]] = {arm: {} for arm in arms}
    for arm, seed, run in runs:
        if run.state == "finished" or run.is_failed:
            value = values.get(run.id, math.nan) if run.state == "finished" else math.nan
            scores[arm][seed] = value if math.isfinite(value) else None
    return scores


def stop_sentences(study: StudyRecord) -> tuple[str, ...]:
    """A sentence for each arm that has stopped, in the order in which they did, without full stops."""
    rule = rule_of(study)
    if not rule.stop or len(study.arms) < 2:
        return ()
    looks = len(schedule(rule, first_plan(study)))
    return tuple(
        f"{one.arm} has stopped after {counted(one.seeds, 'seed')} (look {one.look} of {looks}): "
        + {"failed": "every run of its first batch failed", "not the best": f"{one.by} is better"}.get(
            one.outcome, one.outcome
        )
        for one in study_standing(study).decisions
    )


def sequential_sentence(study: StudyRecord) -> str:
    """How a study that stops when decided pays for its looks, without a full stop; empty for any other."""
    rule = rule_of(study)
    if not rule.stop:
        return ""
    if rule.stop == "best":
        return (
            f"Arms stop when another one is better, between {rule.first} and {rule.planned} seeds; over all looks and "
            "arms the best one is missed in at most 5 % of studies (Paulson 1964, Lan and DeMets 1983); differences "
            f"from {ordered_arms(study)[0].name} are estimates"
        )
    return (
        f"Arms stop when decided, between {rule.first} and {rule.planned} seeds; all looks at all arms share 5 % of "
        "false calls (Lan and DeMets 1983, Holm 1979), and intervals hold at every look together"
    )
