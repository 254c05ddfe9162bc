"""The loss: softmax cross-entropy of a batch's logits, its gradient, and the gradient of the last bias."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .compiler import kernel


@kernel(
    "logits[float 1] classes[long 1] partners[long 1] shares[float 1] weights[float 1] smoothing:real "
    "gradient[float 1] stored result[double 1]",
    is_shared=False,
)
def softmax_loss(
    logits: Any, classes: Any, partners: Any, shares: Any, weights: Any, smoothing: float, gradient: Any, stored: int,
    result: Any,
) -> None:  # fmt: skip
    """Summed loss (nats) and hits of a batch, and the gradient of the mean loss: see ``learner.Objective``.

    Scalar code on one thread: there are ten numbers an image, and one order of the sum. The largest logit is subtracted
    before exponentials, which then cannot overflow.

    Args:
        logits: float32 [blocks, stored, 16].
        classes: int64 [count]: the classes that count as hits.
        partners, shares: The other class of each image and the first one's share of the target (1 without mixup).
        weights: What the loss of an image of each class counts [classes].
        smoothing: The share of every target that is spread evenly.
        gradient: float32 [blocks, stored, 16], written; lanes without an image get no gradient.
        stored: Rows of ``logits``, at least one for each class.
        result: float64 [2], written: loss and hits.
    """
    count, num_classes = len(classes), len(weights)
    loss, hits = 0.0, 0
    spread = np.float32(smoothing / num_classes)
    for n in range((count + 15) // 16 * 16):
        start = (n // 16) * stored * 16 + n % 16
        if n >= count:
            for k in range(stored):
                gradient[start + 16 * k] = np.float32(0)
            continue
        highest, best, together = logits[start], 0, np.float32(0)
        for k in range(num_classes):
            together += logits[start + 16 * k]
            if logits[start + 16 * k] > highest:
                highest, best = logits[start + 16 * k], k
        # Exponentials are kept where the gradient will be, and become probabilities once their sum is known.
        scale = np.float32(0)
        for k in range(num_classes):
            e = np.exp(logits[start + 16 * k] - highest)
            gradient[start + 16 * k] = e
            scale += e
        target, partner = classes[n], partners[n]
        share, rest = shares[n] * weights[target], (np.float32(1) - shares[n]) * weights[partner]
        weight = share + rest
        share, rest = share * np.float32(1 - smoothing), rest * np.float32(1 - smoothing)
        # Cross-entropy with a target spread over two classes and, smoothed, evenly over all of them.
        wanted = share * logits[start + 16 * target] + rest * logits[start + 16 * partner]
        if smoothing > 0:
            wanted += weight * spread * together
        loss += weight * (math.log(scale) + highest) - wanted
        hits += best == target
        for k in range(num_classes):
            gradient[start + 16 * k] = weight * (gradient[start + 16 * k] / scale - spread) / np.float32(count)
        gradient[start + 16 * target] -= share / np.float32(count)
        gradient[start + 16 * partner] -= rest / np.float32(count)
    result[0], result[1] = loss, hits


@kernel("gradient[float 1] blocks stored target[float 1]", is_shared=False)
def bias_gradient(gradient: Any, blocks: int, stored: int, target: Any) -> None:
    """The last layer's bias gradient, where no epilogue sums it: [blocks, stored, 16] over blocks and lanes."""
    for o in range(len(target)):
        value = 0.0
        for b in range(blocks):
            for lane in range(16):
                value += gradient[(b * stored + o) * 16 + lane]
        target[o] = value
