"""Whether two arms differ by less than what matters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import Problem, TooFewSeeds
from .intervals import finite_scores
from .paired import count_pairs

_SOURCE = (
    'Schuirmann (1987), "A comparison of the two one-sided tests procedure and the power approach", '
    "Journal of Pharmacokinetics and Biopharmaceutics 15(6)"
)


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests of a paired difference against a margin.

    Args:
        margin: Differences smaller than this do not matter; in the metric's own unit.
        p_value: The larger of the two one-sided p values; below alpha, the difference lies within the margin.
        low: Lower end of the interval that says the same: at 1 - 2 alpha, 90 % for 5 %.
        high: Its upper end.
        n: How many pairs it comes from.
        source: Where the method was published.
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
        ValueError: The margin is not above 0, or a difference is not finite.

    Source: Schuirmann (1987); Lakens (2017), "Equivalence tests", Social Psychological and Personality Science 8(4).
    """
    values = finite_scores(differences)
    if len(values) < 2:
        raise TooFewSeeds(Problem(f"got {count_pairs(len(values))}, equivalence needs 2", "run more seeds"))
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    return equivalence_of(float(values.mean()), error, len(values), margin, alpha=alpha, source=_SOURCE)


def equivalence_of(mean: float, error: float, n: int, margin: float, *, alpha: float, source: str) -> Equivalence:
    """The two tests from a mean and its standard error with n - 1 degrees of freedom.

    Raises:
        ValueError: The margin is not above 0.
    """
    if not (np.isfinite(margin) and margin > 0):
        raise ValueError(f"the margin is {margin!r}; give a difference above 0")
    from scipy.special import stdtr, stdtrit

    room, reach = margin - abs(mean), float(stdtrit(n - 1, 1 - alpha)) * error
    p_value = float(stdtr(n - 1, -room / error)) if error > 0 else float(room <= 0)
    return Equivalence(margin, p_value, mean - reach, mean + reach, n, source)
