"""Training goes by measures of validation images: the kept epoch, early stopping, plateaus, and searches."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
from assay.data import prepare
from assay.errors import DataError, SpecError
from assay.measures import is_higher_better
from assay.runner import make_plan
from assay.spec import Study, Training
from assay.spec.metric import training_metric
from assay.train.engine import train

from ..helpers import small_study


def arm_of(**changes: object) -> Training:
    return small_study(**changes).expand()[0].training


def test_the_studys_metric_stands_where_training_says_metric_or_names_none() -> None:
    rules = {"early_stopping": {"patience": 2}, "keep": "best", "schedule": {"name": "plateau", "patience": 1}}
    training = arm_of(metric="macro AUC", training=rules)
    assert training.early_stopping.metric == training.keep.best == training.schedule.metric == "macro_auc"  # type: ignore[union-attr]
    plain = arm_of(training=rules)
    assert plain.early_stopping.metric == plain.schedule.metric == "validation_loss"  # type: ignore[union-attr]
    assert plain.keep.best == "validation_accuracy"  # type: ignore[union-attr]
    named = {"early_stopping": {"metric": "train_loss"}, "keep": {"best": "metric"}}
    other = arm_of(metric="log_loss", training=named)
    assert (other.early_stopping.metric, other.keep.best) == ("train_loss", "log_loss")  # type: ignore[union-attr]


def test_a_metric_of_the_study_alone_changes_no_run() -> None:
    plain, measured = small_study(), small_study(metric="macro_f1")
    assert [arm.identity() for arm in plain.expand()] == [arm.identity() for arm in measured.expand()]
    assert "metric" not in plain.model_dump(mode="json", exclude_none=True)
    assert small_study(metric="accuracy") == plain


@pytest.mark.parametrize("metric", ["balanced_accuracy", "log_loss", "recall:3"])
def test_the_best_epoch_by_a_measure_is_kept(metric: str, tmp_path: Path) -> None:
    study = small_study(
        training={"epochs": 5, "keep": {"best": metric}, "optimizer": {"name": "adam", "learning_rate": 0.02}},
        factors={"rate": [0.0]},
        seeds={"count": 1},
    )
    dataset = prepare(study.data)
    (task,) = make_plan(study, dataset, tmp_path).tasks
    trained = train(task, dataset.training())
    values = [record.value(metric) for record in trained.history]
    assert len(set(values)) > 1
    best = max(values) if is_higher_better(metric) else min(values)
    assert trained.kept_epoch == values.index(best) + 1
    if metric == "log_loss":  # the same sum in another order
        assert values == pytest.approx([record.validation_loss for record in trained.history], rel=1e-5)
    elsewhere = (dataset.training(), tmp_path / "checkpoint")
    assert train(task, elsewhere[0], checkpoint=elsewhere[1]).history[-1].measures == trained.history[-1].measures


def test_early_stopping_goes_by_a_measure(tmp_path: Path) -> None:
    rule = {"metric": "macro_f1", "patience": 1, "min_delta": 1.0}  # nothing improves by so much
    study = small_study(training={"epochs": 6, "early_stopping": rule}, factors={"rate": [0.0]}, seeds={"count": 1})
    dataset = prepare(study.data)
    (task,) = make_plan(study, dataset, tmp_path).tasks
    assert len(train(task, dataset.training()).history) == 2


def test_a_search_goes_by_the_studys_metric(tmp_path: Path) -> None:
    study = Study.of(
        {
            "name": "sought",
            "metric": "log_loss",
            "data": {"name": "digits", "validation": 0.2},
            "network": {"layers": ["flatten", "dense {units} relu", "dense classes softmax"]},
            "search": {"space": {"units": [2, 24]}, "sampler": "random", "trials": 2, "finalists": 1},
            "training": {"epochs": 2},
            "seeds": {"count": 2},
        }
    )
    assert study.search is not None
    assert study.search.metric == "log_loss"
    result = assay.run(study, store=tmp_path / "store")
    search = result.search()
    scores = {one.chosen["units"]: one.score for one in search.outcomes}
    assert scores["24"] < scores["2"]
    assert search.optimism[0].fresh == pytest.approx(
        sum(run.kept.value("log_loss") for run in result.record.runs) / 2  # type: ignore[union-attr]
    )
    assert result.best_file.exists()


def test_what_training_cannot_go_by_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training cannot go by a function of your own"):
        training_metric("mine.py:cost")
    for given, message in (
        ({"keep": {"best": "balanced_acuracy"}}, 'did you mean "balanced_accuracy"'),
        ({"early_stopping": {"metric": "val_loss"}}, 'did you mean "validation_loss"'),
    ):
        with pytest.raises(SpecError, match=message):
            small_study(training=given)
    study = small_study(metric="recall:eleven", seeds={"count": 1})
    with pytest.raises(DataError, match='metric: there is no class "eleven"'):
        assay.run(study, store=tmp_path / "store")
    with pytest.raises(DataError, match=r"metric: validation images of seed 0: .*the images have no groups"):
        assay.run(small_study(metric="worst_group_accuracy"), store=tmp_path / "store")
    assert not (tmp_path / "store" / "runs").exists()
