"""A study as JSON values for the page: rows, curves, scores, one run."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from ..analysis import arm_scores
from ..analysis.measured import measure_of
from ..analysis.scores import metric_bands, score_of
from ..errors import Problem, SpecError
from ..report.palette import ArmStyle, arm_styles
from ..runner.events import without_nan
from ..spec import plain
from ..store import Followed, Overview, RunRecord, StudyRecord

MEASURES = ("validation_accuracy", "train_accuracy", "validation_loss", "train_loss")
ID_LENGTH = 12
_MAX_POINTS = 8000
_MAX_LINES = 240
_MIN_LINES = 24
_MOST_CLASSES = 50  # rows of the picture of training images


def overview(study: Overview) -> dict[str, Any]:
    """A study in the list."""
    return {
        "name": study.name,
        "question": study.question or study.name,
        "data": study.data,
        "updated": study.updated,
        "arms": study.num_arms,
        "runs": study.num_runs,
        "states": dict(study.states),
        "leaky": study.is_leaky,
        "training": study.is_training,
    }


def changes(followed: Followed, since: int, *, is_training: bool) -> dict[str, Any]:
    """The changes of a study since a version: its runs as rows, each with its index; everything for version 0."""
    record = followed.record
    is_full = since < followed.base or since > followed.version
    positions = {arm.name: index for index, arm in enumerate(record.arms)}
    values: dict[str, Any] = {
        "version": followed.version,
        "finished": followed.finished,
        "full": is_full,
        "training": is_training,
        "states": Counter(run.state for run in record.runs),
        "epochs": [sum(len(run.epochs) for run in record.runs), sum(_epochs_due(run) for run in record.runs)],
        "runs": [[index, *row(record.runs[index], positions)] for index in followed.changed(since)],
    }
    if is_full:
        styles = arm_styles(record)
        values["arms"] = [
            {"name": arm.name, "levels": arm.levels, **_look(styles[arm.name])} for arm in record.arms
        ]  # record.arms come in the study's order
        values["planned"] = max((run.epochs_planned for run in record.runs), default=0)
        values["revealed"] = any(not look.is_of_retrained for look in record.looks)
        values["folds"] = any(run.fold for run in record.runs)
        values["search"] = record.search is not None
        values["classes"] = list(record.data.get("classes") or ())[:_MOST_CLASSES]
    return values


def _epochs_due(run: RunRecord) -> int:
    return len(run.epochs) if run.state not in ("queued", "running") else max(run.epochs_planned, len(run.epochs))


def _look(style: ArmStyle) -> dict[str, str]:
    return {"colour": style.colour, "glyph": style.glyph, "shape": style.symbol, "dash": style.dash}


def row(run: RunRecord, positions: dict[str, int]) -> list[Any]:
    """Arm, seed, fold, state, epochs done and planned, kept scores, test, seconds, id, reason."""
    epoch = run.kept
    scores = (
        (epoch.validation_accuracy, epoch.train_accuracy, epoch.validation_loss) if epoch is not None else (None,) * 3
    )
    return [
        positions[run.arm],
        run.seed,
        run.fold,
        run.state,
        len(run.epochs),
        run.epochs_planned,
        *(None if value is None or not math.isfinite(value) else round(value, 6) for value in scores),
        run.test_accuracy,
        None if run.seconds is None else round(run.seconds, 3),
        run.id[:ID_LENGTH],
        run.reason,
    ]


def curves(record: StudyRecord, measure: str) -> dict[str, Any]:
    """The arms' mean curves with the 95 % interval of each epoch's mean, and single runs as many as can be drawn.

    An arm's mean is of the epochs that all its runs with a curve have reached: a mean over fewer and fewer runs would
    bend for no other reason.

    Raises:
        SpecError: There is no such measure.
    """
    if measure not in MEASURES:
        raise SpecError(Problem(f'there is no measure "{measure}"', f"known: {', '.join(MEASURES)}"))
    values = [[getattr(epoch, measure) for epoch in run.epochs] for run in record.runs]
    means = []
    for index, arm in enumerate(record.arms):
        chosen = [
            value
            for run, value in zip(record.runs, values, strict=True)
            if run.arm == arm.name and run.state == "finished"
        ]
        length = min(map(len, chosen), default=0)
        if not length:
            continue
        mean, low, high = metric_bands([value[:length] for value in chosen], measure)
        means.append({"arm": index, "n": len(chosen), "mean": _short(mean), "low": _short(low), "high": _short(high)})
    drawn = _drawn(record, values)
    return {
        "measure": measure,
        "means": means,
        "lines": [{"place": index, "values": _short(np.array(values[index], dtype=float))} for index in drawn],
        "of": sum(1 for value in values if value),
    }


def _drawn(record: StudyRecord, values: list[list[float]]) -> list[int]:
    """The runs to draw: those that train now, and of the others as many as there is room for, evenly spread."""
    has_curve = [index for index, value in enumerate(values) if value]
    longest = max((len(value) for value in values), default=1)
    room = max(_MIN_LINES, min(_MAX_LINES, _MAX_POINTS // max(longest, 1)))
    if len(has_curve) <= room:
        return has_curve
    running = [index for index in has_curve if record.runs[index].state == "running"][:room]
    others = [index for index in has_curve if record.runs[index].state != "running"]
    step = len(others) / max(room - len(running), 1)
    return sorted([*running, *(others[int(index * step)] for index in range(room - len(running)))])


def _short(values: np.ndarray[Any, Any]) -> list[float | None]:
    return [round(value, 5) if math.isfinite(value) else None for value in values.tolist()]


def scores(record: StudyRecord) -> list[dict[str, Any]]:
    """Every arm's scores, mean and interval on validation."""
    return [
        {
            "scores": [round(score, 6) for score in arm.scores],
            "seeds": list(arm.seeds),
            "mean": arm.mean,
            "low": arm.interval.low if arm.interval else None,
            "high": arm.interval.high if arm.interval else None,
        }
        for arm in arm_scores(record)
    ]


def measure(record: StudyRecord) -> dict[str, Any]:
    """How these scores are written: the measure's name, scale, decimals, suffix, and the most that it can be."""
    known = measure_of(record)
    most = known.bounds[1]
    return {
        "label": known.label,
        "scale": known.unit.scale,
        "decimals": known.unit.decimals,
        "suffix": known.unit.suffix,
        "most": most if math.isfinite(most) else None,
    }


def run_of(record: StudyRecord, start: str) -> RunRecord | None:
    """The run whose id begins with ``start``."""
    matches = [run for run in (*record.runs, *record.retrained) if run.id.startswith(start)]
    return matches[0] if matches and len(start) >= ID_LENGTH else None


def details(record: StudyRecord, run: RunRecord) -> dict[str, Any]:
    """One run with its curves, its arm's layers and training, and its environment."""
    arm = next(arm for arm in record.arms if arm.name == run.arm)
    values: dict[str, Any] = without_nan(
        {
            "id": run.id,
            "arm": run.arm,
            "label": run.label,
            "seed": run.seed,
            "fold": run.fold,
            "state": run.state,
            "reason": run.reason,
            "advice": run.advice,
            "started": run.started,
            "finished": run.finished,
            "seconds": run.seconds,
            "memory": run.peak_memory_bytes,
            "kept": run.kept.epoch if run.kept else None,
            "planned": run.epochs_planned,
            "score": score_of(run, "validation"),
            "test": run.test_accuracy,
            "levels": arm.levels,
            "layers": [str(line) for line in plain(list(arm.design.layers))],
            "training": _plain(arm.design.training.model_dump(mode="json")),
            "curves": {name: [getattr(epoch, name) for epoch in run.epochs] for name in MEASURES},
            "environment": _plain(run.environment),
        }
    )
    return values


def _plain(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as one level of texts."""
    texts: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            texts |= _plain(value, f"{prefix}{key}.")
        elif value is not None and value != {} and value != [] and value is not False:
            texts[f"{prefix}{key}"] = f"{value:g}" if isinstance(value, float) else str(value)
    return texts
