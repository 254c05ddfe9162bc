"""Which images of a run's own training split have labels that its network doubts: ``exclude = "doubtful"``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data import TrainingData
from ..errors import RunError
from ..spec.data import Folds
from ..stats import label_errors
from .features import Features
from .task import Task

FOLDS = 3  # each image is judged by a network that has learned from the other two thirds

# Trains a task on some images, and says which of them were held out, by ascending index, and what the network says of
# these: logarithms of probabilities [held out, classes].
HeldOut = Callable[[Task, TrainingData], tuple[NDArray[np.int64], NDArray[np.float32]]]


def doubtful_images(task: Task, data: TrainingData, chosen: NDArray[np.int64], held_out: HeldOut) -> NDArray[np.int64]:
    """Images of the training split whose labels the arm's own network finds wrong, by ascending index.

    The network is trained ``FOLDS`` times, as the arm trains it, each time on all folds of the training split but one,
    and asked about that one. Validation and test images have no part in it: they are neither learned from, nor asked
    about, nor left out. At most half of a class is left out, the most doubtful first.

    Args:
        task: The run.
        data: All images.
        chosen: Its training split, by ascending index.
        held_out: Trains a network and asks it about the images that it has not learned from.

    Raises:
        RunError: A class has fewer images than there are folds, or there is one class only.

    Source: Northcutt, Jiang and Chuang (2021), "Confident learning: estimating uncertainty in dataset labels", JAIR 70,
    who leave out what cross-validation finds and train anew.
    """
    labels = np.asarray(data.labels[chosen])
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < FOLDS:
        lack = "one class only" if len(counts) < 2 else f"a class with {counts.min()} images"
        reason = f'exclude = "doubtful" parts the training split into {FOLDS} folds, and there is {lack}'
        raise RunError(reason, "leave exclude out, or train on more images of each class")
    part = _part_of(data, chosen)
    training = task.arm.training.model_copy(update={"exclude": None})
    folds = task.data.model_copy(update={"validation": Folds(folds=FOLDS), "training": None, "stratified": True})
    logs = np.zeros((len(chosen), task.num_classes), np.float32)
    for fold in range(1, FOLDS + 1):
        inner = replace(
            task, arm=task.arm.model_copy(update={"training": training}), data=folds, fold=fold, published=None,
            pause_after=None, measures=(),
        )  # fmt: skip
        places, values = held_out(inner, part)
        logs[places] = values
    errors = label_errors(np.exp(logs), labels)
    return chosen[_at_most_half(errors.wrong, errors.doubt, labels)]


def _at_most_half(wrong: NDArray[np.bool_], doubt: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    kept = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        named = members[wrong[members]]
        most = len(members) // 2
        kept.append(named[np.argsort(-doubt[named], kind="stable")[:most]])
    return np.sort(np.concatenate(kept))


def _part_of(data: TrainingData, chosen: NDArray[np.int64]) -> TrainingData:
    """Some of the images, as data of their own."""
    groups = None if data.groups is None else np.unique(data.groups[chosen], return_inverse=True)[1].astype(np.int64)
    changes: dict[str, Any] = {
        "images": np.asarray(data.images[chosen]), "labels": np.asarray(data.labels[chosen]), "groups": groups,
        "validation": None,
    }  # fmt: skip
    if isinstance(data, Features) and data.copies is not None:
        by_copy = data.copies.reshape(-1, len(data), *data.copies.shape[1:])
        changes["copies"] = np.concatenate([copy[chosen] for copy in by_copy])
    return replace(data, **changes)
