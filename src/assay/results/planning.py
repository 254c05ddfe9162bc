"""A plan of seeds and images, from a store's runs and the networks that they left."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..analysis.planning import SeedPlan, plan_seeds
from ..analysis.seed_spreads import LabelsOf, ProbabilitiesOf, moved, spreads_of
from ..data import info_of, num_validation
from ..errors import DataError, NoCode, NoStore, NoSuchStudy, Problem, SpecError
from ..runner import recorded_plan
from ..spec import Study
from ..store import RunRecord, StudyRecord, open_reader, part_of_run, parts_of
from .recorded import dataset_of, split_of_run


def seed_plan(study: Study, store: Path, *, difference: float | None = None, like: str | None = None) -> SeedPlan:
    """How many seeds and validation images a wanted difference needs.

    Args:
        study: The design.
        store: The store's folder, which holds runs of the study, or of ``like``.
        difference: The wanted difference, in percentage points; the study's margin if ``None``, and where it has none,
            only what the planned seeds see is said.
        like: The name of a study in the store whose runs tell how much seeds differ; the study itself if ``None``.

    Raises:
        NoSuchStudy: The store does not hold ``like``.
        SpecError: No run tells how much seeds differ, the study has folds, or the difference is none.
    """
    from ..system import num_cores

    if study.data.num_folds:
        what = "folds share training images, so that a plan for them cannot be made from single runs"
        raise SpecError(Problem(what, "plan with a share of validation images", "data.validation"))
    if study.measured != "accuracy":
        what = f'a plan counts accuracy, and the study goes by "{study.measured}"'
        raise SpecError(Problem(what, "plan a study of the same arms without metric", "metric"))
    record = _record(study.name, store)
    if like is not None:
        other = _record(like, store)
        if other is None:
            raise NoSuchStudy(Problem(f'there is no study "{like}" in {store}', "name one that has run", "--like"))
        info = info_of(study.data)
        images = num_validation(study.data, info)
        is_drawn = study.data.is_drawn and "split" in study.seeds.vary
        spreads = spreads_of(other, probabilities_of(other, store), labels_of(other))
        spreads = moved(spreads, images=images, overlap=images / info.num_training if is_drawn else 1.0)
        pool = info.num_training
    else:
        if record is None:
            what = f'"{study.name}" has no runs in {store}, so nothing is known of how much seeds differ'
            raise SpecError(
                Problem(what, "run it with [seeds] count = 2 first, or name a study that has run with --like", "runs")
            )
        spreads = spreads_of(record, probabilities_of(record, store), labels_of(record))
        pool = 0
    return plan_seeds(
        study, record, spreads, difference=difference, num_training=pool, workers=num_cores(),
        like=like or "",
    )  # fmt: skip


def labels_of(record: StudyRecord) -> LabelsOf:
    """Labels of a data set's training images, where it is at hand."""

    def read(data: str) -> NDArray[np.integer] | None:
        try:
            return np.asarray(dataset_of(parts_of(record)[data]).training().labels)
        except (DataError, SpecError):
            return None

    return read


def probabilities_of(record: StudyRecord, store: Path) -> ProbabilitiesOf:
    """Class probabilities of the study's finished runs on their validation images, computed from their weights.

    ``None`` for a run whose weights, data or code are not at hand.
    """

    def compute(run: RunRecord) -> NDArray[np.floating] | None:
        from ..train.checkpoint import load_weights
        from ..train.predictor import predictor_of

        if record.is_leaky or run.weights_path is None:
            return None
        with contextlib.suppress(DataError, SpecError, NoCode):
            part, run = part_of_run(record, run)
            dataset = dataset_of(part)
            training = dataset.training()
            task = next(task for task in recorded_plan(part, dataset, store).tasks if task.id == run.id)
            predictor = predictor_of(task, training)
            predictor.load_weights(load_weights(store / (run.weights_path or ""), run.weights_sha256 or ""))
            chosen = np.sort(split_of_run(part, run, training).validation)
            return predictor.probabilities(training.images[chosen])
        return None

    return compute


def _record(name: str, store: Path) -> StudyRecord | None:
    try:
        with open_reader(store) as reader:
            return reader.study(name)
    except (NoSuchStudy, NoStore):
        return None
