"""Power of the paired t test: the smallest detectable difference, and the pairs that a difference needs."""

from __future__ import annotations

import math
from collections.abc import Callable

from .checks import check_count, check_margin, check_number, check_share

POWER = 0.8
MAX_PAIRS = 10_000


def power_of(effect: float, num_pairs: int, *, alpha: float = 0.05) -> float:
    """Chance that a two-sided paired t test on so many pairs finds a true effect.

    Args:
        effect: Mean difference over the standard deviation of the differences.
        num_pairs: How many; below 2 there is no test, and its power is 0.
        alpha: The test's level.

    Raises:
        ValueError: The effect is not a number, the pairs are no whole number, or the level is outside (0, 1).

    Source: Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", 2nd ed.; noncentral t.
    """
    from scipy.special import nctdtr, stdtrit

    check_share(alpha, "alpha")
    if math.isnan(effect):
        raise ValueError(f"effect is {effect!r}; give a number")
    if check_count(num_pairs, "num_pairs", least=0) < 2:
        return 0.0
    freedom, shift = num_pairs - 1, abs(effect) * math.sqrt(num_pairs)
    bound = float(stdtrit(freedom, 1 - alpha / 2))
    # The far tail matters only near no effect, where the noncentral t is quick and exact.
    far = float(nctdtr(freedom, shift, -bound)) if shift < 10 else 0.0
    near = float(nctdtr(freedom, shift, bound)) if shift < 35 else 0.0
    return min(1.0, 1 - near + far)


def smallest_difference(deviation: float, num_pairs: int, *, alpha: float = 0.05) -> float | None:
    """The smallest true mean difference that so many pairs find with a chance of ``POWER``.

    Args:
        deviation: Standard deviation of the paired differences.
        num_pairs: How many pairs there are.
        alpha: The test's level; divided by the number of contrasts where there are several.

    Returns:
        In the deviation's unit; ``None`` below two pairs.

    Raises:
        ValueError: The deviation is below 0 or not finite, or as for ``power_of``.
    """
    check_number(deviation, "deviation", least=0)
    check_share(alpha, "alpha")
    if check_count(num_pairs, "num_pairs", least=0) < 2:
        return None
    high = 1.0
    while power_of(high, num_pairs, alpha=alpha) < POWER:
        high *= 2
        if high > 1e6:
            return None
    from scipy.optimize import brentq  # heavy: only where a root is wanted

    effect = brentq(lambda size: power_of(size, num_pairs, alpha=alpha) - POWER, 0.0, high, xtol=1e-10)
    return deviation * effect


def pairs_for_difference(mean: float, deviation: float, *, alpha: float = 0.05, fewest: int = 2) -> int | None:
    """The fewest pairs that find a true difference as large as ``mean`` with a chance of ``POWER``.

    ``None`` where 10,000 do not.

    Args:
        mean: The true mean difference that is supposed.
        deviation: Standard deviation of the paired differences.
        alpha: The test's level.
        fewest: Never fewer than this.

    Raises:
        ValueError: The mean is not finite, the deviation is below 0 or not finite, the level is outside (0, 1), or
            ``fewest`` is no whole number.
    """
    _check(mean, deviation, alpha, fewest)
    if mean == 0:
        return None
    effect = math.inf if deviation == 0 else abs(mean) / deviation
    return fewest_pairs(lambda n: power_of(min(effect, 1e3), n, alpha=alpha) >= POWER, fewest)


def pairs_for_equivalence(
    mean: float, deviation: float, margin: float, *, alpha: float = 0.05, fewest: int = 2
) -> int | None:
    """The fewest pairs that show a true difference of ``mean`` to lie within the margin; ``None`` where 10,000 do not.

    The power is that of the one-sided test at the nearer margin, which at 0.8 is nearly that of both.

    Raises:
        ValueError: As for ``pairs_for_difference``, or the margin is not above 0.
    """
    _check(mean, deviation, alpha, fewest)
    check_margin(margin)
    room = margin - abs(mean)
    if room <= 0:
        return None
    if deviation == 0:
        return max(fewest, 2)
    from scipy.special import nctdtr, stdtrit

    def enough(num_pairs: int) -> bool:
        shift = room / deviation * math.sqrt(num_pairs)
        bound = float(stdtrit(num_pairs - 1, 1 - alpha))
        miss = 0.0 if shift > 35 else float(nctdtr(num_pairs - 1, shift, bound))
        # At a mean of 0 both margins are equally near, and both tests must succeed.
        both = 2 if mean == 0 else 1
        return 1 - both * miss >= POWER

    return fewest_pairs(enough, fewest)


def _check(mean: float, deviation: float, alpha: float, fewest: int) -> None:
    check_number(mean, "mean")
    check_number(deviation, "deviation", least=0)
    check_share(alpha, "alpha")
    check_count(fewest, "fewest", least=0)


def fewest_pairs(enough: Callable[[int], bool], fewest: int, *, limit: int = MAX_PAIRS) -> int | None:
    """The smallest number from ``fewest`` on, and from 2, for which ``enough`` holds, as it does for every larger one.

    ``None`` where it does not hold for ``limit``.
    """
    low, high = max(fewest, 2), max(fewest, 2)
    while not enough(high):
        if high >= limit:
            return None
        low, high = high + 1, min(2 * high, limit)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high
