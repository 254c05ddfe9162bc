"""Ranks many arms: mean ranks, Friedman's and Nemenyi's tests, and groups without a significant difference."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..numerals import counted
from .checks import are_finite, check_count, check_share, finite_scores, numbers
from .many import holm
from .paired import sign_flip_ps

_SOURCE = (
    'Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", JMLR 7; groups by pairwise tests '
    'as in Benavoli, Corani and Mangili (2016), "Should we really use post-hoc tests based on mean-ranks?", JMLR 17'
)


@dataclass(frozen=True)
class Ranking:
    """Arms by mean rank over seeds. Rank 1 is the best.

    Args:
        mean_ranks: The mean rank of each arm, in the order of ``Comparison.arms``.
        n: Blocks: seeds on which every arm has a score.
        friedman_p: The p value of Friedman's test that all arms are equal; ``None`` if there is nothing to test.
        critical_difference: Nemenyi's critical difference at 5 %; ``None`` below two blocks.
        groups: Groups of arms (indices, best first) that pairwise sign-flip tests with Holm's adjustment do not
            distinguish. Only the largest groups are listed.
        source: The publication of the methods.
        needed: The blocks that pairwise tests of this many arms need, if there are fewer; else ``None``.
        note: Another reason why no groups are given.
    """

    mean_ranks: tuple[float, ...]
    n: int
    friedman_p: float | None
    critical_difference: float | None
    groups: tuple[tuple[int, ...], ...]
    source: str = _SOURCE
    needed: int | None = None
    note: str = ""

    @property
    def refusal(self) -> str:
        """Why no arms are joined, as a sentence without its full stop; empty where groups are given."""
        if self.note:
            return self.note
        if self.needed is None:
            return ""
        arms = len(self.mean_ranks)
        return (
            f"Which of {arms} arms differ cannot be said from {counted(self.n, 'seed')}: comparing every two of "
            "them is "
            f"{math.comb(arms, 2)} tests, which need {self.needed} seeds after Holm"
        )


def rank_arms(scores: npt.ArrayLike, *, higher_is_better: bool = True, alpha: float = 0.05) -> Ranking:
    """Mean ranks, Friedman's test, Nemenyi's critical difference, and groups of arms without a significant difference.

    Args:
        scores: [blocks, arms], every arm scored in every block, a block or more; blocks are seeds.
        higher_is_better: The metric's direction.
        alpha: Level of the critical difference and of the pairwise tests after Holm's adjustment.

    Raises:
        ValueError: The array is not [blocks, arms] of finite numbers with a block and two arms or more, or alpha is
            outside (0, 1).

    Source: Friedman (1937); Nemenyi (1963); Demsar (2006); Benavoli, Corani and Mangili (2016).
    """
    check_share(alpha, "alpha")
    values = numbers(scores)
    if values.ndim != 2 or values.shape[1] < 2 or not len(values) or not are_finite(values):
        raise ValueError(f"got shape {values.shape}; give finite scores as rows of blocks, columns of two arms or more")
    from scipy.stats import friedmanchisquare, rankdata

    blocks, arms = values.shape
    ranks = rankdata(-values if higher_is_better else values, axis=1)
    means = ranks.mean(axis=0)
    friedman_p = None
    if blocks > 1 and arms > 2 and np.ptp(values, axis=1).any():
        friedman_p = float(friedmanchisquare(*values.T).pvalue)
    critical = nemenyi_difference(arms, blocks, alpha=alpha) if blocks > 1 else None
    needed = blocks_needed(arms, alpha=alpha)
    if blocks < needed:
        return Ranking(tuple(map(float, means)), blocks, friedman_p, critical, (), needed=needed)
    return Ranking(tuple(map(float, means)), blocks, friedman_p, critical, _groups(values, means, alpha))


def blocks_needed(num_arms: int, *, alpha: float = 0.05) -> int:
    """The fewest blocks with which pairwise sign-flip tests of so many arms can tell two of them apart after Holm.

    With n blocks the smallest two-sided p is 2 / 2**n, and Holm multiplies the smallest by the number of pairs.
    """
    pairs, blocks = math.comb(num_arms, 2), 1
    while pairs * 2 / 2**blocks >= alpha:
        blocks += 1
    return blocks


def nemenyi_difference(num_arms: int, num_blocks: int, *, alpha: float = 0.05) -> float:
    """The difference of mean ranks that Nemenyi's test calls real: q sqrt(k (k + 1) / (6 N)).

    q is the studentized range's quantile for k groups and infinitely many degrees of freedom, over sqrt(2).

    Raises:
        ValueError: Fewer than two arms or one block, or alpha is outside (0, 1).
    """
    check_count(num_arms, "num_arms", least=2)
    check_count(num_blocks, "num_blocks", least=1)
    check_share(alpha, "alpha")
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, num_arms, np.inf)) / 2**0.5
    return float(q * (num_arms * (num_arms + 1) / (6 * num_blocks)) ** 0.5)


def _groups(
    values: npt.NDArray[np.float64], means: npt.NDArray[np.float64], alpha: float
) -> tuple[tuple[int, ...], ...]:
    pairs = list(itertools.combinations(range(len(means)), 2))
    adjusted = holm(sign_flip_ps([values[:, i] - values[:, j] for i, j in pairs]))
    return groups_of(means, [pair for pair, p in zip(pairs, adjusted, strict=True) if p < alpha])


def groups_of(mean_ranks: npt.ArrayLike, different: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Runs of neighbours by mean rank of which no two are told apart; only those that no other contains.

    Args:
        mean_ranks: [arms].
        different: Which arms are told apart, two indices each.

    Raises:
        ValueError: The ranks are not one row of finite numbers.
    """
    order = [int(index) for index in np.argsort(finite_scores(mean_ranks), kind="stable")]
    differ = {frozenset(pair) for pair in different}
    groups: list[list[int]] = []
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and not any(frozenset((order[stop], i)) in differ for i in order[start:stop]):
            stop += 1
        group = order[start:stop]
        if len(group) > 1 and not any(set(group) <= set(known) for known in groups):
            groups.append(group)
    return tuple(map(tuple, groups))
