"""What is kept of a run's predictions: small, exact enough for every measure, and gone with the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import assay
from assay.data import prepare
from assay.measures import Predictions, measure_called
from assay.store import KeptPredictions, checkup, open_reader, open_writer, predictions, repair
from assay.store.files import DATABASE
from assay.train.engine import split_of

from ..helpers import small_study, tasks_of


def logits(n: int, k: int, scale: float) -> np.ndarray:
    values = scale * np.random.default_rng(n).normal(size=(n, k))
    return np.asarray(values - np.log(np.exp(values).sum(1, keepdims=True)))


@pytest.mark.parametrize("scale", [0.01, 1.0, 6.0, 20.0])
def test_float16_changes_no_measure_that_anybody_reads(scale: float) -> None:
    logs = logits(5000, 10, scale)
    labels = np.where(np.arange(5000) % 3 == 0, np.arange(5000) % 10, logs.argmax(1))
    kept, again, groups = KeptPredictions.of(logs, labels).arrays()
    assert groups is None
    assert np.array_equal(kept.argmax(1), logs.argmax(1))
    exact, rounded = Predictions(logs, labels, tuple("0123456789")), Predictions(kept, again, tuple("0123456789"))
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert measure_called(name).value(rounded) == measure_called(name).value(exact)
    for name in ("macro_auc", "log_loss", "brier_score", "calibration_error"):
        assert measure_called(name).value(rounded) == pytest.approx(measure_called(name).value(exact), abs=2e-4)


def test_equal_values_keep_the_class_that_was_ahead() -> None:
    logs = np.log(np.array([[0.5 - 1e-6, 0.5 + 1e-6, 1e-9], [0.4, 0.4, 0.2]]))
    kept, *_ = KeptPredictions.of(logs, np.array([1, 0])).arrays()
    assert kept.argmax(1).tolist() == [1, 0]


def test_too_many_values_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MAX_BYTES", 100)
    assert KeptPredictions.of(logits(5, 10, 1.0), np.zeros(5, int)).is_kept
    assert not KeptPredictions.of(logits(6, 10, 1.0), np.zeros(6, int)).is_kept


def test_a_finished_run_keeps_what_it_says_of_validation_and_after_reveal_of_test_images(tmp_path: Path) -> None:
    store, study = tmp_path / "store", small_study(seeds={"count": 1})
    result = assay.run(study, store=store)
    dataset, record = prepare(study.data), result.record
    assert list(record.predictions([run.id for run in record.runs], "test")) == []
    known = {run.id: run for run in record.runs}
    tasks = {task.id: task for task in tasks_of(study, store)}
    kept = {run: (images, one) for run, images, one in record.predictions(list(known), "validation")}
    assert kept.keys() == known.keys()
    for run, (images, one) in kept.items():
        logs, labels, _ = one.arrays()
        indices = split_of(tasks[run], dataset.training()).validation
        assert record.image_sets[images].tolist() == indices.tolist()
        assert np.array_equal(labels, dataset.training().labels[indices])
        p, end = Predictions(logs, labels, tuple(dataset.info.classes)), known[run].kept
        assert end is not None
        assert measure_called("accuracy").value(p) == end.validation_accuracy
        assert measure_called("log_loss").value(p) == pytest.approx(end.validation_loss, rel=1e-3)
    result.reveal()
    for run, images, one in result.record.predictions(list(known), "test"):
        logs, labels, _ = one.arrays()
        assert (images, len(labels)) == ("", dataset.info.num_test)
        scored = next(one for one in result.record.runs if one.id == run)
        assert (logs.argmax(1) == labels).mean() == scored.test_accuracy


def test_what_an_earlier_version_did_not_keep_is_evaluated_when_asked_again(tmp_path: Path) -> None:
    store, study = tmp_path / "store", small_study(seeds={"count": 1})
    result = assay.run(study, store=store)
    result.reveal()
    ids = [run.id for run in result.record.runs]
    before = {split: sorted(result.record.predictions(ids, split)) for split in ("validation", "test")}  # type: ignore[arg-type]
    with open_writer(store) as writer:
        writer._connection.execute("DELETE FROM predictions")
    looks = len(result.record.looks)
    assay.run(study, store=store)
    assert sorted(result.record.predictions(ids, "validation")) == before["validation"]
    assert list(result.record.predictions(ids, "test")) == []
    result.reveal()
    assert sorted(result.record.predictions(ids, "test")) == before["test"]
    assert len(result.record.looks) == looks


def test_predictions_are_checked_mended_and_go_with_their_run(tmp_path: Path) -> None:
    store, study = tmp_path / "store", small_study(seeds={"count": 1})
    result = assay.run(study, store=store)
    assert not checkup(store).findings
    with open_writer(store) as writer:
        first = result.record.runs[0].id
        # Without the triggers that write checksums: as a flipped bit would be.
        writer._connection.execute("DROP TRIGGER temp.predictions_update")
        writer._connection.execute("UPDATE predictions SET logs = x'00' WHERE run = ?", (first,))
    (finding,) = checkup(store).findings
    assert 'table "predictions" 1 row' in finding.what
    repair(store)
    assert not checkup(store).findings
    with open_reader(store) as reader:
        assert [run.id for run in reader.finished_without_hits("small")] == [first]
    assay.run(study, store=store)
    with open_reader(store) as reader:
        assert reader.finished_without_hits("small") == ()
    assert (store / DATABASE).exists()
