"""Power of a look: Student's test together with the sign-flip test that guards it where pairs are few."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from .look import FLIP_ROOM
from .paired import MIN_PAIRS
from .power import POWER, power_of

_FEW = 12  # with more pairs the sign-flip test asks for nothing that Student's does not
_DRAWS = 2000


def look_power(effect: float, num_pairs: int, *, level: float) -> float:
    """Chance that a look at so many pairs calls a true effect of normal differences.

    Args:
        effect: Mean difference over the standard deviation of the differences.
        num_pairs: How many; below 6 nothing is called.
        level: The look's nominal level.

    Below 13 pairs it is simulated (2,000 draws, the same ones each time), because the sign-flip test has few levels
    there; above, it is Student's (Cohen 1988).
    """
    if num_pairs > _FEW:
        return power_of(effect, num_pairs, alpha=level)
    if num_pairs < MIN_PAIRS or 2.0 / 2**num_pairs > FLIP_ROOM * level:
        return 0.0
    from scipy.special import stdtr

    values = _normal(num_pairs) + effect
    t = values.mean(1) / (values.std(1, ddof=1) / num_pairs**0.5)
    calls = (2 * stdtr(num_pairs - 1, -np.abs(t)) <= level) & (_flip_ps(values) <= FLIP_ROOM * level)
    return float(calls.mean())


@functools.lru_cache(maxsize=256)
def detectable_effect(num_pairs: int, level: float) -> float | None:
    """The smallest true effect, in standard deviations of the differences, that a look calls with a chance of 0.8.

    ``None`` where no effect is large enough: the sign-flip test cannot reach the level with so few pairs.
    """
    high = 1.0
    while look_power(high, num_pairs, level=level) < POWER:
        high *= 2
        if high > 1e4:
            return None
    from scipy.optimize import brentq  # heavy: only where a root is wanted

    return float(brentq(lambda size: look_power(size, num_pairs, level=level) - POWER, 0.0, high, xtol=1e-3))


def _flip_ps(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The exact sign-flip p of each row [draws, pairs]."""
    pairs = values.shape[1]
    codes = np.arange(2 ** (pairs - 1))  # two-sided, so the last sign can stand still
    signs = 1.0 - 2.0 * ((codes[:, None] >> np.arange(pairs)) & 1)
    observed = np.abs(values.sum(1)) - 1e-9 * np.abs(values).sum(1)
    return np.concatenate(
        [
            (np.abs(rows @ signs.T) >= limit[:, None]).mean(1)
            for rows, limit in zip(np.array_split(values, 20), np.array_split(observed, 20), strict=True)
        ]
    )


@functools.lru_cache(maxsize=16)
def _normal(pairs: int) -> npt.NDArray[np.float64]:
    return np.random.Generator(np.random.Philox(key=pairs)).normal(size=(_DRAWS, pairs))
