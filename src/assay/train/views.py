"""Evaluation by several views of an image: mirrored, moved by some pixels; the mean of the network's logits counts.

Source: Jordan (2024), "94% on CIFAR-10 in 3.29 seconds on a single GPU" (mirrored, and moved both ways along the
diagonal), after Krizhevsky, Sutskever and Hinton (2012).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import TestData, TrainingData
from ..spec import Evaluation
from .learner import Learner

_BATCH = 500  # images


def views_of(images: NDArray[Any], evaluation: Evaluation) -> Iterator[NDArray[Any]]:
    """The images [n, height, width, channels] as they are, moved towards the upper left and the lower right where
    ``shift`` says so, and each of these mirrored where ``flip`` does. Outside lies the image reflected, its edge
    repeated.
    """
    moves = [(0, 0)]
    if evaluation.shift:
        moves += [(evaluation.shift, evaluation.shift), (-evaluation.shift, -evaluation.shift)]
    height, width = images.shape[1:3]
    for down, right in moves:
        rows, columns = _reflected(np.arange(height) + down, height), _reflected(np.arange(width) + right, width)
        moved = images[:, rows[:, None], columns] if down or right else images
        yield moved
        if evaluation.flip:
            yield moved[:, :, ::-1]


def _reflected(places: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    inside = places % (2 * size)
    return np.minimum(inside, 2 * size - 1 - inside)


def logits_by_views(
    learner: Learner, data: TrainingData | TestData, indices: NDArray[np.int64], evaluation: Evaluation
) -> NDArray[np.float64]:
    """The mean logits of each image's views [indices, classes]."""
    parts = []
    for start in range(0, len(indices), _BATCH):
        images = np.take(data.images, indices[start : start + _BATCH], axis=0)
        logits = np.stack([learner.logits(view) for view in views_of(images, evaluation)])
        parts.append(logits.mean(0, dtype=np.float64))
    return np.concatenate(parts)


def scored_by_views(
    learner: Learner, data: TrainingData | TestData, indices: NDArray[np.int64], evaluation: Evaluation
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each image's cross-entropy (nats), and whether it is a hit [indices]: by its views' mean logits."""
    losses, is_hit = np.empty(len(indices)), np.empty(len(indices), np.bool_)
    for start in range(0, len(indices), _BATCH):
        chosen = indices[start : start + _BATCH]
        images, labels = np.take(data.images, chosen, axis=0), np.asarray(data.labels[chosen], np.int64)
        logits = np.stack([learner.logits(view) for view in views_of(images, evaluation)])
        mean: NDArray[np.float64] = logits.mean(0, dtype=np.float64)
        largest = mean.max(1)
        logs = np.log(np.exp(mean - largest[:, None]).sum(1)) + largest
        here = slice(start, start + len(chosen))
        losses[here] = logs - mean[np.arange(len(chosen)), labels]
        is_hit[here] = mean.argmax(1) == labels
    return losses, is_hit
