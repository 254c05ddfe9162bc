"""Finished runs as models: found by id or study, scored as the run itself was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import assay
from assay.errors import DataError, SpecError, StoreError
from assay.results.model import find_run, load_models, runs_of_arm

from ..helpers import small_study


def made() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    rng = np.random.default_rng(3)
    labels = np.arange(120) % 3
    images = rng.integers(0, 120, (120, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 2] += 120
    return images, labels


def finished(tmp_path: Path, **changes: object) -> assay.Result:
    data = assay.arrays(*made(), test=0.2)
    values: dict[str, object] = {
        "data": {**data.model_dump(exclude_none=True), "validation": 0.25},
        "network": {"layers": ["conv {filters} 3x3 relu", "batchnorm", "flatten", "dense classes softmax"]},
        "factors": {"filters": [2, 4]},
        "training": {"epochs": 2, "batch_size": 16},
        "seeds": {"count": 2},
    }
    return assay.run(small_study(**{**values, **changes}), store=tmp_path)


@pytest.mark.parametrize("scaling", ["unit", "standard"])
def test_a_model_scores_as_its_run_did(tmp_path: Path, scaling: str) -> None:
    result = finished(tmp_path)
    data = {**result.record.spec["data"], "scaling": scaling}
    result = finished(tmp_path, data=data)
    for model in load_models(result.record, result.runs, tmp_path):
        images, labels = model.validation()
        right = model.probabilities(images).argmax(1) == labels
        assert model.run.kept is not None
        assert right.mean() == pytest.approx(model.run.kept.validation_accuracy, abs=1.5 / len(labels))
        assert model.network.training is False
        assert model.shape == (8, 8, 1)
        assert model.summary.parameters == sum(
            value.numel() for name, value in model.network.state_dict().items() if "num_batches" not in name
        )


def test_a_run_is_found_by_the_start_of_its_id_or_by_its_study(tmp_path: Path) -> None:
    result = finished(tmp_path)
    for run in result.runs:
        record, found = find_run(run.id[:12], tmp_path)
        assert (record.name, found) == (result.study, run)
    best = runs_of_arm(result.record, None)
    assert [run.seed for run in best] == [0, 1]
    assert find_run(result.study, tmp_path)[1] == best[0]


def test_what_cannot_be_found_is_said(tmp_path: Path) -> None:
    result = finished(tmp_path)
    with pytest.raises(StoreError, match="no run whose id begins with"):
        find_run("ffffffffffff0", tmp_path)
    with pytest.raises(StoreError, match="no run whose id begins with"):
        find_run(result.runs[0].id[:2], tmp_path)
    with pytest.raises(SpecError, match="no arm"):
        runs_of_arm(result.record, "filters=3")


def test_a_retrained_run_has_no_validation_images(tmp_path: Path) -> None:
    result = finished(tmp_path)
    result.reveal(retrain="filters=4")
    anew = result.record.retrained[0]
    record, found = find_run(anew.id[:12], tmp_path)
    assert repr(found) == repr(anew)  # with epochs that have no validation scores: NaN is not equal to itself
    (model,) = load_models(record, [found], tmp_path)
    assert model.is_retrained
    with pytest.raises(SpecError, match="no validation images"):
        model.validation()


def test_weights_that_are_gone_are_named(tmp_path: Path) -> None:
    result = finished(tmp_path)
    (tmp_path / (result.runs[0].weights_path or "")).unlink()
    with pytest.raises(DataError, match="weights cannot be read"):
        load_models(result.record, result.runs[:1], tmp_path)
