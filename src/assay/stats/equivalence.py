"""Whether two arms differ by less than what matters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Problem, TooFewSeeds
from ..numerals import counted
from .checks import check_margin, check_share, finite_scores

SOURCE = (
    'Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach", '
    "Journal of Pharmacokinetics and Biopharmaceutics 15(6)"
)
_EQUAL_SOURCE = 'Conover (1999), "Practical Nonparametric Statistics", 3rd ed., section 3.4: the sign test'


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests (TOST) of a paired difference against a margin.

    Args:
        margin: The smallest difference that matters, in the metric's own unit.
        p_value: The larger of the two one-sided p values. If all differences are equal, the sign test's: 1 / 2**n.
        low: The lower end of the interval at 1 - 2 alpha (90 % for 5 %).
        high: Its upper end.
        n: The number of pairs.
        source: The publication of the method.
    """

    margin: float
    p_value: float
    low: float
    high: float
    n: int
    source: str


def equivalence(differences: npt.ArrayLike, margin: float, *, alpha: float = 0.05) -> Equivalence:
    """Test that a mean paired difference lies between -margin and margin.

    Args:
        differences: One difference per pair.
        margin: Above 0, in the unit of the differences.
        alpha: Of each one-sided test; the interval is at 1 - 2 alpha.

    Raises:
        TooFewSeeds: Fewer than two pairs.
        ValueError: The margin is not above 0, a difference is not finite, or alpha is outside (0, 0.5).

    Source: Schuirmann (1987); of equal differences, Conover (1999), "Practical Nonparametric Statistics", 3rd ed.,
    section 3.4 (sign test). Lakens (2017), "Equivalence tests", Social Psychological and Personality Science 8(4).
    """
    values = finite_scores(differences)
    if len(values) < 2:
        raise TooFewSeeds(Problem(f"got {counted(len(values), 'pair')}, equivalence needs 2", "run more seeds"))
    n, mean = len(values), float(values.mean())
    if do_not_vary(values, margin):
        return equivalence_of_equals(mean, n, n, margin, alpha=alpha)
    error = float(values.std(ddof=1)) / n**0.5
    return equivalence_of(mean, error, n, margin, alpha=alpha, source=SOURCE)


def do_not_vary(values: npt.NDArray[np.float64], margin: float = 0.0) -> bool:
    """Whether differences are equal but for rounding, so that they have no spread to judge a mean by.

    Args:
        values: The differences.
        margin: What matters, if there is one: a billionth of it is rounding too.
    """
    scale = float(np.abs(values).max())
    if np.isfinite(margin):
        scale = max(scale, abs(margin))
    return float(np.ptp(values)) <= 1e-9 * scale


def equivalence_of_equals(mean: float, num_independent: int, n: int, margin: float, *, alpha: float) -> Equivalence:
    """The two tests of differences that are all equal: sign tests of their distances from the margins.

    Were the true difference as large as the margin and its distribution symmetric, each would fall inside it with
    chance 1/2 at most, and all of them with 1 / 2**n.

    Args:
        mean: Their value.
        num_independent: How many of them are independent: pairs, or with folds, seeds.
        n: How many there are.
        margin: Above 0.
        alpha: Of each one-sided test.

    Raises:
        ValueError: The margin is not above 0, or alpha is outside (0, 0.5).
    """
    _check(margin, alpha)
    smallest = 0.5**num_independent
    reach = 0.0 if smallest < alpha else np.inf
    p_value = smallest if abs(mean) < margin else 1.0
    return Equivalence(margin, p_value, mean - reach, mean + reach, n, _EQUAL_SOURCE)


def equivalence_of(mean: float, error: float, n: int, margin: float, *, alpha: float, source: str) -> Equivalence:
    """The two tests from a mean and its standard error with n - 1 degrees of freedom.

    Raises:
        ValueError: The margin is not above 0, or alpha is outside (0, 0.5).
    """
    _check(margin, alpha)
    from scipy.special import stdtr, stdtrit

    room, reach = margin - abs(mean), float(stdtrit(n - 1, 1 - alpha)) * error
    p_value = float(stdtr(n - 1, -room / error))
    return Equivalence(margin, p_value, mean - reach, mean + reach, n, source)


def _check(margin: float, alpha: float) -> None:
    check_margin(margin)
    check_share(alpha, "alpha", below=0.5)
