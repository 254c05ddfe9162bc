"""Looks at a growing study: how the 5 % of false calls is spent over them, and at which level each look tests.

A study that is looked at again and again, each time with a test of 5 %, calls far more differences than it should. Here
the 5 % is shared out by how many seeds have ended when a verdict is shown (Lan and DeMets 1983): most of it at the
count that was planned, a little before, the rest for every look after it. A look that shows no new pairs costs nothing.

The levels come from normal theory: the mean difference over n pairs moves as a Brownian motion at time n. That holds
for Student's t at its nominal level as well (Jennison and Turnbull 2000, section 3.2 and chapter 4).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GROWTH = 1.25
AT_PLAN = 0.86  # the share of the 5 % for the planned look: at 10 pairs, 77 % power for one deviation
BEFORE_PLAN = 0.02
AT_MAXIMUM = 0.9  # the share spent by the last planned look of a study that stops when decided
SOURCE = (
    'Lan and DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70(3); '
    'Liu and Anderson (2008), "On adaptive extensions of group sequential trials for clinical investigations", JASA 103'
)
# Overall levels at which each look's level is computed; between them it is interpolated.
_KNOTS = tuple(0.05 * 2.0**power for power in range(-10, 5))
_NEVER = 1e-15


@dataclass(frozen=True)
class Looks:
    """When a study that stops when decided is looked at.

    Args:
        seeds: Seeds per arm at each look, rising.
        maximum: Seeds per arm at which it ends, decided or not.
    """

    seeds: tuple[int, ...]
    maximum: int


def planned_looks(minimum: int, maximum: int) -> Looks:
    """Looks at ``minimum`` seeds, then at a quarter more each time, and at last at ``maximum``.

    Raises:
        ValueError: ``minimum`` is below 2 or above ``maximum``.
    """
    if not 2 <= minimum <= maximum:
        raise ValueError(f"got {minimum} to {maximum} seeds; give a minimum of 2 or more, and a maximum no smaller")
    seeds = [minimum]
    while seeds[-1] < maximum:
        seeds.append(min(maximum, math.ceil(seeds[-1] * GROWTH)))
    return Looks(tuple(seeds), maximum)


@dataclass(frozen=True)
class Spending:
    """How much of the 5 % a contrast has spent when so many of its seeds have ended.

    Args:
        planned: Seeds per arm that were planned at the first look.
        stops: Whether the study stops when decided, and so looks at itself before ``planned``.
        at_plan: The share spent by the planned look; 1 where there will be no other.
        halved: Seeds that had ended each time that contrasts were added to the study: from there on half of what was
            left goes to them.
    """

    planned: int
    stops: bool = False
    at_plan: float = AT_PLAN
    halved: tuple[int, ...] = ()

    def spent(self, ended: int) -> float:
        """Share of the 5 % spent by the time that so many seeds have ended, 0 to 1.

        With a fixed count 0.02 (ended / planned)^3 before the plan, ``at_plan`` at the plan, and after it
        1 - (1 - at_plan) (planned / ended)^2. A study that stops when decided spends
        at_plan ln(1 + (e - 1) ended / planned) up to its maximum: Lan and DeMets's third function, which resembles
        Pocock's boundary.
        """
        total, factor, before = 0.0, 1.0, 0.0
        for end in (*(seeds for seeds in self.halved if seeds < ended), ended):
            after = self._whole(end)
            total, factor, before = total + factor * max(after - before, 0.0), factor / 2, after
        return total

    def _whole(self, ended: int) -> float:
        """What is spent where no contrast is added."""
        part = max(ended, 0) / self.planned
        if part >= 1:
            return 1 - (1 - self.at_plan) / part**2
        if self.stops:
            return self.at_plan * math.log(1 + (math.e - 1) * part)
        return BEFORE_PLAN * part**3


def overall_levels(
    p_values: Sequence[float], pairs: Sequence[int], spent: Sequence[float], *, two_sided: bool = True
) -> npt.NDArray[np.float64]:
    """For each look, the smallest overall level at which it would have called a difference; 1 at most.

    Their minimum is a sequential p value: it holds however many looks there are, and never rises. With a single look it
    is that look's p over the share that was spent on it.

    Args:
        p_values: Of each look, at all pairs that it saw.
        pairs: How many those were, rising.
        spent: Cumulative share of the overall level spent by each look (``Spending.spent``), not falling.
        two_sided: Whether the tests were.

    Returns:
        [looks].

    Source: Liu and Anderson (2008), sequential p values; levels as in ``nominal_levels``.
    """
    if len(p_values) == 1:
        return np.array([min(1.0, p_values[0] / spent[0]) if spent[0] > 0 else 1.0])
    levels = np.array([nominal_levels(tuple(pairs), tuple(spent), alpha, two_sided=two_sided) for alpha in _KNOTS])
    return np.array([_overall(p, levels[:, look]) for look, p in enumerate(p_values)])


def _overall(p_value: float, levels: npt.NDArray[np.float64]) -> float:
    """The overall level at which a look's level is this p; beyond the knots in proportion."""
    if p_value <= 0:
        return 0.0
    if p_value < levels[0]:
        return _KNOTS[0] * p_value / float(levels[0])
    if p_value > levels[-1]:
        return 1.0
    return math.exp(float(np.interp(math.log(p_value), np.log(levels), np.log(_KNOTS))))


@functools.lru_cache(maxsize=16_384)
def nominal_levels(
    pairs: tuple[int, ...], spent: tuple[float, ...], alpha: float = 0.05, *, two_sided: bool = True
) -> tuple[float, ...]:
    """The level at which each look tests, so that all looks together spend alpha: normal theory.

    Args:
        pairs: How many pairs each look has seen, rising.
        spent: Cumulative share of alpha spent by each look, not falling, 0 to 1.
        alpha: The overall level.
        two_sided: Whether both directions count.

    Raises:
        ValueError: The pairs do not rise.

    Source: Lan and DeMets (1983); the integration is that of Armitage, McPherson and Rowe (1969).
    """
    from scipy.special import ndtr

    if any(after <= before for before, after in zip((0, *pairs), pairs, strict=False)):
        raise ValueError(f"got looks at {list(pairs)} pairs; give numbers that rise")
    sides = 2 if two_sided else 1
    levels: list[float] = []
    places, mass = np.zeros(1), np.ones(1)  # where the sum may stand, in pairs ** 0.5, and how likely
    before, used = 0, 0.0
    for count, share in zip(pairs, spent, strict=True):
        step = math.sqrt(count - before)
        target = max(alpha * share - used, _NEVER)
        bound = _bound(target, math.sqrt(count), step, places, mass, sides)
        levels.append(float(sides * ndtr(-bound)))
        used += _exit_chance(bound, math.sqrt(count), step, places, mass, sides)
        reach = bound * math.sqrt(count)
        grid, weights = _simpson(-reach if two_sided else -8 * math.sqrt(count), reach, step)
        kernel = np.exp(-0.5 * ((grid[:, None] - places) / step) ** 2) / (step * math.sqrt(2 * math.pi))
        places, mass, before = grid, weights * (kernel @ mass), count
    return tuple(levels)


def _bound(
    target: float,
    scale: float,
    step: float,
    places: npt.NDArray[np.float64],
    mass: npt.NDArray[np.float64],
    sides: int,
) -> float:
    """The bound, in standard errors, that the process leaves with this chance at its next step."""
    low = 0.0 if sides == 2 else -12.0
    from scipy.optimize import brentq  # heavy: only where a root is wanted

    return float(brentq(lambda z: _exit_chance(z, scale, step, places, mass, sides) - target, low, 12.0, xtol=1e-9))


def _exit_chance(
    bound: float,
    scale: float,
    step: float,
    places: npt.NDArray[np.float64],
    mass: npt.NDArray[np.float64],
    sides: int,
) -> float:
    """How likely the process, standing at ``places``, is beyond ``bound`` times ``scale`` after one more step."""
    from scipy.special import ndtr

    above = ndtr((places - bound * scale) / step)
    below = ndtr((-bound * scale - places) / step) if sides == 2 else 0.0
    return float(np.sum(mass * (above + below)))


def _simpson(low: float, high: float, step: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Places and weights of Simpson's rule, four places or more in each step of the process."""
    intervals = 2 * math.ceil(min(max((high - low) / step * 2, 40), 400))
    places = np.linspace(low, high, intervals + 1)
    weights = np.full(intervals + 1, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    return places, weights * (high - low) / (3 * intervals)
