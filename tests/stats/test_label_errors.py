"""Labels that are wrong: constructed truth, calibrated doubts, and the published method on the same probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.data import prepare
from assay.errors import DataError
from assay.stats import label_errors
from assay.train.engine import train

from ..helpers import small_study, tasks_of

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def flipped(true: Labels, share: float, rng: np.random.Generator, classes: int) -> Labels:
    labels = true.copy()
    chosen = rng.choice(len(true), round(share * len(true)), replace=False)
    labels[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return labels


def drawn(
    n: int, classes: int, margin: float, rng: np.random.Generator, *, sharpness: float = 1.0
) -> tuple[Floats, Labels]:
    """Probabilities of a network that is sure of some images and not of others, and true classes drawn from them,
    raised to a power."""
    logits = margin * rng.standard_t(4, size=(n, classes))
    told = np.exp(logits - logits.max(1, keepdims=True))
    told /= told.sum(1, keepdims=True)
    own = told**sharpness
    own /= own.sum(1, keepdims=True)
    true = (rng.random((n, 1)) > np.cumsum(own, axis=1)[:, :-1]).sum(1).astype(np.int64)
    return told, true


def confident_learning(probabilities: Floats, labels: Labels) -> NDArray[np.bool_]:
    """What Northcutt et al. (2021) name: as many of each pair of classes as their calibrated confident joint counts
    off its diagonal, those of the largest margin (their "prune by noise rate")."""
    n, k = probabilities.shape
    thresholds = np.array([probabilities[labels == j, j].mean() for j in range(k)])
    sure = np.where(probabilities >= thresholds - 1e-6, probabilities, -1.0)
    joint = np.zeros((k, k))
    for label, row in zip(labels, sure, strict=True):
        if row.max() > 0:
            joint[label, row.argmax()] += 1
    counts = np.bincount(labels, minlength=k)
    joint *= (counts / np.maximum(joint.sum(1), 1))[:, None]
    named = np.zeros(n, bool)
    for i in range(k):
        members = np.flatnonzero(labels == i)
        for j in range(k):
            number = round(joint[i, j])
            if i != j and number:
                margins = probabilities[members, j] - probabilities[members, i]
                named[members[np.argsort(-margins, kind="stable")[:number]]] = True
    return named & (probabilities.argmax(1) != labels)


def shares(named: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """Precision and recall."""
    hits = (named & wrong).sum()
    return float(hits / max(named.sum(), 1)), float(hits / wrong.sum())


@pytest.mark.parametrize("sharpness", [0.6, 1.0, 1.8])
def test_the_rate_and_how_sure_the_networks_are_come_out_as_constructed(sharpness: float) -> None:
    rng = np.random.default_rng(3)
    probabilities, true = drawn(20_000, 5, 3.0, rng, sharpness=sharpness)
    labels = flipped(true, 0.1, rng, 5)
    errors = label_errors(probabilities, labels)
    assert errors.rate == pytest.approx(0.1, abs=0.012)
    assert errors.sharpness == pytest.approx(sharpness, rel=0.1)
    np.testing.assert_allclose(errors.mislabelled.sum(1), 1)
    wrong = labels != true
    for low, high in ((0.1, 0.4), (0.4, 0.6), (0.6, 0.9), (0.9, 1.0)):  # doubts are probabilities
        part = (errors.doubt > low) & (errors.doubt <= high)
        tolerance = 4 * 0.5 / part.sum() ** 0.5 + 0.02
        assert wrong[part].mean() == pytest.approx(errors.doubt[part].mean(), abs=tolerance)
    assert (errors.likely[errors.wrong] != labels[errors.wrong]).all()
    assert (errors.likely[errors.wrong & wrong] == true[errors.wrong & wrong]).mean() > 0.7


def test_right_labels_are_left_alone_however_bad_the_network_is() -> None:
    rng = np.random.default_rng(5)
    for margin in (0.5, 1.5, 4.0):
        probabilities, true = drawn(8000, 4, margin, rng)
        errors = label_errors(probabilities, true)
        assert errors.rate < 0.05
        assert errors.wrong.mean() < 0.003


def test_a_rare_class_that_the_network_never_names_is_not_all_wrong() -> None:
    rng = np.random.default_rng(7)
    true = (rng.random(4000) < 0.03).astype(np.int64)
    chance = np.clip(0.03 + 0.1 * true + 0.02 * rng.normal(size=4000), 0.001, 0.4)
    errors = label_errors(np.stack([1 - chance, chance], 1), true)
    assert errors.wrong[true == 1].mean() < 0.1


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_it_finds_planted_errors_at_least_as_well_as_confident_learning(share: float) -> None:
    """On drawn probabilities: at its own number better by F1, and among as many images no fewer are wrong."""
    rng = np.random.default_rng(11)
    probabilities, true = drawn(15_000, 10, 3.0, rng)
    labels = flipped(true, share, rng, 10)
    wrong = labels != true
    other = confident_learning(probabilities, labels)
    errors = label_errors(probabilities, labels)
    (p, r), (other_p, other_r) = shares(errors.wrong, wrong), shares(other, wrong)
    assert 2 * p * r / (p + r) > 2 * other_p * other_r / (other_p + other_r)
    first = np.zeros(len(labels), bool)
    first[np.argsort(-errors.doubt, kind="stable")[: int(other.sum())]] = True
    same_p, same_r = shares(first, wrong)
    assert same_p >= other_p
    assert same_r >= other_r


def test_on_digits_precision_and_recall_are_no_lower(tmp_path: Path) -> None:
    """A small network, cross-validated in three folds through the engine, with a tenth of the labels wrong."""
    study = small_study(
        data={"name": "digits", "validation": "3-fold"},
        network={"layers": ["flatten", "dense 32 relu", "dense classes softmax"]},
        factors={},
        training={"epochs": 8, "batch_size": 32},
        seeds={"count": 1},
    )
    data = prepare(study.data).training()
    true = np.asarray(data.labels)
    labels = flipped(true, 0.1, np.random.default_rng(2), 10)
    logs = np.zeros((len(labels), 10))
    for task in tasks_of(study, tmp_path):
        trained = train(task, replace(data, labels=labels))
        logs[trained.validation] = trained.log_probabilities
    wrong = labels != true
    p, r = shares(label_errors(np.exp(logs), labels).wrong, wrong)
    other_p, other_r = shares(confident_learning(np.exp(logs), labels), wrong)
    assert p >= other_p
    assert r >= other_r
    assert p > 0.7
    assert r > 0.75


def test_bad_input_is_one_sentence() -> None:
    for shape, labels in (((3, 1), [0, 0, 0]), ((3, 2), [0, 1]), ((2, 2), [0, 2]), ((1, 2), [-1])):
        with pytest.raises(DataError, match="give a row for each label, and a column for each of two classes or more"):
            label_errors(np.full(shape, 0.5), np.array(labels))
    assert len(label_errors(np.zeros((0, 3)), np.zeros(0, np.int64)).doubt) == 0
