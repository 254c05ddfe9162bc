"""Early stopping, and the choice of the epoch whose weights are kept: pure functions of recorded epochs.

Nothing is kept between epochs, so a resumed run decides as one that was never interrupted.

Sources: Keras 3.15's ``EarlyStopping``, ``ModelCheckpoint(save_best_only=True)`` and ``ReduceLROnPlateau``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..measures import is_higher_better
from ..spec import Best, EarlyStopping, Training
from .epochs import EpochRecord


def to_minimize(record: EpochRecord, metric: str) -> float:
    """The metric as a number of which lower is better: accuracies and their like are negated."""
    value = record.value(metric)
    return -value if is_higher_better(metric) else value


def is_over(training: Training, history: Sequence[EpochRecord]) -> bool:
    """Whether a run ends after the epochs recorded so far."""
    if len(history) >= training.planned_epochs:
        return True
    rule = training.early_stopping
    return isinstance(rule, EarlyStopping) and _is_patience_spent(rule, history)


def kept_epoch(training: Training, history: Sequence[EpochRecord]) -> int:
    """The epoch (from 1) whose weights count, of those recorded so far: the last, or the first of the best.

    Raises:
        ValueError: No epoch is recorded.
    """
    if not history:
        raise ValueError("no epoch is recorded, so none can be kept")
    if not isinstance(training.keep, Best):
        return history[-1].epoch
    metric = training.keep.best
    return min(history, key=lambda record: to_minimize(record, metric)).epoch


def _is_patience_spent(rule: EarlyStopping, history: Sequence[EpochRecord]) -> bool:
    best, num_waited = math.inf, 0
    for record in history:
        num_waited += 1
        value = to_minimize(record, rule.metric)
        if value + rule.min_delta < best:
            best, num_waited = value, 0
        elif num_waited >= rule.patience and record.epoch > 1:
            return True
    return False
