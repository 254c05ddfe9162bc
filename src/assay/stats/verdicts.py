"""From a difference to one sentence, which claims no more than its seeds allow."""

from __future__ import annotations

from typing import Literal

from .paired import PairedDifference, count_pairs

Outcome = Literal["better", "worse", "undecided", "too few seeds"]
ALPHA = 0.05


def pairs_needed(num_contrasts: int = 1) -> int:
    """The fewest pairs with which any of so many contrasts could reach p < 0.05 after Holm's adjustment.

    With n pairs the smallest two-sided sign-flip p is 2 / 2**n, and Holm multiplies the smallest of m by m.
    """
    pairs = 1
    while num_contrasts * 2 / 2**pairs >= ALPHA:
        pairs += 1
    return pairs


def outcome(
    difference: PairedDifference,
    *,
    adjusted_p: float | None = None,
    num_contrasts: int = 1,
    higher_is_better: bool = True,
) -> Outcome:
    """What may be said of b against a.

    A direction is claimed when the interval excludes 0 and the sign-flip p, adjusted where there are several
    contrasts, is below 0.05.

    Args:
        difference: b minus a.
        adjusted_p: The p value after adjustment for every contrast of the study; the plain one when there is one.
        num_contrasts: How many contrasts the adjustment covers.
        higher_is_better: The metric's direction.

    Raises:
        ValueError: There are several contrasts and no adjusted p.
    """
    if num_contrasts > 1 and adjusted_p is None:
        raise ValueError(f"{num_contrasts} contrasts and no adjusted p; give holm(p_values)[i] for this one")
    p_value = difference.p_value if adjusted_p is None else adjusted_p
    if difference.has_verdict and difference.excludes_zero and p_value < ALPHA:
        return "better" if (difference.mean > 0) == higher_is_better else "worse"
    if difference.n < pairs_needed(num_contrasts):
        return "too few seeds"
    return "undecided"


def verdict(
    difference: PairedDifference,
    *,
    a: str,
    b: str,
    adjusted_p: float | None = None,
    num_contrasts: int = 1,
    higher_is_better: bool = True,
    unit: str = "points",
    scale: float = 100.0,
) -> str:
    """One sentence on b against a, without its full stop.

    Args:
        difference: b minus a.
        a: Name of the arm that was subtracted.
        b: Name of the arm that it was subtracted from.
        adjusted_p: See ``outcome``.
        num_contrasts: See ``outcome``.
        higher_is_better: The metric's direction.
        unit: What a difference is told in; accuracy's are percentage points.
        scale: Turns the metric into that unit.
    """
    found = outcome(difference, adjusted_p=adjusted_p, num_contrasts=num_contrasts, higher_is_better=higher_is_better)
    if found == "too few seeds":
        return refusal(difference.n, num_contrasts=num_contrasts)
    numbers = (scale * difference.mean, scale * difference.low, scale * difference.high)
    many = "" if num_contrasts == 1 else f", p = {adjusted_p:.2g} after Holm"
    if found == "undecided":
        return f"undecided: from {a} to {b} the difference is {_told(numbers, unit)}, n = {difference.n}{many}"
    winner, loser = (b, a) if found == "better" else (a, b)
    if difference.mean < 0:
        numbers = (-numbers[0], -numbers[2], -numbers[1])
    return f"{winner} is better than {loser} by {_told(numbers, unit)}, n = {difference.n}{many}"


def refusal(num_pairs: int, *, num_contrasts: int = 1) -> str:
    """The sentence that stands where a verdict would, when there are too few pairs for one."""
    many = "" if num_contrasts == 1 else f" for {num_contrasts} contrasts"
    return f"not enough seeds for a verdict: {count_pairs(num_pairs)}, {pairs_needed(num_contrasts)} are needed{many}"


def _told(numbers: tuple[float, float, float], unit: str) -> str:
    """Two decimals, or more where two would round an end of the interval onto a zero that it excludes."""
    excludes_zero = numbers[1] > 0 or numbers[2] < 0
    decimals = 2
    while excludes_zero and decimals < 6 and any(round(abs(number), decimals) == 0 for number in numbers):
        decimals += 1
    mean, low, high = (f"{round(number, decimals) + 0.0:.{decimals}f}" for number in numbers)
    return f"{mean} {unit} [{low}, {high}]"
