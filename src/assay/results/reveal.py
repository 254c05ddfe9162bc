"""Opening the sealed test split: the only place that scores on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..data import Dataset, TestData
from ..errors import DataError, InputError
from ..runner import recorded_plan
from ..store import KeptPredictions, RunRecord, StudyRecord, TestScore, open_reader, open_writer
from ..train.task import Task
from .recorded import dataset_of


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


def looks_so_far(record: StudyRecord, dataset: Dataset, folder: Path) -> StudyRecord:
    """The record with the looks of other studies counted at the test images themselves.

    A store knows which data sets were looked at. That another data set has the same test images only these show.

    Args:
        record: What the store knows of the study.
        dataset: Its data set.
        folder: The store's folder.

    Raises:
        DataError: The data set has no test split.
    """
    with open_reader(folder) as reader:
        num_looks = reader.looks_elsewhere(record.name, dataset.test().images_sha256())
    return replace(record, looks_elsewhere=num_looks)


@dataclass(frozen=True)
class Scored:
    """What scoring gave: scores by run id, why the other runs have none, and which images were looked at.

    Args:
        scores: By run id.
        unscored: Each run whose weights are missing or damaged, with what is wrong with them.
        test_images: ``TestData.images_sha256``.
    """

    scores: dict[str, TestScore]
    unscored: tuple[tuple[RunRecord, DataError], ...]
    test_images: str


def score_runs(
    tasks: Sequence[tuple[RunRecord, Task]],
    dataset: Dataset,
    folder: Path,
    *,
    on_progress: Callable[[int, int], None] = lambda num_done, num_runs: None,
) -> Scored:
    """Scores on the test split of finished runs. Nothing is shown before the look at them is stored.

    Networks are computed by torch's layers in float32, whichever code trained them: the same figures on any machine.

    Args:
        tasks: Finished runs with what they were trained on.
        dataset: The data set, whose test split is opened here.
        folder: The store's folder.
        on_progress: Called after each run with how many are done, and of how many.

    Raises:
        DataError: The data set has no test split.
    """
    test = dataset.test()
    scores: dict[str, TestScore] = {}
    unscored = []
    for number, (record, task) in enumerate(tasks, start=1):
        try:
            scores[record.id] = _score(record, task, dataset, test, folder)
        except DataError as error:
            unscored.append((record, error))
        on_progress(number, len(tasks))
    return Scored(scores, tuple(unscored), test.images_sha256())


def keep_test_predictions(record: StudyRecord, folder: Path) -> None:
    """Keep what runs say of the test images that an earlier version scored without keeping it. That is no look: their
    scores are known.

    Runs whose weights or data are gone stay without.
    """
    scored = {run.id: run for run in record.runs if run.state == "finished" and run.test_accuracy is not None}
    with open_reader(folder) as reader:
        lacking = scored.keys() - reader.runs_with_predictions(scored, "test")
    if not lacking:
        return
    with contextlib.suppress(InputError):
        dataset = dataset_of(record)
        tasks = {task.id: task for task in recorded_plan(record, dataset, folder).tasks}
        again = score_runs([(scored[run], tasks[run]) for run in lacking], dataset, folder).scores
        kept = {run: score.predictions for run, score in again.items() if score.predictions is not None}
        with open_writer(folder) as writer:
            writer.put_test_predictions(kept)


def _score(record: RunRecord, task: Task, dataset: Dataset, test: TestData, folder: Path) -> TestScore:
    from ..train.checkpoint import load_weights
    from ..train.predictor import predictor_of

    # Made as for training, so that images are scaled by what the run was trained on, never by the test images.
    predict = predictor_of(task, dataset.training())
    predict.load_weights(load_weights(folder / (record.weights_path or ""), record.weights_sha256 or ""))
    loss, hits, logs = predict.judged(test.images, test.labels)
    kept = KeptPredictions.of(logs, test.labels)
    return TestScore(loss, float(np.mean(hits)), np.packbits(hits).tobytes(), kept)
