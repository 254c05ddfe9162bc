"""A study as pandas tables: one row a run, one row an epoch."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from ..analysis.measured import measure_of, run_values
from ..analysis.scores import Split, ordered_arms
from ..measures import ACCURACY
from ..store.records import EpochRecord, RunRecord, StudyRecord

if TYPE_CHECKING:
    import pandas as pd

_METRICS = tuple(
    field.name for field in fields(EpochRecord) if field.name not in {"epoch", "seconds", "health", "measures"}
)
_OUTCOMES = (
    "kept_epoch",
    "stopped_epoch",
    "test_accuracy",
    "test_loss",
    "seconds",
    "joules",
    "peak_memory_bytes",
    "started",
    "finished",
    "id",
)
_RUN = ("arm", "seed", "fold", "state", "reason", "advice", "epochs", "epochs_planned", *_METRICS, *_OUTCOMES)
_EPOCH = (
    "arm",
    "seed",
    "fold",
    "state",
    *(field.name for field in fields(EpochRecord) if field.name not in {"health", "measures"}),
    "id",
)


def runs_frame(study: StudyRecord, *, retrained: bool = False) -> pd.DataFrame:
    """One row per run, by arm, seed and fold.

    Columns: the arm, one column per factor with its level, seed, fold (from 1, where there are folds), state, reason
    and advice, epochs recorded and planned, the metrics after the epoch that was kept (the last, unless the study keeps
    the best), that epoch, the one after which early stopping ended the run, the test metrics once revealed, seconds,
    joules where the machine told them, memory, the study's own metric where that is not accuracy, and the id.
    ``attrs["leaky"]`` is true where the validation images are the test images.
    A factor that is called like another column is found under ``factor.<name>``.

    Args:
        study: Its record.
        retrained: The runs that ``reveal --retrain`` made of a chosen arm, which have no validation metrics, instead.
    """
    if retrained:
        study = replace(study, runs=study.retrained)
    rows = []
    for levels, run in _runs(study, _RUN):
        metrics = {name: getattr(run.kept, name) if run.kept else None for name in _METRICS}
        outcomes = {name: getattr(run, name) for name in _OUTCOMES}
        if run.state == "finished" and run.kept:
            outcomes["kept_epoch"] = run.kept.epoch
        outcome = {"state": run.state, "reason": run.reason, "advice": run.advice}
        counts = {"epochs": len(run.epochs), "epochs_planned": run.epochs_planned}
        rows.append(
            {"arm": run.arm, **levels, "seed": run.seed, "fold": run.fold, **outcome, **counts, **metrics, **outcomes}
        )
    frame = _frame(rows, study, _RUN)
    for name in (*_METRICS, "test_accuracy", "test_loss", "seconds", "joules", "started", "finished"):
        frame[name] = frame[name].astype("float64")
    for name in ("fold", "kept_epoch", "stopped_epoch", "peak_memory_bytes"):
        frame[name] = frame[name].astype("Int64")
    if not retrained and (measure := measure_of(study)) != ACCURACY:
        splits: tuple[Split, ...] = ("validation", "test") if study.columns.has_test else ("validation",)
        for split in splits:
            values = study.columns.scores(run_values(study, split)).tolist()
            by_run = dict(zip(study.columns.ids, values, strict=True))
            frame.insert(len(frame.columns) - 1, f"{split}_{measure.name}", [by_run[run] for run in frame["id"]])
    frame.attrs["leaky"] = study.is_leaky
    return frame


def epochs_frame(study: StudyRecord) -> pd.DataFrame:
    """One row per recorded epoch of every run, by arm, seed and epoch, with factor columns as in ``runs_frame``."""
    rows = [
        {
            "arm": run.arm,
            **levels,
            "seed": run.seed,
            "fold": run.fold,
            "state": run.state,
            **asdict(epoch),
            "id": run.id,
        }
        for levels, run in _runs(study, _EPOCH)
        for epoch in run.epochs
    ]
    frame = _frame(rows, study, _EPOCH)
    frame["fold"] = frame["fold"].astype("Int64")
    frame.attrs["leaky"] = study.is_leaky
    return frame


def _runs(study: StudyRecord, taken: tuple[str, ...]) -> list[tuple[dict[str, str | None], RunRecord]]:
    factors = _factors(study)
    return [
        ({_column(factor, taken): arm.levels.get(factor) for factor in factors}, run)
        for arm in ordered_arms(study)
        for run in study.runs_of(arm.name)
    ]


def _frame(rows: list[dict[str, Any]], study: StudyRecord, columns: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    factors = [_column(factor, columns) for factor in _factors(study)]
    return pd.DataFrame(rows, columns=[columns[0], *factors, *columns[1:]])


def _factors(study: StudyRecord) -> tuple[str, ...]:
    """Every factor that an arm has a level of, in order of appearance."""
    return tuple(dict.fromkeys(factor for arm in ordered_arms(study) for factor in arm.levels))


def _column(factor: str, taken: tuple[str, ...]) -> str:
    return f"factor.{factor}" if factor in taken else factor
