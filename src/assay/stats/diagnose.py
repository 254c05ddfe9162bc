"""Diagnoses a run from its recorded curves; each diagnosis has its evidence and an advice.

A rule is a pure function of ``Curves``. Its thresholds are either its source's or measured: docs/reference/diagnoses.md
says on what runs. Rules stand in the order of causes: what explains the others comes first.
"""

from __future__ import annotations

from collections.abc import Callable

from . import rules
from .curves import Curves
from .diagnosis import MIN_EPOCHS as MIN_EPOCHS
from .diagnosis import Diagnosis as Diagnosis
from .diagnosis import Kind
from .rules import overfitting as overfitting
from .rules import shows_its_course as shows_its_course

RULES: tuple[Callable[[Curves], Diagnosis | None], ...] = (
    rules.unscaled, rules.faint_inputs, rules.bounded_scores, rules.stale_statistics, rules.diverged,
    rules.strong_decay, rules.small_batch, rules.saturated_units, rules.vanishing_gradients,
    rules.strong_augmentation, rules.strong_dropout, rules.dead_units, rules.unlike_validation, rules.majority_only,
    rules.collapsed,
    rules.rate_too_high, rules.rate_too_low, rules.unrelated_labels, rules.duplicates, rules.overfitting,
    rules.underfitting, rules.not_converged, rules.never_predicted, rules.validation_better, rules.lucky_epoch,
)  # fmt: skip

_OF_THE_FIT: tuple[Kind, ...] = ("underfitting", "not converged", "class never predicted", "lucky epoch")
_OF_THE_RATE: tuple[Kind, ...] = ("learning rate too high", "learning rate too low")
_OF_UNITS: tuple[Kind, ...] = ("saturated units", "vanishing gradients", "dead units")
_OF_LABELS: tuple[Kind, ...] = ("labels unrelated to images", "majority class only", "collapsed to one class")
_OF_RESTRAINT: tuple[Kind, ...] = ("augmentation too strong", "dropout too strong", "weight decay too strong")
_OF_STANDSTILL: tuple[Kind, ...] = (*_OF_LABELS, *_OF_THE_RATE, *_OF_THE_FIT)

# What merely follows from a cause is not reported beside it: its advice is for another cause.
_EXPLAINS: dict[Kind, tuple[Kind, ...]] = {
    "unscaled inputs": ("labels unrelated to images", "vanishing gradients"),
    "inputs hardly vary": (*_OF_STANDSTILL, *_OF_RESTRAINT, "vanishing gradients"),
    "bounded scores": ("labels unrelated to images", *_OF_THE_RATE, *_OF_THE_FIT),
    "stale moving statistics": (
        *_OF_UNITS, *_OF_STANDSTILL, *_OF_RESTRAINT, "batch too small", "validation unlike training", "overfitting",
        "validation better than training",
    ),
    "diverged": (*_OF_UNITS, *_OF_STANDSTILL, *_OF_RESTRAINT, "batch too small", "validation unlike training"),
    "weight decay too strong": (
        *_OF_UNITS, *_OF_STANDSTILL, "augmentation too strong", "dropout too strong", "batch too small",
    ),
    "batch too small": (*_OF_UNITS, *_OF_STANDSTILL, "augmentation too strong", "dropout too strong"),
    "saturated units": ("vanishing gradients", "dead units", *_OF_STANDSTILL),
    "vanishing gradients": ("dead units", *_OF_STANDSTILL),
    "dead units": _OF_STANDSTILL,
    "validation unlike training": ("labels unrelated to images", "overfitting", "not converged", "lucky epoch"),
    "majority class only": ("collapsed to one class", "labels unrelated to images", *_OF_THE_RATE, *_OF_THE_FIT),
    "collapsed to one class": ("labels unrelated to images", *_OF_THE_FIT),
    "labels unrelated to images": (*_OF_THE_FIT, "overfitting"),
    "augmentation too strong": ("dead units", *_OF_STANDSTILL),
    "dropout too strong": ("dead units", *_OF_STANDSTILL),
    "learning rate too high": ("learning rate too low", "labels unrelated to images", *_OF_THE_FIT),
    "learning rate too low": ("labels unrelated to images", *_OF_THE_FIT),
    "overfitting": ("lucky epoch",),
}  # fmt: skip


def diagnose(curves: Curves) -> tuple[Diagnosis, ...]:
    """The diagnoses of a run, the cause first; empty for a healthy run.

    A diagnosis that merely follows from a reported cause, such as from a collapse or dead units, is left out.
    """
    diagnoses = {diagnosis.kind: diagnosis for rule in RULES if (diagnosis := rule(curves)) is not None}
    for cause, consequences in _EXPLAINS.items():
        if cause in diagnoses:
            for consequence in consequences:
                diagnoses.pop(consequence, None)
    return tuple(diagnoses.values())
