"""Measures of the probabilities themselves: log loss, Brier score, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .measure import Measure
from .predictions import Predictions

# The smallest probability that float16 holds (2^-24): what is less likely counts as this.
SMALLEST = -24 * math.log(2)


class LogLoss(Measure):
    """The mean over images of minus the logarithm of the true class's probability, in nats (cross-entropy).

    A probability below 6e-8 counts as 6e-8, so that one image adds 16.6 nats at most.
    """

    def value(self, predictions: Predictions) -> float:
        return float(self._losses(predictions).mean())

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        losses = self._losses(predictions)
        return np.asarray(losses - losses.mean())

    @staticmethod
    def _losses(predictions: Predictions) -> NDArray[np.float64]:
        own = predictions.log_probabilities[np.arange(len(predictions)), predictions.labels].astype(np.float64)
        return np.asarray(-np.maximum(own, SMALLEST))

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, math.inf


class BrierScore(Measure):
    """The mean over images of the squared distance between probabilities and the true class, 0 to 2.

    Source: Brier (1950), Monthly Weather Review 78, for several classes: of two it is twice scikit-learn's
    ``brier_score_loss``, which looks at one of them.
    """

    def value(self, predictions: Predictions) -> float:
        return float(self._scores(predictions).mean())

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        scores = self._scores(predictions)
        return np.asarray(scores - scores.mean())

    @staticmethod
    def _scores(predictions: Predictions) -> NDArray[np.float64]:
        own = predictions.probabilities[np.arange(len(predictions)), predictions.labels]
        return np.asarray(np.square(predictions.probabilities).sum(1) - 2 * own + 1)

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 2.0


@dataclass(frozen=True)
class CalibrationError(Measure):
    """Expected calibration error: how far confidence and accuracy lie apart, over bins of equal width of confidence.

    It is too large by chance where bins hold few images (Nixon et al. 2019), for both arms alike. The influence values
    take the bins and the sign of each gap as given.

    Args:
        bins: How many bins there are.

    Source: Naeini, Cooper and Hauskrecht (2015), AAAI 29; Guo et al. (2017), ICML 34, with 15 bins.
    """

    bins: int = 15

    def value(self, predictions: Predictions) -> float:
        return float(self._parts(predictions).mean())

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        parts = self._parts(predictions)
        return np.asarray(parts - parts.mean())

    def _parts(self, predictions: Predictions) -> NDArray[np.float64]:
        """Confidence minus hit, with the sign of the image's bin: their mean is the error [images]."""
        confidence = predictions.probabilities.max(1)
        which = np.clip(np.ceil(confidence * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        gaps = confidence - predictions.is_hit
        signs = np.sign(np.bincount(which, gaps, minlength=self.bins))
        return np.asarray(signs[which] * gaps)
