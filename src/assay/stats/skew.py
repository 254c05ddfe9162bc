"""Guards a paired t test against arms of unlike shapes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .intervals import finite_scores

VISIBLE = 3.0  # standard errors of skewness and of unlike spreads together; equal normal arms rarely show as many
SPREAD_COUNTS = 2.0  # what spreads give at most of them, so that unlike spreads alone change nothing
STEEPNESS = 2.0
_FEWEST = 4


def skew_factors(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[float, float]:
    """What the t test's p is multiplied by, because the two arms' scores are shaped unlike.

    Differences of two arms of one shape are symmetric whatever that shape is. Where one arm's scores have a long tail
    that the other's lack, differences are skewed, and t finds a direction away from the tail too often, because a small
    sample rarely holds its share of the tail. That case shows twice: the differences' skewness points from the claim
    back across zero, and the arms' spreads differ. With h and v these two in standard errors, h positive, the factor is
    exp(2 (h + min(v, 2) - 3)), and 1 where that is less. v is Fisher's z of the correlation between sums and
    differences.

    Args:
        a: One score per seed.
        b: One score per seed, in the same order.

    Returns:
        The factor for "b above a", whose interval's lower end is then taken at the level over the factor, and the
        factor for "b below a" and the upper end. 1 and 1 below 4 pairs.

    Source: Johnson (1978), "Modified t tests and confidence intervals for asymmetrical populations", JASA 73(363), for
    what skewness does; Pitman (1939), "A note on normal correlation", and Morgan (1939), Biometrika 31, for the
    spreads. The factor is ours, set by simulation.
    """
    first, second = finite_scores(a), finite_scores(b)
    if first.shape != second.shape:
        raise ValueError(f"a has {len(first)} scores and b has {len(second)}; give pairs that share a seed")
    n = len(first)
    if n < _FEWEST:
        return 1.0, 1.0
    differences, sums = second - first, second + first
    differences, sums = differences - differences.mean(), sums - sums.mean()
    moment, other = float((differences**2).mean()), float((sums**2).mean())
    size = float(np.abs(np.concatenate([first, second])).max())
    if min(moment, other) <= (1e-12 * size) ** 2:
        return 1.0, 1.0
    skewness = float((differences**3).mean()) / moment**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    deviation = math.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))  # of the skewness of n normal values
    correlation = float((differences * sums).mean()) / math.sqrt(moment * other)
    h = skewness / deviation
    v = math.atanh(min(abs(correlation), 0.9999)) * math.sqrt(n - 3)
    return _factor(-h, v), _factor(h, v)


def _factor(h: float, v: float) -> float:
    return math.exp(STEEPNESS * max(h + min(v, SPREAD_COUNTS) - VISIBLE, 0.0)) if h > 0 else 1.0
