"""Document D's last step: predicts unlabelled images and writes a file of ``Id,Category`` rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import disk
from ..analysis import best_arm
from ..data.readers.delimited import read_delimited
from ..results.recorded import dataset_of
from ..runner import make_plan
from ..spec import Reading, Study
from ..store import StudyRecord


def submit(study: Study, record: StudyRecord, store: Path, table: Path, target: Path) -> str | None:
    """Classify a table of images without labels with the study's best arm, by the mean probability of its seeds.

    Args:
        study: The study.
        record: Its record.
        store: The store's folder.
        table: One image a row, no label column.
        target: Written: a header, then a row number from 0 and a class for each image.

    Returns:
        The best arm on validation; ``None`` where no run has finished, and nothing is written.

    Raises:
        DataError: The table or a run's weights cannot be read.
        DiskFull: The file cannot be written.
    """
    best = best_arm(record)
    if best is None:
        return None
    splits, _ = read_delimited(table, Reading())
    classes = _probabilities(study, record, store, best, splits.training.images).argmax(1)
    names = record.data["classes"]
    rows = "".join(f"{index},{names[label]}\n" for index, label in enumerate(classes))
    disk.write(target, f"Id,Category\n{rows}".encode())
    return best


def _probabilities(
    study: Study, record: StudyRecord, store: Path, arm: str, images: NDArray[np.uint8]
) -> NDArray[np.float64]:
    from ..train.checkpoint import load_weights
    from ..train.predictor import predictor_of

    dataset = dataset_of(record)
    tasks = {task.id: task for task in make_plan(study, dataset, store).tasks}
    runs = [run for run in record.runs if run.arm == arm and run.state == "finished"]
    total = np.zeros((len(images), dataset.info.num_classes))
    for run in runs:
        predictor = predictor_of(tasks[run.id], dataset.training())
        predictor.load_weights(load_weights(store / (run.weights_path or ""), run.weights_sha256 or ""))
        total += predictor.probabilities(images)
    return total / len(runs)
