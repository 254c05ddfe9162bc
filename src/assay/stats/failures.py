"""Runs that fail or collapse are kept: which did, and what a paired difference says with them."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .rates import DIFFERENCE_SHARE, RATE_SHARE, Rates, compare_rates
from .skew import skew_factors
from .typical import Typical, typical_difference

LEARNED_LITTLE = 0.125  # of what a typical run has learned: less is a collapse
LEARNED_AT_ALL = 0.25  # of what can be learned above guessing; below it nothing tells a collapse from a hard problem
_ENUMERATED = 12
_DRAWS = 9_999

Direction = Literal["better", "worse"]


@dataclass(frozen=True)
class Claims:
    """What a contrast claims at a level, of b against a.

    Args:
        rates: "worse" where b's runs go wrong more often, "better" where a's do.
        where_both_worked: The direction of the difference between runs of seeds on which neither went wrong.
        overall: The direction in which nothing seen speaks against b: rates and difference agree, or the arm with the
            better scores has no more bad runs than the other.
    """

    rates: Direction | None
    where_both_worked: Direction | None
    overall: Direction | None


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class PairedOutcomes:
    """Two arms' runs by seed, bad ones kept.

    Args:
        a: Scores of a where both runs worked, by seed.
        b: Scores of b for the same seeds.
        kept: b minus a for every pair: where one run went wrong, the largest absolute difference of the others,
            against its arm; 0 where both did.
        collapsed: Runs of a and of b that ended near the accuracy of guessing.
        failed: Runs of a and of b without a score.
        rates: Bad runs, collapsed or failed, compared.
        lost: Pairs of which only a's run was bad, and of which only b's was.
        higher_is_better: The metric's direction.
        works: For each pair, whether both runs worked.
    """

    a: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    kept: npt.NDArray[np.float64]
    collapsed: tuple[int, int]
    failed: tuple[int, int]
    rates: Rates
    lost: tuple[int, int]
    higher_is_better: bool
    works: npt.NDArray[np.bool_]

    @property
    def worked(self) -> npt.NDArray[np.float64]:
        """b minus a where both runs worked."""
        return self.b - self.a

    @property
    def n(self) -> int:
        """Pairs of which both runs ended, whatever became of them."""
        return self.rates.n

    @property
    def has_bad_runs(self) -> bool:
        return self.rates.bad_a + self.rates.bad_b > 0

    @functools.cached_property
    def kept_test(self) -> tuple[float, int] | None:
        """``kept_difference`` of all pairs: one-sided p and direction, or ``None`` where no pair has one bad run."""
        return kept_difference(self.worked, *self._above_below()) if any(self.lost) else None

    @functools.cached_property
    def typical(self) -> Typical | None:
        """The Hodges-Lehmann estimate of all pairs, bad runs as the lowest; ``None`` where too many are bad."""
        above, below = self._above_below()
        return typical_difference(self.worked, above=above, below=below)

    def _above_below(self) -> tuple[int, int]:
        return self.lost if self.higher_is_better else (self.lost[1], self.lost[0])

    def difference_p(self, worked_p: float) -> float:
        """p of "better where both worked" and of "worse": a difference that is not made by runs that dropped out.

        The two-sided test where both worked and the one-sided test with bad runs kept have to agree, so the larger p
        counts, and 1 where their directions differ. A claim that needs both costs no level (Berger 1982): where
        nothing differs the first holds it, and where runs that drop out make one arm look better the second does.

        Args:
            worked_p: Two-sided p of ``worked`` alone, sign flips and t as one.
        """
        if self.kept_test is None:
            return worked_p
        kept_p, direction = self.kept_test
        return max(worked_p, kept_p) if float(self.worked.sum()) * direction > 0 else 1.0

    def contrast_p(self, worked_p: float) -> float:
        """One p of the contrast: that rates and differences are alike.

        Without bad runs, or with so few that rates could not decide, it is the difference's. How many there are in
        all does not depend on which arm is which, so this choice costs nothing (Tarone 1990). With more, it is that of
        a weighted Bonferroni test.
        """
        difference = self.difference_p(worked_p)
        if not self.rates.shares_level:
            return difference
        return min(1.0, self.rates.p_value / RATE_SHARE, difference / DIFFERENCE_SHARE)

    def difference_level(self, level: float) -> float:
        """The part of a contrast's level at which the difference is tested, and its interval taken."""
        is_open = self.rates.shares_level and self.rates.p_value > RATE_SHARE * level
        return DIFFERENCE_SHARE * level if is_open else level

    def claims(self, worked_p: float, level: float) -> Claims:
        """What is claimed when the contrast is tested at ``level``.

        A claim that is made passes its share to the other (Holm 1979).
        """
        own = self.difference_level(level)
        difference_holds = worked_p <= own and self.difference_p(worked_p) <= own
        passed_on = level if difference_holds else RATE_SHARE * level
        rate_holds = self.rates.shares_level and self.rates.p_value <= passed_on
        sign = (1 if self.higher_is_better else -1) * float(self.worked.sum())
        gap = self.rates.bad_a - self.rates.bad_b
        rates, worked = _direction(gap) if rate_holds else None, _direction(sign) if difference_holds else None
        overall = worked if sign * gap >= 0 and worked else rates if not worked else None
        return Claims(rates, worked, overall)

    def is_blocked(self, level: float) -> bool:
        """Whether so many of the better arm's runs went wrong that no difference where both worked could be claimed.

        Then more seeds or fewer bad runs are needed, whatever the scores: with k of them against n - k pairs its way,
        one-sided p is at least the chance of k heads or fewer in n throws.
        """
        total = float(self.worked.sum())
        if not any(self.lost) or total == 0:
            return False
        from scipy.special import bdtr

        against = self.lost[1] if (total > 0) == self.higher_is_better else self.lost[0]
        return float(bdtr(against, len(self.worked) + sum(self.lost), 0.5)) > level

    @functools.cached_property
    def skew_factors(self) -> tuple[float, float]:
        """``stats.skew_factors`` of the scores where both worked."""
        return skew_factors(self.a, self.b)


def paired_outcomes(
    a: npt.ArrayLike, b: npt.ArrayLike, *, chance: float | None = None, higher_is_better: bool = True
) -> PairedOutcomes:
    """Two arms' runs by seed, with those that failed or collapsed counted, tested and kept.

    Args:
        a: One score per seed; not a number for a run that ended without one. A seed that has not ended in both arms
            is left out by the caller.
        b: The same for the other arm, in the same order.
        chance: The accuracy of guessing, the share of the most common class; ``None`` for a metric without one, where
            no run is called a collapse.
        higher_is_better: The metric's direction.

    Raises:
        ValueError: a and b differ in length, a score is infinite, or ``chance`` lies outside 0 to 1.
    """
    first, second = _scores(a, b)
    none = np.zeros(len(first), dtype=bool)
    collapses = (none, none) if chance is None else collapsed(first, second, chance)
    missing = np.isnan(first), np.isnan(second)
    bad_a, bad_b = collapses[0] | missing[0], collapses[1] | missing[1]
    good = ~(bad_a | bad_b)
    differences = second[good] - first[good]
    worst = float(np.abs(differences).max(initial=0.0)) * (1 if higher_is_better else -1)
    kept = np.zeros(len(first))
    kept[good] = differences
    kept[bad_a & ~bad_b], kept[bad_b & ~bad_a] = worst, -worst
    lost = int((bad_a & ~bad_b).sum()), int((bad_b & ~bad_a).sum())
    return PairedOutcomes(
        a=first[good],
        b=second[good],
        kept=kept,
        collapsed=(int(collapses[0].sum()), int(collapses[1].sum())),
        failed=(int(missing[0].sum()), int(missing[1].sum())),
        rates=compare_rates(int(bad_a.sum()), int(bad_b.sum()), len(first)),
        lost=lost,
        higher_is_better=higher_is_better,
        works=good,
    )


def collapsed(a: npt.ArrayLike, b: npt.ArrayLike, chance: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which runs of two arms collapsed: have learned less than an eighth of what a typical run has learned.

    What a run has learned is its accuracy above guessing, and a typical run is the median of those that have learned
    more than half of the best. Only both arms' scores together are looked at, so that the rule would call the same
    runs if two runs of a seed were exchanged, and tests that build on it stay exact. A weak arm has not collapsed: with
    others at 90 % in ten classes, a run at 25 % is a weak run. Where a typical run has learned less than a
    quarter of what there is to learn, none is called a collapse: nothing tells it from a hard problem.

    Args:
        a: Accuracies, as fractions; not a number for a run without one.
        b: The other arm's.
        chance: Accuracy of guessing: the share of the most common class.
    """
    first, second = _scores(a, b, paired=False)
    if not 0 <= chance <= 1:
        raise ValueError(f"chance is {chance!r}; give the share of the most common class, from 0 to 1")
    learned = np.concatenate([first, second]) - chance
    learned = learned[~np.isnan(learned)]
    bound = -np.inf
    if len(learned):
        typical = float(np.median(learned[learned >= learned.max() / 2])) if learned.max() > 0 else 0.0
        if typical >= LEARNED_AT_ALL * (1 - chance) and typical > 0:
            bound = chance + LEARNED_LITTLE * typical
    return first < bound, second < bound


def kept_difference(differences: npt.ArrayLike, above: int, below: int, *, seed: int = 0) -> tuple[float, int]:
    """One-sided p and direction of a paired difference in which a bad run ranks below every score.

    The statistic is the trimmed mean of all pairs' differences, plus infinity where only a's run was bad and minus
    infinity where only b's was, without as many at each end as there are such pairs. Runs that drop out can only lower
    it for their arm, so they never make an arm look better. Its p counts sign flips of pairs, which is exact where two
    equal arms' runs could be exchanged, because how many pairs have one bad run stays the same. Up to 12 finite
    differences all flips are counted, beyond that 9,999 random ones and the observed one.

    Args:
        differences: b minus a where both runs worked.
        above: Pairs whose difference lies above all others: only a's run was bad, where a higher score is better.
        below: Pairs whose difference lies below all others.
        seed: Seed of the random flips.

    Returns:
        The share of flips with a statistic as far from 0 to either side, halved, and 1, -1 or 0. p is 1 where no
        difference is left to average, or the statistic is 0.

    Source: Permutt and Li (2017), "Trimmed means for symptom trials with dropouts", Pharmaceutical Statistics 16(1).
    """
    values = np.asarray(differences, dtype=np.float64)
    m, lost = len(values), above + below
    if m <= lost:
        return 1.0, 0
    windows = _windows(values[None], lost)[0]
    observed = float(windows[below])
    if abs(observed) <= 1e-12 * np.abs(values).max():
        return 1.0, 0
    direction = 1 if observed > 0 else -1
    least = abs(observed) * (1 - 1e-9)
    if m <= _ENUMERATED:
        flips = 1 - 2 * ((np.arange(2**m)[:, None] >> np.arange(m)) & 1)
        share = (np.abs(_windows(flips * values, lost)) >= least).mean(0)
        weights = np.array([math.comb(lost, j) for j in range(lost + 1)]) / 2**lost
        return float(share @ weights) / 2, direction
    rng = np.random.Generator(np.random.Philox(key=seed))
    as_large = 1
    for count in (1000,) * 9 + (999,):
        flips = 1 - 2 * rng.integers(0, 2, size=(count, m), dtype=np.int8)
        drawn = rng.binomial(lost, 0.5, size=count)
        as_large += int((np.abs(_windows(flips * values, lost)[np.arange(count), drawn]) >= least).sum())
    return as_large / (_DRAWS + 1) / 2, direction


def _windows(rows: npt.NDArray[np.float64], lost: int) -> npt.NDArray[np.float64]:
    """[rows, lost + 1]: trimmed means with j of the lost pairs at minus infinity, the others at plus infinity."""
    m = rows.shape[1]
    sums = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(np.sort(rows, axis=1), axis=1)], axis=1)
    below = np.arange(lost + 1)
    means: npt.NDArray[np.float64] = (sums[:, m - below] - sums[:, lost - below]) / (m - lost)
    return means


def _direction(sign: float) -> Direction | None:
    return None if sign == 0 else "better" if sign > 0 else "worse"


def _scores(
    a: npt.ArrayLike, b: npt.ArrayLike, *, paired: bool = True
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or second.ndim != 1 or (paired and len(first) != len(second)):
        raise ValueError(f"a has shape {first.shape} and b {second.shape}; give one score per seed, in the same order")
    if np.isinf(first).any() or np.isinf(second).any():
        raise ValueError("a score is infinite; give not-a-number for a run that ended without a score")
    return first, second
