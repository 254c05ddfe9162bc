"""Other measures than accuracy: reported by a table, computed from saved predictions, and of a study's own table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, log_loss

import assay
from assay.analysis import answer, compare_study
from assay.errors import DataError, SpecError
from assay.judging import score_frame
from assay.judging.export import table_text
from assay.store import ImageHits, ImageSets, StudyRecord
from assay.store.predictions import KeptPredictions

CLASSES, IMAGES, SEEDS = 3, 150, 8


def scores(gain: float, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for seed in range(10):
        shared = rng.normal(0, 0.01)
        for arm in ("a", "b"):
            value = 0.5 + shared + gain * (arm == "b") + rng.normal(0, 0.004)
            rows.append({"arm": arm, "seed": seed, "score": value, **columns})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("metric", "gain", "better", "words"),
    [
        ("val_loss", 0.05, False, "b is worse than a: loss is 0.05"),
        ("val_loss", -0.05, True, "b is better than a: loss is 0.0"),
        ("macro_f1", 0.05, True, "b is better than a: macro F1 is 5."),
        ("log_loss", -0.05, True, "b is better than a: log loss is 0.0"),
        ("auroc", 0.05, True, "b is better than a: macro AUC is 0.0"),
        ("top5_error", -0.05, True, "b is better than a: top5 error is 4."),
    ],
)
def test_a_table_names_its_measure_and_direction(metric: str, gain: float, better: bool, words: str) -> None:
    for judged in (assay.judge(scores(gain, metric=metric)), assay.judge(scores(gain), metric=metric)):
        assert judged.headline.startswith(words)
        assert judged.compare().contrasts[0].outcome == ("better" if better else "worse")
        assert not judged.compare().is_exploratory


def test_a_measure_of_unknown_direction_asks_for_it(tmp_path: Path) -> None:
    frame = scores(0.05, metric="zeal")
    with pytest.raises(DataError, match='whether a higher "zeal" is better is not known; say --higher-is-better'):
        assay.judge(frame)
    assert assay.judge(frame, higher_is_better=False).headline.startswith("b is worse than a: zeal is 0.0")
    with pytest.raises(DataError, match="a higher log loss is said to be better"):
        assay.judge(scores(0.05), metric="log_loss", higher_is_better=True)
    # Kept in a store, and read again from there, it is the same measure.
    for _ in range(2):
        judged = assay.judge(frame, higher_is_better=False, store=tmp_path, name="zeal")
    assert judged.compare().contrasts[0].outcome == "worse"
    assert len(assay.ledger(tmp_path).claims) == 1
    assert "zeal" in judged.report(tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def predicted() -> tuple[np.ndarray, dict[str, list[np.ndarray]]]:
    """Labels, and probabilities of two arms [seeds][images, classes]."""
    rng = np.random.default_rng(12)
    labels = rng.choice(CLASSES, IMAGES, p=[0.6, 0.3, 0.1])
    hard = rng.normal(size=IMAGES)
    arms: dict[str, list[np.ndarray]] = {}
    for arm, skill in (("base", 1.0), ("wide", 2.0)):
        arms[arm] = []
        for _ in range(SEEDS):
            logits = rng.normal(size=(IMAGES, CLASSES))
            logits[np.arange(IMAGES), labels] += skill - hard
            arms[arm].append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
    return labels, arms


def test_measures_are_computed_from_saved_probabilities(
    predicted: tuple[np.ndarray, dict[str, list[np.ndarray]]], tmp_path: Path
) -> None:
    labels, arms = predicted
    for arm, of_seeds in arms.items():
        (tmp_path / "p" / arm).mkdir(parents=True)
        for seed, values in enumerate(of_seeds):
            np.save(tmp_path / "p" / arm / f"seed-{seed}.npy", values)
    np.save(tmp_path / "p" / "labels.npy", labels)
    for metric, by in (
        ("macro_f1", lambda one: f1_score(labels, one.argmax(1), average="macro")),
        ("log_loss", lambda one: log_loss(labels, one, labels=range(CLASSES))),
    ):
        judged = assay.judge(tmp_path / "p", metric=metric).compare()
        means = {arm: np.mean([by(one) for one in of_seeds]) for arm, of_seeds in arms.items()}
        assert judged.contrasts[0].difference is not None
        assert judged.contrasts[0].difference.mean == pytest.approx(means["wide"] - means["base"], abs=2e-4)
        assert "speaks of new images" in judged.contrasts[0].details
    recall = assay.judge(tmp_path / "p", metric="recall:2")
    assert "recall of class 2" in recall.headline
    with pytest.raises(DataError, match='no class "7"'):
        assay.judge(tmp_path / "p", metric="recall:7")
    with pytest.raises(SpecError, match="zeal"):
        assay.judge(tmp_path / "p", metric="zeal")
    np.save(tmp_path / "p" / "wide" / "seed-0.npy", arms["wide"][0] * 7)
    with pytest.raises(DataError, match=r"macro F1 is computed from probabilities, and wide/seed-0.npy holds none"):
        assay.judge(tmp_path / "p", metric="macro_f1")
    assert "accuracy" in assay.judge(tmp_path / "p").headline


@pytest.mark.parametrize("metric", ["macro_f1", "log_loss"])
def test_the_table_of_a_study_by_another_measure_gives_its_sentences(
    metric: str,
    make_study: Callable[..., StudyRecord],
    predicted: tuple[np.ndarray, dict[str, list[np.ndarray]]],
    tmp_path: Path,
) -> None:
    labels, arms = predicted
    study = make_study({arm: [0.5] * SEEDS for arm in arms})
    images = np.arange(IMAGES)
    hits, sets, held, runs = {}, {}, {}, []
    for run in study.runs:
        values = arms[run.arm][run.seed]
        one = ImageHits.of("training", images, values.argmax(1) == labels)
        hits[run.id], sets[one.image_set] = (one.image_set, one.hits), one.images
        held[run.id] = (run.id, one.image_set, KeptPredictions.of(np.log(values), labels))
        runs.append(replace(run, epochs=(replace(run.epochs[-1], validation_accuracy=one.accuracy),)))
    whole = replace(
        study, runs=tuple(runs), validation_hits=hits, image_sets=ImageSets(sets),
        spec={**study.spec, "metric": metric}, predictions=lambda wanted, split: iter([held[run] for run in wanted]),
    )  # fmt: skip
    path = tmp_path / "table.csv"
    path.write_text(table_text(score_frame(whole)), encoding="utf-8")
    judged = assay.judge(path)
    assert judged.headline == answer(whole).headline
    assert str(judged.compare()) == str(compare_study(whole))
    assert judged.compare().as_dict() == compare_study(whole).as_dict()
    assert metric.replace("_", " ").lower() in judged.headline.lower()
