"""Confidence intervals: for a mean over seeds (Student, bootstrap) and for a share (Wilson)."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Problem, TooFewSeeds
from ..numerals import counted
from .checks import LARGEST, check_share, numbers
from .checks import finite_scores as finite_scores

_RESAMPLES = 9_999
_STUDENT = 'Student (1908), "The probable error of a mean", Biometrika 6(1)'
_HAHN = 'Hahn and Meeker (1991), "Statistical Intervals", Wiley'
_EFRON = 'Efron (1987), "Better bootstrap confidence intervals", JASA 82(397)'
_WILSON = 'Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22(158)'


@dataclass(frozen=True)
class Interval:
    """An estimate with a confidence interval.

    Args:
        mean: The estimate.
        low: The lower end of the interval.
        high: The upper end of the interval.
        n: The number of scores that it is computed from.
        confidence: The long-run share of such intervals that hold the true value; 0.95 unless stated.
        source: The publication of the method.
    """

    mean: float
    low: float
    high: float
    n: int
    confidence: float
    source: str


def mean_interval(scores: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Mean score over seeds, with Student's two-sided t interval for it.

    The interval covers seed-to-seed variation only: not the choice of test set, and not tuning.

    Args:
        scores: One score per seed, in the metric's own unit (accuracy is a fraction, 0 to 1).
        confidence: Long-run share of such intervals that hold the true mean, in (0, 1).

    Raises:
        TooFewSeeds: Fewer than two scores.
        ValueError: A score is not finite, or is beyond 1e100. A diverged run is a result: report it, don't drop it.

    Source: Student (1908), "The probable error of a mean", Biometrika 6(1).
    """
    values = finite_scores(scores)
    check_share(confidence, "confidence")
    if len(values) < 2:
        raise TooFewSeeds(Problem(f"got {_count(len(values))}, an interval needs 2", "run more seeds"))
    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = _student_quantile(len(values), confidence) * error
    return Interval(mean, mean - reach, mean + reach, len(values), confidence, _STUDENT)


def mean_bands(
    scores: npt.ArrayLike, *, confidence: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """``mean_interval`` for every column: the means and the ends of their intervals, for a curve with its band.

    Each interval holds for its own column, not for all columns together.

    Args:
        scores: [seeds, columns], such as a metric after each epoch. Where a column holds a value that is no number, so
            are its three results, and where one is infinite or beyond 1e100.
        confidence: As for ``mean_interval``.

    Returns:
        Means, lower ends and upper ends, [columns] each; the ends are not numbers for a single seed.

    Raises:
        ValueError: The scores are not [seeds, columns], or there is no seed.

    Source: Student (1908), "The probable error of a mean", Biometrika 6(1).
    """
    check_share(confidence, "confidence")
    values = numbers(scores)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"the scores have shape {values.shape}; give a row for each seed, one at least")
    values[~(np.abs(values) <= LARGEST)] = np.nan
    mean = values.mean(0)
    if len(values) < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    reach = _student_quantile(len(values), confidence) * values.std(0, ddof=1) / len(values) ** 0.5
    return mean, mean - reach, mean + reach


def prediction_interval(scores: npt.ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Where one more score would lie: mean +- t s sqrt(1 + 1/n).

    Args:
        scores: One score per seed.
        confidence: Long-run share of such intervals that hold the next score, in (0, 1).

    Raises:
        TooFewSeeds: Fewer than two scores.
        ValueError: A score is not finite.

    Source: Hahn and Meeker (1991), "Statistical Intervals": prediction interval of one future observation.
    """
    student = mean_interval(scores, confidence=confidence)
    reach = (student.high - student.low) / 2 * (student.n + 1) ** 0.5  # the mean's is t s / sqrt(n)
    return Interval(student.mean, student.mean - reach, student.mean + reach, student.n, confidence, _HAHN)


def _student_quantile(num_scores: int, confidence: float) -> float:
    """How many standard errors lie on each side of a mean."""
    from scipy.special import stdtrit

    return float(stdtrit(num_scores - 1, (1 + confidence) / 2))


def bootstrap_interval(scores: npt.ArrayLike, *, confidence: float = 0.95) -> Interval | None:
    """Mean score over seeds, with the bias-corrected and accelerated bootstrap interval for it.

    It follows skewness that Student's interval does not, and is too narrow below about 15 scores: a second opinion.

    Args:
        scores: One score per seed.
        confidence: Long-run share of such intervals that hold the true mean, in (0, 1).

    Returns:
        ``None`` where the scores hold too few different values for a bootstrap distribution.

    Raises:
        TooFewSeeds: Fewer than two scores.
        ValueError: A score is not finite.

    Source: Efron (1987), "Better bootstrap confidence intervals", JASA 82(397).
    """
    student = mean_interval(scores, confidence=confidence)
    values = finite_scores(scores)
    if len(np.unique(values)) < 3:
        return None
    ends = _bootstrapped(values.tobytes(), confidence)
    return None if ends is None else Interval(student.mean, *ends, student.n, confidence, _EFRON)


@functools.lru_cache(maxsize=1024)  # a report asks for the same scores in several places
def _bootstrapped(scores: bytes, confidence: float) -> tuple[float, float] | None:
    from scipy.stats import bootstrap

    interval = bootstrap(
        (np.frombuffer(scores),),
        np.mean,
        confidence_level=confidence,
        n_resamples=_RESAMPLES,
        method="BCa",
        vectorized=True,
        rng=np.random.Generator(np.random.Philox(key=0)),
    ).confidence_interval
    if not (np.isfinite(interval.low) and np.isfinite(interval.high)):
        return None
    return float(interval.low), float(interval.high)


def share_interval(count: float, total: int, *, confidence: float = 0.95) -> Interval:
    """A share with Wilson's interval for it: images classified correctly, pairs won.

    Args:
        count: How many of ``total``; a half for a tie.
        total: Independent trials.
        confidence: Long-run share of such intervals that hold the true share, in (0, 1).

    Raises:
        ValueError: There are no trials, the count lies outside 0 to ``total``, or one of the two is not finite.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22(158).
    """
    if not (1 <= total <= LARGEST and 0 <= count <= total):
        raise ValueError(f"got {count!r} of {total!r}; give a count from 0 to a total of 1 or more")
    check_share(confidence, "confidence")
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    share = count / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    reach = z * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5 / (1 + z * z / total)
    low, high = max(centre - reach, 0.0), min(centre + reach, 1.0)
    return Interval(share, 0.0 if count == 0 else low, 1.0 if count == total else high, total, confidence, _WILSON)


def _count(n: int) -> str:
    return counted(n, "score")
