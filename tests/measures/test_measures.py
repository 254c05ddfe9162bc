"""Measures against scikit-learn, and their influence values against what leaving images out does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from assay.errors import DataError, SpecError
from assay.measures import Measure, Predictions, measure_called, own_measure
from assay.spec.metric import MEASURES, metric_name

NAMES = [name for name in MEASURES if name != "worst_group_accuracy"]


def drawn(seed: int, n: int = 400, k: int = 4, sharpness: float = 1.5) -> Predictions:
    """Predictions of classes of unlike sizes, better than chance."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(k, size=n, p=np.arange(1, k + 1) / sum(range(1, k + 1)))
    logits = rng.normal(size=(n, k)) + sharpness * np.eye(k)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    groups = rng.integers(0, 3, size=n)
    return Predictions.of_probabilities(probabilities, labels, tuple("abcdefgh"[:k]), groups)


def some(predictions: Predictions, images: NDArray[np.int64]) -> Predictions:
    groups = None if predictions.groups is None else predictions.groups[images]
    return Predictions(predictions.log_probabilities[images], predictions.labels[images], predictions.classes, groups)


def reference(name: str, p: Predictions) -> float:
    """What scikit-learn computes."""
    y, q, s = p.labels, p.predicted, p.probabilities
    recall = metrics.recall_score(y, q, average=None)
    bins = np.minimum(np.ceil(s.max(1) * 15), 15)
    functions = {
        "accuracy": lambda: metrics.accuracy_score(y, q),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(y, q),
        "macro_f1": lambda: metrics.f1_score(y, q, average="macro"),
        "macro_auc": lambda: metrics.roc_auc_score(y, s, multi_class="ovr", average="macro"),
        "log_loss": lambda: metrics.log_loss(y, s),
        "brier_score": lambda: sum(metrics.brier_score_loss(y == c, s[:, c]) for c in range(s.shape[1])),
        "calibration_error": lambda: sum(
            abs((s.max(1)[bins == b] - (y == q)[bins == b]).sum()) for b in np.unique(bins)
        ) / len(y),
        "worst_class_recall": lambda: recall.min(),
        "recall:b": lambda: recall[1],
        "precision:b": lambda: metrics.precision_score(y, q, average=None)[1],
        "worst_group_accuracy": lambda: min(
            metrics.accuracy_score(y[p.groups == g], q[p.groups == g]) for g in np.unique(p.groups)
        ),
    }  # fmt: skip
    return float(functions[name]())


@pytest.mark.parametrize("name", [*MEASURES, "recall:b", "precision:b"])
def test_values_are_those_of_scikit_learn(name: str) -> None:
    for seed, k in ((0, 4), (1, 3), (2, 6)):
        predictions = drawn(seed, k=k)
        assert measure_called(name, predictions.classes).value(predictions) == pytest.approx(
            reference(name, predictions), abs=1e-9
        )


@pytest.mark.parametrize("name", [*MEASURES, "recall:b", "precision:b"])
def test_influence_values_are_what_leaving_an_image_out_does(name: str) -> None:
    """To first order: the jackknife's values differ from them by a part that shrinks as 1 over the images."""
    predictions = drawn(3, n=1200)
    measure = measure_called(name, predictions.classes)
    influence, whole, n = measure.influence(predictions), measure.value(predictions), len(predictions)
    assert influence.sum() == pytest.approx(0, abs=1e-8 * n)
    images = np.arange(0, n, 40)
    left_out = [(n - 1) * (whole - measure.value(some(predictions, np.delete(np.arange(n), i)))) for i in images]
    assert np.corrcoef(influence[images], left_out)[0, 1] > 0.99
    assert left_out == pytest.approx(influence[images], abs=0.05 * np.abs(influence).max() + 0.02)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "macro_auc", "log_loss", "brier_score"])
def test_influence_values_give_the_spread_over_images(name: str) -> None:
    """The deviation of a measure over fresh sets of images is that of its influence values over the root of n."""
    measure = measure_called(name)
    sets = [drawn(seed, n=300) for seed in range(100, 400)]
    observed = np.std([measure.value(one) for one in sets])
    predicted = np.mean([measure.influence(one).std() for one in sets]) / math.sqrt(300)
    # Four standard errors of a deviation from 300 draws, and two in a hundred for what is of second order.
    assert predicted == pytest.approx(observed, rel=4 / math.sqrt(600) + 0.02)


def test_auc_counts_ties_as_half_and_is_delongs() -> None:
    p = Predictions.of_probabilities(np.array([[0.5, 0.5]] * 3 + [[0.2, 0.8]]), np.array([0, 0, 1, 1]))
    assert measure_called("macro_auc").value(p) == 0.75
    assert measure_called("macro_auc").value(p) == metrics.roc_auc_score(p.labels, p.probabilities[:, 1])


def test_a_function_of_ones_own_has_value_direction_and_influence() -> None:
    def cost(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
        return float((probabilities.argmax(1) != labels).mean() * 10)

    cost.higher_is_better = False  # type: ignore[attr-defined]
    measure = own_measure(cost)
    predictions = drawn(5)
    assert not measure.higher_is_better
    assert measure.value(predictions) == pytest.approx(10 * (1 - reference("accuracy", predictions)))
    exact = -10 * measure_called("accuracy").influence(predictions)
    mine = measure.influence(predictions)
    assert mine.std() == pytest.approx(exact.std(), rel=0.1)  # half of the images stand for all
    few = some(predictions, np.arange(150))
    assert measure.influence(few) == pytest.approx(-10 * measure_called("accuracy").influence(few), abs=1e-9)


def test_classes_without_images_are_left_out() -> None:
    predictions = drawn(6, k=4)
    present = some(predictions, np.flatnonzero(predictions.labels != 2))
    assert measure_called("balanced_accuracy").value(present) == pytest.approx(
        np.mean([(present.predicted == present.labels)[present.labels == c].mean() for c in (0, 1, 3)])
    )
    assert math.isfinite(measure_called("macro_auc").value(present))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("macro_auc", "one class", "all 4 images have one class"),
        ("recall:b", "one class", 'no image has class "b"'),
        ("worst_group_accuracy", "no groups", "the images have no groups"),
        ("worst_group_accuracy", "one group", "belong to one group"),
        ("worst_group_accuracy", "lone", "1 of 4 images belong to no group"),
        ("recall:bb", "none", 'there is no class "bb"'),
    ],
)
def test_what_cannot_be_computed_is_one_sentence(name: str, change: str, message: str) -> None:
    labels = np.array([0, 0, 0, 0] if change == "one class" else [0, 1, 0, 1])
    groups = {"no groups": None, "one group": np.ones(4, int), "lone": np.array([0, 1, -1, 1])}.get(change)
    p = Predictions.of_probabilities(np.array([[0.6, 0.4]] * 4), labels, ("a", "b"), groups)
    with pytest.raises(DataError, match=message) as caught:
        measure_called(name, p.classes).value(p)
    assert len(caught.value.problems) == 1


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(DataError, match="of image 1 is not a number"):
        Predictions.of_probabilities(np.array([[0.5, 0.5], [np.nan, 0.5]]), np.array([0, 1]))
    with pytest.raises(DataError, match="lost, a measure of your own, is nan on 2 images"):
        own_measure(lambda p, y: math.nan, "lost").value(Predictions.of_probabilities(np.eye(2), np.array([0, 1])))
    with pytest.raises(DataError, match="ZeroDivisionError"):
        own_measure(lambda p, y: 1 / 0, "broken").value(Predictions.of_probabilities(np.eye(2), np.array([0, 1])))


def test_an_unknown_measure_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match='there is no measure "balanced_acuracy"; did you mean "balanced_accuracy"'):
        metric_name("balanced_acuracy")
    with pytest.raises(SpecError, match=r"known: accuracy, .*recall:CLASS"):
        metric_name("xyzzy")
    with pytest.raises(SpecError, match='write "recall:NAME"'):
        metric_name("recall")
    assert metric_name("Balanced accuracy") == metric_name("balanced-accuracy") == "balanced_accuracy"
    assert metric_name("roc_auc") == "macro_auc"
    assert metric_name("recall: two words") == "recall:two words"


def test_every_name_has_its_measure() -> None:
    for name in MEASURES:
        measure: Measure = measure_called(name)
        assert measure.name == name
        assert measure.unit.value(0.5)
