"""Batch normalization's numbers for each channel: statistics, moving averages and gradients, between the passes.

The passes over activations (``epilogues``) leave sums for each channel; these few scalar operations a channel turn
them into the factors that the next pass multiplies by. They run in float64 on one thread: there is too little to share.
"""

from __future__ import annotations

import math
from typing import Any

from .compiler import kernel


@kernel(
    "sums[double 1] count gamma[float 1] beta[float 1] moving_mean[float 1] moving_variance[float 1] momentum:real "
    "epsilon:real mean[double 1] inverse[double 1] scale[float 1] shift[float 1]",
    is_shared=False,
)
def from_batch(
    sums: Any, count: int, gamma: Any, beta: Any, moving_mean: Any, moving_variance: Any, momentum: float,
    epsilon: float, mean: Any, inverse: Any, scale: Any, shift: Any,
) -> None:  # fmt: skip
    """Batch statistics from ``moments`` over ``count`` values a channel, and the moving averages' update.

    The moving variance follows the biased one, as in Keras; PyTorch takes the unbiased one.
    """
    stored = len(sums) // 3
    for c in range(len(gamma)):
        offset = sums[c] / count
        m = sums[2 * stored + c] + offset
        # Both sums are of differences from the pivot, so nothing large cancels; rounding could still go below 0.
        variance = max(sums[stored + c] / count - offset * offset, 0.0)
        mean[c] = m
        inverse[c] = 1.0 / math.sqrt(variance + epsilon)
        moving_mean[c] = moving_mean[c] * momentum + m * (1.0 - momentum)
        moving_variance[c] = moving_variance[c] * momentum + variance * (1.0 - momentum)
        scale[c] = gamma[c] * inverse[c]
        shift[c] = beta[c] - m * scale[c]


@kernel(
    "gamma[float 1] beta[float 1] moving_mean[float 1] moving_variance[float 1] epsilon:real scale[float 1] "
    "shift[float 1]",
    is_shared=False,
)
def from_moving(
    gamma: Any, beta: Any, moving_mean: Any, moving_variance: Any, epsilon: float, scale: Any, shift: Any
) -> None:
    """``scale`` and ``shift`` for evaluation, from the moving statistics."""
    for c in range(len(gamma)):
        scale[c] = gamma[c] / math.sqrt(moving_variance[c] + epsilon)
        shift[c] = beta[c] - moving_mean[c] * scale[c]


@kernel(
    "sums[double 1] blocks count gamma[float 1] mean[double 1] inverse[double 1] gamma_gradient[float 1] "
    "beta_gradient[float 1] factor[float 1] slope[float 1] level[float 1]",
    is_shared=False,
)
def gradient(
    sums: Any, blocks: int, count: int, gamma: Any, mean: Any, inverse: Any, gamma_gradient: Any, beta_gradient: Any,
    factor: Any, slope: Any, level: Any,
) -> None:  # fmt: skip
    """Gradients of gamma and beta, and dy as factor * dz + slope * y + level, from the sums of dz and dz * y.

    ``sums`` are float64 [blocks, 2, channels], from ``epilogues.backward_reduce``, added in the order of blocks.
    """
    stored = len(sums) // (2 * blocks)
    for c in range(len(gamma)):
        total, product = 0.0, 0.0
        for b in range(blocks):
            total += sums[b * 2 * stored + c]
            product += sums[b * 2 * stored + stored + c]
        # The sum of dz * y becomes that of dz * x, x the normalized value, without another pass.
        product = (product - mean[c] * total) * inverse[c]  # with y normalized
        gamma_gradient[c] = product
        beta_gradient[c] = total
        factor[c] = gamma[c] * inverse[c]
        slope[c] = -factor[c] * inverse[c] * product / count
        level[c] = -factor[c] * total / count - slope[c] * mean[c]
