"""The accuracy of the group that fares worst."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem
from .measure import Measure
from .predictions import Predictions


class WorstGroupAccuracy(Measure):
    """The lowest accuracy of a group of images, over the groups that have members among them.

    Its influence values are those of the group that is the lowest, which suits where one group stands apart.

    Source: Sagawa et al. (2020), "Distributionally robust neural networks for group shifts", ICLR.
    """

    def value(self, predictions: Predictions) -> float:
        return float(self._accuracies(predictions).min())

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        accuracies = self._accuracies(predictions)
        chosen = np.asarray(predictions.groups == int(accuracies.argmin()))
        return np.asarray(chosen * (predictions.is_hit - accuracies.min()) / chosen.mean())

    def _accuracies(self, predictions: Predictions) -> NDArray[np.float64]:
        """Of each group; infinite for a group without members among these images [groups]."""
        groups = predictions.groups
        if groups is None:
            what = f"{self.label} cannot be computed: the images have no groups"
            fix = 'name what tells them apart under [data], such as groups = "hospital", or give compare a column'
            raise DataError(Problem(what, fix))
        if int(groups.min()) < 0:
            number = int((groups < 0).sum())
            what = f"{self.label} cannot be computed: {number:,} of {len(groups):,} images belong to no group"
            raise DataError(Problem(what, "give every image a group"))
        sizes = np.bincount(groups)
        if np.count_nonzero(sizes) < 2:
            what = f"{self.label} cannot be computed: all {len(groups):,} images belong to one group"
            raise DataError(Problem(what, "validate on images of two groups or more"))
        hits = np.bincount(groups[predictions.is_hit], minlength=len(sizes))
        return np.where(sizes > 0, hits / np.maximum(sizes, 1), np.inf)
