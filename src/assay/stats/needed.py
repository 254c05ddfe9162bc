"""What would decide a contrast that is undecided: more seeds, or more images."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .crossed import image_share, images_needed
from .history import History
from .look_power import look_power
from .power import POWER, fewest_pairs, pairs_for_equivalence

_IMAGES_LIMIT = 0.2  # the share of the variance from which on images are what stands in the way


@dataclass(frozen=True)
class Need:
    """What would decide a contrast with probability 0.8, if the true difference is as large as the observed one.

    Args:
        seeds: About how many more seeds; ``None`` if no reachable number is enough, or images alone are.
        images: About how many more validation images, if seeds alone are not enough; else ``None``. With ``seeds``:
            both together.
    """

    seeds: int | None
    images: int | None = None


def needed(history: History, alpha: float, margin: float | None) -> Need:
    """What would decide a contrast, at the level that its next look would have.

    Args:
        history: Its looks, one of which could have decided.
        alpha: The overall level that it has.
        margin: Differences smaller than this do not matter; ``None`` where none was declared.
    """
    now = history.judged[-1]
    if now.size < 2 or (now.outcomes is not None and now.outcomes.is_blocked(history.level(alpha, more=now.size))):
        return Need(None)
    n, mean = now.size, abs(now.mean)
    variance = float(now.values.var(ddof=1))
    growth = (now.spread.inflation**2 - 1) / n  # of the variance, with each seed that shares its training images

    def effect(pairs: int) -> float:
        spread = variance * (1 + growth * pairs) + pairs * now.spread.extra
        return min(mean / math.sqrt(spread), 1e3) if spread > 0 else 1e3

    def enough(pairs: int) -> bool:
        return look_power(effect(pairs), pairs, level=history.level(alpha, more=pairs - n)) >= POWER

    candidates = [fewest_pairs(enough, n + 1) if mean > 0 else None]
    if margin is not None:
        level = history.level(alpha, more=n)
        candidates.append(pairs_for_equivalence(mean, now.deviation, margin, alpha=level, fewest=n + 1))
    reachable = [pairs - n for pairs in candidates if pairs is not None]
    if reachable:
        return Need(min(reachable))
    if image_share(now.values, now.spread) < _IMAGES_LIMIT:
        return Need(None)
    more = images_needed(mean, now.values, now.spread, alpha=history.level(alpha, more=n))
    if more is None or more.images <= round(now.spread.images):
        return Need(None)
    return Need(more.seeds - n or None, more.images - round(now.spread.images))
