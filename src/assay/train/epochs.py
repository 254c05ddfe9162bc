"""The record of an epoch's measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..spec.metric import RECORDED


@dataclass(frozen=True)
class EpochRecord:
    """What was measured after one epoch. Accuracies are fractions; losses are in nats for each image.

    Args:
        epoch: The epoch, from 1.
        train_loss: The loss on a fixed subset of the training split, in evaluation mode after the epoch.
        train_accuracy: The accuracy on the same subset.
        validation_loss: The loss on the validation split, in evaluation mode after the epoch.
        validation_accuracy: The accuracy on the validation split.
        running_loss: The average loss over the epoch's steps, with dropout on. Keras calls it ``loss``.
        running_accuracy: The average accuracy over the epoch's steps.
        learning_rate: The learning rate of the epoch's last step.
        seconds: The epoch's duration.
        health: Measurements for diagnoses, in the epochs that have them.
        measures: The measures of validation images that training or a search depends on, by name.
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
        """Return a recorded loss, accuracy or measure; NaN if it was not measured.

        Args:
            metric: Its name; ``"metric"`` is the validation accuracy.
        """
        if metric == "metric":
            return self.validation_accuracy
        if metric in RECORDED:
            return float(getattr(self, metric))
        return (self.measures or {}).get(metric, math.nan)
