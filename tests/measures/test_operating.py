"""A class that is called from a probability on: thresholds by brute force, rates with intervals that hold the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.analysis import level_sentences, levels, operating_point
from assay.analysis.measured import seen_by
from assay.analysis.operating import Rule, _rate
from assay.cli import main
from assay.errors import DataError, SpecError
from assay.store import StudyRecord

from .constructed import constructed, drawn


def two_classes(seeds: int = 8, *, images: int = 300, spread: float = 0.0, seed: int = 0) -> StudyRecord:
    rng = np.random.default_rng(seed)
    labels = (rng.random(images) < 0.7).astype(np.int64)
    margins = [np.array([0.5, 2.0]) + spread * rng.normal(size=2) for _ in range(seeds)]
    return constructed(labels, {"a": [drawn(labels, 2, margin, rng) for margin in margins]})


def test_thresholds_are_what_trying_all_of_them_finds() -> None:
    rng = np.random.default_rng(7)
    probabilities = np.round(rng.random(400), 2)  # with ties
    is_class = rng.random(400) < probabilities
    candidates = np.append(np.unique(probabilities), np.inf)
    found = np.array([(probabilities[is_class] >= t).mean() for t in candidates])
    spared = np.array([(probabilities[~is_class] < t).mean() for t in candidates])
    for share in (0.5, 0.9, 0.95, 0.999):
        threshold = Rule(sensitivity=share).threshold(probabilities, is_class)
        assert threshold == candidates[found >= share].max()
        threshold = Rule(specificity=share).threshold(probabilities, is_class)
        assert (probabilities[~is_class] < threshold).mean() == spared[spared >= share].min()
        assert (probabilities[is_class] >= threshold).mean() == found[spared >= share].max()
    for cost in (0.2, 1.0, 10.0):
        threshold = Rule(cost=cost).threshold(probabilities, is_class)
        costs = cost * is_class.sum() * (1 - found) + (~is_class).sum() * (1 - spared)
        at = cost * (probabilities[is_class] < threshold).sum() + (probabilities[~is_class] >= threshold).sum()
        assert at == pytest.approx(costs.min())


def test_each_run_has_its_own_threshold_and_the_shares_are_counted() -> None:
    study = two_classes()
    point = operating_point(study, "a", "class 1", Rule(sensitivity=0.9))
    (on_validation,) = point.points
    labels = next(iter(study.predictions([study.runs[0].id], "validation")))[2].arrays()[1]
    counted = []
    for run, threshold in zip(study.runs, point.thresholds, strict=True):
        logs, _, _ = next(iter(study.predictions([run.id], "validation")))[2].arrays()
        values = np.exp(logs.astype(float))
        called = (values / values.sum(1, keepdims=True))[:, 1] >= threshold
        counted.append((called[labels == 1].mean(), (~called)[labels == 0].mean()))
        assert counted[-1][0] >= 0.9
    assert on_validation.sensitivity.mean == pytest.approx(np.mean([one for one, _ in counted]))
    assert on_validation.specificity.mean == pytest.approx(np.mean([one for _, one in counted]))
    assert on_validation.sensitivity.images + on_validation.specificity.images == len(labels)
    assert "so that 90 % of the class is found there" in point.sentences[0]
    assert any("assay reveal" in note for note in point.notes)
    assert operating_point(study, "a", "1", Rule(sensitivity=0.9)).thresholds == point.thresholds  # by its label


def test_intervals_of_rates_and_levels_hold_what_other_seeds_and_images_give() -> None:
    """Hits of 8 networks on 150 images, some images and some networks worse: the truth is the mean over all of both."""
    rng, held, draws = np.random.default_rng(11), 0, 300
    places = np.arange(150)
    grid = np.linspace(-4, 4, 4001)
    weights = np.exp(-(grid**2) / 2)
    truth = float(np.average(1 / (1 + np.exp(-(1.5 + grid * 1.02))), weights=weights))  # deviations 1 and 0.2 together
    for _ in range(draws):
        odds = 1.5 + rng.normal(size=(1, 150)) + 0.2 * rng.normal(size=(8, 1))
        rows = (rng.random((8, 150)) < 1 / (1 + np.exp(-odds))).astype(float)
        rate = _rate(list(rows), [places] * 8)
        held += rate.low <= truth <= rate.high
    assert held / draws == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / draws) ** 0.5)


def test_a_level_covers_images_too_and_says_so() -> None:
    study = two_classes(spread=0.05)
    (level,) = levels(study)
    scores = [run.kept.validation_accuracy for run in study.runs if run.kept]
    assert level.mean == pytest.approx(np.mean(scores))
    over_seeds = 2.364624 * np.std(scores, ddof=1) / 8**0.5  # Student's at 7 degrees of freedom
    over_images = 1.96 * (level.mean * (1 - level.mean) / 300) ** 0.5
    assert level.low is not None
    assert level.high is not None
    assert over_seeds < level.mean - level.low < over_seeds + over_images  # the networks do not err as one
    (of_auc,) = levels(seen_by(study, "macro_auc"))
    assert 0.5 < of_auc.mean < 1
    assert level_sentences(study)[0].startswith(f"a: validation accuracy {100 * level.mean:.1f} % [")
    assert "new images" in level_sentences(study)[-1]
    with pytest.raises(SpecError, match=r'the test split of ".*" is sealed'):
        levels(study, "test")


def test_what_cannot_be_done_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, message in (
        ({}, "no rule for the threshold is given; give one of sensitivity"),
        ({"sensitivity": 0.9, "cost": 2.0}, "got sensitivity and cost; give one of"),
        ({"sensitivity": 1.0}, "the sensitivity is 1; give a share between 0 and 1"),
        ({"cost": 0.0}, "the cost is 0; give how many false alarms"),
    ):
        with pytest.raises(SpecError, match=message):
            Rule(**wrong)
    study = two_classes(2)
    with pytest.raises(SpecError, match='there is no class "sick"'):
        operating_point(study, "a", "sick", Rule(cost=2))
    labels = np.zeros(40, np.int64)
    one_class = constructed(
        labels, {"a": [drawn(labels, 2, np.array([1.0, 1.0]), np.random.default_rng(0))]}, classes=2
    )
    with pytest.raises(DataError, match='none of the 40 validation images of seed 0 are "class 1"; a threshold needs'):
        operating_point(one_class, "a", "class 1", Rule(cost=2))
    with pytest.raises(DataError, match='all of the 40 validation images of seed 0 are "class 0"'):
        operating_point(one_class, "a", "class 0", Rule(cost=2))
    folded = replace(study, runs=tuple(replace(run, fold=1) for run in study.runs))
    with pytest.raises(SpecError, match="with folds each validation image has one network"):
        operating_point(folded, "a", "class 1", Rule(cost=2))
    with pytest.raises(SystemExit) as ended:
        main(["threshold", "none", "--sensitivity", "0.9"])
    assert ended.value.code == 2
    assert "Missing option '--class'" in capsys.readouterr().err
