"""assay robustness on a store: kept answers, lost weights, the sealed test split, the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.cli import main
from assay.errors import SpecError
from assay.results import Result, robustness
from assay.store.corrupted_hits import read_hits

from ..helpers import small_study

LAYERS = ["flatten", "dropout {rate}", "dense classes softmax"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("corrupted") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        assay.run(small_study(network={"layers": LAYERS}), store=folder, workers=1)
        assay.result("small", store=folder).robustness(images=60)
    return folder


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "store"))


def test_runs_are_asked_once_and_pairs_see_the_same_views(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = assay.result("small", store=store)
    kept = {run.id: read_hits(store, "validation", run.id) for run in result.runs}
    for seed in (0, 1):
        of_seed = [kept[run.id] for run in result.runs if run.seed == seed]
        assert all(one is not None and np.array_equal(one.images, of_seed[0].images) for one in of_seed if of_seed[0])
    with monkeypatch.context() as patch:
        patch.setattr(robustness, "load_models", lambda *_: pytest.fail("a network was loaded"))
        first, second = result.robustness(images=60), result.robustness(images=60)
    assert first.as_dict() == second.as_dict()
    assert "thicker is left out: images are 8 x 8 pixels, and it needs 12 x 12 or more" in first.notes
    assert "fog" in first.corruptions
    other = result.robustness(images=40, seed=1)
    assert "Verdicts were looked at first with 60 images and draws of seed 0" in other.notes[-1]
    result.robustness(images=60)
    for run in result.runs:  # anew, the same bits
        (store / "robustness" / "validation" / f"{run.id}.npz").unlink()
    assert result.robustness(images=60).as_dict() == first.as_dict()
    broken = store / "robustness" / "validation" / f"{result.runs[0].id}.npz"
    broken.write_bytes(broken.read_bytes()[:50])
    assert result.robustness(images=60).as_dict() == first.as_dict()


def test_clean_accuracy_is_that_of_the_validation_images(store: Path) -> None:
    result = assay.result("small", store=store)
    found = result.robustness(images=10_000)
    for arm in found.arms:
        recorded = [run.kept.validation_accuracy for run in result.record.runs_of(arm.arm) if run.kept]
        assert arm.clean == pytest.approx(recorded, abs=1e-6)


def test_lost_weights_are_one_sentence_with_the_remedy(store: Path, tmp_path: Path) -> None:
    shutil.rmtree(store / "robustness")
    result: Result = assay.result("small", store=store)
    first, *rest = result.runs
    (store / str(first.weights_path)).unlink()
    assert any("1 finished run had no part in it" in note for note in result.robustness(images=20).notes)
    shutil.rmtree(store / "robustness")
    for run in rest:
        (store / str(run.weights_path)).unlink()
    with pytest.raises(
        SpecError, match=r'no run of "small" has its weights: .*; corruptions are judged by the networks'
    ):
        result.robustness(images=20)


def test_the_test_split_is_never_opened_in_silence(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = assay.result("small", store=store)
    with pytest.raises(SpecError, match='the test split of "small" is sealed'):
        result.robustness(split="test", images=20)
    assert result.record.looks == ()
    result.reveal()
    with pytest.raises(SystemExit) as ended:
        main(["robustness", "small", "--split", "test", "--store", str(store)])
    assert ended.value.code == 2
    assert "add --yes if it may" in capsys.readouterr().err
    assert len(result.record.looks) == 1
    asked = result.robustness(split="test", images=50)
    assert asked.split == "test"
    assert [(look.num_runs, look.num_new) for look in result.record.looks] == [(4, 4), (4, 0)]
    result.robustness(split="test", images=50)  # the same answers again are no look
    assert len(result.record.looks) == 2


def test_the_command_and_the_report(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["robustness", "small", "--images", "60", "--store", str(store)])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "gaussian noise" in shown
    assert "not enough seeds for a verdict: 2 pairs, 6 are needed" in shown
    with pytest.raises(SystemExit):
        main(["robustness", "small", "--images", "60", "--store", str(store), "--json"])
    values = json.loads(capsys.readouterr().out)
    assert values["severities"] == [0, 1, 2, 3, 4, 5]
    assert len(values["arms"]) == 2
    html = assay.result("small", store=store).report(tmp_path / "r.html", explanations=()).read_text()
    assert 'id="robustness"' in html
    assert "A training image as it is, then in severities 1 to 5" in html
    assert "hendrycks2019benchmarking" in html
    shutil.rmtree(store / "robustness")
    html = assay.result("small", store=store).report(tmp_path / "r.html", explanations=()).read_text()
    assert 'id="robustness"' not in html  # a report asks no network


def test_scores_are_of_the_studys_measure_and_asked_anew_for_another(store: Path, tmp_path: Path) -> None:
    """The report, the command and the kept files follow `metric`; clean scores are those that the study has."""
    study = small_study(network={"layers": LAYERS}, name="balanced", metric="balanced_accuracy")
    assay.run(study, store=store, workers=1)
    result = assay.result("balanced", store=store)
    found = result.robustness(images=10_000)
    own = {contrast.arm: contrast for contrast in result.compare().contrasts}
    assert set(own) == {found.verdicts[0].b}
    values = dict(zip(result.frame()["id"], result.frame()["validation_balanced_accuracy"], strict=True))
    for arm in found.arms:
        recorded = [values[run.id] for run in result.record.runs_of(arm.arm)]
        assert arm.clean == pytest.approx(recorded, abs=1e-3)
    kept = read_hits(store, "validation", result.runs[0].id)
    assert kept is not None
    assert kept.metric == "balanced_accuracy"
    assert kept.by_image("fog").mean() == pytest.approx(kept.scores_of("fog").mean(), abs=1e-5)
    html = result.report(tmp_path / "r.html", explanations=()).read_text()
    assert "Balanced accuracy on corrupted validation images" in html
    plain = assay.result("small", store=store).robustness(images=60)  # the same runs, by accuracy: they are asked anew
    assert plain.measure.name == "accuracy"
