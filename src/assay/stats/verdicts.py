"""Verdicts on a paired difference: the outcome, and the sentence that reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .equivalence import Equivalence
from .paired import MIN_PAIRS, PairedDifference, count_pairs

Outcome = Literal["better", "worse", "equivalent", "undecided", "too few seeds"]
ALPHA = 0.05


@dataclass(frozen=True)
class Wording:
    """Phrases for a contrast of a and b; "{a}" and "{b}" stand for their names."""

    better: str = "{b} is better than {a} by"
    worse: str = "{b} is worse than {a} by"
    undecided: str = "from {a} to {b} the difference is"
    equivalent: str = "between {a} and {b}"


PLAIN = Wording()


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
    equivalence_p: float | None = None,
    fewest: int | None = None,
) -> Outcome:
    """The verdict on b against a.

    A direction is claimed when the interval excludes 0 and the sign-flip p, adjusted where there are several
    contrasts, is below 0.05; equivalence when no direction is, and its adjusted p is below 0.05.

    Args:
        difference: b minus a.
        adjusted_p: The p value after adjustment for every contrast of the study; the plain one when there is one.
        num_contrasts: How many contrasts the adjustment covers.
        higher_is_better: The metric's direction.
        equivalence_p: Of the tests against the margin, adjusted; ``None`` where no margin was declared.
        fewest: Below so many pairs nothing is said; ``pairs_needed`` unless given.

    Raises:
        ValueError: There are several contrasts and no adjusted p.
    """
    if num_contrasts > 1 and adjusted_p is None:
        raise ValueError(f"{num_contrasts} contrasts and no adjusted p; give holm(p_values)[i] for this one")
    p_value = difference.p_value if adjusted_p is None else adjusted_p
    if difference.has_verdict and difference.excludes_zero and p_value < ALPHA:
        return "better" if (difference.mean > 0) == higher_is_better else "worse"
    if difference.n >= MIN_PAIRS and equivalence_p is not None and equivalence_p < ALPHA:
        return "equivalent"
    if difference.n < (pairs_needed(num_contrasts) if fewest is None else fewest):
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
        unit: The unit of a reported difference; accuracy's are percentage points.
        scale: Turns the metric into that unit.
    """
    result = outcome(difference, adjusted_p=adjusted_p, num_contrasts=num_contrasts, higher_is_better=higher_is_better)
    return sentence(
        result, difference, a=a, b=b, adjusted_p=adjusted_p, num_contrasts=num_contrasts, unit=unit, scale=scale
    )


def sentence(
    result: Outcome,
    difference: PairedDifference,
    *,
    a: str,
    b: str,
    adjusted_p: float | None = None,
    num_contrasts: int = 1,
    near: Equivalence | None = None,
    more: str = "",
    over: str = "",
    wording: Wording = PLAIN,
    unit: str = "points",
    scale: float = 100.0,
) -> str:
    """An outcome as one sentence, without its full stop.

    Args:
        result: The verdict on b against a.
        difference: b minus a.
        a: Name of the arm that was subtracted.
        b: Name of the arm that it was subtracted from.
        adjusted_p: The p value after Holm's adjustment; reported where there are several contrasts.
        num_contrasts: How many contrasts the adjustment covers.
        near: The tests against the margin, where one was declared.
        more: What would decide it, where nothing is decided.
        over: What varies between the pairs, and what was left out: written after n.
        wording: The phrases to use.
        unit: The unit of a reported difference; accuracy's are percentage points.
        scale: Turns the metric into that unit.
    """
    if result == "too few seeds":
        return refusal(difference.n, num_contrasts=num_contrasts)
    numbers = (scale * difference.mean, scale * difference.low, scale * difference.high)
    p_note = "" if num_contrasts == 1 or adjusted_p is None else f", p = {adjusted_p:.2g} after Holm"
    tail = f", n = {difference.n}{over}"

    def put(pattern: str) -> str:
        return pattern.replace("{a}", a).replace("{b}", b)

    if result == "equivalent" and near is not None:
        numbers = (numbers[0], scale * near.low, scale * near.high)
        margin = f"no difference larger than {scale * near.margin:g} {unit}"
        return f"{margin} {put(wording.equivalent)}: {_format_numbers(numbers, unit)} at 90 %{tail}"
    if result == "undecided":
        hint = f"; {more}" if more else ""
        return f"undecided: {put(wording.undecided)} {_format_numbers(numbers, unit)}{tail}{p_note}{hint}"
    claim = wording.better if result == "better" else wording.worse
    if difference.mean < 0:
        numbers = (-numbers[0], -numbers[2], -numbers[1])
    return f"{put(claim)} {_format_numbers(numbers, unit)}{tail}{p_note}"


def refusal(num_pairs: int, *, num_contrasts: int = 1, is_folds: bool = False) -> str:
    """The sentence that stands where a verdict would, when there are too few pairs for one.

    Args:
        num_pairs: How many there are; with folds, folds over all seeds.
        num_contrasts: Contrasts in the family.
        is_folds: Folds were tested: their test asks for 6, however many contrasts there are.
    """
    if is_folds:
        folds = "1 fold" if num_pairs == 1 else f"{num_pairs} folds"
        return f"not enough seeds for a verdict: {folds}, {MIN_PAIRS} are needed"
    many = "" if num_contrasts == 1 else f" for {num_contrasts} contrasts"
    return f"not enough seeds for a verdict: {count_pairs(num_pairs)}, {pairs_needed(num_contrasts)} are needed{many}"


def _format_numbers(numbers: tuple[float, float, float], unit: str) -> str:
    """Two decimals, or more where two would round an end of the interval onto a zero that it excludes."""
    excludes_zero = numbers[1] > 0 or numbers[2] < 0
    decimals = 2
    while excludes_zero and decimals < 6 and any(round(abs(number), decimals) == 0 for number in numbers):
        decimals += 1
    mean, low, high = (f"{round(number, decimals) + 0.0:.{decimals}f}" for number in numbers)
    return f"{mean} {unit} [{low}, {high}]"
