"""Mistakes, calibration and agreement: by hand, against scikit-learn, and for predictors whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.explain.agreement import agreement
from assay.explain.calibration import calibration, rejection
from assay.explain.mistakes import class_scores, confused_pairs, confusion_matrix, losses_of, top_losses
from assay.explain.projection import project


def random_predictions(n: int = 500, classes: int = 4) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rng = np.random.default_rng(8)
    labels = rng.integers(0, classes, n)
    scores = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    odds = np.exp(scores)
    return labels, (odds / odds.sum(1, keepdims=True)).astype(np.float32)


def test_a_confusion_by_hand() -> None:
    labels, predicted = np.array([0, 0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 0, 2, 2])
    confusion = confusion_matrix(labels, predicted, 4)
    assert confusion.tolist() == [[1, 2, 0, 0], [1, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    scores = class_scores(confusion)
    assert scores.recall[:3].tolist() == [1 / 3, 1 / 2, 1]
    assert scores.precision[:3].tolist() == [1 / 2, 1 / 3, 1]
    assert scores.f1[:3].tolist() == [0.4, 0.4, 1]
    assert np.isnan([scores.recall[3], scores.precision[3], scores.f1[3]]).all()
    (pair,) = confused_pairs(confusion)
    assert (pair.a, pair.b, pair.a_for_b, pair.b_for_a, pair.share) == (0, 1, 2, 1, 3 / 5)


def test_scores_are_scikit_learns() -> None:
    from sklearn import metrics

    labels, probabilities = random_predictions()
    predicted = probabilities.argmax(1)
    confusion = confusion_matrix(labels, predicted, 4)
    np.testing.assert_array_equal(confusion, metrics.confusion_matrix(labels, predicted))
    scores = class_scores(confusion)
    theirs = metrics.precision_recall_fscore_support(labels, predicted)
    for ours, other in zip((scores.precision, scores.recall, scores.f1, scores.support), theirs, strict=True):
        np.testing.assert_allclose(ours, other)
    assert losses_of(probabilities, labels).mean() == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-5)


def test_the_costliest_images_come_first() -> None:
    labels, probabilities = random_predictions()
    order = top_losses(probabilities, labels, count=10)
    losses = losses_of(probabilities, labels)
    assert losses[order].tolist() == sorted(losses, reverse=True)[:10]
    assert np.isfinite(losses_of(np.array([[0.0, 1.0]], np.float32), np.array([0]))).all()


def test_a_calibrated_predictor_has_no_calibration_error() -> None:
    """Labels that are drawn from the claimed probabilities; what is left is the noise of the bins."""
    rng = np.random.default_rng(9)
    n = 200_000
    sure = rng.uniform(0.5, 1, n)
    probabilities = np.stack([sure, 1 - sure], 1).astype(np.float32)
    labels = (rng.uniform(size=n) > sure).astype(np.int64)
    # A bin's error has a standard deviation of at most 0.5 / sqrt(n / 8 bins): four of them.
    assert calibration(probabilities, labels).error < 4 * 0.5 / np.sqrt(n / 8)
    boastful = calibration(np.stack([sure**0.25, 1 - sure**0.25], 1).astype(np.float32), labels)
    assert boastful.error == pytest.approx(np.mean(sure**0.25 - sure), abs=0.005)
    assert boastful.mean_confidence - boastful.mean_accuracy == pytest.approx(boastful.error, abs=1e-6)


def test_a_calibration_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.5, 0.5]], np.float32)
    found = calibration(probabilities, np.array([0, 1, 1, 0]), bins=2)
    assert found.counts.tolist() == [1, 3]  # 0.5 lies on an edge and belongs below
    assert found.accuracy.tolist() == [1, pytest.approx(2 / 3)]
    assert found.error == pytest.approx((abs(1 - 0.5) + abs(2 - 2.3)) / 4)


def test_bins_are_scikit_learns_where_both_are_defined() -> None:
    from sklearn.calibration import calibration_curve

    labels, probabilities = random_predictions(classes=2)
    found = calibration(probabilities, labels, bins=10)
    hits = probabilities.argmax(1) == labels
    accuracy, confidence = calibration_curve(hits, probabilities.max(1), n_bins=10)
    used = found.counts > 0
    np.testing.assert_allclose(found.accuracy[used], accuracy, atol=1e-6)
    np.testing.assert_allclose(found.confidence[used], confidence, atol=1e-6)


def test_leaving_doubtful_images_out() -> None:
    sure = np.array([0.99, 0.6, 0.9, 0.7], np.float32)
    probabilities = np.stack([sure, 1 - sure], 1)
    found = rejection(probabilities, np.array([0, 1, 0, 0]))
    assert found.kept.tolist() == [0.25, 0.5, 0.75, 1]
    assert found.accuracy.tolist() == [1, 1, 1, 0.75]
    assert (found.kept_at(1.0), found.kept_at(0.7), found.kept_at(1.1)) == (0.75, 1.0, 0.0)


def test_agreement_by_hand() -> None:
    hits = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 1, 0], [1, 1, 0, 0, 1]], bool)
    asked = np.ones_like(hits)
    asked[:2, 4] = False  # one run alone did not train on the last image
    found = agreement(hits, asked)
    assert found.images.tolist() == [0, 1, 2, 3]
    assert found.counts.tolist() == [1, 2, 1]
    assert found.hard.tolist() == [2]
    assert found.chancy.tolist() == [1, 3]
    rates = np.array([2, 2, 2]) / 4
    assert found.expected.tolist() == [4 * (1 - rates).prod(), 4 - 8 * rates.prod(), 4 * rates.prod()]
    with pytest.raises(ValueError, match="needs two"):
        agreement(hits[:1])


@pytest.mark.parametrize("hardness", [0.0, 0.05])
def test_what_is_expected_is_what_independent_runs_show(hardness: float) -> None:
    rng = np.random.default_rng(10)
    n, rates = 40_000, np.array([0.1, 0.2, 0.15])
    hits = (rng.uniform(size=(3, n)) > rates[:, None]) & (rng.uniform(size=n) >= hardness)
    found = agreement(hits)
    deviation = 4 * np.sqrt(np.maximum(found.expected * (1 - found.expected / n), 1))
    is_near = np.abs(found.counts - found.expected) < deviation
    assert is_near.all() == (hardness == 0)
    if hardness:
        assert found.counts[2] > 5 * found.expected[2]


def test_the_map_is_scikit_learns_pca() -> None:
    from sklearn.decomposition import PCA

    features = np.random.default_rng(11).normal(size=(60, 5)).astype(np.float32) * np.array([5, 3, 1, 1, 1], np.float32)
    found = project(features)
    pca = PCA(2).fit(features)
    theirs = pca.transform(features)
    np.testing.assert_allclose(np.abs(found.points), np.abs(theirs), atol=1e-3)
    np.testing.assert_allclose(found.shares, pca.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_array_equal(project(features).points, found.points)
    flat = project(features[:, :1])
    assert flat.shares == (pytest.approx(1.0), 0.0)


def test_neighbours_stay_together_in_t_sne() -> None:
    rng = np.random.default_rng(12)
    groups = np.repeat([0, 1], 20)
    features = (rng.normal(size=(40, 6)) + 30 * groups[:, None]).astype(np.float32)
    found = project(features, "tsne")
    middles = np.stack([found.points[groups == group].mean(0) for group in (0, 1)])
    nearest = np.linalg.norm(found.points[:, None] - middles, axis=2).argmin(1)
    assert found.shares is None
    np.testing.assert_array_equal(nearest, groups)
