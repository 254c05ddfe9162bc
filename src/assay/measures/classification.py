"""Measures of the predicted classes: accuracy, and means over classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem
from .measure import Measure
from .predictions import Predictions

_Values = NDArray[np.float64]


class Accuracy(Measure):
    """The share of images that are classified correctly."""

    def value(self, predictions: Predictions) -> float:
        return float(predictions.is_hit.mean())

    def influence(self, predictions: Predictions) -> _Values:
        return np.asarray(predictions.is_hit - self.value(predictions), dtype=np.float64)


class BalancedAccuracy(Measure):
    """The mean over classes of the share of their images that are classified correctly (macro recall).

    Classes without images are left out, as scikit-learn's ``balanced_accuracy_score`` does.
    """

    def value(self, predictions: Predictions) -> float:
        recall = recalls(predictions)
        return float(recall[predictions.counts > 0].mean())

    def influence(self, predictions: Predictions) -> _Values:
        counts, recall = predictions.counts, recalls(predictions)
        shares = counts / len(predictions)
        residuals = predictions.is_hit - recall[predictions.labels]
        return np.asarray(residuals / shares[predictions.labels] / np.count_nonzero(counts))

    def chance(self, num_classes: int) -> float | None:
        return 1 / num_classes


class MacroF1(Measure):
    """The mean over classes of F1, the harmonic mean of precision and recall; 0 for a class that is never predicted.

    Classes that are neither among the labels nor predicted are left out, as scikit-learn's ``f1_score`` does.
    """

    def value(self, predictions: Predictions) -> float:
        f1, totals = _f1(predictions)
        return float(f1[totals > 0].mean())

    def influence(self, predictions: Predictions) -> _Values:
        f1, totals = _f1(predictions)
        weights = np.divide(len(predictions), totals, out=np.zeros(len(totals)), where=totals > 0)
        slope = f1 * weights
        hits = 2 * predictions.is_hit * weights[predictions.labels]
        one = hits - slope[predictions.labels] - slope[predictions.predicted]
        return np.asarray(one / np.count_nonzero(totals))


@dataclass(frozen=True)
class OfClass(Measure):
    """A measure of one class.

    Args:
        class_name: The class.
    """

    class_name: str = ""

    def _chosen(self, predictions: Predictions) -> NDArray[np.bool_]:
        raise NotImplementedError

    def value(self, predictions: Predictions) -> float:
        return float(predictions.is_hit[self._chosen(predictions)].mean())

    def influence(self, predictions: Predictions) -> _Values:
        chosen = self._chosen(predictions)
        share = chosen.mean()
        return np.asarray(chosen * (predictions.is_hit - self.value(predictions)) / share)


class Recall(OfClass):
    """The share of a class's images that are classified correctly."""

    def _chosen(self, predictions: Predictions) -> NDArray[np.bool_]:
        chosen = predictions.labels == predictions.classes.index(self.class_name)
        if not chosen.any():
            what = f'{self.label} cannot be computed: no image has class "{self.class_name}"'
            raise DataError(Problem(what, "set more images aside (validation), or name another class"))
        return np.asarray(chosen)


class Precision(OfClass):
    """The share of the images taken for a class that are of it; 0 where none is taken for it."""

    def _chosen(self, predictions: Predictions) -> NDArray[np.bool_]:
        return np.asarray(predictions.predicted == predictions.classes.index(self.class_name))

    def value(self, predictions: Predictions) -> float:
        return super().value(predictions) if self._chosen(predictions).any() else 0.0

    def influence(self, predictions: Predictions) -> _Values:
        if not self._chosen(predictions).any():
            return np.zeros(len(predictions))
        return super().influence(predictions)


class WorstClassRecall(Measure):
    """The lowest recall of a class; classes without images are left out.

    Its influence values are those of the class that is the lowest, which suits where one class stands apart.
    """

    def value(self, predictions: Predictions) -> float:
        return float(recalls(predictions)[self._worst(predictions)])

    def influence(self, predictions: Predictions) -> _Values:
        worst = self._worst(predictions)
        chosen = predictions.labels == worst
        return np.asarray(chosen * (predictions.is_hit - recalls(predictions)[worst]) / chosen.mean())

    def _worst(self, predictions: Predictions) -> int:
        return int(np.where(predictions.counts > 0, recalls(predictions), np.inf).argmin())


def recalls(predictions: Predictions) -> _Values:
    """The share of each class's images that are classified correctly; 0 for a class without images [classes]."""
    hits = np.bincount(predictions.labels[predictions.is_hit], minlength=len(predictions.classes))
    return hits / np.maximum(predictions.counts, 1)


def _f1(predictions: Predictions) -> tuple[_Values, NDArray[np.int64]]:
    """F1 of each class, and its images and predictions together [classes]."""
    size = len(predictions.classes)
    totals = predictions.counts + np.bincount(predictions.predicted, minlength=size)
    hits = np.bincount(predictions.labels[predictions.is_hit], minlength=size)
    return 2 * hits / np.maximum(totals, 1), totals
