"""Intervals for a mean over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Problem, TooFewSeeds

_STUDENT = 'Student (1908), "The probable error of a mean", Biometrika 6(1)'


@dataclass(frozen=True)
class Interval:
    """A mean with the interval around it.

    Args:
        mean: The estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: How many scores it comes from.
        confidence: Long-run share of such intervals that hold the true mean.
        source: Where the method was published.
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
        ValueError: A score is not finite. A diverged run is a result: report it, don't drop it.

    Source: Student (1908), "The probable error of a mean", Biometrika 6(1).
    """
    values = finite_scores(scores)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; give a share between 0 and 1, such as 0.95")
    if len(values) < 2:
        raise TooFewSeeds(Problem(f"got {_count(len(values))}, an interval needs 2", "run more seeds"))
    from scipy.special import stdtrit

    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return Interval(mean, mean - reach, mean + reach, len(values), confidence, _STUDENT)


def finite_scores(scores: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The scores as one row of finite numbers.

    Raises:
        ValueError: They are not one row, or one of them is not finite.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"the scores have shape {values.shape}; give one row, one score per seed")
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        first = int(broken[0])
        raise ValueError(
            f"score {first} is {values[first]}, which is not finite; "
            "a diverged run is a result: report it, don't drop it"
        )
    return values


def _count(n: int) -> str:
    return "1 score" if n == 1 else f"{n} scores"
