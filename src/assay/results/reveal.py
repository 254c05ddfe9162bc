"""Opening the sealed test split: the only place that scores on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..data import Dataset, TestData
from ..errors import DataError, InputError, Problem, SpecError
from ..runner import Progress, drive_plans, open_site, recorded_plan, retrain_plan
from ..store import (
    KeptPredictions,
    RunRecord,
    StoreWriter,
    StudyRecord,
    TestScore,
    brief_study,
    open_reader,
    open_writer,
    parts_of,
)
from ..train.device import device_of
from ..train.task import Task
from .recorded import dataset_of

if TYPE_CHECKING:
    import pandas as pd


def reveal_study(
    study: str,
    store: Path,
    *,
    retrain: str | None,
    on_scored: Callable[[RunRecord, float], None],
    on_progress: Callable[[int, int], None],
    workers: int | None,
    progress: Progress | None,
) -> pd.DataFrame:
    """``Result.reveal``."""
    from ..report import runs_frame

    if num_unscored(brief_study(store, study), retrain) == 0:
        if retrain is None:
            keep_test_predictions(_record_of(store, study), store)
        frame = runs_frame(_record_of(store, study), retrained=retrain is not None)
        frame.attrs["unscored"] = {}
        return frame
    with open_writer(store) as writer:
        record = _record_of(store, study)
        if record.sets:
            finished, scored = _scored_on_each(record, retrain, store, on_progress)
        else:
            finished, scored = _scored(record, retrain, store, on_progress, writer, workers, progress)
        if scored.scores:
            writer.put_look(
                study,
                scored.scores,
                num_runs=len(finished) - len(scored.unscored),
                test_images=scored.test_images,
                is_of_retrained=retrain is not None,
            )
        elif len(scored.unscored) == len(finished):
            raise DataError(problem for _, error in scored.unscored for problem in error.problems)
    for run, score in scored.scores.items():
        on_scored(finished[run], score.accuracy)
    frame = runs_frame(_record_of(store, study), retrained=retrain is not None)
    frame.attrs["unscored"] = {f"{run.arm}, {run.label}": str(error) for run, error in scored.unscored}
    return frame


def _record_of(store: Path, study: str) -> StudyRecord:
    with open_reader(store) as reader:
        return reader.study(study)


_RunsById = dict[str, RunRecord]


def _scored(
    record: StudyRecord,
    retrain: str | None,
    store: Path,
    on_progress: Callable[[int, int], None],
    writer: StoreWriter,
    workers: int | None,
    progress: Progress | None,
) -> tuple[_RunsById, Scored]:
    """The finished runs of a study, or of an arm that is trained again for it, and the scores of those without one."""
    design, dataset = record.design, dataset_of(record)
    if retrain is None:
        runs, tasks = tuple(record.runs), recorded_plan(record, dataset, store).tasks
    else:
        plan = retrain_plan(design, record, retrain, dataset, store, device=device_of(design.device))
        with open_reader(store) as reader, open_site("local", store / "logs") as site:
            drive_plans([plan], writer, reader, site, workers=workers, progress=progress)
        names, tasks = {arm for arm, _ in plan.members}, plan.tasks
        runs = tuple(run for run in _record_of(store, record.name).retrained if run.arm in names)
    finished = _finished(record.name, runs)
    return finished, score_runs(_unscored(finished.values(), tasks), dataset, store, on_progress=on_progress)


def _scored_on_each(
    record: StudyRecord, retrain: str | None, store: Path, on_progress: Callable[[int, int], None]
) -> tuple[_RunsById, Scored]:
    """The same of a study on several data sets: one look at the test images of all."""
    if retrain is not None:
        what = f'study "{record.name}" has several data sets, and an arm is retrained on one'
        raise SpecError(Problem(what, "make a study of that data set, whose finished runs are taken over", "retrain"))
    finished = _finished(record.name, record.runs)
    total, done = sum(run.test_accuracy is None for run in finished.values()), 0
    parts: list[Scored] = []
    for part in parts_of(record).values():
        dataset = dataset_of(part)
        new = _unscored([run for run in part.runs if run.id in finished], recorded_plan(part, dataset, store).tasks)
        parts.append(score_runs(new, dataset, store))
        done += len(new)
        on_progress(done, total)
    scores = {run: score for part in parts for run, score in part.scores.items()}
    unscored = tuple(one for part in parts for one in part.unscored)
    return finished, Scored(scores, unscored, " ".join(part.test_images for part in parts))


def _finished(study: str, runs: Iterable[RunRecord]) -> _RunsById:
    finished = {run.id: run for run in runs if run.state == "finished"}
    if not finished:
        raise SpecError(Problem(f'study "{study}" has no finished run to score', "run it first"))
    return finished


def _unscored(finished: Iterable[RunRecord], tasks: Iterable[Task]) -> list[tuple[RunRecord, Task]]:
    by_id = {task.id: task for task in tasks}
    return [(run, by_id[run.id]) for run in finished if run.test_accuracy is None]


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
