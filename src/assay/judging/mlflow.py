"""Runs that MLflow tracked, read with MLflow's own client: a tracking folder, or the file of its SQLite store."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError, Problem, nearest
from ..store.run_record import State
from .tracked import Experiment, Tracked

_STATES: dict[str, State] = {
    "FINISHED": "finished", "FAILED": "failed", "KILLED": "failed", "RUNNING": "running", "SCHEDULED": "queued",
}  # fmt: skip
_PAGE = 1000
_FOLDERS = "MLFLOW_ALLOW_FILE_STORE"


def mlflow_experiment(path: Path, experiment: str | None) -> Experiment:
    """An experiment of a tracking folder or store.

    Args:
        path: ``mlruns`` or a folder that holds it, or a ``.db`` file.
        experiment: Its name; the only one that has runs if ``None``.

    Raises:
        DataError: There is no such experiment, there are several, or another version of MLflow wrote it.
    """
    place = _place(path)
    for name in ("alembic", "mlflow.store.db.utils", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        from mlflow import MlflowClient

        with _folders_allowed():
            client: Any = MlflowClient(tracking_uri=place)
            known = {one.name: one for one in client.search_experiments()}
            runs = {name: _runs(client, one) for name, one in known.items() if experiment in (None, name)}
    except Exception as error:  # MLflow's own, SQLAlchemy's, and YAML's
        raise _unreadable(path, error) from None
    if experiment is not None and experiment not in known:
        what = f'there is no experiment "{experiment}"'
        raise DataError(Problem(what, nearest(experiment, list(known)), file=str(path)))
    with_runs = [name for name, found in runs.items() if found]
    if len(with_runs) > 1:
        what = f"{len(with_runs)} experiments have runs: {', '.join(sorted(with_runs)[:12])}"
        raise DataError(Problem(what, "name one with --experiment", file=str(path)))
    if not with_runs:
        raise DataError(Problem("no experiment here has runs", "name the folder that holds them", file=str(path)))
    name = with_runs[0]
    tracked = [_tracked(run) for run in sorted(runs[name], key=lambda run: (run.info.start_time or 0, run.info.run_id))]
    ended = max((run.info.end_time or run.info.start_time or 0) for run in runs[name])
    return Experiment(tracked, f"MLflow experiment {name}", name, updated=ended / 1000)


@contextlib.contextmanager
def _folders_allowed() -> Iterator[None]:
    """MLflow reads its older form, a folder of files, only where this is set."""
    before = os.environ.get(_FOLDERS)
    os.environ[_FOLDERS] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FOLDERS]
        else:
            os.environ[_FOLDERS] = before


def _place(path: Path) -> str:
    if path.is_file():
        return f"sqlite:///{path.absolute()}"
    for inner in (path / "mlflow.db", path / "mlruns.db"):
        if inner.is_file():
            return f"sqlite:///{inner.absolute()}"
    return str((path / "mlruns" if (path / "mlruns").is_dir() else path).absolute())


def _runs(client: Any, experiment: Any) -> list[Any]:
    runs: list[Any] = []
    token = None
    while True:
        page = client.search_runs([experiment.experiment_id], max_results=_PAGE, page_token=token)
        runs += page
        token = getattr(page, "token", None)
        if not token:
            return runs


def _tracked(run: Any) -> Tracked:
    tags = run.data.tags
    settings = {str(key): str(value) for key, value in run.data.params.items()}
    attributes = {str(key): str(value) for key, value in tags.items() if not str(key).startswith("mlflow.")}
    metrics = {str(key): float(value) for key, value in run.data.metrics.items()}
    state = _STATES.get(run.info.status, "failed")
    return Tracked(run.info.run_id, settings, metrics, state, str(tags.get("assay.arm", "")), attributes)


def _unreadable(path: Path, error: Exception) -> DataError:
    text = " ".join(str(error).split())
    if "schema" in text and ("version" in text or "revision" in text):
        what = "another version of MLflow wrote this store, and the one installed here cannot read it"
        return DataError(
            Problem(
                what,
                "install that version, run `mlflow db upgrade` on a copy, or export its runs as CSV",
                file=str(path),
            )
        )
    what = f"MLflow cannot read this ({type(error).__name__}: {text[:200]})"
    return DataError(Problem(what, "name its tracking folder, or the .db file of its store", file=str(path)))
