"""Decides contrasts by every look that was taken at them, controlling the error rate of the family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .failures import Claims
from .history import History
from .look import Look
from .many import holm
from .paired import MIN_PAIRS
from .sequential import nominal_levels
from .verdicts import ALPHA, Outcome, pairs_needed

_Levels = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Decision:
    """What the looks at a contrast decide.

    Args:
        outcome: The verdict on b against a.
        num_contrasts: Contrasts in its group, over which Holm's adjustment goes.
        share: The part of the 5 % that the group has; 0 for what nobody planned, before all else is decided.
        p_value: Over all looks (``overall_levels``).
        adjusted_p: After Holm's adjustment.
        near_p: Of the two one-sided tests against the margin; ``None`` where none was declared.
        near_adjusted_p: After Holm's adjustment.
        decided_at: Which look decided, counted from 1 among those that could; 0 where none did.
        is_contradicted: Whether an earlier look called a direction and the seeds since do not bear it out.
        claims: What is claimed of differences and of bad runs, where runs are known and something is decided.
    """

    outcome: Outcome
    num_contrasts: int
    share: float
    p_value: float = 1.0
    adjusted_p: float = 1.0
    near_p: float | None = None
    near_adjusted_p: float | None = None
    decided_at: int = 0
    is_contradicted: bool = False
    claims: Claims | None = None


def decide(
    histories: Sequence[History], *, margin: float | None = None, higher_is_better: bool = True
) -> tuple[Decision, ...]:
    """The verdict on each contrast of a study.

    However many looks there are and whenever they stop, at most 5 % of studies hold a false difference, and at most 5 %
    a false equivalence. Within a group Holm's adjustment is applied to the contrasts' p values over all looks, which
    controls the family at any time. A later group has its own part of the 5 %; once every contrast of the groups before
    it has a direction, all of the 5 % passes on to it (Wiens and Dmitrienko 2005, the fallback procedure).

    Args:
        histories: Of each contrast.
        margin: Differences smaller than this do not matter; ``None`` where none was declared.
        higher_is_better: The metric's direction.

    Raises:
        ValueError: A difference is not finite, or the margin is not above 0.
    """
    if margin is not None and not (np.isfinite(margin) and margin > 0):
        raise ValueError(f"the margin is {margin!r}; give a difference above 0")
    if any(not np.isfinite(look.values).all() for history in histories for look in history.looks):
        raise ValueError("a difference is not finite; a diverged run is a result: report it, don't drop it")
    decisions: dict[int, Decision] = {}
    passes_on, near_passes_on = True, True
    for group in sorted({history.group for history in histories}):
        members = {index: history for index, history in enumerate(histories) if history.group == group}
        shares = [_share(history, passes_on) for history in members.values()]
        near_shares = [_share(history, near_passes_on) for history in members.values()]
        overall = [_overall(*one) for one in zip(members.values(), shares, strict=True)]
        near = [_near(history, margin, share) for history, share in zip(members.values(), near_shares, strict=True)]
        adjusted = holm([_smallest(levels) for levels in overall])
        near_adjusted = holm([1.0 if sides is None else max(map(_smallest, sides)) for sides in near])
        for at, (index, history) in enumerate(members.items()):
            decisions[index] = _decision(
                history, overall[at], float(adjusted[at]), near[at], float(near_adjusted[at]), len(members), shares[at],
                higher_is_better,
            )  # fmt: skip
        passes_on = passes_on and all(p < ALPHA for p in adjusted)
        near_passes_on = near_passes_on and all(p < ALPHA for p in near_adjusted)
    return tuple(decisions[index] for index in range(len(histories)))


def _share(history: History, passes_on: bool) -> float:
    return history.most if passes_on and history.inherits else history.share


def _decision(
    history: History,
    overall: _Levels,
    adjusted_p: float,
    near: tuple[_Levels, ...] | None,
    near_adjusted_p: float,
    num_contrasts: int,
    share: float,
    higher_is_better: bool,
) -> Decision:
    now = history.now
    verdict: Outcome = "undecided"
    decided_at, claims = 0, None
    is_contradicted = adjusted_p < ALPHA and history.is_contradicted
    if adjusted_p < ALPHA and not is_contradicted:
        decided_at = _first(overall, adjusted_p)
        verdict, claims = _direction(history, overall, adjusted_p, share, higher_is_better)
    elif near is not None and near_adjusted_p < ALPHA:
        verdict = "equivalent"
        decided_at = max(_first(side, near_adjusted_p) for side in near)
    elif share <= 0 and history.spending.stops and now.size > 1:
        pass  # an estimate needs no pairs for a verdict
    elif _num_pairs(now) < (MIN_PAIRS if now.is_folds else pairs_needed(num_contrasts)):
        verdict = "too few seeds"
    near_p = None if near is None else max(map(_smallest, near))
    return Decision(
        verdict, num_contrasts, share, _smallest(overall), adjusted_p, near_p,
        None if near is None else near_adjusted_p, decided_at, is_contradicted, claims,
    )  # fmt: skip


def _num_pairs(look: Look) -> int:
    return look.size if look.is_folds else look.pairs


def _direction(
    history: History, overall: _Levels, adjusted_p: float, share: float, higher_is_better: bool
) -> tuple[Outcome, Claims | None]:
    """What the look that is the most certain says of b, and of its bad runs."""
    at = int(np.argmin(overall))
    look = history.judged[at]
    if look.outcomes is None:
        return ("better" if (look.mean > 0) == higher_is_better else "worse"), None
    # Holm's factor turned round: the overall level at which this contrast is tested.
    alpha = ALPHA * min(1.0, float(overall[at]) / adjusted_p) if adjusted_p > 0 else ALPHA
    spent = tuple(share * part for part in history.spent)
    claims = look.outcomes.claims(look.worked_p, nominal_levels(history.pairs, spent, alpha)[at])
    if claims.rates and claims.where_both_worked and claims.rates != claims.where_both_worked:
        return "mixed", claims
    direction = claims.where_both_worked or claims.rates
    return direction or ("better" if (look.mean > 0) == higher_is_better else "worse"), claims


def _overall(history: History, share: float) -> _Levels:
    return history.overall(share=share) if history.judged and share > 0 else np.ones(len(history.judged))


def _near(history: History, margin: float | None, share: float) -> tuple[_Levels, ...] | None:
    return None if margin is None or not history.judged or share <= 0 else history.margin_overall(margin, share=share)


def _smallest(levels: _Levels) -> float:
    return float(levels.min(initial=1.0))


def _first(overall: _Levels, adjusted_p: float) -> int:
    """The first look, counted from 1, at which a test was significant with the factor that Holm gives it now."""
    smallest = _smallest(overall)
    factor = adjusted_p / smallest if smallest > 0 else 1.0
    return int(np.flatnonzero(overall * factor < ALPHA)[0]) + 1 if (overall * factor < ALPHA).any() else len(overall)
