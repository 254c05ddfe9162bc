"""Training images whose labels the trained networks doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..data import Dataset, TrainingData
from ..errors import Problem, SpecError
from ..stats import label_errors
from ..stats.label_errors import NAMED
from ..store import RunRecord, StudyRecord
from ..train.task import Task

FEWEST_OF_A_CLASS = 10  # held-out images, below which thresholds of a class say nothing


@dataclass(frozen=True)
class Doubt:
    """A training image whose label is probably wrong.

    Args:
        index: Its place in the training data.
        label: Its label.
        predicted: The class that it more likely shows.
        doubt: The probability that its label is wrong, by runs that never learned from it; not a number where every run
            did, and most of them still take it for another class.
        wrong: Runs that do not see its label.
        held_out: Of those, runs that had it in their validation split: they never learned its label.
        runs: All runs that were asked.
    """

    index: int
    label: int
    predicted: int
    doubt: float
    wrong: int
    held_out: int
    runs: int


def doubts(
    study: StudyRecord,
    runs: Sequence[tuple[RunRecord, Task]],
    dataset: Dataset,
    folder: Path,
    *,
    least: float = NAMED,
) -> tuple[Doubt, ...]:
    """Images whose labels are probably wrong, the most doubtful first.

    Images that some runs held out are judged by these, by their mean probabilities (``stats.label_errors``). With folds
    that is every image, and what runs said of their validation images is in the store: no network is asked. Images that
    every run learned from are named where more than half of the runs still take them for another class; for that the
    networks are asked.

    Args:
        study: The study's record.
        runs: Finished runs of one arm with what they were trained on.
        dataset: Their data; the test split is not opened.
        folder: The store's folder.
        least: The smallest doubt that is named, in (0, 1).

    Raises:
        SpecError: ``least`` is outside (0, 1), there is no finished run, or validation images are the test images.
        DataError: A run's weights are needed, and are missing or damaged.
    """
    if not 0 < least < 1:
        raise SpecError(Problem(f"the least doubt is {least:g}", "give a probability between 0 and 1, such as 0.5"))
    if not runs:
        raise SpecError(Problem("the best arm has no finished run", "run the study first"))
    data = dataset.training()
    asked = _Asked.nobody(len(data), dataset.info.num_classes)
    if not _add_kept(asked, study, runs, data):
        asked = _Asked.nobody(len(data), dataset.info.num_classes)
        for record, task in runs:
            _add(asked, *_ask(record, task, data, folder), np.asarray(data.labels))
    return _doubts(asked, np.asarray(data.labels), least)


@dataclass(eq=False)
class _Asked:
    """What runs said: votes of all of them [n, classes], summed probabilities of those that held an image out, how many
    these are [n], and how many of all and of these do not see the label [n]."""

    votes: NDArray[np.int32]
    held: NDArray[np.float64]
    num_held: NDArray[np.int32]
    wrong: NDArray[np.int32]
    wrong_held: NDArray[np.int32]

    @classmethod
    def nobody(cls, n: int, num_classes: int) -> _Asked:
        counts = [np.zeros(n, np.int32) for _ in range(3)]
        return cls(np.zeros((n, num_classes), np.int32), np.zeros((n, num_classes)), *counts)


def _add(
    asked: _Asked,
    places: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    validation: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> None:
    """One more run, which was asked about some images and held some of these out."""
    predicted = probabilities.argmax(1)
    asked.votes[places, predicted] += 1
    is_wrong = np.zeros(len(labels), bool)
    is_wrong[places] = predicted != labels[places]
    asked.wrong += is_wrong
    is_held = np.zeros(len(labels), bool)
    is_held[validation] = True
    asked.wrong_held += is_wrong & is_held
    asked.num_held += is_held
    asked.held[places[is_held[places]]] += probabilities[is_held[places]]


def _add_kept(asked: _Asked, study: StudyRecord, runs: Sequence[tuple[RunRecord, Task]], data: TrainingData) -> bool:
    """From the store, what runs said of validation images; whether every image is among these."""
    sets = study.image_sets
    for _, images, kept in study.predictions([run.id for run, _ in runs], "validation"):
        if images not in sets or not images.startswith("training:") or not kept.is_kept:
            return False
        logs, _, _ = kept.arrays()
        values = np.exp(logs.astype(np.float64))
        _add(asked, sets[images], values / values.sum(1, keepdims=True), sets[images], np.asarray(data.labels))
    return bool((asked.num_held > 0).all())


def _ask(
    record: RunRecord, task: Task, data: TrainingData, folder: Path
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """A run's probabilities of every training image, and which of these are its validation images."""
    from ..train.checkpoint import load_weights
    from ..train.engine import split_of
    from ..train.predictor import predictor_of

    predictor = predictor_of(task, data)
    predictor.load_weights(load_weights(folder / (record.weights_path or ""), record.weights_sha256 or ""))
    validation = split_of(task, data).validation if task.data.validation != "test" else np.zeros(0, np.int64)
    return np.arange(len(data)), predictor.probabilities(data.images), validation


def _doubts(asked: _Asked, labels: NDArray[np.int64], least: float) -> tuple[Doubt, ...]:
    held = np.flatnonzero(asked.num_held)
    runs = asked.votes.sum(1)
    doubt, likely = np.full(len(labels), np.nan), asked.votes.argmax(1)
    named = np.zeros(len(labels), bool)
    if len(held) and np.unique(labels[held], return_counts=True)[1].min() >= FEWEST_OF_A_CLASS:
        errors = label_errors(asked.held[held] / asked.num_held[held, None], labels[held])
        doubt[held], likely[held], named[held] = errors.doubt, errors.likely, errors.doubt > least
    named |= np.isnan(doubt) & (asked.wrong > runs / 2)
    order = sorted(
        np.flatnonzero(named).tolist(),
        key=lambda index: (
            bool(np.isnan(doubt[index])), -float(np.nan_to_num(doubt[index])), -int(asked.wrong[index]), index
        ),
    )  # fmt: skip
    return tuple(
        Doubt(
            index, int(labels[index]), int(likely[index]), float(doubt[index]), int(asked.wrong[index]),
            int(asked.wrong_held[index]), int(runs[index]),
        )
        for index in order
    )  # fmt: skip
