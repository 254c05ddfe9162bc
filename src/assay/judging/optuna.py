"""Trials of an Optuna study: its parameters make arms, a parameter or user attribute is the seed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ..errors import DataError, Problem, nearest
from ..extras import needed
from ..store.run_record import State
from .tracked import Experiment, Tracked

VALUE = "value"  # what an objective's value is called


def optuna_experiment(path: Path, study: str | None) -> Experiment:
    """A study of an SQLite or journal storage, read with Optuna.

    Pruned trials have no final value, and running ones none yet: both are left out, and counted in a note.

    Args:
        path: The storage's file.
        study: The study's name; the only one if ``None``.

    Raises:
        DataError: There is no such study, there are several, it has several objectives, or another version of Optuna
            wrote the storage.
    """
    optuna = needed("optuna", "Optuna's files")

    logging.getLogger("optuna").setLevel(logging.ERROR)
    try:
        storage = _storage(path)
        known = [one.study_name for one in optuna.get_all_study_summaries(storage, include_best_trial=False)]
        if study is not None and study not in known:
            what = f'there is no Optuna study "{study}"'
            raise DataError(Problem(what, nearest(study, known), file=str(path)))
        if study is None and len(known) != 1:
            what = f"this storage has {len(known)} studies" + (f": {', '.join(sorted(known)[:12])}" if known else "")
            raise DataError(Problem(what, "name one with --experiment", file=str(path)))
        loaded = optuna.load_study(study_name=study or known[0], storage=storage)
        trials, directions = loaded.get_trials(deepcopy=False), loaded.directions
        names = loaded.metric_names
    except DataError:
        raise
    except Exception as error:  # Optuna's own, SQLAlchemy's
        raise _unreadable(path, error) from None
    if len(directions) > 1:
        what = f"the study {loaded.study_name} has {len(directions)} objectives, and a verdict is on one"
        raise DataError(
            Problem(what, "export the trials as CSV (study.trials_dataframe) and name one with --score", file=str(path))
        )
    metric = names[0] if names else VALUE
    tracked, left_out = [], {"pruned": 0, "running": 0}
    for trial in trials:
        kind = trial.state.name
        if kind == "PRUNED":
            left_out["pruned"] += 1
        elif kind in ("RUNNING", "WAITING"):
            left_out["running"] += 1
        else:
            tracked.append(_tracked(trial, metric))
    finished = [one.facts for one in tracked if one.state == "finished"]
    again = [one for one in tracked if one.state == "failed" and one.facts in finished]
    tracked = [one for one in tracked if one not in again]
    notes = tuple(
        f"{count} {kind} {'trial has' if count == 1 else 'trials have'} no final value and no part in this."
        for kind, count in left_out.items()
        if count
    )
    if again:
        notes += (
            f"{len(again)} failed {'trial was' if len(again) == 1 else 'trials were'} tried again, and count as that.",
        )
    return Experiment(
        tracked, f"Optuna study {loaded.study_name}", loaded.study_name, notes, path.stat().st_mtime,
        {metric: directions[0].name == "MAXIMIZE"}, (metric,),
    )  # fmt: skip


def _storage(path: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    with open(path, "rb") as file:
        is_sqlite = file.read(15) == b"SQLite format 3"
    if is_sqlite:
        return RDBStorage(f"sqlite:///{path.absolute()}")
    return JournalStorage(JournalFileBackend(str(path)))


def _tracked(trial: Any, metric: str) -> Tracked:
    settings = {str(key): str(value) for key, value in trial.params.items()}
    attributes = {
        str(key): str(value) for key, value in trial.user_attrs.items() if isinstance(value, str | int | float)
    }
    state: State = "finished" if trial.state.name == "COMPLETE" else "failed"
    metrics = {metric: float(trial.values[0])} if state == "finished" and trial.values else {}
    return Tracked(str(trial.number), settings, metrics, state, attributes.get("arm", ""), attributes)


def _unreadable(path: Path, error: Exception) -> DataError:
    text = " ".join(str(error).split())
    if "no longer compatible" in text or "schema" in text or "version" in text:
        what = "another version of Optuna wrote this storage, and the one installed here cannot read it"
        return DataError(
            Problem(what, "upgrade Optuna, or export the trials as CSV with the version that wrote it", file=str(path))
        )
    what = f"Optuna cannot read this ({type(error).__name__}: {text[:200]})"
    return DataError(Problem(what, "name the file of its storage", file=str(path)))
