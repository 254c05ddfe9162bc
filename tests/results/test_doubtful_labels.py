"""Labels that the trained networks doubt: those that this test made wrong, and hardly any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import assay
from assay.data import prepare
from assay.errors import SpecError
from assay.spec import Data

from ..helpers import small_study


def test_wrong_labels_are_found_and_true_ones_left_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    true = np.arange(240) % 3
    images = rng.integers(0, 90, (240, 9, 9), dtype=np.uint8)
    for image, label in zip(images, true, strict=True):
        image[3 * label : 3 * label + 3] += 150
    labels = true.copy()
    labels[[7, 50, 133]] = (labels[[7, 50, 133]] + 1) % 3
    study = small_study(
        data={**assay.arrays(images, labels).model_dump(exclude_none=True), "validation": 0.25},
        network={"layers": ["conv 4 3x3 relu", "flatten", "dense classes softmax"]},
        factors={},
        training={"epochs": 6, "batch_size": 16},
        seeds={"count": 3},
    )
    result = assay.run(study, store=tmp_path)
    found = result.doubtful_labels()
    assert set(found["index"]) == {7, 50, 133}
    for row in found.to_dict("records"):
        assert row["label"] == str(labels[row["index"]])
        assert row["predicted"] == str(true[row["index"]])
        assert (row["wrong"], row["runs"]) == (3, 3)
        assert 0 <= row["held_out"] <= 3


def test_with_folds_the_store_knows_what_held_out_runs_said_and_no_network_is_asked(tmp_path: Path) -> None:
    """Errors planted in digits are named with their probability; a lower threshold names more of them."""
    digits = prepare(Data(name="digits")).training()
    rng = np.random.default_rng(8)
    labels = np.array(digits.labels)
    wrong = rng.choice(len(labels), len(labels) // 10, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10
    study = small_study(
        data={**assay.arrays(digits.images, labels).model_dump(exclude_none=True), "validation": "3-fold"},
        network={"layers": ["flatten", "dense 32 relu", "dense classes softmax"]},
        factors={},
        training={"epochs": 6, "batch_size": 32},
        seeds={"count": 2},
    )
    result = assay.run(study, store=tmp_path)
    for run in result.runs:
        (tmp_path / str(run.weights_path)).unlink()
    frame = result.doubtful_labels()
    assert (frame["doubt"] > 0.5).all()
    assert frame["doubt"].is_monotonic_decreasing
    assert (frame["runs"] == 2).all()
    assert (frame["wrong"] == frame["held_out"]).all()
    assert (frame["predicted"] != frame["label"]).all()
    hits = set(frame["index"]) & set(wrong.tolist())
    assert len(hits) > 0.75 * len(wrong)
    assert len(hits) > 0.75 * len(frame)
    more = result.doubtful_labels(least=0.1)
    assert set(frame["index"]) < set(more["index"])
    with pytest.raises(SpecError, match="the least doubt is 1; give a probability between 0 and 1"):
        result.doubtful_labels(least=1)


def test_without_a_finished_run_there_is_nothing_to_doubt(tmp_path: Path) -> None:
    study = small_study(training={"epochs": 1, "optimizer": {"name": "sgd", "learning_rate": 1e30}}, seeds={"count": 1})
    result = assay.run(study, store=tmp_path)
    assert {run.state for run in result.runs} == {"diverged"}
    with pytest.raises(SpecError, match="no finished run"):
        result.doubtful_labels()
