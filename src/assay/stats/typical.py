"""A robust estimate of a paired difference: Hodges and Lehmann's, with its signed-rank interval."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .intervals import finite_scores

_SOURCE = (
    'Hodges and Lehmann (1963), "Estimates of location based on rank tests", Annals of Mathematical Statistics 34(2); '
    'Hollander and Wolfe (1999), "Nonparametric Statistical Methods", section 3.2, for the interval'
)


@dataclass(frozen=True)
class Typical:
    """The median of the means of every two differences, and its interval.

    Args:
        estimate: The difference of a typical pair. Up to 29 % of the pairs can lie anywhere without carrying it along.
        low: Lower end of the signed-rank interval; minus infinity where bad runs reach so far.
        high: Upper end.
        n: Pairs, bad ones included.
        confidence: The least share of such intervals that hold the centre of a symmetric distribution.
        source: Where the method was published.
    """

    estimate: float
    low: float
    high: float
    n: int
    confidence: float
    source: str = _SOURCE


def typical_difference(
    differences: npt.ArrayLike, *, above: int = 0, below: int = 0, confidence: float = 0.95
) -> Typical | None:
    """The Hodges-Lehmann estimate of a difference.

    Args:
        differences: One per pair.
        above: Further pairs that lie above all others by no known amount.
        below: Further pairs that lie below all others.
        confidence: The interval's.

    Returns:
        ``None`` where so few pairs have no such interval (fewer than 6 at 95 %), or the estimate is not finite.
    """
    values = finite_scores(differences)
    n = len(values) + above + below
    cut = _cut(n, (1 - confidence) / 2)
    if cut is None or not len(values):
        return None
    # Finite stand-ins let one above and one below cancel; a mean with one of them lies beyond every difference.
    most = float(np.abs(values).max()) or 1.0
    row = np.concatenate([values, np.full(above, 1e6 * most), np.full(below, -1e6 * most)])
    i, j = np.triu_indices(n)
    means = np.sort((row[i] + row[j]) / 2)
    estimate, low, high = float(np.median(means)), float(means[cut - 1]), float(means[-cut])
    if abs(estimate) > most:
        return None
    return Typical(estimate, low if low >= -most else -np.inf, high if high <= most else np.inf, n, confidence)


@functools.lru_cache(maxsize=512)
def _cut(n: int, tail: float) -> int | None:
    """Which of the sorted means ends the interval, counted from 1: the largest c with P(W < c) at most ``tail``."""
    chance = np.ones(1)
    for rank in range(1, n + 1):  # the null distribution of the sum of positive ranks
        longer = np.zeros(len(chance) + rank)
        longer[: len(chance)] += chance / 2
        longer[rank:] += chance / 2
        chance = longer
    place = int(np.searchsorted(np.cumsum(chance), tail, side="right"))
    return place or None
