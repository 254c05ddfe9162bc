"""How much seeds differ, from what the runs of a study get right."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..numerals import counted
from ..stats.seed_spread import (
    SeedSpread,
    noise_of_errors,
    noise_of_probabilities,
    shift_of_epochs,
    spread_of_one,
    spread_of_seeds,
    variance_by_class,
)
from ..store.records import RunRecord, StudyRecord
from .grid import grid_of
from .hits import hits_of
from .image_spread import crossing_of
from .rows import Row, arms_by_data, places_of, planned_rows
from .scores import validates_on_same_images

# Class probabilities of a finished run on its validation images, in their order; None where they cannot be had.
LabelsOf = Callable[[str], NDArray[np.integer] | None]  # of a data set's training images; None where not at hand
ProbabilitiesOf = Callable[[RunRecord], NDArray[np.floating] | None]


_MOST_BY_CLASS = 50  # seeds: more make the variance by class no surer


@dataclass(frozen=True)
class Spreads:
    """What a study's runs say of how much seeds differ.

    Args:
        arms: By arm's name, its accuracy's spread.
        contrasts: The planned contrasts, with the spread of each difference; only those that runs tell something of.
        sources: By the contrast's or arm's label, what the prediction is made from.
        seconds: By arm, what a run takes.
        pools: By contrast, how many images its validation images are drawn from, with them.
    """

    arms: Mapping[str, SeedSpread]
    contrasts: Mapping[tuple[str, str], SeedSpread]
    sources: Mapping[str, str]
    seconds: Mapping[str, float]
    pools: Mapping[tuple[str, str], int] = field(default_factory=dict)


def spreads_of(
    study: StudyRecord, probabilities: ProbabilitiesOf | None = None, labels: LabelsOf | None = None
) -> Spreads:
    """What a study's runs say of how much seeds differ.

    Args:
        study: Its record, with epochs.
        probabilities: Where class probabilities are had, for arms of a single run; errors alone are used without them.
        labels: Where labels are had, by the name of the data set ("" where there is one).
    """
    labelled: dict[str, NDArray[np.integer] | None] = {}

    def labels_on(data: str) -> NDArray[np.integer] | None:
        if data not in labelled:
            labelled[data] = None if labels is None or study.is_leaky else labels(data)
        return labelled[data]

    arms: dict[str, SeedSpread] = {}
    sources: dict[str, str] = {}
    noises: dict[str, float] = {}
    data_of = {arm.name: name for name, arms_ in arms_by_data(study).items() for arm in arms_}
    for arm in grid_of(study).arms:
        row = Row("", arm, (arm,), (1.0,), data=data_of[arm])
        known = _seeds_with_hits(study, row)
        if not len(known):
            continue
        if len(known) > 1:
            arms[arm] = _of_seeds(study, row, known, labels_on(row.data))
            sources[arm] = counted(len(known), "seed")
            noises[arm] = arms[arm].noise
            continue
        hits, curves = _values(study, row, known)[0], _curves(study, row, known)
        run = study.runs[int(_runs(study, row, known)[0, 0])]
        given = None if probabilities is None else probabilities(run)
        if given is not None and len(given) == len(hits):
            noises[arm], sources[arm] = noise_of_probabilities(given, float(hits.mean())), "one run's probabilities"
        else:
            noises[arm], sources[arm] = noise_of_errors(1 - float(hits.mean())), "one run's error rate"
        arms[arm] = spread_of_one(
            hits, noises[arm], overlap=_overlap(study, len(hits), row.data), shift=shift_of_epochs(curves)
        )
    contrasts: dict[tuple[str, str], SeedSpread] = {}
    pools: dict[tuple[str, str], int] = {}
    for row in planned_rows(study):
        known = _seeds_with_hits(study, row)
        pools[row.a, row.b] = int(study.data_on(row.data).get("num_training", 0))
        if len(known) > 1:
            contrasts[row.a, row.b] = _of_seeds(study, row, known, labels_on(row.data))
        elif len(known) == 1:
            values, curves = _values(study, row, known)[0], _curves(study, row, known)
            noise = sum(weight**2 * noises[arm] for arm, weight in zip(row.arms, row.weights, strict=True))
            contrasts[row.a, row.b] = spread_of_one(
                values, noise, overlap=_overlap(study, len(values), row.data), shift=shift_of_epochs(curves),
                scale=_scale(values),
            )  # fmt: skip
    return Spreads(arms, contrasts, sources, _seconds(study), pools)


def moved(spreads: Spreads, *, images: int, overlap: float) -> Spreads:
    """The spreads of another study's runs on this one's number of validation images."""
    return replace(
        spreads,
        arms={key: one.on(images, overlap) for key, one in spreads.arms.items()},
        contrasts={key: one.on(images, overlap) for key, one in spreads.contrasts.items()},
        pools={},
        seconds={"": statistics.median(spreads.seconds.values())} if spreads.seconds else {},
    )


def _seeds_with_hits(study: StudyRecord, row: Row) -> NDArray[np.int64]:
    """Places of the seeds on whose images all of a row's arms have results, in the study's grid."""
    runs = grid_of(study).runs[places_of(study, row)][:, :, 0]
    hits = hits_of(study, "validation")
    sets = np.where(runs >= 0, hits.image_set[runs], -1) if len(hits.image_set) else np.full(runs.shape, -1)
    finished = np.where(runs >= 0, study.columns.is_finished[runs], False) if len(study.columns) else runs >= 0
    return np.flatnonzero(((sets >= 0) & (sets == sets[0]) & finished).all(0))


def _runs(study: StudyRecord, row: Row, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(grid_of(study).runs[places_of(study, row)][:, seeds, 0])


def _of_seeds(study: StudyRecord, row: Row, seeds: NDArray[np.int64], labels: NDArray[np.integer] | None) -> SeedSpread:
    hits, runs = hits_of(study, "validation"), _runs(study, row, seeds)
    images = hits.images_of(hits.image_set[runs[0]])
    shift, classes = shift_of_epochs(_curves(study, row, seeds)), None
    if labels is not None:
        some = seeds[:_MOST_BY_CLASS]
        of_seeds = [labels[hits.sets[number]] for number in hits.image_set[runs[0, : len(some)]].tolist()]
        values = [_values(study, row, some[at : at + 1])[0] for at in range(len(some))]
        classes = variance_by_class(values, of_seeds)
    return spread_of_seeds(crossing_of(hits, row, runs, images), shift=shift, classes=classes)


def _values(study: StudyRecord, row: Row, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weighted sum of hits by seed and image [seeds, images]."""
    hits, runs = hits_of(study, "validation"), _runs(study, row, seeds)
    size = int(hits.set_sizes[hits.image_set[runs[0, 0]]])
    return np.asarray(
        np.einsum("a,asi->si", np.array(row.weights), [hits.unpacked(of_arm)[:, :size] for of_arm in runs])
    )


def _curves(study: StudyRecord, row: Row, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weighted sum of validation accuracies after each epoch [seeds, epochs]; empty where arms differ in these."""
    runs = _runs(study, row, seeds)
    records = [[study.runs[int(run)] for run in of_arm] for of_arm in runs]
    lengths = {len(run.epochs) for of_arm in records for run in of_arm}
    if len(lengths) != 1:
        return np.zeros((len(seeds), 0))
    accuracies = [[[one.validation_accuracy for one in run.epochs] for run in of_arm] for of_arm in records]
    return np.asarray(np.einsum("a,ase->se", np.array(row.weights), np.array(accuracies, dtype=np.float64)))


def _overlap(study: StudyRecord, images: int, data: str) -> float:
    """The share of validation images that two seeds have in common."""
    if validates_on_same_images(study):
        return 1.0
    return min(images / max(int(study.data_on(data).get("num_training", images)), 1), 1.0)


def _scale(values: NDArray[np.float64]) -> float:
    nonzero = values[values != 0]
    return float(np.mean(nonzero**2)) if len(nonzero) else 1.0


def _seconds(study: StudyRecord) -> dict[str, float]:
    by_arm: dict[str, list[float]] = {}
    for run in study.runs:
        if run.state == "finished" and run.seconds:
            by_arm.setdefault(run.arm, []).append(run.seconds)
    return {arm: statistics.median(values) for arm, values in by_arm.items()}
