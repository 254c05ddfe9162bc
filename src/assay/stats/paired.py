"""Compares two arms on runs paired by seed."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from ..errors import Problem, TooFewSeeds
from ..numerals import counted
from .checks import check_count, finite_scores
from .intervals import Interval, mean_interval, share_interval

# Below 6 pairs a two-sided sign-flip test cannot reach p < 0.05: with 5, its smallest p is 2/32.
MIN_PAIRS = 6
MAX_ENUMERATED = 20
_FIRST_DRAWS = 10_000
_COMMON = 0.1  # the share of the first draws from which on no verdict hangs on more of them
_LIMITING = threading.Lock()
_TOO_RARE = 30.0  # 2 exp(-30) is 2e-13
_SOURCE = 'Student (1908), "The probable error of a mean"; Fisher (1935), "The Design of Experiments", section 21'


@dataclass(frozen=True)
class PairedDifference:
    """The mean difference of two arms over pairs with the same seed.

    Args:
        mean: The mean difference, b minus a. Accuracies are fractions.
        low: The lower end of its interval.
        high: The upper end of its interval.
        n: The number of pairs.
        confidence: The long-run share of such intervals that hold the true difference.
        p_value: The two-sided p value of the sign-flip test: the probability, under random exchange of the two arms
            within each pair, of a mean difference at least this large.
        source: The publication of the method.
    """

    mean: float
    low: float
    high: float
    n: int
    confidence: float
    p_value: float
    source: str

    @property
    def has_verdict(self) -> bool:
        """Whether there are enough pairs for a verdict: 6 or more."""
        return self.n >= MIN_PAIRS

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def paired_difference(
    a: npt.ArrayLike, b: npt.ArrayLike, *, confidence: float = 0.95, p_value: float | None = None
) -> PairedDifference:
    """How much b scores above a, on runs paired by seed: element i of both comes from the same seed.

    Pairing removes what a seed does to both arms, such as an easy validation split.

    Args:
        a: One score per seed.
        b: One score per seed, in the same order.
        confidence: Long-run share of such intervals that hold the true mean difference, in (0, 1).
        p_value: Its p, if ``sign_flip_ps`` has computed it already.

    Raises:
        TooFewSeeds: Fewer than two pairs.
        ValueError: A score is not finite, a and b differ in length, or the given p is none.

    Source: Student (1908) for the interval; Fisher (1935), "The Design of Experiments", section 21, for the p value.
    """
    first, second = finite_scores(a), finite_scores(b)
    if first.shape != second.shape:
        raise ValueError(f"a has {len(first)} scores and b has {len(second)}; give pairs that share a seed")
    if len(first) < 2:
        raise TooFewSeeds(Problem(f"got {counted(len(first), 'pair')}, a difference needs 2", "run more seeds"))
    if p_value is not None and not 0 <= p_value <= 1:
        raise ValueError(f"p_value is {p_value!r}; give a p value between 0 and 1")
    differences = second - first
    interval = mean_interval(differences, confidence=confidence)
    p = sign_flip_p(differences) if p_value is None else p_value
    return PairedDifference(interval.mean, interval.low, interval.high, interval.n, confidence, p, _SOURCE)


def sign_flip_p(differences: npt.ArrayLike, *, seed: int = 0, draws: int = 99_999) -> float:
    """Two-sided p of a mean difference when each difference could as well have had the other sign.

    Exact, by enumeration, up to 20 pairs. Beyond that, from random flips, counting the observed one, which keeps
    the test valid at any number of draws. Where a tenth or more of the first 10,000 are as large, those are all: p is
    then above 0.1, where no verdict hangs on more of them. It stays valid: below 0.1 it is called no more often than
    with all draws, and above, no more often than with the first 10,000 alone.

    Args:
        differences: One difference per pair.
        seed: Seed of the random flips; it changes nothing up to 20 pairs.
        draws: Number of random flips.

    Raises:
        ValueError: A difference is not finite, or there is no flip to draw.

    Source: Fisher (1935). Ending early where large sums are common is the idea of Besag and Clifford (1991),
    "Sequential Monte Carlo p-values", Biometrika 78(2); they end after so many large sums, this after so many flips.
    """
    return sign_flip_ps([differences], seed=seed, draws=draws)[0]


def sign_flip_ps(rows: Sequence[npt.ArrayLike], *, seed: int = 0, draws: int = 99_999) -> tuple[float, ...]:
    """``sign_flip_p`` of each of several contrasts. Those with as many pairs share their random flips."""
    check_count(draws, "draws", least=1)
    check_count(seed, "seed", least=0)
    values = [finite_scores(row) for row in rows]
    p_values: dict[int, float] = {}
    drawn: dict[int, list[int]] = {}
    for index, row in enumerate(values):
        if len(row) <= MAX_ENUMERATED:
            p_values[index] = _enumerated(row.tobytes())
        else:
            drawn.setdefault(len(row), []).append(index)
    for indices in drawn.values():
        together = np.array([values[index] for index in indices]).T
        p_values |= zip(indices, _drawn(together.tobytes(), len(indices), seed, draws), strict=True)
    return tuple(p_values[index] for index in range(len(values)))


@functools.lru_cache(maxsize=1024)  # a report asks for the same differences in several places
def _enumerated(differences: bytes) -> float:
    values = np.frombuffer(differences)
    size, observed = np.abs(values), _observed(values)
    sums = size[:1] if len(values) else np.zeros(1)  # two-sided, so the first sign can stand still
    for value in size[1:]:
        sums = np.concatenate([sums + value, sums - value])
    return float(np.mean(np.abs(sums) >= observed))


@functools.lru_cache(maxsize=64)
def _drawn(differences: bytes, num_contrasts: int, seed: int, draws: int) -> tuple[float, ...]:
    """p of each column of [pairs, contrasts]."""
    values = np.frombuffer(differences).reshape(-1, num_contrasts)
    size, observed = np.abs(values), _observed(values)
    total = size.sum(axis=0)
    as_large, drawn = np.zeros(num_contrasts, np.int64), np.full(num_contrasts, draws)
    # Sums as large may be too rare to occur (Hoeffding 1963); where they are common, the first draws suffice.
    with np.errstate(divide="ignore", invalid="ignore"):
        open_ = np.flatnonzero(~(observed**2 / (2 * (size**2).sum(axis=0)) > _TOO_RARE))
    generator = np.random.Generator(np.random.Philox(key=seed))
    # These products are too small to be shared. The limit is the process's: threads must not restore it crosswise.
    with _LIMITING, threadpool_limits(1, "blas"):
        for start in range(0, draws, _FIRST_DRAWS):
            if not len(open_):
                break
            flips = generator.integers(0, 2, size=(min(_FIRST_DRAWS, draws - start), len(values)), dtype=np.int8)
            left = size[:, open_]
            for some in np.array_split(flips, math.ceil(len(flips) / 1000)):  # that a processor's cache holds
                sums = 2.0 * (some.astype(np.float64) @ left) - total[open_]
                as_large[open_] += np.count_nonzero(np.abs(sums) >= observed[open_], axis=0)
            if start == 0:
                is_common = as_large[open_] >= _COMMON * len(flips)
                drawn[open_[is_common]] = len(flips)
                open_ = open_[~is_common]
    return tuple(float(p) for p in (as_large + 1) / (drawn + 1))


def _observed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sum that others are compared with: equal sums stay equal whatever order they are added in."""
    return np.asarray(np.abs(values.sum(axis=0)) - 1e-9 * np.abs(values).sum(axis=0))


def superiority(differences: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Probability of superiority: how often b scores above a on the same seed, a tie counting half.

    Args:
        differences: b minus a, one per pair.
        confidence: Of Wilson's interval around the share.

    Raises:
        ValueError: There is no pair, or a difference is not finite.

    Source: Grissom and Kim (2012), "Effect Sizes for Research", 2nd ed., chapter 5; for learning algorithms,
    Bouthillier et al. (2021), "Accounting for variance in machine learning benchmarks", MLSys.
    """
    values = finite_scores(differences)
    if not len(values):
        raise ValueError("there is no pair, so nobody wins; give one difference or more")
    wins = np.count_nonzero(values > 0) + 0.5 * np.count_nonzero(values == 0)
    return share_interval(float(wins), len(values), confidence=confidence)
