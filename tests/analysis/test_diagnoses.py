"""From a study's record to diagnoses by run and by arm."""

from __future__ import annotations

import dataclasses

import pytest

from assay.analysis import curves_of, diagnose_study
from assay.store.records import EpochRecord

A = (0.980, 0.982, 0.981, 0.979)


@pytest.fixture
def study(make_study):
    """Arm b overfits in two of its four runs, and one of its runs diverged."""
    made = make_study({"a": A, "b": (*A[:3], "diverged")}, epochs=6)
    data = {**made.data, "classes": list("0123456789"), "num_training": 10_000}
    spec = {**made.spec, "data": {"name": "mnist", "validation": 0.1, "scaling": "none"}}
    runs = tuple(
        dataclasses.replace(run, epochs=overfitted()) if run.arm == "b" and run.seed in (1, 2) else run
        for run in made.runs
    )
    return dataclasses.replace(made, data=data, spec=spec, runs=runs)


def overfitted() -> tuple[EpochRecord, ...]:
    losses = [(0.3, 0.30), (0.2, 0.20), (0.1, 0.15), (0.05, 0.20), (0.02, 0.30), (0.01, 0.40)]
    return tuple(
        EpochRecord(epoch, train, 0.99, validation, 0.95, train, 0.98, 0.001, 1.0)
        for epoch, (train, validation) in enumerate(losses, start=1)
    )


def test_an_arm_counts_the_runs_that_have_a_diagnosis(study):
    found = diagnose_study(study)
    counted = {(one.arm, one.kind): (one.num_runs, one.of) for one in found.arms}
    assert counted["b", "overfitting"] == (2, 4)
    assert counted["b", "diverged"] == (1, 4)
    assert ("a", "overfitting") not in counted
    example = next(one for one in found.arms if one.kind == "overfitting")
    assert (example.seed, example.example.epoch) == (1, 3)
    assert found.looked_at == {"a": 4, "b": 4}


def test_every_run_has_its_own_and_a_frame(study):
    found = diagnose_study(study)
    frame = found.frame()
    assert len(frame) == len(found.runs)
    diverged = frame[frame["kind"] == "diverged"].iloc[0]
    assert (diverged["arm"], diverged["seed"], diverged["advice"]) == ("b", 3, "halve the learning rate")
    assert found.as_dict()["arms"][0]["example"]["source"]


def test_facts_come_from_the_record(study):
    curves = curves_of(study, study.runs[0], shared_images=7)
    assert (curves.num_classes, curves.num_validation, curves.scaling, curves.shared_images) == (10, 1000, "none", 7)
    assert curves.num_epochs == 6


def test_images_that_splits_share_are_told_of_their_run(study):
    shared = {study.runs[0].id: 50}
    found = [one for one in diagnose_study(study, shared=shared).runs if one.diagnosis.kind.startswith("duplicates")]
    assert [(one.arm, one.seed) for one in found] == [("a", 0)]
    assert "50 of 1000 validation images (5.0 %)" in found[0].diagnosis.evidence


def test_the_report_shows_diagnoses(study, page_of):
    table = page_of(study).select_one("#diagnoses table")
    text = " ".join(table.get_text(" ").split())
    assert "overfitting 2 of 4" in text
    assert "stop early" in text


def test_a_study_without_findings_says_so_and_what_could_not_be_judged(make_study, page_of):
    def told(epochs):
        made = make_study({"a": A, "b": A})
        level = {
            run.id: tuple(dataclasses.replace(run.epochs[-1], epoch=n, train_loss=0.1) for n in range(1, epochs + 1))
            for run in made.runs
        }
        runs = tuple(dataclasses.replace(run, epochs=level[run.id]) for run in made.runs)
        study = dataclasses.replace(made, runs=runs, data={**made.data, "classes": list("0123456789")})
        return diagnose_study(study), page_of(study).select_one("#diagnoses").get_text(" ", strip=True)

    found, text = told(5)
    assert found.too_short == {}
    assert text == f"Diagnoses Nothing wrong was found in {2 * len(A)} runs."
    found, text = told(3)
    assert found.too_short == {"a": len(A), "b": len(A)}
    assert f"{2 * len(A)} runs have fewer than 4 epochs: too few to judge overfitting" in text
    assert "Nothing wrong" not in text
