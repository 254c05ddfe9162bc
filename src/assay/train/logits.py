"""Logits as probabilities and as hits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """Natural logarithms of softmax probabilities [n, classes]; the highest of each row stays the highest."""
    shifted = logits - logits.max(1, keepdims=True)
    logs = np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)), dtype=np.float32)
    top = logits.argmax(1)
    moved = np.flatnonzero(logs.argmax(1) != top)  # an earlier class became equal by rounding
    logs[moved, top[moved]] = np.nextafter(logs[moved].max(1), np.float32(np.inf))
    return logs


def hits_in(log_probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which images are classified correctly [images]."""
    return np.asarray(log_probabilities.argmax(1) == labels)
