"""From keys to a page, on small images in place of the documents' data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay import api, reproduce
from assay.cli.main import main
from assay.documents import Cost, reproduction
from assay.errors import SpecError
from assay.runner.speed import flops_of
from assay.spec import Data, Network, Study


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shipped studies on 8 x 8 digits, two epochs, layers that fit."""

    def load(name: str) -> Study:
        study = api.load(name)
        if study.search is not None:
            network = Network(layers=("conv 2 3x3 relu", "layernorm", "flatten", "dense {units} {activation}",
                                      "dropout {dropout}", "dense classes softmax"))  # fmt: skip
            training = {"epochs": 3, "optimizer": {"learning_rate": "{learning_rate}"}}
            search = study.search.model_copy(update={"trials": 4, "finalists": 1})
            changes = {"data": Data.of({"name": "digits"}), "network": network, "training": training, "search": search}
            return study.model_copy(update=changes)
        layers = ("conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax")
        arms = tuple(
            arm.model_copy(update={"layers": layers if index % 2 else layers[2:], "training": {}})
            for index, arm in enumerate(study.arms)
        )
        training = {"epochs": 2, "batch_size": 64}
        return study.model_copy(update={"data": Data.of({"name": "digits"}), "arms": arms, "training": training})

    monkeypatch.setattr(reproduction, "load", load)
    monkeypatch.chdir(tmp_path)


def test_a_document_is_trained_scored_and_laid_beside_what_was_published(tmp_path: Path) -> None:
    told: list[Cost] = []

    def agree(costs: list[Cost]) -> bool:
        told.extend(costs)
        return True

    found = reproduce("C", seeds=2, store=tmp_path, confirm=agree)
    assert [(cost.study, cost.num_runs) for cost in told] == [("document-c", 4)]  # arms that say the same share runs
    assert told[0].seconds > 0
    assert [row.system.key for row in found.rows][-1] == "C-final-2conv-batchnorm"
    assert all(len(row.scores) == 2 for row in found.rows)
    retrained = [row for row in found.rows if row.system.is_retrained]
    assert all(run.epochs and run.test_accuracy is not None for row in retrained for run in row.runs)
    record = api.result("document-c", store=tmp_path).record
    # The arms once, and those that are trained anew: here two with one network, so the second opens nothing.
    assert [look.is_of_retrained for look in record.looks] == [False, True]
    again = reproduce("C", seeds=2, store=tmp_path, confirm=lambda costs: not costs)
    assert again.rows == found.rows
    assert len(api.result("document-c", store=tmp_path).record.looks) == 2

    page, text = found.write().read_text(), found.write(tmp_path / "page.md").read_text()
    for shown in (page, text):
        assert "C-1conv-batchnorm" in shown
        assert "85.41" in shown
        assert "not decided" in shown
        assert "Leaky" not in shown
    assert "<script" not in found._repr_html_()


def test_as_published_is_marked_wherever_it_is_shown(tmp_path: Path) -> None:
    found = reproduce("A-no-dropout", "C-2conv-none", as_published=True, seeds=2, store=tmp_path)
    (name,) = (name for name in api.studies(tmp_path) if name.startswith("document-a."))
    assert name.endswith("-as-published")
    record = api.result(name, store=tmp_path).record
    assert (record.is_leaky, record.looks) == (True, ())
    assert any(judged.claim.only_as_published for judged in found.verdicts)
    for shown in (found.write().read_text(), found.write(tmp_path / "page.md").read_text()):
        assert "Leaky: the test images are the validation images" in shown
        assert "Raw inputs" in shown


def test_nothing_trains_without_consent(tmp_path: Path) -> None:
    found = reproduce("E", seeds=2, store=tmp_path, confirm=lambda costs: False)
    assert found.rows[0].scores == {}
    assert [judged.sentence for judged in found.verdicts] == ["it has not been run"]
    with pytest.raises(SpecError):
        reproduce("Z", store=tmp_path)


def test_the_command_asks_above_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(reproduction, "estimate", lambda plan, *_: Cost(plan.study.name, 3, 1e15, 1e9, 2))
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "E", "--store", str(tmp_path), "--seeds", "2"])
    assert ended.value.code == 2
    assert "this may take 138 h 53 min; add --yes" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", "E", "--store", str(tmp_path), "--seeds", "2", "--yes", "--json"])
    assert ended.value.code == 0
    values = json.loads(capsys.readouterr().out)
    assert values["systems"][0]["key"] == "E-budget"
    assert len(values["systems"][0]["accuracy"]) == 2


def test_flops_are_three_forward_passes_of_every_image_and_epoch(tmp_path: Path) -> None:
    from assay.data import prepare
    from assay.runner import make_plan

    study = reproduction.load("document-e")
    network = api.describe(study)["E-budget"]
    (task, *_) = make_plan(study, prepare("digits"), tmp_path).tasks
    assert flops_of(task.arm.training, network, 1000) == 3 * network.flops * 1000 * 2


def test_unlabelled_images_become_a_submission(tmp_path: Path) -> None:
    """The truth is known: the table holds the training images themselves, which the study has learned."""
    import numpy as np

    from assay.data import prepare
    from assay.data.readers.delimited import write_delimited
    from assay.documents.submission import submit

    study = Study.of(
        {
            "name": "digits", "data": {"name": "digits"}, "training": {"epochs": 4, "batch_size": 16},
            "seeds": {"count": 2},
            "arms": [
                {"name": "nothing", "layers": ["maxpool 8", "flatten", "dense classes softmax"]},
                {"name": "something", "layers": ["flatten", "dense 64 relu", "dense classes softmax"]},
            ],
        }
    )  # fmt: skip
    found = api.run(study, store=tmp_path)
    training = prepare("digits").training()
    write_delimited(tmp_path / "images.csv", training.images[:500], None)
    best = submit(study, found.record, tmp_path, tmp_path / "images.csv", tmp_path / "submission.csv")
    header, *rows = (tmp_path / "submission.csv").read_text().splitlines()
    assert (best, header, len(rows)) == ("something", "Id,Category", 500)
    pairs = np.array([row.split(",") for row in rows], dtype=int)
    assert pairs[:, 0].tolist() == list(range(500))
    assert (pairs[:, 1] == training.labels[:500]).mean() > 0.9


def test_parts_of_a_document_are_kept_apart_and_shown_together(tmp_path: Path) -> None:
    for key in ("A-no-dropout", "A-grid-3x3-64"):
        reproduce(key, seeds=2, store=tmp_path)
    shown = {row.system.key: len(row.scores) for row in reproduce("A", store=tmp_path, trains=False).rows}
    assert (shown["A-no-dropout"], shown["A-grid-3x3-64"], shown["A-grid-5x5-64"]) == (2, 2, 0)


def test_a_search_is_shown_as_its_best_finalist_with_fresh_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.data.make import make

    make("digits", tmp_path / "document-d", variation="random-background", form="csv", num_training=60, num_test=20)
    monkeypatch.setattr(reproduction, "_make_tables", lambda: None)
    monkeypatch.setattr(api, "check", lambda study, **_: None)  # these tables are 8 x 8
    told: list[Cost] = []
    found = reproduce("D-hyperband", seeds=2, store=tmp_path, confirm=lambda costs: not told.extend(costs))
    (row,) = found.rows
    best = api.result("document-d-search", store=tmp_path).search()
    assert sorted(row.scores) == [1000, 1001]
    assert row.parameters == next(one.parameters for one in best.outcomes if one.name == best.best)
    assert [(cost.study, cost.seconds > 0) for cost in told] == [("document-d-search", True)]
    again = reproduce("D-hyperband", seeds=2, store=tmp_path, confirm=lambda costs: not costs)
    assert again.rows == found.rows


def test_showing_writes_nothing(tmp_path: Path) -> None:
    found = reproduce("D", "E", store=tmp_path / "store", trains=False)
    known = [row.parameters for row in found.rows if not row.system.waits]
    assert known == [50890, 93322, 440842, 440842, None, 5899]  # a search has no network beforehand
    assert not list(tmp_path.iterdir())
