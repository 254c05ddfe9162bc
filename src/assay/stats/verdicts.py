"""What may be said of a contrast, and how many pairs that takes."""

from __future__ import annotations

from typing import Literal

from ..numerals import counted
from .paired import MIN_PAIRS

Outcome = Literal["better", "worse", "mixed", "equivalent", "undecided", "too few seeds"]
DECIDED: tuple[Outcome, ...] = ("better", "worse", "mixed", "equivalent")
ALPHA = 0.05


def pairs_needed(num_contrasts: int = 1) -> int:
    """The fewest pairs with which any of so many contrasts could reach p < 0.05 after Holm's adjustment.

    With n pairs the smallest two-sided sign-flip p is 2 / 2**n, and Holm multiplies the smallest of m by m.
    """
    pairs = 1
    while num_contrasts * 2 / 2**pairs >= ALPHA:
        pairs += 1
    return pairs


def refusal(num_pairs: int, *, num_contrasts: int = 1, is_folds: bool = False) -> str:
    """The sentence that stands where a verdict would, when there are too few pairs for one.

    Args:
        num_pairs: How many there are; with folds, folds over all seeds.
        num_contrasts: Contrasts in the family.
        is_folds: Folds were tested: their test asks for 6, however many contrasts there are.
    """
    if is_folds:
        return f"Not enough seeds for a verdict: {counted(num_pairs, 'fold')}, {MIN_PAIRS} are needed"
    many = "" if num_contrasts == 1 else f" for {num_contrasts} contrasts"
    return (
        f"Not enough seeds for a verdict: {counted(num_pairs, 'pair')}, {pairs_needed(num_contrasts)} are needed{many}"
    )
