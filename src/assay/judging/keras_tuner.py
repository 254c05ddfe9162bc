"""Trials of a Keras Tuner project: plain JSON, which needs no Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..disk import disk_errors
from ..errors import DataError, Problem
from ..store.run_record import State
from .columns import naturally
from .tracked import Experiment, Tracked

TRIAL = "trial.json"
_STATES: dict[str, State] = {
    "COMPLETED": "finished", "FAILED": "failed", "INVALID": "failed", "RUNNING": "running", "IDLE": "queued",
}  # fmt: skip
_BUDGET = "tuner/"  # of Hyperband's own hyperparameters


def keras_tuner_experiment(folder: Path) -> Experiment:
    """The trials of a project folder.

    Its hyperparameters make arms, and one called ``seed`` pairs trials. Keras Tuner keeps the mean over
    ``executions_per_trial`` alone, so such a trial is one run.

    Raises:
        DataError: There are no trials, or another version of Keras Tuner wrote them.
    """
    paths = sorted(folder.glob(f"trial_*/{TRIAL}")) or sorted(folder.rglob(TRIAL))
    paths.sort(key=lambda path: naturally(path.as_posix()))
    if not paths:
        raise DataError(Problem(f"there is no {TRIAL} here", "name the project's folder", file=str(folder)))
    trials, directions, budgets = [], {}, False
    for path in paths:
        values = _read(path)
        settings = {str(key): str(value) for key, value in values["hyperparameters"]["values"].items()}
        budgets = budgets or any(key.startswith(_BUDGET) for key in settings)
        settings = {key: value for key, value in settings.items() if not key.startswith(_BUDGET)}
        metrics = {}
        for name, metric in values["metrics"]["metrics"].items():
            if (value := _best(metric, path)) is not None:
                metrics[name] = value
                directions[name] = metric["direction"] != "min"
        state = _STATES.get(str(values["status"]).rpartition(".")[2], "failed")
        trials.append(Tracked(str(values["trial_id"]), settings, metrics, state))
    notes = ("Hyperband's trials that were stopped early count as what they scored then.",) if budgets else ()
    updated = max(path.stat().st_mtime for path in paths)
    source = f"Keras Tuner project {folder.name}"
    return Experiment(trials, source, folder.name or "project", notes, updated, directions)


def _read(path: Path) -> dict[str, Any]:
    with disk_errors(path, "read"):
        text = path.read_text(encoding="utf-8")
    try:
        values = json.loads(text)
        values["hyperparameters"]["values"].items()
        values["metrics"]["metrics"].items()
        return {**values, "trial_id": values["trial_id"], "status": values["status"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"this is no trial as Keras Tuner 1 writes it ({type(error).__name__}: {error})"
        fix = "a newer version may have written it: judge its scores as a table"
        raise DataError(Problem(what, fix, file=str(path))) from None


def _best(metric: Any, path: Path) -> float | None:
    """A metric's best observation, as Keras Tuner scores a trial."""
    try:
        values = [sum(one["value"]) / len(one["value"]) for one in metric["observations"]]
        return (min if metric["direction"] == "min" else max)(map(float, values), default=None)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        what = "a metric's observations are not as Keras Tuner 1 writes them"
        raise DataError(Problem(what, "a newer version may have written it: judge a table", file=str(path))) from None
