"""Judges all contrasts of a family together, controlling the family-wise error rate."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .equivalence import Equivalence, equivalence
from .folds import corrected_equivalence, corrected_resampled_difference
from .intervals import Interval, bootstrap_interval, finite_scores
from .many import holm
from .paired import MIN_PAIRS, PairedDifference, paired_difference, sign_flip_ps, superiority
from .power import pairs_for_difference, pairs_for_equivalence, smallest_difference
from .sequential import SOURCE, Looks, first_crossing, repeated_interval
from .verdicts import ALPHA, Outcome, outcome, pairs_needed

MAX_BOOTSTRAPPED = 200  # with more pairs a mean's skewness is too small for the bootstrap to disagree


@dataclass(frozen=True)
class Finding:
    """The results of one contrast: its difference, interval, p values, power and outcome.

    Args:
        n: Pairs; with folds, folds over all seeds.
        outcome: The verdict on b against a.
        difference: b minus a with interval and p; ``None`` below two pairs. After sequential looks the interval holds
            at every look together.
        adjusted_p: The p value after Holm's adjustment for the family; ``None`` with sequential looks, which pay in
            another way.
        num_contrasts: Contrasts in the family.
        bootstrap: The BCa interval, where it disagrees with Student's: about zero, or by more than a quarter of its
            width at one end.
        superiority: How often b beats a on the same seed.
        smallest: The smallest true difference that n pairs find with power 0.8, at 5 % shared by the family.
        equivalence: The tests against the margin; ``None`` where none was declared.
        equivalence_p: Their p after Holm's adjustment.
        more_pairs: About how many more pairs would decide it; ``None`` where it is decided or no feasible number would.
        look: Which look decided, or was the last one, counted from 1; 0 where the study was not looked at in between.
        num_looks: How many looks were planned.
        is_corrected: Whether folds were tested with the corrected resampled t test.
    """

    n: int
    outcome: Outcome
    difference: PairedDifference | None
    adjusted_p: float | None
    num_contrasts: int
    bootstrap: Interval | None = None
    superiority: Interval | None = None
    smallest: float | None = None
    equivalence: Equivalence | None = None
    equivalence_p: float | None = None
    more_pairs: int | None = None
    look: int = 0
    num_looks: int = 0
    is_corrected: bool = False

    @property
    def is_decided(self) -> bool:
        return self.outcome in ("better", "worse", "equivalent")


def judge(
    rows: Sequence[npt.ArrayLike], *, margin: float | None = None, higher_is_better: bool = True
) -> tuple[Finding, ...]:
    """Judge contrasts whose number of pairs was fixed beforehand.

    At most 5 % of families hold a false difference, and at most 5 % a false equivalence. A contrast with fewer than
    two pairs counts in the adjustment with p = 1, because it was planned.

    Args:
        rows: For each contrast b minus a: [pairs], or [seeds, folds] from k-fold cross-validation.
        margin: Differences smaller than this do not matter; ``None`` where none was declared.
        higher_is_better: The metric's direction.

    Raises:
        ValueError: A difference is not finite, or the margin is not above 0.
    """
    values = [np.asarray(row, dtype=np.float64) for row in rows]
    paired = [index for index, row in enumerate(values) if row.ndim == 1 and row.size > 1]
    ps = dict(zip(paired, sign_flip_ps([values[index] for index in paired]), strict=True))
    differences = [_difference(row, ps.get(index)) for index, row in enumerate(values)]
    close = [_equivalence(row, margin) for row in values]
    adjusted = holm([1.0 if test is None else test.p_value for test in differences])
    close_adjusted = holm([1.0 if test is None else test.p_value for test in close])
    return tuple(
        _finding(row, difference, float(p), near, float(near_p), len(values), margin, higher_is_better)
        for row, difference, p, near, near_p in zip(values, differences, adjusted, close, close_adjusted, strict=True)
    )


def judge_looks(
    seeds: Sequence[int],
    differences: npt.ArrayLike,
    looks: Looks,
    *,
    num_ended: int,
    num_contrasts: int = 1,
    margin: float | None = None,
    higher_is_better: bool = True,
) -> Finding:
    """Judge one contrast of a study that grows until it is decided.

    Bonferroni's share of 5 % for each contrast is fixed before the first look, so that an arm may stop whatever the
    others do. Equivalence is two one-sided tests with the same share each.

    Args:
        seeds: The seed of each pair, rising.
        differences: b minus a for each.
        looks: When the study is looked at.
        num_ended: Seeds 0 to this have ended in both arms, finished or failed: only looks up to there have been had.
        num_contrasts: Contrasts in the family.
        margin: Differences smaller than this do not matter; ``None`` where none was declared.
        higher_is_better: The metric's direction.
    """
    values = finite_scores(differences)
    alpha = ALPHA / num_contrasts
    verdict, look, counts = stop_at(
        seeds, values, looks, num_ended=num_ended, alpha=alpha, margin=margin, higher_is_better=higher_is_better
    )
    if not counts:
        early = paired_difference(np.zeros(len(values)), values) if len(values) > 1 else None
        return Finding(len(values), "too few seeds", early, None, num_contrasts, num_looks=len(looks.seeds))
    stopped = values[: counts[-1]]
    interval = repeated_interval(stopped, counts, maximum=looks.maximum)
    p_value = paired_difference(np.zeros(len(stopped)), stopped).p_value
    difference = PairedDifference(
        interval.mean, interval.low, interval.high, interval.n, interval.confidence, p_value, SOURCE
    )
    equivalence_tests = None
    if margin is not None:
        ends = repeated_interval(stopped, counts, maximum=looks.maximum, two_sided=False)
        equivalence_tests = Equivalence(
            margin, equivalence(stopped, margin).p_value, ends.low, ends.high, len(stopped), SOURCE
        )
    supplements = _supplements(stopped, difference, alpha, margin, higher_is_better)
    return Finding(
        n=len(stopped),
        outcome=verdict,
        difference=difference,
        adjusted_p=None,
        num_contrasts=num_contrasts,
        equivalence=equivalence_tests,
        look=look,
        num_looks=len(looks.seeds),
        **{**supplements, "more_pairs": supplements["more_pairs"] if verdict == "undecided" else None},
    )


def stop_at(
    seeds: Sequence[int],
    differences: npt.ArrayLike,
    looks: Looks,
    *,
    num_ended: int,
    alpha: float,
    margin: float | None = None,
    higher_is_better: bool = True,
) -> tuple[Outcome, int, list[int]]:
    """The outcome of a growing contrast, the look that gave it (counted from 1), and the pairs at each look till then.

    A look with fewer than 6 pairs decides nothing and spends nothing. Arguments as for ``judge_looks``; ``alpha`` is
    this contrast's share.
    """
    values = finite_scores(differences)
    all_counts = [int(np.searchsorted(seeds, seen)) for seen in looks.seeds if seen <= num_ended]
    counts = [count for count in all_counts if count >= MIN_PAIRS]
    skipped = len(all_counts) - len(counts)
    if not counts:
        return "too few seeds", 0, []
    cross = functools.partial(first_crossing, counts=counts, maximum=looks.maximum, alpha=alpha)
    never = len(counts)
    crossed = _or(cross(values), never)
    inside = never
    if margin is not None:
        above, below = cross(values + margin, two_sided=False), cross(margin - values, two_sided=False)
        inside = max(_or(above, never), _or(below, never))
    for at in range(min(crossed, inside), len(counts)):
        seen = counts[: at + 1]
        interval = repeated_interval(values, seen, maximum=looks.maximum)
        if crossed <= at and (interval.low > 0 or interval.high < 0):
            return ("better" if (interval.mean > 0) == higher_is_better else "worse"), at + 1 + skipped, seen
        if inside <= at and margin is not None:
            near = repeated_interval(values, seen, maximum=looks.maximum, two_sided=False)
            if near.low > -margin and near.high < margin:
                return "equivalent", at + 1 + skipped, seen
    return "undecided", len(all_counts), counts


def _or(look: int | None, otherwise: int) -> int:
    return otherwise if look is None else look


def _difference(row: npt.NDArray[np.float64], p_value: float | None) -> PairedDifference | None:
    if row.size < 2:
        return None
    if row.ndim == 2:
        return corrected_resampled_difference(row)
    return paired_difference(np.zeros(len(row)), row, p_value=p_value)


def _equivalence(row: npt.NDArray[np.float64], margin: float | None) -> Equivalence | None:
    if margin is None or row.size < 2:
        return None
    return corrected_equivalence(row, margin) if row.ndim == 2 else equivalence(row, margin)


def _finding(
    row: npt.NDArray[np.float64],
    difference: PairedDifference | None,
    adjusted_p: float,
    near: Equivalence | None,
    near_p: float,
    num_contrasts: int,
    margin: float | None,
    higher_is_better: bool,
) -> Finding:
    is_folds = row.ndim == 2
    if difference is None:
        return Finding(row.size, "too few seeds", None, None, num_contrasts, is_corrected=is_folds)
    verdict = outcome(
        difference,
        adjusted_p=adjusted_p,
        num_contrasts=num_contrasts,
        higher_is_better=higher_is_better,
        equivalence_p=near_p if near else None,
        fewest=MIN_PAIRS if is_folds else None,
    )
    is_open = verdict in ("undecided", "too few seeds")
    supplements = {} if is_folds else _supplements(row, difference, ALPHA / num_contrasts, margin, higher_is_better)
    return Finding(
        n=row.size,
        outcome=verdict,
        difference=difference,
        adjusted_p=adjusted_p,
        num_contrasts=num_contrasts,
        equivalence=near,
        equivalence_p=near_p if near else None,
        is_corrected=is_folds,
        **{**supplements, "more_pairs": supplements.get("more_pairs") if is_open else None},
    )


def _supplements(
    values: npt.NDArray[np.float64],
    difference: PairedDifference,
    alpha: float,
    margin: float | None,
    higher_is_better: bool,
) -> dict[str, Any]:
    """A verdict's supplements: bootstrap interval, superiority, smallest detectable difference, pairs still needed."""
    n, deviation = len(values), float(values.std(ddof=1))
    bootstrap = bootstrap_interval(values) if n <= MAX_BOOTSTRAPPED else None
    fewest = max(pairs_needed(round(ALPHA / alpha)), n + 1)
    candidates = [pairs_for_difference(difference.mean, deviation, alpha=alpha, fewest=fewest)]
    if margin is not None:
        candidates.append(pairs_for_equivalence(difference.mean, deviation, margin, alpha=alpha, fewest=fewest))
    reachable = [pairs - n for pairs in candidates if pairs is not None]
    return {
        "bootstrap": bootstrap if bootstrap and _disagree(difference, bootstrap) else None,
        "superiority": superiority(values if higher_is_better else -values),
        "smallest": smallest_difference(deviation, n, alpha=alpha),
        "more_pairs": min(reachable, default=None),
    }


def _disagree(student: PairedDifference, other: Interval) -> bool:
    about_zero = student.excludes_zero != (other.low > 0 or other.high < 0)
    apart = max(abs(student.low - other.low), abs(student.high - other.high))
    return about_zero or apart > (student.high - student.low) / 4
