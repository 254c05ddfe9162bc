"""A study that stops when decided goes by its metric, also where earlier runs kept no predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import assay
from assay.runner.events import Finished, from_json, to_json
from assay.store import ImageHits, KeptPredictions, open_writer

from ..helpers import small_study


def test_arms_stop_by_the_studys_metric(tmp_path: Path) -> None:
    store = tmp_path / "store"
    changes = {
        "factors": {"units": [2, 64]},
        "network": {"layers": ["flatten", "dense {units} relu", "dense classes softmax"]},
        "training": {"epochs": 3, "batch_size": 32},
        "seeds": {"stop": "decided", "min": 7, "max": 8},
    }
    assay.run(small_study(**changes), store=store)
    with open_writer(store) as writer:  # as an earlier version would have left them
        writer._connection.execute("DELETE FROM predictions")
    study = small_study(**changes, metric="log_loss")
    result = assay.run(study, store=store)
    (contrast,) = result.compare().contrasts
    assert contrast.outcome == "better"
    assert "log loss is" in contrast.sentence
    assert "nats lower" in contrast.sentence
    assert {run.seed for run in result.runs} == set(range(7))  # decided at the first look, as by accuracy


@pytest.mark.parametrize("groups", [None, np.array([3, 1])])
def test_predictions_are_the_same_after_their_journey(groups: np.ndarray | None) -> None:
    predictions = KeptPredictions.of(np.log([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 0]), groups)
    hits = ImageHits.of("training", np.array([0, 7]), np.array([True, False]))
    event = Finished("run", 1.0, 2, "w", "hash", 3, 1, hits, predictions)
    assert from_json(to_json(event)) == event
