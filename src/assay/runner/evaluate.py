"""Evaluates finished runs image by image, where an earlier version finished them and kept less than this one does."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import DataError, NoCode
from ..numerals import counted
from ..spec import Device
from ..store import ImageHits, KeptPredictions, RunRecord, StoreReader, StoreWriter
from ..store.image_sets import Part
from ..train.task import Task
from .bases import ready
from .plan import Plan
from .worker import predictions_of

_QUIET_SECONDS = 10.0


def evaluate_finished(
    plan: Plan, writer: StoreWriter, reader: StoreReader, note: Callable[[str], None], *, threads: int
) -> None:
    """Store, of every finished run of a study that lacks it, which validation images its kept weights get right, and
    what they say of them.

    Nothing is trained: stored weights are evaluated here, on the path that trained them where this machine has it.

    Args:
        plan: A study's plan, which the store knows.
        writer, reader: Of its store.
        note: Takes sentences for the user: how many runs are evaluated, and what was unusual.
        threads: To evaluate with.

    Raises:
        DiskFull: There is no space left.
    """
    lacking = {run.id: run for run in reader.finished_without_hits(plan.study.name)}
    tasks = [_as_trained(task, lacking[task.id]) for task in plan.tasks if task.id in lacking]
    if plan.study.data.validation == "none" or not tasks:
        return
    runs, verb = counted(len(tasks), "finished run"), "lacks" if len(tasks) == 1 else "lack"
    note(f"{runs} {verb} per-image results: {'its' if len(tasks) == 1 else 'their'} stored weights are evaluated")
    ready(tasks, threads=threads, note=note)
    unreadable: list[str] = []
    deviations: list[float] = []
    shown = time.monotonic()
    for number, task in enumerate(tasks):
        if time.monotonic() - shown > _QUIET_SECONDS:
            shown = time.monotonic()
            note(f"{number:,} of {len(tasks):,} runs are evaluated")
        run = lacking[task.id]
        try:
            hits, predictions = evaluated(task, run, writer.folder, threads=threads)
        except (DataError, NoCode) as error:
            unreadable.append(str(error).rstrip("."))
            continue
        writer.put_validation_hits(plan.study.name, run.id, hits, predictions)
        recorded = run.kept.validation_accuracy if run.kept else math.nan
        difference = abs(hits.accuracy - recorded)
        if difference * hits.num_images > 1.5:  # more than one image
            deviations.append(difference)
    if deviations:
        note(
            f"{_counted(deviations)}: evaluated here, their accuracy differs from the recorded one by up to "
            f"{100 * max(deviations):.2f} points, as on other hardware it may"
        )
    if unreadable:
        note(f"{_counted(unreadable)} cannot be evaluated: {unreadable[0]}")


def evaluated(task: Task, run: RunRecord, store: Path, *, threads: int) -> tuple[ImageHits, KeptPredictions]:
    """Which validation images a finished run's stored weights get right, and what they say of them.

    Raises:
        DataError: The weights are missing, or are not the ones that were written.
    """
    import numpy as np

    from ..data import TestData, TrainingData, open_published, open_training
    from ..train.checkpoint import load_weights
    from ..train.engine import hits_in, learner_of, log_probabilities_of, split_of
    from ..train.features import features_of, test_features_of

    weights = load_weights(store / (run.weights_path or ""), run.weights_sha256 or "")
    data = features_of(task, open_training(task.images, task.labels, task.groups, task.validation))
    learner, views = learner_of(task, data, threads=threads), task.arm.training.evaluation
    if task.published:
        source: TrainingData | TestData = test_features_of(task, open_published(*task.published, task.data))
        part: Part = "test"
        indices = np.arange(len(source))
    else:
        source, part, indices = data, "training", split_of(task, data).validation
    logs = log_probabilities_of(learner, weights, source, indices, views)
    hits = ImageHits.of(part, indices, hits_in(logs, np.asarray(source.labels[indices])))
    return hits, predictions_of(logs, source, indices)


def _as_trained(task: Task, run: RunRecord) -> Task:
    """The task on the device and in the precision that trained it, where this machine has them."""
    from ..train.device import why_no_cuda

    device: Device = "cuda" if run.environment.get("device") == "cuda" and why_no_cuda() is None else "cpu"
    precision = "float32" if run.environment.get("precision") == "float32" else "auto"
    training = task.arm.training.model_copy(update={"precision": precision})
    return dataclasses.replace(task, device=device, arm=task.arm.model_copy(update={"training": training}))


def _counted(runs: list[float] | list[str]) -> str:
    return counted(len(runs), "run")
