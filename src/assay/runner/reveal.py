"""Opening the sealed test split: the only place that scores on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..data import Dataset, TestData
from ..store import RunRecord
from ..train.task import Task


def score_runs(
    tasks: Sequence[tuple[RunRecord, Task]],
    dataset: Dataset,
    folder: Path,
    *,
    on_scored: Callable[[RunRecord, float], None] = lambda run, accuracy: None,
) -> dict[str, tuple[float, float]]:
    """Loss (nats) and accuracy (fraction) on the test split of finished runs, by run id.

    Args:
        tasks: Finished runs with what they were trained on.
        dataset: The data set, whose test split is opened here.
        folder: The store's folder.
        on_scored: Called after each run.

    Raises:
        DataError: A run's weights are missing or are not the ones that were written.
    """
    test = dataset.test()
    scores: dict[str, tuple[float, float]] = {}
    for record, task in tasks:
        scores[record.id] = _score(record, task, dataset, test, folder)
        on_scored(record, scores[record.id][1])
    return scores


def _score(record: RunRecord, task: Task, dataset: Dataset, test: TestData, folder: Path) -> tuple[float, float]:
    from ..train.checkpoint import load_weights
    from ..train.engine import evaluate, learner_of

    # Made as for training, so that images are scaled by what the run was trained on, never by the test images.
    learner = learner_of(task, dataset.training())
    learner.load_weights(load_weights(folder / (record.weights_path or ""), record.weights_sha256 or ""))
    return evaluate(learner, test, np.arange(len(test)))
