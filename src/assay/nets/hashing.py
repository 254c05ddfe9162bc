"""The hash behind random masks and augmentation as Numba kernels, for what the engine's own kernels do not compute."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_u32 = np.uint32


@njit(cache=True, nogil=True)
def mix(index: Any, low: Any, high: Any) -> Any:
    """The 32-bit hash of ``masks``, for one element. Kernels elsewhere may call it."""
    # Numba widens 32-bit arithmetic to 64 bits unless each result is narrowed; narrow, it fills SIMD lanes.
    x = _u32(_u32(index) + low)
    x = _u32(_u32(x ^ _u32(x >> _u32(17))) * _u32(0xED5AD4BB))
    x = _u32(x + high)
    x = _u32(_u32(x ^ _u32(x >> _u32(11))) * _u32(0xAC4C1B51))
    x = _u32(_u32(x ^ _u32(x >> _u32(15))) * _u32(0x31848BAB))
    return _u32(x ^ _u32(x >> _u32(14)))


@njit(cache=True, nogil=True)
def drop(source: Any, target: Any, low: Any, high: Any, lowest: Any, scale: Any) -> None:
    """Elements times ``scale`` where their hash is at least ``lowest``, zero elsewhere."""
    zero = source.dtype.type(0)
    for i in range(source.size):
        target[i] = source[i] * scale if mix(i, low, high) >= lowest else zero
