"""What a contrast's interval has to add for what the study claims, from the runs' per-image results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..stats import ImageSpread, image_spread
from ..store.records import RunRecord, StudyRecord
from .rows import Row
from .scores import Split

_ROUNDS = np.float32


def spread_of(study: StudyRecord, row: Row, seeds: Sequence[int], split: Split) -> ImageSpread:
    """What other images, or other training images, add to what a contrast's seeds show.

    Nothing for a claim on these images, with folds (their test has its own correction), and where a run lacks its
    per-image results (``lacks_images``).
    """
    claim = study.design.claimed
    if claim == "these images" or len(seeds) < 2 or any(run.fold for run in study.runs[:1]):
        return ImageSpread()
    crossed = _crossed(study, row, seeds, split)
    if crossed is None:
        return ImageSpread()
    rows, images = crossed
    if claim == "new images":
        return image_spread(rows, images, claim=claim)
    num_validation = round(float(np.mean([len(ids) for ids in _validation_images(study, row, seeds)])))
    num_training = max(int(study.data.get("num_training", 0)) - num_validation, 1)
    return image_spread(rows, images, claim=claim, num_training=num_training, num_left_out=num_validation)


def lacks_images(study: StudyRecord, row: Row, seeds: Sequence[int], split: Split) -> bool:
    """Whether an interval that should speak of other images cannot: a run was stored without per-image results."""
    if study.design.claimed == "these images" or not seeds or any(run.fold for run in study.runs[:1]):
        return False
    return _crossed(study, row, seeds, split) is None


def claim_of(study: StudyRecord) -> str:
    """Of what a study's intervals speak, for a sentence."""
    claim = study.design.claimed
    finished = [run for run in study.runs if run.state == "finished"]
    lacks = [run for run in finished if run.id not in study.validation_hits]
    if claim == "these images" or not lacks or any(run.fold for run in finished):
        return claim
    return "these images only, because runs lack per-image results (assay run evaluates them)"


def _crossed(
    study: StudyRecord, row: Row, seeds: Sequence[int], split: Split
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.int64]]] | None:
    """For each seed, the weighted sum of hits on each of its images, and which images these are."""
    runs = _runs(study)
    rows: list[NDArray[np.float32]] = []
    images: list[NDArray[np.int64]] = []
    for seed in seeds:
        known = [_hits(study, run, split) if (run := runs.get((arm, seed))) else None for arm in row.arms]
        if any(one is None for one in known):
            return None
        first = known[0]
        assert first is not None
        total = np.zeros(len(first[1]), dtype=_ROUNDS)
        for weight, one in zip(row.weights, known, strict=True):
            if one is None or one[0] != first[0]:  # arms of a seed are scored on the same images
                return None
            total += _ROUNDS(weight) * one[1]
        rows.append(total)
        images.append(_test_images(study) if split == "test" else study.image_sets[first[0]])
    return rows, images


def _validation_images(study: StudyRecord, row: Row, seeds: Sequence[int]) -> list[NDArray[np.int64]]:
    runs = _runs(study)
    known = [study.validation_hits.get(runs[row.arms[0], seed].id) for seed in seeds if (row.arms[0], seed) in runs]
    return [study.image_sets[one[0]] for one in known if one is not None] or [np.zeros(0, dtype=np.int64)]


def _runs(study: StudyRecord) -> dict[tuple[str, int], RunRecord]:
    if _runs not in study.cached:
        study.cached[_runs] = {(run.arm, run.seed): run for run in study.runs}
    result: dict[tuple[str, int], RunRecord] = study.cached[_runs]
    return result


def _test_images(study: StudyRecord) -> NDArray[np.int64]:
    if _test_images not in study.cached:
        study.cached[_test_images] = np.arange(int(study.data.get("num_test", 0)))
    result: NDArray[np.int64] = study.cached[_test_images]
    return result


def _hits(study: StudyRecord, run: RunRecord, split: Split) -> tuple[str, NDArray[np.uint8]] | None:
    """The run's image set and whether it gets each image right; ``None`` where that was not stored."""
    key = (_hits, run.id, split)
    if key not in study.cached:
        study.cached[key] = _unpacked(study, run, split)
    result: tuple[str, NDArray[np.uint8]] | None = study.cached[key]
    return result


def _unpacked(study: StudyRecord, run: RunRecord, split: Split) -> tuple[str, NDArray[np.uint8]] | None:
    if split == "test":
        packed = study.test_hits.get(run.id)
        return None if packed is None else ("test", _bits(packed, int(study.data.get("num_test", 0))))
    stored = study.validation_hits.get(run.id)
    return None if stored is None else (stored[0], _bits(stored[1], len(study.image_sets[stored[0]])))


def _bits(packed: bytes, count: int) -> NDArray[np.uint8]:
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=count)
