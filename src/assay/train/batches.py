"""The images of a step, augmented as the arm says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..data import TrainingData
from .augment import alternately, augment, cutmix, mixup
from .features import Features
from .learner import Batch
from .own_parts import Pixels, augmentation_of
from .task import Task


def batch_of(
    task: Task,
    data: TrainingData,
    indices: NDArray[np.int64],
    step: int,
    own: Callable[[Pixels, int], Pixels] | None = None,
    *,
    epoch: int = 0,
) -> Batch:
    """The images of one step in an epoch (from 0), augmented where the arm says so; ``own`` is its ``augmentation_of``,
    made if ``None``."""
    settings = task.arm.training.augmentation
    classes = np.asarray(data.labels[indices], dtype=np.int64)
    if isinstance(data, Features) and data.copies is not None:
        return _batch_of_copies(task, data, indices, step)
    if settings is None:
        return Batch(data.images, indices, classes)
    if settings.own is not None and own is None:
        own = augmentation_of(task.arm.training)
    key = task.streams.key("augment", step)
    images = np.take(data.images, indices, axis=0)
    if settings.moves_pixels or settings.cutout or own is None:
        mirrored = alternately(task.streams.key("augment"), indices, epoch) if settings.alternates else None
        images = augment(images, settings, key, indices, mirrored)
    if own is not None:
        images = own(images, key)  # type: ignore[assignment]
    places = np.arange(len(indices))
    if not settings.mixes:
        return Batch(images, places, classes)
    if settings.cutmix:
        images, partners, shares = cutmix(images, settings.cutmix, key)
        return Batch(images, places, classes, classes[partners], shares)
    partners, shares = mixup(classes, settings.mixup, key)
    weights = shares[:, None, None, None]
    images = np.rint(weights * images + (1 - weights) * images[partners]).astype(np.uint8)
    return Batch(images, places, classes, classes[partners], shares)


def _batch_of_copies(task: Task, data: Features, indices: NDArray[np.int64], step: int) -> Batch:
    """Each image as one of its augmented copies, drawn anew."""
    assert data.copies is not None
    drawn = task.streams.generator("augment", step).integers(len(data.copies) // len(data), size=len(indices))
    places = drawn * len(data) + indices
    return Batch(data.copies, places, np.asarray(data.labels[indices], dtype=np.int64))  # type: ignore[arg-type]
