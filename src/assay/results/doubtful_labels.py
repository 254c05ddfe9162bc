"""Training images whose labels the trained networks doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data import Dataset, TrainingData
from ..errors import Problem, SpecError
from ..store import RunRecord
from ..train.task import Task


@dataclass(frozen=True)
class Doubt:
    """A training image that most runs take for another class than its label says.

    Args:
        index: Its place in the training data.
        label: Its label.
        predicted: The class that most runs take it for.
        wrong: Runs that do not see its label.
        held_out: Of those, runs that had it in their validation split: they never learned its label.
        runs: All runs that were asked.
    """

    index: int
    label: int
    predicted: int
    wrong: int
    held_out: int
    runs: int


def doubts(runs: Sequence[tuple[RunRecord, Task]], dataset: Dataset, folder: Path) -> tuple[Doubt, ...]:
    """Images that more than half of these runs get wrong, those that most of them get wrong first.

    Every run is asked about every training image, its own ones too: a label that a network has learned and still
    does not see is the more doubtful.

    Args:
        runs: Finished runs of one arm with what they were trained on.
        dataset: Their data; the test split is not opened.
        folder: The store's folder.

    Raises:
        SpecError: There is no finished run.
        DataError: A run's weights are missing or damaged.
    """
    if not runs:
        raise SpecError(Problem("the best arm has no finished run", "run the study first"))
    data = dataset.training()
    votes = np.zeros((len(data), dataset.info.num_classes), np.int32)
    wrong, held_out = np.zeros(len(data), np.int32), np.zeros(len(data), np.int32)
    for record, task in runs:
        predicted, validation = _predict(record, task, data, folder)
        votes[np.arange(len(data)), predicted] += 1
        is_wrong = predicted != data.labels
        wrong += is_wrong
        held_out[validation] += is_wrong[validation]
    chosen = np.flatnonzero(wrong > len(runs) / 2)
    order = sorted(chosen.tolist(), key=lambda index: (-int(wrong[index]), -int(held_out[index]), index))
    seen = votes.argmax(1)
    return tuple(
        Doubt(index, int(data.labels[index]), int(seen[index]), int(wrong[index]), int(held_out[index]), len(runs))
        for index in order
    )


def _predict(
    record: RunRecord, task: Task, data: TrainingData, folder: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The class that a run sees in each training image, and its validation images."""
    from ..train.checkpoint import load_weights
    from ..train.engine import split_of
    from ..train.predictor import predictor_of

    predictor = predictor_of(task, data)
    predictor.load_weights(load_weights(folder / (record.weights_path or ""), record.weights_sha256 or ""))
    return predictor.probabilities(data.images).argmax(1), split_of(task, data).validation
