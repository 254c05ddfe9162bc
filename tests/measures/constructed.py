"""Studies whose runs' predictions are drawn here: nothing is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.store import ImageHits, ImageSets, KeptPredictions, StudyRecord

from ..recorded import study_of

Predicted = Mapping[str, list[NDArray[np.floating]]]  # log-probabilities [images, classes] of each seed, by arm


def constructed(
    labels: NDArray[np.integer], predicted: Predicted, *, metric: str | None = None, classes: int | None = None
) -> StudyRecord:
    """A study whose arms' seeds 0, 1, ... all judge the same validation images.

    Args:
        labels: Of these images [images].
        predicted: What each run says of them.
        metric: The study's.
        classes: How many there are; as many as have labels unless given.
    """
    names = [f"class {label}" for label in range(classes or int(labels.max()) + 1)]
    study = study_of(
        {arm: [float((logs.argmax(1) == labels).mean()) for logs in runs] for arm, runs in predicted.items()}
    )
    hits, rows, validation_hits = None, {}, {}
    for run in study.runs:
        logs = predicted[run.arm][run.seed]
        hits = ImageHits.of("training", np.arange(len(labels)), logs.argmax(1) == labels)
        validation_hits[run.id] = (hits.image_set, hits.hits)
        rows[run.id] = KeptPredictions.of(logs, labels)
    assert hits is not None
    image_set = hits.image_set

    def source(runs: Collection[str], split: str) -> Iterator[tuple[str, str, KeptPredictions]]:
        return iter([(run, image_set, rows[run]) for run in runs if run in rows and split == "validation"])

    spec = {**study.spec, **({} if metric is None else {"metric": metric})}
    data = {**study.data, "classes": names, "num_training": 10 * len(labels)}
    return replace(
        study, spec=spec, data=data, predictions=source, validation_hits=validation_hits,
        image_sets=ImageSets({image_set: hits.images}),
    )  # fmt: skip


def drawn(
    labels: NDArray[np.integer], num_classes: int, margins: NDArray[np.floating], rng: np.random.Generator
) -> NDArray[np.floating]:
    """Log-probabilities [images, classes] of a network whose true class is ahead by so much, give or take 1."""
    logits = rng.normal(size=(len(labels), num_classes))
    logits[np.arange(len(labels)), labels] += margins[labels]
    return np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)))
