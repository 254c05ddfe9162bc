"""Looks at a study's verdicts: what each saw, as the store keeps it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import Problem, StoreError, StoreTooNew
from ..store.columns import STATES
from ..store.records import StudyRecord, VerdictLook
from .grid import Grid, Mask, grid_of, ranges, seeds_in
from .rows import Row, arm_ids
from .scores import rule_of

FORM = 1  # of what a look's record holds


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class ArmSeen:
    """What a look saw of an arm.

    Args:
        id: Its identity (``arm_ids``).
        scored: Which of the grid's seeds had a score [seeds].
        ended: Which had ended [seeds].
    """

    id: str
    scored: Mask
    ended: Mask

    def is_as(self, other: ArmSeen) -> bool:
        """Whether both saw the same."""
        same = np.array_equal(self.scored, other.scored) and np.array_equal(self.ended, other.ended)
        return self.id == other.id and same


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def most_ended(self) -> int:
        """The most seeds that had ended in an arm."""
        return max((int(arm.ended.sum()) for arm in self.arms.values()), default=0)

    def sees(self, row: Row, ids: Mapping[str, str]) -> bool:
        """Whether the look was at a contrast: at all of its arms, as they still are."""
        return all(arm in self.arms and self.arms[arm].id == ids[arm] for arm in row.arms)

    def seeds(self, row: Row) -> Mask:
        """The seeds that all of a contrast's arms had a score for [seeds]."""
        return np.asarray(np.logical_and.reduce([self.arms[arm].scored for arm in row.arms]))

    def failed(self, row: Row) -> Mask:
        """The seeds that had ended in all of a contrast's arms, and in one of them without a score [seeds]."""
        return self._ended(row) & ~self.seeds(row)

    def num_ended(self, row: Row) -> int:
        """How many seeds had ended in all of a contrast's arms."""
        return int(self._ended(row).sum())

    def _ended(self, row: Row) -> Mask:
        return np.asarray(np.logical_and.reduce([self.arms[arm].ended for arm in row.arms]))


def now(study: StudyRecord) -> Seen:
    """What a look would see now, without outcomes."""
    if now not in study.cached:
        grid, ids = grid_of(study), arm_ids(study)
        scored, ended = grid.validation.known, grid.has_ended | grid.validation.known
        arms = {
            name: ArmSeen(ids[name], scored[place], ended[place]) for name, place in grid.places.items()
        }  # fmt: skip
        study.cached[now] = Seen(0, planned_now(study), arms, {})
    result: Seen = study.cached[now]
    return result


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
    study: StudyRecord,
    outcomes: Mapping[str, tuple[str, str]],
    *,
    p_values: Mapping[str, float] | None = None,
    at: float | None = None,
) -> VerdictLook | None:
    """The record of a look that shows these outcomes now; ``None`` where the last one showed the same.

    Args:
        study: Its record.
        outcomes: As in ``Seen``.
        p_values: By contrast's key, the p that its outcome rests on, over all looks: what ``assay ledger`` goes by.
        at: Seconds since 1970; now unless given.
    """
    current, looks = now(study), looks_of(study)
    if looks and _shows_the_same(looks[-1], current) and dict(looks[-1].outcomes) == dict(outcomes):
        return None
    seeds = grid_of(study).seeds
    seen = {
        "form": FORM,
        "arms": {
            name: {
                "id": arm.id,
                "scored": ranges(seeds[arm.scored].tolist()),
                "ended": ranges(seeds[arm.ended].tolist()),
            }
            for name, arm in current.arms.items()
        },
        "contrasts": {key: list(pair) for key, pair in outcomes.items()},
        "p": dict(p_values or {}),
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
        masks = _Masks(grid_of(study))
        arms = {
            name: ArmSeen(str(arm["id"]), masks[arm["scored"]], masks[arm["ended"]])
            for name, arm in look.seen["arms"].items()
        }
        outcomes = {key: (str(outcome), str(label)) for key, (outcome, label) in look.seen["contrasts"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _edited(study, f"look {look.number} cannot be read") from None
    if look.planned < 1:
        raise _edited(study, f"look {look.number} planned {look.planned} seeds")
    return Seen(look.number, look.planned, arms, outcomes)


class _Masks(dict[str, Mask]):
    """Which of a grid's seeds a text names, read once for each text: arms mostly have the same seeds."""

    def __init__(self, grid: Grid) -> None:
        self._seeds = grid.seeds

    def __missing__(self, text: str) -> Mask:
        self[text] = np.isin(self._seeds, list(seeds_in(text)))
        return self[text]


def _shows_the_same(one: Seen, other: Seen) -> bool:
    return one.arms.keys() == other.arms.keys() and all(arm.is_as(other.arms[name]) for name, arm in one.arms.items())


def _check_scores(study: StudyRecord, looks: tuple[Seen, ...]) -> None:
    """A finished run keeps its score, and a run stays a member of its study while its seed is planned."""
    rule, ids, grid = rule_of(study), arm_ids(study), grid_of(study)
    scored = now(study).arms
    for look in looks:
        for name, arm in look.arms.items():
            if ids.get(name) != arm.id:
                continue
            for place in np.flatnonzero(arm.scored & ~scored[name].scored):
                seed, states = int(grid.seeds[place]), grid.state[grid.places[name], place]
                is_planned = rule.stop is None and seed < rule.start + rule.planned
                is_there = bool((states >= 0).any())
                # One that is queued or runs is being trained anew, and will have its score again.
                if (is_there and states[states >= 0][-1] == STATES.index("finished")) or (is_planned and not is_there):
                    raise _edited(study, f"seed {seed} of {name} had a score at look {look.number} and has none now")


def _edited(study: StudyRecord, what: str) -> StoreError:
    return StoreError(
        Problem(
            f'the history of study "{study.name}" was edited: {what}',
            "restore the store from a backup, or run the study under another name",
        )
    )
