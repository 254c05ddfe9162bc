"""The race for the best arm of a study that stops when that is known, replayed from its scores."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..measures import Measure
from ..numerals import counted
from ..stats import ALPHA, History, ImageSpread, Look, Spending, nominal_levels, paired_outcomes
from ..stats.race import (
    Drop,
    RaceLook,
    RaceOutcome,
    RaceResult,
    contrast_p,
    direction,
    flips_p,
    is_near,
    pair_level,
    race,
)
from ..stats.sequential import AT_MAXIMUM, overall_levels

SeedScores = Mapping[int, float | None]  # by seed of runs that have ended; None for one that failed


@dataclass(frozen=True)
class Facts:
    """What a race is replayed from.

    Args:
        scores: By arm and seed of every run that has ended.
        sizes: Seeds at each look.
        planned: The maximum that was planned first.
        chance: What guessing scores; without it no run is called a collapse.
        spread: What other images add to the differences of two arms on some seeds; nothing unless given.
        margin: Below which arms need not be told apart, in the measure's own scale; ``None`` where none was declared.
        higher_is_better: The measure's direction.
    """

    scores: Mapping[str, SeedScores]
    sizes: tuple[int, ...]
    planned: int
    chance: float | None = None
    spread: Callable[[str, str, Sequence[int]], ImageSpread] | None = None
    margin: float | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class Dropped:
    """An arm that has stopped in a race.

    Args:
        arm: The arm's name.
        by: The better arm; empty if its own runs failed.
        look: The look at which it stopped.
    """

    arm: str
    by: str
    look: int


@dataclass(frozen=True)
class Lead:
    """How far the leading arm is ahead of another one, on common seeds.

    Args:
        arm: The other arm.
        mean: The mean difference; above 0 if the leader is better.
        low: The lower end of its interval, which holds for all looks and arms together.
        high: The upper end.
        n: Pairs of which both runs worked.
    """

    arm: str
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Race:
    """The state of a race for the best arm.

    Args:
        arms: The arms' names, in the study's order.
        outcome: ``"best"``, ``"alike"`` (equal within the margin) or ``"open"``.
        leader: The leading arm; empty before the first look.
        left: The arms that still run.
        drops: The arms that have stopped, in that order.
        leads: The leader's lead over every other arm with common seeds, the closest first.
        seeds: Seeds that each arm should have, by its name.
        is_over: Whether nothing is left to train.
        planned: The most seeds of an arm.
        looks: The number of looks.
        p_value: The p value over all looks and arms; ``None`` while there is none.
        margin: Arms within this difference need not be distinguished, in the measure's own scale; ``None`` without a
            margin.
    """

    arms: tuple[str, ...]
    outcome: RaceOutcome
    leader: str
    left: tuple[str, ...]
    drops: tuple[Dropped, ...]
    leads: tuple[Lead, ...]
    seeds: dict[str, int]
    is_over: bool
    planned: int
    looks: int
    p_value: float | None = None
    margin: float | None = None

    @property
    def runs(self) -> int:
        """Runs that the race has asked for."""
        return sum(self.seeds.values())

    @property
    def runs_of_all(self) -> int:
        """Runs that a study without stopping would have taken."""
        return self.planned * len(self.arms)

    @property
    def label(self) -> str:
        """The claim in words, for a list of claims."""
        if self.outcome == "open":
            return f"the best of {len(self.arms)} arms"
        others = len(self.arms) - 1
        return f"{self.leader} against {'the other arm' if others == 1 else f'the {others} other arms'}"

    def looks_of(self, arm: str) -> int:
        """Return the number of looks at which an arm still ran.

        Args:
            arm: The arm's name.
        """
        return next((drop.look for drop in self.drops if drop.arm == arm), self.looks)

    def headline(self, measure: Measure) -> str:
        """Return the answer as one sentence, without its full stop.

        Args:
            measure: The study's measure.
        """
        unit, of = measure.unit, f"{len(self.arms)} arms"
        if not self.leader:
            return f"Which of {of} is best is open: no look has been taken yet"
        if self.outcome == "best":
            failed = [drop.arm for drop in self.drops if not drop.by]
            if len(failed) == len(self.arms) - 1:
                return f"{self.leader} is the only one of {of} whose runs did not fail"
            text = f"{self.leader} is the best of {of}"
            if self.leads:
                next_ = self.leads[0]
                ahead = unit.within(next_.low, next_.high).amount(next_.mean)
                ends = unit.interval(next_.low, next_.high)
                text += f": {measure.label} is {ahead} {ends} ahead of {next_.arm}, the closest"
            return text
        names = _listed(self.left)
        if self.outcome == "alike":
            margin = unit.amount(self.margin or 0.0)
            rest = [arm for arm in self.left if arm != self.leader]
            return (
                f"Not told apart within {margin}: {self.leader} is the best of {of} or less than that below it; "
                f"{_listed(rest)} {'is' if len(rest) == 1 else 'are'} not shown to be worse"
            )
        if self.is_over:
            seeds = counted(self.planned, "seed")
            return f"After {seeds} {names} are not told apart: any of them may be the best of {of}"
        return f"Which of {of} is best is open between {names}; {self.leader} leads so far"

    @property
    def saved_sentence(self) -> str:
        """What stopping has saved, without a full stop; empty while the race goes on."""
        if not self.is_over:
            return ""
        saved = self.runs_of_all - self.runs
        return f"{self.runs:,} of {self.runs_of_all:,} runs were enough: {saved:,} saved"

    @property
    def details(self) -> tuple[str, ...]:
        """When each arm stopped, and what that saved, as phrases."""
        stops = [
            f"{drop.arm} after {counted(self.seeds[drop.arm], 'seed')}"
            f" ({f'{drop.by} is better' if drop.by else 'its runs failed'})"
            for drop in self.drops
        ]
        return tuple(filter(None, (f"stopped: {', '.join(stops)}" if stops else "", self.saved_sentence)))

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {**asdict(self), "runs": self.runs, "runs_of_all": self.runs_of_all}


def run_race(arms: Sequence[str], facts: Facts) -> Race:
    """Replay the race, look by look: the same scores give the same race, whenever and however often it is asked for.

    Args:
        arms: Names, in the study's order.
        facts: What it is replayed from.
    """
    left, looks = list(arms), list[RaceLook]()
    seeds = dict.fromkeys(arms, facts.sizes[0])
    pairs: dict[tuple[str, str], list[Look]] = {}
    result = race((), len(arms))
    failed: set[str] = set()
    is_over = True
    for number, size in enumerate(facts.sizes, start=1):
        seeds.update(dict.fromkeys(left, size))
        if any(seed not in facts.scores.get(arm, {}) for arm in left for seed in range(size)):
            is_over = False
            break
        if number == 1:
            failed = {arm for arm in arms if all(facts.scores[arm][seed] is None for seed in range(size))}
        looks.append(_look(arms, left, failed, number, pairs, facts))
        result = race(looks, len(arms))
        left = [arms[place] for place in result.left]
        if result.outcome != "open" or set(left) <= failed:
            break
    drops = tuple(
        Dropped(arms[drop.arm], "" if arms[drop.arm] in failed else arms[drop.by], drop.look) for drop in result.drops
    )
    leader = "" if result.leader is None else arms[result.leader]
    leads = _leads(leader, arms, result, pairs, facts)
    return Race(
        tuple(arms), result.outcome, leader, tuple(left), drops, leads, seeds, is_over, facts.sizes[-1], len(looks),
        _p_value(arms, result, failed, pairs, facts), facts.margin,
    )  # fmt: skip


def _p_value(
    arms: Sequence[str],
    result: RaceResult,
    failed: set[str],
    pairs: Mapping[tuple[str, str], Sequence[Look]],
    facts: Facts,
) -> float | None:
    """The smallest overall error rate at which the race would have ended as it did."""
    if result.outcome == "open" or result.leader is None:
        return None
    k, spending = len(arms), spending_of(facts.planned)
    ps = [0.0]

    def history(one: str, other: str) -> tuple[History, bool]:
        """Their looks, and whether these are of the first against the second."""
        is_turned = (one, other) not in pairs
        return History(tuple(pairs[(other, one) if is_turned else (one, other)]), spending), is_turned

    sign = 1.0 if facts.higher_is_better else -1.0
    dropped: set[int] = set()
    for number in range(1, result.looks + 1):
        num_left = max(k - len(dropped), 2)
        rivals = [place for place in range(k) if place not in dropped and arms[place] not in failed]
        for drop in [drop for drop in result.drops if drop.look == number and arms[drop.arm] not in failed]:
            found, _ = history(arms[drop.arm], arms[drop.by])
            levels = overall_levels([contrast_p(look) for look in found.judged], found.pairs, found.spent)
            ps.append(num_left / 2 * float(levels[-1]))
            rows = []
            for other in rivals:
                if other != drop.arm:
                    known, is_turned = history(arms[drop.arm], arms[other])
                    rows.append((-sign if is_turned else sign) * _kept(known.looks[number - 1]))
            sizes = facts.sizes[:number]
            flips = [*[1.0] * (number - 1), flips_p(rows)]
            ps.append(float(overall_levels(flips, sizes, tuple(map(spending.spent, sizes)), two_sided=False)[-1]))
        dropped |= {drop.arm for drop in result.drops if drop.look == number}
    if result.outcome == "alike" and facts.margin is not None:
        for other in result.left:
            if other != result.leader:
                found, is_turned = history(arms[other], arms[result.leader])  # the leader minus the other
                sides = found.margin_overall(facts.margin, share=1.0)
                ps.append(
                    _num_left(k, result.drops, result.looks)
                    * float(sides[0 if is_turned != facts.higher_is_better else 1][-1])
                )
    return min(1.0, max(ps))


def _num_left(num_arms: int, drops: Sequence[Drop], look: int) -> int:
    """How many arms are in at a look."""
    return num_arms - sum(drop.look < look for drop in drops)


def _kept(look: Look) -> np.ndarray:
    """Differences of all pairs, bad runs kept."""
    return look.values if look.outcomes is None else look.outcomes.kept


def looks_at(
    first: SeedScores,
    second: SeedScores,
    sizes: Sequence[int],
    planned: int,
    chance: float | None = None,
    *,
    spread: Callable[[Sequence[int]], ImageSpread] | None = None,
    higher_is_better: bool = True,
) -> History:
    """One arm against another at looks of these sizes; without any, at what there is, which decides nothing.

    Args:
        first, second: Scores by seed of the two arms; the difference is second minus first.
        sizes: Seeds at each look that both have had.
        planned: The maximum that was planned.
        chance: The accuracy of guessing.
        spread: What other images add, for some seeds.
        higher_is_better: The measure's direction.
    """
    looks = tuple(
        _pair(first, second, size, chance, spread=spread, higher_is_better=higher_is_better) for size in sizes or (0,)
    )
    return History(looks, spending_of(planned))


def spending_of(planned: int) -> Spending:
    """How a study that stops by itself spends its 5 %."""
    return Spending(planned, stops=True, at_plan=AT_MAXIMUM)


def _pair(
    first: SeedScores,
    second: SeedScores,
    size: int,
    chance: float | None,
    *,
    spread: Callable[[Sequence[int]], ImageSpread] | None,
    higher_is_better: bool,
) -> Look:
    """The look at two arms' seeds below ``size``."""
    seeds = [seed for seed in sorted(first) if seed < size and seed in second]
    a, b = (np.array([scores[seed] for seed in seeds], dtype=np.float64) for scores in (first, second))
    outcomes = paired_outcomes(a, b, chance=chance, higher_is_better=higher_is_better)
    worked = [seed for seed, works in zip(seeds, outcomes.works, strict=True) if works]
    return Look(outcomes.worked, size, ImageSpread() if spread is None else spread(worked), outcomes)


def _look(
    arms: Sequence[str],
    left: Sequence[str],
    failed: set[str],
    number: int,
    pairs: dict[tuple[str, str], list[Look]],
    facts: Facts,
) -> RaceLook:
    """What the next look shows; each two arms' looks are kept in ``pairs``."""
    size, k = facts.sizes[number - 1], len(arms)
    sign = 1.0 if facts.higher_is_better else -1.0
    beaten, near = np.zeros((k, k), bool), np.zeros((k, k), bool)
    means = np.full(k, -np.inf)
    margins: dict[tuple[int, int], np.ndarray] = {}
    for arm in left:
        known = [score for seed in range(size) if (score := facts.scores[arm][seed]) is not None]
        means[arms.index(arm)] = sign * float(np.mean(known)) if known else -np.inf
    for first, second in itertools.combinations([arm for arm in left if arm not in failed], 2):
        a, b = arms.index(first), arms.index(second)
        look = _pair(
            facts.scores[first], facts.scores[second], size, facts.chance,
            spread=facts.spread and functools.partial(facts.spread, first, second),
            higher_is_better=facts.higher_is_better,
        )  # fmt: skip
        pairs.setdefault((first, second), []).append(look)
        history = History(tuple(pairs[first, second]), spending_of(facts.planned))
        way = direction(history, len(left))
        beaten[a, b], beaten[b, a] = way > 0, way < 0
        if facts.margin is not None:
            near[b, a], near[a, b] = is_near(history, len(left), facts.margin, higher_is_better=facts.higher_is_better)
        kept = sign * _kept(look)
        margins[a, b], margins[b, a] = kept, -kept
    spent = tuple(map(spending_of(facts.planned).spent, facts.sizes[:number]))
    level = nominal_levels(facts.sizes[:number], spent, ALPHA, two_sided=False)[-1]
    for place in np.flatnonzero(beaten.any(1)).tolist():
        # Where no pair worked in both arms, how often runs collapse has decided, by an exact test: nothing to flip.
        rivals = [other for other in range(k) if (place, other) in margins and margins[place, other].any()]
        if rivals:
            beaten[place, rivals] &= flips_p([margins[place, other] for other in rivals]) <= level
    for arm in failed & set(left):
        beaten[arms.index(arm), [arms.index(other) for other in left if other not in failed]] = True
    return RaceLook(beaten, near, means)


def _leads(
    leader: str, arms: Sequence[str], result: RaceResult, pairs: Mapping[tuple[str, str], Sequence[Look]], facts: Facts
) -> tuple[Lead, ...]:
    """How far the leader is ahead of every arm that it shares looks with, the smallest mean first."""
    leads = []
    for (first, second), looks in pairs.items():
        if leader not in (first, second) or looks[-1].size < 2:
            continue
        history = History(tuple(looks), spending_of(facts.planned))
        sign = (1.0 if leader == second else -1.0) * (1.0 if facts.higher_is_better else -1.0)
        if not history.judged:
            continue
        low, high = sorted(
            sign * end for end in history.interval(alpha=2 * pair_level(_num_left(len(arms), result.drops, len(looks))))
        )
        leads.append(Lead(second if leader == first else first, sign * history.now.mean, low, high, history.now.size))
    return tuple(sorted(leads, key=lambda lead: lead.mean))


def _listed(names: Sequence[str]) -> str:
    separator = "; " if any(", " in name for name in names) else ", "
    return names[0] if len(names) == 1 else f"{separator.join(names[:-1])} and {names[-1]}"
