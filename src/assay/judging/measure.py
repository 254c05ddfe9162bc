"""What scores from elsewhere measure, by the name that they have there: its direction, unit and words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import DataError, InputError, Problem
from ..measures import ACCURACY, NUMBER, PERCENT, Measure, ReportedMeasure, Unit, measure_called
from .scores import Scores

_PREFIX = re.compile(r"^(kept|best|final|mean|avg|validation|valid|val|eval|epoch|metrics?|score)[ _./-]+", re.I)
_SUFFIX = re.compile(r"[ _./-]+(validation|valid|val|eval)$", re.I)
_ACCURACY = frozenset({"", "score", "accuracy", "acc", "sparse categorical accuracy", "categorical accuracy", "value"})
_SHARES = ("accuracy", "acc", "f1", "precision", "recall", "sensitivity", "specificity", "error", "err")
_HIGHER = (*_SHARES[:-2], "auc", "auroc", "roc", "iou", "dice", "kappa", "mcc", "r2", "map", "psnr", "ssim", "bleu")
_LOWER = ("loss", "error", "err", "nll", "entropy", "brier", "ece", "mae", "mse", "rmse", "perplexity", "cost", "fid")


def measured(scores: Scores, higher_is_better: bool | None) -> Measure:
    """What scores of one metric measure.

    Args:
        scores: Of one metric.
        higher_is_better: As the user says.

    Raises:
        DataError: The direction is not known, it contradicts the measure's own, or accuracies are no fractions.
    """
    name = scores.metrics[0]
    label = label_of(name)
    known = _known(label)
    if known is not None and higher_is_better not in (None, known.higher_is_better):
        direction = "lower" if known.higher_is_better else "higher"
        what = f"a {direction} {known.label} is said to be better"
        raise DataError(Problem(what, "say what the scores are with --metric NAME", file=scores.source))
    if known == ACCURACY:
        values = [row.value for row in scores.rows if row.state == "finished"]
        beyond = next((value for value in values if not 0 <= value <= 1), None)
        if beyond is not None:
            what = f"accuracies are fractions from 0 to 1, and one is {beyond}"
            fix = "divide percentages by 100, or say what the scores are with --metric NAME"
            raise DataError(Problem(what, fix, file=scores.source))
        return ACCURACY
    if known is not None:
        return ReportedMeasure(known.name, known.label, known.unit, known.higher_is_better)
    said = _direction(name, scores.directions)
    if higher_is_better is None and said is None:
        what = f'whether a higher "{name}" is better is not known'
        raise DataError(Problem(what, "say --higher-is-better or --lower-is-better", file=scores.source))
    return ReportedMeasure(name, label, _unit(scores), bool(said if higher_is_better is None else higher_is_better))


def computed(scores: Scores, classes: Sequence[str]) -> Measure:
    """The measure that is computed from saved predictions.

    Args:
        scores: Their accuracies, under the measure's name.
        classes: Names of the classes.

    Raises:
        SpecError, DataError: There is no such measure or class, or a file holds no probabilities.
    """
    label = label_of(scores.metrics[0])
    measure = ACCURACY if label == "accuracy" else measure_called(scores.metrics[0], classes, key="--metric")
    lacking = [row.place for row in scores.rows if row.state == "finished" and row.predictions is None]
    if measure != ACCURACY and lacking:
        what = f"{measure.label} is computed from probabilities, and {lacking[0]} holds none that sum to 1"
        raise DataError(Problem(what, "save probabilities [images, classes]", file=scores.source))
    return measure


def as_values(measure: Measure) -> dict[str, Any]:
    """A reported measure as JSON values."""
    return {
        "name": measure.name, "label": measure.label, "is_share": measure.unit == PERCENT,
        "unit": measure.unit.name, "higher_is_better": measure.higher_is_better,
    }  # fmt: skip


def from_values(values: Mapping[str, Any]) -> ReportedMeasure:
    """The measure that ``as_values`` gave.

    Raises:
        KeyError: It gave no such values.
    """
    unit = PERCENT if values["is_share"] else Unit(str(values["unit"]), 1.0, NUMBER.decimals, "")
    return ReportedMeasure(str(values["name"]), str(values["label"]), unit, bool(values["higher_is_better"]))


def label_of(name: str) -> str:
    """A metric's name as sentences have it: ``val_macro_f1`` as ``macro f1``, and ``kept_validation_accuracy`` as
    ``accuracy``."""
    text = name.strip()
    while (match := _PREFIX.match(text)) and match.end() < len(text):
        text = text[match.end() :]
    text = _SUFFIX.sub("", text)
    text = re.sub(r"[_\s]+", " ", text).strip()
    return "accuracy" if text.lower() in _ACCURACY else text


def _known(label: str) -> Measure | None:
    """Assay's own measure of that name, if it is one."""
    try:
        return measure_called(label.lower().replace(" ", "_"))
    except InputError:
        return None


def _direction(name: str, known: Mapping[str, bool]) -> bool | None:
    """Whether more is better, as the source says or as the name's words tell; ``None`` where neither does."""
    if name in known:
        return known[name]
    words = _words(name)
    if words & set(_LOWER):
        return False
    return True if words & set(_HIGHER) else None


def _unit(scores: Scores) -> Unit:
    """Percent where the name is that of a share and every score is one."""
    values = [row.value for row in scores.rows if row.state == "finished"]
    is_share = bool(_words(scores.metrics[0]) & set(_SHARES)) and all(0 <= value <= 1 for value in values)
    return PERCENT if is_share else NUMBER


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", name.lower()))
