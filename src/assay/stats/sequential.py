"""Group-sequential tests: looks at a growing study, with alpha spending.

A study that stops where it happens to look good calls far more differences than it should. Here the 5 % are spent bit
by bit, by the share of pairs that a look has seen: at most alpha * ln(1 + (e - 1) t) by share t, Lan and DeMets's
spending function of Pocock's kind, which leaves early looks a fair part.

- Whether a look decides is a randomization test: were there no difference, each pair's sign would be a fair coin. Of
  all sequences of signs, those that are most extreme at a look cross there, and by share t no more than the spent
  part of alpha has crossed. This holds exactly, given the sizes of the differences, at any n and any distribution that
  is symmetric where the hypothesis holds (Plamadeala and Rosenberger 2012).
- The interval reported with a decision is a repeated confidence interval: Student's, at the look's nominal level from
  the normal theory of Lan and DeMets (Jennison and Turnbull 1989).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .intervals import Interval, finite_scores, mean_interval

DRAWS = 19_999
GROWTH = 1.25
_SIMPSON_INTERVALS = 400
SOURCE = (
    'Lan and DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70(3); '
    'Plamadeala and Rosenberger (2012), "Sequential monitoring with conditional randomization tests", '
    "Annals of Statistics 40(1)"
)
_REPEATED = 'Jennison and Turnbull (1989), "Interim analyses: the repeated confidence interval approach", JRSS B 51(3)'


@dataclass(frozen=True)
class Looks:
    """When a growing study is looked at.

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


def spent(share: float, alpha: float = 0.05) -> float:
    """How much of alpha may be spent by the time that this share of all pairs, 0 to 1, has been seen.

    Source: Lan and DeMets (1983), their third function, which resembles Pocock's boundary.
    """
    return alpha * math.log(1 + (math.e - 1) * min(max(share, 0.0), 1.0))


def first_crossing(
    differences: npt.ArrayLike,
    counts: Sequence[int],
    *,
    maximum: int,
    alpha: float = 0.05,
    two_sided: bool = True,
    seed: int = 0,
    draws: int = DRAWS,
) -> int | None:
    """The first look at which the sign-flip test has seen enough; ``None`` where none has.

    Args:
        differences: One per pair, in the order in which pairs came.
        counts: How many pairs each look has seen, rising; the last is at most the number of differences.
        maximum: Pairs at which the study ends: a look that has seen ``n`` is at share n / maximum.
        alpha: Spent by the end, over all looks.
        two_sided: Whether a negative mean counts too; otherwise only a mean above 0 does.
        seed: Seed of the random signs.
        draws: Number of random sequences of signs. The observed one is counted among them, which keeps the test valid
            at any number of draws.

    Returns:
        Index of the look in ``counts``.

    Source: Lan and DeMets (1983); Plamadeala and Rosenberger (2012).
    """
    values = finite_scores(differences)
    if not counts or maximum < 1:
        return None
    signs = _signs(maximum, draws, seed)
    sums = np.zeros(draws + 1)
    crossed = np.zeros(draws + 1, dtype=bool)
    seen, total = 0, 0.0
    for look, count in enumerate(counts):
        new = np.abs(values[seen:count])
        sums[1:] += new @ signs[seen:count]
        sums[0] += values[seen:count].sum()
        seen, total = count, total + float(new.sum())
        room = math.floor(spent(count / maximum, alpha) * (draws + 1)) - np.count_nonzero(crossed)
        if total == 0 or room < 1:
            continue
        extremes = np.where(crossed, -np.inf, np.abs(sums) if two_sided else sums)
        # Sequences that share a value cross together or not at all: only what lies above the first that finds no room.
        bound = np.partition(extremes, -room - 1)[-room - 1]
        crossing = extremes > bound + 1e-9 * total  # equal sums stay equal whatever order they are added in
        if crossing[0]:
            return look
        crossed |= crossing
    return None


def repeated_interval(
    differences: npt.ArrayLike, counts: Sequence[int], *, maximum: int, alpha: float = 0.05, two_sided: bool = True
) -> Interval:
    """Mean difference at the last look, with an interval that holds at every look together.

    Args:
        differences: One per pair, in the order in which pairs came; at least ``counts[-1]``.
        counts: How many pairs each look has seen, rising.
        maximum: Pairs at which the study ends.
        alpha: At most this share of studies has a look whose interval misses the true mean.
        two_sided: Otherwise each end misses so often: the interval that goes with two one-sided tests.

    Raises:
        TooFewSeeds: Fewer than two pairs.

    Source: Jennison and Turnbull (1989); its levels from Lan and DeMets (1983).
    """
    values = finite_scores(differences)[: counts[-1]]
    shares = tuple(count / maximum for count in counts)
    level = nominal_levels(shares, alpha=alpha, two_sided=two_sided)[-1]
    interval = mean_interval(values, confidence=1 - level if two_sided else 1 - 2 * level)
    return Interval(
        interval.mean, interval.low, interval.high, interval.n, 1 - alpha if two_sided else 1 - 2 * alpha, _REPEATED
    )


@functools.lru_cache(maxsize=4096)
def nominal_levels(shares: tuple[float, ...], *, alpha: float = 0.05, two_sided: bool = True) -> tuple[float, ...]:
    """The level at which each look tests, so that all looks together spend alpha: normal theory.

    Args:
        shares: Share of all pairs that each look has seen, rising, in (0, 1].
        alpha: Spent by share 1.
        two_sided: Whether both directions count.

    Source: Lan and DeMets (1983); the integration is that of Armitage, McPherson and Rowe (1969).
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    sides = 2 if two_sided else 1
    levels: list[float] = []
    places, mass = np.zeros(1), np.ones(1)  # where the score process may stand, and how likely
    previous = used = 0.0
    for share in shares:
        step = math.sqrt(max(share - previous, 1e-12))
        excess = functools.partial(_exit_chance, share=share, step=step, places=places, mass=mass, sides=sides)
        target = max(spent(share, alpha) - used, 1e-15)
        bound = float(brentq(lambda z, chance, goal: chance(z) - goal, 0.0, 12.0, args=(excess, target), xtol=1e-10))
        levels.append(float(sides * ndtr(-bound)))
        used += excess(bound)
        reach = bound * math.sqrt(share)
        grid, weights = _simpson(-reach if two_sided else -8 * math.sqrt(share), reach)
        kernel = np.exp(-0.5 * ((grid[:, None] - places) / step) ** 2) / (step * math.sqrt(2 * math.pi))
        places, mass, previous = grid, weights * (kernel @ mass), share
    return tuple(levels)


def _exit_chance(
    bound: float,
    *,
    share: float,
    step: float,
    places: npt.NDArray[np.float64],
    mass: npt.NDArray[np.float64],
    sides: int,
) -> float:
    """How likely the process, standing at ``places``, is beyond the bound (in standard errors) after one more step."""
    from scipy.special import ndtr

    reach = bound * math.sqrt(share)
    above = ndtr((places - reach) / step)
    below = ndtr((-reach - places) / step) if sides == 2 else 0.0
    return float(np.sum(mass * (above + below)))


def _simpson(low: float, high: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    places = np.linspace(low, high, _SIMPSON_INTERVALS + 1)
    weights = np.full(_SIMPSON_INTERVALS + 1, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    return places, weights * (high - low) / (3 * _SIMPSON_INTERVALS)


@functools.lru_cache(maxsize=8)
def _signs(pairs: int, draws: int, seed: int) -> npt.NDArray[np.float64]:
    """Signs [pairs, draws]: a pair's signs do not depend on how many pairs come after it."""
    rows = [
        2.0 * np.random.Generator(np.random.Philox(key=[seed, pair])).integers(0, 2, draws, dtype=np.int8) - 1
        for pair in range(pairs)
    ]
    signs = np.array(rows).reshape(pairs, draws)
    signs.flags.writeable = False
    return signs
