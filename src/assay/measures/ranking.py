"""The area under the ROC curve, and each image's part in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem
from .measure import Measure
from .predictions import Predictions


class MacroAUC(Measure):
    """The mean over classes of the area under the ROC curve of that class against the rest.

    The area is the chance that an image of the class has a higher probability for it than an image of another class,
    ties counting half. Classes without images are left out.

    Source: Hanley and McNeil (1982), Radiology 143; the influence values are the placements of DeLong, DeLong and
    Clarke-Pearson (1988), Biometrics 44.
    """

    def value(self, predictions: Predictions) -> float:
        return float(np.mean([positives.mean() for _, positives, _ in _placements(predictions)]))

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        n = len(predictions)
        total, placements = np.zeros(n), _placements(predictions)
        for is_positive, positives, negatives in placements:
            area = positives.mean()
            total[is_positive] += (positives - area) * n / len(positives)
            total[~is_positive] += (negatives - area) * n / len(negatives)
        return np.asarray(total / len(placements))

    def chance(self, num_classes: int) -> float | None:
        return 0.5


def _placements(
    predictions: Predictions,
) -> list[tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]]:
    """For each class with images: which are its images, the share of others below each of these, and the share of
    these above each of the others; ties count half."""
    present = np.flatnonzero(predictions.counts)
    if len(present) < 2:
        name = predictions.classes[int(present[0])]
        what = f'macro AUC cannot be computed: all {len(predictions):,} images have one class ("{name}")'
        raise DataError(Problem(what, "validate on images of two classes or more, or name another metric"))
    result = []
    for label in present.tolist():
        scores = predictions.log_probabilities[:, label].astype(np.float64)
        is_positive = predictions.labels == label
        of_class, others = scores[is_positive], scores[~is_positive]
        above = _share_below(of_class, others)
        below = 1 - _share_below(others, of_class)
        result.append((is_positive, above, below))
    return result


def _share_below(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of others below each value, those equal to it counting half [values]."""
    ordered = np.sort(others)
    places = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(places / (2 * len(others)))
