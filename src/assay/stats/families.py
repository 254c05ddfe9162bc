"""Judges all contrasts of a study together, at every look that was taken at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .bad_runs import BadRuns, bad_runs
from .crossed import ImageSpread
from .decide import Decision, decide
from .equivalence import SOURCE as SCHUIRMANN
from .equivalence import Equivalence
from .folds import SOURCE as CORRECTED
from .history import History
from .intervals import Interval, bootstrap_interval
from .look import SEEDS_ALONE, Look
from .look_power import detectable_effect, look_power
from .needed import Need, needed
from .paired import PairedDifference, superiority
from .sequential import SOURCE, Spending
from .verdicts import ALPHA, DECIDED, Outcome

MAX_BOOTSTRAPPED = 200  # with more pairs a mean's skewness is too small for the bootstrap to disagree
_FIXED = Spending(planned=1, at_plan=1.0)

# Why a contrast is undecided though its interval excludes zero, or though an earlier look called it.
Obstacle = Literal["", "early", "family", "signs", "added later", "not planned", "contradicted", "bad runs"]


@dataclass(frozen=True)
class Finding:
    """The statistics of one contrast: difference, interval, p values, power and outcome.

    Args:
        n: Pairs; with folds, folds over all seeds.
        outcome: The verdict on b against a: ``"better"``, ``"worse"``, ``"mixed"``, ``"equivalent"``, ``"undecided"``
            or ``"too few seeds"``.
        difference: b minus a; ``None`` below two pairs. The interval holds for all looks together at 95 %.
        num_contrasts: Contrasts in the family.
        p_value: The p value over all looks; ``None`` if no look could decide.
        adjusted_p: The same after Holm's adjustment for the family. The contrast is decided below 0.05.
        looks: The number of pairs at each look that could decide.
        decided_at: The look that decided, from 1; 0 if none did.
        effect_size: The mean of the differences divided by their standard deviation, corrected for small samples
            (Hedges 1981); ``None`` if all differences are equal.
        simultaneous: The interval that holds for all contrasts of the family together; ``None`` for a single contrast.
        bootstrap: The BCa bootstrap interval, if it disagrees with Student's about zero, or by more than a quarter of
            its width at one end.
        superiority: How often b scores higher than a with the same seed.
        num_ties: Pairs with equal scores.
        smallest: The smallest true difference that the last look detects with power 0.8, at the 5 % that the family
            shares.
        margin_power: The power of the last look against a true difference as large as the margin.
        equivalence: The tests against the margin over all looks; ``None`` without a margin.
        equivalence_p: Their p value after Holm's adjustment.
        need: What would decide the contrast; ``None`` if it is decided.
        bad_runs: Collapsed and failed runs, and what they imply; ``None`` if only differences are known.
        obstacle: Why the contrast is undecided although its interval excludes zero or an earlier look decided.
        share: The part of the 5 % error rate that the contrast's group has.
        is_corrected: Whether folds were tested with the corrected resampled t test.
    """

    n: int
    outcome: Outcome
    difference: PairedDifference | None
    num_contrasts: int
    p_value: float | None = None
    adjusted_p: float | None = None
    looks: tuple[int, ...] = ()
    decided_at: int = 0
    effect_size: float | None = None
    simultaneous: Interval | None = None
    bootstrap: Interval | None = None
    superiority: Interval | None = None
    num_ties: int = 0
    smallest: float | None = None
    margin_power: float | None = None
    equivalence: Equivalence | None = None
    equivalence_p: float | None = None
    need: Need | None = None
    bad_runs: BadRuns | None = None
    obstacle: Obstacle = ""
    share: float = 1.0
    is_corrected: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether the outcome is a verdict."""
        return self.outcome in DECIDED

    def reversed(self) -> Finding:
        """Return the finding on a against b."""
        swapped: dict[Outcome, Outcome] = {"better": "worse", "worse": "better"}
        difference, wins, near = self.difference, self.superiority, self.equivalence
        return replace(
            self,
            outcome=swapped.get(self.outcome, self.outcome),
            difference=difference
            and replace(difference, mean=-difference.mean, low=-difference.high, high=-difference.low),
            effect_size=None if self.effect_size is None else -self.effect_size,
            simultaneous=self.simultaneous and _negated(self.simultaneous),
            bootstrap=self.bootstrap and _negated(self.bootstrap),
            superiority=wins and replace(wins, mean=1 - wins.mean, low=1 - wins.high, high=1 - wins.low),
            bad_runs=self.bad_runs and self.bad_runs.reversed(),
            equivalence=near and replace(near, low=-near.high, high=-near.low),
        )

    @property
    def is_within_margin(self) -> bool:
        """Whether the difference was shown to be smaller than the margin."""
        return self.equivalence_p is not None and self.equivalence_p < ALPHA


def _negated(interval: Interval) -> Interval:
    return replace(interval, mean=-interval.mean, low=-interval.high, high=-interval.low)


def judge(
    rows: Sequence[npt.ArrayLike],
    *,
    margin: float | None = None,
    higher_is_better: bool = True,
    spreads: Sequence[ImageSpread] | None = None,
) -> tuple[Finding, ...]:
    """Judge contrasts that are looked at once, at a number of pairs that was fixed beforehand.

    At most 5 % of families hold a false difference, and at most 5 % a false equivalence. A contrast with fewer than
    two pairs counts in the adjustment with p = 1, because it was planned.

    Args:
        rows: For each contrast b minus a: [pairs], or [seeds, folds] from k-fold cross-validation.
        margin: Differences smaller than this do not matter; ``None`` where none was declared.
        higher_is_better: The metric's direction.
        spreads: What other images add to each contrast (``image_spread``); nothing unless given.

    Raises:
        ValueError: A difference is not finite, or the margin is not above 0.
    """
    values = [np.asarray(row, dtype=np.float64) for row in rows]
    added = spreads or [SEEDS_ALONE] * len(values)
    histories = [History((Look(row, 1, spread),), _FIXED) for row, spread in zip(values, added, strict=True)]
    return judge_histories(histories, margin=margin, higher_is_better=higher_is_better)


def judge_histories(
    histories: Sequence[History], *, margin: float | None = None, higher_is_better: bool = True
) -> tuple[Finding, ...]:
    """Judge contrasts by every look that was taken at them: ``decide``, with all that is shown beside a verdict."""
    decisions = decide(histories, margin=margin, higher_is_better=higher_is_better)
    return tuple(
        _finding(history, decision, margin, higher_is_better)
        for history, decision in zip(histories, decisions, strict=True)
    )


def _finding(history: History, decision: Decision, margin: float | None, higher_is_better: bool) -> Finding:
    now, m = history.now, decision.num_contrasts
    finding = Finding(
        n=now.size,
        outcome=decision.outcome,
        difference=None if now.size < 2 else _difference(history) if history.judged else _early(now),
        num_contrasts=m,
        share=decision.share,
        bad_runs=None if now.outcomes is None else bad_runs(now.outcomes, decision.claims),
        is_corrected=now.is_folds,
    )
    if not history.judged:
        return finding
    if finding.difference is None:  # every pair has a bad run: rates alone can decide
        return replace(
            finding, p_value=decision.p_value, adjusted_p=decision.adjusted_p, looks=history.pairs,
            decided_at=decision.decided_at,
        )  # fmt: skip
    is_open = decision.outcome in ("undecided", "too few seeds")
    return replace(
        finding,
        p_value=decision.p_value,
        adjusted_p=decision.adjusted_p,
        looks=history.pairs,
        decided_at=decision.decided_at,
        simultaneous=_simultaneous(history, m) if m > 1 else None,
        equivalence=None if margin is None else _equivalence(history, margin, decision),
        equivalence_p=decision.near_adjusted_p,
        need=needed(history, ALPHA * decision.share / m, margin) if is_open and not now.is_folds else None,
        obstacle=_obstacle(history, finding.difference, decision) if is_open else "",
        **({} if now.is_folds else _supplements(history, finding.difference, decision, margin, higher_is_better)),
    )


def _early(look: Look) -> PairedDifference:
    """The difference where no look could decide, with Student's interval at 95 %."""
    low, high = look.interval(ALPHA)
    return PairedDifference(look.mean, low, high, look.size, 1 - ALPHA, look.p_value, SOURCE)


def _difference(history: History) -> PairedDifference:
    now = history.judged[-1]
    low, high = history.interval(alpha=ALPHA)
    source = CORRECTED if now.is_folds else SOURCE
    return PairedDifference(now.mean, low, high, now.size, 1 - ALPHA, now.p_value, source)


def _simultaneous(history: History, num_contrasts: int) -> Interval:
    low, high = history.interval(alpha=ALPHA / num_contrasts)
    now = history.judged[-1]
    return Interval(now.mean, low, high, now.size, 1 - ALPHA, "Bonferroni's; Dunn (1961), JASA 56(293)")


def _equivalence(history: History, margin: float, decision: Decision) -> Equivalence:
    low, high = history.interval(alpha=ALPHA, sides=1)
    return Equivalence(margin, decision.near_p or 0.0, low, high, history.judged[-1].size, SCHUIRMANN)


def _obstacle(history: History, difference: PairedDifference, decision: Decision) -> Obstacle:
    if decision.is_contradicted:
        return "contradicted"
    if not difference.excludes_zero:
        return ""
    if decision.share <= 0:
        return "not planned"
    outcomes, level = history.now.outcomes, ALPHA * decision.share / decision.num_contrasts
    if outcomes is not None and outcomes.is_blocked(history.level(level)):
        return "bad runs"
    if history.now.ended < history.spending.planned and not history.spending.stops:
        return "early"
    if decision.p_value < ALPHA or (decision.share < 1 and not history.group):
        return "family"
    return "added later" if decision.share < 1 else "signs"


def _supplements(
    history: History,
    difference: PairedDifference,
    decision: Decision,
    margin: float | None,
    higher_is_better: bool,
) -> dict[str, Any]:
    """What is shown beside a verdict: bootstrap interval, effect size, superiority, smallest detectable difference."""
    now = history.judged[-1]
    values, n, deviation = now.values, now.size, float(now.values.std(ddof=1))
    kept = values if now.outcomes is None else now.outcomes.kept  # a bad run loses its pair
    bootstrap = bootstrap_interval(values) if n <= MAX_BOOTSTRAPPED else None
    level = ALPHA * decision.share / decision.num_contrasts
    effect = detectable_effect(n, history.level(level)) if level > 0 else None
    # Hedges (1981): what a mean over a deviation is too large by, with n - 1 degrees of freedom.
    correction = 1 - 3 / (4 * (n - 1) - 1)
    return {
        "bootstrap": bootstrap if bootstrap and _disagree(difference, bootstrap) else None,
        "effect_size": correction * now.mean / deviation if deviation > 0 else None,
        "superiority": superiority(kept if higher_is_better else -kept),
        "num_ties": int(np.count_nonzero(values == 0)),
        "smallest": None if effect is None else effect * now.deviation,
        "margin_power": _power(history, margin, level),
    }


def _power(history: History, margin: float | None, level: float) -> float | None:
    now = history.judged[-1]
    if margin is None or level <= 0 or now.deviation == 0:
        return None
    return look_power(margin / now.deviation, now.size, level=history.level(level))


def _disagree(student: PairedDifference, other: Interval) -> bool:
    about_zero = student.excludes_zero != (other.low > 0 or other.high < 0)
    apart = max(abs(student.low - other.low), abs(student.high - other.high))
    return about_zero or apart > (student.high - student.low) / 4
