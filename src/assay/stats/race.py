"""The best of several arms by elimination: which looks drop which arms, and when the race ends.

Each arm that is still in is compared with every other, on pairs that share a seed, at the looks of a study that stops
by itself. An arm is dropped at the first look that shows another one better. Of the arms that are still in, the race
ends with one that is left, or that is shown to be less than a margin below each of the others and leads by no more.

Every ordered pair of the m arms that are still in has 5 % over m, on one side and over all looks. The best arm is lost
only if another one is shown better than it is, and an arm that is the margin or more below it is named only if the same
pair's test fails in the same direction, so that one level covers both. Were all arms compared to the end at 5 % over
their first number k, that would be at most 5 % (k - 1) / k whatever their means and spreads (Bonferroni). Arms that
drop out leave the others a larger part: at worst 5 % (1/2 + ... + 1/k), and in simulations of equal, near and far arms,
of equal and unlike spreads, no more than before, since an arm that drops out early has hardly had a chance to beat the
best.

Source: Paulson (1964), "A sequential procedure for selecting the population with the largest mean from k normal
populations", Annals of Mathematical Statistics 35(1), for elimination and the indifference zone; Maron and Moore
(1994), "Hoeffding races", NIPS, for races of models; Birattari et al. (2002), "A racing algorithm for configuring
metaheuristics", GECCO, for races on shared blocks; Lan and DeMets (1983) for the looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .history import History
from .joint import one_sided_joint_p
from .look import FLIP_ROOM, Look
from .sequential import nominal_levels
from .verdicts import ALPHA

Mask = npt.NDArray[np.bool_]

RaceOutcome = Literal["best", "alike", "open"]


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class RaceLook:
    """What one look shows of every two arms.

    Args:
        beaten: Whether the column's arm was shown to be better than the row's [arms, arms].
        near: Whether the row's arm was shown to be less than the margin below the column's, and is not the margin or
            more ahead of it [arms, arms].
        means: Each arm's mean, of which higher is better [arms].
    """

    beaten: Mask
    near: Mask
    means: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drop:
    """An arm that was dropped: which, because of which better one, and at which look, counted from 1."""

    arm: int
    by: int
    look: int


@dataclass(frozen=True)
class RaceResult:
    """Where a race stands.

    Args:
        outcome: "best": one arm is left. "alike": several, of which the leader is at most the margin below the best.
            "open": neither.
        leader: The arm that is named; while the race is open, the one with the highest mean. ``None`` before a look.
        left: The arms that are still in, in their order.
        drops: In the order in which they happened.
        looks: Looks that were taken, up to the one that ended the race.
    """

    outcome: RaceOutcome
    leader: int | None
    left: tuple[int, ...]
    drops: tuple[Drop, ...]
    looks: int


def race(looks: Sequence[RaceLook], num_arms: int) -> RaceResult:
    """Where a race stands after these looks.

    Args:
        looks: In order. Of arms that have been dropped by then nothing is read.
        num_arms: How many arms began.
    """
    left, drops = list(range(num_arms)), []
    leader: int | None = None
    for number, look in enumerate(looks, start=1):
        leader = max(left, key=lambda arm: look.means[arm])
        for arm in [arm for arm in left if arm != leader]:
            # The arm that beats it may itself be dropped at this look, by a better one.
            better = [other for other in left if look.beaten[arm, other]]
            if better:
                drops.append(Drop(arm, max(better, key=lambda other: look.means[other]), number))
        gone = {drop.arm for drop in drops}
        left = [arm for arm in left if arm not in gone]
        if len(left) == 1:
            return RaceResult("best", left[0], tuple(left), tuple(drops), number)
        close = [arm for arm in left if all(look.near[arm, other] for other in left if other != arm)]
        if close:
            leader = max(close, key=lambda arm: look.means[arm])
            return RaceResult("alike", leader, tuple(left), tuple(drops), number)
    return RaceResult("open", leader, tuple(left), tuple(drops), len(looks))


def pair_level(num_left: int) -> float:
    """The one-sided level of one ordered pair of so many arms that are still in, over all looks."""
    return ALPHA / max(num_left, 2)


def direction(history: History, num_left: int) -> int:
    """1 where the last look shows b to be better than a, -1 where it shows a to be, 0 where neither.

    Args:
        history: Of b against a.
        num_left: How many arms are in at that look.
    """
    look = history.now
    if not history.judged or history.judged[-1] is not look:
        return 0
    level = nominal_levels(history.pairs, history.spent, 2 * pair_level(num_left))[-1]
    if contrast_p(look) > level:
        return 0
    if look.outcomes is None:
        return int(np.sign(look.mean))
    claims = look.outcomes.claims(_student_p(look), level)
    ways = {way for way in (claims.where_both_worked, claims.rates) if way is not None}
    if len(ways) != 1:  # more failures, and better otherwise: neither arm is
        return 0
    return 1 if ways == {"better"} else -1


def contrast_p(look: Look) -> float:
    """Two-sided p of two arms at a look: as in other verdicts, but for the sign flips, which all rivals share."""
    return _student_p(look) if look.outcomes is None else look.outcomes.contrast_p(_student_p(look))


def _student_p(look: Look) -> float:
    return look.student_p if look.size > 1 else 1.0


def is_near(history: History, num_left: int, margin: float, *, higher_is_better: bool = True) -> tuple[bool, bool]:
    """Whether the last look shows b to be less than the margin below a, and a to be less than that below b.

    An arm that is ahead by the margin or more is not called near either, since the other one is likely to drop out; nor
    is one of which more runs collapse or fail.

    Args:
        history: Of b against a.
        num_left: How many arms are in at that look.
        margin: In the measure's own scale.
        higher_is_better: The measure's direction.
    """
    look = history.now
    if not look.size or not history.judged or history.judged[-1] is not look:  # no pair worked, or one too few
        return False, False
    level = nominal_levels(history.pairs, history.spent, pair_level(num_left), two_sided=False)[-1]
    not_below, not_above = (p <= level for p in look.margin_ps(margin))
    near_b, near_a = (not_below, not_above) if higher_is_better else (not_above, not_below)
    ahead = look.mean if higher_is_better else -look.mean
    near_b, near_a = near_b and ahead < margin, near_a and -ahead < margin
    if look.outcomes is not None:
        gap = look.outcomes.rates.bad_b - look.outcomes.rates.bad_a
        near_b, near_a = near_b and gap <= 0, near_a and gap >= 0
    return near_b, near_a


def flips_p(rows: Sequence[npt.NDArray[np.float64]]) -> float:
    """p that no rival of an arm is better, by flips of signs, with the room that a guard leaves.

    With few pairs t is no guide to ties, so that dropping an arm needs this to be as small as the look's one-sided
    level for all of its rivals together.

    Args:
        rows: By rival, how much better it is for each pair [pairs].
    """
    return one_sided_joint_p(np.array(rows)) / FLIP_ROOM
