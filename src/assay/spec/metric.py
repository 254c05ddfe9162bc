"""Names of measures as studies and commands write them: ``balanced_accuracy``, ``recall:pneumonia``, ``my.py:cost``.

``assay.measures`` computes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from ..errors import Problem, SpecError, nearest
from .base import Problems
from .own import is_own, read_call

ACCURACY = "accuracy"
WORST_GROUP = "worst_group_accuracy"
MEASURES = (
    ACCURACY, "balanced_accuracy", "macro_f1", "macro_auc", "log_loss", "brier_score", "calibration_error",
    "worst_class_recall", WORST_GROUP,
)  # fmt: skip
OF_CLASS = ("recall", "precision")
# What other libraries call them.
_ALIASES = {
    "acc": ACCURACY, "balanced": "balanced_accuracy", "macro_recall": "balanced_accuracy", "f1": "macro_f1",
    "f1_macro": "macro_f1", "f1_score": "macro_f1", "auc": "macro_auc", "roc_auc": "macro_auc",
    "roc_auc_ovr": "macro_auc", "auroc": "macro_auc", "logloss": "log_loss", "nll": "log_loss",
    "cross_entropy": "log_loss", "neg_log_loss": "log_loss", "brier": "brier_score", "ece": "calibration_error",
    "expected_calibration_error": "calibration_error", "worst_class": "worst_class_recall",
    "worst_group": WORST_GROUP,
}  # fmt: skip

RECORDED = (
    "validation_loss", "validation_accuracy", "train_loss", "train_accuracy", "running_loss", "running_accuracy",
)  # fmt: skip
OWN_METRIC = "metric"  # what training writes for the metric of its study


def is_of_validation(metric: str) -> bool:
    """Whether what training goes by is measured on validation images."""
    return metric not in RECORDED or metric.startswith("validation")


def training_metric(given: Any) -> Any:
    """What training may go by: a recorded metric, a measure of validation images, or ``metric``, the study's own.

    Raises:
        Problems: It is none of them.
    """
    if not isinstance(given, str) or given in RECORDED or given == OWN_METRIC:
        return given
    if is_own(given):
        what = f"training cannot go by a function of your own ({given})"
        raise Problems([Problem(what, f"name a measure of Assay's: {', '.join(MEASURES)}")])
    try:
        name = metric_name(given, "")
    except SpecError:
        plain = given.lower().replace("val_", "validation_", 1)
        fix = nearest(plain, [*RECORDED, *MEASURES, OWN_METRIC])
        if not fix.startswith("did") or len(plain) <= 4 or plain.startswith("test"):
            texts = ", ".join(f'"{metric}"' for metric in RECORDED)
            fix = f'give {texts}, or a measure of validation images such as "balanced_accuracy"'
        raise Problems([Problem(f"got {given!r}", fix)]) from None
    return "validation_accuracy" if name == ACCURACY else name


TrainingMetric = Annotated[
    str,
    BeforeValidator(training_metric),
    WithJsonSchema(
        {"anyOf": [
            {"enum": [*RECORDED, *(name for name in MEASURES if name != ACCURACY), OWN_METRIC]},
            {"type": "string", "pattern": rf"^({'|'.join(OF_CLASS)}):.+$"},
        ]}
    ),
]  # fmt: skip


def with_metric(training: Mapping[str, Any], metric: str | None) -> dict[str, Any]:
    """Settings of ``[training]`` in which the study's metric stands where it is meant.

    That is where they say ``metric``, where ``keep`` is ``best``, and, if the study names a metric, where early
    stopping and a plateau name none.

    Args:
        training: The settings, by name.
        metric: The study's; ``None`` where it is accuracy.
    """
    values, name = dict(training), metric or "validation_accuracy"
    stopping, keep, schedule = (values.get(key) for key in ("early_stopping", "keep", "schedule"))
    if isinstance(stopping, Mapping):
        values["early_stopping"] = _named(stopping, "metric", name, is_default=metric is not None)
    if keep == "best":
        values["keep"] = {"best": name}
    elif isinstance(keep, Mapping):
        values["keep"] = _named(keep, "best", name, is_default=False)
    if schedule == "plateau" and metric is not None:
        values["schedule"] = {"name": "plateau", "metric": name}
    elif isinstance(schedule, Mapping) and schedule.get("name") == "plateau":
        values["schedule"] = _named(schedule, "metric", name, is_default=metric is not None)
    return values


def objective_of(given: Any, metric: str | None) -> Any:
    """A search's objectives with the study's metric where they say ``metric``, and as the only one where none is given.

    Args:
        given: A name, names, or ``None``.
        metric: The study's; ``None`` where it is accuracy and not named.
    """
    name = "validation_accuracy" if metric in (None, ACCURACY) else metric
    if given is None:
        return None if metric is None else (name,)
    if isinstance(given, str):
        return name if given == OWN_METRIC else given
    if isinstance(given, list | tuple):
        return tuple(name if one == OWN_METRIC else one for one in given)
    return given


def _named(table: Mapping[str, Any], key: str, name: str, *, is_default: bool) -> dict[str, Any]:
    is_meant = table.get(key) == OWN_METRIC or (is_default and table.get(key) is None)
    return {**table, key: name} if is_meant else dict(table)


def metric_as_files_write_it(schema: dict[str, Any]) -> None:
    """A measure in JSON Schema."""
    schema.pop("anyOf", None)
    patterns = (rf"^({'|'.join(OF_CLASS)}):.+$", r"^.+\.py:.+$")
    schema["anyOf"] = [{"enum": list(MEASURES)}, *({"type": "string", "pattern": pattern} for pattern in patterns)]


def metric_name(given: Any, key: str = "metric") -> str:
    """A measure's name in the form that is stored: lower case, words joined by underscores.

    ``recall:NAME`` and ``precision:NAME`` are of one class, by its name. ``FILE.py:NAME(arguments)`` is a function of
    one's own.

    Raises:
        SpecError: It names no measure.
    """
    if not isinstance(given, str) or not given.strip():
        raise SpecError(Problem(f"got {given!r}", f"name a measure: {', '.join(MEASURES)}", key))
    text = given.strip()
    if is_own(text):
        return read_call(text, key).text
    kind, colon, name = text.partition(":")
    kind = "_".join(kind.lower().replace("-", " ").split())
    if colon and kind in OF_CLASS:
        if not name.strip():
            raise SpecError(Problem(f'"{text}" names no class', f'write "{kind}:NAME", with a class\'s name', key))
        return f"{kind}:{name.strip()}"
    kind = kind.removeprefix("validation_")
    if not colon and (kind in MEASURES or kind in _ALIASES):
        return _ALIASES.get(kind, kind)
    if kind in OF_CLASS:
        raise SpecError(Problem(f'"{text}" is of one class', f'write "{kind}:NAME", with the class\'s name', key))
    fix = nearest(kind, [*MEASURES, *OF_CLASS, *_ALIASES])
    fix = next((fix.replace(f'"{alias}"', f'"{name}"') for alias, name in _ALIASES.items() if f'"{alias}"' in fix), fix)
    if fix.startswith("known"):
        fix = f"known: {', '.join(MEASURES)}, recall:CLASS, precision:CLASS, or FILE.py:FUNCTION of your own"
    raise SpecError(Problem(f'there is no measure "{text}"', fix, key))
