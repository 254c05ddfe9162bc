"""Rules about how well a run fits: over, under, not yet, by luck."""

from __future__ import annotations

import numpy as np

from ...numerals import percent
from ..curves import Curves, smooth
from ..diagnosis import MIN_EPOCHS, Diagnosis


def shows_its_course(curves: Curves) -> bool:
    """Whether there are enough epochs, all of them measured, for a rule about the course of training."""
    return curves.is_measured and curves.num_epochs >= MIN_EPOCHS


def overfitting(curves: Curves) -> Diagnosis | None:
    """Validation loss rose by a quarter from its minimum while training loss fell by a fifth; or a gap of 5 points.

    A rise that less than 10 nats over all validation images make up is a matter of a few images. Where three standard
    errors of validation's accuracy are more than 2 points, the gap must exceed 3 points and them.
    Medians of three epochs are compared, on curves that are measured alike, so that neither dropout nor one strange
    epoch makes a gap.
    """
    if not shows_its_course(curves):
        return None
    train, validation = smooth(curves.row("train_loss")), smooth(curves.row("validation_loss"))
    accuracy = curves.row("validation_accuracy")
    near = np.flatnonzero(validation <= 1.02 * validation.min())
    start = int(near[curves.row("validation_loss")[near].argmin()])
    has_risen = validation[-1] > 1.25 * validation[start] and train[-1] < 0.8 * train[start]
    if curves.num_validation:  # a few images that are wrong for certain are no trend
        has_risen = has_risen and (validation[-1] - validation[start]) * curves.num_validation >= 10
    gap = float(smooth(curves.row("train_accuracy"))[-1] - smooth(accuracy)[-1])
    end = float(accuracy[-1])
    noise = (end * (1 - end) / curves.num_validation) ** 0.5 if curves.num_validation else 0.0
    has_gap = gap > max(0.05, 0.03 + 3 * noise) and validation[-1] > 2 * train[-1]
    if not (has_risen or has_gap):
        return None
    parts = []
    if has_risen:
        parts.append(
            f"validation loss rose from {validation[start]:.3g} after epoch {start + 1} to {validation[-1]:.3g} while "
            f"training loss fell from {train[start]:.3g} to {train[-1]:.3g}"
        )
    parts.append(f"training accuracy is {100 * gap:.1f} points above validation's")
    parts.append(f"the best epoch was {100 * (accuracy.max() - accuracy[-1]):.2f} points better than the last")
    return Diagnosis(
        "overfitting",
        "; ".join(parts),
        "stop early or keep the best epoch, add dropout, l2 or augmentation, or use fewer units",
        'Prechelt (1998), "Early stopping - but when?" (generalization loss); a quarter: healthy runs reach 16 %',
        start + 1 if has_risen else None,
    )


def underfitting(curves: Curves) -> Diagnosis | None:
    """A seventh of the loss of guessing is left even on training images, and validation is hardly worse.

    Hardly is by a quarter of the loss, and by 3 points or three standard errors of the accuracies' difference.
    """
    if not curves.is_measured or curves.num_epochs < 3 or curves.state != "finished":
        return None
    train, validation = smooth(curves.row("train_loss"))[-1], smooth(curves.row("validation_loss"))[-1]
    gap = smooth(curves.row("train_accuracy"))[-1] - smooth(curves.row("validation_accuracy"))[-1]
    pooled = float(curves.row("train_accuracy")[-1] + curves.row("validation_accuracy")[-1]) / 2
    noise = (2 * pooled * (1 - pooled) / curves.num_validation) ** 0.5 if curves.num_validation else 0.0
    if train < 0.15 * curves.guessing_loss or validation > 1.25 * train or gap > max(0.03, 3 * noise):
        return None
    accuracy = curves.row("train_accuracy")[-1]
    return Diagnosis(
        "underfitting",
        f"training images are classified no better than {percent(accuracy, 1)} (loss {train:.3g}), validation "
        "images alike "
        f"(loss {validation:.3g})",
        "use more filters, units or layers, less dropout or l2, or train longer",
        'Goodfellow, Bengio and Courville (2016), "Deep Learning", section 5.2; a seventh: healthy runs end below 13 %',
    )


def not_converged(curves: Curves) -> Diagnosis | None:
    """Over the last fifth of the epochs validation still gained a point of accuracy and lost a tenth of its loss.

    A point, or two standard errors of a score where few images make one point noise.
    """
    if not shows_its_course(curves):
        return None
    span = max(2, curves.num_epochs // 5)
    loss, accuracy = curves.row("validation_loss"), curves.row("validation_accuracy")
    before, after = slice(-2 * span, -span), slice(-span, None)
    gain = float(accuracy[after].mean() - accuracy[before].mean())
    mean = float(accuracy[after].mean())
    noise = (mean * (1 - mean) / curves.num_validation) ** 0.5 if curves.num_validation else 0.0
    if gain < max(0.01, 2 * noise) or loss[after].mean() > 0.9 * loss[before].mean():
        return None
    return Diagnosis(
        "not converged",
        f"validation accuracy gained {100 * gain:.1f} points over the last {span} epochs, and its loss fell by "
        f"{percent(1 - loss[after].mean() / loss[before].mean(), 0)}",
        "train longer, or compare arms after more epochs: the slower one is not yet the worse one",
        "Measured: of 30 healthy runs one gained a point over its last fifth, and its loss had stopped falling",
    )


def lucky_epoch(curves: Curves) -> Diagnosis | None:
    """The best epoch beats the last by more than four standard errors of a score, and by half a point."""
    if not shows_its_course(curves) or curves.num_validation < 1 or curves.is_best_kept:
        return None
    accuracy = curves.row("validation_accuracy")
    best, last = float(accuracy.max()), float(accuracy[-1])
    middle = (best + last) / 2  # the best of many alone would make noise look small
    error = (max(middle * (1 - middle), 1e-9) / curves.num_validation) ** 0.5
    if best - last < max(0.005, 4 * error):
        return None
    return Diagnosis(
        "lucky epoch",
        f"epoch {int(accuracy.argmax()) + 1} scored {percent(best)}, the last {percent(last)}",
        "quote the last epoch, or a rule declared before (early stopping); let the learning rate fall towards the end",
        'Measured; of the best of many scores, Dodge et al. (2019), "Show your work: improved reporting of ...", EMNLP',
        int(accuracy.argmax()) + 1,
    )
