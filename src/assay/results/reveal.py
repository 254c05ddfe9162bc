"""Opening the sealed test split: the only place that scores on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..data import Dataset, TestData
from ..store import RunRecord, StudyRecord, TestScore
from ..train.task import Task


def num_unscored(record: StudyRecord, retrain: str | None = None) -> int | None:
    """How many runs are still to be scored on the test split; ``None`` where no run could be.

    Args:
        record: The study.
        retrain: Only runs of this arm that are trained anew, one for each of its seeds that have finished.
    """
    if retrain is None:
        finished = [run for run in record.runs if run.state == "finished"]
        return sum(run.test_accuracy is None for run in finished) if finished else None
    runs = record.runs_of(retrain)
    unfinished = {run.seed for run in runs if run.state != "finished"}
    seeds = {run.seed for run in runs} - unfinished
    scored = {run.seed for run in record.retrained if run.arm == retrain and run.test_accuracy is not None}
    return len(seeds - scored) if seeds else None


def score_runs(
    tasks: Sequence[tuple[RunRecord, Task]],
    dataset: Dataset,
    folder: Path,
    *,
    on_scored: Callable[[RunRecord, float], None] = lambda run, accuracy: None,
) -> dict[str, TestScore]:
    """Scores on the test split of finished runs, by run id.

    Networks are computed by torch's layers in float32, whichever code trained them: the same figures on any machine.

    Args:
        tasks: Finished runs with what they were trained on.
        dataset: The data set, whose test split is opened here.
        folder: The store's folder.
        on_scored: Called after each run.

    Raises:
        DataError: A run's weights are missing or are not the ones that were written.
    """
    test = dataset.test()
    scores: dict[str, TestScore] = {}
    for record, task in tasks:
        scores[record.id] = _score(record, task, dataset, test, folder)
        on_scored(record, scores[record.id].accuracy)
    return scores


def _score(record: RunRecord, task: Task, dataset: Dataset, test: TestData, folder: Path) -> TestScore:
    from ..train.checkpoint import load_weights
    from ..train.predictor import predictor_of

    # Made as for training, so that images are scaled by what the run was trained on, never by the test images.
    predict = predictor_of(task, dataset.training())
    predict.load_weights(load_weights(folder / (record.weights_path or ""), record.weights_sha256 or ""))
    loss, hits = predict.hits(test.images, test.labels)
    return TestScore(loss, float(np.mean(hits)), np.packbits(hits).tobytes())
