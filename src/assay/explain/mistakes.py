"""Mistakes of a network: confusion matrix, class scores, confused pairs, images with the highest loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def confusion_matrix(labels: Labels, predicted: Labels, num_classes: int) -> NDArray[np.int64]:
    """Images by true class (row) and predicted class (column) [classes, classes]."""
    return np.bincount(labels * num_classes + predicted, minlength=num_classes**2).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class ClassScores:
    """How well each class is recognised [classes each]; not a number where there is nothing to divide by.

    Args:
        precision: Of the images predicted as the class, the share that are of it.
        recall: Of the class's images, the share that are predicted as it.
        f1: The harmonic mean of both.
        support: The class's images.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: Labels


def class_scores(confusion: NDArray[np.int64]) -> ClassScores:
    """Precision, recall and F1 of every class.

    Args:
        confusion: As :func:`confusion_matrix` counts it.
    """
    hits = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(0), confusion.sum(1)
    with np.errstate(invalid="ignore"):
        return ClassScores(hits / predicted, hits / support, 2 * hits / (predicted + support), support)


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes that are mixed up.

    Args:
        a, b: Their labels, the lower first.
        a_for_b: Images of a that were predicted as b.
        b_for_a: Images of b that were predicted as a.
        share: Of the images of both classes, those that were predicted as the other.
    """

    a: int
    b: int
    a_for_b: int
    b_for_a: int
    share: float


def confused_pairs(confusion: NDArray[np.int64], *, count: int = 6) -> tuple[ConfusedPair, ...]:
    """The pairs of classes that are mixed up most often, in either direction; pairs that never are, are left out."""
    both, support = confusion + confusion.T, confusion.sum(1)
    first, second = np.triu_indices(len(confusion), 1)
    order = np.argsort(-both[first, second], kind="stable")[:count]
    pairs = [(int(first[at]), int(second[at])) for at in order]
    return tuple(
        ConfusedPair(a, b, int(confusion[a, b]), int(confusion[b, a]), float(both[a, b] / (support[a] + support[b])))
        for a, b in pairs
        if both[a, b]
    )


def losses_of(probabilities: NDArray[np.float32], labels: Labels) -> NDArray[np.float64]:
    """Cross-entropy of each image in nats [n]: minus the logarithm of its class's probability."""
    true_class = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(true_class, np.finfo(np.float32).tiny))


def top_losses(probabilities: NDArray[np.float32], labels: Labels, *, count: int = 24) -> Labels:
    """The images with the highest loss, the highest first: indices among all [count]."""
    return np.argsort(-losses_of(probabilities, labels), kind="stable")[:count]
