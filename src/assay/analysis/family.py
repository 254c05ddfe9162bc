"""A study's contrasts as one family: every look that was taken at each, and what all of them decide together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..stats import Finding, History, Look, Spending, judge_histories, paired_outcomes
from ..stats.sequential import AT_MAXIMUM, AT_PLAN
from ..store.records import StudyRecord
from .general_looks import share_of_sets
from .grid import Mask, Split, grid_of
from .image_spread import spread_of
from .looks import Seen, looks_of, now, planned_now
from .measured import measure_of
from .rows import MAX_RANKED, Row, arm_ids, key_of, places_of, planned_rows, unplanned_rows, values_of
from .scores import chance_of, rule_of
from .standings import Standing, study_standing


@dataclass(frozen=True)
class Judged:
    """A contrast with its looks and what they decide.

    Args:
        row: What it weighs.
        key: ``key_of`` it.
        history: Its looks.
        finding: What they decide, together with the family's other contrasts.
        seeds: Those that the last look compares: of two arms, those on which both runs worked.
        is_planned: Whether the study asks for it.
    """

    row: Row
    key: str
    history: History
    finding: Finding
    seeds: tuple[int, ...]
    is_planned: bool = True

    @property
    def planned(self) -> int:
        """Seeds per arm that were planned at the contrast's first look."""
        return self.history.spending.planned


@dataclass(frozen=True)
class _Group:
    """Contrasts that came to the study together.

    Args:
        keys: Theirs.
        first: The look that was the first at them, as an index into the lineage; its length where none was.
        share: The group's part of the 5 %.
        num_gone: Contrasts of the group that were looked at and that the study no longer asks: they count on, so that
            dropping an arm makes no other arm's verdict easier.
    """

    keys: frozenset[str]
    first: int
    share: float
    num_gone: int = 0


@dataclass(frozen=True)
class Lineage:
    """The looks that count for the contrasts that a study has now.

    Args:
        looks: From the first one on that shares an arm with the study. Looks before were at another question.
        rows: The planned contrasts by key.
        groups: These, in the order in which they came.
    """

    looks: tuple[Seen, ...]
    rows: Mapping[str, Row]
    groups: tuple[_Group, ...]


def family(study: StudyRecord, split: Split = "validation") -> tuple[Judged, ...]:
    """The planned contrasts, judged together at every look."""
    key = (family, split)
    if key not in study.cached:
        study.cached[key] = _judged(study, split, ())
    result: tuple[Judged, ...] = study.cached[key]
    return result


def all_pairs(study: StudyRecord, split: Split = "validation") -> tuple[Judged, ...]:
    """Every two arms whose comparison was not planned; they are judged only once all planned contrasts are decided."""
    key = (all_pairs, split)
    if key not in study.cached:
        rows = unplanned_rows(study)
        study.cached[key] = _judged(study, split, rows)[-len(rows) :] if rows else ()
    result: tuple[Judged, ...] = study.cached[key]
    return result


def estimate(study: StudyRecord, row: Row, split: Split = "validation") -> Judged:
    """Two arms among so many that not every two are judged: their difference, without a verdict."""
    return _judged(study, split, (row,), inherits=len(study.arms) <= MAX_RANKED)[-1]


def lineage(study: StudyRecord) -> Lineage:
    """The looks that count, and the groups in which the contrasts came."""
    if lineage not in study.cached:
        study.cached[lineage] = _lineage(study)
    result: Lineage = study.cached[lineage]
    return result


def _lineage(study: StudyRecord) -> Lineage:
    rows = {key_of(study, row): row for row in planned_rows(study)}
    ids, looks = arm_ids(study), looks_of(study)
    # A study of which no arm is left asks another question, and starts anew.
    arms = set(ids.values())
    shares_an_arm = [bool(arms & {arm.id for arm in look.arms.values()}) for look in looks]
    looks = looks[shares_an_arm.index(True) :] if any(shares_an_arm) else ()
    firsts: dict[str, int] = {}
    for at, look in enumerate(looks):
        for key in look.outcomes:
            if key not in rows or look.sees(rows[key], ids):
                firsts.setdefault(key, at)
    firsts = {**firsts, **{key: len(looks) for key in rows.keys() - firsts.keys()}}
    groups: list[_Group] = []
    for first in sorted(set(firsts.values())):
        keys = frozenset(key for key, at in firsts.items() if at == first)
        num_gone = len(keys - rows.keys())
        if groups and not any(look.most_ended >= looks[0].planned for look in looks[:first]):
            # Before the plan's own look nothing worth keeping was spent: what is added until then is part of the plan.
            groups[0] = replace(groups[0], keys=groups[0].keys | keys, num_gone=groups[0].num_gone + num_gone)
            continue
        left = sum(group.share * (1 - _spent(study, looks[:first], group)) for group in groups)
        groups.append(_Group(keys, first, left / 2 if groups else 1.0, num_gone))
    return Lineage(looks, rows, tuple(groups))


def _spent(study: StudyRecord, looks: Sequence[Seen], group: _Group) -> float:
    """The most that a group can have spent by the last of these looks, of its own share."""
    plan = _plan(study, looks, group)
    return max((plan.spent(look.most_ended) for look in looks[group.first :]), default=0.0)


def _plan(study: StudyRecord, looks: Sequence[Seen], group: _Group, halved: tuple[int, ...] = ()) -> Spending:
    planned = looks[group.first].planned if group.first < len(looks) else planned_now(study)
    stops = rule_of(study).stop is not None
    return Spending(planned, stops, AT_MAXIMUM if stops else AT_PLAN, halved)


def _judged(study: StudyRecord, split: Split, unplanned: Sequence[Row], *, inherits: bool = True) -> tuple[Judged, ...]:
    line = lineage(study)
    rule = rule_of(study)
    looks = (*line.looks, now(study))
    groups = {key: index for index, group in enumerate(line.groups) for key in group.keys}
    standing = study_standing(study) if rule.stop else None
    # Verdicts on single data sets leave a part of the 5 % to those over all.
    of_sets = share_of_sets(study, line.looks, split)
    judged: list[tuple[Row, str, History, tuple[int, ...], bool]] = []
    for key, row in line.rows.items():
        if standing is not None:  # it looks at itself by its own schedule, whoever else does
            history, seeds = _scheduled(study, row, standing, split)
            if standing.race is not None:  # the question is which arm is best: the first one is like any other
                history = replace(history, share=0.0, inherits=False)
            judged.append((row, key, history, seeds, True))
            continue
        index = groups[key]
        group = line.groups[index]
        halved = tuple(looks[later.first].num_ended(row) for later in line.groups[index + 1 :])
        plan = _plan(study, line.looks, group, halved)
        seen, seeds = _looks(study, row, looks[group.first :], split)
        judged.append((row, key, History(seen, plan, index, group.share * of_sets, most=of_sets), seeds, True))
    for row in unplanned:
        plan = _plan(study, line.looks, line.groups[0]) if line.groups else Spending(planned_now(study))
        seen, seeds = _looks(study, row, looks, split)
        history = History(seen, plan, len(line.groups), 0.0, inherits, of_sets)
        judged.append((row, key_of(study, row), history, seeds, False))
    measure = measure_of(study)
    margin = None if rule.margin is None else rule.margin / measure.unit.scale
    gone = [
        History((Look(np.zeros(0), 0),), Spending(1), index, group.share * of_sets, most=of_sets)
        for index, group in enumerate(line.groups)
        for _ in range(group.num_gone if standing is None else 0)
    ]
    histories = [*(history for _, _, history, _, _ in judged), *gone]
    findings = judge_histories(histories, margin=margin, higher_is_better=measure.higher_is_better)[: len(judged)]
    return tuple(
        Judged(row, key, history, finding, seeds, is_planned)
        for (row, key, history, seeds, is_planned), finding in zip(judged, findings, strict=True)
    )


def _looks(
    study: StudyRecord, row: Row, looks: Sequence[Seen], split: Split
) -> tuple[tuple[Look, ...], tuple[int, ...]]:
    """A contrast's looks, the last of which is now, and the seeds that this one compares."""
    ids, known = arm_ids(study), _known(study, row, split)
    result: list[Look] = []
    compared: tuple[int, ...] = ()
    before: tuple[bytes, int] | None = None
    for look in looks:
        is_now = look.number == 0
        if not is_now and not look.sees(row, ids):
            continue
        seeds, ended = known if is_now and split == "test" else look.seeds(row) & known, look.num_ended(row)
        facts = (seeds.tobytes(), ended)
        if facts == before or (not ended and not is_now):
            continue
        before = facts
        one, compared = _look_at(study, row, ended, seeds, split, look.failed(row) & ~known)
        result.append(one)
    if not result:
        result.append(Look(np.zeros(0), 0))
    return tuple(result), compared


def _known(study: StudyRecord, row: Row, split: Split) -> Mask:
    """The seeds on which all of a contrast's arms have a score [seeds]."""
    return np.asarray(grid_of(study).scores(split).known[places_of(study, row)].all(0))


def _look_at(
    study: StudyRecord, row: Row, ended: int, seeds: Mask, split: Split, failed: Mask
) -> tuple[Look, tuple[int, ...]]:
    """One look and the seeds that it compares: of two arms, those on which both runs worked.

    Args:
        study: Its record.
        row: What is compared.
        ended: Seeds that had ended.
        seeds: Those with a score in every arm [seeds].
        split: Whose scores.
        failed: Seeds on which a run ended without a score [seeds].
    """
    grid, arms = grid_of(study), places_of(study, row)
    scores = grid.scores(split)
    at = np.flatnonzero(seeds)
    if row.effect is None and (split == "test" or scores.num_folds == 1 or not len(at)):
        at = np.concatenate([at, np.flatnonzero(failed)])
        a, b = scores.means[arms][:, at]
        higher = measure_of(study).higher_is_better
        outcomes = paired_outcomes(a, b, chance=chance_of(study, row.data), higher_is_better=higher)
        at = at[outcomes.works]
        look = Look(outcomes.worked, ended, spread_of(study, row, at, split), outcomes)
    else:
        values = values_of(row, scores.folds[arms][:, at], split)
        look = Look(values, ended, spread_of(study, row, at, split))
    return look, tuple(grid.seeds[at].tolist())


def _scheduled(study: StudyRecord, row: Row, standing: Standing, split: Split) -> tuple[History, tuple[int, ...]]:
    """The looks of a study that stops when decided, at the scores of this split."""
    history, every = standing.histories[row.b], grid_of(study).seeds
    seeds, failed = _known(study, row, split), now(study).failed(row)
    last = history.now
    if split == "validation" and last.ended and last.outcomes is not None:
        at = every[(seeds | failed) & (every < last.ended)]
        return history, tuple(at[last.outcomes.works].tolist())
    looks = [
        _look_at(
            study, row, look.ended, seeds & (every < (look.ended or math.inf)), split, failed & (every < look.ended)
        )
        for look in history.looks
    ]
    return replace(history, looks=tuple(look for look, _ in looks)), looks[-1][1]
