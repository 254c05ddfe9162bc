"""A contrast's looks in order, and what they say together."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .look import Look, joined
from .sequential import Spending, nominal_levels, overall_levels


@dataclass(frozen=True)
class History:
    """Every look that was taken at a contrast.

    Args:
        looks: In order; the last one is at all that is known.
        spending: How the contrast spends its part of the 5 %.
        group: 0 for the contrasts of the study's first look, 1 for those added at a later one, and so on.
        share: The group's part of the 5 %: 1 for the first group; for a later one its part of what was then left, and
            all of it once every contrast of the groups before is decided.
        inherits: Whether it is given that.
        most: All of it, where verdicts of another kind have the rest of the 5 %.
    """

    looks: tuple[Look, ...]
    spending: Spending
    group: int = 0
    share: float = 1.0
    inherits: bool = True
    most: float = 1.0

    @property
    def now(self) -> Look:
        return self.looks[-1]

    @functools.cached_property
    def judged(self) -> tuple[Look, ...]:
        """The looks that could decide: with pairs enough, one for each number of pairs."""
        return joined(self.looks)

    @functools.cached_property
    def pairs(self) -> tuple[int, ...]:
        return tuple(look.pairs for look in self.judged)

    @functools.cached_property
    def spent(self) -> tuple[float, ...]:
        """Share of the overall level spent by each judged look, of a contrast that has all of it."""
        return tuple(self.spending.spent(look.ended) for look in self.judged)

    def overall(self, *, share: float) -> npt.NDArray[np.float64]:
        """For each judged look, the overall level at which it would have called a difference."""
        return self._overall([look.p_value for look in self.judged], share)

    def margin_overall(self, margin: float, *, share: float) -> tuple[npt.NDArray[np.float64], ...]:
        """The same for the two one-sided tests against a margin."""
        sides = zip(*(look.margin_ps(margin) for look in self.judged), strict=True)
        return tuple(self._overall(side, share, two_sided=False) for side in sides)

    def _overall(self, ps: Sequence[float], share: float, *, two_sided: bool = True) -> npt.NDArray[np.float64]:
        return overall_levels(ps, self.pairs, [share * part for part in self.spent], two_sided=two_sided)

    def interval(self, *, alpha: float, sides: int = 2) -> tuple[float, float]:
        """Where the mean lies by every look together: it misses in at most alpha of studies, whenever they stop.

        Repeated intervals (Jennison and Turnbull 1989) hold at all looks at once, so that what they share holds too.
        Where they share nothing, the last one is given.
        """
        ends = self._intervals(alpha, sides)
        low, high = max(low for low, _ in ends), min(high for _, high in ends)
        return (low, high) if low <= high else ends[-1]

    @functools.cached_property
    def is_contradicted(self) -> bool:
        """Whether the looks' intervals share nothing and the last of them holds zero: an early look was too lucky."""
        ends = self._intervals(0.05, 2)
        if not ends:
            return False
        is_empty = max(low for low, _ in ends) > min(high for _, high in ends)
        return is_empty and ends[-1][0] <= 0 <= ends[-1][1]

    def _intervals(self, alpha: float, sides: int) -> list[tuple[float, float]]:
        levels = nominal_levels(self.pairs, self.spent, alpha, two_sided=sides == 2)
        pairs = zip(self.judged, levels, strict=True)
        return [look.interval(level, sides=sides) for look, level in pairs if look.size > 1]

    def level(self, alpha: float, *, more: int = 0) -> float:
        """The nominal level of the last look at this overall level, or of one more look after so many more pairs.

        A study without a plan for more looks is taken as planned anew with all of its pairs.
        """
        if not more:
            return nominal_levels(self.pairs, self.spent, alpha)[-1]
        if self.spending.at_plan >= 1:
            return alpha
        pairs = (*self.pairs, self.pairs[-1] + more)
        return nominal_levels(pairs, (*self.spent, self.spending.spent(self.now.ended + more)), alpha)[-1]
