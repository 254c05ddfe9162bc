"""What a contrast's interval has to add for what the study claims, from the runs' per-image results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..measures import ACCURACY
from ..stats import Crossing, ImageSpread, spread_of_crossing
from ..store.records import StudyRecord
from .grid import Split, grid_of
from .hits import Hits, SeedImages, hits_of
from .influences import influences_of
from .measured import measure_of
from .rows import Row, places_of

_Places = NDArray[np.int64]  # of seeds, in the study's grid


def spread_of(study: StudyRecord, row: Row, seeds: _Places, split: Split) -> ImageSpread:
    """What other images, or other training images, add to what a contrast's seeds show.

    Nothing for a claim on these images, with folds (their test has its own correction), and where a run lacks its
    per-image results (``lacks_images``).
    """
    claim = study.design.claimed
    if claim == "these images" or len(seeds) < 2 or _has_folds(study):
        return ImageSpread()
    images = _images_of(study, row, seeds, split)
    if images is None:
        return ImageSpread()
    runs = grid_of(study).runs[places_of(study, row)][:, seeds, 0]
    if measure_of(study) == ACCURACY:
        crossing = crossing_of(hits_of(study, split), row, runs, images)
    else:
        crossing = influences_of(study, split).crossing(row, runs, images)
    if claim == "new images":
        return spread_of_crossing(crossing, claim=claim)
    num_left_out = num_validation(study, row, seeds)
    num_training = max(int(study.data_on(row.data).get("num_training", 0)) - num_left_out, 1)
    return spread_of_crossing(crossing, claim=claim, num_training=num_training, num_left_out=num_left_out)


def lacks_images(study: StudyRecord, row: Row, seeds: _Places, split: Split) -> bool:
    """Whether an interval that should speak of other images cannot: a run was stored without per-image results."""
    if study.design.claimed == "these images" or not len(seeds) or _has_folds(study):
        return False
    return _images_of(study, row, seeds, split) is None


def claim_of(study: StudyRecord) -> str:
    """Of what a study's intervals speak, for a sentence."""
    claim, columns = study.design.claimed, study.columns
    if claim == "these images" or columns.fold[columns.is_finished].any():
        return claim
    if not (hits_of(study, "validation").image_set[columns.is_finished] < 0).any():
        return claim
    return "these images only, because runs lack per-image results (assay run evaluates them)"


def _has_folds(study: StudyRecord) -> bool:
    return bool(study.columns.fold[:1].any())


def _images_of(study: StudyRecord, row: Row, seeds: _Places, split: Split) -> SeedImages | None:
    """The images of each of these seeds; ``None`` where a run lacks its results, or arms were scored on others."""
    runs = grid_of(study).runs[places_of(study, row)][:, seeds, 0]
    hits = hits_of(study, split) if measure_of(study) == ACCURACY else influences_of(study, split)
    sets = np.where(runs >= 0, hits.image_set[runs], -1)
    if (sets < 0).any() or (sets != sets[0]).any():  # arms of a seed are scored on the same images
        return None
    return hits.images_of(sets[0])


def num_validation(study: StudyRecord, row: Row, seeds: _Places) -> int:
    """Validation images of a seed, on average."""
    hits, runs = hits_of(study, "validation"), grid_of(study).runs[places_of(study, row)[0], seeds, 0]
    sets = hits.image_set[runs[runs >= 0]]
    return round(float(hits.set_sizes[sets[sets >= 0]].mean())) if (sets >= 0).any() else 0


def crossing_of(hits: Hits, row: Row, runs: NDArray[np.int64], images: SeedImages) -> Crossing:
    """The differences of a contrast by seed and image, as sums.

    Args:
        hits: Of the study's runs.
        row: The contrast.
        runs: Of its arms [arms, seeds].
        images: Of its seeds.
    """
    weights = np.array(row.weights)
    if row.effect is None and len(row.arms) == 2:  # two arms: they differ by 1 where one alone is right
        squares = num_different = hits.num_different(runs[0], runs[1])
    else:
        differences = sum(weight * hits.unpacked(of_arm) for weight, of_arm in zip(row.weights, runs, strict=True))
        squares, num_different = np.square(differences).sum(1), np.count_nonzero(differences, axis=1)
    return Crossing(
        images.counts,
        sums=weights @ hits.num_hits[runs],
        squares=squares.astype(np.float64),
        num_nonzero=int(num_different.sum()),
        shared=images.shared,
        by_image=weights @ np.array([images.centred(hits, of_arm) for of_arm in runs]),
    )
