"""Small passes over flat arrays: clear, copy, penalties, and sums of partial sums.

Loops over elements, which LLVM vectorises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiler import kernel


@kernel("target[float 1]")
def clear(part: int, parts: int, target: Any) -> None:
    """Zeros, for gradients that blocks are added to."""
    target = target[len(target) * part // parts : len(target) * (part + 1) // parts]
    for i in range(len(target)):
        target[i] = np.float32(0)


@kernel("sums[double 1]", is_shared=False)
def clear_sums(sums: Any) -> None:
    """The same for float64."""
    for i in range(len(sums)):
        sums[i] = 0.0


@kernel("source[float 1] target[float 1]")
def copy(part: int, parts: int, source: Any, target: Any) -> None:
    """``target``, which may be longer, from ``source``."""
    start, end = len(source) * part // parts, len(source) * (part + 1) // parts
    source, target = source[start:end], target[start:end]  # indices from 0, which LLVM can vectorise
    for i in range(len(source)):
        target[i] = source[i]


@kernel("weights[float 1] gradient[float 1] l1:real l2:real")
def add_penalty(part: int, parts: int, weights: Any, gradient: Any, l1: float, l2: float) -> None:
    """The gradient of l1 * sum(abs(weights)) + l2 * sum(weights**2), added; of abs at 0 it is 0."""
    once, twice = np.float32(l1), np.float32(2 * l2)
    start, end = len(weights) * part // parts, len(weights) * (part + 1) // parts
    weights, gradient = weights[start:end], gradient[start:end]  # indices from 0, which LLVM can vectorise
    for i in range(len(weights)):
        gradient[i] += twice * weights[i] + once * np.float32(int(weights[i] > 0) - int(weights[i] < 0))


@kernel("sums[double 1] blocks target[float 1]", is_shared=False)
def add_blocks(sums: Any, blocks: int, target: Any) -> None:
    """Partial sums float64 [blocks, stored], added in the order of blocks, whichever threads they come from."""
    stored = len(sums) // blocks
    for c in range(len(target)):
        value = 0.0
        for b in range(blocks):
            value += sums[b * stored + c]
        target[c] = value
