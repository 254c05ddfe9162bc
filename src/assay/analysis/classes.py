"""Which classes a change hurts: recall of each class, with the false discovery rate controlled over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..measures import PERCENT, class_label
from ..measures.classification import Recall
from ..stats import MIN_PAIRS, Look, benjamini_yekutieli, pairs_to_name
from ..store.predictions import Split
from ..store.records import StudyRecord
from .grid import grid_of
from .image_spread import spread_of
from .influences import Influences, influences_of
from .measured import predictions_of, run_values, seen_by
from .rows import Row, pair_row, places_of

_Predicted: TypeAlias = tuple[str, NDArray[np.integer], NDArray[np.bool_]]  # images, labels, which are hits

RATE = 0.05  # of false discoveries among the classes that are named
MAX_CLASSES = 200


@dataclass(frozen=True)
class ClassChange:
    """What a change does to one class.

    Args:
        a, b: Names of the two arms; b is the change.
        name: The class.
        difference: Mean recall of b minus that of a, over seeds: a fraction.
        low, high: Its 95 % interval, for this class alone.
        p_value: Two-sided, of this class alone.
        adjusted_p: After Benjamini and Yekutieli over all classes of all arms: it is named where that is below 0.05.
        seeds: How many both arms have.
    """

    a: str
    b: str
    name: str
    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p: float
    seeds: int

    @property
    def is_named(self) -> bool:
        return self.adjusted_p < RATE


def class_changes(study: StudyRecord, *, split: Split = "validation") -> tuple[ClassChange, ...]:
    """Recall of every class, of every arm against the first, on the seeds that both have.

    One look at what there is now: unlike the study's verdicts, it does not pay for looks before. Empty below 6 pairs,
    with folds, where predictions were not kept, and of data with more than ``MAX_CLASSES`` classes.

    Args:
        study: Its record.
        split: On which images.
    """
    key = (class_changes, split)
    if key not in study.cached:
        study.cached[key] = _changes(study, split)
    result: tuple[ClassChange, ...] = study.cached[key]
    return result


def class_sentences(study: StudyRecord, *, split: Split = "validation") -> tuple[str, ...]:
    """A sentence for each arm that has been compared with the first: the classes that it hurts, and that it helps.

    Without full stops.
    """
    changes = class_changes(study, split=split)
    sentences = []
    for b in dict.fromkeys(change.b for change in changes):
        named = sorted((one for one in changes if one.b == b and one.is_named), key=lambda one: one.difference)
        hurt, helped = [one for one in named if one.difference < 0], [one for one in named if one.difference > 0]
        a = next(one.a for one in changes if one.b == b)
        if not named:
            needed, seeds = pairs_to_name(len(changes)), max(one.seeds for one in changes if one.b == b)
            few = f": naming one among {len(changes)} takes {needed} seeds, and there are {seeds}"
            sentences.append(
                f"No class is shown to be hurt or helped by {b} against {a}{few if seeds < needed else ''}"
            )
            continue
        parts = [f"{verb} {_listed(some)}" for verb, some in (("hurts", hurt), ("helps", helped[::-1])) if some]
        sentences.append(f"Against {a}, {b} {' and '.join(parts)}")
    return tuple(sentences)


def _listed(changes: list[ClassChange], most: int = 5) -> str:
    texts = [f"{class_label(one.name)} (recall {_change(one)})" for one in changes[:most]]
    if len(changes) > most:
        texts.append(f"{len(changes) - most} more")
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _change(one: ClassChange) -> str:
    unit = PERCENT.within(one.low, one.high)
    return f"{unit.change(one.difference)} points, {unit.number(one.low)} to {unit.number(one.high)}"


def _changes(study: StudyRecord, split: Split) -> tuple[ClassChange, ...]:
    classes = [str(name) for name in study.data.get("classes", ())]
    grid = grid_of(study)
    if not 2 <= len(classes) <= MAX_CLASSES or len(grid.arms) < 2 or grid.runs.shape[2] > 1:
        return ()
    try:
        predicted = {run: (images, p.labels, p.is_hit) for run, images, p in predictions_of(study, split)}
    except DataError:  # earlier versions did not keep them, or they are too large: nothing is said of classes
        return ()
    rows = [pair_row(grid.arms[0], arm) for arm in grid.arms[1:]]
    looks: list[tuple[Row, str, Look]] = []
    for label, name in enumerate(classes):
        seen = _seen_by_recall(study, split, predicted, label, name)
        looks += [(row, name, look) for row in rows if (look := _look(seen, row, split)) is not None]
    adjusted = benjamini_yekutieli([look.worked_p for _, _, look in looks])
    return tuple(
        ClassChange(row.a, row.b, name, look.mean, *look.interval(0.05), look.worked_p, float(p), look.pairs)
        for (row, name, look), p in zip(looks, adjusted, strict=True)
    )


def _seen_by_recall(
    study: StudyRecord, split: Split, predicted: Mapping[str, _Predicted], label: int, name: str
) -> StudyRecord:
    """The record as seen by the recall of one class, from predictions that were read once for all classes.

    A run without images of the class has no score.
    """
    recall = Recall(f"recall:{name}", f"recall of {class_label(name)}", class_name=name)
    seen, ids = seen_by(study, recall), study.columns.ids
    names = {images: place for place, images in enumerate(dict.fromkeys(images for images, _, _ in predicted.values()))}
    width = max((len(labels) for _, labels, _ in predicted.values()), default=0)
    image_set, scores = np.full(len(ids), -1), np.full(len(ids), np.nan)
    values = np.zeros((len(ids), width), dtype=np.float32)
    for place, run in enumerate(ids):
        if run not in predicted:
            continue
        images, labels, is_hit = predicted[run]
        image_set[place], chosen = names[images], labels == label
        if chosen.any():
            scores[place] = is_hit[chosen].mean()
            values[place, : len(labels)] = chosen * (is_hit - scores[place]) / chosen.mean()
    sets = [study.image_sets[images] if images else np.arange(width) for images in names]
    seen.cached[run_values, split] = scores
    seen.cached[influences_of, split] = Influences(image_set, scores, values, tuple(sets))
    return seen


def _look(study: StudyRecord, row: Row, split: Split) -> Look | None:
    """One look at a class's recall; ``None`` below six pairs."""
    scores, arms = grid_of(study).scores(split), places_of(study, row)
    at: NDArray[np.int64] = np.flatnonzero(scores.known[arms].all(0))
    if len(at) < MIN_PAIRS:
        return None
    a, b = scores.means[arms][:, at]
    return Look(b - a, len(at), spread_of(study, row, at, split))
