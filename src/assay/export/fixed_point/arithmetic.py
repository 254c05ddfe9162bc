"""The whole-number arithmetic that C and NumPy share, bit for bit.

A factor is 16 bits: a fraction of 12 bits whose first is 1, and a shift of 8 to 39. A sum is first shifted to at most
18 bits, so that the product with the fraction stays within 32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
FRACTION = 11  # bits of a factor's fraction below its first
LEAST_SHIFT, MOST_SHIFT = 8, 39
MOST = 1 << 18  # of a shifted sum
ROOM = {8: 21, 16: 14}  # the most that a product is shifted, by bits of the output


def factor_code(factor: float) -> int:
    """A positive factor as 16 bits, the nearest that there is; below 2**-28 the least.

    Raises:
        ValueError: It is 16 or more, or not above 0.
    """
    if not 0 < factor < 16:
        raise ValueError(f"{factor} is no factor of sums")
    shift = FRACTION - math.floor(math.log2(factor))
    fraction = round(math.ldexp(factor, shift))
    if fraction >> FRACTION > 1:
        fraction, shift = fraction >> 1, shift - 1
    if shift > MOST_SHIFT:
        fraction, shift = 1 << FRACTION, MOST_SHIFT
    return (max(shift, LEAST_SHIFT) - LEAST_SHIFT) << FRACTION | (fraction - (1 << FRACTION))


def factor_of(code: int) -> float:
    """What a factor's 16 bits stand for."""
    fraction, shift = (code & ((1 << FRACTION) - 1)) + (1 << FRACTION), (code >> FRACTION) + LEAST_SHIFT
    return math.ldexp(fraction, -shift)


def scaled(sums: Ints, codes: NDArray[np.uint16], bits: int, limits: tuple[int, int]) -> Ints:
    """Sums [..., outputs] times their factors [outputs], halves up, cut at the limits."""
    shift = (codes.astype(np.int64) >> FRACTION) + LEAST_SHIFT
    fraction = (codes.astype(np.int64) & ((1 << FRACTION) - 1)) + (1 << FRACTION)
    before = np.maximum(shift - ROOM[bits], 0)
    values = np.clip(sums >> before, -MOST, MOST)
    after = shift - before
    rounded: Ints = (values * fraction + (1 << (after - 1))) >> after
    return np.clip(rounded, *limits)


@dataclass(frozen=True)
class Rescale:
    """Whole-number multipliers, one for each source, and the shift of their products' sum."""

    multipliers: tuple[int, ...]
    shift: int

    @classmethod
    def of(cls, factors: list[float], bits: int = 15) -> Rescale:
        """Factors as multipliers below ``2**bits``, of which the largest has all its bits."""
        shift = min(max(bits - 1 - math.floor(math.log2(max(factors))), 1), 30)
        largest = (1 << bits) - 1
        return cls(tuple(min(round(factor * 2**shift), largest) for factor in factors), shift)

    def of_sum(self, values: Any, limits: tuple[int, int]) -> Ints:
        """A sum of products, halves up, cut at the limits."""
        rounded: Ints = (values + (1 << (self.shift - 1))) >> self.shift
        return np.clip(rounded, *limits)
