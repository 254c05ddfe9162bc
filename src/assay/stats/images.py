"""Compares two finished networks on the images of one test split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .checks import check_count, check_share, numbers
from .intervals import Interval


@dataclass(frozen=True)
class McNemar:
    """How two networks disagree on the same images.

    Args:
        only_a: Images that a alone gets right.
        only_b: Images that b alone gets right.
        n: Images in all.
        p_value: Exact, two-sided: were both equally good, each disagreement would be a fair coin.
        source: Where the method was published.
    """

    only_a: int
    only_b: int
    n: int
    p_value: float
    source: str = 'McNemar (1947), "Note on the sampling error of the difference between correlated proportions"'


def mcnemar(a: npt.ArrayLike, b: npt.ArrayLike) -> McNemar:
    """Exact McNemar test of two networks on the same images.

    Args:
        a: Whether a gets each image right [images].
        b: The same for b, in the same order.

    Raises:
        ValueError: a and b are not two rows of equal length with an image or more, or hold anything but right (true, 1)
            and wrong (false, 0).

    Source: McNemar (1947), Psychometrika 12(2), without its chi-square approximation: a sign test of the disagreements,
    Conover (1999), "Practical Nonparametric Statistics", 3rd ed., section 3.5. Dietterich (1998), "Approximate
    statistical tests for comparing supervised classification learning algorithms", Neural Computation 10(7).
    """
    first, second = (row.astype(bool) for row in _rows(a, b, may_be_shares=False))
    only_a, only_b = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(~first & second))
    p_value = 1.0
    if only_a + only_b:
        from scipy.stats import binomtest

        p_value = float(binomtest(only_a, only_a + only_b).pvalue)
    return McNemar(only_a, only_b, len(first), p_value)


def image_bootstrap(
    a: npt.ArrayLike, b: npt.ArrayLike, *, confidence: float = 0.95, seed: int = 0, draws: int = 9_999
) -> Interval:
    """How much more often b is right than a, with the percentile bootstrap interval over images.

    Resampling images together in both networks keeps their agreement. The interval speaks of other images for these
    two networks, not of other seeds.

    Args:
        a: Whether a gets each image right [images], or its share of right runs.
        b: The same for b, in the same order.
        confidence: Long-run share of such intervals that hold the true difference.
        seed: Seed of the resampling.
        draws: Number of resamples.

    Raises:
        ValueError: a and b are not two rows of equal length with an image or more, or a value is outside [0, 1].

    Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.
    """
    first, second = _rows(a, b, may_be_shares=True)
    check_share(confidence, "confidence")
    check_count(draws, "draws", least=1)
    check_count(seed, "seed", least=0)
    # Few different values occur, so a resample is one draw from a multinomial: exact, and quick for any n.
    differences, counts = np.unique(second - first, return_counts=True)
    generator = np.random.Generator(np.random.Philox(key=seed))
    means = generator.multinomial(len(first), counts / len(first), size=draws) @ differences / len(first)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    source = 'Efron and Tibshirani (1993), "An Introduction to the Bootstrap"'
    return Interval(float((second - first).mean()), float(low), float(high), len(first), confidence, source)


def _rows(
    a: npt.ArrayLike, b: npt.ArrayLike, *, may_be_shares: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    first, second = numbers(a), numbers(b)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise ValueError(f"a has shape {first.shape} and b {second.shape}; give two equal rows, one value per image")
    for name, row in (("a", first), ("b", second)):
        is_right = (row >= 0) & (row <= 1) if may_be_shares else (row == 0) | (row == 1)
        if (wrong := np.flatnonzero(~is_right)).size:
            rule = "shares from 0 to 1" if may_be_shares else "true or false (1 or 0) for each image"
            raise ValueError(f"image {wrong[0]} of {name} is {row[wrong[0]]}; give {rule}")
    return first, second
