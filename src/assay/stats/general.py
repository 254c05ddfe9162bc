"""Whether one arm is better than another in general: over data sets, each of which counts once.

The data sets of a study stand for others like them, so that their number is what counts, however many seeds each has.
Differences on them are made alike by taking how much the error rate changes, as the logarithm of a ratio: half a point
is much where 99 % are right and little where 60 % are. Student's t of these asks whether their mean is 0. It covers
what data sets differ by and what seeds and images add on each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..numerals import counted
from .intervals import mean_interval
from .many import holm
from .power import pairs_for_difference
from .verdicts import ALPHA

LEAST_SETS = 5
_MANY = 100  # data sets that nobody will train on
GeneralOutcome = Literal["better", "worse", "undecided", "too few data sets", "too few seeds"]
GENERAL_SOURCE = (
    'Demsar (2006), "Statistical comparisons of classifiers over multiple data sets", JMLR 7, section 3.1; '
    'Student (1908), "The probable error of a mean", Biometrika 6(1)'
)


@dataclass(frozen=True)
class GeneralFinding:
    """The statistics of a verdict over several data sets, each of which counts once.

    Args:
        outcome: The verdict on b: ``"better"``, ``"worse"``, ``"undecided"``, ``"too few data sets"`` or
            ``"too few seeds"``.
        n: Data sets with six pairs of seeds or more.
        ratio: b's error rate divided by a's, the geometric mean over data sets, with the ends of its 95 % interval;
            ``None`` below two data sets.
        p_value: The p value over all looks; ``None`` if no look could decide.
        adjusted_p: The same after Holm's adjustment.
        rank_p: The p value of Wilcoxon's signed-rank test at the last look; ``None`` below six data sets.
        num_better: Data sets on which b makes fewer errors.
        share: The part of the 5 % error rate that verdicts in general have.
        need: About how many more data sets would decide it.
    """

    outcome: GeneralOutcome
    n: int
    ratio: tuple[float, float, float] | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    rank_p: float | None = None
    num_better: int = 0
    share: float = 1.0
    need: int | None = None

    @property
    def is_decided(self) -> bool:
        """Whether the outcome is better or worse."""
        return self.outcome in ("better", "worse")


@dataclass(frozen=True, eq=False)  # arrays have no truth value
class GeneralLook:
    """One look at all data sets.

    Args:
        values: Logarithm of b's error rate over a's, of each data set that counts [data sets].
        spent: The part of the level that this look may spend, 0 to 1.
    """

    values: npt.NDArray[np.float64]
    spent: float


def data_sets_p(values: npt.ArrayLike) -> float:
    """Two-sided p of Student's t for a mean of 0 over data sets; 1 below ``LEAST_SETS``.

    Simulated (``tests.stats.general_simulation``): at most 5 % of studies without a difference in general are called
    for normal and heavy-tailed effects, equal or not, on data sets that are measured well or badly. Weighting data sets
    by their precision (Hartung and Knapp 2001) calls up to 9 %.

    Raises:
        ValueError: A value is not finite.
    """
    from scipy.special import stdtr

    known = np.asarray(values, dtype=np.float64)
    if not np.isfinite(known).all():
        raise ValueError("a data set's value is not finite")
    if len(known) < LEAST_SETS:
        return 1.0
    error = float(known.std(ddof=1)) / math.sqrt(len(known))
    mean = abs(float(known.mean()))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return min(1.0, 2 * float(stdtr(len(known) - 1, -mean / error)))


def over_looks(looks: Sequence[GeneralLook]) -> float:
    """The smallest level at which one of the looks would have called a difference.

    Each look has its own part of the level, and the parts add up to 1 at most (Bonferroni): more seeds hardly change
    what data sets differ by, so that little is lost.
    """
    return min((min(1.0, data_sets_p(look.values) / look.spent) for look in looks if look.spent > 0), default=1.0)


def judge_general(histories: Sequence[Sequence[GeneralLook]], *, share: float = 1.0) -> tuple[GeneralFinding, ...]:
    """Judge contrasts over data sets by every look that was taken at them.

    Args:
        histories: Of each contrast, its looks in order; the last one is at all that is known.
        share: The part of the 5 % that is theirs.
    """
    p_values = [over_looks(looks) for looks in histories]
    adjusted = holm([min(1.0, p / share) for p in p_values])
    return tuple(
        _finding(looks, p, float(after), len(histories), share)
        for looks, p, after in zip(histories, p_values, adjusted, strict=True)
    )


def _finding(
    looks: Sequence[GeneralLook], p_value: float, adjusted_p: float, num_contrasts: int, share: float
) -> GeneralFinding:
    now = looks[-1] if looks else GeneralLook(np.zeros(0), 0.0)
    values, n = now.values, len(now.values)
    better = int(np.count_nonzero(values < 0))
    if n < 2:
        return GeneralFinding("too few data sets", n, num_better=better, share=share)
    spent = max((look.spent for look in looks), default=0.0) or 1.0
    interval = mean_interval(values, confidence=1 - ALPHA * spent)
    ratio = (math.exp(interval.mean), math.exp(interval.low), math.exp(interval.high))
    if n < LEAST_SETS:
        return GeneralFinding("too few data sets", n, ratio, num_better=better, share=share)
    outcome: GeneralOutcome = "undecided"
    need = None
    if adjusted_p < ALPHA:
        outcome = "better" if interval.mean < 0 else "worse"
    else:
        level = ALPHA * share * spent / num_contrasts
        wanted = pairs_for_difference(interval.mean, float(values.std(ddof=1)), alpha=level, fewest=n + 1)
        need = None if wanted is None else wanted - n
    return GeneralFinding(
        outcome,
        n,
        ratio,
        p_value,
        adjusted_p,
        _rank_p(values),
        better,
        share,
        need,
    )


def _rank_p(values: npt.NDArray[np.float64]) -> float | None:
    """Wilcoxon's signed ranks, two-sided and exact up to 50 data sets without ties."""
    if len(values) < LEAST_SETS + 1 or not values.any():
        return None
    from scipy.stats import wilcoxon

    return float(wilcoxon(values).pvalue)


def general_sentence(finding: GeneralFinding, *, a: str, b: str) -> str:
    """The verdict in general, without its full stop; what would settle it is ``general_advice``."""
    if finding.outcome == "too few data sets":
        have = f"{counted(finding.n, 'data set')} {'counts' if finding.n == 1 else 'count'}"
        return f"No verdict in general on {b} against {a}: {have}, {LEAST_SETS} are needed, with six seeds on each"
    mean, low, high = finding.ratio or (1.0, 1.0, 1.0)
    numbers = f"95 % interval {_change(low)} to {_change(high)}, {counted(finding.n, 'data set')}"
    if finding.outcome == "undecided":
        return f"In general it is undecided: {b} makes {_change(mean)} errors than {a} ({numbers})"
    return f"In general, {b} is {finding.outcome} than {a}: it makes {_change(mean)} errors ({numbers})"


def general_advice(finding: GeneralFinding) -> str:
    """What would decide an undecided verdict in general, without its full stop; empty where nothing within reach."""
    if finding.outcome != "undecided" or finding.need is None or finding.need > _MANY:
        return ""
    return f"about {counted(finding.need, 'more data set')} would settle it, if they are like these"


def few_sets(num_sets: int) -> str:
    """Why a study on few data sets has no verdict over all, without its full stop."""
    return (
        f"On {counted(num_sets, 'data set')} there is a verdict for each and none in general, which takes "
        f"{LEAST_SETS} or more"
    )


def _change(ratio: float) -> str:
    """A ratio of error rates as a change in percent."""
    percent = 100 * abs(ratio - 1)
    digits = f"{percent:.1f}" if percent < 10 else f"{percent:,.0f}"
    return f"{digits} % {'fewer' if ratio <= 1 else 'more'}"
