"""Diagnoses a run from its recorded curves; each diagnosis has its evidence and an advice.

A rule is a pure function of ``Curves``. Its thresholds are either its source's or measured: docs/statistics.md says on
what runs. 30 healthy ones raise no alarm, which still allows false alarms in up to 10 % of runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .curves import Curves, smooth

Kind = Literal[
    "diverged", "collapsed to one class", "dead units", "saturated units", "learning rate too high",
    "learning rate too low", "overfitting", "underfitting", "not converged", "class never predicted",
    "validation better than training", "unscaled inputs", "duplicates between splits", "lucky epoch",
]  # fmt: skip

MIN_EPOCHS = 4  # with fewer, rules about the course of training say nothing


@dataclass(frozen=True)
class Diagnosis:
    """One problem of a run.

    Args:
        kind: The diagnosis's name.
        evidence: The numbers that say so, as a sentence without its full stop.
        advice: What to try next.
        source: The rule's citation, or what it was measured on.
        epoch: When it began, from 1; ``None`` where it has no beginning.
    """

    kind: Kind
    evidence: str
    advice: str
    source: str
    epoch: int | None = None


def diagnose(curves: Curves) -> tuple[Diagnosis, ...]:
    """The diagnoses of a run, the most serious first; empty for a healthy run.

    A diagnosis that merely follows from a reported cause, such as from a collapse or dead units, is left out.
    """
    diagnoses = {diagnosis.kind: diagnosis for rule in RULES if (diagnosis := rule(curves)) is not None}
    for cause, consequences in _EXPLAINS.items():
        if cause in diagnoses:
            for consequence in consequences:
                diagnoses.pop(consequence, None)
    return tuple(diagnoses.values())


def diverged(curves: Curves) -> Diagnosis | None:
    """The loss stopped being a number. Source: Goodfellow, Bengio and Courville (2016), section 8.2.4."""
    if curves.state != "diverged":
        return None
    return Diagnosis(
        "diverged",
        curves.reason or "the loss was no longer a number",
        curves.advice or "lower the learning rate tenfold, or scale the inputs",
        'Goodfellow, Bengio and Courville (2016), "Deep Learning", section 8.2.4',
    )


def collapsed(curves: Curves) -> Diagnosis | None:
    """98 % of the predictions are one class, which is far from being that common.

    Without recorded predictions: both accuracies are no better than chance after the last epoch.
    """
    health = curves.last_health
    if health is not None:
        predicted, actual = np.array(health["predicted"]), np.array(health["actual"])
        share, common = predicted.max() / predicted.sum(), actual.max() / actual.sum()
        if share < 0.98 or common > 0.9:
            return None
        label = int(predicted.argmax())
        images = actual[label] / actual.sum()
        evidence = f"{share:.0%} of predictions are {curves.name_of(label)}, which {images:.0%} of images are"
    else:
        if not curves.is_measured:
            return None
        best = max(curves.row("train_accuracy")[-1], curves.row("validation_accuracy")[-1])
        if best > 1.2 / curves.num_classes:
            return None
        evidence = f"accuracy after the last epoch is {best:.1%}, no better than guessing"
    return Diagnosis(
        "collapsed to one class",
        evidence,
        "lower the learning rate, scale the inputs, and look for dead units below",
        'Lu, Shin, Su and Karniadakis (2020), "Dying ReLU and initialization", section 2',
        _chance_epoch(curves),
    )


def dead_units(curves: Curves) -> Diagnosis | None:
    """Half of a layer's units or more give the same value for every image."""
    return _units(
        curves,
        "dead",
        "dead units",
        "give the same value for every image",
        "lower the learning rate, scale the inputs, or put batchnorm before the activation",
        'Lu, Shin, Su and Karniadakis (2020), "Dying ReLU and initialization"; half: healthy runs reach 6 %',
    )


def saturated_units(curves: Curves) -> Diagnosis | None:
    """Half of a bounded layer's units or more stay at their bounds."""
    return _units(
        curves,
        "saturated",
        "saturated units",
        "stay within 1 % of a bound",
        "scale the inputs, lower the learning rate, or use relu",
        'Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks"',
    )


def rate_too_high(curves: Curves) -> Diagnosis | None:
    """The training loss jumps up again and again, or ends above that of guessing.

    A jump is by a fifth of the loss and by 5 % of the loss of guessing; a third of the epochs or more have one.
    """
    if not curves.is_measured or curves.num_epochs < 3:
        return None
    loss, guess = curves.row("train_loss"), curves.guessing_loss
    steps = np.diff(loss)
    jumps = np.flatnonzero((steps > 0.2 * loss[:-1]) & (steps > 0.05 * guess))
    evidence = ""
    if len(jumps) >= max(2, len(steps) / 3):
        evidence = f"the training loss jumped up after {len(jumps)} of {len(steps)} epochs"
    elif loss[-1] > 1.05 * guess:
        evidence = f"the training loss ends at {loss[-1]:.3g}, above {guess:.3g} for guessing"
    if not evidence:
        return None
    return Diagnosis(
        "learning rate too high",
        evidence,
        "lower the learning rate three- to tenfold, or let it fall (schedule)",
        'Bengio (2012), "Practical recommendations for gradient-based training of deep architectures", section 3.1.1',
        int(jumps[0]) + 2 if len(jumps) else None,
    )


def rate_too_low(curves: Curves) -> Diagnosis | None:
    """The training loss falls steadily, has far to go, and is not levelling off; or it hardly moves at all."""
    if not curves.is_measured or curves.num_epochs < 3:
        return None
    loss, guess = curves.row("train_loss"), curves.guessing_loss
    steps = np.diff(loss)
    half = len(loss) // 2
    first, second = loss[0] - loss[half], loss[half] - loss[-1]
    is_steady = np.mean(steps < 0) >= 0.8 and loss[-1] > 0.3 * guess and second > 0.5 * first > 0
    is_still = float(np.ptp(loss)) < 0.01 * guess and loss[-1] > 0.9 * guess
    if not (is_steady or is_still):
        return None
    moved = f"the training loss went from {loss[0]:.3g} to {loss[-1]:.3g} in {len(loss) - 1} epochs"
    return Diagnosis(
        "learning rate too low",
        f"{moved} {'without levelling off' if is_steady else 'and hardly moved'}",
        "raise the learning rate three- to tenfold, or train longer",
        'Smith (2017), "Cyclical learning rates for training neural networks", section 3.3 (range test)',
    )


def shows_its_course(curves: Curves) -> bool:
    """Whether there are enough epochs, all of them measured, for a rule about the course of training."""
    return curves.is_measured and curves.num_epochs >= MIN_EPOCHS


def overfitting(curves: Curves) -> Diagnosis | None:
    """Validation loss rose by a quarter from its minimum while training loss fell by a fifth; or a gap of 5 points.

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
    gap = float(smooth(curves.row("train_accuracy"))[-1] - smooth(accuracy)[-1])
    has_gap = gap > 0.05 and validation[-1] > 2 * train[-1]
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
    """A seventh of the loss of guessing is left even on training images, and validation is hardly worse."""
    if not curves.is_measured or curves.num_epochs < 3 or curves.state != "finished":
        return None
    train, validation = smooth(curves.row("train_loss"))[-1], smooth(curves.row("validation_loss"))[-1]
    gap = smooth(curves.row("train_accuracy"))[-1] - smooth(curves.row("validation_accuracy"))[-1]
    if train < 0.15 * curves.guessing_loss or validation > 1.25 * train or gap > 0.03:
        return None
    accuracy = curves.row("train_accuracy")[-1]
    return Diagnosis(
        "underfitting",
        f"training images are classified no better than {accuracy:.1%} (loss {train:.3g}), validation images alike "
        f"(loss {validation:.3g})",
        "use more filters, units or layers, less dropout or l2, or train longer",
        'Goodfellow, Bengio and Courville (2016), "Deep Learning", section 5.2; a seventh: healthy runs end below 13 %',
    )


def not_converged(curves: Curves) -> Diagnosis | None:
    """Over the last fifth of the epochs validation still gained a point of accuracy and lost a tenth of its loss."""
    if not shows_its_course(curves):
        return None
    span = max(2, curves.num_epochs // 5)
    loss, accuracy = curves.row("validation_loss"), curves.row("validation_accuracy")
    before, after = slice(-2 * span, -span), slice(-span, None)
    gain = float(accuracy[after].mean() - accuracy[before].mean())
    if gain < 0.01 or loss[after].mean() > 0.9 * loss[before].mean():
        return None
    return Diagnosis(
        "not converged",
        f"validation accuracy gained {100 * gain:.1f} points over the last {span} epochs, and its loss fell by "
        f"{1 - loss[after].mean() / loss[before].mean():.0%}",
        "train longer, or compare arms after more epochs: the slower one is not yet the worse one",
        "Measured: of 30 healthy runs one gained a point over its last fifth, and its loss had stopped falling",
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
    named = ", ".join(f"{curves.name_of(label)} ({actual} images)" for label, actual in missing)
    return Diagnosis(
        "class never predicted",
        f"of {health['images']} training images none is taken for {named}",
        "weigh classes (class_weights), look at that class's images and labels, or train longer",
        'He and Garcia (2009), "Learning from imbalanced data", IEEE TKDE 21(9)',
    )


def validation_better(curves: Curves) -> Diagnosis | None:
    """Validation beats training by a point and by four standard errors, though both are measured alike."""
    if not curves.is_measured or curves.num_epochs < 3 or curves.num_validation < 1:
        return None
    train, validation = (smooth(curves.row(f"{split}_accuracy"))[-1] for split in ("train", "validation"))
    losses = [smooth(curves.row(f"{split}_loss"))[-1] for split in ("train", "validation")]
    pooled = (train + validation) / 2
    error = (2 * pooled * (1 - pooled) / curves.num_validation) ** 0.5
    if validation - train < max(0.01, 4 * error) or losses[1] > 0.9 * losses[0]:
        return None
    return Diagnosis(
        "validation better than training",
        f"validation accuracy is {100 * (validation - train):.1f} points above training accuracy, "
        f"{(validation - train) / error:.0f} standard errors",
        "look for validation images that are easier or stem from another source, and for wrong training labels",
        'Kaufman, Rosset and Perlich (2012), "Leakage in data mining", ACM TKDD 6(4)',
    )


def unscaled(curves: Curves) -> Diagnosis | None:
    """The network is fed bytes 0 to 255."""
    if curves.scaling != "none":
        return None
    return Diagnosis(
        "unscaled inputs",
        "images are fed as raw bytes 0 to 255, which makes first gradients some 255 times as large as on 0 to 1",
        'set scaling = "unit" or "standard" under [data]',
        'LeCun, Bottou, Orr and Müller (1998), "Efficient BackProp", section 4.3',
    )


def duplicates(curves: Curves) -> Diagnosis | None:
    """Half a percent of the validation images or more are among the training images, byte for byte.

    Duplicates of a share of s can lift accuracy by s at most, so below half a percent they decide little.
    """
    if not curves.shared_images or curves.shared_images < 0.005 * max(curves.num_validation, 1):
        return None
    share = curves.shared_images / max(curves.num_validation, 1)
    return Diagnosis(
        "duplicates between splits",
        f"{curves.shared_images} of {curves.num_validation} validation images ({share:.1%}) are training images too",
        "drop duplicates before splitting",
        'Barz and Denzler (2020), "Do we train on test data?", Journal of Imaging 6(6)',
    )


def lucky_epoch(curves: Curves) -> Diagnosis | None:
    """The best epoch beats the last by more than four standard errors of a score, and by half a point."""
    if not shows_its_course(curves) or curves.num_validation < 1 or curves.is_best_kept:
        return None
    accuracy = curves.row("validation_accuracy")
    best, last = float(accuracy.max()), float(accuracy[-1])
    error = (max(best * (1 - best), 1e-9) / curves.num_validation) ** 0.5
    if best - last < max(0.005, 4 * error):
        return None
    return Diagnosis(
        "lucky epoch",
        f"epoch {int(accuracy.argmax()) + 1} scored {best:.2%}, the last {last:.2%}",
        "quote the last epoch, or a rule declared before (early stopping); let the learning rate fall towards the end",
        'Measured; of the best of many scores, Dodge et al. (2019), "Show your work: improved reporting of ...", EMNLP',
        int(accuracy.argmax()) + 1,
    )


RULES: tuple[Callable[[Curves], Diagnosis | None], ...] = (
    diverged, collapsed, dead_units, saturated_units, rate_too_high, rate_too_low, overfitting, underfitting,
    not_converged, never_predicted, validation_better, unscaled, duplicates, lucky_epoch,
)  # fmt: skip

_EXPLAINS: dict[Kind, tuple[Kind, ...]] = {
    "collapsed to one class": ("underfitting", "class never predicted", "not converged", "lucky epoch"),
    "dead units": ("learning rate too low",),
    "overfitting": ("lucky epoch",),
    "learning rate too high": ("underfitting", "lucky epoch"),
    "learning rate too low": ("underfitting", "not converged"),
}


def _units(curves: Curves, which: str, kind: Kind, what: str, advice: str, source: str) -> Diagnosis | None:
    health = curves.last_health
    if health is None:
        return None
    bad = {layer: share for layer, share in health[which].items() if share >= 0.5}
    if not bad:
        return None
    layers = ", ".join(f"{layer}: {share:.0%}" for layer, share in bad.items())
    since = next(
        epoch
        for epoch in sorted(curves.health)
        if any(curves.health[epoch][which].get(layer, 0) >= 0.5 for layer in bad)
    )
    before = " or before" if since == min(curves.health) and since > 1 else ""
    return Diagnosis(kind, f"units that {what} ({layers}), since epoch {since}{before}", advice, source, since)


def _chance_epoch(curves: Curves) -> int | None:
    """The first epoch after which accuracy stayed at chance."""
    if not curves.is_measured:
        return None
    at_chance = curves.row("validation_accuracy") <= 1.2 / curves.num_classes
    if not at_chance[-1]:
        return None
    better = np.flatnonzero(~at_chance)
    return int(better[-1]) + 2 if len(better) else 1
