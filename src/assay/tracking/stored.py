"""Logs what a store holds of a study."""

from __future__ import annotations

from ..analysis.answer import answer
from ..store.records import StudyRecord
from .tracker import TrackedRun, Tracker
from .values import scores_of, settings_of


def log_study(record: StudyRecord, tracker: Tracker) -> str:
    """Log every run that has trained, and the answer; returns where.

    Args:
        record: The study, with its epochs.
        tracker: What to log with; it is closed.
    """
    designs = {arm.name: arm.design for arm in record.arms}
    data = str(record.data.get("title") or record.data.get("name") or "")
    searched = record.search.runs if record.search is not None else ()
    try:
        for run in (*record.runs, *searched):
            if not run.epochs:
                continue
            settings = settings_of(designs.get(run.arm), arm=run.arm, seed=run.seed, fold=run.fold, data=data)
            if record.search is not None and run.arm not in designs:
                settings |= _drawn(record, run.arm)
            tracked = TrackedRun(run.id, record.name, run.arm, f"{run.arm}, {run.label}", settings)
            tracker.begin(tracked)
            for epoch in run.epochs:
                tracker.epoch(tracked, epoch)
            tracker.end(tracked, run.state, scores_of(run))
        tracker.answer(record.name, answer_text(record))
    finally:
        tracker.close()
    return tracker.place


def answer_text(record: StudyRecord) -> str:
    """Question and answer in sentences."""
    result = answer(record)
    return "\n\n".join(filter(None, (record.question, f"{result.headline}.", *result.notes)))


def _drawn(record: StudyRecord, arm: str) -> dict[str, str | int | float | bool]:
    """A trial's values, by parameter."""
    if record.search is None:
        return {}
    trial = arm.removeprefix("trial ")
    candidate = record.search.trials.get(int(trial)) if trial.isdigit() else None
    return {f"factor.{name}": value for name, value in candidate.chosen.items()} if candidate is not None else {}
