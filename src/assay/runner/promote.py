"""Decisions about runs, as pure functions of recorded facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..spec.seeds import Seeds
from ..stats import ALPHA, Looks, Outcome, planned_looks, stop_at
from ..store.records import State

MAX_LOSSES = 2
MAX_MACHINES = 6


def is_due(state: State | None) -> bool:
    """Whether a study that is run (again) should train this run.

    A finished run has its result. A diverged one would diverge again: it is the same bits. One that was lost or had
    no memory may fare better another time.
    """
    return state not in ("finished", "diverged")


def after_loss(num_losses: int, num_machines: int = 0) -> Literal["retry", "give up"]:
    """What to do with a run that is lost: its worker has died so often in this session, and so many machines with it.

    Machines go for reasons of their own. A run that takes one after another along is the reason itself.
    """
    return "retry" if num_losses < MAX_LOSSES and num_machines < MAX_MACHINES else "give up"


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
