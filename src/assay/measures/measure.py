"""What a measure is: a value of predictions, its direction, its unit, and each image's part in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .predictions import Predictions
from .unit import PERCENT, Unit


@dataclass(frozen=True)
class Measure(ABC):
    """A measure of a network's predictions.

    Args:
        name: Its name in study files, such as ``"balanced_accuracy"``.
        label: Its name in a sentence, such as ``"balanced accuracy"``.
        unit: The unit that values are written in.
        higher_is_better: Its direction.
    """

    name: str
    label: str
    unit: Unit = PERCENT
    higher_is_better: bool = True

    @abstractmethod
    def value(self, predictions: Predictions) -> float:
        """The measure, a finite number.

        Raises:
            DataError: These images cannot have it, such as an AUC of one class.
        """

    @abstractmethod
    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        """How far each image moves the measure: its empirical influence values, which sum to 0 [images].

        The value plus the mean influence of other images of the same kind is, to first order, the value on these: so
        value + influence of an image stands for what a mean's summand is to a mean. Its variance over images, divided
        by their number, is the delta method's (the infinitesimal jackknife's) variance of the measure.

        Source: Hampel (1974), "The influence curve and its role in robust estimation", JASA 69; Efron (1982), "The
        jackknife, the bootstrap and other resampling plans", chapter 6.

        Raises:
            DataError: As ``value``.
        """

    def chance(self, num_classes: int) -> float | None:
        """What guessing scores, where that does not depend on how often classes occur; ``None`` where it does."""
        return None

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which values the measure lies."""
        return 0.0, 1.0
