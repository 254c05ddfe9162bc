"""A study's metric, checked on the images that its runs will be validated on, before anything trains."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..data import Dataset, split_for
from ..errors import DataError
from ..measures import Measure, Predictions, measure_called
from ..spec import Study
from ..spec.metric import RECORDED
from .own_code import named_metric

_MOST_SPLITS = 100  # seeds whose validation images are looked at


def with_checked_metric(study: Study, dataset: Dataset) -> Study:
    """The study, whose metric is known by its source where it is the user's own code.

    Raises:
        SpecError: A function of the user's own cannot be imported.
        DataError: The data set has no such class, or a seed's validation images cannot have the metric: an AUC of one
            class, a group without members, a function that gives no number.
    """
    named = study if study.metric is None else study.model_copy(update={"metric": named_metric(study.metric)})
    asked = {named.metric: "metric"} if named.metric is not None else {}
    for arm in study.expand():
        asked |= {name: "training" for name in arm.training.measures if name not in asked}
    if study.search is not None and study.search.metric not in RECORDED:
        asked.setdefault(study.search.metric, "search.objective")
    for name, key in asked.items():
        try:
            check_measure(measure_called(name, dataset.info.classes, key=key), study, dataset)
        except DataError as error:
            raise DataError(problem.at(key=key) for problem in error.problems) from None
    return named


def check_measure(measure: Measure, study: Study, dataset: Dataset) -> None:
    """Compute a measure of a network that guesses, on the validation images of each seed and fold.

    Raises:
        DataError: A seed's images cannot have it.
    """
    training, classes = dataset.training(), dataset.info.classes
    is_published = dataset.published_files(study.data) is not None
    folds: list[int | None] = list(range(1, study.data.num_folds + 1)) if study.data.num_folds else [None]
    is_drawn = study.data.is_drawn and "split" in study.seeds.vary and not is_published
    for number in range(min(study.seeds.planned, _MOST_SPLITS) if is_drawn else 1):
        seed = study.seeds.start + number
        for fold in folds:
            if is_published:
                labels, groups = np.asarray(dataset.test().labels), None
            else:
                chosen = split_for(training, study.data.whole, seed=seed, vary=study.seeds.vary, fold=fold).validation
                labels = np.asarray(training.labels[chosen])
                groups = None if training.groups is None else np.asarray(training.groups[chosen])
            guess = np.full((len(labels), len(classes)), -math.log(len(classes)))
            try:
                measure.value(Predictions(guess, labels, classes, groups))
            except DataError as error:
                where = f"validation images of seed {seed}" + ("" if fold is None else f", fold {fold}")
                problems = [replace(problem, what=f"{where}: {problem.what}") for problem in error.problems]
                raise DataError(problems) from None
