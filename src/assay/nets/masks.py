"""Which elements a dropout layer keeps: a hash of (key, element), so that no mask is ever stored.

Element ``i`` counts in channels-last order (batch, height, width, channel; or batch, unit), so the mask does not
depend on memory layout. With the key's low and high halves ``k0`` and ``k1`` and all arithmetic modulo 2**32::

    x = i + k0
    x ^= x >> 17;  x *= 0xED5AD4BB;  x += k1
    x ^= x >> 11;  x *= 0xAC4C1B51
    x ^= x >> 15;  x *= 0x31848BAB
    x ^= x >> 14

and the element is kept where ``x >= floor(rate * 2**32)``. This is ``triple32`` of Chris Wellons's Hash Prospector
(https://github.com/skeeto/hash-prospector, public domain) with half of the key added in the middle: two keys then
differ by more than a shift of the index, so masks of two steps are not windows on one long sequence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WORD = 2**32


def halves(key: int) -> tuple[int, int]:
    """Low and high 32 bits of a 64-bit key."""
    return key % _WORD, key // _WORD % _WORD


def threshold(rate: float) -> int:
    """The smallest hash that is kept, floor(rate * 2**32), for ``0 <= rate < 1``."""
    return int(rate * _WORD)


def keep_mask(key: int, count: int, rate: float) -> NDArray[np.bool_]:
    """Which of ``count`` elements stay, shape (count,): the definition that faster kernels are tested against.

    Args:
        key: 64 bits, from ``Streams.key("dropout", ordinal, step)``.
        count: Number of elements; element ``i`` and element ``i + 2**32`` share their fate.
        rate: Probability to drop, ``0 <= rate < 1``.
    """
    low, high = (np.uint32(half) for half in halves(key))
    x = np.arange(count, dtype=np.uint64).astype(np.uint32) + low
    x = (x ^ (x >> np.uint32(17))) * np.uint32(0xED5AD4BB) + high
    x = (x ^ (x >> np.uint32(11))) * np.uint32(0xAC4C1B51)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x31848BAB)
    x = x ^ (x >> np.uint32(14))
    kept: NDArray[np.bool_] = x >= np.uint32(threshold(rate))
    return kept
