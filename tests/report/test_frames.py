from __future__ import annotations

import dataclasses
import math

from assay.report import epochs_frame, runs_frame


def test_one_row_is_one_run(make_study):
    levels = {"a": {"kernel": "3x3", "seed": "x"}, "b": {"kernel": "5x5", "seed": "y"}}
    frame = runs_frame(make_study({"a": (0.9, "queued"), "b": (0.8, "diverged")}, levels=levels))
    assert frame.columns[:4].tolist() == ["arm", "kernel", "factor.seed", "seed"]
    assert frame["arm"].tolist() == ["a", "a", "b", "b"]
    assert frame["kernel"].tolist() == ["3x3", "3x3", "5x5", "5x5"]
    assert frame["seed"].tolist() == [0, 1, 0, 1]
    assert frame["state"].tolist() == ["finished", "queued", "finished", "diverged"]
    assert frame["epochs"].tolist() == [3, 0, 3, 1]
    assert frame["validation_accuracy"][0] == 0.9
    assert math.isnan(frame["validation_accuracy"][1])
    assert frame["advice"][3] == "halve the learning rate"
    assert frame["seconds"][0] == 10.0
    assert frame["test_accuracy"].isna().all()


def test_metrics_are_of_the_epoch_that_was_kept(make_study):
    study = make_study({"a": (0.9, 0.8)})
    first, second = study.runs
    early = dataclasses.replace(first, kept_epoch=1, epochs=first.epochs[:2], fold=2)
    frame = runs_frame(dataclasses.replace(study, runs=(early, second), retrained=(second,)))
    assert frame["validation_accuracy"].tolist() == [first.epochs[0].validation_accuracy, 0.8]
    assert (frame["kept_epoch"][0], frame["stopped_epoch"][0], frame["fold"][0]) == (1, 2, 2)
    assert frame["kept_epoch"][1] == 3
    assert frame["stopped_epoch"].isna().tolist() == frame["fold"].isna().tolist() == [False, True]
    anew = runs_frame(dataclasses.replace(study, retrained=(second,)), retrained=True)
    assert anew["seed"].tolist() == [1]


def test_revealed_scores_are_in_the_frame(make_study):
    frame = runs_frame(make_study({"a": (0.9, 0.8)}, tests={"a": (0.91, 0.82)}, num_looks=1))
    assert frame["test_accuracy"].tolist() == [0.91, 0.82]


def test_one_row_is_one_epoch(make_study):
    study = make_study({"a": (0.9,), "b": (0.8, "running")}, levels={"a": {"k": "1"}, "b": {"k": "2"}})
    frame = epochs_frame(study)
    assert frame["epoch"].tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert frame["k"].tolist() == ["1"] * 3 + ["2"] * 4
    assert frame["validation_accuracy"][2] == 0.9
    assert frame["seconds"].tolist() == [2.5] * 7


def test_a_study_without_runs_has_empty_frames_with_all_columns(make_study):
    study = make_study({"a": ()})
    assert len(runs_frame(study)) == len(epochs_frame(study)) == 0
    assert {"arm", "seed", "validation_accuracy"} <= set(runs_frame(study)) & set(epochs_frame(study))
