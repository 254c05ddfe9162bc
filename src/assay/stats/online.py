"""False discovery rate over a sequence of tests: LORD++, for tests that overlap in time and depend on each other.

Claims come one after another and nobody knows how many will follow, so no level can be divided by their number. LORD++
gives each test a level when it begins: a part of what was there at first, and a part of 5 % for each claim before it
that stood. Tests are allowed to stay open while others begin, and to depend on some of these: the outcomes of such
tests are not used for the level.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

RATE = 0.05
_DECAY = 1.6
# Sum of j^-1.6 over all j from 1 on: Riemann's zeta function.
_TOTAL = 2.2857656656801293
METHOD = "LORD++ (Ramdas and others 2017) with conflict sets (Zrnic, Ramdas and Jordan 2021)"


@functools.cache
def discount(lag: int) -> float:
    """The part of a reward that the test so many places later has: lag^-1.6, so that all together have 1.

    Raises:
        ValueError: The lag is below 1.
    """
    if lag < 1:
        raise ValueError(f"got a lag of {lag}; give 1 or more")
    return float(lag**-_DECAY) / _TOTAL


def next_level(number: int, claims_before: Sequence[int], *, rate: float = RATE) -> float:
    """The level of a test when it begins.

    The sum of all levels of a sequence is at most ``rate`` times the larger of 1 and the number of claims that stood,
    so that the expected number of false claims is at most ``rate`` times the expected number of claims (mFDR); where
    the tests are independent the false discovery rate is at most ``rate``, too.

    Args:
        number: The test's place in the sequence, from 1.
        claims_before: For each claim that stood when the test began, and that does not depend on it, how many tests had
            begun when it came to stand; in any order. The earliest of them pays nothing back: ``rate`` as a whole was
            there at first.
        rate: Of false discoveries.

    Raises:
        ValueError: The number is below 1, or a claim stood at no earlier test.

    Source: Ramdas, Yang, Wainwright and Jordan (2017), "Online control of the false discovery rate with decaying
    memory", NeurIPS 30, with all of the rate as wealth at first; Zrnic, Ramdas and Jordan (2021), "Asynchronous online
    testing of multiple hypotheses", JMLR 22(33), for conflict sets.
    """
    if number < 1 or any(not 1 <= one < number for one in claims_before):
        raise ValueError(f"test {number} cannot follow claims at {sorted(claims_before)}")
    later = sorted(claims_before)[1:]
    return rate * (discount(number) + sum(discount(number - one) for one in later))


def fixed_sequence(p_values: Sequence[float], *, rate: float = RATE) -> tuple[tuple[float, bool], ...]:
    """Each test's level and whether its p is at most that, for independent tests that end before the next one begins.

    Raises:
        ValueError: A p is not in [0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a p value is not between 0 and 1")
    stood: list[int] = []
    results = []
    for number, p in enumerate(values.tolist(), start=1):
        level = next_level(number, stood, rate=rate)
        results.append((level, p <= level))
        if p <= level:
            stood.append(number)
    return tuple(results)
