"""One look at a contrast: its interval at any level, its p value, and its tests against a margin."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .crossed import ImageSpread, crossed_interval, crossed_p
from .equivalence import do_not_vary
from .failures import PairedOutcomes
from .folds import corrected_equivalence, corrected_resampled_difference
from .intervals import finite_scores
from .many import harmonic
from .paired import MAX_ENUMERATED, MIN_PAIRS, sign_flip_p

SEEDS_ALONE = ImageSpread()
# Up to 20 pairs the sign-flip test, exact for any symmetric distribution, has to come near the look's level as well: a
# guard against ties and few pairs, where t is no guide. With this room it costs normal differences almost no power.
FLIP_ROOM = 1.25


@dataclass(frozen=True)
class Look:
    """What was seen of one contrast at one look.

    Args:
        values: b minus a for each pair of which both runs worked [pairs], or [seeds, folds] with k-fold
            cross-validation.
        ended: Seeds that had ended in both arms, finished or failed: what the look spends goes by them.
        spread: What other images, or other training images, add to what seeds show.
        outcomes: The two arms' runs with those that collapsed or failed; ``None`` where only differences are known.
    """

    values: npt.NDArray[np.float64]
    ended: int
    spread: ImageSpread = SEEDS_ALONE
    outcomes: PairedOutcomes | None = None

    @property
    def is_folds(self) -> bool:
        return self.values.ndim == 2

    @property
    def pairs(self) -> int:
        """Pairs that share a seed, whatever became of their runs."""
        return len(self.values) if self.outcomes is None else self.outcomes.n

    @property
    def size(self) -> int:
        """Values: pairs, or folds over all seeds."""
        return int(self.values.size)

    @functools.cached_property
    def mean(self) -> float:
        return float(np.mean(self.values))

    def interval(self, level: float, *, sides: int = 2) -> tuple[float, float]:
        """The mean's interval that misses with this chance; with one side, each end does."""
        if self.is_folds:
            both = 2 * level if sides == 1 else level
            difference = corrected_resampled_difference(self.values, confidence=1 - both)
            return difference.low, difference.high
        own = level if self.outcomes is None else self.outcomes.difference_level(level)
        above, below = self.skew_factors
        ends = [
            crossed_interval(self.values, self.spread, confidence=1 - min(sides_ * own / factor, 0.999))
            for sides_, factor in ((3 - sides, above), (3 - sides, below))
        ]
        return ends[0][0], ends[1][1]

    @property
    def skew_factors(self) -> tuple[float, float]:
        """What p is multiplied by for a claim above zero, and below it, where the arms are shaped unlike."""
        return (1.0, 1.0) if self.outcomes is None else self.outcomes.skew_factors

    @functools.cached_property
    def deviation(self) -> float:
        """Standard deviation of one pair's difference, with what images add to it."""
        variance = float(self.values.var(ddof=1)) * self.spread.inflation**2 + len(self.values) * self.spread.extra
        return float(variance**0.5)

    @functools.cached_property
    def p_value(self) -> float:
        """Two-sided p of the contrast: of the difference, and of the rates of bad runs where these could decide."""
        return self.worked_p if self.outcomes is None else self.outcomes.contrast_p(self.worked_p)

    @functools.cached_property
    def worked_p(self) -> float:
        """Two-sided p of the mean: Student's, or the sign-flip p where that is larger by more than ``FLIP_ROOM``."""
        if self.size < 2:
            return 1.0
        if self.is_folds or self.size > MAX_ENUMERATED:
            return self.student_p
        return max(self.student_p, self.flip_p / FLIP_ROOM)

    @functools.cached_property
    def student_p(self) -> float:
        """The level at which ``interval`` ends at zero."""
        if self.is_folds:
            return corrected_resampled_difference(self.values).p_value
        factor = self.skew_factors[0 if self.mean > 0 else 1]
        return min(1.0, factor * crossed_p(self.values, self.spread))

    @functools.cached_property
    def flip_p(self) -> float:
        return sign_flip_p(finite_scores(self.values))

    def margin_ps(self, margin: float) -> tuple[float, float]:
        """One-sided p of a mean difference above -margin, and of one below margin (Schuirmann 1987).

        With folds both are the larger one, of the corrected tests.
        """
        if self.is_folds:
            p = corrected_equivalence(self.values, margin).p_value
            return p, p
        if self.size < 2:
            return 1.0, 1.0
        return self._one_sided(self.values + margin), self._one_sided(margin - self.values)

    def _one_sided(self, room: npt.NDArray[np.float64]) -> float:
        if do_not_vary(room) and self.spread.extra == 0:  # a sign test: how many distances lie inside
            return 0.5 ** len(room) if room[0] > 0 else 1.0
        p = crossed_p(room, self.spread) / 2
        return p if room.mean() > 0 else 1 - p


def pairs_to_name(num_tests: int) -> int:
    """The fewest pairs with which one of so many tests could be named at a false discovery rate of 5 %."""
    pairs = MIN_PAIRS
    while num_tests * harmonic(num_tests) * 2 / 2**pairs / FLIP_ROOM >= 0.05:
        pairs += 1
    return pairs


def joined(looks: Sequence[Look]) -> tuple[Look, ...]:
    """The looks that can decide something, by their pairs; of those at the same pairs the one that has spent the most.

    Pairs need not rise with time: a count that was lowered and raised again, or two processes that look at once, give
    a later look fewer of them.
    """
    by_pairs = {
        look.pairs: look
        for look in sorted(looks, key=lambda look: (look.pairs, look.ended))
        if (look.size if look.is_folds else look.pairs) >= MIN_PAIRS
    }
    return tuple(by_pairs.values())
