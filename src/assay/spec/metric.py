"""Names of measures as studies and commands write them: ``balanced_accuracy``, ``recall:pneumonia``, ``my.py:cost``.

``assay.measures`` computes them.
"""

from __future__ import annotations

from typing import Any

from ..errors import Problem, SpecError, nearest
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
