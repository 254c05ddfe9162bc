"""Diagnoses on constructed curves: each rule fires on what it is for, and stays silent beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from assay.stats import Curves, diagnose
from assay.stats.diagnose import RULES, overfitting
from assay.stats.protocol import Protocol

EPOCHS = np.arange(1, 13)
ROWS = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")


def healthy(**changes: Any) -> Curves:
    """Ten classes, 12 epochs, training and validation falling to the same 98 %; a change replaces a row or a fact."""
    decay = np.exp(-EPOCHS / 2)
    rows = {
        "train_loss": 0.05 + 0.6 * decay,
        "validation_loss": 0.07 + 0.6 * decay,
        "train_accuracy": 0.985 - 0.15 * decay,
        "validation_accuracy": 0.980 - 0.15 * decay,
        "running_loss": 0.1 + decay,
        "num_classes": 10,
        "num_validation": 6000,
        "health": {12: health()},
    }
    return Curves(**{**rows, **changes})


def health(**changes: Any) -> dict[str, Any]:
    measured = {"images": 100, "dead": {"conv1": 0.1}, "saturated": {"dense1": 0.0}, "predicted": [10] * 10}
    return {**measured, "actual": [10] * 10, **changes}


def kinds(curves: Curves) -> list[str]:
    return [found.kind for found in diagnose(curves)]


def test_a_healthy_run_has_no_diagnosis():
    assert kinds(healthy()) == []


def test_noise_of_a_healthy_size_raises_no_alarm():
    rng = np.random.default_rng(0)
    for _ in range(300):
        shaken = {name: healthy().row(name) * rng.normal(1, 0.08, 12) for name in ("train_loss", "validation_loss")} | {
            name: healthy().row(name) + rng.normal(0, 0.0015, 12) for name in ("train_accuracy", "validation_accuracy")
        }
        assert kinds(healthy(**shaken)) == []


RISING = np.where(EPOCHS <= 4, 0.30 - 0.05 * EPOCHS, 0.10 + 0.02 * (EPOCHS - 4))
CASES = {
    "overfitting": {"validation_loss": RISING, "train_loss": 0.3 * np.exp(-EPOCHS / 2)},
    "underfitting": {
        "train_loss": 0.6 + np.exp(-EPOCHS), "validation_loss": 0.62 + np.exp(-EPOCHS),
        "train_accuracy": 0.80 - 0.3 * np.exp(-EPOCHS), "validation_accuracy": 0.80 - 0.3 * np.exp(-EPOCHS),
    },
    "not converged": {
        "validation_accuracy": 0.70 + 0.02 * EPOCHS, "validation_loss": 0.9 - 0.06 * EPOCHS,
        "train_accuracy": 0.71 + 0.02 * EPOCHS, "train_loss": 0.85 - 0.06 * EPOCHS,
    },
    "learning rate too low": {
        "train_loss": 2.3 - 0.05 * EPOCHS, "validation_loss": 2.3 - 0.05 * EPOCHS,
        "train_accuracy": 0.2 + 0.005 * EPOCHS, "validation_accuracy": 0.2 + 0.005 * EPOCHS,
    },
    "learning rate too high": {"train_loss": np.where(EPOCHS % 2, 0.2, 0.6)},
    "dead units": {"health": {6: health(), 12: health(dead={"conv1": 0.1, "conv2": 0.94})}},
    "saturated units": {"health": {12: health(saturated={"dense1": 0.8})}},
    "class never predicted": {"health": {12: health(predicted=[12] * 5 + [0] + [10] * 4)}},
    "collapsed to one class": {
        "health": {12: health(predicted=[100] + [0] * 9)},
        "train_accuracy": np.full(12, 0.1), "validation_accuracy": np.full(12, 0.1),
    },
    "validation better than training": {
        "train_accuracy": 0.90 - np.exp(-EPOCHS), "validation_accuracy": 0.95 - np.exp(-EPOCHS),
        "train_loss": 0.3 + np.exp(-EPOCHS), "validation_loss": 0.15 + np.exp(-EPOCHS),
    },
    "unscaled inputs": {"scaling": "none"},
    "duplicates between splits": {"shared_images": 60},
    "lucky epoch": {"validation_accuracy": np.where(EPOCHS == 9, 0.985, 0.970)},
    "inputs hardly vary": {"health": {12: health(spread=0.003)}},
    "bounded scores": {"protocol": Protocol(bounded_scores="sigmoid")},
    "stale moving statistics": {
        "health": {12: health(accuracy=0.2, loss=2.1, steps=234, recomputed={"accuracy": 0.45, "loss": 1.5})},
        "protocol": Protocol(norm_momentum=0.99), "train_accuracy": np.full(12, 0.2), "train_loss": np.full(12, 2.1),
    },
    "weight decay too strong": {
        "protocol": Protocol(decay=("l2=0.3",)), "health": {12: health(kernels={"shrunk": ["conv1.kernel", 0.02]})},
        "train_loss": np.full(12, 2.3), "validation_loss": np.full(12, 2.3),
    },
    "batch too small": {
        "protocol": Protocol(batch_size=2, norm_momentum=0.99), "train_loss": 0.6 + np.exp(-EPOCHS),
        "running_loss": 1.6 + np.exp(-EPOCHS),
    },
    "vanishing gradients": {
        "health": {12: health(gradient=1e-6)}, "train_loss": np.full(12, 2.3), "validation_loss": np.full(12, 2.3),
    },
    "validation unlike training": {
        "running_accuracy": np.full(12, 0.9), "validation_accuracy": np.full(12, 0.6),
    },
    "augmentation too strong": {
        "protocol": Protocol(augmentation=("rotation 180",)), "train_loss": 0.8 + np.exp(-EPOCHS),
        "health": {12: health(accuracy=0.8, loss=0.8, augmented={"accuracy": 0.4, "loss": 1.7})},
    },
    "dropout too strong": {
        "protocol": Protocol(dropout=0.9), "train_loss": 0.8 + np.exp(-EPOCHS),
        "health": {12: health(accuracy=0.8, loss=0.8, dropout={"accuracy": 0.3, "loss": 2.0})},
    },
    "majority class only": {"health": {12: health(predicted=[100] + [0] * 9, actual=[55] + [5] * 9)}},
    "labels unrelated to images": {"validation_accuracy": np.full(12, 0.1), "validation_loss": 2.3 + EPOCHS / 10},
    "diverged": {"state": "diverged", "reason": "the loss was no longer a number in epoch 12", "health": {}},
}  # fmt: skip


@pytest.mark.parametrize("kind", CASES)
def test_each_rule_fires_on_what_it_is_for_and_alone(kind):
    found = diagnose(healthy(**CASES[kind]))
    assert [one.kind for one in found] == [kind]
    assert any(character.isdigit() for character in found[0].evidence)
    assert found[0].advice
    assert found[0].source


def test_every_rule_has_a_case():
    assert len(CASES) == len(RULES)


def test_a_few_images_that_are_wrong_are_no_trend():
    assert kinds(healthy(**CASES["overfitting"], num_validation=60)) == []


def test_a_rate_that_is_too_low_is_not_called_too_high_where_guessing_was_better():
    # A random network's loss lies above that of guessing; one that has hardly moved is still there.
    falling = {"train_loss": 2.6 - 0.01 * EPOCHS, "validation_loss": 2.6 - 0.01 * EPOCHS}
    chance = {"train_accuracy": np.full(12, 0.1), "validation_accuracy": np.full(12, 0.1)}
    measured = health(kernels={"shrunk": ["dense1.kernel", 1.0], "moved": 0.01}, predicted=[100] + [0] * 9)
    assert kinds(healthy(**falling, **chance, health={12: measured}))[:1] == ["learning rate too low"]


def test_jumps_of_moving_statistics_are_no_rate():
    # With batch norm a running loss that falls all the while says that only evaluation jumps.
    jumping = {"train_loss": np.where(EPOCHS % 2, 0.2, 0.6)}
    assert "learning rate too high" in kinds(healthy(**jumping))
    assert "learning rate too high" not in kinds(healthy(**jumping, protocol=Protocol(norm_momentum=0.99)))


def test_half_of_a_layer_is_dead_only_where_training_images_are_not_learned():
    half = {"health": {12: health(dead={"dense1": 0.6})}}
    assert kinds(healthy(**half)) == []
    assert "dead units" in kinds(healthy(**half, train_loss=np.full(12, 1.0)))


def test_overfitting_says_where_it_began_and_what_it_cost():
    accuracy = np.where(EPOCHS <= 4, 0.9 + 0.02 * EPOCHS, 0.98 - 0.002 * (EPOCHS - 4))
    found = overfitting(healthy(**CASES["overfitting"], validation_accuracy=accuracy))
    assert found.epoch == 4
    assert "the best epoch was 1.60 points better than the last" in found.evidence


def test_a_gap_without_a_rise_is_overfitting_too():
    flat = {"validation_loss": np.full(12, 0.4), "validation_accuracy": np.full(12, 0.88)}
    assert kinds(healthy(**flat)) == ["overfitting"]


def test_dropout_cannot_make_a_gap():
    # The running average is taken with dropout on; only curves that are measured alike count.
    assert kinds(healthy(running_loss=np.full(12, 2.0))) == []


def test_dead_units_say_since_when():
    measured = {4: health(), 8: health(dead={"conv2": 0.7}), 12: health(dead={"conv2": 1.0})}
    (found,) = diagnose(healthy(health=measured))
    assert (found.epoch, "conv2: 100 %" in found.evidence) == (8, True)


def test_classes_are_named_where_their_names_are_known():
    names = tuple(f"kind {letter}" for letter in "abcdefghij")
    (found,) = diagnose(healthy(**CASES["class never predicted"], class_names=names))
    assert "class kind f (10 images)" in found.evidence


def test_what_a_collapse_explains_is_not_told_again():
    collapse = CASES["collapsed to one class"] | {"train_loss": np.full(12, 2.3), "validation_loss": np.full(12, 2.3)}
    found = kinds(healthy(**collapse))
    assert "collapsed to one class" in found
    assert not {"underfitting", "class never predicted", "not converged"} & set(found)


def test_a_stale_reading_is_not_called_dead_units_or_a_rate():
    lagging = CASES["stale moving statistics"]
    measured = {**lagging["health"][12], "dead": {"conv1": 1.0}, "predicted": [100] + [0] * 9}
    found = diagnose(healthy(**{**lagging, "health": {12: measured}}, validation_loss=np.full(12, 4.0)))
    assert [one.kind for one in found] == ["stale moving statistics"]
    assert "234 steps" in found[0].evidence
    assert "forgets 99 % of its past in 459 steps" in found[0].evidence  # 0.99 ** 459 = 0.0099


def test_without_recorded_predictions_chance_is_a_collapse():
    at_chance = {"train_accuracy": np.full(12, 0.1), "validation_accuracy": np.full(12, 0.11), "health": {}}
    assert "collapsed to one class" in kinds(healthy(**at_chance))


def test_a_run_that_keeps_its_best_epoch_needs_no_luck():
    assert kinds(healthy(**CASES["lucky epoch"], is_best_kept=True)) == []


@pytest.mark.parametrize("epochs", [0, 1, 2, 3])
def test_short_runs_are_looked_at_without_harm(epochs):
    rows = {name: healthy().row(name)[:epochs] for name in ROWS}
    assert kinds(healthy(**rows)) == []
    assert kinds(healthy(**rows, state="diverged", health={})) == ["diverged"]


def test_a_run_without_validation_images_is_looked_at_without_harm():
    nothing = np.full(12, np.nan)
    assert kinds(healthy(validation_loss=nothing, validation_accuracy=nothing)) == []


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="one value per epoch"):
        healthy(train_loss=[0.1, 0.2])


def test_diagnosing_is_a_pure_function():
    curves = healthy(**CASES["overfitting"])
    assert diagnose(curves) == diagnose(curves)
