"""How much of its start value an exponential moving average keeps."""

from __future__ import annotations

MOST_KEPT = 0.05  # of a start value: more makes validation scores of a network with batch normalization too low
_LOWER = (0.9, 0.8)  # below, statistics follow the last batches


def kept_share(momentum: float, steps: int) -> float:
    """The share of its start value that a moving average keeps after so many steps."""
    return float(momentum**steps)


def lower_momentum(momentum: float, steps: int) -> float | None:
    """The largest usual momentum below this one that keeps at most ``MOST_KEPT``; ``None`` if none does."""
    return next((m for m in _LOWER if m < momentum and kept_share(m, steps) <= MOST_KEPT), None)
