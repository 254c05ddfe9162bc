"""Calibration: a network's confidence beside its accuracy, and accuracy at each share of images kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reliability:
    """Confidence (the predicted class's probability) beside accuracy, in bins of equal width.

    Args:
        edges: Of the bins [bins + 1], from 0 to 1.
        counts: Images in each bin [bins].
        confidence: Their mean confidence; not a number in an empty bin [bins].
        accuracy: The share of them that is right [bins].
        error: Expected calibration error: the mean over images of the distance between both.
        n: Images.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    error: float
    n: int

    @property
    def mean_confidence(self) -> float:
        """Over all images."""
        return float(np.nansum(self.confidence * self.counts) / self.n)

    @property
    def mean_accuracy(self) -> float:
        """Over all images."""
        return float(np.nansum(self.accuracy * self.counts) / self.n)


def calibration(probabilities: NDArray[np.float32], labels: NDArray[np.int64], *, bins: int = 15) -> Reliability:
    """The reliability diagram's numbers and the expected calibration error.

    With finite images the error of a perfectly calibrated network is above 0, by about the noise of the bins.

    Args:
        probabilities: float32 [n, classes], n at least 1.
        labels: int64 [n].
        bins: Of equal width; a confidence on an edge belongs to the bin below it.

    Source: Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", ICML.
    """
    confidence, hits = _confidence_and_hits(probabilities, labels)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, minlength=bins) / counts
        accuracy = np.bincount(place, hits, minlength=bins) / counts
    error = float(np.nansum(np.abs(mean - accuracy) * counts) / len(labels))
    return Reliability(edges, counts, mean, accuracy, error, len(labels))


@dataclass(frozen=True)
class Rejection:
    """Selective classification: accuracy if the least confident images were left to a person.

    Args:
        kept: Share of images kept, from the most confident one to all [n].
        accuracy: Share of the kept images that is right [n].
        confidence: The least confident of the kept ones [n].
    """

    kept: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]

    def kept_at(self, accuracy: float) -> float:
        """The largest share that can be kept with at least this accuracy; 0 where there is none."""
        enough = np.flatnonzero(self.accuracy >= accuracy)
        return float(self.kept[enough[-1]]) if len(enough) else 0.0


def rejection(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Rejection:
    """Accuracy over the most confident images, for every share of them.

    Source: El-Yaniv and Wiener (2010), "On the foundations of noise-free selective classification", JMLR 11.
    """
    confidence, hits = _confidence_and_hits(probabilities, labels)
    order = np.argsort(-confidence, kind="stable")
    kept = np.arange(1, len(labels) + 1)
    return Rejection(kept / len(labels), np.cumsum(hits[order]) / kept, confidence[order])


def _confidence_and_hits(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    predicted = probabilities.argmax(1)
    return probabilities[np.arange(len(labels)), predicted].astype(np.float64), predicted == labels
