"""From a measure's name to the measure."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DataError, Problem, nearest
from ..spec.metric import OF_CLASS, OWN_METRIC, RECORDED, metric_name
from ..spec.own import is_own
from .classification import Accuracy, BalancedAccuracy, MacroF1, Precision, Recall, WorstClassRecall
from .groups import WorstGroupAccuracy
from .measure import Measure
from .own import stored_own_measure
from .probabilities import BrierScore, CalibrationError, LogLoss
from .ranking import MacroAUC
from .unit import NATS, NUMBER, PERCENT

ACCURACY = Accuracy("accuracy", "accuracy")
_KNOWN: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        ACCURACY,
        BalancedAccuracy("balanced_accuracy", "balanced accuracy"),
        MacroF1("macro_f1", "macro F1"),
        MacroAUC("macro_auc", "macro AUC", NUMBER),
        LogLoss("log_loss", "log loss", NATS, higher_is_better=False),
        BrierScore("brier_score", "Brier score", NUMBER, higher_is_better=False),
        CalibrationError("calibration_error", "calibration error", higher_is_better=False),
        WorstClassRecall("worst_class_recall", "worst class recall"),
        WorstGroupAccuracy("worst_group_accuracy", "worst group accuracy"),
    )
}


def is_higher_better(metric: str) -> bool:
    """The direction of a measure, or of a recorded loss or accuracy, by its name.

    Raises:
        KeyError: It is none.
    """
    kind = metric.partition(":")[0]
    if metric in RECORDED or metric == OWN_METRIC:
        return not metric.endswith("loss")
    return True if kind in OF_CLASS else _KNOWN[metric].higher_is_better


def is_share(metric: str) -> bool:
    """Whether a measure, or a recorded loss or accuracy, is written in percent, by its name."""
    if metric in (*RECORDED, OWN_METRIC, "loss"):
        return not metric.endswith("loss")
    return metric.partition(":")[0] in OF_CLASS or _KNOWN[metric].unit is PERCENT


def measure_called(name: str, classes: Sequence[str] = (), *, key: str = "metric") -> Measure:
    """The measure of a name.

    Args:
        name: As ``spec.metric.metric_name`` reads it.
        classes: The data set's, for a measure of one class.
        key: Where the name stands, for a sentence.

    Raises:
        SpecError: There is no such measure, or a function of one's own cannot be made.
        DataError: The data set has no such class.
        NoCode: The code of a function of one's own is not at hand.
    """
    name = metric_name(name, key)
    if is_own(name):
        return stored_own_measure(name)
    if name in _KNOWN:
        return _KNOWN[name]
    kind, _, class_name = name.partition(":")
    if class_name not in classes:
        by_label = {str(label): known for label, known in enumerate(classes)}
        if class_name not in by_label:
            raise DataError(Problem(f'there is no class "{class_name}"', nearest(class_name, list(classes)), key))
        class_name = by_label[class_name]
    form = Recall if kind == "recall" else Precision
    return form(f"{kind}:{class_name}", f"{kind} of {class_label(class_name)}", class_name=class_name)


def class_label(name: str) -> str:
    """A class in a sentence: one that is only numbered is called a class."""
    return f"class {name}" if name.isdigit() else name
