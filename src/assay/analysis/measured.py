"""By which measure a study is judged, and what each of its runs scores by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem
from ..measures import ACCURACY, Measure, Predictions, ReportedMeasure, measure_called
from ..spec import Study
from ..store.predictions import Split
from ..store.records import StudyRecord


def measure_of(study: StudyRecord) -> Measure:
    """The measure that verdicts are of.

    Raises:
        SpecError, DataError, NoCode: As ``measures.measure_called``.
    """
    if study.judged_by is not None:
        return study.judged_by
    if measure_of not in study.cached:
        study.cached[measure_of] = measure_called(study.design.measured, study.data.get("classes", ()))
    result: Measure = study.cached[measure_of]
    return result


def is_exploratory(study: StudyRecord) -> bool:
    """Whether the record is seen by another measure than the one that the study named beforehand."""
    return study.judged_by is not None and not study.source


def exploratory_sentence(study: StudyRecord) -> str:
    """How to read verdicts by a measure that was named after the study had been planned, without a full stop."""
    own = measure_called(study.design.measured, study.data.get("classes", ()))
    measure = measure_of(study)
    return (
        f"Exploratory: the study goes by {own.label}, and {measure.label} is one of many measures that may be looked "
        "at; 5 % of false calls hold for each by itself, not for the one that shows a difference. "
        f'metric = "{measure.name}" in a new study confirms it'
    )


def seen_by(study: StudyRecord, metric: str | Measure, groups: NDArray[np.integer] | None = None) -> StudyRecord:
    """The record as seen by a measure; the record itself where that is the study's own.

    Args:
        study: Its record.
        metric: The measure, or its name.
        groups: To which group each training image belongs [images], instead of the data set's own groups.

    Raises:
        SpecError, DataError, NoCode: As ``measures.measure_called``; or there are not as many groups as images.
    """
    measure = measure_called(metric, study.data.get("classes", ())) if isinstance(metric, str) else metric
    if measure == measure_of(study) and groups is None:
        return study
    num_images = int(study.data.get("num_training", 0))
    if groups is not None and len(groups) != num_images:
        what = f"got groups of {len(groups):,} images, and the data set has {num_images:,} training images"
        raise DataError(Problem(what, "give one for each training image, in their order"))
    return replace(study, judged_by=measure, judged_groups=groups)


def as_asked(study: StudyRecord, asked: Study) -> StudyRecord:
    """The record as its study's file of now asks: by another metric, perhaps, than the file that it was run from."""
    if asked.metric == study.design.metric:
        return study
    spec = {key: value for key, value in study.spec.items() if key != "metric"}
    return replace(study, spec=spec if asked.metric is None else {**spec, "metric": asked.metric})


def run_values(study: StudyRecord, split: Split) -> NDArray[np.float64]:
    """What each run scores; not a number for one without a score [runs].

    Raises:
        DataError: Predictions that the measure needs were not kept, or the images cannot have the measure.
    """
    measure, columns = measure_of(study), study.columns
    accuracies = columns.accuracy if split == "validation" else columns.test_accuracy
    if measure == ACCURACY or isinstance(measure, ReportedMeasure):
        return accuracies
    key = (run_values, split)
    if key not in study.cached:
        values: dict[str, float] = {}
        for run, _, one in predictions_of(study, split):
            try:
                values[run] = measure.value(one)
            except DataError as error:
                raise _of_run(study, run, error) from error
        study.cached[key] = np.array([values.get(run, np.nan) for run in columns.ids], dtype=np.float64)
    result: NDArray[np.float64] = study.cached[key]
    return result


def predictions_of(study: StudyRecord, split: Split) -> Iterator[tuple[str, str, Predictions]]:
    """Of each run with a score: its id, the id of its images ("" of test images), and its predictions.

    Raises:
        DataError: They were not kept.
    """
    columns = study.columns
    accuracies = columns.accuracy if split == "validation" else columns.test_accuracy
    scored = np.flatnonzero(~np.isnan(columns.scores(accuracies)))
    wanted = {columns.ids[place]: int(place) for place in scored.tolist()}
    classes = tuple(map(str, study.data.get("classes", ())))
    num_kept = 0
    for run, images, kept in study.predictions(list(wanted), split):
        if not kept.is_kept:
            raise _too_many(study, len(kept.labels) // 4, kept.num_classes)
        logs, labels, groups = kept.arrays()
        names = classes if len(classes) == kept.num_classes else tuple(map(str, range(kept.num_classes)))
        if study.judged_groups is not None:
            if split == "test":
                raise DataError(Problem("groups are given of training images", "compare on validation images"))
            groups = study.judged_groups[study.image_sets[images]].astype(np.int64)
        num_kept += 1
        yield run, images, Predictions(logs, labels, names, groups)
    if num_kept < len(wanted):
        raise _not_kept(study, split, len(wanted) - num_kept, len(wanted))


def _of_run(study: StudyRecord, run: str, error: DataError) -> DataError:
    """An error in what one run's predictions can have, with the run."""
    columns = study.columns
    place = list(columns.ids).index(run)
    label = f"seed {columns.seed[place]} of {columns.arms[columns.arm[place]]}"
    return DataError(replace(problem, what=f"{label}: {problem.what}") for problem in error.problems)


def _not_kept(study: StudyRecord, split: Split, lacking: int, total: int) -> DataError:
    have = "1 run was" if lacking == 1 else f"{lacking:,} of {total:,} runs were"
    when = "finished" if split == "validation" else "revealed"
    what = f"{measure_of(study).label} is computed from predictions, and {have} {when} before Assay kept them"
    verb = "run" if split == "validation" else "reveal"
    return DataError(Problem(what, f"`assay {verb}` the study again, which evaluates them and trains nothing"))


def _too_many(study: StudyRecord, num_images: int, num_classes: int) -> DataError:
    what = (
        f"{measure_of(study).label} is computed from predictions, and those of {num_images:,} images of "
        f"{num_classes:,} classes take too much space to be kept"
    )
    return DataError(Problem(what, "judge by accuracy, or validate on fewer images"))
