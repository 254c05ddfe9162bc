"""Looks at a study's verdicts: what each saw, as the store keeps it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Problem, StoreError, StoreTooNew
from ..store.records import StudyRecord, VerdictLook
from .rows import Row, arm_ids, ended_seeds, fold_scores, ranges, seeds_in
from .scores import rule_of

FORM = 1  # of what a look's record holds


@dataclass(frozen=True)
class ArmSeen:
    """What a look saw of an arm: its identity (``arm_ids``), the seeds that had a score, and those that had ended."""

    id: str
    scored: frozenset[int]
    ended: frozenset[int]


@dataclass(frozen=True)
class Seen:
    """One look, read.

    Args:
        number: From 1; 0 for what is seen now and not written down.
        planned: Seeds per arm that were planned then.
        arms: By name.
        outcomes: By contrast's key (``key_of``): its outcome, and what was compared, in words.
    """

    number: int
    planned: int
    arms: Mapping[str, ArmSeen]
    outcomes: Mapping[str, tuple[str, str]]

    @property
    def most_ended(self) -> int:
        """The most seeds that had ended in an arm."""
        return max((len(arm.ended) for arm in self.arms.values()), default=0)

    def sees(self, row: Row, ids: Mapping[str, str]) -> bool:
        """Whether the look was at a contrast: at all of its arms, as they still are."""
        return all(arm in self.arms and self.arms[arm].id == ids[arm] for arm in row.arms)

    def seeds(self, row: Row) -> frozenset[int]:
        """The seeds that all of a contrast's arms had a score for."""
        return frozenset.intersection(*(self.arms[arm].scored for arm in row.arms))

    def failed(self, row: Row) -> frozenset[int]:
        """The seeds that had ended in all of a contrast's arms, and in one of them without a score."""
        return frozenset.intersection(*(self.arms[arm].ended for arm in row.arms)) - self.seeds(row)

    def num_ended(self, row: Row) -> int:
        """How many seeds had ended in all of a contrast's arms."""
        return len(frozenset.intersection(*(self.arms[arm].ended for arm in row.arms)))


def now(study: StudyRecord) -> Seen:
    """What a look would see now, without outcomes."""
    scores, ended, ids = fold_scores(study, "validation"), ended_seeds(study), arm_ids(study)
    arms = {
        name: ArmSeen(ids[name], frozenset(scores[name]), frozenset(ended[name] | set(scores[name]))) for name in ids
    }
    return Seen(0, planned_now(study), arms, {})


def planned_now(study: StudyRecord) -> int:
    """Seeds per arm that the study's file plans."""
    return rule_of(study).planned


def looks_of(study: StudyRecord) -> tuple[Seen, ...]:
    """The looks that the store holds, in order.

    Raises:
        StoreTooNew: A newer version of Assay recorded one of them.
        StoreError: They are not what Assay wrote: the store's history was edited.
    """
    if looks_of not in study.cached:
        looks = tuple(_read(study, look) for look in study.verdict_looks)
        for number, look in enumerate(looks, start=1):
            if look.number != number:
                raise _edited(study, f"look {number} is missing")
        _check_scores(study, looks)
        study.cached[looks_of] = looks
    result: tuple[Seen, ...] = study.cached[looks_of]
    return result


def next_look(
    study: StudyRecord, outcomes: Mapping[str, tuple[str, str]], *, at: float | None = None
) -> VerdictLook | None:
    """The record of a look that shows these outcomes now; ``None`` where the last one showed the same.

    Args:
        study: Its record.
        outcomes: As in ``Seen``.
        at: Seconds since 1970; now unless given.
    """
    current, looks = now(study), looks_of(study)
    if looks and dict(looks[-1].arms) == dict(current.arms) and dict(looks[-1].outcomes) == dict(outcomes):
        return None
    seen = {
        "form": FORM,
        "arms": {
            name: {"id": arm.id, "scored": ranges(set(arm.scored)), "ended": ranges(set(arm.ended))}
            for name, arm in current.arms.items()
        },
        "contrasts": {key: list(pair) for key, pair in outcomes.items()},
    }
    return VerdictLook(len(looks) + 1, time.time() if at is None else at, current.planned, seen)


def _read(study: StudyRecord, look: VerdictLook) -> Seen:
    if look.seen.get("form") != FORM:
        raise StoreTooNew(
            Problem(
                f'look {look.number} at study "{study.name}" was recorded by a newer version of Assay',
                "upgrade Assay: without every look no verdict can be given",
            )
        )
    try:
        arms = {name: _arm(arm) for name, arm in look.seen["arms"].items()}
        outcomes = {key: (str(outcome), str(label)) for key, (outcome, label) in look.seen["contrasts"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _edited(study, f"look {look.number} cannot be read") from None
    if look.planned < 1:
        raise _edited(study, f"look {look.number} planned {look.planned} seeds")
    return Seen(look.number, look.planned, arms, outcomes)


def _arm(values: Mapping[str, Any]) -> ArmSeen:
    scored, ended = (frozenset(seeds_in(values[key])) for key in ("scored", "ended"))
    return ArmSeen(str(values["id"]), scored, ended)


def _check_scores(study: StudyRecord, looks: tuple[Seen, ...]) -> None:
    """A finished run keeps its score, and a run stays a member of its study while its seed is planned."""
    rule, ids = rule_of(study), arm_ids(study)
    states = {(run.arm, run.seed): run.state for run in study.runs}
    scored = now(study).arms
    for look in looks:
        for name, arm in look.arms.items():
            if ids.get(name) != arm.id:
                continue
            for seed in sorted(arm.scored - scored[name].scored):
                is_planned = rule.stop is None and seed < rule.start + rule.planned
                # One that is queued or runs is being trained anew, and will have its score again.
                if states.get((name, seed)) == "finished" or (is_planned and (name, seed) not in states):
                    raise _edited(study, f"seed {seed} of {name} had a score at look {look.number} and has none now")


def _edited(study: StudyRecord, what: str) -> StoreError:
    return StoreError(
        Problem(
            f'the history of study "{study.name}" was edited: {what}',
            "restore the store from a backup, or run the study under another name",
        )
    )
