"""Ranks many arms: mean ranks, Friedman's and Nemenyi's tests, and groups without a significant difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .many import holm
from .paired import sign_flip_ps

_SOURCE = (
    'Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", JMLR 7; groups by pairwise tests '
    'as in Benavoli, Corani and Mangili (2016), "Should we really use post-hoc tests based on mean-ranks?", JMLR 17'
)


@dataclass(frozen=True)
class Ranking:
    """Arms by mean rank; rank 1 is the best of its block.

    Args:
        mean_ranks: [arms], in the order given.
        n: Blocks: seeds on which every arm has a score.
        friedman_p: Of the hypothesis that all arms are alike; ``None`` where there is nothing to test.
        critical_difference: Nemenyi's: mean ranks further apart differ at 5 %; ``None`` below two blocks.
        groups: Arms (indices, best first) that pairwise sign-flip tests with Holm's adjustment do not tell apart;
            only groups that no other contains. They decide what is joined in the diagram, because Nemenyi's test of
            two arms depends on which other arms were ranked with them (Benavoli et al. 2016).
        source: Where the methods were published.
    """

    mean_ranks: tuple[float, ...]
    n: int
    friedman_p: float | None
    critical_difference: float | None
    groups: tuple[tuple[int, ...], ...]
    source: str = _SOURCE


def rank_arms(scores: npt.ArrayLike, *, higher_is_better: bool = True, alpha: float = 0.05) -> Ranking:
    """Mean ranks, Friedman's test, Nemenyi's critical difference, and groups of arms without a significant difference.

    Args:
        scores: [blocks, arms], every arm scored in every block; blocks are seeds.
        higher_is_better: The metric's direction.
        alpha: Level of the critical difference and of the pairwise tests after Holm's adjustment.

    Raises:
        ValueError: The array is not [blocks, arms] of finite numbers with two arms or more.

    Source: Friedman (1937); Nemenyi (1963); Demsar (2006); Benavoli, Corani and Mangili (2016).
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2 or not np.all(np.isfinite(values)):
        raise ValueError(f"got shape {values.shape}; give finite scores as rows of blocks, columns of two arms or more")
    from scipy.stats import friedmanchisquare, rankdata

    blocks, arms = values.shape
    ranks = rankdata(-values if higher_is_better else values, axis=1)
    means = ranks.mean(axis=0) if blocks else np.full(arms, np.nan)
    friedman_p = None
    if blocks > 1 and arms > 2 and np.ptp(values, axis=1).any():
        friedman_p = float(friedmanchisquare(*values.T).pvalue)
    critical = nemenyi_difference(arms, blocks, alpha=alpha) if blocks > 1 else None
    return Ranking(tuple(map(float, means)), blocks, friedman_p, critical, _groups(values, means, alpha))


def nemenyi_difference(num_arms: int, num_blocks: int, *, alpha: float = 0.05) -> float:
    """The difference of mean ranks that Nemenyi's test calls real: q sqrt(k (k + 1) / (6 N)).

    q is the studentized range's quantile for k groups and infinitely many degrees of freedom, over sqrt(2).
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, num_arms, np.inf)) / 2**0.5
    return float(q * (num_arms * (num_arms + 1) / (6 * num_blocks)) ** 0.5)


def _groups(
    values: npt.NDArray[np.float64], means: npt.NDArray[np.float64], alpha: float
) -> tuple[tuple[int, ...], ...]:
    """Runs of neighbours by mean rank of which no two are told apart."""
    order = list(np.argsort(means, kind="stable"))
    pairs = [(i, j) for at, i in enumerate(order) for j in order[at + 1 :]]
    adjusted = holm(
        sign_flip_ps([values[:, i] - values[:, j] for i, j in pairs]) if len(values) else [1.0] * len(pairs)
    )
    differ = {frozenset(pair) for pair, p in zip(pairs, adjusted, strict=True) if p < alpha}
    groups: list[Sequence[int]] = []
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and not any(frozenset((order[stop], i)) in differ for i in order[start:stop]):
            stop += 1
        group = [int(i) for i in order[start:stop]]
        if len(group) > 1 and not any(set(group) <= set(known) for known in groups):
            groups.append(group)
    return tuple(map(tuple, groups))
