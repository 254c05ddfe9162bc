"""The chosen arm anew: what its runs are trained on, for how long, and what is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.analysis import retrained_sentences
from assay.data import open_training, prepare
from assay.errors import SpecError
from assay.report import references
from assay.report.tables import retrained_table
from assay.results.exports import facts_of
from assay.results.model import load_models
from assay.results.recorded import split_of_run
from assay.runner import make_plan, retrain_plan
from assay.runner.retrain import without_validation
from assay.spec import Study, Training
from assay.store.records import EpochRecord, RunRecord, StudyRecord
from assay.train.engine import split_of

from ..helpers import small_study

LAYERS = ["flatten", "dropout {rate}", "dense classes softmax"]
STOPPING = {
    "epochs": 15,
    "batch_size": 64,
    "optimizer": {"name": "adam", "learning_rate": 0.05},
    "keep": {"best": "validation_loss"},
    "early_stopping": {"metric": "validation_loss", "patience": 1},
}


def run_of(seed: int, *, kept: int, done: int, fold: int | None = None, state: Any = "finished") -> RunRecord:
    epochs = tuple(EpochRecord(epoch, *[0.5] * 8) for epoch in range(1, done + 1))
    return RunRecord(
        f"{seed}{fold}", "rate=0", seed, state, epochs=epochs, epochs_planned=30, fold=fold, kept_epoch=kept
    )


def record_of(study: Study, *runs: RunRecord) -> StudyRecord:
    return StudyRecord(study.name, "", study.model_dump(mode="json"), {}, 0, 0, (), runs)


def test_a_chosen_arm_learns_from_all_images_under_an_identity_of_its_own(tmp_path: Path) -> None:
    study, dataset = small_study(seeds={"count": 2}), prepare("digits")
    record = record_of(study, run_of(0, kept=2, done=2), run_of(1, kept=2, done=2))
    plan = retrain_plan(study, record, "rate=0", dataset, tmp_path)
    assert [(arm, task.seed) for arm, task in plan.members] == [("rate=0", 0), ("rate=0", 1)]
    before = make_plan(study, dataset, tmp_path).tasks
    assert not {task.id for task in plan.tasks} & {task.id for task in before}
    for task in plan.tasks:
        data = open_training(task.images, task.labels)
        assert len(split_of(task, data).training) == len(data)
        assert task.arm.training == before[0].arm.training
        assert task.published is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"keep": {"best": "validation_loss"}}, {"stop_after": 4}),
        ({"early_stopping": {"metric": "validation_accuracy"}}, {"stop_after": 4}),
        ({"keep": {"best": "train_loss"}}, {"keep": {"best": "train_loss"}}),
        ({"early_stopping": {"metric": "running_loss"}}, {"early_stopping": {"metric": "running_loss"}}),
        ({"schedule": "cosine"}, {"schedule": "cosine"}),
    ],
)
def test_what_validation_decided_is_taken_over(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    folds = [run_of(0, kept=kept, done=9, fold=fold) for fold, kept in enumerate((2, 4, 9), start=1)]
    training = Training.of({"epochs": 30, **settings})
    assert without_validation(training, folds) == Training.of({"epochs": 30, **expected})


def test_a_rate_that_follows_the_validation_images_is_refused() -> None:
    with pytest.raises(SpecError, match="the learning rate follows the validation images"):
        without_validation(Training.of({"schedule": "plateau"}), [run_of(0, kept=1, done=1)])


def test_what_cannot_be_retrained_is_a_sentence(tmp_path: Path) -> None:
    study, dataset = small_study(), prepare("digits")
    done = run_of(0, kept=2, done=2)

    def told(*runs: RunRecord, arm: str = "rate=0", study: Study = study) -> str:
        with pytest.raises(SpecError) as caught:
            retrain_plan(study, record_of(study, *runs), arm, dataset, tmp_path)
        return str(caught.value)

    assert 'has no arm "rate=1"' in told(done, arm="rate=1")
    assert "1 of the runs" in told(done, run_of(1, kept=1, done=1, state="queued"))
    assert "no seed of arm" in told(run_of(0, kept=1, done=1, state="diverged"))
    leaky = small_study(data={"name": "digits", "validation": "test", "as_published": True})
    assert "trained on every training image already" in told(done, study=leaky)
    failed = run_of(1, kept=1, done=1, state="diverged")
    assert len(retrain_plan(study, record_of(study, done, failed), "rate=0", dataset, tmp_path).tasks) == 1


def test_from_choice_to_one_look(tmp_path: Path) -> None:
    study = small_study(training=STOPPING, data={"name": "digits", "validation": "2-fold"}, network={"layers": LAYERS})
    result = assay.run(study, store=tmp_path, workers=2)
    frame = result.frame()
    assert list(frame["fold"]) == [1, 2] * 4
    assert (frame["kept_epoch"] <= frame["epochs"]).all()
    assert frame["stopped_epoch"].notna().any()
    assert (frame["stopped_epoch"].dropna() < 15).all()
    found = result.reveal(retrain="rate=0.3", workers=2)
    kept = frame[frame["arm"] == "rate=0.3"].groupby("seed")["kept_epoch"].median().astype(float).round()
    assert found["epochs_planned"].tolist() == found["epochs"].tolist() == kept.tolist()
    assert found["test_accuracy"].between(0.5, 1).all()
    assert found["validation_accuracy"].isna().all()
    record = result.record
    assert [run.arm for run in record.retrained] == ["rate=0.3"] * 2
    assert all(run.test_accuracy is None for run in record.runs)
    assert [(look.num_runs, look.num_new) for look in record.looks] == [(2, 2)]

    again = result.reveal(retrain="rate=0.3")
    assert again["test_accuracy"].tolist() == found["test_accuracy"].tolist()
    assert [(look.num_runs, look.num_new) for look in result.record.looks] == [(2, 2)]  # shown again: no look
    assert not again.attrs["leaky"]
    page = result.report().read_text()
    assert "Trained anew" in page
    assert "Leaky" not in page


def test_a_number_per_class_stays_and_is_told(tmp_path: Path) -> None:
    data = {"name": "digits", "validation": 0.2, "training": "20 per class"}
    study = small_study(data=data, network={"layers": LAYERS}, seeds={"count": 2})
    result = assay.run(study, store=tmp_path, workers=1)
    result.reveal(retrain="rate=0.3")
    record, training = result.record, prepare("digits").training()
    drawn = split_of_run(record, record.retrained[0], training)
    assert np.bincount(training.labels[drawn.training]).tolist() == [20] * 10
    assert not len(drawn.validation)
    told = "20 per class of the training and validation images"
    assert f"trained on {told}, scores" in retrained_sentences(record)[0]
    assert f"Trained anew on {told}" in retrained_table(record).caption
    facts = facts_of(load_models(record, record.retrained[:1], tmp_path)[0])
    assert any(f"trained on {told} together" in limit for limit in facts.limits)


def test_no_other_arm_is_looked_at_where_another_study_scored_shared_runs(tmp_path: Path) -> None:
    one, two = (
        assay.run(small_study(name=name, network={"layers": LAYERS}), store=tmp_path, workers=1)
        for name in ("one", "two")
    )
    assert {run.id for run in one.runs} == {run.id for run in two.runs}
    scored = one.reveal()
    assert len(one.record.test_hits) == len(scored) == len(one.runs)

    def is_sealed() -> bool:
        record = two.record
        cited = "mcnemar1947note" in [one.key for one in references(record)]
        return not record.test_hits and not cited and all(run.test_accuracy is None for run in record.runs)

    assert is_sealed()
    two.reveal(retrain="rate=0.3")
    assert is_sealed()
    assert two.record.retrained[0].test_accuracy is not None
    assert [look.is_of_retrained for look in two.record.looks] == [True]
    assert two.reveal()["test_accuracy"].tolist() == scored["test_accuracy"].tolist()
    assert [look.is_of_retrained for look in two.record.looks] == [True, False]
    assert len(two.record.test_hits) == len(two.runs)


def test_a_published_protocol_is_marked_wherever_it_is_shown(tmp_path: Path) -> None:
    data = {"name": "digits", "validation": "test", "as_published": True}
    study = small_study(data=data, network={"layers": LAYERS}, seeds={"count": 1})
    result = assay.run(study, store=tmp_path, workers=2)
    frame = result.reveal()
    # The same images in the same order: the sealed score is the validation score, which is what the mark is about.
    assert frame["test_accuracy"].tolist() == frame["validation_accuracy"].tolist()
    assert frame.attrs["leaky"]
    assert "Leaky: the validation images are the test images" in result._repr_html_()
    page = result.report().read_text()
    assert "<strong>Leaky.</strong> The validation images are the test images" in page
    assert "The test split is sealed" not in page
