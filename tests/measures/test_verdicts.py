"""Verdicts by other measures: direction, units, what images add, looks, and what cannot be judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from assay.analysis import answer, arm_scores, best_arm, compare_study, look_record
from assay.analysis.looks import next_look
from assay.analysis.measured import seen_by
from assay.analysis.rows import key_of, planned_rows
from assay.errors import DataError, SpecError
from assay.measures import Predictions, measure_called
from assay.report import as_latex, as_markdown
from assay.store import StudyRecord

from ..recorded import html_of
from .constructed import constructed, drawn


def imbalanced(metric: str | None = None, *, seeds: int = 10, seed: int = 0) -> StudyRecord:
    """Nine of ten images are ill. "balanced" finds a healthy one more often than "plain", and errs more on the ill."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(500) % 10 > 0).astype(int)
    margins = {"plain": np.array([-0.5, 4.0]), "balanced": np.array([2.0, 1.8])}
    runs = {
        arm: [drawn(labels, 2, of_arm + rng.normal(scale=0.2, size=2), rng) for _ in range(seeds)]
        for arm, of_arm in margins.items()
    }
    return constructed(labels, runs, metric=metric)


def test_accuracy_misleads_where_classes_are_of_unlike_sizes() -> None:
    study = imbalanced()
    by_accuracy, by_balance = compare_study(study), compare_study(seen_by(study, "balanced_accuracy"))
    assert by_accuracy.contrasts[0].outcome == "worse"
    assert by_balance.contrasts[0].outcome == "better"
    assert best_arm(study) == "plain"
    assert best_arm(imbalanced("balanced_accuracy")) == "balanced"
    sentence = by_balance.sentences[0]
    assert sentence.startswith("balanced is better than plain: balanced accuracy is ")
    assert " points higher (95 % interval " in sentence
    assert any(note.startswith("Exploratory: the study goes by accuracy") for note in by_balance.notes)
    assert by_balance.as_dict()["metric"] == "balanced_accuracy"
    assert by_balance.as_dict()["exploratory"] is True


def test_the_mean_is_that_of_the_runs() -> None:
    study = imbalanced("macro_auc")
    measure, source = measure_called("macro_auc"), {}
    for run, _, kept in study.predictions([run.id for run in study.runs], "validation"):
        logs, labels, _ = kept.arrays()
        source[run] = measure.value(Predictions(logs, labels, ("healthy", "ill")))
    for arm in arm_scores(study):
        assert arm.scores == pytest.approx([source[run.id] for run in study.runs_of(arm.arm)])


def test_lower_is_better_for_a_loss_and_it_has_its_own_unit() -> None:
    study = imbalanced("log_loss")
    (contrast,) = compare_study(study).contrasts
    difference = contrast.difference
    assert difference is not None
    assert (contrast.outcome == "worse") == (difference.mean > 0)
    assert (
        f"log loss is {abs(difference.mean):.3f} nats {'higher' if difference.mean > 0 else 'lower'}"
        in contrast.sentence
    )
    assert "points" not in contrast.details
    wins = contrast.finding.superiority
    assert wins is not None
    assert (wins.mean < 0.5) == (difference.mean > 0)
    for text in (
        html_of(study),
        as_markdown(study, summaries={}, version="1"),
        as_latex(study, summaries={}, version="1"),
    ):
        assert "log loss" in text
        assert "percentage points" not in text.split("recall of each class")[0]


def test_images_widen_the_interval_of_a_measure() -> None:
    study = imbalanced("balanced_accuracy")
    here = replace(study, spec={**study.spec, "claim": "these images"})
    wide, narrow = (compare_study(one).contrasts[0].difference for one in (study, here))
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > narrow.high - narrow.low


def test_another_measure_is_another_question_and_pays_for_what_was_looked_at() -> None:
    """Who looks by accuracy and then names another metric in the study's file has half of what is left for it."""
    study = imbalanced()
    look = look_record(study)
    assert look is not None
    changed = replace(imbalanced("balanced_accuracy"), verdict_looks=(look,))
    assert [key_of(study, row) for row in planned_rows(study)] != [
        key_of(changed, row) for row in planned_rows(changed)
    ]
    (contrast,) = compare_study(changed).contrasts
    assert contrast.finding.share == pytest.approx(0.07)
    assert any("called balanced against plain worse" in note for note in compare_study(changed).notes)
    assert next_look(changed, {}) is not None


def test_a_change_of_the_margin_is_in_the_measures_unit() -> None:
    study = imbalanced("macro_auc")
    with_margin = replace(study, spec={**study.spec, "seeds": {**study.spec["seeds"], "margin": 0.9}})
    (contrast,) = compare_study(with_margin).contrasts
    assert contrast.finding.equivalence is not None
    assert contrast.finding.equivalence.margin == 0.9


def test_one_arm_has_its_measure_in_the_answer() -> None:
    study = imbalanced("macro_auc")
    alone = replace(study, arms=study.arms[:1], runs=tuple(run for run in study.runs if run.arm == "plain"))
    assert answer(alone).headline.startswith("plain scores a macro AUC of 0.")


def test_runs_without_predictions_are_named_with_the_remedy() -> None:
    study = imbalanced()
    bare = replace(study, predictions=lambda runs, split: study.predictions(list(runs)[3:], split))
    assert compare_study(bare).contrasts[0].outcome == "worse"  # accuracy needs none
    with pytest.raises(
        DataError, match=r"3 of 20 runs were finished before Assay kept them; `assay run` the study again"
    ):
        compare_study(seen_by(bare, "macro_f1"))


def test_bad_measures_are_refused() -> None:
    study = imbalanced()
    with pytest.raises(SpecError, match='did you mean "macro_f1"'):
        seen_by(study, "macro_f2")
    with pytest.raises(DataError, match='there is no class "klass 1"; did you mean "class 1"'):
        seen_by(study, "recall:klass 1")
    with pytest.raises(DataError, match="seed 0 of plain: worst group accuracy cannot be computed: the images have no"):
        compare_study(seen_by(study, "worst_group_accuracy"))
    with pytest.raises(DataError, match="got groups of 3 images, and the data set has 5,000 training images"):
        seen_by(study, "worst_group_accuracy", np.zeros(3, int))
    groups = np.arange(5000) % 3
    (contrast,) = compare_study(seen_by(study, "worst_group_accuracy", groups)).contrasts
    assert "worst group accuracy" in contrast.sentence
