"""The report names the classes that a change hurts: those that it does, and few others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from assay.analysis.classes import class_changes, class_sentences
from assay.stats import benjamini_yekutieli, pairs_to_name
from assay.store import StudyRecord

from ..recorded import html_of
from .constructed import constructed, drawn

CLASSES = 10


def study(hurt: dict[int, float], *, seeds: int, seed: int, images: int = 400) -> StudyRecord:
    """Two arms; the second's margin on these classes is another, and seeds move the margin of each class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, size=images)
    change = np.array([hurt.get(label, 0.0) for label in range(CLASSES)])
    predicted = {
        arm: [drawn(labels, CLASSES, 2.5 + moved + rng.normal(scale=0.2, size=CLASSES), rng) for _ in range(seeds)]
        for arm, moved in (("before", 0 * change), ("after", change))
    }
    return constructed(labels, predicted)


def test_adjusted_ps_are_scipys() -> None:
    p = np.random.default_rng(2001).uniform(size=40) ** 3
    assert benjamini_yekutieli(p) == pytest.approx(false_discovery_control(p, method="by"))
    assert benjamini_yekutieli([0.02]) == pytest.approx([0.02])
    assert len(benjamini_yekutieli([])) == 0


def test_the_classes_that_a_change_hurts_and_helps_are_named() -> None:
    record = study({3: -1.5, 7: 1.5}, seeds=20, seed=1)
    named = {one.name: one.difference for one in class_changes(record) if one.is_named}
    assert set(named) == {"class 3", "class 7"}
    assert named["class 3"] < -0.1 < 0.1 < named["class 7"]
    (sentence,) = class_sentences(record)
    assert sentence.startswith("Against before, after hurts class 3 (recall −")
    assert " and helps class 7 (recall +" in sentence
    page = html_of(record)
    assert "after hurts class 3" in page
    assert "p after Benjamini and Yekutieli" in page


def test_too_few_seeds_are_said() -> None:
    record = study({3: -4.0}, seeds=8, seed=2)
    (sentence,) = class_sentences(record)
    assert sentence == (
        f"No class is shown to be hurt or helped by after against before: naming one among {CLASSES} takes "
        f"{pairs_to_name(CLASSES)} seeds, and there are 8"
    )
    assert class_changes(study({}, seeds=5, seed=3)) == ()


def test_a_class_without_validation_images_is_left_out() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, size=300)
    runs = {arm: [drawn(labels, 4, np.full(4, 1.0), rng) for _ in range(8)] for arm in ("a", "b")}
    assert {one.name for one in class_changes(constructed(labels, runs, classes=4))} == {
        "class 0",
        "class 1",
        "class 2",
    }


@pytest.mark.slow
@pytest.mark.parametrize("hurt", [{}, {0: -1.0, 1: -1.0, 2: 1.0}])
def test_false_discoveries_stay_at_5_percent(hurt: dict[int, float]) -> None:
    shares = []
    for seed in range(400):
        named = [one.name for one in class_changes(study(hurt, seeds=16, seed=seed)) if one.is_named]
        shares.append(sum(name not in {f"class {label}" for label in hurt} for name in named) / max(len(named), 1))
    assert np.mean(shares) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / len(shares))
