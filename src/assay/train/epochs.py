"""The record of an epoch's measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..spec.metric import RECORDED


@dataclass(frozen=True)
class EpochRecord:
    """What was measured after one epoch. Accuracies are fractions, losses are nats per example.

    ``train_*`` and ``validation_*`` are measured in evaluation mode after the epoch, ``train_*`` on a fixed
    subset of the training split; ``running_*`` are averages over the epoch's steps, with dropout on. ``health`` is what
    ``train.health`` measured, in epochs where it did. ``measures`` holds, by name, the measures of validation images
    that training or a search goes by.
    """

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    running_loss: float
    running_accuracy: float
    learning_rate: float
    seconds: float
    health: dict[str, Any] | None = None
    measures: dict[str, float] | None = None

    def value(self, metric: str) -> float:
        """A recorded loss or accuracy, or a measure, by its name; ``metric`` alone is validation accuracy.

        Not a number for a measure that was not taken.
        """
        if metric == "metric":
            return self.validation_accuracy
        if metric in RECORDED:
            return float(getattr(self, metric))
        return (self.measures or {}).get(metric, math.nan)
