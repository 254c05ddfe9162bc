"""Rules about the classes that a network predicts."""

from __future__ import annotations

import numpy as np

from ...numerals import counted, percent
from ..curves import Curves
from ..diagnosis import Diagnosis
from .data import MOVED, moved


def majority_only(curves: Curves) -> Diagnosis | None:
    """All predictions are the most common class, which is half as common again as in equal shares, or more."""
    health = curves.last_health
    is_at_prior = curves.is_measured and curves.row("train_loss")[-1] < 1.1 * curves.prior_loss
    if health is None or (moved(curves, 1.0) <= MOVED and not is_at_prior):
        return None
    predicted, actual = np.array(health["predicted"]), np.array(health["actual"])
    label, common = int(actual.argmax()), actual.max() / actual.sum()
    is_all = predicted[label] == predicted.sum() if common > 0.9 else predicted[label] >= 0.98 * predicted.sum()
    if not is_all or common < 1.5 / curves.num_classes or (actual > 0).sum() < 2:
        return None
    return Diagnosis(
        "majority class only",
        f"{percent(predicted[label] / predicted.sum(), 0)} of predictions are {curves.name_of(label)}, the most "
        "common class "
        f"({percent(common, 0)} of images)",
        'weigh the rarer classes (class_weights = "balanced"), read recall for each class instead of accuracy, and '
        "train longer",
        'He and Garcia (2009), "Learning from imbalanced data", IEEE TKDE 21(9)',
    )


def collapsed(curves: Curves) -> Diagnosis | None:
    """98 % of the predictions are one class, which is far from being that common.

    Without recorded predictions: both accuracies are no better than chance after the last epoch. Nothing has collapsed
    where no kernel has moved yet.
    """
    health = curves.last_health
    if moved(curves, 1.0) <= MOVED:
        return None
    if health is not None:
        predicted, actual = np.array(health["predicted"]), np.array(health["actual"])
        share, common = predicted.max() / predicted.sum(), actual.max() / actual.sum()
        if share < 0.98 or common > 0.9:
            return None
        label = int(predicted.argmax())
        images = actual[label] / actual.sum()
        evidence = (
            f"{percent(share, 0)} of predictions are {curves.name_of(label)}, which {percent(images, 0)} of images are"
        )
    else:
        if not curves.is_measured:
            return None
        best = max(curves.row("train_accuracy")[-1], curves.row("validation_accuracy")[-1])
        if best > 1.2 / curves.num_classes:
            return None
        evidence = f"accuracy after the last epoch is {percent(best, 1)}, no better than guessing"
    return Diagnosis(
        "collapsed to one class",
        evidence,
        "lower the learning rate, and compare with a smaller network",
        'Lu, Shin, Su and Karniadakis (2020), "Dying ReLU and initialization", section 2',
        _chance_epoch(curves),
    )


def never_predicted(curves: Curves) -> Diagnosis | None:
    """A class with five images or more among those looked at is predicted for none of them."""
    health = curves.last_health
    if health is None:
        return None
    pairs = enumerate(zip(health["predicted"], health["actual"], strict=True))
    missing = [(label, actual) for label, (predicted, actual) in pairs if predicted == 0 and actual >= 5]
    if not missing:
        return None
    named = ", ".join(f"{curves.name_of(label)} ({counted(actual, 'image')})" for label, actual in missing)
    return Diagnosis(
        "class never predicted",
        f"of {health['images']} training images none is taken for {named}",
        "weigh classes (class_weights), look at that class's images and labels, or train longer",
        'He and Garcia (2009), "Learning from imbalanced data", IEEE TKDE 21(9)',
    )


def _chance_epoch(curves: Curves) -> int | None:
    """The first epoch after which accuracy stayed at chance."""
    if not curves.is_measured:
        return None
    at_chance = curves.row("validation_accuracy") <= 1.2 / curves.num_classes
    if not at_chance[-1]:
        return None
    better = np.flatnonzero(~at_chance)
    return int(better[-1]) + 2 if len(better) else 1
